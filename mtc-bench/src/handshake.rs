//! Handshakes with and without a judgement of certificates: what the judgement is of the whole.
//!
//! ```text
//!  judged      Endpoint ──> verifier of the lab ──────────┐ the same certificates, keys, names and bytes on the wire,
//!  unjudged    AcceptsAnything ──> whoever it is, is right ┘ CertificateVerify verified in both; a handshake each in turns
//! ```
//!
//! Making an ML-DSA signature takes as many attempts as it takes, one for a quarter of them. A figure is therefore the time
//! of each side that one handshake in twenty stays below: those with the fewest attempts, which are the same work in both.

use std::sync::Arc;
use std::time::Duration;

use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::id::{IdError, LandmarkNumber, LogId, LogNumber, TrustAnchorId};
use mtc_tls::clock::Clock;
use mtc_tls::cpu::thread_time;
use mtc_tls::credentials::{
    Credential, CredentialError, CredentialSet, LandmarkCredential, MtcCredential, MtcTrust, Store,
};
use mtc_tls::endpoint::Endpoint;
use mtc_tls::handshake::HandshakeError;
use mtc_tls::identity::{NfSubject, SubjectError};
use mtc_tls::key::{KeyAlgorithm, NfKey, NfKeyError};
use mtc_tls::memory::{Turns, handshake, plain_handshake};
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::{ConnectionProfile, Tickets, Tokens, TrustDomain, Via};
use mtc_tls::provider::KeyExchange;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime as TlsTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, PeerMisbehaved, ServerConfig,
    SignatureScheme,
};
use thiserror::Error;
use uuid::Uuid;

use crate::verification::{Case, FixtureError, NOT_AFTER, NOT_BEFORE};

const LEAF_KEY: KeyAlgorithm = SignatureAlgorithm::MlDsa65;
/// Hashes in an inclusion proof: a landmark of about a thousand certificates.
const PROOF_HASHES: u32 = 10;
/// The only landmark after the empty one.
const LANDMARK: LandmarkNumber = LandmarkNumber(1);
const DOMAIN: &str = "5gc.mnc001.mcc001.3gppnetwork.org";
/// A handshake in so many stays below a figure.
const FASTEST_ONE_IN: usize = 20;

/// Why there are no figures.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MeetingError {
    /// A trust anchor ID.
    #[error("identifier")]
    Id(#[from] IdError),
    /// A Merkle Tree Certificate.
    #[error("Merkle Tree Certificate")]
    Certificate(#[from] FixtureError),
    /// The subject of a certificate.
    #[error("subject of a certificate")]
    Subject(#[from] SubjectError),
    /// A private key.
    #[error("private key")]
    Key(#[from] NfKeyError),
    /// Credentials of certificates and keys.
    #[error("credential")]
    Credential(#[from] CredentialError),
    /// A configuration without a judgement.
    #[error("TLS configuration")]
    Configuration(#[from] rustls::Error),
    /// There was no handshake.
    #[error("handshake")]
    Handshake(#[from] HandshakeError),
}

/// An AMF and an SMF with landmark-relative certificates of ML-DSA-65 keys, each able to meet the other in two ways.
pub struct Meeting {
    /// The server's certificate and a relying party for it.
    pub server_case: Case,
    /// The client.
    pub amf: Endpoint,
    /// The server.
    pub smf: Endpoint,
    /// What their connections are.
    pub profile: ConnectionProfile,
    /// The server, as the client has discovered it.
    pub expected: ExpectedPeer,
    unjudged_client: Arc<ClientConfig>,
    unjudged_server: Arc<ServerConfig>,
}

/// CPU time of handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Both sides of a handshake.
    pub judged: Duration,
    /// CPU time of both sides without a judgement.
    pub unjudged: Duration,
    /// The client's judgement of the server's certificate, without the reading of the clock that is in it: the median.
    pub judgement: Duration,
}

struct Nf {
    subject: NfSubject,
    key: NfKey,
    case: Case,
}

impl Nf {
    fn new(nf_type: &str) -> Result<Self, MeetingError> {
        let fqdn = format!("{}1.{DOMAIN}", nf_type.to_lowercase());
        let types = [nf_type.to_owned()];
        let subject = NfSubject::new("NO", DOMAIN, Uuid::new_v4(), &types, &[fqdn])?;
        let key = NfKey::generate(LEAF_KEY)?;
        Ok(Self {
            case: Case::certifying(&subject, key.spki_der(), PROOF_HASHES)?,
            subject,
            key,
        })
    }

    /// What it presents, and trust in its peer's landmark.
    fn set(&self, log: &LogId, peer: &Self) -> Result<CredentialSet, MeetingError> {
        let credential = |der: &[u8]| Credential::new(vec![der.to_vec()], &self.key, NOT_AFTER);
        let trust = MtcTrust::new(peer.case.caching_trust.clone());
        let trust = trust.with_landmarks(log, LANDMARK, peer.case.trusted.iter().copied())?;
        let landmark = LandmarkCredential {
            log_number: log.number(),
            landmark: LANDMARK,
            credential: credential(&self.case.landmark)?,
        };
        Ok(CredentialSet {
            mtc: vec![MtcCredential::new(
                credential(&self.case.standalone)?,
                Some(landmark),
            )],
            ..CredentialSet::new(trust, Vec::new())
        })
    }

    fn certified(&self) -> Result<Arc<SingleCertAndKey>, MeetingError> {
        let chain = vec![CertificateDer::from(self.case.landmark.clone())];
        let certified = CertifiedKey::new(chain, self.key.tls_signing_key()?);
        Ok(Arc::new(SingleCertAndKey::from(certified)))
    }
}

impl Meeting {
    /// An AMF and an SMF.
    ///
    /// # Errors
    /// See [`MeetingError`].
    pub fn new() -> Result<Self, MeetingError> {
        let ca: TrustAnchorId = "32473.1".parse()?;
        let log = LogId::new(ca, LogNumber::FIRST)?;
        let (amf, smf) = (Nf::new("AMF")?, Nf::new("SMF")?);
        let name = DistinguishedName::from(log.landmark_group(LANDMARK)?.to_name());
        let unjudged = |peer: &Nf, schemes| {
            Arc::new(AcceptsAnything {
                key: peer.key.spki_der().to_vec().into(),
                names: vec![name.clone()],
                schemes,
                algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
            })
        };
        let provider = |groups| {
            // A ClientHello names all of them.
            let suites = aws_lc_rs::DEFAULT_CIPHER_SUITES.iter().copied();
            Arc::new(CryptoProvider {
                kx_groups: groups,
                cipher_suites: suites.filter(|suite| suite.tls13().is_some()).collect(),
                ..aws_lc_rs::default_provider()
            })
        };
        let hybrid = aws_lc_rs::kx_group::X25519MLKEM768;
        let mut client = ClientConfig::builder_with_provider(provider(vec![hybrid]))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(unjudged(&smf, vec![SignatureScheme::ML_DSA_65]))
            .with_client_cert_resolver(amf.certified()?);
        client.alpn_protocols = vec![b"h2".to_vec()];
        client.resumption = Resumption::disabled();
        // All that the lab's servers can verify, so that CertificateRequest is as long as theirs.
        let schemes = vec![
            SignatureScheme::ED25519,
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ML_DSA_44,
            SignatureScheme::ML_DSA_65,
            SignatureScheme::ML_DSA_87,
        ];
        let mut server = ServerConfig::builder_with_provider(provider(vec![hybrid]))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(unjudged(&amf, schemes))
            .with_cert_resolver(smf.certified()?);
        server.alpn_protocols = vec![b"h2".to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let clock = clock();
        Ok(Self {
            amf: Endpoint::new(Store::new(amf.set(&log, &smf)?).receiver(), clock),
            smf: Endpoint::new(Store::new(smf.set(&log, &amf)?).receiver(), clock),
            profile: ConnectionProfile {
                domain: TrustDomain::MtcLandmark,
                leaf_key: LEAF_KEY,
                key_exchange: KeyExchange::X25519MlKem768,
                tickets: Tickets::None,
                tokens: Tokens::Es256,
                via: Via::Direct,
                grease: false,
            },
            expected: ExpectedPeer {
                fqdn: smf.subject.fqdns()[0].clone(),
                instance_id: Some(smf.subject.instance_id()),
                nf_type: Some("SMF".to_owned()),
            },
            unjudged_client: Arc::new(client),
            unjudged_server: Arc::new(server),
            server_case: smf.case,
        })
    }

    /// So many handshakes of each kind, in turns.
    ///
    /// # Errors
    /// There was no handshake, which is a defect.
    pub fn costs(&self, rounds: usize) -> Result<Costs, MeetingError> {
        let mut judged = [Vec::new(), Vec::new()];
        let mut unjudged = [Vec::new(), Vec::new()];
        let (mut judgements, mut readings) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let met = handshake(&self.amf, &self.smf, self.profile, self.expected.clone())?;
            for (times, side) in judged.iter_mut().zip([&met.client, &met.server]) {
                times.push(side.cpu);
            }
            judgements.push(met.client.verify);
            for (times, side) in unjudged.iter_mut().zip(self.meet_unjudged()?) {
                times.push(side.cpu);
            }
            let started = thread_time();
            readings.push(thread_time().saturating_sub(started));
        }
        let fast = |sides: &mut [Vec<Duration>; 2]| {
            let sides = sides.iter_mut();
            sides.map(|times| quantile(times, FASTEST_ONE_IN)).sum()
        };
        Ok(Costs {
            judged: fast(&mut judged),
            unjudged: fast(&mut unjudged),
            judgement: quantile(&mut judgements, 2).saturating_sub(quantile(&mut readings, 2)),
        })
    }

    /// The configurations of client and server that accept anything.
    pub const fn unjudged(&self) -> (&Arc<ClientConfig>, &Arc<ServerConfig>) {
        (&self.unjudged_client, &self.unjudged_server)
    }

    /// A handshake in memory in which nobody is judged: what client and server used up.
    ///
    /// # Errors
    /// There was no handshake, which is a defect.
    pub fn meet_unjudged(&self) -> Result<[Turns; 2], HandshakeError> {
        plain_handshake(
            &self.unjudged_client,
            &self.unjudged_server,
            &self.expected.fqdn,
        )
    }
}

/// The time that one in `of` stays below; zero of none.
fn quantile(times: &mut [Duration], of: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() / of).copied().unwrap_or_default()
}

/// A clock by which the certificates are valid, whenever that is.
fn clock() -> Clock {
    let wanted = NOT_BEFORE.0 + 86_400;
    let system = Clock::default().unix_seconds();
    Clock {
        offset_seconds: wanted.cast_signed().wrapping_sub(system.cast_signed()),
    }
}

/// Takes whoever comes for the one whose key this is, and verifies that one's signature.
#[derive(Debug)]
struct AcceptsAnything {
    key: SubjectPublicKeyInfoDer<'static>,
    names: Vec<DistinguishedName>,
    schemes: Vec<SignatureScheme>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl AcceptsAnything {
    fn verify_signature(
        &self,
        message: &[u8],
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature_with_raw_key(message, &self.key, dss, &self.algorithms)
    }
}

fn tls12_never() -> rustls::Error {
    PeerMisbehaved::SelectedUnofferedCipherSuite.into()
}

impl ServerCertVerifier for AcceptsAnything {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: TlsTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(tls12_never())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        Some(&self.names)
    }
}

impl ClientCertVerifier for AcceptsAnything {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: TlsTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(tls12_never())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

#[cfg(test)]
mod tests {
    use mtc_tls::kind::CertificateKind;

    use super::*;

    #[test]
    fn both_kinds_of_handshake_are_the_same_on_the_wire() {
        let meeting = Meeting::new().expect("an AMF and an SMF");
        let expected = meeting.expected.clone();
        let judged = handshake(&meeting.amf, &meeting.smf, meeting.profile, expected);
        let judged = judged.expect("a handshake");
        let unjudged = meeting.meet_unjudged().expect("a handshake");
        for (judged, unjudged) in [&judged.client, &judged.server].into_iter().zip(unjudged) {
            assert_eq!(judged.received, CertificateKind::LandmarkRelative);
            assert_eq!(judged.bytes_sent, unjudged.bytes_sent);
        }
        let costs = meeting.costs(3).expect("handshakes");
        assert!(costs.unjudged > Duration::ZERO, "{costs:?}");
    }
}
