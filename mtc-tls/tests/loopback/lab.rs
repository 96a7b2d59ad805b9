//! The lab in which two NFs meet: an SMF that serves and an AMF that calls, certified in every way.
//!
//! ```text
//! log:  others │ AMF's keys │ SMF's keys │ others
//! landmark:    1                         2       3        both NFs have certificates of landmark 2
//! ```

use mtc_core::id::LandmarkNumber;
use mtc_core::time::UnixTime;
use mtc_core::verify::CaTrust;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{
    Credential, CredentialSet, LandmarkCredential, MtcCredential, MtcTrust, Store, X509Credential,
    X509Trust,
};
use mtc_tls::endpoint::Endpoint;
use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use mtc_tls::profile::{ConnectionProfile, Tickets, Tokens, TrustDomain, Via};
use mtc_tls::provider::KeyExchange;

use crate::baseline::Baseline;
use crate::mtca::Mtca;
use crate::nf::{LEAF_KEYS, Nf, Validity};

/// The landmark of the NFs' certificates.
pub(crate) const OWN_LANDMARK: LandmarkNumber = LandmarkNumber(2);
/// The newest landmark that there is.
pub(crate) const NEWEST_LANDMARK: LandmarkNumber = LandmarkNumber(3);

/// The baseline without an intermediate.
pub(crate) const DIRECT: X509Profile = X509Profile {
    ca_signature: KeyAlgorithm::EcdsaP256,
    intermediates: Intermediates::None,
    revocation: X509Revocation::None,
};
/// The baseline with one.
pub(crate) const INTERMEDIATE: X509Profile = X509Profile {
    ca_signature: KeyAlgorithm::MlDsa65,
    intermediates: Intermediates::One,
    revocation: X509Revocation::None,
};

/// The connection profile of most tests in a trust domain.
pub(crate) const fn profile(domain: TrustDomain) -> ConnectionProfile {
    ConnectionProfile {
        domain,
        leaf_key: KeyAlgorithm::EcdsaP256,
        key_exchange: KeyExchange::X25519MlKem768,
        tickets: Tickets::None,
        tokens: Tokens::Es256,
        via: Via::Direct,
        grease: false,
    }
}

/// An endpoint that has this set and the system's clock.
pub(crate) fn endpoint(set: CredentialSet) -> Endpoint {
    skewed(set, 0)
}

/// An endpoint whose clock is ahead of the system's.
pub(crate) fn skewed(set: CredentialSet, offset_seconds: i64) -> Endpoint {
    Endpoint::new(Store::new(set).receiver(), Clock { offset_seconds })
}

pub(crate) struct Lab {
    pub(crate) mtca: Mtca,
    /// The algorithms of the NFs' keys.
    keys: Vec<KeyAlgorithm>,
    pub(crate) baselines: Vec<Baseline>,
    pub(crate) amf: Nf,
    pub(crate) smf: Nf,
    pub(crate) validity: Validity,
}

impl Lab {
    /// A lab in which everything is valid from an hour ago until in an hour.
    pub(crate) fn new() -> Self {
        Self::of_ca("32473.1")
    }

    /// A lab whose MTCA has this ID.
    pub(crate) fn of_ca(id: &str) -> Self {
        Self::with(id, &LEAF_KEYS, &[DIRECT, INTERMEDIATE])
    }

    /// A lab whose NFs have keys of these algorithms, certified by the MTCA and by these baselines.
    pub(crate) fn with(id: &str, keys: &[KeyAlgorithm], profiles: &[X509Profile]) -> Self {
        let now = Clock::default().unix_seconds();
        let validity = Validity {
            not_before: UnixTime(now - 3600),
            not_after: UnixTime(now + 3600),
        };
        let [udm, amf, smf, ausf] =
            ["UDM", "AMF", "SMF", "AUSF"].map(|nf_type| Nf::with_keys(nf_type, keys));
        let mut mtca = Mtca::new(id);
        for of_landmark in [&[&udm][..], &[&amf, &smf], &[&ausf]] {
            for nf in of_landmark {
                for key in keys {
                    mtca.log(&nf.leaf(*key, validity));
                }
                mtca.sequence();
            }
            mtca.landmark();
        }
        let baselines = profiles
            .iter()
            .map(|profile| Baseline::new(*profile, validity))
            .collect();
        Self {
            keys: keys.to_vec(),
            mtca,
            baselines,
            amf,
            smf,
            validity,
        }
    }

    /// An endpoint of the SMF with every credential, trusting landmarks up to `newest`.
    pub(crate) fn smf_endpoint(&self, newest: Option<LandmarkNumber>) -> Endpoint {
        endpoint(self.set(&self.smf, newest))
    }

    /// An endpoint of the AMF with every credential, trusting landmarks up to `newest`.
    pub(crate) fn amf_endpoint(&self, newest: Option<LandmarkNumber>) -> Endpoint {
        endpoint(self.set(&self.amf, newest))
    }

    /// Every credential of an NF, and trust in every root, in the MTCA and in its landmarks up to `newest`.
    pub(crate) fn set(&self, nf: &Nf, newest: Option<LandmarkNumber>) -> CredentialSet {
        let pairs = self
            .baselines
            .iter()
            .flat_map(|baseline| self.keys.iter().map(move |key| (baseline, *key)));
        CredentialSet {
            mtc: self
                .keys
                .iter()
                .map(|key| self.mtc_credential(nf, *key))
                .collect(),
            x509: pairs
                .map(|(baseline, key)| self.x509_credential(nf, baseline, key))
                .collect(),
            ..self.bare_set(self.mtca.trust(), newest)
        }
    }

    /// No credential, but trust in every root, in an MTCA and in this lab's landmarks up to `newest`.
    pub(crate) fn bare_set(&self, mtca: CaTrust, newest: Option<LandmarkNumber>) -> CredentialSet {
        let cosigners = MtcTrust::new(mtca);
        let trust = match newest {
            None => cosigners,
            Some(newest) => cosigners
                .with_landmarks(
                    self.mtca.log_id(),
                    newest,
                    self.mtca.trusted_subtrees(newest),
                )
                .expect("a short ID"),
        };
        let roots = self
            .baselines
            .iter()
            .map(|baseline| X509Trust::new(baseline.profile, &baseline.root));
        CredentialSet::new(trust, roots.collect::<Result<_, _>>().expect("roots"))
    }

    /// The set of an NF whose only credential is this one, trusting everything of this lab.
    pub(crate) fn set_with(&self, credential: MtcCredential) -> CredentialSet {
        CredentialSet {
            mtc: vec![credential],
            ..self.bare_set(self.mtca.trust(), Some(NEWEST_LANDMARK))
        }
    }

    /// A credential with this standalone certificate alone, for an NF's key of [`profile`].
    pub(crate) fn standalone_only(&self, nf: &Nf, certificate: Vec<u8>) -> MtcCredential {
        let standalone = self.credential(nf, KeyAlgorithm::EcdsaP256, vec![certificate]);
        MtcCredential::new(standalone, None)
    }

    /// The index of the entry for an NF's key.
    pub(crate) fn index_of(&self, nf: &Nf, key: KeyAlgorithm) -> u64 {
        self.mtca.index_of(nf.key(key).spki_der())
    }

    pub(crate) fn mtc_credential(&self, nf: &Nf, key: KeyAlgorithm) -> MtcCredential {
        let index = self.index_of(nf, key);
        let (landmark, relative) = self.mtca.landmark_relative(index);
        let standalone = self.credential(nf, key, vec![self.mtca.standalone(index)]);
        let landmark = self.landmark_credential(nf, key, landmark, relative);
        MtcCredential::new(standalone, Some(landmark))
    }

    /// What an NF presents to whoever knows `landmark`.
    pub(crate) fn landmark_credential(
        &self,
        nf: &Nf,
        key: KeyAlgorithm,
        landmark: LandmarkNumber,
        certificate: Vec<u8>,
    ) -> LandmarkCredential {
        LandmarkCredential {
            log_number: self.mtca.log_id().number(),
            landmark,
            credential: self.credential(nf, key, vec![certificate]),
        }
    }

    pub(crate) fn x509_credential(
        &self,
        nf: &Nf,
        baseline: &Baseline,
        key: KeyAlgorithm,
    ) -> X509Credential {
        let chain = baseline.chain(&nf.leaf(key, self.validity));
        X509Credential {
            profile: baseline.profile,
            credential: self.credential(nf, key, chain),
        }
    }

    pub(crate) fn credential(&self, nf: &Nf, key: KeyAlgorithm, chain: Vec<Vec<u8>>) -> Credential {
        Credential::new(chain, nf.key(key), self.validity.not_after)
            .expect("a certificate of the key")
    }
}
