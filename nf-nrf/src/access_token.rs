//! Nnrf_AccessToken (TS 29.510 clause 5.4 and 6.3): which consumer gets a token for which producers.
//!
//! ```text
//!   POST /oauth2/token, form ─> AccessTokenReq ─> is it the NF of the certificate, and registered?      invalid_client
//!                                                 or does an SCP show its client credentials assertion? CCA_VERIFICATION_FAILURE
//!      ─> is each service of the scope offered by the target type?                                     invalid_scope
//!      ─> would the consumer discover a producer of it?                                                unauthorized_client
//!      ─> are there others that exclude it? then the token is for those alone that do not
//!      ─> claims, signed with the key of the algorithm that is asked for ─> AccessTokenRsp
//! ```
//!
//! Whom a producer allows is judged as discovery does: its `allowedNfTypes`, `allowedPlmns` and `allowedNssais`, of the
//! service or else of the profile. The NRF's own services are for every registered NF, and complete profiles for SCPs, which judge for
//! their consumers. Refusals are those of RFC 6749 section 5.2, no ProblemDetails.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, PRAGMA};
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use jose::Header;
use mtc_core::causes::Causes;
use mtc_core::cosign::{KeyError, SecretKey, SignatureAlgorithm};
use mtc_tls::clock::Clock;
use mtc_tls::cpu;
use sbi::client_credentials::{self, AssertionRefusal, ClientCredentials};
use sbi::ledger::Ledger;
use sbi::model::{
    AccessTokenClaims, AccessTokenErr, AccessTokenRsp, Audience, NfInstanceId, NfProfile, NfType,
    PlmnId, ServiceName, Snssai,
};
use sbi::nnrf::TOKEN_ALG;
use sbi::problem::Problem;
use sbi::response::{FORM, Response};
use sbi::server::Request;
use sbi::uri::Query;
use serde::de::DeserializeOwned;
use serde_json::Map;

use crate::allowed;
use crate::discovery::{DiscoveryQuery, is_found};
use crate::metrics::NrfMetrics;
use crate::registry::{SharedRegistry, Wanted};
use crate::subscription::COMPLETE_PROFILES;

/// The services of the NRF that tokens can be for.
const OWN: [ServiceName; 2] = [ServiceName::NnrfNfm, ServiceName::NnrfDisc];
/// Most services in one scope: a consumer asks for one, or for those of a producer.
const MAX_SCOPES: usize = 16;
/// Most producers that one token names: a claim of 1.2 kB. There is a bound because it travels with every request.
const MAX_AUDIENCE: usize = 32;
/// What signs a token if the consumer does not say.
const DEFAULT_ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::EcdsaP256;

/// A key that tokens are signed with.
pub struct TokenKey {
    name: String,
    key: SecretKey,
}

impl TokenKey {
    /// Names a key by its thumbprint.
    ///
    /// # Errors
    /// The library cannot tell its public half.
    pub fn new(key: SecretKey) -> Result<Self, KeyError> {
        Ok(Self {
            name: jose::thumbprint(&key.public_key()?),
            key,
        })
    }
}

/// The service.
pub struct AccessTokenService {
    /// The NRF, which is every token's `iss`.
    pub id: NfInstanceId,
    /// Its network.
    pub plmn: PlmnId,
    /// Who is registered.
    pub registry: Arc<SharedRegistry>,
    /// The keys, at most one of each algorithm.
    pub keys: Vec<TokenKey>,
    /// What says that an SCP may ask for others; without, it may not.
    pub credentials: Option<Arc<ClientCredentials>>,
    /// For how many seconds a token is good.
    pub lifetime_seconds: u64,
    /// The NRF's clock.
    pub clock: Clock,
    /// Where tokens are counted by kind of connection.
    pub ledger: Arc<Ledger>,
    /// Where they are counted.
    pub metrics: NrfMetrics,
}

/// Why a consumer gets no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenDenied {
    /// The form cannot be read, or lacks something.
    #[error("{0}")]
    Request(String),
    /// It is not the NF that it says it is.
    #[error("{0}")]
    Client(String),
    /// What an SCP shows of the consumer is not to be believed.
    #[error(transparent)]
    Assertion(#[from] AssertionRefusal),
    /// Another grant than that of clients' own credentials.
    #[error("grant_type is not client_credentials")]
    GrantType,
    /// A service that no producer of the type offers.
    #[error("scope: {target} offers no {service}")]
    Scope {
        /// The producers' type.
        target: NfType,
        /// The service.
        service: String,
    },
    /// Every producer of the service excludes the consumer.
    #[error("no producer of {0} allows this consumer")]
    Unauthorized(ServiceName),
}

impl TokenDenied {
    /// The error code of RFC 6749 section 5.2.
    pub const fn error(&self) -> &'static str {
        match self {
            Self::Request(_) => "invalid_request",
            Self::Client(_) | Self::Assertion(_) => "invalid_client",
            Self::GrantType => "unsupported_grant_type",
            Self::Scope { .. } => "invalid_scope",
            Self::Unauthorized(_) => "unauthorized_client",
        }
    }
}

impl AccessTokenService {
    /// Answers a request for a token.
    ///
    /// # Errors
    /// The problem to answer with: another method or media type, an assertion that is not to be believed, or a key that cannot sign.
    /// Other refusals are answers.
    pub fn handle(&self, request: &Request) -> Result<Response, Problem> {
        if request.method != Method::POST {
            return Err(Problem::method_not_allowed("POST"));
        }
        request.require_media_type(FORM)?;
        let started = cpu::thread_time();
        let granted = AccessTokenReq::parse(&request.body)
            .and_then(|wanted| self.grant(request, &wanted).map(|claims| (wanted, claims)));
        let answer = match granted {
            Ok((wanted, claims)) => {
                let key = self
                    .key(wanted.algorithm)
                    .ok_or_else(Problem::system_failure)?;
                let header = Header::of_key(key.key.algorithm(), key.name.clone());
                let token = jose::sign(&header, &claims, &key.key).map_err(|error| {
                    tracing::error!(%error, "an access token cannot be signed");
                    Problem::system_failure()
                })?;
                let cpu = cpu::thread_time().saturating_sub(started);
                self.ledger
                    .record_issued_token(request.peer.profile, token.len(), cpu);
                self.metrics.issued_token(jose::alg(wanted.algorithm));
                let answer = AccessTokenRsp {
                    access_token: token,
                    token_type: "Bearer".to_owned(),
                    expires_in: Some(self.lifetime_seconds),
                    scope: Some(claims.scope),
                };
                Response::json(StatusCode::OK, &answer)
            }
            Err(denied) => {
                tracing::info!(remote = %request.peer.remote, error = %Causes(&denied), "access token denied");
                self.metrics.denied_token(denied.error());
                if let TokenDenied::Assertion(refusal) = &denied {
                    return Err(refusal.problem());
                }
                let answer = AccessTokenErr {
                    error: denied.error().to_owned(),
                    error_description: Some(denied.to_string()),
                };
                Response::json(StatusCode::BAD_REQUEST, &answer)
            }
        };
        Ok(answer
            .with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
            .with(PRAGMA, HeaderValue::from_static("no-cache")))
    }

    fn key(&self, algorithm: SignatureAlgorithm) -> Option<&TokenKey> {
        self.keys
            .iter()
            .find(|key| key.key.algorithm() == algorithm)
    }

    fn grant(
        &self,
        request: &Request,
        wanted: &AccessTokenReq,
    ) -> Result<AccessTokenClaims, TokenDenied> {
        self.require_client(request, wanted)?;
        if self.key(wanted.algorithm).is_none() {
            return Err(TokenDenied::Request(format!(
                "{TOKEN_ALG}: this NRF has no key of {}",
                jose::alg(wanted.algorithm)
            )));
        }
        if let Some(plmn) = [&wanted.requester_plmn, &wanted.target_plmn]
            .into_iter()
            .flatten()
            .find(|plmn| **plmn != self.plmn)
        {
            let home = plmn.home_domain();
            return Err(TokenDenied::Request(format!(
                "requesterPlmn, targetPlmn: {home} is not the network of this NRF"
            )));
        }
        let target = self.target(wanted)?;
        let audience = self.audience(wanted, target)?;
        let scope: Vec<&str> = wanted.scope.iter().map(ServiceName::as_str).collect();
        Ok(AccessTokenClaims {
            iss: self.id,
            sub: wanted.id,
            aud: audience,
            scope: scope.join(" "),
            exp: self.clock.now().0.saturating_add(self.lifetime_seconds),
            consumer_plmn_id: wanted.requester_plmn.clone(),
            producer_plmn_id: wanted.target_plmn.clone(),
            producer_snssai_list: wanted.target_slices.clone(),
            other: Map::new(),
        })
    }

    /// Check 6: the consumer is the NF of the certificate, and registered as what it says.
    fn require_client(
        &self,
        request: &Request,
        wanted: &AccessTokenReq,
    ) -> Result<(), TokenDenied> {
        let denied = |reason: &str| Err(TokenDenied::Client(reason.to_owned()));
        let Some(identity) = &request.peer.identity else {
            return denied("a client certificate is needed");
        };
        if NfInstanceId::from(identity.instance_id) != wanted.id {
            let is_scp = identity.nf_types.iter().any(|t| t == NfType::Scp.as_str());
            let Some(credentials) = self.credentials.as_ref().filter(|_| is_scp) else {
                return denied("nfInstanceId is not that of the client certificate");
            };
            if self.asserted(request, credentials)? != wanted.id {
                return denied("nfInstanceId is not that of the client credentials assertion");
            }
        }
        let registered = self.registry.read(|registry| {
            let stored = registry.get(wanted.id);
            stored.map(|stored| stored.profile.nf_type.clone())
        });
        match registered {
            None => denied("nfInstanceId is not registered"),
            Some(registered)
                if wanted
                    .nf_type
                    .as_ref()
                    .is_some_and(|nf_type| *nf_type != registered) =>
            {
                denied("nfType is not that of the registered profile")
            }
            Some(_) => Ok(()),
        }
    }

    /// For whom an SCP asks: who has signed the assertion that it shows, for the NRF.
    fn asserted(
        &self,
        request: &Request,
        credentials: &ClientCredentials,
    ) -> Result<NfInstanceId, TokenDenied> {
        let text = client_credentials::of(&request.headers)?;
        let without_tls = || TokenDenied::Client("a TLS connection is needed".to_owned());
        let profile = request.peer.profile.ok_or_else(without_tls)?;
        let verified = credentials.verify(text, profile.domain, &NfType::Nrf)?;
        Ok(verified.claims.sub)
    }

    /// The type of the producers.
    fn target(&self, wanted: &AccessTokenReq) -> Result<NfType, TokenDenied> {
        let named = wanted.target_type.clone();
        let Some(id) = wanted.target_instance else {
            let missing =
                || TokenDenied::Request("targetNfType or targetNfInstanceId: missing".to_owned());
            return named.ok_or_else(missing);
        };
        let found = if id == self.id {
            Some(NfType::Nrf)
        } else {
            self.registry.read(|registry| {
                registry
                    .get(id)
                    .map(|stored| stored.profile.nf_type.clone())
            })
        };
        match (found, named) {
            (Some(found), None) => Ok(found),
            (Some(found), Some(named)) if found == named => Ok(found),
            _ => Err(TokenDenied::Request(
                "targetNfInstanceId: no such instance of targetNfType is registered".to_owned(),
            )),
        }
    }

    /// Who the token is for: all of a type, unless some of them do not allow the consumer one of the services.
    fn audience(&self, wanted: &AccessTokenReq, target: NfType) -> Result<Audience, TokenDenied> {
        let mut only: Option<BTreeSet<NfInstanceId>> = None;
        for service in &wanted.scope {
            let Some(admitting) = self.admitting(wanted, &target, service)? else {
                continue;
            };
            let both = match only {
                Some(before) => &before & &admitting,
                None => admitting,
            };
            if both.is_empty() {
                return Err(TokenDenied::Unauthorized(service.clone()));
            }
            only = Some(both);
        }
        match (wanted.target_instance, only) {
            (Some(id), _) => Ok(Audience::Instances(vec![id])),
            (None, None) => Ok(Audience::Type(target)),
            (None, Some(ids)) if ids.len() <= MAX_AUDIENCE => {
                Ok(Audience::Instances(ids.into_iter().collect()))
            }
            (None, Some(_)) => Err(TokenDenied::Request(format!(
                "targetNfType: not every {target} allows this consumer; name the one as targetNfInstanceId"
            ))),
        }
    }

    /// The producers of a service that the consumer may use; none if no producer excludes it.
    fn admitting(
        &self,
        wanted: &AccessTokenReq,
        target: &NfType,
        service: &ServiceName,
    ) -> Result<Option<BTreeSet<NfInstanceId>>, TokenDenied> {
        if *target == NfType::Nrf && OWN.contains(service) {
            return Ok(None);
        }
        let consumer = self.registry.read(|registry| {
            let stored = registry.get(wanted.id);
            stored.map(|stored| stored.profile.clone())
        });
        let unregistered = || TokenDenied::Client("nfInstanceId is not registered".to_owned());
        let consumer = consumer.ok_or_else(unregistered)?;
        if *target == NfType::Nrf && service.as_str() == COMPLETE_PROFILES {
            return match consumer.nf_type {
                NfType::Scp => Ok(None),
                _ => Err(TokenDenied::Unauthorized(service.clone())),
            };
        }
        let query = wanted.discovery(&consumer, target, service);
        let looked_at = Wanted {
            nf_type: target,
            ids: wanted.target_instance.as_slice(),
            services: std::slice::from_ref(service),
            slices: &[],
        };
        let mut producers = self
            .registry
            .read(|registry| registry.candidates(&looked_at));
        producers.retain(|profile| {
            profile.nf_type == *target
                && profile
                    .services()
                    .any(|offered| offered.service_name == *service)
        });
        if producers.is_empty() {
            return Err(TokenDenied::Scope {
                target: target.clone(),
                service: service.to_string(),
            });
        }
        let found: BTreeSet<NfInstanceId> = producers
            .iter()
            .filter(|profile| is_found(&query, profile))
            .map(|profile| profile.nf_instance_id)
            .collect();
        if found.is_empty() {
            return Err(TokenDenied::Unauthorized(service.clone()));
        }
        // One that is only suspended, or serves another slice, excludes nobody.
        let excludes = |profile: &Arc<NfProfile>| {
            let mut offered = profile.services();
            !offered.any(|offered| {
                offered.service_name == *service
                    && allowed::may_use(query.requester(), offered, profile)
            })
        };
        Ok(producers.iter().any(excludes).then_some(found))
    }
}

/// A request for a token: the fields of AccessTokenReq (TS 29.510 clause 6.3.5.2.2) that this NRF understands.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessTokenReq {
    /// The consumer.
    pub id: NfInstanceId,
    /// Its type.
    pub nf_type: Option<NfType>,
    /// The services, at least one.
    pub scope: Vec<ServiceName>,
    /// The producers' type.
    pub target_type: Option<NfType>,
    /// The one producer.
    pub target_instance: Option<NfInstanceId>,
    /// The consumer's network.
    pub requester_plmn: Option<PlmnId>,
    /// The producers' network.
    pub target_plmn: Option<PlmnId>,
    /// Slices of the consumer, against `allowedNssais`.
    pub requester_slices: Vec<Snssai>,
    /// Slices of which a producer must serve one.
    pub target_slices: Vec<Snssai>,
    /// What is to sign the token.
    pub algorithm: SignatureAlgorithm,
}

/// Fields that restrict a token in ways that this NRF cannot judge.
const UNSUPPORTED: [&str; 6] = [
    "targetSnpn",
    "targetNsiList",
    "targetNfSetId",
    "targetNfServiceSetId",
    "hnrfAccessTokenUri",
    "sourceNfInstanceId",
];

impl AccessTokenReq {
    /// Reads the form of a request. Fields that are not known are ignored (RFC 6749 section 3.2).
    ///
    /// # Errors
    /// [`TokenDenied::Request`] with the field, or [`TokenDenied::GrantType`].
    pub fn parse(body: &[u8]) -> Result<Self, TokenDenied> {
        let malformed = || TokenDenied::Request("the body is not a form in UTF-8".to_owned());
        // In a form a plus is a space; a literal one is encoded.
        let text = std::str::from_utf8(body).map_err(|_| malformed())?;
        let form = Query::parse(&text.replace('+', "%20")).map_err(|_| malformed())?;
        if let Some(name) = UNSUPPORTED
            .into_iter()
            .find(|name| form.values(name).next().is_some())
        {
            return Err(TokenDenied::Request(format!("{name}: not supported")));
        }
        if required(&form, "grant_type")? != "client_credentials" {
            return Err(TokenDenied::GrantType);
        }
        let algorithm = match optional(&form, TOKEN_ALG)? {
            None => DEFAULT_ALGORITHM,
            Some(name) => jose::algorithm(name)
                .map_err(|error| TokenDenied::Request(format!("{TOKEN_ALG}: {error}")))?,
        };
        Ok(Self {
            id: instance(required(&form, "nfInstanceId")?, "nfInstanceId")?,
            nf_type: optional(&form, "nfType")?.map(NfType::from),
            scope: scope(required(&form, "scope")?)?,
            target_type: optional(&form, "targetNfType")?.map(NfType::from),
            target_instance: optional(&form, "targetNfInstanceId")?
                .map(|id| instance(id, "targetNfInstanceId"))
                .transpose()?,
            requester_plmn: json(&form, "requesterPlmn")?,
            target_plmn: json(&form, "targetPlmn")?,
            requester_slices: json(&form, "requesterSnssaiList")?.unwrap_or_default(),
            target_slices: json(&form, "targetSnssaiList")?.unwrap_or_default(),
            algorithm,
        })
    }

    /// The discovery that would find the producers of a service.
    fn discovery(
        &self,
        consumer: &NfProfile,
        target: &NfType,
        service: &ServiceName,
    ) -> DiscoveryQuery {
        DiscoveryQuery {
            requester_nf_instance_id: Some(self.id),
            requester_fqdns: consumer.fqdn.iter().cloned().collect(),
            requester_plmn_list: self.requester_plmn.iter().cloned().collect(),
            requester_snssais: self.requester_slices.clone(),
            service_names: vec![service.clone()],
            target_nf_instance_id: self.target_instance,
            snssais: self.target_slices.clone(),
            ..DiscoveryQuery::between(consumer.nf_type.clone(), target.clone())
        }
    }
}

/// The only value of a field; none if it is absent.
fn optional<'a>(form: &'a Query, name: &'a str) -> Result<Option<&'a str>, TokenDenied> {
    let mut values = form.values(name);
    let value = values.next();
    if values.next().is_some() {
        return Err(TokenDenied::Request(format!("{name}: given twice")));
    }
    match value {
        Some("") => Err(TokenDenied::Request(format!("{name}: empty"))),
        value => Ok(value),
    }
}

fn required<'a>(form: &'a Query, name: &'a str) -> Result<&'a str, TokenDenied> {
    optional(form, name)?.ok_or_else(|| TokenDenied::Request(format!("{name}: missing")))
}

fn instance(text: &str, name: &str) -> Result<NfInstanceId, TokenDenied> {
    text.parse()
        .map_err(|error| TokenDenied::Request(format!("{name}: {error}")))
}

fn json<T: DeserializeOwned>(form: &Query, name: &str) -> Result<Option<T>, TokenDenied> {
    let value = optional(form, name)?.map(serde_json::from_str);
    value
        .transpose()
        .map_err(|error| TokenDenied::Request(format!("{name}: {error}")))
}

/// `^([a-zA-Z0-9_:-]+)( [a-zA-Z0-9_:-]+)*$`. A finer scope, with a colon, is one that the NRF knows ([`COMPLETE_PROFILES`]): no producer
/// asks for another.
fn scope(text: &str) -> Result<Vec<ServiceName>, TokenDenied> {
    let is_name = |name: &str| {
        let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-');
        !name.is_empty() && name.bytes().all(is_part)
    };
    let names: Vec<&str> = text.split(' ').take(MAX_SCOPES + 1).collect();
    if names.len() > MAX_SCOPES || !names.iter().all(|name| is_name(name)) {
        return Err(TokenDenied::Request(format!(
            "scope: not 1 to {MAX_SCOPES} names of services with a space between two"
        )));
    }
    Ok(names.into_iter().map(ServiceName::from).collect())
}
