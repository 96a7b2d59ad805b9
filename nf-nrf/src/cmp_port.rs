//! CMP (RFC 9810, in the profile of RFC 9483) over HTTP (RFC 9811), one edge of [`crate::enrolment`].
//!
//! ```text
//! GET  /.well-known/cmp[/p/<profile>]    who signs the answers
//! POST /.well-known/cmp[/p/<profile>]
//!   bytes ──> Message ── sender ──> who protects it: a secret of ours, or a certificate that we issued
//!                           └─ transactions ──> is it new, or the next of one that we know?
//!                                 └─ Body ──> ir, cr, kur, p10cr ──> Enrolment::enrol ──> ip, cp, kup
//!                                             certConf, pollReq, rr, genm
//!   bytes <── the answer, protected as the request was <──┘
//! ```
//!
//! The port is in cleartext: CMP protects its messages itself, end to end, and what they say is public afterwards. Nobody has to have a
//! certificate, or to trust one, to get his first.
//!
//! The MTC that is issued is the standalone one. Its landmark-relative form is made of it and the public log by whoever wants to (`mtc5g log prove
//! --landmark-certificate`), so that CMP needs no message that only this CA knows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use aws_lc_rs::rand;
use cmp::reply::{self, PKCS10_REQUEST_ID};
use cmp::{
    Body, CertRequest, Confirmation, Failure, Header, MAX_MESSAGE, MAX_NONCE, MAX_TRANSACTION_ID,
    MIN_NONCE, Message, Reply, RequestKind, Revocation,
};
use hyper::header::CACHE_CONTROL;
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_core::cosign::KeyError;
use mtc_core::printable::printable;
use mtc_core::time::UnixTime;
use mtc_core::x509::Certificate;
use mtc_tls::csr::Csr;
use mtc_tls::endpoint::Endpoint;
use mtc_tls::identity::CertificateId;
use mtc_tls::key::KeyAlgorithm;
use mtc_tls::pem;
use mtc_tls::profile::TrustDomain;
use mtc_tls::signing::Signing;
use sbi::enrolment::{IssuedCertificate, MTC_PROFILE};
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Request};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::enrolment::{Applicant, Enrolment, Redeemed};
use crate::enrolment_token::SharedSecrets;
use crate::metrics::NrfMetrics;
use crate::revoked::{Revoked, RevokedError};
use crate::witness_times::CLOCK_TOLERANCE;

mod refused;
mod sender;
mod transactions;

use refused::Refused;
use sender::{Protector, Sender};
use transactions::{Nonce, Outcome, Stage, Transactions};

/// Media type of requests and answers (RFC 9811 section 3.4).
const PKIXCMP: &str = "application/pkixcmp";
/// Media type of certificates in PEM (RFC 8555 section 9.1).
const PEM_CHAIN: &str = "application/pem-certificate-chain";
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Versions that are spoken: cmp2000 and cmp2021.
const VERSIONS: std::ops::RangeInclusive<u64> = 2..=3;
/// How long a request waits for its certificate before its sender is told to poll.
const PATIENCE: Duration = Duration::from_secs(5);
/// As metrics name the answer that a certificate has to be polled for.
const WAITING: &str = "waiting";
/// When to poll.
const POLL_AFTER: Duration = Duration::from_secs(1);
/// `GeneralName` of nobody: a directoryName without members, for answers to what cannot be read.
const NOBODY: [u8; 4] = [0xa4, 2, 0x30, 0];

/// Answers on the CMP port.
pub struct CmpPort {
    /// What issues.
    enrolment: Arc<Enrolment>,
    /// What secrets are derived from.
    secrets: SharedSecrets,
    /// Judges certificates that protect messages, and has those that protect answers.
    endpoint: Endpoint,
    /// DER of this NRF's subject Name, as a GeneralName.
    name: Vec<u8>,
    transactions: Arc<Transactions>,
    /// Taken by whoever derives a key from a secret.
    deriving: Arc<Semaphore>,
    metrics: NrfMetrics,
}

/// A request whose sender is known.
struct Known<'a> {
    header: &'a Header<'a>,
    sender: &'a Sender,
    /// The transaction ID.
    transaction: &'a [u8],
    /// The profile that is asked for.
    profile: &'a str,
}

/// What is answered: a body, and what goes with it.
struct Answer {
    body: Vec<u8>,
    /// Certificates that the requester may need, without the one that protects the answer.
    extra_certs: Vec<Vec<u8>>,
    /// Whether certConf is not waited for.
    implicit_confirm: bool,
    /// As metrics name it.
    result: &'static str,
}

impl From<Vec<u8>> for Answer {
    fn from(body: Vec<u8>) -> Self {
        Self {
            body,
            extra_certs: Vec::new(),
            implicit_confirm: false,
            result: "ok",
        }
    }
}

/// What is asked for, whatever form it has.
struct Wanted<'a> {
    /// None for a PKCS#10 request.
    kind: Option<RequestKind>,
    /// Contents octets of `certReqId`.
    id: &'a [u8],
    csr: Csr,
    /// DER of the subject that it wants.
    subject: Option<&'a [u8]>,
    has_validity: bool,
}

impl CmpPort {
    /// A port whose answers name `name`, the DER of the NRF's subject.
    pub fn new(
        enrolment: Arc<Enrolment>,
        secrets: SharedSecrets,
        endpoint: Endpoint,
        name: &[u8],
    ) -> Self {
        Self {
            metrics: enrolment.metrics.clone(),
            enrolment,
            secrets,
            endpoint,
            name: reply::directory_name(name),
            transactions: Arc::default(),
            deriving: Arc::new(Semaphore::new(1)),
        }
    }

    /// The answer to a message: always one, of whatever bytes.
    pub async fn answer(&self, bytes: &[u8], label: Option<&str>) -> Vec<u8> {
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(error) => {
                let refused = Refused::new(Failure::BadDataFormat, Causes(&error).to_string());
                return self.unprotected(None, &refused);
            }
        };
        let header = &message.header;
        let (sender, protector) = match self.know(&message).await {
            Ok(known) => known,
            Err(refused) => return self.unprotected(Some(header), &refused),
        };
        let nonce = new_nonce();
        let body = Body::parse(message.body);
        let name = body.as_ref().map_or("other", Body::name);
        let acting = async {
            self.check_time(header, &sender)?;
            let known = Known {
                header,
                sender: &sender,
                transaction: header.transaction_id.unwrap_or_default(),
                profile: profile(header, label)?,
            };
            self.act(&known, &body?, nonce).await
        };
        let answer = acting.await.unwrap_or_else(|refused| {
            if matches!(name, "ir" | "cr" | "kur" | "p10cr") {
                self.metrics.enrolled_by_cmp(Some(refused.failure));
            }
            tracing::info!(body = name, failure = %refused.failure, %sender, "refused a CMP message: {}", printable(&refused.text));
            Answer {
                result: refused.failure.as_str(),
                ..reply::error(refused.failure, &refused.text).into()
            }
        });
        self.metrics.answered_cmp(name, answer.result);
        let reply = Reply {
            version: header.version,
            sender: &self.name,
            recipient: header.sender,
            time: self.now(),
            key_id: sender.reference(),
            transaction_id: header.transaction_id,
            nonce: &nonce,
            recipient_nonce: header.sender_nonce,
            implicit_confirm: answer.implicit_confirm,
            body: &answer.body,
        };
        let protected = protector.protect(&reply, &answer.extra_certs);
        protected.unwrap_or_else(|error| {
            tracing::error!(error = %Causes(&error), "cannot sign a CMP answer");
            reply.unprotected()
        })
    }

    fn now(&self) -> UnixTime {
        self.enrolment.clock.now()
    }

    /// An error that nothing protects, since it is not known who asked.
    fn unprotected(&self, header: Option<&Header<'_>>, refused: &Refused) -> Vec<u8> {
        self.metrics
            .answered_cmp("unknown", refused.failure.as_str());
        tracing::info!(failure = %refused.failure, "refused a CMP message: {}", printable(&refused.text));
        let body = reply::error(refused.failure, &refused.text);
        Reply {
            version: header
                .map(|header| header.version)
                .filter(|version| VERSIONS.contains(version))
                .unwrap_or(*VERSIONS.start()),
            sender: &self.name,
            recipient: header.map_or(&NOBODY, |header| header.sender),
            time: self.now(),
            key_id: None,
            transaction_id: header.and_then(|header| header.transaction_id),
            nonce: &new_nonce(),
            recipient_nonce: header.and_then(|header| header.sender_nonce),
            implicit_confirm: false,
            body: &body,
        }
        .unprotected()
    }

    /// Checks what every message must have, and who protects it.
    async fn know(&self, message: &Message<'_>) -> Result<(Sender, Protector), Refused> {
        let header = &message.header;
        if !VERSIONS.contains(&header.version) {
            let text = format!("pvno {} is not one of 2 and 3", header.version);
            return Err(Refused::new(Failure::UnsupportedVersion, text));
        }
        let has_id = header
            .transaction_id
            .is_some_and(|id| (1..=MAX_TRANSACTION_ID).contains(&id.len()));
        if !has_id {
            let text = format!("transactionID does not have 1 to {MAX_TRANSACTION_ID} octets");
            return Err(Refused::new(Failure::BadRequest, text));
        }
        let has_nonce = header
            .sender_nonce
            .is_some_and(|nonce| (MIN_NONCE..=MAX_NONCE).contains(&nonce.len()));
        if !has_nonce {
            let text = format!("senderNonce does not have {MIN_NONCE} to {MAX_NONCE} octets");
            return Err(Refused::new(Failure::BadSenderNonce, text));
        }
        self.authenticate(message).await
    }

    /// A message must be of these minutes. One that a certificate signs must say so: nothing else keeps it from being sent again after
    /// a restart.
    fn check_time(&self, header: &Header<'_>, sender: &Sender) -> Result<(), Refused> {
        let now = self.now();
        match header.time {
            Some(time) if now.0.abs_diff(time.0) > CLOCK_TOLERANCE.as_secs() => {
                let text = format!(
                    "messageTime {time} is {} s away from this clock, {now}; is a clock wrong?",
                    now.0.abs_diff(time.0)
                );
                Err(Refused::new(Failure::BadTime, text))
            }
            None if sender.reference().is_none() => Err(Refused::new(
                Failure::BadTime,
                "a signed message needs messageTime".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    async fn act(
        &self,
        known: &Known<'_>,
        body: &Body<'_>,
        nonce: Nonce,
    ) -> Result<Answer, Refused> {
        match body {
            Body::Request(kind, request) => {
                let wanted = self.read_request(known, *kind, request)?;
                self.begin(known, nonce)?;
                self.issue(known, &wanted).await
            }
            Body::Pkcs10(request) => {
                let csr = Csr::parse_and_verify(request)?;
                let wanted = Wanted {
                    kind: None,
                    id: PKCS10_REQUEST_ID,
                    csr,
                    subject: None,
                    has_validity: false,
                };
                self.begin(known, nonce)?;
                self.issue(known, &wanted).await
            }
            Body::Confirmation(confirmation) => {
                let stage = self.follow(known, nonce)?;
                self.confirm(known, *confirmation, stage).await
            }
            Body::Poll(id) => {
                let stage = self.follow(known, nonce)?;
                self.poll(known, id, stage).await
            }
            Body::Revocation(revocation) => {
                self.begin(known, nonce)?;
                self.transactions.set(known.transaction, Stage::Ended);
                Ok(self.revocation(known.sender, revocation).await)
            }
            Body::CaCertificates => {
                self.begin(known, nonce)?;
                self.transactions.set(known.transaction, Stage::Ended);
                Ok(reply::ca_certificates(&self.roots(known.profile)).into())
            }
            Body::Error(_) => {
                self.follow(known, nonce)?;
                self.transactions.set(known.transaction, Stage::Ended);
                Ok(reply::confirmed().into())
            }
        }
    }

    /// Begins a transaction.
    fn begin(&self, known: &Known<'_>, nonce: Nonce) -> Result<(), Refused> {
        let id = known.transaction.to_vec();
        self.transactions
            .begin(id, known.sender.id(), nonce, Instant::now())
    }

    /// The next message of a transaction.
    fn follow(&self, known: &Known<'_>, nonce: Nonce) -> Result<Stage, Refused> {
        let heard = known.header.recipient_nonce;
        self.transactions
            .follow(known.transaction, &known.sender.id(), heard, nonce)
    }

    /// Checks a request in CRMF and the proof that it has.
    fn read_request<'a>(
        &self,
        known: &Known<'_>,
        kind: RequestKind,
        request: &'a CertRequest<'a>,
    ) -> Result<Wanted<'a>, Refused> {
        if kind == RequestKind::Update {
            let Sender::Certificate(signer) = known.sender else {
                return Err(Refused::new(
                    Failure::WrongIntegrity,
                    "kur must be signed with the certificate that is to be replaced".to_owned(),
                ));
            };
            if let Some((issuer, serial)) = request.old_certificate
                && (serial != signer.certificate.serial()
                    || issuer != reply::directory_name(signer.certificate.issuer()))
            {
                let text = "oldCertID is not the certificate that signed the message".to_owned();
                return Err(Refused::new(Failure::BadCertId, text));
            }
        }
        let spki = request.proven_key()?;
        let csr = Csr::of_proven_key(spki, request.template.extensions)?;
        Ok(Wanted {
            kind: Some(kind),
            id: request.id,
            csr,
            subject: request.template.subject,
            has_validity: request.template.has_validity,
        })
    }

    /// Has the certificate issued, in a task of its own: whoever asked may go away and ask again.
    async fn issue(&self, known: &Known<'_>, wanted: &Wanted<'_>) -> Result<Answer, Refused> {
        let (outcome, mut issuing) = watch::channel(None);
        let (enrolment, profile) = (self.enrolment.clone(), known.profile.to_owned());
        let (csr, revoked) = (wanted.csr.clone(), self.enrolment.revoked.clone());
        let claims = match known.sender {
            Sender::Secret { claims, .. } => Ok(claims.clone()),
            Sender::Certificate(signer) => Err(Applicant::holding(
                &signer.identity,
                signer.certificate.clone(),
            )),
        };
        tokio::spawn(async move {
            let issue = async {
                let applicant = match claims {
                    Ok(claims) => match enrolment.redeem(claims, &profile, &csr).await? {
                        Redeemed::Again(issued) => return again(&issued, &revoked),
                        Redeemed::New(applicant) => applicant,
                    },
                    Err(applicant) => applicant,
                };
                chain(&enrolment.enrol(applicant, &profile, &csr).await?)
            };
            let chain = issue.await;
            let refused = chain.as_ref().err();
            enrolment
                .metrics
                .enrolled_by_cmp(refused.map(|refused| refused.failure));
            outcome.send_replace(Some(chain));
        });
        let pending = transactions::Issuing {
            kind: wanted.kind,
            id: wanted.id.to_vec(),
            mods: mods(wanted),
            implicit_confirm: known.header.implicit_confirm,
            outcome: issuing.clone(),
        };
        let waited = timeout(PATIENCE, issuing.wait_for(Option::is_some)).await;
        self.outcome(known, pending, waited.is_ok())
    }

    /// Answers with what has become of a request.
    fn outcome(
        &self,
        known: &Known<'_>,
        issuing: transactions::Issuing,
        is_over: bool,
    ) -> Result<Answer, Refused> {
        let transaction = known.transaction;
        let outcome: Option<Outcome> = issuing.outcome.borrow().clone();
        let chain = match outcome {
            Some(Ok(chain)) => chain,
            Some(Err(refused)) => {
                self.transactions.set(transaction, Stage::Ended);
                let text = &refused.text;
                tracing::info!(failure = %refused.failure, sender = %known.sender, "refused a CMP request: {}", printable(text));
                let body =
                    reply::no_certificate(issuing.kind, &issuing.id, Some(refused.failure), text);
                return Ok(Answer {
                    result: refused.failure.as_str(),
                    ..body.into()
                });
            }
            // The task has panicked.
            None if is_over => {
                self.transactions.set(transaction, Stage::Ended);
                let text = "the NRF failed; its log says why".to_owned();
                return Err(Refused::new(Failure::SystemFailure, text));
            }
            None => {
                let text = "the certificate is being logged and cosigned";
                let body = reply::no_certificate(issuing.kind, &issuing.id, None, text);
                self.transactions
                    .set(transaction, Stage::Issuing(Box::new(issuing)));
                return Ok(Answer {
                    result: WAITING,
                    ..body.into()
                });
            }
        };
        let Some((leaf, intermediates)) = chain.split_first() else {
            let text = "the chain is empty".to_owned();
            return Err(Refused::new(Failure::SystemFailure, text));
        };
        let roots = match known.sender {
            // Who shares a secret has been told whom to trust; who has a certificate knew before.
            Sender::Secret { .. } => self.roots(known.profile),
            Sender::Certificate(_) => Vec::new(),
        };
        let mods = issuing.mods.said_of(leaf);
        let body = reply::certificate(issuing.kind, &issuing.id, mods, leaf, &roots);
        let stage = if issuing.implicit_confirm {
            Stage::Ended
        } else {
            Stage::Issued {
                id: issuing.id,
                certificate: leaf.clone(),
            }
        };
        self.transactions.set(transaction, stage);
        Ok(Answer {
            body,
            extra_certs: intermediates.to_vec(),
            implicit_confirm: issuing.implicit_confirm,
            result: "ok",
        })
    }

    async fn poll(&self, known: &Known<'_>, id: &[u8], stage: Stage) -> Result<Answer, Refused> {
        let Stage::Issuing(issuing) = stage else {
            let text = "nothing is being issued in this transaction".to_owned();
            return Err(Refused::new(Failure::BadRequest, text));
        };
        if issuing.id != id {
            let text = "certReqId is not that of the request".to_owned();
            return Err(Refused::new(Failure::BadRequest, text));
        }
        let mut outcome = issuing.outcome.clone();
        let waited = timeout(PATIENCE, outcome.wait_for(Option::is_some)).await;
        if waited.is_err() {
            return Ok(Answer {
                result: WAITING,
                ..reply::poll_again(id, POLL_AFTER).into()
            });
        }
        self.outcome(known, *issuing, true)
    }

    /// Hears that the certificate has arrived, or is not wanted.
    async fn confirm(
        &self,
        known: &Known<'_>,
        confirmation: Confirmation<'_>,
        stage: Stage,
    ) -> Result<Answer, Refused> {
        let Stage::Issued {
            id: requested,
            certificate,
        } = stage
        else {
            let text = "no certificate waits for its confirmation in this transaction".to_owned();
            return Err(Refused::new(Failure::BadRequest, text));
        };
        let Confirmation { hash, id, accepted } = confirmation;
        // A PKCS#10 request has no number. RFC 9483 has -1 for it, and OpenSSL 3.0 the 0 of any other first request.
        let is_first = requested == PKCS10_REQUEST_ID && id == [0];
        let rejects_all = id.is_empty() && !accepted;
        if !(id == requested || is_first || rejects_all) {
            let text = "certReqId is not that of the request".to_owned();
            return Err(Refused::new(Failure::BadRequest, text));
        }
        // The length tells the hash, whatever the certificate is signed with: an MTC is signed with none.
        let is_its_hash = [&SHA256, &SHA384, &SHA512]
            .into_iter()
            .any(|algorithm| digest(algorithm, &certificate).as_ref() == hash);
        let rejects_without_hash = hash.is_empty() && !accepted;
        if !(is_its_hash || rejects_without_hash) {
            let text = "certHash is not that of the certificate".to_owned();
            return Err(Refused::new(Failure::BadCertId, text));
        }
        if !accepted {
            tracing::warn!(sender = %known.sender, "a certificate was issued that its requester does not want");
            let revoked = &self.enrolment.revoked;
            match revoked.mark(&certificate, None, self.now()).await {
                // The same request had the same certificate again.
                Ok(()) | Err(RevokedError::Already) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.transactions.set(known.transaction, Stage::Ended);
        Ok(reply::confirmed().into())
    }

    /// Revokes the certificate that asks for it, and answers with `rp` whatever comes of it (RFC 9483 section 4.2).
    async fn revocation(&self, sender: &Sender, revocation: &Revocation<'_>) -> Answer {
        let Err(Refused { failure, text }) = self.revoke(sender, revocation).await else {
            return reply::revocation(None, REVOKED).into();
        };
        tracing::info!(%failure, %sender, "refused a revocation by CMP: {}", printable(&text));
        Answer {
            result: failure.as_str(),
            ..reply::revocation(Some(failure), &text).into()
        }
    }

    async fn revoke(&self, sender: &Sender, revocation: &Revocation<'_>) -> Result<(), Refused> {
        let Sender::Certificate(signer) = sender else {
            return Err(Refused::new(
                Failure::WrongIntegrity,
                "rr must be signed with the certificate that is to be revoked".to_owned(),
            ));
        };
        let template = &revocation.template;
        let (Some(serial), Some(issuer)) = (template.serial, template.issuer) else {
            let text = "certDetails lacks serialNumber or issuer".to_owned();
            return Err(Refused::new(Failure::BadCertTemplate, text));
        };
        if serial != signer.certificate.serial() || issuer != signer.certificate.issuer() {
            return Err(Refused::new(
                Failure::NotAuthorized,
                "a certificate can have itself revoked, and no other".to_owned(),
            ));
        }
        let revoked = &self.enrolment.revoked;
        revoked
            .mark(&signer.leaf, revocation.reason, self.now())
            .await?;
        tracing::warn!(sender = %sender, reason = revocation.reason, "a certificate was revoked by its holder");
        Ok(())
    }

    /// The certificates of the one who signs the answers to a holder of a certificate of this profile, with such a key as the query says
    /// (`key=ml-dsa-65`), or one on P-256: for clients that cannot verify an MTC, and go by the key of one that was verified by others.
    fn signer(&self, profile: &str, query: &str) -> Result<Response, Problem> {
        let domain = if profile == MTC_PROFILE {
            TrustDomain::MtcStandalone
        } else {
            TrustDomain::X509(self.enrolment.baseline(profile)?.profile())
        };
        let algorithm = match query.strip_prefix("key=") {
            Some(name) => name.parse().map_err(|error: KeyError| {
                Problem::new(StatusCode::BAD_REQUEST, format!("key: {error}"))
            })?,
            None => KeyAlgorithm::EcdsaP256,
        };
        let signing = self.signing(domain, algorithm).ok_or_else(|| {
            Problem::not_found(format!(
                "this NRF has neither a certificate of profile {profile} nor one with a key of {algorithm}"
            ))
        })?;
        let chain = signing.chain();
        let pem: String = chain
            .map(|der| pem::encode(pem::CERTIFICATE, der))
            .collect();
        Ok(Response::bytes(StatusCode::OK, PEM_CHAIN, pem).with(CACHE_CONTROL, NO_STORE))
    }

    /// DER of the root of an X.509 profile; of the MTCA, whose certificate is in the trust file, there is none.
    fn roots(&self, profile: &str) -> Vec<&[u8]> {
        let roots = self.enrolment.baseline(profile).into_iter();
        roots.map(|baseline| baseline.root().as_ref()).collect()
    }

    /// The certificate and key that protect what is answered to the holder of a certificate of this domain and algorithm.
    fn signing(&self, domain: TrustDomain, algorithm: KeyAlgorithm) -> Option<Signing> {
        Signing::answering(&self.endpoint.credentials(), domain, algorithm)
    }
}

/// What is said to who has revoked a certificate.
const REVOKED: &str = "recorded: this NRF certifies nobody on the strength of this certificate any more; a Merkle Tree Certificate is refused by relying \
                       parties as soon as they have fetched the next list of revoked serial numbers";

/// The certificates of an answer, leaf first.
fn chain(issued: &IssuedCertificate) -> Outcome {
    issued
        .chain_der()
        .map_err(|error| Refused::new(Failure::SystemFailure, error.to_string()))
}

/// As [`chain`], of a certificate that was issued for the same request before, which its requester may have rejected since.
fn again(issued: &IssuedCertificate, revoked: &Revoked) -> Outcome {
    let chain = chain(issued)?;
    let leaf = chain.first().and_then(|leaf| Certificate::parse(leaf).ok());
    let is_revoked = leaf.is_some_and(|leaf| {
        revoked.contains(&CertificateId::new(leaf.statement.issuer, leaf.serial))
    });
    if is_revoked {
        let text = "the secret was used for a certificate that was rejected or revoked since; mtc5g token --cmp mints a new one";
        return Err(Refused::new(Failure::CertRevoked, text.to_owned()));
    }
    Ok(chain)
}

/// What of a request cannot be granted as it stands.
fn mods(wanted: &Wanted<'_>) -> transactions::Mods {
    transactions::Mods {
        subject: wanted.subject.map(subject_digest),
        has_validity: wanted.has_validity,
    }
}

impl transactions::Mods {
    /// What is not as it was asked for in this certificate; nothing if all is.
    fn said_of(&self, leaf: &[u8]) -> Option<&'static str> {
        let other_subject = self.subject.as_ref().is_some_and(|wanted| {
            Certificate::parse(leaf)
                .is_ok_and(|leaf| subject_digest(leaf.statement.subject) != *wanted)
        });
        (other_subject || self.has_validity)
            .then_some("subject and validity are those that the NRF gives")
    }
}

/// SHA-256 of the DER of a subject, which is as long as its sender likes.
fn subject_digest(subject: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, subject).as_ref());
    hash
}

/// The profile that a request is for: as its path says, or its header, which may not contradict each other.
fn profile<'a>(header: &Header<'a>, label: Option<&'a str>) -> Result<&'a str, Refused> {
    match (label, header.profile) {
        (Some(label), Some(named)) if label != named => {
            let text = format!("the path is for profile {label:?}, certProfile for {named:?}");
            Err(Refused::new(Failure::BadRequest, text))
        }
        (Some(name), _) | (None, Some(name)) => Ok(name),
        (None, None) => Ok(MTC_PROFILE),
    }
}

fn new_nonce() -> Nonce {
    let mut nonce = Nonce::default();
    rand::fill(&mut nonce).expect("the operating system has randomness");
    nonce
}

impl Handler for CmpPort {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let label = match segments.as_slice() {
            [".well-known", "cmp"] => None,
            [".well-known", "cmp", "p", label] => Some(*label),
            _ => {
                return Err(Problem::not_found(
                    "CMP is at /.well-known/cmp, and at /.well-known/cmp/p/PROFILE",
                ));
            }
        };
        match request.method {
            Method::POST => {}
            // The server takes the body off an answer to HEAD.
            Method::GET | Method::HEAD => {
                return self.signer(label.unwrap_or(MTC_PROFILE), &request.query);
            }
            _ => return Err(Problem::method_not_allowed("GET, HEAD, POST")),
        }
        request.require_media_type(PKIXCMP)?;
        let answer = self.answer(&request.body, label).await;
        Ok(Response::bytes(StatusCode::OK, PKIXCMP, answer).with(CACHE_CONTROL, NO_STORE))
    }

    fn max_body(&self, _method: &Method, _path: &str) -> usize {
        MAX_MESSAGE
    }
}
