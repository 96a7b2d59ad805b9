//! What the figures say, in sentences that are computed and never hoped for: a loss is stated as plainly as a gain.

use mtc_tls::key::KeyAlgorithm;
use mtc_tls::kind::CertificateKind;
use serde::Serialize;

use crate::results::{Results, VariantResult};

mod caveats;
mod headline;
mod mixed;
mod revocation;
mod rivals;
mod status;
mod steps;
mod tokens;

pub(super) use caveats::caveats;
pub(super) use headline::headline;
pub(super) use mixed::reasons;

/// One thing the figures say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// For whom it speaks.
    pub(super) tone: Tone,
    /// A sentence or two.
    pub(super) text: String,
}

/// Whether a finding speaks for Merkle Tree Certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "&str")]
pub(super) enum Tone {
    /// For them.
    Gain,
    /// Against them.
    Loss,
    /// Neither.
    Even,
}

impl Tone {
    /// A word for it, so that no report has to rely on colour.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gain => "gain",
            Self::Loss => "loss",
            Self::Even => "note",
        }
    }
}

impl From<Tone> for &str {
    fn from(tone: Tone) -> Self {
        tone.as_str()
    }
}

/// What the figures say: what another key exchange costs, how Merkle Tree Certificates compare with their rivals, what post-quantum
/// keys cost, what access tokens do, how long a revoked network function was still accepted, and what it takes to know what was revoked.
pub(super) fn findings(results: &Results) -> Vec<Finding> {
    let mtc = results
        .variants
        .iter()
        .filter(|variant| goes_as_the_first(results, variant))
        .filter(|variant| variant.auth != CertificateKind::DirectlySigned);
    let mut findings = steps::key_exchange(results);
    findings.extend(mtc.flat_map(|variant| rivals::against(results, variant)));
    findings.extend(steps::post_quantum_keys(results));
    findings.extend(tokens::access_tokens(results));
    findings.extend(tokens::assertions(results));
    findings.extend(revocation::revocations(results));
    findings.extend(status::revocation(results));
    findings.extend(mixed::served(results));
    findings
}

/// Whether a variant's requests take the way that those of the first variant take. What a handshake costs says nothing of the way, so
/// that variants of other ways would only repeat what these say.
fn goes_as_the_first(results: &Results, variant: &VariantResult) -> bool {
    let first = results.variants.first();
    first.is_none_or(|first| first.options.via == variant.options.via)
}

/// Whether the network functions' own keys are of a post-quantum algorithm.
fn has_post_quantum_keys(variant: &VariantResult) -> bool {
    use KeyAlgorithm::{MlDsa44, MlDsa65, MlDsa87};
    [MlDsa44, MlDsa65, MlDsa87]
        .iter()
        .any(|algorithm| algorithm.as_str() == variant.leaf_key)
}

/// A share as percent, with a digit more where it is small.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 2.0 {
        format!("{percent:.1}")
    } else {
        format!("{percent:.0}")
    }
}

#[cfg(test)]
mod tests;
