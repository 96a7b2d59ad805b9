//! Verification of a peer's certificate, the same steps for every kind.
//!
//! ```text
//! authenticity ──> usage ──> server name ──> NF identity ──> is it the NF that was wanted?
//! MTC: mtc_core   validity,   (client only)   urn:uuid,        instance id, NF type
//! X.509: webpki   KU, EKU                     NF types
//!   with its CRLs, a stapled OCSP response
//! ```
//!
//! The certificate is read once, and every step borrows what was read; only webpki reads an X.509 chain for itself. Where the key
//! that was judged stands is kept for the signature that follows, CertificateVerify.
//!
//! The verifier notes who the peer is and what the verification cost; the handshake collects it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::certificate::Certificate;
use mtc_core::time::UnixTime;
use mtc_core::verify::{CaTrust, Rejection};
use mtc_core::x509::{Certificate as X509Certificate, EndEntity, Role, UsageError};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime as TlsTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, PeerMisbehaved,
    SignatureScheme,
};

use crate::cpu;
use crate::credentials::X509Trust;
use crate::identity::{AltNames, CertificateId, IdentityError, NfIdentity};
use crate::key::X509Revocation;
use crate::kind::CertificateKind;
use crate::notes::{Notes, PeerCertificate, Signature};
use crate::peer::{VerifiedPeer, VerifyError};
use crate::record::{certificate_length, staple_length};
use crate::revocation::StatusError;
use crate::revocation::ocsp::{OcspError, Response};
use crate::seat::{Occupant, Seat};

mod steps;

use steps::Protocol;

/// What a connection trusts.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// The MTCA.
    Mtc {
        /// As the connection's domain has it.
        of_domain: Arc<CaTrust>,
        /// With all subtrees that are trusted here, for certificates that carry nothing else to go by: those decide alone (Section 7.2),
        /// whatever the peer said of itself.
        with_landmarks: Option<Arc<CaTrust>>,
    },
    /// An X.509 root.
    X509(X509Trust),
    /// The MTCA for its certificates, an X.509 root for all others.
    Either {
        /// The MTCA.
        mtc: Box<Self>,
        /// The root.
        x509: Box<Self>,
    },
}

impl Trust {
    /// Trust in the MTCA of one who decides by the connection's domain alone.
    pub(crate) const fn mtc(of_domain: Arc<CaTrust>) -> Self {
        Self::Mtc {
            of_domain,
            with_landmarks: None,
        }
    }

    /// The same, but whoever presents a landmark-relative certificate needs to have said nothing of landmarks.
    pub(crate) fn or_landmarks(self, landmarks: Option<&Arc<CaTrust>>) -> Self {
        match self {
            Self::Mtc { of_domain, .. } => Self::Mtc {
                of_domain,
                with_landmarks: landmarks.cloned(),
            },
            Self::X509(_) => self,
            Self::Either { mtc, x509 } => Self::Either {
                mtc: Box::new(mtc.or_landmarks(landmarks)),
                x509,
            },
        }
    }

    /// By whom a peer that presents this is judged.
    fn of_peer(&self, end_entity: &[u8]) -> &Self {
        match self {
            Self::Mtc { .. } | Self::X509(_) => self,
            Self::Either { mtc, x509 } => match Certificate::parse(end_entity) {
                Ok(_) => mtc,
                Err(_) => x509,
            },
        }
    }
}

/// Verifies the peers of the connections of a configuration, one handshake at a time.
#[derive(Debug)]
pub(crate) struct PeerVerifier {
    pub(crate) trust: Trust,
    pub(crate) hint: Arc<[DistinguishedName]>,
    pub(crate) schemes: Vec<SignatureScheme>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
    pub(crate) mandatory: bool,
    /// How long ago a Merkle Tree Certificate may have expired; none if it must not have.
    pub(crate) expired_within: Option<Duration>,
    pub(crate) seat: Arc<Seat>,
}

impl PeerVerifier {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: Option<Server<'_>>,
        now: TlsTime,
    ) -> Result<(), rustls::Error> {
        let handshake = self.seat.occupant()?;
        let verdict = self
            .judge(&handshake, end_entity, intermediates, server, now)
            .map_err(Arc::new);
        // rustls verifies a peer once in a handshake; were it twice, the first verdict would stand.
        let verdict = handshake.notes.verdict.get_or_init(|| verdict);
        verdict
            .as_ref()
            .map(|_| ())
            .map_err(|error| tls_error(error.clone(), now))
    }

    /// The verdict on a client's certificate that came in another way than in a handshake, and its key.
    pub(crate) fn judge_client<'a>(
        &self,
        end_entity: &'a CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: TlsTime,
    ) -> Result<(VerifiedPeer, SubjectPublicKeyInfoDer<'a>), VerifyError> {
        let occupant = Occupant {
            notes: Arc::default(),
            expected: None,
        };
        let peer = self.judge(&occupant, end_entity, intermediates, None, now)?;
        let key = accepted_key(&occupant.notes, end_entity);
        Ok((
            peer,
            key.expect("the key of a certificate that was accepted is noted"),
        ))
    }

    fn judge(
        &self,
        Occupant { notes, expected }: &Occupant,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: Option<Server<'_>>,
        now: TlsTime,
    ) -> Result<VerifiedPeer, VerifyError> {
        let started = cpu::thread_time();
        let mut protocol = Protocol::new(1 + intermediates.len(), notes.sampled);
        let trust = self.trust.of_peer(end_entity);
        let leaf = match trust {
            Trust::Mtc {
                of_domain,
                with_landmarks,
            } => {
                let certificate = Certificate::parse(end_entity).map_err(Rejection::from)?;
                protocol.reads(&certificate);
                let trust = match (protocol.kind, with_landmarks) {
                    (CertificateKind::LandmarkRelative, Some(with_landmarks)) => with_landmarks,
                    _ => of_domain,
                };
                protocol.passes_over(&certificate, trust);
                let accepted = trust.verify_issuance_observed(&certificate, &mut protocol)?;
                protocol.verification.basis = Some(accepted.basis);
                EndEntity::of_mtc(&certificate)
            }
            // None of these: `of_peer` has chosen.
            Trust::Either { .. } => unreachable!("neither part of a mixed trust is mixed"),
            Trust::X509(trust) => {
                check_chain(trust, end_entity, intermediates, server, now)?;
                if let Some(Server { staple, .. }) = server
                    && trust.profile.revocation == X509Revocation::OcspStapled
                {
                    check_staple(trust, end_entity, intermediates, staple, now)?;
                }
                protocol.ended(|steps| &mut steps.chain_ns);
                EndEntity::parse(end_entity)
            }
        };
        let leaf = leaf.map_err(UsageError::from)?;
        let names = AltNames::of(&leaf).map_err(IdentityError::from)?;
        let role = match server {
            Some(Server { name, .. }) => {
                // webpki has looked at it together with an X.509 chain.
                if let Trust::Mtc { .. } = trust {
                    check_server_name(&names, name)?;
                    protocol.ended(|steps| &mut steps.server_name_ns);
                }
                Role::Server
            }
            None => Role::Client,
        };
        let expired = self.check_usage(&leaf, UnixTime(now.as_secs()), role)?;
        protocol.ended(|steps| &mut steps.usage_ns);
        let identity = NfIdentity::of(&leaf, names)?;
        if let Some(expected) = expected {
            expected.check(&identity)?;
        }
        let chain = std::iter::once(end_entity).chain(intermediates);
        let _ = notes.peer_certificate.set(PeerCertificate {
            message: certificate_length(chain.map(AsRef::as_ref)),
            status: server.and_then(|server| staple_length(server.staple)),
            spki: place_of(leaf.spki, end_entity),
        });
        protocol.ended(|steps| &mut steps.identity_ns);
        Ok(VerifiedPeer {
            identity,
            certificate: CertificateId::of(&leaf),
            expired,
            kind: protocol.kind,
            verify: cpu::thread_time().saturating_sub(started),
            verification: protocol.verification,
        })
    }

    /// Whether the certificate has expired where that is allowed.
    fn check_usage(
        &self,
        leaf: &EndEntity<'_>,
        now: UnixTime,
        role: Role,
    ) -> Result<bool, UsageError> {
        let checked = leaf.check_usage(now, Some(role));
        let (Err(UsageError::Expired { not_after, .. }), Some(within), Trust::Mtc { .. }) =
            (&checked, self.expired_within, &self.trust)
        else {
            return checked.map(|()| false);
        };
        if now > not_after.plus(within) {
            return checked.map(|()| false);
        }
        // In all else it must be as good as it was in its last second.
        leaf.check_usage(*not_after, Some(role)).map(|()| true)
    }

    /// Verifies CertificateVerify with the key that was judged in this certificate, and notes its signature.
    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let notes = self.seat.occupant()?.notes;
        let key = accepted_key(&notes, certificate).ok_or_else(|| {
            rustls::Error::General("a signature before the certificate was accepted".to_owned())
        })?;
        let _ = notes.peer_signature.set(Signature {
            scheme: dss.scheme,
            length: dss.signature().len(),
            cpu: None,
        });
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
    }
}

/// The key of a certificate that was accepted; none of another.
fn accepted_key<'a>(
    notes: &Notes,
    certificate: &'a CertificateDer<'_>,
) -> Option<SubjectPublicKeyInfoDer<'a>> {
    let accepted = notes.peer_certificate.get()?;
    let key = certificate.get(accepted.spki.clone())?;
    Some(SubjectPublicKeyInfoDer::from(key))
}

/// Where a part that was read in place stands in the whole.
fn place_of(part: &[u8], whole: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    start..start.wrapping_add(part.len())
}

/// What a client knows of the server that it verifies.
#[derive(Clone, Copy)]
struct Server<'a> {
    /// How it was called.
    name: &'a ServerName<'a>,
    /// The OCSP response that it has stapled to its certificate; empty if it has not.
    staple: &'a [u8],
}

/// An X.509 chain up to a root with the lists of what is revoked of it, where they are asked for, and for servers their name.
fn check_chain(
    trust: &X509Trust,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    server: Option<Server<'_>>,
    now: TlsTime,
) -> Result<(), VerifyError> {
    let needs_lists = match trust.profile.revocation {
        X509Revocation::None => false,
        X509Revocation::Crl => true,
        X509Revocation::OcspStapled => server.is_none(),
    };
    if needs_lists && !trust.has_lists {
        return Err(StatusError::NoCrl.into());
    }
    let verified = match server {
        Some(Server { name, staple: _ }) => trust
            .servers
            .verify_server_cert(end_entity, intermediates, name, &[], now)
            .map(drop),
        None => trust
            .clients
            .verify_client_cert(end_entity, intermediates, now)
            .map(drop),
    };
    verified.map_err(VerifyError::X509)
}

/// Whether the issuer of a server's certificate, whose chain was verified, says in what the server stapled that it is good now.
fn check_staple(
    trust: &X509Trust,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    staple: &[u8],
    now: TlsTime,
) -> Result<(), StatusError> {
    if staple.is_empty() {
        return Err(StatusError::NotStapled);
    }
    // The chain is sent in order, which webpki does not ask for; one in another order fails here.
    let issuer = intermediates.first().unwrap_or(&trust.root);
    let issuer = X509Certificate::parse(issuer).map_err(|_| StatusError::Issuer)?;
    let leaf = X509Certificate::parse(end_entity).map_err(|_| StatusError::Issuer)?;
    if trust
        .revoked
        .contains(&CertificateId::new(leaf.statement.issuer, leaf.serial))
    {
        return Err(StatusError::Revoked);
    }
    let response = Response::parse(staple)?;
    Ok(response.check(&issuer, leaf.serial, UnixTime(now.as_secs()))?)
}

/// An MTC names its server as X.509 certificates do. Servers are called by FQDN here: an IP address is nobody's name.
fn check_server_name(names: &AltNames, server_name: &ServerName<'_>) -> Result<(), VerifyError> {
    if let ServerName::DnsName(name) = server_name
        && names.include(name.as_ref())
    {
        return Ok(());
    }
    let error = CertificateError::NotValidForNameContext {
        expected: server_name.to_owned(),
        presented: names.fqdns.clone(),
    };
    Err(VerifyError::ServerName(error.into()))
}

/// Makes a TLS error, and with it an alert, of a refusal. The refusal itself is in the verdict.
fn tls_error(error: Arc<VerifyError>, now: TlsTime) -> rustls::Error {
    let at = |time: UnixTime| TlsTime::since_unix_epoch(Duration::from_secs(time.0));
    let certificate_error = match &*error {
        VerifyError::X509(error) | VerifyError::ServerName(error) => return error.clone(),
        VerifyError::Usage(UsageError::Expired { not_after, .. }) => {
            CertificateError::ExpiredContext {
                time: now,
                not_after: at(*not_after),
            }
        }
        VerifyError::Usage(UsageError::NotYetValid { not_before, .. }) => {
            CertificateError::NotValidYetContext {
                time: now,
                not_before: at(*not_before),
            }
        }
        VerifyError::Usage(
            UsageError::CaCertificate | UsageError::KeyUsage | UsageError::ExtendedKeyUsage(_),
        ) => CertificateError::InvalidPurpose,
        VerifyError::Mtc(Rejection::UnknownIssuer(_)) => CertificateError::UnknownIssuer,
        VerifyError::Mtc(Rejection::Revoked(_) | Rejection::OutsideRange { .. }) => {
            CertificateError::Revoked
        }
        VerifyError::Mtc(Rejection::Malformed(_)) => CertificateError::BadEncoding,
        VerifyError::Status(StatusError::NoCrl) => CertificateError::UnknownRevocationStatus,
        VerifyError::Status(StatusError::Revoked | StatusError::Ocsp(OcspError::Revoked(_))) => {
            CertificateError::Revoked
        }
        VerifyError::Status(_) => CertificateError::InvalidOcspResponse,
        _ => CertificateError::Other(OtherError(error)),
    };
    certificate_error.into()
}

/// TLS 1.2 is not offered, so nothing of it can arrive.
fn tls12_never() -> rustls::Error {
    PeerMisbehaved::SelectedUnofferedCipherSuite.into()
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: TlsTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let server = Server {
            name: server_name,
            staple: ocsp_response,
        };
        self.verify(end_entity, intermediates, Some(server), now)
            .map(|()| ServerCertVerified::assertion())
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
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        Some(&self.hint)
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hint
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: TlsTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, None, now)
            .map(|()| ClientCertVerified::assertion())
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
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
