//! The way from a consumer to the producer of a service, and the requests that take it (TS 23.501 annex E, TS 29.500 clause 6.10).
//!
//! ```text
//!  direct      consumer ───────────────────────────> producer                  models A and B
//!  through     consumer ── Target-apiRoot ──> SCP ──> producer                  model C
//!  delegated   consumer ── Discovery-* ─────> SCP ──> one that the SCP finds    model D
//!                       <─ Location, Target-apiRoot ─                           from now on through, to that one
//! ```
//!
//! What a producer has made is asked about at its own apiRoot in every model (TS 29.500 clause 6.10.3): a [`Resource`] belongs to whoever
//! made it.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use hyper::Method;
use hyper::header::LOCATION;
use mtc_tls::peer::ExpectedPeer;
use sbi::client::{ClientError, Connection, Request};
use sbi::header::{TypedHeader, UserAgent};
use sbi::indirect::Scp;
use sbi::model::{NfType, ServiceName};
use sbi::nnrf::Discover;
use sbi::problem::Cause;
use sbi::response::Response;
use sbi::selection::Candidate;
use sbi::uri::{ApiRoot, Scheme, UriError};

/// The way to a producer.
#[derive(Clone, Debug)]
pub struct Route {
    producer: NfType,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// The connection is to this producer.
    Direct(Box<Candidate>),
    /// It is to the SCP, which forwards to the producer at the root.
    Through(Scp, ApiRoot),
    /// It is to the SCP, which finds a producer.
    Delegated {
        scp: Scp,
        requester: NfType,
        wanted: Discover<'static>,
    },
}

/// Whom a connection is opened to, and who is asked over it.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Where to connect.
    pub addr: SocketAddr,
    /// Who must be there.
    pub expected: ExpectedPeer,
    /// The types of NFs from there to the producer: one, or the SCP and it.
    pub along: Vec<NfType>,
}

impl Route {
    /// Straight to a producer.
    pub fn direct(producer: Candidate) -> Self {
        Self {
            producer: producer.nf_type.clone(),
            way: Way::Direct(Box::new(producer)),
        }
    }

    /// Through `scp` to the producer at `root`, which is of type `producer`.
    pub const fn through(scp: Scp, producer: NfType, root: ApiRoot) -> Self {
        Self {
            producer,
            way: Way::Through(scp, root),
        }
    }

    /// Through `scp` to a producer that was discovered.
    ///
    /// # Errors
    /// [`ClientError::Target`]: its profile has an apiRoot that is not one.
    pub fn through_to(scp: Scp, producer: &Candidate) -> Result<Self, ClientError> {
        let root = producer.endpoint.root().map_err(|_| ClientError::Target {
            authority: producer.endpoint.authority(),
            path: producer.endpoint.api_prefix.clone(),
        })?;
        Ok(Self::through(scp, producer.nf_type.clone(), root))
    }

    /// Through `scp` to whatever producer it finds that is `wanted` by a consumer of type `requester`.
    pub fn delegated(scp: Scp, requester: NfType, wanted: Discover<'static>) -> Self {
        Self {
            producer: wanted.nf_type.clone(),
            way: Way::Delegated {
                scp,
                requester,
                wanted,
            },
        }
    }

    /// Where its connections lead.
    pub fn destination(&self) -> Destination {
        let producer = self.producer.clone();
        match &self.way {
            Way::Direct(candidate) => Destination {
                addr: candidate.addr,
                expected: candidate.expected(),
                along: vec![producer],
            },
            Way::Through(scp, _) | Way::Delegated { scp, .. } => Destination {
                addr: scp.addr,
                expected: scp.expected(),
                along: vec![NfType::Scp, producer],
            },
        }
    }
}

/// Something that a producer has made for a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Where its producer is; the prefix is part of the path.
    pub root: ApiRoot,
    /// The path of its URI.
    pub path: String,
}

/// Why a URI does not name a [`Resource`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// There is none.
    #[error("the answer has no Location")]
    Missing,
    /// It is not a URI.
    #[error("Location")]
    Uri(#[from] UriError),
    /// It is not at the producer that was asked.
    #[error("Location is at {0}, which is not the producer that was asked")]
    Foreign(String),
}

/// A connection on the way to a producer, in use by one consumer.
#[derive(Debug)]
pub struct Exchange<'a> {
    connection: &'a Connection,
    route: &'a Route,
    agent: Option<&'a UserAgent>,
    /// The producer that an SCP has found, once it has answered.
    found: OnceLock<ApiRoot>,
}

impl<'a> Exchange<'a> {
    /// Requests over `connection`, which leads where `route` says, of a consumer that calls itself `agent`.
    pub const fn new(
        connection: &'a Connection,
        route: &'a Route,
        agent: Option<&'a UserAgent>,
    ) -> Self {
        Self {
            connection,
            route,
            agent,
            found: OnceLock::new(),
        }
    }

    /// A request to the producer for `path`, which is below its apiRoot.
    pub fn request(&self, method: Method, path: impl Into<String>) -> Request {
        let path = path.into();
        match (&self.route.way, self.found.get()) {
            (Way::Direct(producer), _) => {
                let endpoint = &producer.endpoint;
                let path = format!("{}{path}", endpoint.api_prefix);
                Request::new(method, endpoint.authority(), path)
            }
            (Way::Through(scp, root), _) | (Way::Delegated { scp, .. }, Some(root)) => {
                scp.towards(Request::new(method, root.authority(), path), root)
            }
            (
                Way::Delegated {
                    scp,
                    requester,
                    wanted,
                },
                None,
            ) => scp.delegating(Request::new(method, String::new(), path), requester, wanted),
        }
    }

    /// A request about `resource`, or about `what` is below it.
    pub fn about(&self, method: Method, resource: &Resource, what: &str) -> Request {
        let path = format!("{}{what}", resource.path);
        let request = Request::new(method, resource.root.authority(), path);
        match &self.route.way {
            Way::Direct(_) => request,
            Way::Through(scp, _) | Way::Delegated { scp, .. } => {
                scp.towards(request, &resource.root)
            }
        }
    }

    /// Sends a request and waits so long for a successful answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn call(&self, request: Request, time: Duration) -> Result<Response, ClientError> {
        let request = match self.agent {
            Some(agent) => request.header(agent),
            None => request,
        };
        let answer = self.connection.call(request, time).await?;
        if let Way::Delegated { wanted, .. } = &self.route.way
            && let Some(root) = named_in(&answer, &wanted.service)
        {
            self.found.get_or_init(|| root);
        }
        Ok(answer)
    }

    /// Where the producer is; none before one is found.
    pub fn producer(&self) -> Option<ApiRoot> {
        match &self.route.way {
            // A producer that was called has an apiRoot.
            Way::Direct(producer) => producer.endpoint.root().ok(),
            Way::Through(_, root) => Some(root.clone()),
            Way::Delegated { .. } => self.found.get().cloned(),
        }
    }

    /// The way for further requests to the producer that has answered here.
    pub fn onwards(&self) -> Route {
        match (&self.route.way, self.found.get()) {
            (Way::Delegated { scp, .. }, Some(root)) => {
                Route::through(scp.clone(), self.route.producer.clone(), root.clone())
            }
            _ => self.route.clone(),
        }
    }

    /// The resource that `answer` says was made.
    ///
    /// # Errors
    /// It does not, or it is not at the producer that was asked.
    pub fn made(&self, answer: &Response) -> Result<Resource, ResourceError> {
        let location = answer.header(&LOCATION);
        self.resource(location.ok_or(ResourceError::Missing)?)
    }

    /// The resource at `uri`, which must be at the producer that was asked: requests about it take the same connection. An SCP may
    /// have asked any.
    ///
    /// # Errors
    /// See [`ResourceError`].
    pub fn resource(&self, uri: &str) -> Result<Resource, ResourceError> {
        let (root, path) = ApiRoot::split(uri)?;
        let is_at = |scheme, authority: &str| {
            root.scheme() == scheme && root.authority().eq_ignore_ascii_case(authority)
        };
        let is_here = match &self.route.way {
            Way::Direct(producer) => {
                is_at(producer.endpoint.scheme, &producer.endpoint.authority())
            }
            Way::Through(_, known) => is_at(known.scheme(), known.authority()),
            Way::Delegated { .. } => root.scheme() == Scheme::Https,
        };
        if !is_here {
            return Err(ResourceError::Foreign(root.to_string()));
        }
        Ok(Resource {
            path: path.to_owned(),
            root,
        })
    }
}

/// Whether an SCP says that the producer it was to ask is not there, so that it may be elsewhere now.
pub fn is_unreachable(error: &ClientError) -> bool {
    let ClientError::Status { details, .. } = error else {
        return false;
    };
    details.cause.as_deref() == Some(Cause::TargetNfNotReachable.as_str())
}

/// The producer of `service` that an answer of an SCP is from: it says so where no `Location` does (TS 29.500 clause 6.10.3.4).
fn named_in(answer: &Response, service: &ServiceName) -> Option<ApiRoot> {
    let named = ApiRoot::read(&answer.headers).ok().flatten();
    named.or_else(|| {
        let (root, path) = ApiRoot::split(answer.header(&LOCATION)?).ok()?;
        let prefix = path.find(&format!("/{service}/")).map(|end| &path[..end]);
        format!("{root}{}", prefix?).parse().ok()
    })
}

#[cfg(test)]
mod tests;
