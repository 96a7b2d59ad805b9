//! Access tokens (TS 33.501 clause 13.4.1, TS 29.500 clause 6.7.3): what a consumer keeps and what a producer checks.
//!
//! ```text
//!  consumer  kept for this audience and scope, and fresh? ── yes ──> Bearer ──> Authorization
//!               └─ no: one asks the NRF, others wait
//!  producer  Bearer ──> TokenVerifier: signature, once per token ──> exp, audience, subject, scope, slice ──> handler
//!                                                     └─ no: TokenRefusal ──> 401 or 403, WWW-Authenticate
//! ```
//!
//! The subject must be the peer of the connection. Where the peer is an SCP, it must be who has signed the request's client credentials
//! assertion ([`ClientCredentials`]), or, in a lab without those, the SCP is believed. So a token that was copied is good for no other NF.
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
use std::time::Duration;

use hyper::Method;
use hyper::header::AUTHORIZATION;
use jose::Jws;
use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use mtc_tls::identity::NfIdentity;
use mtc_tls::profile::{ConnectionProfile, Tokens};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client_credentials::{self, AssertionRefusal, ClientCredentials};
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
/// Most tokens of a consumer: a lab has some services and three algorithms.
const MAX_KEPT: usize = 64;

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
    /// What says whose a request is that an SCP hands on; without, the SCP does.
    credentials: Option<Arc<ClientCredentials>>,
    /// Where tokens come from; a process without one sends none.
    source: OnceLock<Box<dyn TokenSource>>,
    /// The slices that the instance serves; none = any.
    slices: OnceLock<Vec<ExtSnssai>>,
}

impl AccessTokens {
    /// Those of the instance `id` of type `nf_type`, counted in `ledger`. None with [`TokenPolicy::Off`].
    /// Behind an SCP, `credentials` say whose a token is.
    pub fn new(
        policy: TokenPolicy,
        verifier: Arc<TokenVerifier>,
        (id, nf_type): (NfInstanceId, NfType),
        credentials: Option<Arc<ClientCredentials>>,
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
            kept: KeptTokens::new(MAX_KEPT),
            credentials,
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
        let is_required = self.policy == TokenPolicy::Required;
        self.conclude(
            request,
            self.judge(request, std::slice::from_ref(service), is_required),
        )
    }

    /// Refuses a request without a token for all of `scopes`, whatever the policy: what finer scopes are for is not served to everybody.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn require(&self, request: &Request, scopes: &[ServiceName]) -> Result<(), Problem> {
        self.conclude(request, self.judge(request, scopes, true))
    }

    /// Counts what came of a check.
    fn conclude(
        &self,
        request: &Request,
        checked: Result<Option<Presented>, TokenRefusal>,
    ) -> Result<(), Problem> {
        let metrics = &self.ledger.metrics().tokens;
        match checked {
            Ok(None) => metrics.checked("absent"),
            Ok(Some(Presented {
                octets,
                checked,
                assertion,
            })) => {
                metrics.checked(if checked.cpu.is_some() {
                    "verified"
                } else {
                    "known"
                });
                self.ledger
                    .record_token(request.peer.profile, octets, checked.cpu);
                if let Some((octets, cpu)) = assertion {
                    self.ledger
                        .record_assertion(request.peer.profile, octets, cpu);
                }
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
        scopes: &[ServiceName],
        is_required: bool,
    ) -> Result<Option<Presented>, TokenRefusal> {
        let Some(token) = bearer(request)? else {
            return if is_required {
                Err(TokenRefusal::Missing)
            } else {
                Ok(None)
            };
        };
        let now = self.clock.now();
        let checked = self.verifier.verify(token, now)?;
        let claims = &checked.claims;
        require_algorithm(request, &checked)?;
        require_current(claims, now)?;
        if !claims.aud.includes(self.id, &self.nf_type) {
            return Err(TokenRefusal::Audience);
        }
        let assertion = self.require_subject(request, claims)?;
        if let Some(scope) = scopes.iter().find(|scope| !claims.permits(scope)) {
            return Err(TokenRefusal::Scope(scope.clone()));
        }
        self.require_slice(claims)?;
        if let Some(claim) = claims.unknown_restriction() {
            return Err(TokenRefusal::Restriction(claim.to_owned()));
        }
        Ok(Some(Presented {
            octets: token.len(),
            checked,
            assertion,
        }))
    }

    /// The token is the peer's own, or the peer is an SCP and the token that of the NF whose assertion the request carries. Octets of the
    /// assertion, and what verifying it cost now.
    fn require_subject(
        &self,
        request: &Request,
        claims: &AccessTokenClaims,
    ) -> Result<Option<(usize, Option<Duration>)>, TokenRefusal> {
        let bearing = bearing(request, claims)?;
        let (Bearing::HandedOn, Some(credentials)) = (bearing, &self.credentials) else {
            return Ok(None);
        };
        let profile = request.peer.profile.ok_or(AssertionRefusal::Missing)?;
        let text = client_credentials::of(&request.headers)?;
        let verified = credentials.verify(text, profile.domain, &self.nf_type)?;
        let asserted = verified.claims.sub;
        if asserted == claims.sub {
            return Ok(Some((text.len(), verified.cpu)));
        }
        Err(TokenRefusal::Mismatch {
            subject: claims.sub,
            asserted,
        })
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

/// What a consumer's request to `path`, on a connection of this profile, needs a token for; none if it needs none.
pub fn need_of(method: &Method, path: &str, profile: ConnectionProfile) -> Option<TokenNeed> {
    let service = ServiceOperation::of(method, path).service;
    if profile.tokens == Tokens::None || !needs_token(service) {
        return None;
    }
    let service = ServiceName::from(service);
    Some(TokenNeed {
        target: producer(&service)?,
        service,
        tokens: profile.tokens,
    })
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
    /// Octets of the assertion beside it, and what verifying that cost now.
    assertion: Option<(usize, Option<Duration>)>,
}

/// Refuses a token that is signed with something else than the tokens of the connection's profile are. Where there is no profile, the
/// keys decide alone.
fn require_algorithm(request: &Request, checked: &Checked) -> Result<(), TokenRefusal> {
    let wanted = request.peer.profile.map(|profile| profile.tokens);
    match wanted {
        Some(wanted) if wanted.algorithm() != Some(checked.algorithm) => {
            Err(TokenRefusal::Algorithm {
                found: checked.algorithm,
                wanted,
            })
        }
        _ => Ok(()),
    }
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
    bearing(request, &claims).map(drop)
}

/// How a token has come.
enum Bearing {
    /// From the NF that it belongs to.
    Own,
    /// Through an SCP.
    HandedOn,
}

/// The token is the peer's own, or the peer is an SCP, which hands on only its consumers' own ([`require_own`]; TS 33.501
/// clause 13.4.1.2): in indirect communication the certificate is the SCP's.
fn bearing(request: &Request, claims: &AccessTokenClaims) -> Result<Bearing, TokenRefusal> {
    let identity = request.peer.identity.as_ref();
    let peer = identity.map(|identity| NfInstanceId::from(identity.instance_id));
    if peer == Some(claims.sub) {
        return Ok(Bearing::Own);
    }
    if identity.is_some_and(is_scp) {
        return Ok(Bearing::HandedOn);
    }
    Err(TokenRefusal::Subject {
        subject: claims.sub,
        peer,
    })
}

fn is_scp(identity: &NfIdentity) -> bool {
    identity.nf_types.iter().any(|t| t == NfType::Scp.as_str())
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
