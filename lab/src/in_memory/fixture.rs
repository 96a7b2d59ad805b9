//! An AMF and an SMF that can authenticate each other in one way.

use mtc_bench::verification::{Case, NOT_AFTER, NOT_BEFORE};
use mtc_core::cosign::{KeyError, PublicKey};
use mtc_core::id::{IdError, LandmarkNumber, LogId, LogNumber, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{
    Credential, CredentialError, CredentialSet, LandmarkCredential, MtcCredential, MtcTrust, Store,
    X509Credential, X509Trust,
};
use mtc_tls::endpoint::Endpoint;
use mtc_tls::identity::{NfSubject, SubjectError};
use mtc_tls::key::{KeyAlgorithm, NfKey, NfKeyError, X509Profile};
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::{ConnectionProfile, Tickets, Tokens, TrustDomain, Via};
use mtc_tls::provider::KeyExchange;
use nf_nrf::baseline::{BaselineCa, BaselineError};
use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use super::Variant;
use crate::pki::{COUNTRY, HOME_DOMAIN, LabPki, PkiError, PkiPlan, fqdn};
use mtc_core::x509::{Certificate, X509Error};

/// Hashes in an inclusion proof: a landmark of about a thousand certificates.
const PROOF_HASHES: u32 = 10;
/// The only landmark after the empty one.
const LANDMARK: LandmarkNumber = LandmarkNumber(1);
/// Hours from the beginning of the certificates' validity to the clock of both ends.
const AGE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
const LIFETIME: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);
const CA_ID: &str = "32473.1";
const WITNESS_ID: &str = "32473.2";

/// Why there is nothing to measure.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FixtureError {
    /// A trust anchor ID.
    #[error("identifier")]
    Id(#[from] IdError),
    /// The folder of the X.509 CAs.
    #[error("temporary folder")]
    Folder(#[from] std::io::Error),
    /// An X.509 CA.
    #[error("X.509 CA")]
    Pki(#[from] PkiError),
    /// A certificate of an X.509 CA.
    #[error("X.509 certificate")]
    Baseline(#[from] BaselineError),
    /// A Merkle Tree Certificate.
    #[error("Merkle Tree Certificate")]
    Mtc(#[from] mtc_bench::verification::FixtureError),
    /// The subject of a certificate.
    #[error("subject of a certificate")]
    Subject(#[from] SubjectError),
    /// A private key.
    #[error("private key")]
    Key(#[from] NfKeyError),
    /// A public key that is read back.
    #[error("public key")]
    PublicKey(#[from] KeyError),
    /// A certificate that is read back.
    #[error("certificate")]
    Certificate(#[from] X509Error),
    /// Credentials of certificates and keys.
    #[error("credential")]
    Credential(#[from] CredentialError),
}

/// Two endpoints, and what the client wants of a connection.
pub struct Fixture {
    /// The AMF's.
    pub client: Endpoint,
    /// The SMF's.
    pub server: Endpoint,
    /// What the connection is to be.
    pub profile: ConnectionProfile,
    /// The SMF, as the AMF has discovered it.
    pub expected: ExpectedPeer,
    /// Of the SMF's certificate.
    pub sizes: Sizes,
}

/// Bytes of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// The bare public key in it.
    pub public_key: u64,
    /// Its signature value: a signature, or the proof that stands there in a Merkle Tree Certificate.
    pub signature: u64,
    /// All certificates that are sent with it, and itself.
    pub chain: u64,
}

impl Fixture {
    /// An AMF and an SMF for this variant.
    ///
    /// # Errors
    /// See [`FixtureError`].
    pub fn new(variant: &Variant) -> Result<Self, FixtureError> {
        let amf = Nf::new("AMF", variant.leaf_key)?;
        let smf = Nf::new("SMF", variant.leaf_key)?;
        let clock = clock();
        let (amf_set, smf_set, chain) = match variant.domain {
            TrustDomain::X509(profile) => x509_sets(profile, &amf, &smf)?,
            _ => mtc_sets(&amf, &smf, variant.domain)?,
        };
        Ok(Self {
            client: Endpoint::new(Store::new(amf_set).receiver(), clock),
            server: Endpoint::new(Store::new(smf_set).receiver(), clock),
            profile: ConnectionProfile {
                domain: variant.domain,
                leaf_key: variant.leaf_key,
                key_exchange: KeyExchange::X25519MlKem768,
                tickets: Tickets::None,
                tokens: Tokens::Es256,
                via: Via::Direct,
                grease: false,
            },
            expected: ExpectedPeer {
                fqdn: fqdn(smf.nf_type, 1),
                instance_id: Some(smf.subject.instance_id()),
                nf_type: Some(smf.nf_type.to_owned()),
            },
            sizes: Sizes::of(&chain)?,
        })
    }
}

impl Sizes {
    fn of(chain: &[Vec<u8>]) -> Result<Self, FixtureError> {
        let leaf = chain.first().map_or(&[][..], Vec::as_slice);
        let leaf = Certificate::parse(leaf)?;
        let key = PublicKey::from_spki(leaf.spki)?;
        Ok(Self {
            public_key: key.raw().len() as u64,
            signature: leaf.signature.len() as u64,
            chain: chain.iter().map(|der| der.len() as u64).sum(),
        })
    }
}

/// An NF with its key.
struct Nf {
    nf_type: &'static str,
    subject: NfSubject,
    key: NfKey,
}

impl Nf {
    fn new(nf_type: &'static str, leaf_key: KeyAlgorithm) -> Result<Self, FixtureError> {
        let (types, names) = ([nf_type.to_owned()], [fqdn(nf_type, 1)]);
        Ok(Self {
            nf_type,
            subject: NfSubject::new(COUNTRY, HOME_DOMAIN, Uuid::new_v4(), &types, &names)?,
            key: NfKey::generate(leaf_key)?,
        })
    }

    fn credential(&self, chain: Vec<Vec<u8>>) -> Result<Credential, CredentialError> {
        Credential::new(chain, &self.key, NOT_AFTER)
    }
}

const fn now() -> UnixTime {
    UnixTime(NOT_BEFORE.0 + AGE.as_secs())
}

/// A clock by which the certificates are valid, whenever that is.
fn clock() -> Clock {
    let ahead = |now: u64| now.cast_signed();
    let system = Clock::default().unix_seconds();
    Clock {
        offset_seconds: ahead(now().0).wrapping_sub(ahead(system)),
    }
}

type Sets = (CredentialSet, CredentialSet, Vec<Vec<u8>>);

/// Both certified by one CA, as the NRF certifies them; and the server's chain.
fn x509_sets(profile: X509Profile, amf: &Nf, smf: &Nf) -> Result<Sets, FixtureError> {
    let folder = tempfile::tempdir()?;
    let plan = PkiPlan {
        remember_subtrees: true,
        ca_id: CA_ID.parse()?,
        witnesses: vec![WITNESS_ID.parse()?],
        required_witnesses: 1,
        prefix_url: None,
        instances: Vec::new(),
        x509_profiles: vec![profile],
        ca_lifetime: LIFETIME,
        token_lifetime: LIFETIME,
    };
    LabPki::create(folder.path(), &plan, now())?;
    let ca = BaselineCa::load(
        &folder.path().join("x509").join(profile.to_string()),
        profile,
    )?;
    // A set always trusts an MTCA; nobody presents a certificate of this one.
    let mtca = Case::certifying(&smf.subject, smf.key.spki_der(), PROOF_HASHES)?;
    let set = |nf: &Nf| -> Result<_, FixtureError> {
        let chain = ca.issue(nf.key.spki_der(), &nf.subject, NOT_BEFORE, NOT_AFTER)?;
        let chain: Vec<Vec<u8>> = chain.iter().map(|der| der.to_vec()).collect();
        let trust = MtcTrust::new(mtca.cosigner_trust.clone());
        let roots = vec![X509Trust::new(profile, ca.root())?];
        let credential = X509Credential {
            profile,
            credential: nf.credential(chain.clone())?,
        };
        let set = CredentialSet {
            x509: vec![credential],
            ..CredentialSet::new(trust, roots)
        };
        Ok((set, chain))
    };
    let ((client, _), (server, chain)) = (set(amf)?, set(smf)?);
    Ok((client, server, chain))
}

/// Each certified in a log of its own that the other trusts; and the server's certificate.
fn mtc_sets(amf: &Nf, smf: &Nf, domain: TrustDomain) -> Result<Sets, FixtureError> {
    let case = |nf: &Nf| Case::certifying(&nf.subject, nf.key.spki_der(), PROOF_HASHES);
    let (of_amf, of_smf) = (case(amf)?, case(smf)?);
    let client = mtc_set(amf, &of_amf, &of_smf)?;
    let server = mtc_set(smf, &of_smf, &of_amf)?;
    let served = match domain {
        TrustDomain::MtcLandmark => of_smf.landmark,
        _ => of_smf.standalone,
    };
    Ok((client, server, vec![served]))
}

/// What an NF has and trusts: subtrees that it has verified are remembered, as in the lab.
fn mtc_set(nf: &Nf, own: &Case, peer: &Case) -> Result<CredentialSet, FixtureError> {
    let ca: TrustAnchorId = CA_ID.parse()?;
    let log = LogId::new(ca, LogNumber::FIRST)?;
    let trust = MtcTrust::new(peer.caching_trust.clone());
    let trust = trust.with_landmarks(&log, LANDMARK, peer.trusted.iter().copied())?;
    let landmark = LandmarkCredential {
        log_number: log.number(),
        landmark: LANDMARK,
        credential: nf.credential(vec![own.landmark.clone()])?,
    };
    let standalone = nf.credential(vec![own.standalone.clone()])?;
    Ok(CredentialSet {
        mtc: vec![MtcCredential::new(standalone, Some(landmark))],
        ..CredentialSet::new(trust, Vec::new())
    })
}
