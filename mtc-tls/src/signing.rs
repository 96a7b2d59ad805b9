//! What an NF signs beside handshakes with the key of its certificate, so that others know it without a connection to it.
//!
//! ```text
//!  CredentialSet ── Signing::of ──> chain and signature ── travels ──> Endpoint::judge ──> who it is, and its key
//! ```
//!
//! Nobody says here what he trusts, as in a handshake: a landmark-relative certificate is a guess that the reader knows its landmark, and
//! whoever sends it must be ready to send the standalone one instead.

use mtc_core::cosign::{self, KeyError};

use crate::credentials::{Credential, CredentialSet};
use crate::key::KeyAlgorithm;
use crate::kind::CertificateKind;
use crate::profile::{ConnectionProfile, TrustDomain};
use crate::provider::signature_scheme;

/// A credential for signatures that travel.
#[derive(Clone, Debug)]
pub struct Signing {
    kind: CertificateKind,
    credential: Credential,
}

impl Signing {
    /// What `set` has for readers that trust the domain of `profile`; none if nothing. In the domain of landmarks it is the
    /// landmark-relative certificate, if there is one and the reader `knows_landmarks`.
    pub fn of(
        set: &CredentialSet,
        profile: ConnectionProfile,
        knows_landmarks: bool,
    ) -> Option<Self> {
        if let TrustDomain::X509(wanted) = profile.domain {
            let own = set
                .x509
                .iter()
                .find(|own| own.profile == wanted && own.credential.leaf_key == profile.leaf_key)?;
            return Some(Self {
                kind: CertificateKind::DirectlySigned,
                credential: own.credential.clone(),
            });
        }
        let own = set
            .mtc
            .iter()
            .find(|own| own.standalone.leaf_key == profile.leaf_key)?;
        let takes_landmark = knows_landmarks && profile.domain == TrustDomain::MtcLandmark;
        let landmark = own.landmark.as_ref().filter(|_| takes_landmark);
        let (kind, credential) = match (landmark, profile.domain) {
            (Some(landmark), _) => (CertificateKind::LandmarkRelative, &landmark.credential),
            (None, TrustDomain::MtcStandaloneCa) => (CertificateKind::Standalone, own.ca_alone()),
            (None, _) => (CertificateKind::Standalone, &own.standalone),
        };
        Some(Self {
            kind,
            credential: credential.clone(),
        })
    }

    /// The credential for an answer to the holder of a certificate of `domain` with a key of `algorithm`, who can verify signatures of his
    /// own algorithm and may know no other: of both if `set` has it, otherwise of the algorithm, otherwise of the domain. It knows no landmark.
    pub fn answering(
        set: &CredentialSet,
        domain: TrustDomain,
        algorithm: KeyAlgorithm,
    ) -> Option<Self> {
        let wanted = match domain {
            TrustDomain::X509(profile) => Some(profile),
            _ => None,
        };
        let mtc = set.mtc.iter();
        let mtc = mtc.map(|own| (None, CertificateKind::Standalone, &own.standalone));
        let x509 = set.x509.iter().map(|own| {
            let kind = CertificateKind::DirectlySigned;
            (Some(own.profile), kind, &own.credential)
        });
        let fits = |profile, credential: &Credential| {
            (credential.leaf_key == algorithm, profile == wanted)
        };
        mtc.chain(x509)
            .filter(|(profile, _, credential)| fits(*profile, credential) != (false, false))
            // The first of the best.
            .min_by_key(|(profile, _, credential)| std::cmp::Reverse(fits(*profile, credential)))
            .map(|(_, kind, credential)| Self {
                kind,
                credential: credential.clone(),
            })
    }

    /// How its certificate is authenticated.
    pub const fn kind(&self) -> CertificateKind {
        self.kind
    }

    /// The algorithm of its key.
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.credential.leaf_key
    }

    /// Last second of its certificate, Unix time.
    pub const fn not_after(&self) -> mtc_core::time::UnixTime {
        self.credential.not_after
    }

    /// DER of its certificates, the leaf first and without the root.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        let chain = &self.credential.certified().cert;
        chain.iter().map(AsRef::as_ref)
    }
}

impl cosign::Signer for Signing {
    /// By rustls' key, as in a handshake: ECDSA signatures are DER, the others raw.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let algorithm = self.algorithm();
        let failed = KeyError::Signing(algorithm);
        let key = &self.credential.certified().key;
        let signer = key.choose_scheme(&[signature_scheme(algorithm)]);
        let signer = signer.ok_or_else(|| failed.clone())?;
        signer.sign(message).map_err(|_| failed)
    }
}
