//! Enrolment: who may be certified as what, below every protocol by which certificates are asked for.
//!
//! ```text
//!  certificate_management (nnrf-cm)  ┐   token ──────── verify_token, redeem ──┐
//!  cmp_port (CMP, RFC 9810)          ├─> certificate ── Applicant::holding ────┼─> Applicant ─┐
//!  acme_port (ACME, RFC 8555)        ├─> account ────── Applicant::known ──────┘              │
//!                                    │   pod's token ── pod ──────────────────────────────────┤
//!                                    ┘   CSR: possession proven, names no more than that ─────┴─> enrol ─> MTCA or baseline CA
//!                                          current certificate: not revoked ───────────────────┘
//! ```
//!
//! A certificate that expired a short while ago, within the NRF's `renew_expired_seconds`, says who its holder is here and
//! nowhere else: it may be replaced by a new one for a key whose possession is proven, as it would have been in time.
//!
//! Subject and names come from the token or the current certificate, never from the CSR, and a CSR that asks for more is refused with
//! what it may not ask for. A token is used up when its certificate is acknowledged; whoever repeats that request, since the answer
//! was lost, gets the same certificate again, after a restart too. The token of a pod of Kubernetes is not used up: like a certificate, it is
//! good for as many as its holder asks for, of one identity.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mtc_core::causes::Causes;
use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use mtc_tls::csr::Csr;
use mtc_tls::identity::{CertificateId, NfIdentity, NfSubject, SubjectError};
use mtc_tls::profile::TrustDomain;
use sbi::enrolment::{
    CERTIFICATES, IssuedCertificate, LandmarkAnswer, LandmarkRelativeCertificate, MTC_PROFILE,
};
use sbi::enrolment_claims::EnrolmentClaims;
use uuid::Uuid;

use crate::answers::Answers;
use crate::baseline::BaselineCa;
use crate::enrolment_token::{
    Answer, RequestDigest, Reservation, Reserved, TokenError, TokenVerifier, UsedTokens,
    UsedTokensError,
};
use crate::files::FileError;
use crate::kubernetes::{Certifiable, PodTokenError, Pods};
use crate::log_opening::Unopened;
use crate::metrics::NrfMetrics;
use crate::mtca::{Issuance, Mtca, MtcaError, validity};
use crate::revoked::Revoked;

/// Longest wait before the next look at a landmark.
const LONGEST_LANDMARK_WAIT: Duration = Duration::from_secs(60);

/// What issues, and remembers for whom.
pub struct Enrolment {
    /// Issues Merkle Tree Certificates, if the issuance log could be opened.
    pub mtca: Result<Arc<Mtca>, Unopened>,
    /// Issue X.509 certificates, one a profile.
    pub baselines: Vec<BaselineCa>,
    /// Checks tokens.
    pub tokens: TokenVerifier,
    /// Remembers tokens.
    pub used: UsedTokens,
    /// Checks tokens of a cluster's pods, if they may enrol.
    pub pods: Option<Pods>,
    /// Remembers the X.509 certificates that tokens were used for.
    pub answers: Answers,
    /// Remembers which certificates were revoked.
    pub revoked: Revoked,
    /// Country of subjects.
    pub country: String,
    /// Organisation of subjects: the home domain.
    pub organization: String,
    /// The NRF's clock.
    pub clock: Clock,
    /// How long after its end a certificate may be renewed.
    pub renew_expired: Duration,
    /// Lifetime of X.509 certificates.
    pub lifetime: Duration,
    /// Where requests are counted.
    pub metrics: NrfMetrics,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token of a pod.
    #[error(transparent)]
    Pod(#[from] PodTokenError),
    /// The same request was answered before, with a certificate that has expired since.
    #[error(
        "the enrolment token was used for a certificate that has expired; mtc5g token mints a new one"
    )]
    AnswerExpired,
    /// The certificate expired too long ago to be renewed.
    #[error(
        "the certificate expired {ago} s ago, and can be renewed for {} s only: enrol with a new token (mtc5g token)",
        within.as_secs()
    )]
    ExpiredTooLong {
        /// Seconds since it did.
        ago: u64,
        /// For how long it could be renewed.
        within: Duration,
    },
    /// The certificate that is to be renewed was revoked.
    #[error(
        "the certificate was revoked, so that it renews nothing: enrol with a new token (mtc5g token)"
    )]
    Revoked,
    /// Another profile than `mtc` with an expired certificate.
    #[error("an expired certificate can be renewed under profile mtc only")]
    ExpiredProfile,
    /// Token or certificate name what no certificate can.
    #[error("this NF cannot be certified: {0}")]
    Subject(SubjectError),
    /// The CSR asks for more than it may.
    #[error("the CSR asks for more than it may: {}", listed(.0))]
    Excess(Vec<Excess>),
    /// There is no such profile.
    #[error("{wanted:?} is not one of {}", known.join(", "))]
    Profile {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The issuance log is not open.
    #[error("no Merkle Tree Certificate can be issued or read: {0}")]
    Unopened(Unopened),
    /// The MTCA.
    #[error(transparent)]
    Mtca(#[from] MtcaError),
    /// Something failed here, which the NRF's log tells of.
    #[error("the NRF failed; its log says why")]
    Failed,
}

/// Something that a CSR asks for and may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The member of the CSR, by the names of RFC 5280.
    pub member: &'static str,
    /// What it asks for, and what it could.
    pub reason: String,
}

fn listed(excess: &[Excess]) -> String {
    let listed = excess
        .iter()
        .map(|Excess { member, reason }| format!("{member}: {reason}"));
    listed.collect::<Vec<_>>().join("; ")
}

/// Who is to be certified, and the token that says so, if one does.
pub struct Applicant {
    instance_id: Uuid,
    nf_types: Vec<String>,
    fqdns: Vec<String>,
    reservation: Option<Reservation>,
    /// The certificate by which this is known, if it is not the token.
    certificate: Option<CertificateId>,
    /// Whether this is known by a certificate that has expired.
    has_expired: bool,
}

impl Applicant {
    /// Who asks for the renewal of a certificate, or for another one beside it.
    pub fn holding(identity: &NfIdentity, certificate: CertificateId) -> Self {
        let NfIdentity {
            instance_id,
            nf_types,
            fqdns,
            not_after: _,
        } = identity.clone();
        Self {
            instance_id,
            nf_types,
            fqdns,
            reservation: None,
            certificate: Some(certificate),
            has_expired: false,
        }
    }
}

impl Applicant {
    /// Whom the authority has made known before: an NF instance of a type, with these FQDNs.
    pub const fn known(instance_id: Uuid, nf_types: Vec<String>, fqdns: Vec<String>) -> Self {
        Self {
            instance_id,
            nf_types,
            fqdns,
            reservation: None,
            certificate: None,
            has_expired: false,
        }
    }

    /// Refuses a CSR that asks for more than the applicant may have.
    ///
    /// # Errors
    /// [`Refusal::Excess`].
    pub fn check(&self, csr: &Csr) -> Result<(), Refusal> {
        let excess = excess(csr, self);
        if excess.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Excess(excess))
        }
    }
}

/// What a token is good for.
pub enum Redeemed {
    /// A certificate.
    New(Applicant),
    /// The certificate that was issued for the same request.
    Again(Box<IssuedCertificate>),
}

/// A digest of what makes two requests with one token the same: the key, whose possession both have proven, and the profile. A signature is not
/// the same when it is made again, and what else a request says changes nothing of the certificate.
pub fn digest_of(profile: &str, csr: &Csr) -> RequestDigest {
    let mut context = Context::new(&SHA256);
    for part in [profile.as_bytes(), &[0], &csr.spki_der] {
        context.update(part);
    }
    let mut digest = RequestDigest::default();
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

impl Enrolment {
    /// What an enrolment token says.
    ///
    /// # Errors
    /// [`Refusal::Token`].
    pub fn verify_token(&self, token: &str) -> Result<EnrolmentClaims, Refusal> {
        let verified = self.tokens.verify(token, self.clock.now());
        Ok(verified.inspect_err(|error| self.metrics.checked_token(error.check()))?)
    }

    /// What the reference number of a CMP secret says, which is nothing without that secret.
    ///
    /// # Errors
    /// [`Refusal::Token`].
    pub fn verify_reference(&self, reference: &str) -> Result<EnrolmentClaims, Refusal> {
        let verified = self.tokens.verify_reference(reference, self.clock.now());
        Ok(verified.inspect_err(|error| self.metrics.checked_token(error.check()))?)
    }

    /// What the key identifier of an external account says, which is nothing without the account's MAC key.
    ///
    /// # Errors
    /// [`Refusal::Token`].
    pub fn verify_external_account(&self, key_id: &str) -> Result<EnrolmentClaims, Refusal> {
        let now = self.clock.now();
        let verified = self.tokens.verify_external_account(key_id, now);
        Ok(verified.inspect_err(|error| self.metrics.checked_token(error.check()))?)
    }

    /// Takes a token for a request under a profile. Dropping the applicant frees it again.
    ///
    /// # Errors
    /// It was used for another request, what it was used for cannot be had again, or the CSR asks for more than it may.
    pub async fn redeem(
        &self,
        claims: EnrolmentClaims,
        profile: &str,
        csr: &Csr,
    ) -> Result<Redeemed, Refusal> {
        let reserved = self
            .used
            .reserve(&claims, digest_of(profile, csr))
            .inspect_err(|error| self.metrics.checked_token(error.check()))?;
        let EnrolmentClaims {
            sub: instance_id,
            nf_type,
            fqdn: fqdns,
            jti,
            ..
        } = claims;
        let mut applicant = Applicant {
            instance_id,
            nf_types: vec![nf_type],
            fqdns,
            reservation: None,
            certificate: None,
            has_expired: false,
        };
        match reserved {
            Reserved::New(reservation) => applicant.reservation = Some(reservation),
            Reserved::Again(answer) => {
                applicant.check(csr)?;
                self.metrics.checked_token("repeated");
                let issued = self.issued_before(answer, jti).await?;
                tracing::info!(
                    nf_instance_id = %instance_id,
                    certificate = issued.certificate_id,
                    "answered a repeated request with the same certificate"
                );
                return Ok(Redeemed::Again(Box::new(issued)));
            }
        }
        self.metrics.checked_token("ok");
        Ok(Redeemed::New(applicant))
    }

    /// Who a token of a pod is for; none if it is not one, or pods may not enrol here.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Refusal::Pod`].
    pub async fn pod(&self, token: &str) -> Result<Option<Applicant>, Refusal> {
        let Some(pods) = self.pods.as_ref().filter(|_| Pods::concerns(token)) else {
            return Ok(None);
        };
        let verified = pods.verify(token, self.clock.now()).await;
        let Certifiable { pod, nf_type, fqdn } =
            verified.inspect_err(|error| self.metrics.checked_token(error.check()))?;
        self.metrics.checked_token("pod");
        let instance_id = pod.instance_id();
        tracing::info!(nf_instance_id = %instance_id, %pod, uid = pod.uid(), "a pod enrols");
        Ok(Some(Applicant {
            instance_id,
            nf_types: vec![nf_type.to_string()],
            fqdns: vec![fqdn],
            reservation: None,
            certificate: None,
            has_expired: false,
        }))
    }

    /// Who asks for a renewal with a certificate that had expired when it was shown, if that was not too long ago: a connection may be
    /// older than the request.
    ///
    /// # Errors
    /// [`Refusal::ExpiredTooLong`].
    pub fn renewing_expired(
        &self,
        identity: &NfIdentity,
        certificate: CertificateId,
    ) -> Result<Applicant, Refusal> {
        let (now, not_after) = (self.clock.now(), UnixTime(identity.not_after));
        let allowed = now <= not_after.plus(self.renew_expired);
        self.metrics.renewed_expired(allowed);
        let ago = now.0.saturating_sub(not_after.0);
        tracing::warn!(
            nf_instance_id = %identity.instance_id,
            %not_after,
            allowed,
            "asked to renew a certificate that expired {ago} s ago"
        );
        if !allowed {
            return Err(Refusal::ExpiredTooLong {
                ago,
                within: self.renew_expired,
            });
        }
        Ok(Applicant {
            has_expired: true,
            ..Applicant::holding(identity, certificate)
        })
    }

    /// Issues what an applicant asks for. When this returns, the certificate is durable, and so is the use of its token.
    ///
    /// Dropping the future abandons the answer; the certificate may be issued all the same, and a token is free again unless its use
    /// was recorded.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn enrol(
        &self,
        applicant: Applicant,
        profile: &str,
        csr: &Csr,
    ) -> Result<IssuedCertificate, Refusal> {
        self.require_unrevoked(&applicant)?;
        if applicant.has_expired && profile != MTC_PROFILE {
            return Err(Refusal::ExpiredProfile);
        }
        applicant.check(csr)?;
        let subject = NfSubject::new(
            &self.country,
            &self.organization,
            applicant.instance_id,
            &applicant.nf_types,
            &applicant.fqdns,
        )
        .map_err(Refusal::Subject)?;
        let issued = self.certify(profile, csr, &subject).await?;
        // It may have been revoked meanwhile, and what was issued stays here.
        self.require_unrevoked(&applicant)?;
        if let Some(reservation) = applicant.reservation {
            let (answers, issued) = (self.answers.clone(), issued.clone());
            let record = move || record(reservation, &answers, &issued);
            let recorded = tokio::task::spawn_blocking(record).await;
            if let Ok(Err(error)) = &recorded {
                tracing::error!(error = %Causes(error), "cannot record the use of a token, so the request is not answered");
            }
            recorded.ok().and_then(Result::ok).ok_or(Refusal::Failed)?;
        }
        tracing::info!(
            nf_instance_id = %applicant.instance_id,
            profile,
            certificate = issued.certificate_id,
            "issued a certificate"
        );
        Ok(issued)
    }

    /// Refuses who is known by a certificate that was revoked.
    fn require_unrevoked(&self, applicant: &Applicant) -> Result<(), Refusal> {
        match &applicant.certificate {
            Some(certificate) if self.revoked.contains(certificate) => {
                tracing::warn!(nf_instance_id = %applicant.instance_id, "asked to renew a certificate that was revoked");
                Err(Refusal::Revoked)
            }
            _ => Ok(()),
        }
    }

    /// Issues under a profile for a subject that is entitled to it.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn certify(
        &self,
        profile: &str,
        csr: &Csr,
        subject: &NfSubject,
    ) -> Result<IssuedCertificate, Refusal> {
        if profile == MTC_PROFILE {
            let issuance = self.mtca()?.issue(subject, &csr.spki_der).await?;
            self.metrics.issued(MTC_PROFILE);
            return Ok(issued_mtc(&issuance));
        }
        let baseline = self.baseline(profile)?;
        let (not_before, not_after) = validity(self.clock, self.lifetime);
        let chain = baseline
            .issue(&csr.spki_der, subject, not_before, not_after)
            .map_err(|error| {
                tracing::error!(error = %Causes(&error), "X.509 issuance failed");
                Refusal::Failed
            })?;
        self.metrics
            .issued(&TrustDomain::X509(baseline.profile()).to_string());
        Ok(IssuedCertificate {
            certificate_id: Uuid::new_v4().to_string(),
            profile: profile.to_owned(),
            chain: chain
                .iter()
                .map(|certificate| STANDARD.encode(certificate))
                .collect(),
            not_after: not_after.0,
            landmark_relative: None,
        })
    }

    /// The X.509 CA of a profile.
    ///
    /// # Errors
    /// [`Refusal::Profile`].
    pub fn baseline(&self, profile: &str) -> Result<&BaselineCa, Refusal> {
        let baseline = match profile.parse() {
            Ok(TrustDomain::X509(wanted)) => self
                .baselines
                .iter()
                .find(|baseline| baseline.profile() == wanted),
            _ => None,
        };
        baseline.ok_or_else(|| {
            let known = self
                .baselines
                .iter()
                .map(|baseline| TrustDomain::X509(baseline.profile()).to_string());
            Refusal::Profile {
                wanted: profile.to_owned(),
                known: std::iter::once(MTC_PROFILE.to_owned())
                    .chain(known)
                    .collect(),
            }
        })
    }

    /// An MTC that was issued and has not expired.
    ///
    /// # Errors
    /// There is none, or the log cannot be read.
    pub async fn issued(&self, serial: u64) -> Result<IssuedCertificate, Refusal> {
        Ok(issued_mtc(&self.mtca()?.standalone(serial).await?))
    }

    /// The landmark-relative certificate of an issued MTC, or when to ask again.
    ///
    /// # Errors
    /// There is no such certificate, its log is retired, or the log cannot be read.
    pub async fn landmark_relative(&self, serial: u64) -> Result<LandmarkAnswer, Refusal> {
        let mtca = self.mtca()?;
        Ok(match mtca.landmark_relative(serial).await? {
            Some(ready) => LandmarkAnswer::Ready(LandmarkRelativeCertificate {
                certificate: STANDARD.encode(ready.certificate),
                log_number: mtca.log().number().get().into(),
                landmark: ready.landmark.number,
            }),
            None => {
                let wait = mtca.until_next_landmark().await?;
                LandmarkAnswer::RetryAfter(
                    wait.clamp(Duration::from_secs(1), LONGEST_LANDMARK_WAIT),
                )
            }
        })
    }

    /// What issues Merkle Tree Certificates.
    fn mtca(&self) -> Result<&Arc<Mtca>, Refusal> {
        self.mtca
            .as_ref()
            .map_err(|unopened| Refusal::Unopened(unopened.clone()))
    }

    /// The certificate with which a request was answered before.
    async fn issued_before(&self, answer: Answer, jti: Uuid) -> Result<IssuedCertificate, Refusal> {
        let found = match answer {
            Answer::Serial(serial) => match self.mtca()?.standalone(serial).await {
                Ok(issuance) => Some(issued_mtc(&issuance)),
                Err(MtcaError::Unknown(_)) => None,
                Err(error) => return Err(error.into()),
            },
            Answer::Kept => {
                let (answers, now) = (self.answers.clone(), self.clock.now());
                let found = tokio::task::spawn_blocking(move || answers.find(jti, now)).await;
                found.map_err(|_| Refusal::Failed)?.map_err(|error| {
                    tracing::error!(error = %Causes(&error), "cannot answer a repeated request");
                    Refusal::Failed
                })?
            }
        };
        found.ok_or(Refusal::AnswerExpired)
    }
}

/// Why the use of a token was not recorded.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    /// The answer could not be kept.
    #[error(transparent)]
    Answer(#[from] FileError),
    /// The record of used tokens could not be written.
    #[error(transparent)]
    Token(#[from] Arc<UsedTokensError>),
}

/// Records what a token was used for, so that the answer can be repeated. Blocks on the disk.
fn record(
    reservation: Reservation,
    answers: &Answers,
    issued: &IssuedCertificate,
) -> Result<(), RecordError> {
    let answer = match (&issued.landmark_relative, issued.certificate_id.parse()) {
        (Some(_), Ok(serial)) => Answer::Serial(serial),
        _ => {
            answers.keep(reservation.jti(), issued)?;
            Answer::Kept
        }
    };
    Ok(reservation.consume(answer)?)
}

fn issued_mtc(issuance: &Issuance) -> IssuedCertificate {
    let certificate_id = issuance.serial.to_string();
    IssuedCertificate {
        landmark_relative: Some(format!("{CERTIFICATES}/{certificate_id}/landmark-relative")),
        certificate_id,
        profile: MTC_PROFILE.to_owned(),
        chain: vec![STANDARD.encode(&issuance.certificate)],
        not_after: issuance.not_after.0,
    }
}

/// What a CSR asks for beyond the applicant's names, and beyond what the certificate of an NF is for.
fn excess(csr: &Csr, applicant: &Applicant) -> Vec<Excess> {
    let mut excess = Vec::new();
    let mut add = |member, reason| excess.push(Excess { member, reason });
    if let Some(instance) = csr
        .instance_id
        .filter(|instance| *instance != applicant.instance_id)
    {
        let reason = format!(
            "the CSR is for NF instance {instance}, the token or certificate for {}",
            applicant.instance_id
        );
        add("subjectAltName", reason);
    }
    for fqdn in &csr.fqdns {
        if !applicant.fqdns.contains(fqdn) {
            let allowed = applicant.fqdns.join(", ");
            let reason =
                format!("the CSR asks for {fqdn}, the token or certificate allows {allowed}");
            add("subjectAltName", reason);
        }
    }
    for nf_type in &csr.nf_types {
        if !applicant.nf_types.contains(nf_type) {
            let allowed = applicant.nf_types.join(", ");
            let reason = format!(
                "the CSR asks for NF type {nf_type}, the token or certificate allows {allowed}"
            );
            add("nfTypes", reason);
        }
    }
    for privilege in &csr.privileges {
        add(privilege.member(), privilege.to_string());
    }
    excess
}
