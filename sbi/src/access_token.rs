//! Access tokens (TS 33.501 clause 13.4.1, TS 29.500 clause 6.7.3): what a consumer keeps and what a producer checks.
//!
//! ```text
//!  consumer  kept for this audience and scope, and fresh? ── yes ──> Bearer ──> Authorization
//!               └─ no: one asks the NRF, others wait
//!  producer  Bearer ──> TokenVerifier: signature, once per token ──> exp, audience, subject, scope, slice ──> handler
//!                                                     └─ no: TokenRefusal ──> 401 or 403, WWW-Authenticate
//! ```
//!
//! The subject must be the peer of the connection, or the peer an SCP: a token that was copied is good for no other NF.
//!
//! Both ends do so by themselves: a [`Guarded`] handler checks, and a connection with an [`Authorizer`] sends. Which service a request
//! is for says its path, and which type produces it says the name of the service.
//!
//! No token is asked for by `nnrf-nfm`, where an NF without a registration begins and the certificate says who registers, by the
//! token endpoint, by `nnrf-cm`, and by notifications: their receiver has said itself where they go to (TS 33.501 clause 13.4.1).

mod authorizer;
mod guarded;
mod kept;
mod refusal;
mod verifier;

use std::fmt;
use std::sync::{Arc, OnceLock};

use hyper::Method;
use hyper::header::AUTHORIZATION;
use jose::Jws;
use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::Ledger;
use crate::model::{AccessTokenClaims, ExtSnssai, NfInstanceId, NfType, ServiceName};
use crate::operation::{ServiceOperation, UNKNOWN};
use crate::problem::Problem;
use crate::server::Request;

pub use authorizer::{Authorizer, FetchToken, TokenSource};
pub use guarded::Guarded;
pub(crate) use kept::life;
pub use kept::{Bearer, KeptTokens, TokenNeed};
pub use refusal::TokenRefusal;
pub use verifier::{Checked, TokenVerifier};

/// Seconds after its end in which a token is still taken: two clocks differ, and a request takes time.
const LEEWAY: u64 = 5;

/// What an NF makes of access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenPolicy {
    /// It asks for none and looks at none.
    #[default]
    Off,
    /// It sends tokens, and checks those that come; requests without one are served.
    Optional,
    /// It sends tokens, and serves nobody without one.
    Required,
}

/// The access tokens of an NF instance, as consumer and as producer.
pub struct AccessTokens {
    policy: TokenPolicy,
    verifier: Arc<TokenVerifier>,
    id: NfInstanceId,
    nf_type: NfType,
    clock: Clock,
    ledger: Arc<Ledger>,
    kept: KeptTokens,
    /// Where tokens come from; a process without one sends none.
    source: OnceLock<Box<dyn TokenSource>>,
    /// The slices that the instance serves; none = any.
    slices: OnceLock<Vec<ExtSnssai>>,
}

impl AccessTokens {
    /// Those of the instance `id` of type `nf_type`, counted in `ledger`. None with [`TokenPolicy::Off`].
    pub fn new(
        policy: TokenPolicy,
        verifier: Arc<TokenVerifier>,
        id: NfInstanceId,
        nf_type: NfType,
        clock: Clock,
        ledger: Arc<Ledger>,
    ) -> Option<Self> {
        (policy != TokenPolicy::Off).then(|| Self {
            policy,
            verifier,
            id,
            nf_type,
            clock,
            ledger,
            kept: KeptTokens::default(),
            source: OnceLock::new(),
            slices: OnceLock::new(),
        })
    }

    /// Fetches tokens from `source`. Only the first one counts.
    pub fn fetch_from(&self, source: impl TokenSource + 'static) {
        let _ = self.source.set(Box::new(source));
    }

    /// Takes tokens that are for one of these slices, or for any. Only the first call counts.
    pub fn serve_slices(&self, slices: Vec<ExtSnssai>) {
        let _ = self.slices.set(slices);
    }

    /// The service that a request needs a token for, if it is one of the instance's own: what an SCP forwards, the producer checks. It
    /// is read from the decoded path, as services read it, of whatever operation.
    fn guarded(&self, request: &Request) -> Result<Option<ServiceName>, Problem> {
        let segments = request.segments()?;
        let service = segments.first().filter(|service| needs_token(service));
        let service = service.map(|service| ServiceName::from(service.as_str()));
        Ok(service.filter(|service| producer(service).as_ref() == Some(&self.nf_type)))
    }

    /// Refuses a request to `service` whose token does not permit it.
    ///
    /// # Errors
    /// `401` or `403` with `WWW-Authenticate`.
    pub fn check(&self, request: &Request, service: &ServiceName) -> Result<(), Problem> {
        let checked = self.judge(request, service);
        let metrics = &self.ledger.metrics().tokens;
        match checked {
            Ok(None) => metrics.checked("absent"),
            Ok(Some(Presented { octets, checked })) => {
                metrics.checked(if checked.cpu.is_some() {
                    "verified"
                } else {
                    "known"
                });
                self.ledger
                    .record_token(request.peer.profile, octets, checked.cpu);
            }
            Err(refusal) => {
                metrics.checked(refusal.check());
                self.ledger.record_refused_token(request.peer.profile);
                tracing::info!(remote = %request.peer.remote, error = %mtc_core::causes::Causes(&refusal), "access token refused");
                return Err(refusal.problem(&self.nf_type));
            }
        }
        Ok(())
    }

    fn judge(
        &self,
        request: &Request,
        service: &ServiceName,
    ) -> Result<Option<Presented>, TokenRefusal> {
        let Some(token) = bearer(request)? else {
            return match self.policy {
                TokenPolicy::Required => Err(TokenRefusal::Missing),
                TokenPolicy::Off | TokenPolicy::Optional => Ok(None),
            };
        };
        let now = self.clock.now();
        let checked = self.verifier.verify(token, now)?;
        let claims = &checked.claims;
        require_current(claims, now)?;
        if !claims.aud.includes(self.id, &self.nf_type) {
            return Err(TokenRefusal::Audience);
        }
        require_subject(request, claims)?;
        if !claims.permits(service) {
            return Err(TokenRefusal::Scope(service.clone()));
        }
        self.require_slice(claims)?;
        if let Some(claim) = claims.unknown_restriction() {
            return Err(TokenRefusal::Restriction(claim.to_owned()));
        }
        Ok(Some(Presented {
            octets: token.len(),
            checked,
        }))
    }

    fn require_slice(&self, claims: &AccessTokenClaims) -> Result<(), TokenRefusal> {
        let wanted = &claims.producer_snssai_list;
        let served = self.slices.get().map_or(&[][..], Vec::as_slice);
        let is_served = |slice| served.iter().any(|known: &ExtSnssai| known.serves(slice));
        if wanted.is_empty() || served.is_empty() || wanted.iter().any(is_served) {
            return Ok(());
        }
        Err(TokenRefusal::Slice)
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AccessTokens({} {}, {:?})",
            self.nf_type, self.id, self.policy
        )
    }
}

/// The service that a consumer's request to `path` needs a token for; none if it needs none.
fn tokened(method: &Method, path: &str) -> Option<ServiceName> {
    let service = ServiceOperation::of(method, path).service;
    needs_token(service).then(|| ServiceName::from(service))
}

fn needs_token(service: &str) -> bool {
    !matches!(service, "nnrf-nfm" | "nnrf-cm" | "nnrf-oauth2" | UNKNOWN)
        && !service.ends_with("-callback")
}

/// The type of NF that produces a service: `nsmf-pdusession` is `Nsmf_PDUSession`, of an SMF (TS 29.501 clause 4.4.1).
fn producer(service: &ServiceName) -> Option<NfType> {
    let (name, _) = service.as_str().strip_prefix('n')?.split_once('-')?;
    Some(NfType::from(name.to_ascii_uppercase()))
}

/// A token that a request carried and that permits it.
struct Presented {
    octets: usize,
    checked: Checked,
}

/// Refuses a token whose time is over.
fn require_current(claims: &AccessTokenClaims, now: UnixTime) -> Result<(), TokenRefusal> {
    let expired = UnixTime(claims.exp);
    if now.0 >= claims.exp.saturating_add(LEEWAY) {
        return Err(TokenRefusal::Expired { expired, now });
    }
    Ok(())
}

/// Refuses a request whose token is not its peer's own. An SCP asks that of what it hands on, since the producer sees the SCP's
/// certificate; whether the token is good, the producer says, of the same octets.
///
/// # Errors
/// The token is another's, or cannot be read.
pub fn require_own(request: &Request) -> Result<(), TokenRefusal> {
    let Some(token) = bearer(request)? else {
        return Ok(());
    };
    let claims: AccessTokenClaims = Jws::parse(token)?.unverified_claims()?;
    require_subject(request, &claims)
}

/// The token is the peer's own, or the peer is an SCP, which is trusted to hand on only its consumers' own ([`require_own`]; TS 33.501
/// clause 13.4.1.2): in indirect communication the certificate is the SCP's.
fn require_subject(request: &Request, claims: &AccessTokenClaims) -> Result<(), TokenRefusal> {
    let identity = request.peer.identity.as_ref();
    let peer = identity.map(|identity| NfInstanceId::from(identity.instance_id));
    let is_scp = identity
        .is_some_and(|identity| identity.nf_types.iter().any(|t| t == NfType::Scp.as_str()));
    if peer == Some(claims.sub) || is_scp {
        return Ok(());
    }
    Err(TokenRefusal::Subject {
        subject: claims.sub,
        peer,
    })
}

/// The token of a request; none if it has no `Authorization`.
fn bearer(request: &Request) -> Result<Option<&str>, TokenRefusal> {
    let mut values = request.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(TokenRefusal::Scheme);
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or(TokenRefusal::Scheme)?;
    // RFC 9110 section 11.1: the scheme is compared without case.
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(TokenRefusal::Scheme);
    }
    Ok(Some(token.trim()))
}
