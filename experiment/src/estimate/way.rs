//! A way of authenticating both ends of a connection, as a scenario asks for it and as a run has measured it.

use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::{Tickets, Tokens, TrustDomain, Via};
use mtc_tls::provider::KeyExchange;

use crate::results::{LandmarkState, VariantResult};
use crate::scenario::Variant;

/// What the sizes and times of a full handshake follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Whom both ends trust.
    pub(super) domain: TrustDomain,
    /// The keys of both ends, which sign CertificateVerify.
    pub(super) leaf_key: KeyAlgorithm,
    /// The group.
    pub(super) key_exchange: KeyExchange,
    /// Names in ClientHello that are wishes of this project and no trust anchors (docs/method.md, "Variants").
    pub(super) wishes: u8,
}

impl Way {
    /// That of a scenario's variant; none where sessions are resumed, something is sent that nobody knows, or the estate is mixed, which the
    /// model leaves out.
    pub(super) fn of(variant: &Variant) -> Option<Self> {
        let is_plain =
            variant.tickets == Tickets::None && !variant.grease && variant.upgraded.is_none();
        is_plain.then_some(Self {
            domain: variant.authentication,
            leaf_key: variant.leaf_key,
            key_exchange: variant.key_exchange,
            wishes: u8::from(variant.tokens != Tokens::Es256)
                + u8::from(variant.via != Via::Direct),
        })
    }

    /// That of a measured variant, with the same exceptions; none, too, of algorithms that this version does not know.
    pub(super) fn of_result(variant: &VariantResult) -> Option<Self> {
        let options = &variant.options;
        if options.tickets.is_some() || options.grease || options.upgraded.is_some() {
            return None;
        }
        let domain = match variant.auth {
            CertificateKind::DirectlySigned => TrustDomain::X509(X509Profile {
                ca_signature: variant.ca_signature.as_ref()?.parse().ok()?,
                intermediates: intermediates(variant.chain?)?,
                revocation: X509Revocation::None,
            }),
            CertificateKind::Standalone if options.cosigners == ["ca"] => {
                TrustDomain::MtcStandaloneCa
            }
            CertificateKind::Standalone => TrustDomain::MtcStandalone,
            CertificateKind::LandmarkRelative
                if options.landmarks == Some(LandmarkState::Stale) =>
            {
                TrustDomain::MtcLandmarkStale
            }
            CertificateKind::LandmarkRelative => TrustDomain::MtcLandmark,
        };
        Some(Self {
            domain,
            leaf_key: variant.leaf_key.parse().ok()?,
            key_exchange: variant.key_exchange,
            wishes: u8::from(options.token.is_some()) + u8::from(options.via.is_some()),
        })
    }

    /// Whether the key exchange holds ML-KEM-768.
    pub(super) const fn is_hybrid(self) -> bool {
        match self.key_exchange {
            KeyExchange::X25519MlKem768 | KeyExchange::SecP256r1MlKem768 => true,
            KeyExchange::X25519 | KeyExchange::SecP256r1 => false,
        }
    }
}

fn intermediates(count: u8) -> Option<Intermediates> {
    Intermediates::ALL
        .into_iter()
        .find(|of| of.count() == count)
}
