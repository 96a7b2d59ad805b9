//! What was served in a mixed estate, and what was worse than both ends could have had.

use mtc_tls::kind::CertificateKind;

use super::{Finding, Tone, percent};
use crate::report::numbers::count;
use crate::results::{Results, VariantResult};

/// A sentence for each variant of a mixed estate.
pub(super) fn served(results: &Results) -> Vec<Finding> {
    let variants = results.variants.iter();
    variants.filter_map(of_variant).collect()
}

fn of_variant(variant: &VariantResult) -> Option<Finding> {
    let share = variant.options.upgraded?;
    let kinds = variant.shown();
    let all: u64 = CertificateKind::ALL.map(|kind| kinds.of(kind)).iter().sum();
    let of = |kind| percent(kinds.of(kind) as f64 / all.max(1) as f64);
    let worse: u64 = variant.downgrades.values().sum();
    let text = format!(
        "{}, with {} % of AMFs and SMFs upgraded: of {} certificates {} % were landmark-relative, {} % standalone and {} % X.509. {}",
        variant.name,
        percent(share),
        count(all),
        of(CertificateKind::LandmarkRelative),
        of(CertificateKind::Standalone),
        of(CertificateKind::DirectlySigned),
        match worse {
            0 => "None was worse than both ends could have had.".to_owned(),
            worse => format!(
                "{} were worse than one end could have had: {}.",
                count(worse),
                reasons(variant)
            ),
        }
    );
    Some(Finding {
        tone: Tone::Even,
        text,
    })
}

/// Why certificates were worse, and how many.
pub(in crate::report) fn reasons(variant: &VariantResult) -> String {
    let reasons = variant.downgrades.iter();
    let reasons = reasons.map(|(reason, times)| format!("{} {reason}", count(*times)));
    reasons.collect::<Vec<_>>().join(", ")
}
