//! Indirect communication (TS 23.501 annex E, TS 29.500 clause 6.10): requests of consumers go to producers through the SCP.
//!
//! ```text
//!  consumer ── mutual TLS ──> ask ──> who? ── Target-apiRoot: the producer registered there          model C
//!                              │       └───── Discovery-*, Routing-Binding: the best that fits       model D
//!                              └─ rewrite ──> producers ── mutual TLS, in the consumer's profile ──> producer
//!                                               └─ fails before it begins, or the method allows it: the next best
//! ```
//!
//! A request goes only to services that the NRF names to this consumer: an SCP is no open proxy, and what may not be discovered
//! cannot be reached through it. Services of the NRF itself are not routed but for discovery, whose query is held to the
//! consumer's certificate: for the others the NRF looks at the certificate of the connection, which is the SCP's.
//!
//! * `ask`: what the headers ask for
//! * `discovery`: who that is, as the NRF says
//! * `producers`: connections to them
//! * `circuit`: when one is left alone
//! * `rewrite`: what changes on the way
//! * `metrics`: what Prometheus is told

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::{HeaderValue, SERVER};
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_tls::profile::ConnectionProfile;
use sbi::access_token;
use sbi::client::ClientError;
use sbi::header::RoutingBinding;
use sbi::instance::{CallError, Instance};
use sbi::model::{NfType, NotificationData, NotificationEventType, ServiceName, SubscriptionData};
use sbi::nf_status::Watch;
use sbi::nnrf::{KeptNrf, Nrf};
use sbi::problem::{Cause, InvalidParam, Problem};
use sbi::response::Response;
use sbi::selection::{Candidate, Candidates, scramble};
use sbi::server::Request;
use sbi::uri::{ApiRoot, Query};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};

mod ask;
mod circuit;
mod discovery;
mod metrics;
mod producers;
mod rewrite;

pub use metrics::RoutingMetrics;

use ask::{Ask, Model};
use discovery::{Discovery, DiscoveryError, Wanted, Which};
use producers::{Destination, Producers, SendError};

/// Producers that are asked for one request at most.
const MAX_ATTEMPTS: usize = 3;
/// Seconds after which a consumer may try again that came when there was no place.
const RETRY_WHEN_BUSY: u32 = 1;
/// Types of producers that a consumer may name whose request does not say which it is: that of a callback may have any path.
const PRODUCER_TYPES: [NfType; 5] = [
    NfType::Amf,
    NfType::Smf,
    NfType::Ausf,
    NfType::Udm,
    NfType::Pcf,
];

/// Routes requests of consumers.
pub struct Router {
    /// How the SCP calls itself: `SCP-<fqdn>`.
    name: String,
    instance: Arc<Instance>,
    discovery: Discovery,
    producers: Producers,
    places: Semaphore,
    /// Requests so far, from which choices are drawn.
    routed: AtomicU64,
    metrics: RoutingMetrics,
}

/// One request on its way.
struct Routed<'a> {
    request: &'a Request,
    ask: Ask,
    profile: ConnectionProfile,
    deadline: Instant,
}

impl Router {
    /// Routes as `instance` what consumers want, `max_requests` at a time; `nrf` knows the producers.
    pub fn new(
        instance: Arc<Instance>,
        nrf: Nrf,
        max_requests: usize,
        metrics: RoutingMetrics,
    ) -> Self {
        let kept = KeptNrf::new(instance.clone(), nrf);
        Self {
            name: format!("{}-{}", NfType::Scp, instance.fqdn),
            discovery: Discovery::new(kept, metrics.clone()),
            producers: Producers::new(instance.clone(), metrics.clone()),
            instance,
            places: Semaphore::new(max_requests),
            routed: AtomicU64::new(0),
            metrics,
        }
    }

    /// Takes in what the NRF tells of a producer.
    pub fn hear(&self, told: &NotificationData) {
        if let Some(producer) = told.instance_id() {
            self.discovery.forget_instance(producer);
        }
    }

    /// Keeps a subscription to all producers up, once it is known where the SCP is called, until `callback` is closed.
    pub async fn keep_hearing(self: Arc<Self>, callback: watch::Receiver<Option<String>>) {
        let kept = &self.discovery.nrf;
        let subscribed = watch::Sender::new(0);
        let mut anew = subscribed.subscribe();
        let mut wanted = SubscriptionData::new("");
        wanted.req_nf_type = Some(NfType::Scp);
        wanted.req_notif_events = vec![
            NotificationEventType::ProfileChanged,
            NotificationEventType::Deregistered,
        ];
        let watch = Watch {
            nrf: kept.nrf.clone(),
            wanted,
            subscribed,
        };
        let forgetting = async {
            while anew.changed().await.is_ok() {
                self.discovery.forget_all();
            }
        };
        tokio::select! {
            () = watch.keep_at(callback, || kept.connection()) => {}
            () = forgetting => {}
        }
    }

    /// Routes `request`. An answer of the SCP itself says so in `Server`.
    ///
    /// Dropping the future gives up the request to the producer.
    pub async fn route(&self, request: &Request) -> Response {
        let _in_progress = self.metrics.begin();
        let mut model = None;
        let problem = match self.admit(request, &mut model).await {
            Ok(response) => {
                self.metrics.routed(model, None);
                return response;
            }
            Err(problem) => problem,
        };
        self.metrics
            .routed(model, Some(problem.details.cause.as_deref()));
        tracing::debug!(remote = %request.peer.remote, %problem, "not routed");
        let server = HeaderValue::try_from(&self.name).expect("made of the FQDN of a certificate");
        problem.into_response().with(SERVER, server)
    }

    async fn admit(
        &self,
        request: &Request,
        model: &mut Option<Model>,
    ) -> Result<Response, Problem> {
        let Ok(_place) = self.places.try_acquire() else {
            return Err(congested("this SCP routes as many requests as it may"));
        };
        let ask = Ask::read(request, &self.name)?;
        access_token::require_own(request).map_err(|refusal| refusal.problem(&NfType::Scp))?;
        *model = Some(ask.model());
        let routed = Routed {
            request,
            profile: self.profile_of(request),
            deadline: Instant::now() + ask.time,
            ask,
        };
        match routed.ask.model() {
            Model::C | Model::D => self.forward(&routed).await,
            Model::Nrf => self.forward_discovery(&routed).await,
        }
    }

    /// Both legs of a request are authenticated in the same way.
    fn profile_of(&self, request: &Request) -> ConnectionProfile {
        let profile = request.peer.profile;
        profile.unwrap_or_else(|| self.instance.own_profile())
    }

    /// Sends to whom the consumer names, and then to whom is discovered for it.
    async fn forward(&self, routed: &Routed<'_>) -> Result<Response, Problem> {
        let ask = &routed.ask;
        let mut tried = Vec::new();
        let Some(root) = &ask.target else {
            return self.forward_discovered(routed, &mut tried).await;
        };
        match self.forward_to(routed, root, &mut tried).await {
            Err(Failure::TryAnother(_)) if ask.discovers() && ask.may_retry => {
                if !tried.is_empty() {
                    self.metrics.retried(ask.model());
                }
                self.forward_discovered(routed, &mut tried).await
            }
            Err(Failure::TryAnother(problem) | Failure::Final(problem)) => Err(problem),
            Ok(response) => Ok(response),
        }
    }

    /// Model C: sends to the producer that is registered at `root`.
    async fn forward_to(
        &self,
        routed: &Routed<'_>,
        root: &ApiRoot,
        tried: &mut Vec<Candidate>,
    ) -> Result<Response, Failure> {
        let Some((producer, wanted)) = self.registered_at(routed, root).await? else {
            let detail = format!(
                "the NRF knows no producer for {} at {root}",
                routed.ask.consumer
            );
            return Err(Failure::TryAnother(not_reachable(detail)));
        };
        let producer = producer.choose(0).clone();
        tried.push(producer.clone());
        if !self.producers.admits(routed.profile, &producer) {
            let detail = format!("{root} has failed several times in a row");
            return Err(Failure::TryAnother(not_reachable(detail)));
        }
        let sent = self.send(routed, &producer, root.prefix()).await;
        match sent {
            Ok(response) => Ok(rewrite::returned(response, None, &self.name)),
            Err(error) => {
                self.discovery.forget(&wanted);
                Err(Failure::of(&error, routed))
            }
        }
    }

    /// The producer at `root`, if the NRF knows it and the consumer may use it.
    async fn registered_at(
        &self,
        routed: &Routed<'_>,
        root: &ApiRoot,
    ) -> Result<Option<(Arc<Candidates>, Wanted)>, Failure> {
        let authority: Authority = root.authority().parse().map_err(|_| {
            let detail = format!("{root} names no host");
            Failure::Final(not_reachable(detail))
        })?;
        let port = authority.port_u16();
        let port = port.unwrap_or_else(|| root.scheme().default_port());
        let host = authority.host();
        let of_path = service_in(&routed.request.path).and_then(|name| nf_type_of(&name));
        let others = PRODUCER_TYPES
            .iter()
            .filter(|other| Some(*other) != of_path.as_ref());
        for nf_type in of_path.iter().chain(others) {
            if matches!(nf_type, NfType::Nrf | NfType::Scp) {
                continue;
            }
            let mut query = Query::default();
            query.push("target-nf-type", nf_type.as_str());
            query.push("requester-nf-type", routed.ask.consumer.as_str());
            query.push("target-nf-fqdn", host);
            let which = Which::At(format!("{host}:{port}"));
            if let (Some(found), wanted) = self.find(routed, &query, which).await? {
                return Ok(Some((found, wanted)));
            }
        }
        Ok(None)
    }

    /// Model D: sends to the best of those that are discovered and were not tried.
    async fn forward_discovered(
        &self,
        routed: &Routed<'_>,
        tried: &mut Vec<Candidate>,
    ) -> Result<Response, Problem> {
        let ask = &routed.ask;
        let (query, which) = wanted(ask, &routed.request.path)?;
        let (found, wanted) = self.find(routed, &query, which).await?;
        let Some(candidates) = found else {
            let detail = "the NRF knows no producer that fits";
            let cause = Cause::NfDiscoveryFailure;
            return Err(Problem::with_cause(StatusCode::BAD_REQUEST, cause, detail));
        };
        let mut last = not_reachable("every producer that fits has failed several times in a row");
        let mut is_retry = false;
        while tried.len() < MAX_ATTEMPTS {
            let random = scramble(self.routed.fetch_add(1, Ordering::Relaxed));
            let producer = candidates.choose_among(random, |one| {
                tried.iter().all(|tried| tried.addr != one.addr)
                    && self.producers.admits(routed.profile, one)
            });
            let Some(producer) = producer else {
                break;
            };
            if std::mem::replace(&mut is_retry, true) {
                self.metrics.retried(ask.model());
            }
            tried.push(producer.clone());
            let prefix = &producer.endpoint.api_prefix;
            let error = match self.send(routed, producer, prefix).await {
                Ok(response) => {
                    let root = root_of(producer)?;
                    let chosen = Some((producer, &root));
                    return Ok(rewrite::returned(response, chosen, &self.name));
                }
                Err(error) => error,
            };
            self.discovery.forget(&wanted);
            match Failure::of(&error, routed) {
                Failure::TryAnother(problem) if ask.may_retry => last = problem,
                Failure::TryAnother(problem) | Failure::Final(problem) => return Err(problem),
            }
        }
        Err(last)
    }

    /// A discovery that asks the SCP for nothing else: the SCP is on the way to its NRF.
    async fn forward_discovery(&self, routed: &Routed<'_>) -> Result<Response, Problem> {
        let Routed { request, ask, .. } = routed;
        if request.method != Method::GET || service_in(&request.path) != Some(ServiceName::NnrfDisc)
        {
            return Err(Problem::mandatory_ie_missing(
                "header 3gpp-Sbi-Target-apiRoot",
            ));
        }
        ask.require_own_discovery(request)?;
        let nrf = &self.discovery.nrf.nrf;
        let not_reachable =
            |error: &dyn std::error::Error| nrf_not_reachable(&Causes(error).to_string());
        let to = Destination {
            addr: nrf.addr().await.map_err(|error| not_reachable(&error))?,
            expected: nrf.expected(),
            authority: nrf.authority(),
        };
        let sent = self.send_to(routed, &to, "").await;
        let response = sent.map_err(|error| not_reachable(&error))?;
        Ok(rewrite::returned(response, None, &self.name))
    }

    async fn find(
        &self,
        routed: &Routed<'_>,
        query: &Query,
        which: Which,
    ) -> Result<(Option<Arc<Candidates>>, Wanted), Problem> {
        let wanted = Wanted {
            query: query.to_string(),
            which,
        };
        let finding = self.discovery.find(&wanted, query, &routed.ask.agent);
        let found = timeout_at(routed.deadline, finding).await;
        let found = found.map_err(|_| timed_out())?;
        match found {
            Ok(found) => Ok((found, wanted)),
            Err(DiscoveryError::Refused(error)) => {
                let param = InvalidParam::new("header 3gpp-Sbi-Discovery-*", refusal(&error));
                let cause = Cause::InvalidDiscoveryParam;
                Err(Problem::invalid_params(cause, vec![param]))
            }
            Err(error) => Err(nrf_not_reachable(&Causes(&error).to_string())),
        }
    }

    async fn send(
        &self,
        routed: &Routed<'_>,
        producer: &Candidate,
        prefix: &str,
    ) -> Result<Response, SendError> {
        self.send_to(routed, &producer.into(), prefix).await
    }

    async fn send_to(
        &self,
        routed: &Routed<'_>,
        to: &Destination,
        prefix: &str,
    ) -> Result<Response, SendError> {
        let Routed {
            request,
            ask,
            profile,
            deadline,
        } = routed;
        let left = deadline.saturating_duration_since(Instant::now());
        let request = rewrite::forwarded(request, ask, &to.authority, prefix, &self.name, left);
        self.producers.send(to, *profile, request, *deadline).await
    }
}

/// Why a producer was not the one that answers.
enum Failure {
    /// Another may be asked; if there is none, this is the answer.
    TryAnother(Problem),
    /// This is the answer.
    Final(Problem),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Final(problem)
    }
}

impl Failure {
    fn of(error: &SendError, routed: &Routed<'_>) -> Self {
        let problem = match error {
            SendError::Full => congested("the producer has as many requests as it may"),
            SendError::Late | SendError::Call(CallError::Client(ClientError::Timeout(_))) => {
                return Self::Final(timed_out());
            }
            SendError::Call(CallError::Client(ClientError::TooLong(_))) => {
                let (status, cause) = (StatusCode::BAD_GATEWAY, Cause::InboundServerError);
                return Self::Final(Problem::with_cause(status, cause, error.to_string()));
            }
            SendError::Call(_) => not_reachable(Causes(error).to_string()),
        };
        // The methods that may be carried out twice (RFC 9110 section 9.2.2).
        let method = &routed.request.method;
        if error.is_unprocessed() || method.is_idempotent() {
            Self::TryAnother(problem)
        } else {
            Self::Final(problem)
        }
    }
}

/// The query that `ask` makes, and which services of its answer are meant.
fn wanted(ask: &Ask, path: &str) -> Result<(Query, Which), Problem> {
    let mut query = ask.query.clone();
    let given = |query: &Query, name: &str| query.values(name).next().map(str::to_owned);
    let names = given(&query, "service-names");
    let first = names.as_deref().and_then(|names| names.split(',').next());
    let name = first.map(ServiceName::from).or_else(|| service_in(path));
    let name = name
        .ok_or_else(|| Problem::mandatory_ie_missing("header 3gpp-Sbi-Discovery-service-names"))?;
    if given(&query, "target-nf-type").is_none() {
        let nf_type = nf_type_of(&name).ok_or_else(|| {
            Problem::mandatory_ie_missing("header 3gpp-Sbi-Discovery-target-nf-type")
        })?;
        query.push("target-nf-type", nf_type.as_str());
    }
    if given(&query, "requester-nf-type").is_none() {
        query.push("requester-nf-type", ask.consumer.as_str());
    }
    if names.is_none() {
        query.push("service-names", name.as_str());
    }
    let mut set = None;
    match &ask.binding {
        Some(RoutingBinding::Instance(id)) if given(&query, "target-nf-instance-id").is_none() => {
            query.push("target-nf-instance-id", id.to_string());
        }
        Some(RoutingBinding::Set(id)) => set = Some(id.clone()),
        Some(RoutingBinding::Instance(_)) | None => {}
    }
    let locality = given(&query, "preferred-locality");
    let which = Which::Service {
        name,
        set,
        locality,
    };
    Ok((query, which))
}

/// The service that a path belongs to, by its first segment.
fn service_in(path: &str) -> Option<ServiceName> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    (!first.is_empty()).then(|| ServiceName::from(first))
}

/// The type of the NFs that produce a service: `nsmf-pdusession` is of SMFs (TS 29.501 clause 5.1.2).
fn nf_type_of(name: &ServiceName) -> Option<NfType> {
    let (nf, _) = name.as_str().strip_prefix('n')?.split_once('-')?;
    Some(NfType::from(&*nf.to_ascii_uppercase()))
}

fn root_of(producer: &Candidate) -> Result<ApiRoot, Problem> {
    // A profile may say anything of itself; it has answered all the same.
    producer.endpoint.root().map_err(|_| {
        let (status, cause) = (StatusCode::BAD_GATEWAY, Cause::InboundServerError);
        Problem::with_cause(status, cause, "the producer's apiRoot is not one")
    })
}

fn refusal(error: &ClientError) -> String {
    match error {
        ClientError::Status { details, .. } => details.to_string(),
        other => other.to_string(),
    }
}

fn congested(detail: &str) -> Problem {
    Problem::unavailable(Cause::NfCongestion, detail, RETRY_WHEN_BUSY)
}

fn not_reachable(detail: impl Into<String>) -> Problem {
    let (status, cause) = (StatusCode::GATEWAY_TIMEOUT, Cause::TargetNfNotReachable);
    Problem::with_cause(status, cause, detail)
}

fn nrf_not_reachable(detail: &str) -> Problem {
    let (status, cause) = (StatusCode::GATEWAY_TIMEOUT, Cause::NrfNotReachable);
    Problem::with_cause(status, cause, detail)
}

fn timed_out() -> Problem {
    let (status, cause) = (StatusCode::GATEWAY_TIMEOUT, Cause::TimedOutRequest);
    Problem::with_cause(status, cause, "there was no answer in the consumer's time")
}
