//! What more than one report says of a run, in the same words: what it means that it passed, what its parts are called, how it was
//! loaded, and where.

use std::collections::BTreeMap;

use mtc_tls::kind::CertificateKind;
use mtc_tls::provider::KeyExchange;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::numbers::{at, count, time};
use crate::environment::Environment;
use crate::results::{LandmarkState, Outcome, Results, ThresholdOutcome, VariantResult};
use crate::scenario::{ArrivalProcess, Expectation, Measure, OperationKind, Scenario};

mod observed;

/// What stands before the reasons of a verdict.
pub(super) const fn title(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "Passed",
        Outcome::ExpectationFailed => "An expectation failed",
        Outcome::ThresholdBroken => "A threshold is broken",
        Outcome::Invalid => "Not a valid measurement",
    }
}

/// What stands below a table in which figures are left out.
pub(super) const LEFT_OUT: &str = "! left out: not a valid measurement, for the reason that is given with the verdict or as a warning";

/// What it means that a run passed: that nothing went wrong, unless the scenario's `[expect]` allows that something does.
pub(super) fn passed(results: &Results) -> String {
    if let Some(observed) = &results.run.observed {
        return observed::summary(observed);
    }
    let unclaimed = unclaimed(results);
    if results.expect == Expectation::default() {
        return format!(
            "no errors, no drops, every handshake was served the credential kind its variant asks for{unclaimed}"
        );
    }
    let sum = |of: fn(&VariantResult) -> u64| results.variants.iter().map(of).sum::<u64>();
    format!(
        "errors ({}), drops ({}) and fallbacks are within what the scenario's [expect] allows{unclaimed}",
        count(sum(VariantResult::failed)),
        count(sum(|variant| variant.dropped))
    )
}

/// What a run that passed is nevertheless no measurement of.
fn unclaimed(results: &Results) -> String {
    let spoiled = results.verdict.invalid_measures.iter();
    let spoiled: Vec<&str> = spoiled.map(|of| of.plural()).collect();
    if spoiled.is_empty() {
        return String::new();
    }
    format!(
        "; {}, which the scenario does not claim, are not valid",
        spoiled.join(" and ")
    )
}

/// How the load came, and from when an operation's latency counts.
pub(super) fn arrivals(results: &Results) -> &'static str {
    if results.run.observed.is_some() {
        return observed::METHOD;
    }
    let is_closed = Scenario::parse_cells(&results.scenario).is_ok_and(|cells| {
        let closed = |cell: &Scenario| matches!(cell.load.arrivals, ArrivalProcess::Closed { .. });
        cells.iter().any(closed)
    });
    if is_closed {
        "The loop is closed: each of its workers begins an operation when its last one has ended, and the latency of an operation counts from \
         there. It is judged by what the generator took of the machine, not by lateness."
    } else {
        "Arrivals are open-loop: they come when the schedule says, however slow the servers are. Operation latency counts from the \
         intended start and so includes the generator's lateness below."
    }
}

/// What a reader of the tables has to know, a sentence each: the key exchange, and what an operation is.
pub(super) fn legend(results: &Results) -> Vec<String> {
    let meaning = operation_meaning(&results.run.operation).map(str::to_owned);
    key_exchanges(results).into_iter().chain(meaning).collect()
}

/// `Key exchange: X25519 in x509-p256, X25519MLKEM768 in all others.`
fn key_exchanges(results: &Results) -> Option<String> {
    let mut groups: Vec<(KeyExchange, Vec<&str>)> = Vec::new();
    for variant in &results.variants {
        match groups
            .iter_mut()
            .find(|(of, _)| *of == variant.key_exchange)
        {
            Some((_, names)) => names.push(&variant.name),
            None => groups.push((variant.key_exchange, vec![&variant.name])),
        }
    }
    // The others are those of the group with the most names.
    groups.sort_by_key(|(_, names)| names.len());
    let (others, named) = groups.split_last()?;
    if named.is_empty() {
        return Some(format!("Key exchange: {} in every variant.", others.0));
    }
    let named = named
        .iter()
        .map(|(group, names)| format!("{group} in {}", names.join(", ")));
    let named: Vec<String> = named.collect();
    let others = match others.1.as_slice() {
        [only] => format!("{} in {only}", others.0),
        _ => format!("{} in all others", others.0),
    };
    Some(format!("Key exchange: {}; {others}.", named.join("; ")))
}

/// What an operation of this name does; none of a mix, which has several.
fn operation_meaning(operation: &str) -> Option<&'static str> {
    let kind = OperationKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == operation)?;
    Some(match kind {
        OperationKind::Session => {
            "A session: the AMF discovers an SMF at the NRF, creates an SM context at it, is called back by it, and releases the context. \
             Over fresh connections that is three handshakes; the handshake times are of the two that the load generator begins."
        }
        OperationKind::Handshake => {
            "An operation is one handshake, from its intended start until both ends have closed the connection."
        }
        OperationKind::Discover => {
            "A discovery asks the NRF for SMFs of a slice and a DNN; the connection is part of it where it is fresh."
        }
        OperationKind::Register => {
            "A registration puts the AMF's profile to the NRF again; the connection is part of it where it is fresh."
        }
        OperationKind::Registration => {
            "A UE is registered with AUSF, UDM and PCF, and deregistered; the AMF's part in 5G-AKA and the UE's are the load generator's. \
             What each procedure costs is told under “Cost per procedure”."
        }
        OperationKind::PduSession => {
            "A PDU session is established at an SMF, which asks UDM and PCF and calls the AMF back, then modified and released. \
             What each procedure costs is told under “Cost per procedure”."
        }
    })
}

/// Where, with what and when a run was measured: a name and a text each.
pub(super) fn facts(results: &Results) -> Vec<(&'static str, String)> {
    let late = |quantile| at(results.lateness_ms, quantile);
    let mut facts = machine(&results.environment);
    if results.run.observed.is_some() {
        let window = [results.run.started, results.run.ended]
            .map(moment)
            .join(" to ");
        facts.push(("Observed", window));
        return facts;
    }
    facts.push((
        "Run",
        format!(
            "{} to {}, seed {}",
            moment(results.run.started),
            moment(results.run.ended),
            results.run.seed
        ),
    ));
    if let Some(preflight) = &results.run.preflight {
        facts.push(("The second before", preflight.to_string()));
    }
    facts.push((
        "Generator lateness",
        format!(
            "p50 {} ms, p99 {} ms, max {} ms",
            late(|l| l.p50),
            late(|l| l.p99),
            late(|l| l.max)
        ),
    ));
    facts
}

/// The part of it that the runs of a sweep have in common.
pub(super) fn machine(of: &Environment) -> Vec<(&'static str, String)> {
    let gibibytes = of.memory_bytes as f64 / f64::from(1 << 30);
    vec![
        (
            "Processor",
            format!("{}, {} logical, governor {}", of.cpu, of.cores, of.governor),
        ),
        ("Memory", format!("{gibibytes:.1} GiB")),
        ("System", format!("{}, {}", of.os, of.kernel)),
        (
            "Network",
            format!(
                "{}, congestion control {}",
                of.network, of.tcp_congestion_control
            ),
        ),
        (
            "Build",
            format!(
                "mtc5g {}, revision {}, {}, {}",
                of.mtc5g, of.revision, of.profile, of.rustc
            ),
        ),
        ("Libraries", pairs(&of.libraries)),
        ("Certificates", format!("{}; {}", of.draft, pairs(&of.oids))),
    ]
}

/// The settings that make a run of a sweep.
pub(super) fn settings(results: &Results) -> String {
    let settings = results.run.cell.iter();
    let settings: Vec<String> = settings
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    settings.join(", ")
}

fn pairs(map: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = map
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    pairs.join(", ")
}

/// RFC 3339, whole seconds.
fn moment(time: OffsetDateTime) -> String {
    let seconds = time.replace_nanosecond(0).unwrap_or(time);
    seconds
        .format(&Rfc3339)
        .unwrap_or_else(|_| time.to_string())
}

/// What stands beside the name of a variant of which some or all figures are no measurement.
pub(super) fn invalid(variant: &VariantResult) -> Option<&'static str> {
    let spoiled = Measure::ALL.map(|measure| !variant.is_valid(measure));
    match spoiled {
        [false, false, false] => None,
        [false, false, true] => Some("latencies not valid"),
        _ => Some("not valid"),
    }
}

/// What a run's operations are called beside the handshakes that are in them.
pub(super) fn operation(results: &Results) -> &str {
    match results.run.operation.as_str() {
        "handshake" => "operation",
        name => name,
    }
}

/// A word at the start of a title.
pub(super) fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

/// Both sides of a threshold: `1.31 against 1.40`.
pub(super) fn sides(threshold: &ThresholdOutcome) -> String {
    format!("{} against {}", time(threshold.left), time(threshold.right))
}

/// A word for what became of a threshold.
pub(super) const fn outcome(threshold: &ThresholdOutcome) -> &'static str {
    match threshold {
        ThresholdOutcome { judged: false, .. } => "not judged",
        ThresholdOutcome { met: true, .. } => "met",
        ThresholdOutcome { met: false, .. } => "broken",
    }
}

/// A threshold that is not met, with both its sides.
pub(super) fn broken(threshold: &ThresholdOutcome) -> String {
    let ThresholdOutcome {
        name, expression, ..
    } = threshold;
    format!("{name}: {expression} ({})", sides(threshold))
}

/// What a variant is made of, in one line.
pub(super) fn composition(variant: &VariantResult) -> String {
    let tickets = variant.options.tickets.as_ref();
    let tickets = tickets.map_or_else(String::new, |kind| format!(", {kind} tickets"));
    let via = match variant.options.via.as_deref() {
        Some("scp-c") => ", through the SCP (model C)",
        Some("scp-d") => ", through the SCP (model D)",
        _ => "",
    };
    let grease = if variant.options.grease {
        ", with trust anchors and a cosignature that nobody knows"
    } else {
        ""
    };
    let revocation = match variant.options.revocation.as_deref() {
        Some("crl") => ", CRLs",
        Some("ocsp-stapled") => ", stapled OCSP responses of servers and CRLs for clients",
        _ => "",
    };
    let key = format!(
        "{} keys, {}{revocation}{tickets}{grease}{via}",
        variant.leaf_key, variant.key_exchange
    );
    match (&variant.ca_signature, variant.chain) {
        (Some(ca), Some(0)) => format!("X.509, {ca} root signs directly, {key}"),
        (Some(ca), Some(1)) => format!("X.509, {ca} root and one intermediate, {key}"),
        (Some(ca), _) => format!("X.509, {ca} root and two intermediates, {key}"),
        _ => format!(
            "{}, {}{}, {key}",
            variant.auth,
            cosigned(variant),
            match variant.options.landmarks {
                Some(LandmarkState::Stale) => ", landmarks that nobody knows yet",
                Some(LandmarkState::Fresh) | None => "",
            }
        ),
    }
}

/// Whose cosignatures a variant's certificates carry, or the checkpoints that its landmarks are of.
fn cosigned(variant: &VariantResult) -> String {
    let names = variant.options.cosigners.join(" and ");
    match (names.as_str(), variant.auth) {
        ("", _) => "cosigners unknown".to_owned(),
        (names, CertificateKind::LandmarkRelative) => format!("log cosigned by {names}"),
        (names, _) => format!("cosigned by {names}"),
    }
}

#[cfg(test)]
mod tests {
    use mtc_tls::provider::KeyExchange;

    use super::{composition, legend};
    use crate::report::{Report, html, summary, table};
    use crate::results::LandmarkState;
    use crate::results::sample::quick;
    use crate::scenario::ErrorsAllowed;

    // The page and the summary claimed that nothing had failed of every run that passed.
    #[test]
    fn a_run_whose_errors_were_allowed_is_not_said_to_have_had_none() {
        let mut results = quick();
        results.expect.errors = ErrorsAllowed::Always;
        results.expect.max_error_ratio = 0.1;
        results.variants[1].errors = [("tls: refused".to_owned(), 3)].into();
        results.variants[2].dropped = 1200;
        assert!(results.verdict.passed);
        let report = Report::of(&results);
        for text in [html(&report), summary(&report), table(&report)] {
            assert!(!text.to_lowercase().contains("no errors"), "{text}");
            let words = text.replace('\\', "");
            let allowed = "rrors (3), drops (1,200) and fallbacks are within what the scenario";
            assert!(words.contains(allowed), "{text}");
        }
    }

    #[test]
    fn a_variant_is_described_with_its_cosigners_and_tickets() {
        let mut variants = quick().variants;
        variants[1].options.tickets = Some("stateless".to_owned());
        variants[1].options.via = Some("scp-c".to_owned());
        assert_eq!(
            composition(&variants[1]),
            "X.509, ml-dsa-65 root and one intermediate, ml-dsa-65 keys, X25519MLKEM768, stateless tickets, through the SCP (model C)"
        );
        assert_eq!(
            composition(&variants[3]),
            "mtc-standalone, cosigned by ca and witness, ml-dsa-65 keys, X25519MLKEM768"
        );
        variants[4].options.landmarks = Some(LandmarkState::Stale);
        assert_eq!(
            composition(&variants[4]),
            "mtc-landmark, log cosigned by ca and witness, landmarks that nobody knows yet, ml-dsa-65 keys, X25519MLKEM768"
        );
        variants[4].options.cosigners.clear();
        assert!(composition(&variants[4]).contains("cosigners unknown"));
    }

    #[test]
    fn every_report_names_the_key_exchanges_and_says_what_a_session_is() {
        let mut results = quick();
        results.variants[0].key_exchange = KeyExchange::X25519;
        results.variants[3].key_exchange = KeyExchange::SecP256r1;
        assert_eq!(
            legend(&results)[0],
            "Key exchange: X25519 in x509-ed25519; secp256r1 in mtc-standalone; X25519MLKEM768 in all others."
        );
        let report = Report::of(&results);
        let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in [html(&report), summary(&report), table(&report)].map(words) {
            for sentence in legend(&results) {
                assert!(text.contains(&sentence), "{text}");
            }
            assert!(text.contains("A session: the AMF discovers"), "{text}");
        }
        results.variants.truncate(2);
        assert_eq!(
            legend(&results)[0],
            "Key exchange: X25519 in x509-ed25519; X25519MLKEM768 in x509-mldsa65."
        );
        results.variants.truncate(1);
        results.run.operation = "mix".to_owned();
        assert_eq!(legend(&results), ["Key exchange: X25519 in every variant."]);
        results.variants.clear();
        assert_eq!(legend(&results), Vec::<String>::new());
    }

    #[test]
    fn a_run_that_nothing_was_allowed_had_none() {
        let results = quick();
        let report = Report::of(&results);
        for text in [html(&report), summary(&report), table(&report)] {
            assert!(
                text.contains("o errors, no drops, every handshake was served"),
                "{text}"
            );
        }
    }
}
