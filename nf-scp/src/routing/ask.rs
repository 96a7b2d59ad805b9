//! What a consumer asks an SCP for, by the headers of its request (TS 29.500 clause 6.10).
//!
//! ```text
//!  Target-apiRoot  Discovery-*  Routing-Binding
//!       x                                          model C: there
//!       x               x  or       x              there, or else to whom discovery finds
//!                       x  or       x              model D: to whom discovery finds
//! ```
//!
//! A consumer may ask for what its own certificate lets it ask the NRF for: an SCP is believed there for whomever it asks.
//! Pure.

use std::time::Duration;

use hyper::StatusCode;
use sbi::header::{
    HeaderError, MaxForwardHops, MaxRspTime, RoutingBinding, TypedHeader, UserAgent,
    discovery_query, forbids_retries, has_passed,
};
use sbi::model::NfType;
use sbi::problem::{Cause, InvalidParam, Problem};
use sbi::server::Request;
use sbi::uri::{ApiRoot, Query};

/// How long a request may take whose consumer does not say how long it waits, and at most.
const MAX_TIME: Duration = Duration::from_secs(10);
/// The discovery parameters that say who asks.
const REQUESTER_TYPE: &str = "requester-nf-type";
const REQUESTER_ID: &str = "requester-nf-instance-id";

/// How indirect communication is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Model {
    /// The consumer names the producer.
    C,
    /// The SCP discovers it.
    D,
    /// A discovery that goes to the NRF as it is.
    Nrf,
}

impl Model {
    /// The value of a metric's label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::D => "d",
            Self::Nrf => "nrf",
        }
    }
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Ask {
    /// The kind of NF that asks.
    pub(super) consumer: NfType,
    /// How it calls itself.
    pub(super) agent: UserAgent,
    /// The producer it names.
    pub(super) target: Option<ApiRoot>,
    /// What it wants discovered; empty if nothing.
    pub(super) query: Query,
    /// What the request is bound to.
    pub(super) binding: Option<RoutingBinding>,
    /// The hops that are left after this one, if they are limited.
    pub(super) hops: Option<MaxForwardHops>,
    /// How long the consumer waits.
    pub(super) time: Duration,
    /// Whether it said so itself.
    pub(super) is_time_limited: bool,
    /// Whether the request may be sent again.
    pub(super) may_retry: bool,
}

impl Ask {
    /// Reads what `request` asks the SCP with this `name` for.
    ///
    /// # Errors
    /// The problem to answer with.
    pub(super) fn read(request: &Request, name: &str) -> Result<Self, Problem> {
        let headers = &request.headers;
        if has_passed(headers, name) {
            let detail = "the request has passed this SCP before";
            return Err(Problem::new(StatusCode::LOOP_DETECTED, detail));
        }
        let hops = header::<MaxForwardHops>(request)?;
        let hops = hops.map(|hops| {
            let after = hops.after_one();
            after.ok_or_else(|| {
                let cause = Cause::MaxScpHopsReached;
                let detail = "no SCP may forward the request any further";
                Problem::with_cause(StatusCode::BAD_GATEWAY, cause, detail)
            })
        });
        let agent = header::<UserAgent>(request)?;
        let agent = agent.ok_or_else(|| Problem::mandatory_ie_missing("header User-Agent"))?;
        let query = discovery_query(headers).map_err(|error| {
            let param = InvalidParam::new(format!("header {}", error.name), error.grammar);
            Problem::invalid_params(Cause::InvalidDiscoveryParam, vec![param])
        })?;
        let consumer = query.values(REQUESTER_TYPE).next().map(NfType::from);
        let consumer = consumer.unwrap_or_else(|| agent.nf_type());
        require_consumer(request, &consumer, &query)?;
        let time = header::<MaxRspTime>(request)?;
        Ok(Self {
            consumer,
            agent,
            target: header(request)?,
            query,
            binding: header(request)?,
            hops: hops.transpose()?,
            time: time.map_or(MAX_TIME, |time| time.duration().min(MAX_TIME)),
            is_time_limited: time.is_some(),
            may_retry: !forbids_retries(headers),
        })
    }

    /// As [`Ask::read`], of a request of nobody that asks for nothing else than the discovery in its own query.
    ///
    /// # Errors
    /// The query cannot be read, or names another requester.
    pub(super) fn require_own_discovery(&self, request: &Request) -> Result<(), Problem> {
        let query = Query::parse(&request.query).map_err(|error| {
            Problem::with_cause(
                StatusCode::BAD_REQUEST,
                Cause::InvalidQueryParam,
                error.to_string(),
            )
        })?;
        let requester = query.values(REQUESTER_TYPE).next().map(NfType::from);
        require_consumer(
            request,
            &requester.unwrap_or_else(|| self.agent.nf_type()),
            &query,
        )
    }

    /// What will do as well if nobody to whom the request is bound can be reached (TS 29.500 clause 6.12.1).
    pub(super) fn wider_binding(&self) -> Option<RoutingBinding> {
        match &self.binding {
            Some(RoutingBinding::Instance { set, .. }) => set.clone().map(RoutingBinding::Set),
            Some(RoutingBinding::Set(_)) | None => None,
        }
    }

    /// Whether there is something to discover.
    pub(super) fn discovers(&self) -> bool {
        self.binding.is_some() || self.query.names().next().is_some()
    }

    /// How it is asked for.
    pub(super) fn model(&self) -> Model {
        match (&self.target, self.discovers()) {
            (Some(_), _) => Model::C,
            (None, true) => Model::D,
            (None, false) => Model::Nrf,
        }
    }
}

fn header<T: TypedHeader>(request: &Request) -> Result<Option<T>, Problem> {
    let read = T::read(&request.headers);
    read.map_err(|HeaderError { name, grammar }| {
        Problem::mandatory_ie_incorrect(&format!("header {name}"), format!("is not {grammar}"))
    })
}

/// The NRF lets an SCP discover for everybody, so that whoever asks the SCP must be who it says.
fn require_consumer(request: &Request, nf_type: &NfType, query: &Query) -> Result<(), Problem> {
    let identity = request.peer.identity.as_ref();
    let identity =
        identity.ok_or_else(|| Problem::certificate_mismatch("there is no valid certificate"))?;
    let has_type = |wanted: &str| identity.nf_types.iter().any(|nf_type| nf_type == wanted);
    if has_type(NfType::Scp.as_str()) {
        return Ok(());
    }
    if !has_type(nf_type.as_str()) {
        return Err(Problem::certificate_mismatch(format!(
            "certificate is for nfType {}, the requester is {nf_type}",
            identity.nf_types.join(", "),
        )));
    }
    let certified = identity.instance_id.to_string();
    let mut ids = query.values(REQUESTER_ID);
    match ids.find(|id| !id.eq_ignore_ascii_case(&certified)) {
        Some(other) => Err(Problem::certificate_mismatch(format!(
            "certificate is of instance {certified}, {REQUESTER_ID} is {other}"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hyper::header::{HeaderName, HeaderValue};
    use hyper::{HeaderMap, Method};
    use mtc_tls::identity::NfIdentity;
    use sbi::server::Peer;
    use uuid::Uuid;

    use super::*;

    const SCP: &str = "SCP-scp1.example.org";
    const ID: Uuid = Uuid::from_u128(7);

    fn request(nf_type: &str, headers: &[(&str, &str)]) -> Request {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::try_from(*name).expect("a name");
            (name, HeaderValue::from_str(value).expect("a value"))
        });
        let mut peer = Peer::cleartext(([127, 0, 0, 1], 9).into());
        peer.identity = Some(NfIdentity {
            instance_id: ID,
            nf_types: vec![nf_type.to_owned()],
            fqdns: Vec::new(),
            not_after: u64::MAX,
        });
        Request {
            method: Method::POST,
            path: "/nsmf-pdusession/v1/sm-contexts".to_owned(),
            query: String::new(),
            headers: HeaderMap::from_iter(headers),
            body: Default::default(),
            peer: Arc::new(peer),
        }
    }

    fn refused(nf_type: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let problem = Ask::read(&request(nf_type, headers), SCP).expect_err("a refusal");
        let cause = problem.details.cause.unwrap_or_default();
        (problem.status.as_u16(), cause)
    }

    #[test]
    fn the_headers_decide_the_model() {
        let model = |headers: &[(&str, &str)]| {
            let mut all = vec![("user-agent", "AMF-amf1")];
            all.extend(headers);
            Ask::read(&request("AMF", &all), SCP)
                .expect("an ask")
                .model()
        };
        let target = ("3gpp-sbi-target-apiroot", "https://smf1.example.org:7777");
        let discovery = ("3gpp-sbi-discovery-target-nf-type", "SMF");
        let binding = ("3gpp-sbi-routing-binding", "bl=nf-set; nfset=a");
        assert_eq!(model(&[target]), Model::C);
        assert_eq!(model(&[target, discovery]), Model::C);
        assert_eq!(model(&[discovery]), Model::D);
        assert_eq!(model(&[binding]), Model::D);
        assert_eq!(model(&[]), Model::Nrf);
    }

    #[test]
    fn a_consumer_is_who_its_certificate_says() {
        let mismatch = (403, "MTC5G_CERTIFICATE_MISMATCH".to_owned());
        let agent = ("user-agent", "AMF-amf1");
        assert_eq!(refused("SMF", &[agent]), mismatch);
        let requester = ("3gpp-sbi-discovery-requester-nf-type", "SMF");
        assert_eq!(refused("AMF", &[agent, requester]), mismatch);
        let other = Uuid::from_u128(8).to_string();
        let id = ("3gpp-sbi-discovery-requester-nf-instance-id", &*other);
        assert_eq!(refused("AMF", &[agent, id]), mismatch);
        let own = ID.to_string();
        let id = ("3gpp-sbi-discovery-requester-nf-instance-id", &*own);
        assert!(Ask::read(&request("AMF", &[agent, id]), SCP).is_ok());
        // Another SCP asks for its own consumers.
        assert!(Ask::read(&request("SCP", &[agent, requester]), SCP).is_ok());
    }

    #[test]
    fn what_cannot_be_routed_is_told_by_status_and_cause() {
        let agent = ("user-agent", "AMF");
        let cause = |status, cause: &str| (status, cause.to_owned());
        assert_eq!(refused("AMF", &[]), cause(400, "MANDATORY_IE_MISSING"));
        let via = ("via", "2.0 SCP-scp1.example.org");
        assert_eq!(refused("AMF", &[agent, via]), cause(508, ""));
        let hops = ("3gpp-sbi-max-forward-hops", "0; nodetype=scp");
        assert_eq!(
            refused("AMF", &[agent, hops]),
            cause(502, "MAX_SCP_HOPS_REACHED")
        );
        let target = ("3gpp-sbi-target-apiroot", "smf1.example.org");
        assert_eq!(
            refused("AMF", &[agent, target]),
            cause(400, "MANDATORY_IE_INCORRECT")
        );
        let discovery = ("3gpp-sbi-discovery-dnn", "%zz");
        assert_eq!(
            refused("AMF", &[agent, discovery]),
            cause(400, "INVALID_DISCOVERY_PARAM")
        );
    }

    #[test]
    fn the_consumers_time_counts_up_to_a_bound() {
        let time = |millis: &str| {
            let headers = [("user-agent", "AMF"), ("3gpp-sbi-max-rsp-time", millis)];
            Ask::read(&request("AMF", &headers), SCP)
                .expect("an ask")
                .time
        };
        assert_eq!(time("1500"), Duration::from_millis(1500));
        assert_eq!(time("99999"), MAX_TIME);
    }
}
