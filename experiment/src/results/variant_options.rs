//! What a variant is made of beyond kind, keys and group, and what must therefore be served.

use mtc_tls::key::{X509Profile, X509Revocation};
use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::{Tickets, Tokens, TrustDomain, Via};
use serde::{Deserialize, Serialize};

use crate::scenario::{Upgraded, Variant};

/// Whether relying parties know the landmarks of their peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LandmarkState {
    /// They follow the log.
    Fresh,
    /// They know none that covers a certificate.
    Stale,
}

/// Parts of a variant; results of older versions have none of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VariantOptions {
    /// Whose cosignatures standalone certificates carry; empty for X.509.
    pub cosigners: Vec<String>,
    /// What relying parties know of landmarks; only of `mtc-landmark`.
    pub landmarks: Option<LandmarkState>,
    /// How sessions are resumed, if at all: `stateful` or `stateless`.
    pub tickets: Option<String>,
    /// What signs the access tokens, where it is not ES256: `ml-dsa-44`, `ml-dsa-65`, or `none` for a variant without tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whether both ends sent trust anchors and cosignatures that nobody knows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grease: bool,
    /// How peers learn that an X.509 certificate was revoked, if they do: `crl` or `ocsp-stapled`. Those of the mtc kinds look at the revoked
    /// ranges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<String>,
    /// How requests reach their producers, if not directly: `scp-c` or `scp-d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Of a mixed estate, which share of its AMFs and SMFs has Merkle Tree Certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgraded: Option<f64>,
}

impl VariantOptions {
    pub(super) fn of(variant: &Variant) -> Self {
        let (cosigners, landmarks): (&[&str], _) = match variant.authentication {
            TrustDomain::X509(_) => (&[], None),
            TrustDomain::MtcStandalone => (&["ca", "witness"], None),
            TrustDomain::MtcStandaloneCa => (&["ca"], None),
            TrustDomain::MtcLandmark | TrustDomain::MtcLandmarkOr(_) => {
                (&["ca", "witness"], Some(LandmarkState::Fresh))
            }
            TrustDomain::MtcLandmarkStale => (&["ca", "witness"], Some(LandmarkState::Stale)),
        };
        Self {
            cosigners: cosigners.iter().map(|&name| name.to_owned()).collect(),
            landmarks,
            tickets: (variant.tickets != Tickets::None).then(|| variant.tickets.to_string()),
            token: (variant.tokens != Tokens::default()).then(|| variant.tokens.to_string()),
            grease: variant.grease,
            revocation: match variant.authentication {
                TrustDomain::X509(X509Profile {
                    revocation: way @ (X509Revocation::Crl | X509Revocation::OcspStapled),
                    ..
                }) => Some(way.as_str().to_owned()),
                _ => None,
            },
            via: (variant.via != Via::Direct).then(|| variant.via.to_string()),
            upgraded: variant.upgraded.map(Upgraded::share),
        }
    }

    /// The kind of certificate that must be served in a variant that asks for `auth`: with stale landmarks, the fallback; where nobody is
    /// upgraded, X.509.
    pub(super) fn expected_kind(&self, auth: CertificateKind) -> CertificateKind {
        match self.landmarks {
            _ if self.upgraded == Some(0.0) => CertificateKind::DirectlySigned,
            Some(LandmarkState::Stale) => CertificateKind::Standalone,
            Some(LandmarkState::Fresh) | None => auth,
        }
    }

    /// Whether some of its network functions are upgraded and some are not, so that two kinds of certificate are as they should be.
    pub fn is_mixed(&self) -> bool {
        self.upgraded
            .is_some_and(|share| share > 0.0 && share < 1.0)
    }
}
