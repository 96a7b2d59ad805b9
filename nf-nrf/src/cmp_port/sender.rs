//! Who has sent a message: the holder of a secret that the enrolment authority has minted, or of a certificate that is issued here.
//!
//! ```text
//!  protectionAlg is a MAC:  senderKID ── reference number ──> claims, secret ──> has it protected the message?
//!  otherwise:               extraCerts[0] ── MTC, or below one of our X.509 CAs ──> judged as in a handshake ──> has its key signed it?
//! ```

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use cmp::{Failure, Mac, Message, Reply};
use mtc_core::causes::Causes;
use mtc_core::certificate::Certificate as Mtc;
use mtc_core::cosign::KeyError;
use mtc_core::x509::Certificate;
use mtc_tls::endpoint::JudgeError;
use mtc_tls::identity::{CertificateId, NfIdentity};
use mtc_tls::key::KeyAlgorithm;
use mtc_tls::profile::TrustDomain;
use mtc_tls::signing::Signing;
use sbi::enrolment_claims::EnrolmentClaims;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{CmpPort, Refused};
use crate::enrolment::Refusal;
use crate::enrolment_token::TokenError;

/// Who has sent a message.
pub(super) enum Sender {
    /// Whoever has a secret of the authority.
    Secret {
        /// What the secret lets him have.
        claims: EnrolmentClaims,
        /// Its reference number.
        reference: Vec<u8>,
    },
    /// An NF instance with a certificate.
    Certificate(Box<Signer>),
}

/// A certificate that has signed a message.
pub(super) struct Signer {
    pub(super) identity: NfIdentity,
    /// Its DER.
    pub(super) leaf: Vec<u8>,
    pub(super) certificate: CertificateId,
}

/// What a sender is known by from one message of a transaction to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SenderId {
    /// The `jti` of a reference number.
    Secret(Uuid),
    /// SHA-256 of a certificate's issuer and serial number: what follows them can be written in more ways than one.
    Certificate([u8; 32]),
}

impl Sender {
    pub(super) fn id(&self) -> SenderId {
        match self {
            Self::Secret { claims, .. } => SenderId::Secret(claims.jti),
            Self::Certificate(signer) => {
                let mut hash = [0; 32];
                hash.copy_from_slice(digest(&SHA256, signer.certificate.octets()).as_ref());
                SenderId::Certificate(hash)
            }
        }
    }

    /// The reference number of the secret, if it is one.
    pub(super) fn reference(&self) -> Option<&[u8]> {
        match self {
            Self::Secret { reference, .. } => Some(reference),
            Self::Certificate(_) => None,
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { claims, .. } => write!(f, "{} by secret {}", claims.sub, claims.jti),
            Self::Certificate(signer) => {
                write!(f, "{} by certificate", signer.identity.instance_id)
            }
        }
    }
}

/// What protects the answer.
pub(super) enum Protector {
    /// The secret that protected the request.
    Secret(Box<Mac>),
    /// A certificate of the NRF that the one who signed the request can verify.
    Certificate(Signing),
}

impl Protector {
    /// The answer with its protection and, beside it, the certificates of the one who signs and then these.
    pub(super) fn protect(
        &self,
        reply: &Reply<'_>,
        extra_certs: &[Vec<u8>],
    ) -> Result<Vec<u8>, KeyError> {
        let extra_certs = extra_certs.iter().map(Vec::as_slice);
        match self {
            Self::Secret(mac) => {
                let extra_certs: Vec<_> = extra_certs.collect();
                Ok(reply.with_mac(mac, &extra_certs))
            }
            Self::Certificate(signing) => {
                let extra_certs: Vec<_> = signing.chain().chain(extra_certs).collect();
                reply.signed(signing.algorithm(), signing, &extra_certs)
            }
        }
    }
}

impl CmpPort {
    /// Who has sent a message, and how the answer is protected.
    pub(super) async fn authenticate(
        &self,
        message: &Message<'_>,
    ) -> Result<(Sender, Protector), Refused> {
        let algorithm = message.header.protection.ok_or_else(|| {
            let text = "the message is not protected: use a reference number and secret (mtc5g token --cmp), or a certificate";
            Refused::new(Failure::WrongIntegrity, text.to_owned())
        })?;
        if Mac::is_named_by(&algorithm) {
            return self.authenticate_secret(message, algorithm.whole).await;
        }
        let (signer, domain, algorithm) = self.judge(message)?;
        let signing = self.signing(domain, algorithm).ok_or_else(|| {
            let text = format!("this NRF has no certificate of {domain} or with a key of {algorithm} to answer with");
            Refused::new(Failure::SystemUnavail, text)
        })?;
        Ok((
            Sender::Certificate(Box::new(signer)),
            Protector::Certificate(signing),
        ))
    }

    async fn authenticate_secret(
        &self,
        message: &Message<'_>,
        identifier: &[u8],
    ) -> Result<(Sender, Protector), Refused> {
        let reference = message.header.key_id.unwrap_or_default();
        let claims = std::str::from_utf8(reference)
            .map_err(|_| {
                let text = "senderKID is not a reference number of mtc5g token --cmp".to_owned();
                Refused::new(Failure::BadMessageCheck, text)
            })
            .and_then(|reference| {
                let verified = self.enrolment.verify_reference(reference);
                verified.map_err(|refusal| match refusal {
                    // Its secret is not known, and so not who has sent the message.
                    Refusal::Token(error) if !matches!(error, TokenError::Expired { .. }) => {
                        Refused::new(Failure::BadMessageCheck, Causes(&error).to_string())
                    }
                    refusal => refusal.into(),
                })
            })?;
        let secret = self.secrets.of(claims.jti);
        // As slow as its sender likes, within bounds; one at a time, so that the threads that may block are there for the disk.
        let turn = Arc::clone(&self.deriving).acquire_owned().await;
        let identifier = identifier.to_vec();
        let deriving = move || {
            let mac = Mac::of(&identifier, secret.as_bytes());
            drop(turn);
            mac
        };
        let mac = spawn_blocking(deriving).await;
        let mac = mac.map_err(|_| {
            Refused::new(
                Failure::SystemFailure,
                "the NRF failed; its log says why".to_owned(),
            )
        })??;
        if !message.mac_protects(&mac) {
            self.metrics.checked_token("secret");
            let text = "the MAC is not by the secret of this reference number".to_owned();
            return Err(Refused::new(Failure::BadMessageCheck, text));
        }
        let sender = Sender::Secret {
            claims,
            reference: reference.to_vec(),
        };
        Ok((sender, Protector::Secret(Box::new(mac))))
    }

    /// Judges the certificate that has signed a message, and the signature.
    fn judge(&self, message: &Message<'_>) -> Result<(Signer, TrustDomain, KeyAlgorithm), Refused> {
        let untrusted = |text: String| Refused::new(Failure::SignerNotTrusted, text);
        let leaf = *message.extra_certs.first().ok_or_else(|| {
            untrusted("extraCerts lacks the certificate that signed the message".to_owned())
        })?;
        let certificate = Certificate::parse(leaf).map_err(|error| {
            let text = format!("the first of extraCerts: {}", Causes(&error));
            Refused::new(Failure::BadDataFormat, text)
        })?;
        let issuer = certificate.statement.issuer;
        let (domain, intermediates) = match Mtc::parse(leaf) {
            // Landmarks decide where there is no cosignature to go by.
            Ok(mtc) if mtc.is_landmark_relative() => (TrustDomain::MtcLandmark, Vec::new()),
            Ok(_) => (TrustDomain::MtcStandalone, Vec::new()),
            Err(_) => {
                // Our own intermediates are at hand, whatever the sender has of them.
                let baseline = self.enrolment.baselines.iter();
                let baseline = { baseline }
                    .find(|baseline| baseline.issuer_name() == issuer)
                    .ok_or_else(|| {
                        untrusted(
                            "the signer's certificate was not issued by a CA of this NRF"
                                .to_owned(),
                        )
                    })?;
                let intermediates = baseline.intermediates().iter().map(|der| der.to_vec());
                (
                    TrustDomain::X509(baseline.profile()),
                    intermediates.collect(),
                )
            }
        };
        let chain: Vec<Vec<u8>> = std::iter::once(leaf.to_vec())
            .chain(intermediates)
            .collect();
        let (identity, key) = self.endpoint.judge(domain, &chain).map_err(|error| {
            if let JudgeError::Domain(_) = error {
                let text = "this NRF trusts no certificate of that kind yet".to_owned();
                return Refused::new(Failure::SystemUnavail, text);
            }
            untrusted(format!("the signer's certificate: {}", Causes(&error)))
        })?;
        message.is_signed_by(&key)?;
        let signer = Signer {
            identity,
            leaf: leaf.to_vec(),
            certificate: CertificateId::new(issuer, certificate.serial),
        };
        if self.enrolment.revoked.contains(&signer.certificate) {
            let text = "the signer's certificate was revoked".to_owned();
            return Err(Refused::new(Failure::CertRevoked, text));
        }
        Ok((signer, domain, key.algorithm()))
    }
}
