//! What access tokens cost beside the handshakes, where the variants differ in them, and what assertions through an SCP do.

use super::{Finding, Tone, goes_as_the_first};
use crate::report::numbers::{time, whole};
use crate::results::{Results, VariantResult};

/// A sentence for each variant whose requests went through an SCP with assertions.
pub(super) fn assertions(results: &Results) -> Vec<Finding> {
    let asserted = |variant: &VariantResult| {
        let assertions = variant.tokens.as_ref()?.assertions.as_ref()?;
        let verified = assertions.verify_us.map_or_else(String::new, |_| {
            format!(
                "; {} verifications took {} µs of CPU each",
                assertions.verified,
                time(assertions.verify_us)
            )
        });
        let text = format!(
            "{}: a client credentials assertion through the SCP has {} bytes, and those of an operation have {} before HPACK on either \
             leg{verified}.",
            variant.name,
            whole(assertions.bytes),
            whole(assertions.bytes_per_operation)
        );
        Some(Finding {
            tone: Tone::Even,
            text,
        })
    };
    results.variants.iter().filter_map(asserted).collect()
}

/// A sentence for each variant with tokens of a run whose variants differ in what signs them.
pub(super) fn access_tokens(results: &Results) -> Vec<Finding> {
    let differ = results
        .variants
        .iter()
        .any(|variant| variant.options.token.is_some());
    if !differ {
        return Vec::new();
    }
    let variants = results.variants.iter();
    let variants = variants.filter(|of| goes_as_the_first(results, of));
    variants.filter_map(of_variant).collect()
}

fn of_variant(variant: &VariantResult) -> Option<Finding> {
    let tokens = variant.tokens.as_ref()?;
    let share = variant.arrivals.handshakes_per_operation?;
    let handshakes = variant.bytes().map(|bytes| bytes * share);
    let signed = variant.options.token.as_deref().unwrap_or("es256");
    // All may have been verified before the measured part.
    let verified = tokens.verify_us.map_or_else(String::new, |_| {
        format!(
            "; {} verifications of {} µs of CPU each were {} µs spread over the operations",
            tokens.verified,
            time(tokens.verify_us),
            time(tokens.verify_us_per_operation)
        )
    });
    let text = format!(
        "{}: an access token signed with {signed} has {} bytes, and those of an operation have {} before HPACK, beside {} of its \
         handshakes{verified}.",
        variant.name,
        whole(tokens.bytes),
        whole(tokens.bytes_per_operation),
        whole(handshakes)
    );
    Some(Finding {
        tone: Tone::Even,
        text,
    })
}
