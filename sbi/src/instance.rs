//! An NF instance as a client: who it is, and how it opens connections and calls others.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mtc_tls::credentials::{CredentialSet, Store};
use mtc_tls::endpoint::Endpoint;
use mtc_tls::handshake::{self, HandshakeCost, HandshakeError};
use mtc_tls::key::KeyAlgorithm;
use mtc_tls::peer::{ExpectedPeer, VerifiedPeer};
use mtc_tls::profile::{ConnectionProfile, Tickets, Tokens, TrustDomain, Via};
use mtc_tls::provider::KeyExchange;
use rustls::KeyLog;
use tracing::Instrument as _;

use crate::access_token::{AccessTokens, Authorizer, TokenPolicy, TokenVerifier};
use crate::client::{ClientError, Connection};
use crate::client_credentials::ClientCredentials;
use crate::config::TlsConfig;
use crate::ledger::Ledger;
use crate::model::{NfInstanceId, NfProfile, NfService, NfType, ServiceName};
use crate::trace;
use crate::uri::{ApiRoot, Scheme};

/// How long a connection may take, TCP and TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What the NRF is told of the preference and weight of an instance; all are equal.
const PRIORITY: u16 = 1;
const CAPACITY: u16 = 100;

/// An NF instance.
pub struct Instance {
    /// NF instance id.
    pub id: NfInstanceId,
    /// NF type.
    pub nf_type: NfType,
    /// FQDN.
    pub fqdn: String,
    /// What it presents and trusts.
    pub store: Store,
    endpoint: Endpoint,
    /// The same for connections that no scenario chose.
    own_endpoint: Endpoint,
    ledger: Arc<Ledger>,
    key_log: Option<Arc<dyn KeyLog>>,
    credentials: Option<Arc<ClientCredentials>>,
    access_tokens: Option<Arc<AccessTokens>>,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// There is no connection.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// There is a connection, but no answer that can be used.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// An authenticated connection to another NF.
#[derive(Debug)]
pub struct Opened {
    /// For requests.
    pub connection: Connection,
    /// Who is at the other end.
    pub peer: VerifiedPeer,
    /// What the handshake cost this side.
    pub cost: HandshakeCost,
}

/// What the client of a connection offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Offer {
    /// What this profile says and nothing else, so that it can be measured.
    Only(ConnectionProfile),
    /// What this profile says first, and then all that can be verified: for connections that no scenario chose, to peers that may have something else.
    First(ConnectionProfile),
}

impl Offer {
    /// The profile.
    pub const fn profile(self) -> ConnectionProfile {
        match self {
            Self::Only(profile) | Self::First(profile) => profile,
        }
    }
}

impl From<ConnectionProfile> for Offer {
    fn from(profile: ConnectionProfile) -> Self {
        Self::Only(profile)
    }
}

impl Instance {
    /// An instance whose connections use what `store` publishes and are counted in `ledger`.
    pub fn new(
        id: NfInstanceId,
        nf_type: NfType,
        fqdn: String,
        initial: CredentialSet,
        clock: mtc_tls::clock::Clock,
        ledger: Arc<Ledger>,
    ) -> Self {
        let store = Store::new(initial);
        let endpoint = Endpoint::new(store.receiver(), clock);
        Self {
            id,
            nf_type,
            fqdn,
            store,
            own_endpoint: endpoint.offering_all(),
            endpoint,
            ledger,
            key_log: None,
            credentials: None,
            access_tokens: None,
        }
    }

    /// Reads ClientHello as the configuration says.
    #[must_use]
    pub fn reading_hellos_as(mut self, tls: TlsConfig) -> Self {
        self.endpoint = self
            .endpoint
            .with_trust_anchors_at(tls.trust_anchors_extension)
            .with_fallback(tls.unnamed_clients);
        self
    }

    /// Presents and trusts X.509 only on connections of mixed estates ([`Endpoint::not_upgraded`]).
    #[must_use]
    pub fn not_upgraded(mut self) -> Self {
        self.endpoint = self.endpoint.not_upgraded();
        self
    }

    /// Writes the secrets of this instance's connections to `key_log`.
    #[must_use]
    pub fn with_key_log(mut self, key_log: Arc<dyn KeyLog>) -> Self {
        self.endpoint = self.endpoint.with_key_log(key_log.clone());
        self.own_endpoint = self.endpoint.offering_all();
        self.key_log = Some(key_log);
        self
    }

    /// Makes a TLS configuration for each handshake and keeps none: for an instance of which a process has many.
    #[must_use]
    pub fn keeping_no_configurations(self) -> Self {
        let endpoint = self.endpoint.keeping_no_configurations();
        Self {
            own_endpoint: endpoint.offering_all(),
            endpoint,
            ..self
        }
    }

    /// Says who it is in requests that go through an SCP, and asks who others are of those that come through one: by client credentials
    /// assertions, from its access tokens on.
    #[must_use]
    pub fn with_client_credentials(self) -> Self {
        let credentials = ClientCredentials::new(self.id, self.endpoint.clone());
        Self {
            credentials: Some(Arc::new(credentials)),
            ..self
        }
    }

    /// Uses access tokens as `policy` says, and trusts those that `verifier` does.
    #[must_use]
    pub fn with_access_tokens(self, policy: TokenPolicy, verifier: Arc<TokenVerifier>) -> Self {
        let access_tokens = AccessTokens::new(
            policy,
            verifier,
            (self.id, self.nf_type.clone()),
            self.credentials.clone(),
            self.endpoint.clock(),
            self.ledger.clone(),
        );
        Self {
            access_tokens: access_tokens.map(Arc::new),
            ..self
        }
    }

    /// This instance as it is before its enrolment: with the same trust and no certificate.
    #[must_use]
    pub fn without_credentials(&self) -> Self {
        let mut set = CredentialSet::clone(&self.store.current());
        (set.mtc, set.x509) = (Vec::new(), Vec::new());
        let bare = Self::new(
            self.id,
            self.nf_type.clone(),
            self.fqdn.clone(),
            set,
            self.endpoint.clock(),
            self.ledger.clone(),
        );
        match &self.key_log {
            Some(key_log) => bare.with_key_log(key_log.clone()),
            None => bare,
        }
    }

    /// What gives requests on a connection of this profile to `peer` their access tokens, if it uses some.
    pub fn authorizer(
        &self,
        profile: ConnectionProfile,
        peer: &VerifiedPeer,
    ) -> Option<Authorizer> {
        let tokens = self.access_tokens.clone()?;
        Some(Authorizer::new(tokens, profile, &peer.identity))
    }

    /// Its client credentials assertions, if it uses some.
    pub const fn client_credentials(&self) -> Option<&Arc<ClientCredentials>> {
        self.credentials.as_ref()
    }

    /// Its access tokens, if it uses some.
    pub const fn access_tokens(&self) -> Option<&Arc<AccessTokens>> {
        self.access_tokens.as_ref()
    }

    /// Its TLS endpoint.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where its connections are counted.
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Opens a TLS connection and counts it in the ledger; HTTP/2 is not started.
    ///
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub async fn shake_hands(
        &self,
        addr: SocketAddr,
        offer: impl Into<Offer>,
        expected: ExpectedPeer,
    ) -> Result<handshake::Connected, HandshakeError> {
        let (endpoint, profile) = match offer.into() {
            Offer::Only(profile) => (&self.endpoint, profile),
            Offer::First(profile) => (&self.own_endpoint, profile),
        };
        self.shake_hands_as(endpoint, addr, profile, expected).await
    }

    /// As [`Self::shake_hands`], as `endpoint`, which is made of one of this instance: to speak another protocol than HTTP/2.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub async fn shake_hands_as(
        &self,
        endpoint: &Endpoint,
        addr: SocketAddr,
        profile: ConnectionProfile,
        expected: ExpectedPeer,
    ) -> Result<handshake::Connected, HandshakeError> {
        let started = Instant::now();
        let span = trace::handshake("client", addr);
        let connecting = handshake::connect(addr, endpoint, profile, expected, CONNECT_TIMEOUT);
        let connected = connecting.instrument(span.clone()).await;
        trace::shook_hands(&span, Some(profile), connected.as_ref().err());
        match &connected {
            Ok(connected) => {
                self.ledger.record_client(profile, &connected.cost);
                self.ledger.landmark_demand.met(&connected.peer);
            }
            Err(error) => {
                self.ledger
                    .record_client_failure(profile, error, started.elapsed());
            }
        }
        connected
    }

    /// Opens a connection, counts it in the ledger, and starts HTTP/2 on it.
    ///
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn open(
        &self,
        addr: SocketAddr,
        offer: impl Into<Offer>,
        expected: ExpectedPeer,
    ) -> Result<Opened, CallError> {
        let offer = offer.into();
        let connected = self.shake_hands(addr, offer, expected).await?;
        self.speak_over(connected, offer.profile()).await
    }

    /// Opens a connection that no scenario chose, with [`Self::own_offer`].
    ///
    /// Dropping the future closes the connection.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn open_own(
        &self,
        addr: SocketAddr,
        expected: ExpectedPeer,
    ) -> Result<Opened, CallError> {
        self.open_own_in(None, addr, expected).await
    }

    /// As [`Self::open_own`], in the trust domain in which the peer is known to have a certificate, if it is.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn open_own_in(
        &self,
        domain: Option<TrustDomain>,
        addr: SocketAddr,
        expected: ExpectedPeer,
    ) -> Result<Opened, CallError> {
        self.open(addr, self.own_offer_in(domain), expected).await
    }

    async fn speak_over(
        &self,
        connected: handshake::Connected,
        profile: ConnectionProfile,
    ) -> Result<Opened, CallError> {
        let handshake::Connected { stream, peer, cost } = connected;
        let traffic = stream.get_ref().0.traffic();
        let end = self.revoked(&peer);
        let connection = Connection::handshake_until(stream, Scheme::Https, end).await?;
        let connection = self.ready(connection.over(traffic), profile, &peer);
        Ok(Opened {
            connection,
            peer,
            cost,
        })
    }

    /// As [`Instance::open`], for `streams` requests at a time that are [passed on](Connection::pass).
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn open_to_pass(
        &self,
        addr: SocketAddr,
        offer: impl Into<Offer>,
        expected: ExpectedPeer,
        streams: u32,
    ) -> Result<Opened, CallError> {
        let offer = offer.into();
        let handshake::Connected { stream, peer, cost } =
            self.shake_hands(addr, offer, expected).await?;
        let traffic = stream.get_ref().0.traffic();
        let end = self.revoked(&peer);
        let connection = Connection::handshake_to_pass(stream, Scheme::Https, streams, end).await?;
        let connection = self.ready(connection.over(traffic), offer.profile(), &peer);
        Ok(Opened {
            connection,
            peer,
            cost,
        })
    }

    /// Waits until the certificate of a peer that is called is revoked, and tells of it.
    pub fn revoked(&self, peer: &VerifiedPeer) -> impl Future<Output = ()> + Send + use<> {
        let certificate = peer.certificate.clone();
        let revoked = self.endpoint.revoked(certificate.clone());
        let closed = self.ledger.metrics().revocation.closed.clone();
        async move {
            revoked.await;
            closed.with_label_values(&["client"]).inc();
            tracing::warn!(
                ?certificate,
                "closing: the server's certificate was revoked"
            );
        }
    }

    fn ready(
        &self,
        connection: Connection,
        profile: ConnectionProfile,
        peer: &VerifiedPeer,
    ) -> Connection {
        connection
            .counted_in(self.ledger.metrics().requests.clone())
            .authorized_by(self.authorizer(profile, peer))
    }

    /// The profile of the instance as the producer of one service at `at`.
    pub fn producing(&self, service: ServiceName, at: SocketAddr) -> NfProfile {
        let mut service = NfService::new(service);
        service.fqdn = Some(self.fqdn.clone());
        service.ip_end_points = vec![at.into()];
        let mut profile = NfProfile::new(self.id, self.nf_type.clone(), &self.fqdn);
        match at.ip() {
            IpAddr::V4(ip) => profile.ipv4_addresses.push(ip),
            IpAddr::V6(ip) => profile.ipv6_addresses.push(ip),
        }
        profile.priority = Some(PRIORITY);
        profile.capacity = Some(CAPACITY);
        profile.load = Some(0);
        profile
            .nf_service_list
            .insert(service.service_instance_id.clone(), Box::new(service));
        profile
    }

    /// The apiRoot of services at `port` of the instance.
    pub fn api_root(&self, port: u16) -> ApiRoot {
        ApiRoot::new(Scheme::Https, &self.fqdn, port)
            .expect("the instance has a certificate for its fqdn, so it is a host name")
    }

    /// For a connection that a request brings about: the same as its own, or what no scenario chose if that had no profile.
    pub fn offer_after(&self, came: Option<ConnectionProfile>) -> Offer {
        came.map_or_else(|| self.own_offer(), Offer::Only)
    }

    /// For connections that no scenario chose.
    pub fn own_offer(&self) -> Offer {
        self.own_offer_in(None)
    }

    /// As [`Self::own_offer`], in this trust domain if one is given, with the certificate that this instance has of it.
    pub fn own_offer_in(&self, domain: Option<TrustDomain>) -> Offer {
        let own = self.own_profile();
        let domain = domain.unwrap_or(own.domain);
        let leaf_key = match domain {
            TrustDomain::X509(profile) => {
                let set = self.store.current();
                let mut of_profile = set.x509.iter().filter(|own| own.profile == profile);
                of_profile.next().map(|own| own.credential.leaf_key)
            }
            _ => None,
        };
        Offer::First(ConnectionProfile {
            domain,
            leaf_key: leaf_key.unwrap_or(own.leaf_key),
            ..own
        })
    }

    /// The MTCA with landmarks where there are some.
    fn own_profile(&self) -> ConnectionProfile {
        let set = self.store.current();
        let has_landmarks = set.mtc_trust.newest_landmark().is_some();
        ConnectionProfile {
            domain: if has_landmarks {
                TrustDomain::MtcLandmark
            } else {
                TrustDomain::MtcStandalone
            },
            leaf_key: set
                .mtc
                .first()
                .map_or(KeyAlgorithm::MlDsa65, |mtc| mtc.standalone.leaf_key),
            key_exchange: KeyExchange::X25519MlKem768,
            tickets: Tickets::None,
            tokens: Tokens::Es256,
            via: Via::Direct,
            grease: false,
        }
    }
}
