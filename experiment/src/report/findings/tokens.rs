//! What access tokens cost beside the handshakes, where the variants differ in them.

use super::{Finding, Tone};
use crate::report::numbers::{time, whole};
use crate::results::{Results, VariantResult};

/// A sentence for each variant with tokens of a run whose variants differ in what signs them.
pub(super) fn access_tokens(results: &Results) -> Vec<Finding> {
    let differ = results
        .variants
        .iter()
        .any(|variant| variant.options.token.is_some());
    if !differ {
        return Vec::new();
    }
    results.variants.iter().filter_map(of_variant).collect()
}

fn of_variant(variant: &VariantResult) -> Option<Finding> {
    let tokens = variant.tokens.as_ref()?;
    let share = variant.arrivals.handshakes_per_operation?;
    let handshakes = variant.bytes().map(|bytes| bytes * share);
    let signed = variant.options.token.as_deref().unwrap_or("es256");
    let text = format!(
        "{}: an access token signed with {signed} has {} bytes, and those of an operation have {} before HPACK, beside {} of its \
         handshakes; each was verified once, in {} µs of CPU ({} µs spread over the operations), for {} requests.",
        variant.name,
        whole(tokens.bytes),
        whole(tokens.bytes_per_operation),
        whole(handshakes),
        time(tokens.verify_us),
        time(tokens.verify_us_per_operation),
        tokens.requests
    );
    Some(Finding {
        tone: Tone::Even,
        text,
    })
}
