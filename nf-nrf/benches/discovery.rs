//! What a small discovery answer costs the NRF, and what it costs with 10,000 instances more and while 1,000 a second change.
//!
//! `cargo bench -p nf-nrf --bench discovery`, or with `-- serve` for `h2load -c 8 -m 8 -D 5` at the URLs that it prints
//!
//! ```text
//!   client thread: 8 connections, 8 requests at a time each --- cleartext HTTP/2, loopback ---> server thread: discovery, management
//! ```
//!
//! The server's runtime has one thread. The rate is of requests a second and core: requests divided by the CPU time of all threads
//! but the client's, so other work on the machine falls on it little and the client, which is the slower half, not at all. Two
//! registries take turns, a batch each; a rate is that of the median batch. Latencies are of requests that are sent 1,000 a second on
//! one connection, whether earlier ones are answered or not, by a timer that ticks each millisecond. Changes are the `PATCH` of a heartbeat with a new load, worked out where the NRF works them out; every tenth is to
//! another priority, which subscribers would hear of. Nothing is written to disk. Memory is what the allocator has handed out.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use hyper::http::HeaderValue;
use hyper::{HeaderMap, Method, StatusCode};
use mtc_tls::cpu::{process_time, thread_time};
use mtc_tls::identity::NfIdentity;
use nf_nrf::discovery::Discovery;
use nf_nrf::management::Management;
use nf_nrf::offload::Offload;
use nf_nrf::registry::{Registry, Settings, SharedRegistry};
use sbi::client::{Connection, Request};
use sbi::metrics::Metrics;
use sbi::model::{Document, NfProfile};
use sbi::problem::Problem;
use sbi::response::{JSON_PATCH, Response};
use sbi::server::{self, Handler, Peer, serve_connection};
use sbi::uri::Scheme;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use uuid::Uuid;

const CONNECTIONS: usize = 8;
const AT_A_TIME: usize = 8;
const BATCH: usize = 4_000;
const ROUNDS: usize = 15;
const OTHERS: usize = 10_000;
const PACE: Duration = Duration::from_millis(1);
const PACED: u32 = 5_000;
const DEADLINE: Duration = Duration::from_secs(10);
/// What an AMF asks when a session is to be set up; two SMFs serve it.
const QUERY: &str = "/nnrf-disc/v1/nf-instances?target-nf-type=SMF&requester-nf-type=AMF&service-names=nsmf-pdusession\
                     &snssais=%5B%7B%22sst%22%3A1%2C%22sd%22%3A%22010203%22%7D%5D&dnn=internet";

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Nrf {
    management: Arc<Management>,
    discovery: Arc<Discovery>,
    offload: Arc<Offload>,
}

impl Handler for Nrf {
    async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
        let discovery = &self.discovery;
        discovery
            .handle(&request, &["nf-instances"], &self.offload)
            .await
    }
}

impl Nrf {
    /// An NRF with the two SMFs and `others`, SMFs of the same service in other slices.
    fn with(others: usize) -> Self {
        let registry = SharedRegistry::new(Registry::new(Settings::default()), Box::new(|_| {}));
        let now = Instant::now();
        for number in 0..others + 2 {
            let is_wanted = number < 2;
            let profile = NfProfile::from_value(smf(number, is_wanted)).expect("a valid profile");
            let registered = registry.update(|registry| registry.register(profile, now));
            registered.expect("there is a place");
        }
        let registry = Arc::new(registry);
        let root = "http://nrf1.5gc.mnc001.mcc001.3gppnetwork.org:7777";
        Self {
            management: Arc::new(Management::new(
                registry.clone(),
                root.parse().expect("an apiRoot"),
            )),
            discovery: Arc::new(Discovery::new(registry, 60)),
            offload: Arc::new(Offload::default()),
        }
    }

    /// The heartbeat of another SMF, as it is worked on.
    async fn change(&self, number: usize, turn: usize) -> StatusCode {
        let is_noted = turn.is_multiple_of(10);
        let member = if is_noted { "/priority" } else { "/load" };
        let patch = json!([{"op": "add", "path": member, "value": turn % 100}]);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(JSON_PATCH));
        let id = smf_id(number);
        let request = server::Request {
            method: Method::PATCH,
            path: String::new(),
            query: String::new(),
            headers,
            body: patch.to_string().into(),
            peer: peer("SMF", id),
        };
        let management = self.management.clone();
        let segments = ["nf-instances".to_owned(), id.to_string()];
        let work = move || {
            let segments: Vec<_> = segments.iter().map(String::as_str).collect();
            management.handle(&request, &segments, Instant::now())
        };
        match self.offload.run(work).await {
            Ok(answer) => answer.status,
            Err(problem) => problem.into_response().status,
        }
    }
}

fn smf_id(number: usize) -> Uuid {
    Uuid::from_u128(0x5f00_0000_0000_4000_8000_0000_0000_0000 + number as u128)
}

fn peer(nf_type: &str, instance_id: Uuid) -> Arc<Peer> {
    Arc::new(Peer {
        identity: Some(NfIdentity {
            instance_id,
            nf_types: vec![nf_type.to_owned()],
            fqdns: vec![fqdn(instance_id)],
            not_after: u64::MAX,
        }),
        expired: None,
        remote: ([127, 0, 0, 1], 1).into(),
        profile: None,
    })
}

fn fqdn(id: Uuid) -> String {
    format!("smf-{}.5gc.mnc001.mcc001.3gppnetwork.org", id.simple())
}

fn smf(number: usize, is_wanted: bool) -> Value {
    let id = smf_id(number);
    let snssai = json!({"sst": 1, "sd": if is_wanted { "010203" } else { "0a0b0c" }});
    json!({
        "nfInstanceId": id, "nfType": "SMF", "nfStatus": "REGISTERED", "fqdn": fqdn(id), "load": 0, "capacity": 100, "priority": 1,
        "ipv4Addresses": ["127.0.0.11"], "sNssais": [snssai], "plmnList": [{"mcc": "001", "mnc": "01"}],
        "smfInfo": {"sNssaiSmfInfoList": [{"sNssai": snssai, "dnnSmfInfoList": [{"dnn": "internet"}]}]},
        "nfServiceList": {"nsmf-pdusession-1": {
            "serviceInstanceId": "nsmf-pdusession-1", "serviceName": "nsmf-pdusession", "scheme": "https", "nfServiceStatus": "REGISTERED",
            "versions": [{"apiVersionInUri": "v1", "apiFullVersion": "1.3.0"}], "ipEndPoints": [{"ipv4Address": "127.0.0.11", "port": 7777}],
            "allowedNfTypes": ["AMF", "SCP"],
        }},
    })
}

/// Serves `nrf` on a thread with a runtime of its own, until the process ends.
fn serve(nrf: Arc<Nrf>) -> Outcome<(SocketAddr, tokio::runtime::Handle)> {
    let runtime = runtime()?;
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
    let (addr, handle) = (listener.local_addr()?, runtime.handle().clone());
    let metrics = Metrics::new().requests;
    thread::spawn(move || {
        runtime.block_on(async {
            while let Ok((stream, _)) = listener.accept().await {
                if stream.set_nodelay(true).is_ok() {
                    let amf = peer("AMF", Uuid::from_u128(1));
                    let (nrf, metrics) = (nrf.clone(), metrics.clone());
                    let serving =
                        serve_connection(stream, amf, nrf, metrics, std::future::pending());
                    tokio::spawn(serving);
                }
            }
        });
    });
    Ok((addr, handle))
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

async fn connect(addr: SocketAddr) -> Outcome<Connection> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(Connection::handshake(stream, Scheme::Http).await?)
}

/// Asks once; how many octets the answer has.
async fn ask(connection: &Connection) -> usize {
    let request = Request::new(Method::GET, "nrf", QUERY);
    let answer = connection.send(request, DEADLINE).await.expect("an answer");
    assert_eq!(answer.status, StatusCode::OK, "discovery");
    answer.body.len()
}

/// A batch of requests; the CPU time of the server for each.
async fn batch(connections: &[Arc<Connection>]) -> Duration {
    let left = Arc::new(AtomicUsize::new(BATCH));
    let spent = || process_time().saturating_sub(thread_time());
    let before = spent();
    let mut clients = JoinSet::new();
    for connection in connections.iter().flat_map(|c| [c; AT_A_TIME]) {
        let (connection, left) = (connection.clone(), left.clone());
        clients.spawn(async move {
            let take = |left: usize| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                ask(&connection).await;
            }
        });
    }
    clients.join_all().await;
    (spent() - before) / BATCH as u32
}

/// Latencies of requests that are due one after the other, the shortest first.
async fn paced(connection: &Arc<Connection>) -> Vec<Duration> {
    let mut asking = JoinSet::new();
    let start = tokio::time::Instant::now();
    for number in 0..PACED {
        let connection = connection.clone();
        sleep_until(start + PACE * number).await;
        asking.spawn(async move {
            let sent = Instant::now();
            ask(&connection).await;
            sent.elapsed()
        });
    }
    let mut latencies = asking.join_all().await;
    latencies.sort_unstable();
    latencies
}

/// Changes an instance each [`PACE`] until `stop`; how many were.
async fn change(nrf: Arc<Nrf>, stop: Arc<AtomicBool>) -> usize {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let status = nrf.change(2 + turn % OTHERS, turn).await;
        assert!(status.is_success(), "a heartbeat: {status}");
        turn += 1;
    }
    turn
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Serves until somebody ends the process, and says where, for generators of others.
fn serve_others() -> Outcome<()> {
    for others in [0, OTHERS] {
        let (addr, _) = serve(Arc::new(Nrf::with(others)))?;
        println!("{} instances: 'http://{addr}{QUERY}'", others + 2);
    }
    loop {
        thread::park();
    }
}

fn main() -> Outcome<()> {
    if std::env::args().any(|argument| argument == "serve") {
        return serve_others();
    }
    let mut nrf = None;
    let memory = measure(|| nrf = Some(Nrf::with(OTHERS)));
    let octets = smf(2, false).to_string().len();
    let each = memory.bytes_current / OTHERS as i64;
    println!("memory for each of {OTHERS} instances, with a profile of {octets} B: {each} B");

    let large = Arc::new(nrf.expect("it was measured"));
    let (addr_small, _) = serve(Arc::new(Nrf::with(0)))?;
    let (addr_large, at_large) = serve(large.clone())?;
    runtime()?.block_on(async {
        let mut sides = Vec::new();
        for addr in [addr_small, addr_large] {
            let mut connections = Vec::new();
            for _ in 0..CONNECTIONS {
                connections.push(Arc::new(connect(addr).await?));
            }
            sides.push(connections);
        }
        println!("answer of 2 SMFs: {} B", ask(&sides[0][0]).await);
        let mut spent = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (side, spent) in sides.iter().zip(&mut spent) {
                spent.push(batch(side).await);
            }
        }
        let rates = spent.map(|mut spent| {
            spent.sort_unstable();
            1.0 / percentile(&spent, 50).as_secs_f64()
        });
        let [small, large_rate] = rates;
        println!("answers per second and core, 2 instances: {small:.0}");
        println!(
            "answers per second and core, {} instances: {large_rate:.0} ({:.2} of that)",
            OTHERS + 2,
            large_rate / small
        );
        for is_changing in [false, true] {
            let stop = Arc::new(AtomicBool::new(!is_changing));
            let started = Instant::now();
            let changing = at_large.spawn(change(large.clone(), stop.clone()));
            let latencies = paced(&sides[1][0]).await;
            stop.store(true, Ordering::Relaxed);
            let changes = changing.await? as f64 / started.elapsed().as_secs_f64();
            println!(
                "latency with {changes:.0} changes a second: p50 {:?}, p99 {:?}",
                percentile(&latencies, 50),
                percentile(&latencies, 99)
            );
        }
        Ok(())
    })
}
