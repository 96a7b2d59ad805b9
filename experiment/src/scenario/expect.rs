//! `[expect]`: what a run may show besides success, and what it must show, to be a valid measurement.
//!
//! Without the table every failure, drop and other certificate kind makes a run invalid. With it, what is allowed is
//! bounded, and a fallback is an expectation in both directions: too few of them, and the run did not show what it is for.

use std::ops::RangeInclusive;
use std::time::Duration;

use mtc_tls::kind::CertificateKind;
use serde::{Deserialize, Serialize};

use super::reader::{Reader, Table, choice, number, span_of_time, text};
use super::{MAX_NAME, MAX_VARIANTS, Variant};

const KEYS: &[&str] = &[
    "errors",
    "max_error_ratio",
    "recovery",
    "max_dropped_ratio",
    "fallback",
    "revoked_within",
];
const SHARE: RangeInclusive<f64> = 0.0..=1.0;
const RECOVERY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
const DEFAULT_RECOVERY: Duration = Duration::from_secs(1);

/// `[expect]`; the default allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// `errors`: when operations may fail; default never.
    pub errors: ErrorsAllowed,
    /// `max_error_ratio`: how many of each variant's operations may fail; default all, where `errors` allows some.
    pub max_error_ratio: f64,
    /// `recovery`: how long after an event is over its errors may still end; default 1 s. Matters with `during-events`.
    pub recovery: Duration,
    /// `max_dropped_ratio`: how many of each variant's arrivals may be dropped; default none.
    pub max_dropped_ratio: f64,
    /// `[[expect.fallback]]`: variants whose peers may be served standalone instead of landmark-relative certificates.
    pub fallback: Vec<Fallback>,
    /// `revoked_within`: how long after a revocation a revoked instance may still be accepted; default any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_within: Option<Duration>,
}

/// When operations may fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorsAllowed {
    /// Never.
    #[default]
    Never,
    /// While an `[[event]]` lasts and shortly after.
    DuringEvents,
    /// Always.
    Always,
}

impl ErrorsAllowed {
    const ALL: [(&'static str, Self); 3] = [
        ("never", Self::Never),
        ("during-events", Self::DuringEvents),
        ("always", Self::Always),
    ];
}

/// One `[[expect.fallback]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fallback {
    /// `variant`: its name; its `auth` is `mtc-landmark`.
    pub variant: String,
    /// `min_share`: of the certificates that both sides show; default 0.
    pub min_share: f64,
    /// `max_share`, default 1.
    pub max_share: f64,
}

/// Reads the expectation of a scenario with these variants, with events or without.
pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Table<'_>,
    variants: Option<&[Variant]>,
    has_events: bool,
) -> Option<Expectation> {
    if !root.has("expect") {
        return Some(Expectation::default());
    }
    let table = reader.section(root, "expect", KEYS)?;
    let errors = reader.optional(
        &table,
        "errors",
        ErrorsAllowed::Never,
        choice(&ErrorsAllowed::ALL),
    );
    check_errors(reader, &table, errors, has_events);
    let at_most = if errors == Some(ErrorsAllowed::Never) {
        0.0
    } else {
        1.0
    };
    let max_error_ratio = reader.optional(&table, "max_error_ratio", at_most, number(SHARE));
    let recovery = reader.optional(&table, "recovery", DEFAULT_RECOVERY, span_of_time(RECOVERY));
    let max_dropped_ratio = reader.optional(&table, "max_dropped_ratio", 0.0, number(SHARE));
    let fallback = read_fallbacks(reader, &table, variants);
    let revoked_within = table
        .has("revoked_within")
        .then(|| reader.required(&table, "revoked_within", span_of_time(RECOVERY)));
    Some(Expectation {
        errors: errors?,
        max_error_ratio: max_error_ratio?,
        recovery: recovery?,
        max_dropped_ratio: max_dropped_ratio?,
        fallback: fallback?,
        revoked_within: match revoked_within {
            Some(read) => Some(read?),
            None => None,
        },
    })
}

fn check_errors(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    errors: Option<ErrorsAllowed>,
    has_events: bool,
) {
    if errors == Some(ErrorsAllowed::DuringEvents) && !has_events {
        let rule = "is \"during-events\", and the scenario has no [[event]]";
        let hint = "write \"always\" with a max_error_ratio, or add the event";
        reader.fault_at(table, "errors", rule, Some(hint.into()));
    }
    if errors != Some(ErrorsAllowed::DuringEvents) {
        reader.refuse(table, "recovery", "is for errors = \"during-events\" only");
    }
    if errors == Some(ErrorsAllowed::Never) && table.has("max_error_ratio") {
        let rule = "bounds errors, and `errors` allows none";
        let hint = "say when they are allowed: errors = \"during-events\" or \"always\"";
        reader.fault_at(table, "max_error_ratio", rule, Some(hint.into()));
    }
}

fn read_fallbacks(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    variants: Option<&[Variant]>,
) -> Option<Vec<Fallback>> {
    if !table.has("fallback") {
        return Some(Vec::new());
    }
    let keys = &["variant", "min_share", "max_share"];
    let tables = reader.sections(table, "fallback", 1..=MAX_VARIANTS, keys)?;
    let read: Vec<Option<Fallback>> = tables
        .iter()
        .map(|table| read_fallback(reader, table, variants))
        .collect();
    read.into_iter().collect()
}

fn read_fallback(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    variants: Option<&[Variant]>,
) -> Option<Fallback> {
    let variant = reader.required(table, "variant", text(MAX_NAME));
    if let (Some(name), Some(variants)) = (&variant, variants) {
        check_variant(reader, table, name, variants);
    }
    let min_share = reader.optional(table, "min_share", 0.0, number(SHARE));
    let max_share = reader.optional(table, "max_share", 1.0, number(SHARE));
    if let (Some(min), Some(max)) = (min_share, max_share)
        && min > max
    {
        let rule = format!("is {min}, above max_share, {max}");
        reader.fault_at(table, "min_share", rule, None);
    }
    Some(Fallback {
        variant: variant?,
        min_share: min_share?,
        max_share: max_share?,
    })
}

fn check_variant(reader: &mut Reader<'_>, table: &Table<'_>, name: &str, variants: &[Variant]) {
    let rule = match variants.iter().find(|variant| variant.name == name) {
        None => {
            let names: Vec<_> = variants
                .iter()
                .map(|variant| variant.name.as_str())
                .collect();
            format!(
                "is {name:?}, but no [[variant]] has that name; there are {}",
                names.join(", ")
            )
        }
        Some(variant) if variant.auth != CertificateKind::LandmarkRelative => {
            format!(
                "is {name:?}, of auth = \"{}\": only \"mtc-landmark\" has something to fall back to",
                variant.auth
            )
        }
        Some(variant) if variant.expected_kind() != CertificateKind::LandmarkRelative => format!(
            "is {name:?}, of landmarks = \"stale\": there every certificate must be standalone, and the run is invalid \
             otherwise"
        ),
        Some(_) => return,
    };
    reader.fault_at(table, "variant", rule, None);
}

#[cfg(test)]
mod tests;
