//! How long a revoked network function was still accepted.

use super::{Finding, Tone};
use crate::results::{EventRecord, Results, RevokedInVariant};

/// What became of each revocation.
pub(super) fn revocations(results: &Results) -> Vec<Finding> {
    results.events.iter().filter_map(revocation).collect()
}

fn revocation(event: &EventRecord) -> Option<Finding> {
    let revocation = event.revocation.as_ref()?;
    let began = event.began_s?;
    let instances = event.instances.unwrap_or(1);
    let plural = if instances == 1 { "" } else { "s" };
    let last = revocation.in_force_s.values().copied().reduce(f64::max);
    let in_force = match last {
        Some(last) if event.ended_s.is_some() => {
            format!(
                "it was in force everywhere {:.2} s after the order",
                last - began
            )
        }
        _ => "it did not come into force everywhere".to_owned(),
    };
    let published = revocation.published_s - began;
    let done = match revocation.number {
        Some(number) => {
            format!("list {number} was published {published:.2} s after the order, and {in_force}")
        }
        None => format!("it was recorded {published:.2} s after the order"),
    };
    let accepted: Vec<_> = event.accepted_for_s().map(in_variant).collect();
    let text = format!(
        "{instances} instance{plural} of {} revoked at {began:.2} s: {done}. The last operation for which a revoked certificate was accepted \
         ended {}.",
        event.nf,
        accepted.join("; ")
    );
    Some(Finding {
        tone: Tone::Even,
        text,
    })
}

fn in_variant((variant, accepted): (&RevokedInVariant, f64)) -> String {
    let RevokedInVariant {
        name,
        revocation,
        refused,
        ..
    } = variant;
    let way = if variant.is_looked_at() {
        revocation
    } else {
        "nobody looks"
    };
    match refused {
        0 => format!("in {name} ({way}) with the load"),
        refused => format!(
            "in {name} ({way}) {accepted:.2} s after the order, and {refused} later ones were refused"
        ),
    }
}
