//! How long a revoked network function was still accepted.

use super::{Finding, Tone};
use crate::results::{EventRecord, Results};

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
        _ => "it was not in force everywhere when the load ended".to_owned(),
    };
    let accepted = event.accepted_for_s()?;
    let text = format!(
        "{instances} instance{plural} of {} revoked at {began:.2} s: list {} was published {:.2} s after the order, and {in_force}. The last \
         operation for which a revoked certificate was accepted ended {accepted:.2} s after the order; {} later ones were refused.",
        event.nf,
        revocation.number,
        revocation.published_s - began,
        revocation.refused
    );
    Some(Finding {
        tone: Tone::Even,
        text,
    })
}
