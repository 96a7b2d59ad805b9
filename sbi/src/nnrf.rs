//! The NRF's consumer: registration, heartbeat, deregistration, discovery and access tokens (TS 29.510).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::{ConnectionProfile, Tokens};
use tokio::sync::OnceCell;

use crate::access_token::{Bearer, FetchToken, TokenNeed, TokenSource, life};
use crate::address::Address;
use crate::client::{ClientError, Connection, Request};
use crate::config::NrfAddress;
use crate::header::{CLIENT_CREDENTIALS, UserAgent};
use crate::instance::{CallError, Instance, Offer, Opened};
use crate::model::{
    AccessTokenRsp, NfInstanceId, NfProfile, NfType, PatchItem, SearchResult, ServiceName,
    SubscriptionData,
};
use crate::response::{FORM, JSON_PATCH, Response};
use crate::uri::{self, Query};

/// How long the NRF may take for a request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where access tokens are asked for: neither API name nor version (TS 29.510 clause 6.3.1).
pub const TOKEN_PATH: &str = "/oauth2/token";
/// The form parameter by which a consumer chooses what signs its token, an `alg` name.
///
/// Deviation: TS 29.510 has no such parameter; an NRF that does not know it ignores it (RFC 6749 section 3.2).
pub const TOKEN_ALG: &str = "mtc5g-alg";

/// The NRF as a producer.
#[derive(Clone, Debug)]
pub struct Nrf {
    address: Address,
    fqdn: String,
}

/// What the NRF made of a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heartbeat {
    /// It knows the profile.
    Known {
        /// The heartbeat interval it wants from now on, if it said so.
        interval: Option<Duration>,
    },
    /// It does not: register again.
    Unknown,
}

impl Nrf {
    /// The NRF at an address.
    pub fn new(address: &NrfAddress) -> Self {
        Self {
            address: address.sbi.clone(),
            fqdn: address.fqdn.clone(),
        }
    }

    /// `host:port` for `:authority`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.fqdn, self.address.port())
    }

    /// Opens a connection to it.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn open(
        &self,
        instance: &Instance,
        offer: impl Into<Offer>,
    ) -> Result<Opened, CallError> {
        instance
            .open(self.addr().await?, offer, self.expected())
            .await
    }

    /// Opens a connection to it that no scenario chose.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn open_own(&self, instance: &Instance) -> Result<Opened, CallError> {
        instance.open_own(self.addr().await?, self.expected()).await
    }

    /// Where it is now.
    ///
    /// # Errors
    /// [`ClientError::Resolve`]: its name has no address.
    pub async fn addr(&self) -> Result<SocketAddr, ClientError> {
        Ok(self.address.resolve().await?)
    }

    /// Who must be there: the NRF of that name.
    pub fn expected(&self) -> ExpectedPeer {
        ExpectedPeer {
            fqdn: self.fqdn.clone(),
            instance_id: None,
            nf_type: Some(NfType::Nrf.as_str().to_owned()),
        }
    }

    /// `NFRegister`: PUTs the profile; returns the heartbeat interval that the NRF decided.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn register(
        &self,
        connection: &Connection,
        profile: &NfProfile,
    ) -> Result<Option<Duration>, ClientError> {
        let path = instance_path(profile.nf_instance_id);
        let request = Request::new(Method::PUT, self.authority(), path).json(profile);
        let response = connection.call(request, TIMEOUT).await?;
        Ok(interval(&response))
    }

    /// `NFUpdate` as heartbeat: the instance is registered, with this load in percent.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn heartbeat(
        &self,
        connection: &Connection,
        id: NfInstanceId,
        load: u8,
    ) -> Result<Heartbeat, ClientError> {
        let patch = [
            PatchItem::replace("/nfStatus", "REGISTERED"),
            PatchItem::add("/load", load),
        ];
        let request = Request::new(Method::PATCH, self.authority(), instance_path(id))
            .json_as(JSON_PATCH, &patch);
        match connection.call(request, TIMEOUT).await {
            Ok(response) => Ok(Heartbeat::Known {
                interval: interval(&response),
            }),
            Err(ClientError::Status {
                status: StatusCode::NOT_FOUND,
                ..
            }) => Ok(Heartbeat::Unknown),
            Err(error) => Err(error),
        }
    }

    /// `NFDeregister`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn deregister(
        &self,
        connection: &Connection,
        id: NfInstanceId,
    ) -> Result<(), ClientError> {
        let request = Request::new(Method::DELETE, self.authority(), instance_path(id));
        connection.call(request, TIMEOUT).await.map(drop)
    }

    /// `NFProfileRetrieval`: the profile of an instance; none if it is not registered.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn retrieve(
        &self,
        connection: &Connection,
        id: NfInstanceId,
    ) -> Result<Option<NfProfile>, ClientError> {
        let request = Request::new(Method::GET, self.authority(), instance_path(id));
        match connection.call(request, TIMEOUT).await {
            Ok(response) => Ok(Some(response.read_json()?)),
            Err(ClientError::Status {
                status: StatusCode::NOT_FOUND,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `NFStatusSubscribe`: the subscription as the NRF has it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn subscribe(
        &self,
        connection: &Connection,
        wanted: &SubscriptionData,
    ) -> Result<SubscriptionData, ClientError> {
        let path = "/nnrf-nfm/v1/subscriptions";
        let request = Request::new(Method::POST, self.authority(), path).json(wanted);
        Ok(connection.call(request, TIMEOUT).await?.read_json()?)
    }

    /// Proposes that the subscription `id` lasts until `validity_time`, RFC 3339; what the NRF decides, or none if it knows no such
    /// subscription.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn renew(
        &self,
        connection: &Connection,
        id: &str,
        validity_time: String,
    ) -> Result<Option<String>, ClientError> {
        let path = format!("/nnrf-nfm/v1/subscriptions/{}", uri::encode(id));
        let patch = [PatchItem::add("/validityTime", validity_time.as_str())];
        let request =
            Request::new(Method::PATCH, self.authority(), path).json_as(JSON_PATCH, &patch);
        match connection.call(request, TIMEOUT).await {
            Ok(response) if response.body.is_empty() => Ok(Some(validity_time)),
            Ok(response) => {
                let data: SubscriptionData = response.read_json()?;
                Ok(Some(data.validity_time.unwrap_or(validity_time)))
            }
            Err(ClientError::Status {
                status: StatusCode::NOT_FOUND,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `NFDiscover` by NF type and service, on behalf of `instance`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn discover(
        &self,
        connection: &Connection,
        instance: &Instance,
        wanted: &Discover<'_>,
    ) -> Result<SearchResult, ClientError> {
        let mut query = Query::default();
        query.push("target-nf-type", wanted.nf_type.as_str());
        query.push("requester-nf-type", instance.nf_type.as_str());
        query.push("requester-nf-instance-id", instance.id.to_string());
        query.push("service-names", wanted.service.as_str());
        for (name, value) in &wanted.filters {
            query.push(*name, value);
        }
        let agent = UserAgent::new(&instance.nf_type, &instance.fqdn).ok();
        self.search(connection, &query, agent.as_ref()).await
    }

    /// `NFDiscover` with any query, named by `agent`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn search(
        &self,
        connection: &Connection,
        query: &Query,
        agent: Option<&UserAgent>,
    ) -> Result<SearchResult, ClientError> {
        let path = format!("/nnrf-disc/v1/nf-instances?{query}");
        let mut request = Request::new(Method::GET, self.authority(), path);
        if let Some(agent) = agent {
            request = request.header(agent);
        }
        Ok(connection.call(request, TIMEOUT).await?.read_json()?)
    }

    /// `AccessTokenRequest` (TS 29.510 clause 5.4.2.2): a token of `consumer` for `need`, and for how long it is good. Who asks for another
    /// NF, an SCP, has that one's client credentials assertion (TS 33.501 clause 13.4.1.3.2).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn access_token(
        &self,
        connection: &Connection,
        (id, nf_type): (NfInstanceId, &NfType),
        need: &TokenNeed,
        assertion: Option<&HeaderValue>,
    ) -> Result<AccessTokenRsp, ClientError> {
        let mut form = Query::default();
        form.push("grant_type", "client_credentials");
        form.push("nfInstanceId", id.to_string());
        form.push("nfType", nf_type.as_str());
        form.push("targetNfType", need.target.as_str());
        form.push("scope", need.service.as_str());
        if let (false, Some(algorithm)) =
            (need.tokens == Tokens::default(), need.tokens.algorithm())
        {
            form.push(TOKEN_ALG, jose::alg(algorithm));
        }
        let mut request = Request::new(Method::POST, self.authority(), TOKEN_PATH)
            .body(HeaderValue::from_static(FORM), form.to_string());
        if let Some(assertion) = assertion {
            let headers = &mut request.headers;
            headers.insert(CLIENT_CREDENTIALS, assertion.clone());
        }
        Ok(connection.call(request, TIMEOUT).await?.read_json()?)
    }
}

/// The NRF as the source of an instance's access tokens, each asked for over a connection of its own: they are good for an hour.
pub struct NrfTokens {
    /// The NRF.
    pub nrf: Nrf,
    /// The consumer, which owns its tokens and with them this.
    pub instance: Weak<Instance>,
}

impl TokenSource for NrfTokens {
    fn fetch<'a>(&'a self, need: &'a TokenNeed, profile: ConnectionProfile) -> FetchToken<'a> {
        Box::pin(async move {
            let instance = self.instance.upgrade().ok_or("the NF instance has ended")?;
            let consumer = (instance.id, &instance.nf_type);
            let fetching = fetch_token(&self.nrf, &instance, profile, consumer, need, None);
            Ok(fetching.await?)
        })
    }
}

/// A token of `consumer`, and for how long it is good, asked for by `instance` over a connection of its own with this offer. An
/// `assertion` of the consumer says that `instance` may.
///
/// # Errors
/// See [`CallError`].
pub async fn fetch_token(
    nrf: &Nrf,
    instance: &Instance,
    offer: impl Into<Offer>,
    consumer: (NfInstanceId, &NfType),
    need: &TokenNeed,
    assertion: Option<&HeaderValue>,
) -> Result<(Bearer, Duration), CallError> {
    let Opened { connection, .. } = nrf.open(instance, offer).await?;
    let answer = nrf.access_token(&connection, consumer, need, assertion);
    let answer = answer.await?;
    let bearer = Bearer::of(&answer.access_token).ok_or(ClientError::TokenText)?;
    connection.close().await;
    Ok((bearer, life(&answer)))
}

/// The NRF over one connection of an instance that is kept, in the instance's own profile.
pub struct KeptNrf {
    /// Who asks.
    pub instance: Arc<Instance>,
    /// The NRF.
    pub nrf: Nrf,
    connection: Mutex<Arc<OnceCell<Arc<Connection>>>>,
}

impl KeptNrf {
    /// `nrf` will be asked as `instance`; there is no connection yet.
    pub fn new(instance: Arc<Instance>, nrf: Nrf) -> Self {
        Self {
            instance,
            nrf,
            connection: Mutex::default(),
        }
    }

    /// The kept connection, or a new one to keep, which one opens and the others wait for.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn connection(&self) -> Result<Arc<Connection>, CallError> {
        let kept = {
            // A cell has no state in between that a panic could leave broken.
            let mut kept = self
                .connection
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if kept.get().is_some_and(|open| open.is_closed()) {
                *kept = Arc::default();
            }
            kept.clone()
        };
        let open = || async {
            let opened = self.nrf.open_own(&self.instance);
            Ok(Arc::new(opened.await?.connection))
        };
        kept.get_or_try_init(open).await.cloned()
    }
}

/// What to discover.
#[derive(Clone, Debug)]
pub struct Discover<'a> {
    /// The producer's type.
    pub nf_type: NfType,
    /// The service.
    pub service: ServiceName,
    /// More query parameters: name and value, not yet percent-encoded.
    pub filters: Vec<(&'a str, String)>,
}

fn instance_path(id: NfInstanceId) -> String {
    format!("/nnrf-nfm/v1/nf-instances/{id}")
}

/// The heartbeat interval in an answer that carries a profile.
fn interval(response: &Response) -> Option<Duration> {
    let profile: NfProfile = response.read_json().ok()?;
    profile
        .heart_beat_timer
        .map(|seconds| Duration::from_secs(seconds.into()))
}
