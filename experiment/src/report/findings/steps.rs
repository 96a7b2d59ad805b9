//! What each step of a migration costs: another key exchange, and then keys that no quantum computer forges signatures of.

use super::{Finding, Tone, goes_as_the_first, has_post_quantum_keys, percent};
use crate::report::messages::Messages;
use crate::report::numbers::{ratio, whole};
use crate::results::{Metric, Results, VariantResult};

/// What another key exchange alone costs a variant, against the first one.
pub(super) fn key_exchange(results: &Results) -> Vec<Finding> {
    let Some((first, others)) = results.variants.split_first() else {
        return Vec::new();
    };
    let differ_in_it = others
        .iter()
        .filter(|of| differs_in_key_exchange_alone(of, first));
    differ_in_it
        .filter_map(|variant| another_key_exchange(results, variant, first))
        .collect()
}

fn differs_in_key_exchange_alone(of: &VariantResult, from: &VariantResult) -> bool {
    of.key_exchange != from.key_exchange
        && of.auth == from.auth
        && of.options == from.options
        && of.chain == from.chain
        && of.ca_signature == from.ca_signature
        && of.leaf_key == from.leaf_key
}

fn another_key_exchange(
    results: &Results,
    variant: &VariantResult,
    first: &VariantResult,
) -> Option<Finding> {
    let change = |ratio: f64| {
        let direction = if ratio < 1.0 { "less" } else { "more" };
        format!("{} % {direction}", percent((ratio - 1.0).abs()))
    };
    let of_bytes = ratio(variant.bytes(), first.bytes())?;
    let of_cpu = ratio(variant.cpu_us(), first.cpu_us())?;
    let ratios = results.costs_between(variant, first);
    let cpu_differs = ratios
        .iter()
        .any(|of| of.metric == Metric::Cpu && of.differs());
    let cpu = if cpu_differs {
        format!(
            ", and takes {} µs of CPU, {} than {}",
            whole(variant.cpu_us()),
            change(of_cpu),
            whole(first.cpu_us())
        )
    } else {
        format!(
            "; in CPU time, {} and {} µs, there is no difference within the spread of this run",
            whole(variant.cpu_us()),
            whole(first.cpu_us())
        )
    };
    let text = format!(
        "{} differs from {} in its key exchange alone: a handshake with {} instead of {} sends {} bytes, {} than {}{cpu}.",
        variant.name,
        first.name,
        variant.key_exchange,
        first.key_exchange,
        whole(variant.bytes()),
        change(of_bytes),
        whole(first.bytes())
    );
    Some(Finding {
        tone: Tone::Even,
        text,
    })
}

/// Against a first variant with classical keys: what the smallest variant of each post-quantum algorithm sends, message by message.
pub(super) fn post_quantum_keys(results: &Results) -> Vec<Finding> {
    let variants = &results.variants;
    let Some(first) = variants.first().filter(|of| !has_post_quantum_keys(of)) else {
        return Vec::new();
    };
    let post_quantum = variants.iter().filter(|of| has_post_quantum_keys(of));
    let mut algorithms: Vec<&str> = post_quantum.map(|of| of.leaf_key.as_str()).collect();
    let mut seen = Vec::new();
    algorithms.retain(|algorithm| {
        let is_new = !seen.contains(algorithm);
        seen.push(*algorithm);
        is_new
    });
    algorithms
        .into_iter()
        .filter_map(|algorithm| smallest_with(results, algorithm, first))
        .collect()
}

fn smallest_with(results: &Results, algorithm: &str, first: &VariantResult) -> Option<Finding> {
    let has_key = results
        .variants
        .iter()
        .filter(|of| of.leaf_key == algorithm && goes_as_the_first(results, of));
    let measured: Vec<(&VariantResult, f64)> = has_key
        .filter_map(|variant| Some((variant, variant.bytes()?)))
        .collect();
    let (least, bytes) = measured.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let among = match measured.len() {
        1 => format!("with {algorithm} keys,"),
        count => format!("the smallest of {count} with {algorithm} keys,"),
    };
    let multiple =
        |of: &VariantResult| Some(format!("{:.2} times", ratio(Some(*bytes), of.bytes())?));
    let of_first = multiple(first)?;
    let step = results.variants.iter().find(|of| {
        of.key_exchange == least.key_exchange && differs_in_key_exchange_alone(of, first)
    });
    let of_step =
        step.and_then(|step| Some(format!(" and {} those of {}", multiple(step)?, step.name)));
    let parts = Messages::of(least).map(|messages| format!(": {}", messages.in_words()));
    let text = format!(
        "{}, {among} sends {} bytes per handshake with {}, {of_first} those of {} with {}{}{}.",
        least.name,
        whole(Some(*bytes)),
        least.key_exchange,
        first.name,
        first.key_exchange,
        of_step.unwrap_or_default(),
        parts.unwrap_or_default()
    );
    Some(Finding {
        tone: Tone::Even,
        text,
    })
}
