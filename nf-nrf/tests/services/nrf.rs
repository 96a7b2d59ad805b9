//! An NRF behind real HTTP/2, with the peer's identity given instead of a certificate.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::Method;
use jose::KeySet;
use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_tls::clock::Clock;
use mtc_tls::identity::{CertificateId, NfIdentity};
use nf_nrf::access_token::{AccessTokenService, TokenKey};
use nf_nrf::callback::Reach;
use nf_nrf::discovery::Discovery;
use nf_nrf::files::PrivateFolder;
use nf_nrf::management::Management;
use nf_nrf::metrics::NrfMetrics;
use nf_nrf::metrics::notifications::NotificationMetrics;
use nf_nrf::notifier::Notifier;
use nf_nrf::offload::Offload;
use nf_nrf::registry::{Change, Registry, Settings, SharedRegistry};
use nf_nrf::subscribing::Subscribing;
use nf_nrf::subscriptions::Bounds;
use proptest::prelude::*;
use sbi::access_token::{AccessTokens, TokenPolicy, TokenVerifier};
use sbi::client::{Connection, Request};
use sbi::ledger::Ledger;
use sbi::metrics::Metrics;
use sbi::model::{NfType, PlmnId};
use sbi::problem::{Problem, ProblemDetails};
use sbi::response::{JSON, Response};
use sbi::server::{self, Handler, Peer};
use sbi::uri::Scheme;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const AMF_ID: &str = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01";
pub(crate) const AMF_FQDN: &str = "amf1.5gc.mnc001.mcc001.3gppnetwork.org";
pub(crate) const NRF_ID: &str = "5b1d9a77-0000-4000-8000-0000000000ff";
pub(crate) const NRF_ROOT: &str = "https://nrf1.5gc.mnc001.mcc001.3gppnetwork.org:7777";

/// The NRF, to which any number of clients can connect.
pub(crate) struct Nrf {
    services: Arc<Services>,
    /// What the registry reported, in order.
    pub(crate) changes: Arc<Mutex<Vec<Change>>>,
    /// The registry, for what only time can do.
    pub(crate) registry: Arc<SharedRegistry>,
    /// The keys of its access tokens.
    pub(crate) token_keys: KeySet,
    /// Who hears of changes.
    pub(crate) notifier: Arc<Notifier>,
    /// What it tells Prometheus.
    pub(crate) metrics: sbi::metrics::Registry,
    _folder: TempDir,
}

struct Services {
    management: Management,
    subscribing: Subscribing,
    discovery: Arc<Discovery>,
    offload: Offload,
    access_token: AccessTokenService,
}

impl Handler for Services {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["nnrf-nfm", "v1", "subscriptions", rest @ ..] => {
                self.subscribing.handle(&request, rest)
            }
            ["nnrf-nfm", "v1", rest @ ..] => self.management.handle(&request, rest, Instant::now()),
            ["oauth2", "token"] => self.access_token.handle(&request),
            ["nnrf-disc", "v1", rest @ ..] => {
                self.discovery.handle(&request, rest, &self.offload).await
            }
            _ => Err(Problem::invalid_api(&["nnrf-nfm/v1", "nnrf-disc/v1"])),
        }
    }
}

impl Nrf {
    pub(crate) fn start() -> Self {
        let changes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&changes);
        let metrics = sbi::metrics::Registry::default();
        let folder = tempfile::tempdir().expect("a folder");
        let notifier = Arc::new(notifier(&folder, &metrics));
        let hearing = Arc::clone(&notifier);
        let on_change = Box::new(move |change: &Change| {
            hearing.announce(change);
            sink.lock().expect("test sink").push(change.clone());
        });
        let settings = Settings {
            heartbeat_range: 5..=30,
            ..Settings::default()
        };
        let registry = Arc::new(SharedRegistry::new(Registry::new(settings), on_change));
        let keys = [
            SignatureAlgorithm::EcdsaP256,
            SignatureAlgorithm::MlDsa44,
            SignatureAlgorithm::MlDsa65,
        ];
        let keys = keys.map(|of| SecretKey::generate(of).expect("a key"));
        let token_keys = KeySet::of(keys.iter().map(|key| key.public_key().expect("a key")));
        let access_token = AccessTokenService {
            id: NRF_ID.parse().expect("a UUID"),
            plmn: PlmnId::new("001", "01").expect("digits"),
            registry: Arc::clone(&registry),
            keys: keys.map(|key| TokenKey::new(key).expect("a key")).into(),
            credentials: None,
            lifetime_seconds: 3600,
            clock: Clock::default(),
            ledger: Arc::new(Ledger::default()),
            metrics: NrfMetrics::new(&Metrics::new().registry),
        };
        let tokens = AccessTokens::new(
            TokenPolicy::Optional,
            Arc::new(TokenVerifier::new(token_keys.clone())),
            (access_token.id, NfType::Nrf),
            None,
            Clock::default(),
            Arc::new(Ledger::default()),
        );
        let services = Services {
            access_token,
            management: Management::new(Arc::clone(&registry), api_root()),
            subscribing: subscribing(&notifier, &registry).guarded_by(tokens.map(Arc::new)),
            discovery: Arc::new(Discovery::new(Arc::clone(&registry), 60)),
            offload: Offload::default(),
        };
        Self {
            services: Arc::new(services),
            changes,
            registry,
            notifier,
            metrics,
            _folder: folder,
            token_keys,
        }
    }

    /// A client whose certificate has `nf_type`, `id` and `fqdn`.
    pub(crate) async fn connect(&self, nf_type: &str, id: &str, fqdn: &str) -> Client {
        self.connect_as(Some(NfIdentity {
            instance_id: id.parse().expect("test id"),
            nf_types: vec![nf_type.to_owned()],
            fqdns: vec![fqdn.to_owned()],
            not_after: u64::MAX,
        }))
        .await
    }

    pub(crate) async fn connect_as(&self, identity: Option<NfIdentity>) -> Client {
        let (client_io, server_io) = tokio::io::duplex(64 * 1024);
        let remote = ([127, 0, 0, 1], 1).into();
        let peer = Arc::new(Peer {
            expired: None,
            certificate: identity.is_some().then(|| CertificateId::new(&[], &[])),
            identity,
            remote,
            profile: None,
        });
        let handler = Arc::clone(&self.services);
        tokio::spawn(server::serve_connection(
            server_io,
            peer,
            handler,
            Metrics::new().requests,
            std::future::pending(),
        ));
        Client(
            Connection::handshake(client_io, Scheme::Https)
                .await
                .expect("http/2"),
        )
    }
}

/// The NRF's own root.
pub(crate) fn api_root() -> sbi::uri::ApiRoot {
    NRF_ROOT.parse().expect("test apiRoot")
}

/// Nobody has subscribed yet.
pub(crate) fn notifier(folder: &TempDir, metrics: &sbi::metrics::Registry) -> Notifier {
    let folder = PrivateFolder::open(folder.path().to_owned()).expect("a folder");
    let metrics = NotificationMetrics::new(metrics);
    Notifier::open(folder, Bounds::default(), Clock::default(), metrics).expect("an empty folder")
}

/// The service of subscriptions of an NRF that is not on this machine.
pub(crate) fn subscribing(notifier: &Arc<Notifier>, registry: &Arc<SharedRegistry>) -> Subscribing {
    let reach = Reach::of([192, 0, 2, 1].into());
    Subscribing::new(notifier.clone(), registry.clone(), api_root(), reach)
}

/// A client of the NRF.
pub(crate) struct Client(pub(crate) Connection);

impl Client {
    pub(crate) async fn send(&self, request: Request) -> Response {
        self.0
            .send(request, Duration::from_secs(10))
            .await
            .expect("an answer")
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(request(Method::GET, path)).await
    }

    pub(crate) async fn put(&self, profile: &Value) -> Response {
        let id = profile["nfInstanceId"].as_str().expect("id");
        self.send(request(Method::PUT, &instance(id)).json_as(JSON, profile))
            .await
    }
}

pub(crate) fn request(method: Method, path: &str) -> Request {
    Request::new(method, "nrf1.5gc.mnc001.mcc001.3gppnetwork.org:7777", path)
}

pub(crate) fn instance(id: &str) -> String {
    format!("/nnrf-nfm/v1/nf-instances/{id}")
}

/// Status, cause, and the first parameter at fault.
pub(crate) fn refusal(response: &Response) -> (u16, String, String) {
    let details = ProblemDetails::from_body(&response.body).expect("problem details");
    let param = details
        .invalid_params
        .first()
        .map(|invalid| invalid.param.clone());
    (
        response.status.as_u16(),
        details.cause.unwrap_or_default(),
        param.unwrap_or_default(),
    )
}

/// A profile of `nf_type` with one service, and `members` put in.
pub(crate) fn profile(nf_type: &str, id: &str, fqdn: &str, service: &str, members: Value) -> Value {
    let mut profile = json!({"nfInstanceId": id, "nfType": nf_type, "nfStatus": "REGISTERED", "fqdn": fqdn, "load": 0,
        "ipv4Addresses": ["127.0.0.11"],
        "nfServiceList": {format!("{service}-1"): {"serviceInstanceId": format!("{service}-1"), "serviceName": service,
            "scheme": "https", "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.3.0"}],
            "nfServiceStatus": "REGISTERED", "vendorService": [1]}}});
    for (name, value) in members.as_object().expect("members") {
        profile[name] = value.clone();
    }
    profile
}

/// JSON of any form, with texts that mean something here among it.
pub(crate) fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!(AMF_ID)),
        Just(json!(AMF_FQDN)),
        Just(json!("REGISTERED")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z/~]{0,6}", inner, 0..4)
                .prop_map(|m| m.into_iter().collect()),
        ]
    })
}
