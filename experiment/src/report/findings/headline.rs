//! The answer in one sentence.

use super::{goes_as_the_first, has_post_quantum_keys};
use crate::report::numbers::whole;
use crate::results::{Results, VariantResult};

/// A variant whose costs are known, each with what it is of the first variant's.
struct Measured<'a> {
    variant: &'a VariantResult,
    bytes: f64,
    cpu: f64,
}

impl<'a> Measured<'a> {
    /// None if a side of its handshakes was not measured.
    fn of(variant: &'a VariantResult) -> Option<Self> {
        Some(Self {
            variant,
            bytes: variant.bytes()?,
            cpu: variant.cpu_us()?,
        })
    }
}

/// The least bytes and the least CPU time, related to the first variant. Where the first has classical keys and others have post-quantum
/// ones, of those: that a classical variant costs less is no answer.
pub(in crate::report) fn headline(results: &Results) -> String {
    let Some((first, others)) = results.variants.split_first() else {
        return "Nothing was compared.".to_owned();
    };
    let others = others.iter().filter(|of| goes_as_the_first(results, of));
    let others: Vec<&VariantResult> = others.collect();
    let Some(base) = Measured::of(first) else {
        return format!(
            "No handshake of {} was measured on both sides, so there is nothing that the others could be related to.",
            first.name
        );
    };
    let opening = format!(
        "{} costs {} bytes and {} µs of CPU per handshake with {}, both sides together",
        first.name,
        whole(Some(base.bytes)),
        whole(Some(base.cpu)),
        first.key_exchange
    );
    let measured: Vec<Measured<'_>> = others.iter().copied().filter_map(Measured::of).collect();
    let (group, candidates) = candidates(first, others.len(), &measured);
    match (others.as_slice(), candidates.as_slice()) {
        ([], _) => format!("{opening}."),
        ([other], []) => format!(
            "{opening}. No handshake of {} was measured on both sides.",
            other.name
        ),
        (_, []) => {
            format!("{opening}. No handshake of the others was measured on both sides.")
        }
        // Among one there is no least.
        (_, [only]) => format!("{opening}. {group}{}", both_costs(only, &base)),
        (_, candidates) => format!("{opening}. {group}{}", least_costs(candidates, &base)),
    }
}

/// Of which variants the answer is, in words and as a list.
fn candidates<'a, 'b>(
    first: &VariantResult,
    others: usize,
    measured: &'a [Measured<'b>],
) -> (String, Vec<&'a Measured<'b>>) {
    let of_interest =
        |of: &&Measured<'_>| has_post_quantum_keys(of.variant) && !has_post_quantum_keys(first);
    let post_quantum: Vec<_> = measured.iter().filter(of_interest).collect();
    let is_part = !post_quantum.is_empty() && post_quantum.len() < others;
    let candidates = if post_quantum.is_empty() {
        measured.iter().collect()
    } else {
        post_quantum
    };
    let group = match candidates.len() {
        _ if others == 1 => String::new(),
        1 if measured.len() == 1 => "Of the others one was measured: ".to_owned(),
        1 => "Of the others one has post-quantum keys: ".to_owned(),
        _ if is_part && measured.len() == others => {
            "Of the others with post-quantum keys ".to_owned()
        }
        count if measured.len() < others => {
            format!("Of the {count} others that were measured ")
        }
        _ => "Of the others ".to_owned(),
    };
    (group, candidates)
}

/// The costs of the only one there is.
fn both_costs(of: &Measured<'_>, base: &Measured<'_>) -> String {
    format!(
        "{} sends {} bytes{} ({:.2} times as many) and uses {} µs of CPU time ({:.2} times as much).",
        of.variant.name,
        whole(Some(of.bytes)),
        with_another(of.variant, base.variant),
        of.bytes / base.bytes,
        whole(Some(of.cpu)),
        of.cpu / base.cpu
    )
}

/// Who costs the least, in bytes and in CPU time.
fn least_costs(candidates: &[&Measured<'_>], base: &Measured<'_>) -> String {
    let least = |cost: fn(&Measured<'_>) -> f64| {
        let costs = candidates.iter().copied();
        costs.min_by(|a, b| cost(a).total_cmp(&cost(b)))
    };
    let (Some(small), Some(quick)) = (least(|of| of.bytes), least(|of| of.cpu)) else {
        return String::new();
    };
    let subject = if quick.variant.name == small.variant.name {
        "it also"
    } else {
        &quick.variant.name
    };
    format!(
        "{} sends the fewest bytes, {}{} ({:.2} times as many), and {subject} uses the least CPU time, {} µs{} ({:.2} times as much).",
        small.variant.name,
        whole(Some(small.bytes)),
        with_another(small.variant, base.variant),
        small.bytes / base.bytes,
        whole(Some(quick.cpu)),
        with_another(quick.variant, small.variant),
        quick.cpu / base.cpu
    )
}

/// The key exchange of a variant, where it is not that of the variant named before.
fn with_another(of: &VariantResult, before: &VariantResult) -> String {
    if of.key_exchange == before.key_exchange {
        return String::new();
    }
    format!(" with {}", of.key_exchange)
}
