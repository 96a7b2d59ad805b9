//! Indirect communication (TS 23.501 annex E, TS 29.500 clause 6.10): requests of consumers go to producers through the SCP.
//!
//! ```text
//!  consumer ── mutual TLS ──> ask ──> who? ── Target-apiRoot: the producer registered there          model C
//!                              │       └───── Discovery-*, Routing-Binding: the best that fits       model D
//!                              └─ rewrite ──> producers ── mutual TLS, in the consumer's profile ──> producer
//!                                               ├─ is in another domain: the SCP there ──────────────────> producer
//!                                               └─ fails before it begins, or the method allows it: the next best
//! ```
//!
//! A request goes only to services that the NRF names to this consumer: an SCP is no open proxy, and what may not be discovered
//! cannot be reached through it. Services of the NRF itself are not routed but for discovery, whose query is held to the
//! consumer's certificate: for the others the NRF looks at the certificate of the connection, which is the SCP's.
//!
//! * `ask`: what the headers ask for
//! * `query`, `discovery`: who that is, as the NRF says
//! * `producers`: connections to them
//! * `circuit`: when one is left alone
//! * `tokens`: access tokens on the consumers' behalf
//! * `load`: what they say of their load
//! * `rewrite`: what changes on the way
//! * `upload`, `passage`: bodies on their way, of requests and of answers
//! * `failure`: what the consumer is told where nobody answers
//! * `wire`: what they send beside handshakes and bodies
//! * `metrics`: what Prometheus is told

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::header::{HeaderValue, SERVER};
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use sbi::access_token;
use sbi::body::Body;
use sbi::header::{RoutingBinding, UserAgent};
use sbi::instance::{Instance, Offer};
use sbi::model::{NfType, NotificationData, NotificationEventType, ServiceName, SubscriptionData};
use sbi::nf_status::Watch;
use sbi::nnrf::{KeptNrf, Nrf};
use sbi::problem::{Cause, InvalidParam, Problem};
use sbi::response::Response;
use sbi::selection::{Candidate, Candidates, scramble};
use sbi::server::Request;
use sbi::uri::{ApiRoot, Query};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

mod ask;
mod circuit;
mod discovery;
mod failure;
mod load;
mod metrics;
mod passage;
mod producers;
mod query;
mod rewrite;
mod tokens;
mod upload;
mod wire;

pub use metrics::RoutingMetrics;

use crate::config::RoutingConfig;
use ask::{Ask, Model};
use discovery::{Discovery, DiscoveryError, Wanted, Which};
use failure::{Failure, congested, not_reachable, nrf_not_reachable, refusal, shed, timed_out};
use load::Loads;
use metrics::{Counted, Direction};
use passage::Passenger;
use producers::{Answer, Destination, Place, Producers, SendError};
use query::{nf_type_of, service_in, wanted};
use rewrite::Hop;
use tokens::{ConsumerTokens, Lent};
use upload::Upload;

/// Producers that are asked for one request at most.
const MAX_ATTEMPTS: usize = 3;
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
    /// The SCP domain that it serves.
    domain: String,
    instance: Arc<Instance>,
    discovery: Discovery,
    producers: Producers,
    tokens: ConsumerTokens,
    loads: Mutex<Loads>,
    places: Arc<Semaphore>,
    /// Requests so far, from which choices are drawn.
    routed: AtomicU64,
    metrics: RoutingMetrics,
}

/// One request on its way.
struct Routed<'a> {
    /// Without its body.
    request: &'a Request,
    upload: &'a Upload,
    ask: Ask,
    /// Both legs are authenticated in the same way.
    offer: Offer,
    deadline: Instant,
    /// The token that the consumer has left to the SCP.
    lent: Option<Lent>,
}

impl Routed<'_> {
    fn failure(&self, error: &SendError) -> Failure {
        Failure::of(error, &self.request.method, self.upload.can_repeat())
    }
}

impl Router {
    /// Routes as `instance` what consumers want; `nrf` knows the producers.
    pub fn new(
        instance: Arc<Instance>,
        nrf: Nrf,
        config: &RoutingConfig,
        metrics: RoutingMetrics,
    ) -> Self {
        let kept = KeptNrf::new(instance.clone(), nrf.clone());
        Self {
            name: format!("{}-{}", NfType::Scp, instance.fqdn),
            domain: config.domain.clone(),
            discovery: Discovery::new(kept, metrics.clone()),
            producers: Producers::new(instance.clone(), metrics.clone()),
            tokens: ConsumerTokens::new(instance.clone(), nrf),
            loads: Mutex::default(),
            instance,
            places: Arc::new(Semaphore::new(config.max_requests)),
            routed: AtomicU64::new(0),
            metrics,
        }
    }

    /// The SCP domain that it serves.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Takes in what the NRF tells of a producer.
    pub fn hear(&self, told: &NotificationData) {
        if let Some(producer) = told.instance_id() {
            self.discovery.forget_instance(producer);
            self.loads().forget(producer);
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

    /// Routes `request`, whose body is `body`. An answer of the SCP itself says so in `Server`.
    ///
    /// Dropping the future gives up the request to the producer, and so does dropping the answer's body.
    pub async fn route(&self, request: &Request, body: Body) -> hyper::Response<Body> {
        let in_progress = self.metrics.begin();
        let mut model = None;
        let problem = match self.admit(request, body, in_progress, &mut model).await {
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
        let answer = problem.into_response().with(SERVER, server);
        let body = answer.body.clone().into();
        into_http(answer, body)
    }

    async fn admit(
        &self,
        request: &Request,
        body: Body,
        in_progress: Counted,
        model: &mut Option<Model>,
    ) -> Result<hyper::Response<Body>, Problem> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return Err(congested("this SCP routes as many requests as it may"));
        };
        let ask = Ask::read(request, &self.name)?;
        access_token::require_own(request).map_err(|refusal| refusal.problem(&NfType::Scp))?;
        *model = Some(ask.model());
        let patience = ask.time;
        let upload = Upload::new(body, self.metrics.clone());
        let offer = self.instance.offer_after(request.peer.profile);
        let deadline = Instant::now() + patience;
        let lending = self.tokens.for_request(request, &ask.consumer, offer);
        let lent = timeout_at(deadline, lending).await;
        let routed = Routed {
            request,
            upload: &upload,
            offer,
            deadline,
            ask,
            lent: lent.map_err(|_| timed_out())??,
        };
        let answer = match routed.ask.model() {
            Model::C | Model::D => self.forward(&routed).await,
            Model::Nrf => self.forward_discovery(&routed).await,
        };
        let Answer {
            head,
            mut body,
            place: lane,
        } = answer?;
        if let Some(lane) = lane {
            let passenger = Held {
                lane,
                metrics: self.metrics.clone(),
                _place: place,
                _in_progress: in_progress,
                _upload: upload,
            };
            body = passage::pass(body, patience, passenger);
        }
        Ok(into_http(head, body))
    }

    /// Sends to whom the consumer names, and then to whom is discovered for it.
    async fn forward(&self, routed: &Routed<'_>) -> Result<Answer, Problem> {
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
            Ok(answer) => Ok(answer),
        }
    }

    /// Model C: sends to the producer that is registered at `root`.
    async fn forward_to(
        &self,
        routed: &Routed<'_>,
        root: &ApiRoot,
        tried: &mut Vec<Candidate>,
    ) -> Result<Answer, Failure> {
        let Some((producer, wanted)) = self.registered_at(routed, root).await? else {
            let detail = format!(
                "the NRF knows no producer for {} at {root}",
                routed.ask.consumer
            );
            return Err(Failure::TryAnother(not_reachable(detail)));
        };
        let producer = producer.choose(0).clone();
        tried.push(producer.clone());
        if !self.producers.admits(routed.offer, &producer) {
            let detail = format!("{root} has failed several times in a row");
            return Err(Failure::TryAnother(not_reachable(detail)));
        }
        if self.sheds(routed, &producer, self.draw()) {
            return Err(Failure::TryAnother(shed()));
        }
        let sent = self.send(routed, &producer, root.prefix()).await;
        match sent {
            Ok(answer) => Ok(self.returned(answer, None)),
            Err(error) => {
                self.discovery.forget(&wanted);
                Err(routed.failure(&error))
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

    /// Model D: sends to the best of those that are discovered and were not tried: to whom the request is bound, and if that cannot be
    /// reached to whom will do as well.
    async fn forward_discovered(
        &self,
        routed: &Routed<'_>,
        tried: &mut Vec<Candidate>,
    ) -> Result<Answer, Problem> {
        let ask = &routed.ask;
        let bound = self
            .forward_bound(routed, ask.binding.as_ref(), tried)
            .await;
        let failure = match (bound, ask.wider_binding()) {
            (Ok(answer), _) => return Ok(answer),
            (Err(Failure::TryAnother(_)), Some(wider)) if ask.may_retry => {
                let others = self.forward_bound(routed, Some(&wider), tried).await;
                match others {
                    Ok(answer) => return Ok(answer),
                    Err(failure) => failure,
                }
            }
            (Err(failure), _) => failure,
        };
        let (Failure::TryAnother(problem) | Failure::Final(problem)) = failure;
        Err(problem)
    }

    async fn forward_bound(
        &self,
        routed: &Routed<'_>,
        binding: Option<&RoutingBinding>,
        tried: &mut Vec<Candidate>,
    ) -> Result<Answer, Failure> {
        let ask = &routed.ask;
        let (query, which) = wanted(ask, binding, &routed.request.path)?;
        let (found, wanted) = self.find(routed, &query, which).await?;
        let Some(candidates) = found else {
            let detail = "the NRF knows no producer that fits";
            let cause = Cause::NfDiscoveryFailure;
            let problem = Problem::with_cause(StatusCode::BAD_REQUEST, cause, detail);
            return Err(Failure::TryAnother(problem));
        };
        let candidates = self.as_loaded(&candidates);
        let mut last = not_reachable("every producer that fits has failed several times in a row");
        let mut is_retry = false;
        let drawn = self.draw();
        while tried.len() < MAX_ATTEMPTS {
            let admitted = |one: &Candidate| {
                tried.iter().all(|tried| tried.addr != one.addr)
                    && self.producers.admits(routed.offer, one)
            };
            let producer = candidates.choose_among(self.draw(), |one| {
                admitted(one) && !self.sheds(routed, one, drawn)
            });
            let Some(producer) = producer else {
                let is_shed = candidates.choose_among(drawn, admitted).is_some();
                if is_shed && !is_retry {
                    last = shed();
                }
                break;
            };
            if std::mem::replace(&mut is_retry, true) {
                self.metrics.retried(ask.model());
            }
            tried.push(producer.clone());
            let prefix = &producer.endpoint.api_prefix;
            let error = match self.send(routed, producer, prefix).await {
                Ok(answer) => {
                    let root = root_of(producer)?;
                    return Ok(self.returned(answer, Some((producer, &root))));
                }
                Err(error) => error,
            };
            self.discovery.forget(&wanted);
            match routed.failure(&error) {
                Failure::TryAnother(problem) if ask.may_retry => last = problem,
                failure => return Err(failure),
            }
        }
        Err(Failure::TryAnother(last))
    }

    /// A discovery that asks the SCP for nothing else: the SCP is on the way to its NRF.
    async fn forward_discovery(&self, routed: &Routed<'_>) -> Result<Answer, Problem> {
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
        let sent = self.send_to(routed, &to, "", None).await;
        let answer = sent.map_err(|error| not_reachable(&error))?;
        Ok(self.returned(answer, None))
    }

    async fn find(
        &self,
        routed: &Routed<'_>,
        query: &Query,
        which: Which,
    ) -> Result<(Option<Arc<Candidates>>, Wanted), Problem> {
        let agent = &routed.ask.agent;
        self.find_as(routed, query, which, agent).await
    }

    /// As [`Router::find`], for whoever calls itself `agent`.
    async fn find_as(
        &self,
        routed: &Routed<'_>,
        query: &Query,
        which: Which,
        agent: &UserAgent,
    ) -> Result<(Option<Arc<Candidates>>, Wanted), Problem> {
        let wanted = Wanted {
            query: query.to_string(),
            which,
        };
        let finding = self.discovery.find(&wanted, query, agent);
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
    ) -> Result<Answer, SendError> {
        let answer = match self.next_scp(routed, producer).await? {
            None => {
                let to = producer.into();
                self.send_to(routed, &to, prefix, None).await?
            }
            Some(scp) => {
                let root = producer.endpoint.root().map_err(|_| SendError::NoWay)?;
                let (to, prefix) = ((&scp).into(), &scp.endpoint.api_prefix);
                self.send_to(routed, &to, prefix, Some(&root)).await?
            }
        };
        let now = Instant::now();
        let mut loads = self.loads();
        loads.hear(producer.id, &answer.head.headers, now);
        self.metrics.overloaded_producers(loads.overloaded(now));
        Ok(answer)
    }

    /// The SCP on the way to `producer`, if it is in another domain than this one (TS 23.501 clause 6.3.16).
    async fn next_scp(
        &self,
        routed: &Routed<'_>,
        producer: &Candidate,
    ) -> Result<Option<Candidate>, SendError> {
        let domains = &producer.scp_domains;
        if domains.is_empty() || domains.contains(&self.domain) {
            return Ok(None);
        }
        let mut query = Query::default();
        query.push("target-nf-type", NfType::Scp.as_str());
        query.push("requester-nf-type", NfType::Scp.as_str());
        let own = UserAgent::new(&NfType::Scp, &self.instance.fqdn);
        let own = own.expect("made of the FQDN of a certificate");
        let which = Which::Scp(domains.clone());
        let found = self.find_as(routed, &query, which, &own).await;
        let (scps, _) = found.map_err(|_| SendError::NoWay)?;
        let scps = scps.ok_or(SendError::NoWay)?;
        let other = scps.choose_among(self.draw(), |scp| {
            scp.id != self.instance.id && self.producers.admits(routed.offer, scp)
        });
        other.cloned().map(Some).ok_or(SendError::NoWay)
    }

    /// `candidates` with what they have said of their load.
    fn as_loaded<'a>(&self, candidates: &'a Candidates) -> Cow<'a, Candidates> {
        let loads = self.loads();
        if loads.is_empty() {
            return Cow::Borrowed(candidates);
        }
        Cow::Owned(candidates.map(|one| match loads.load(one.id) {
            Some(load) => one.clone().with_load(load),
            None => one.clone(),
        }))
    }

    /// Whether `producer` does not want the request that has drawn this number. What gives something back is always sent.
    fn sheds(&self, routed: &Routed<'_>, producer: &Candidate, drawn: u64) -> bool {
        let gives_back = routed.request.method == Method::DELETE;
        !gives_back && self.loads().sheds(producer.id, drawn, Instant::now())
    }

    /// A number to choose by.
    fn draw(&self) -> u64 {
        scramble(self.routed.fetch_add(1, Ordering::Relaxed))
    }

    /// A panic leaves what was said as it was.
    fn loads(&self) -> MutexGuard<'_, Loads> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_to(
        &self,
        routed: &Routed<'_>,
        to: &Destination,
        prefix: &str,
        target: Option<&ApiRoot>,
    ) -> Result<Answer, SendError> {
        let Routed {
            request,
            upload,
            ask,
            offer,
            deadline,
            lent,
        } = routed;
        let left = deadline.saturating_duration_since(Instant::now());
        let hop = Hop {
            authority: &to.authority,
            prefix,
            target,
        };
        let request = rewrite::forwarded(request, ask, hop, &self.name, left);
        let request = request.bearing(lent.as_ref().map(|lent| &lent.bearer));
        let sent = self.producers.send(to, *offer, request, upload, *deadline);
        let answered = sent.await;
        if let (Some(lent), Ok(answer)) = (lent, &answered)
            && answer.head.status == StatusCode::UNAUTHORIZED
        {
            self.tokens.refused(lent);
        }
        answered
    }

    /// A producer's answer as the consumer gets it; `chosen` as in [`rewrite::returned`].
    fn returned(&self, answer: Answer, chosen: Option<(&Candidate, &ApiRoot)>) -> Answer {
        Answer {
            head: rewrite::returned(answer.head, chosen, &self.name),
            ..answer
        }
    }
}

/// What a request holds while its answer's body is on its way.
struct Held {
    lane: Place,
    metrics: RoutingMetrics,
    _place: OwnedSemaphorePermit,
    _in_progress: Counted,
    /// The rest of the request's body may still be on its way too.
    _upload: Upload,
}

impl Passenger for Held {
    fn passed(&mut self, octets: u64) {
        self.lane.count(octets);
        self.metrics.passed(Direction::Answer, octets);
    }
}

fn into_http(head: Response, body: Body) -> hyper::Response<Body> {
    let mut response = hyper::Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

fn root_of(producer: &Candidate) -> Result<ApiRoot, Problem> {
    // A profile may say anything of itself; it has answered all the same.
    producer.endpoint.root().map_err(|_| {
        let (status, cause) = (StatusCode::BAD_GATEWAY, Cause::InboundServerError);
        Problem::with_cause(status, cause, "the producer's apiRoot is not one")
    })
}
