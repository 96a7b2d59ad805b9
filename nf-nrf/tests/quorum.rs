//! Two of three witnesses over real HTTP, the third of which is down, stale, somebody else's or no witness at all.
//!
//! ```text
//! Sequencer ── HttpWitness ──┬─> Witness(WitnessStore)
//!                            ├─> Witness(WitnessStore)
//!                            └─> one kind of trouble
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{LogId, LogNumber, TrustAnchorId};
use mtc_log::{
    CosigningKey, DirectoryStorage, IssuanceLog, IssueError, Issuer, Refusal, Sequencer,
    SequencerConfig, Storage, WitnessStore, WitnessedLog,
};
use mtc_tls::clock::Clock;
use nf_nrf::config::WitnessAddress;
use nf_nrf::metrics::NrfMetrics;
use nf_nrf::witness_client::HttpWitness;
use sbi::metrics::{Exposition, Registry};
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Request, serve_cleartext};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

const CLOCK: Clock = Clock { offset_seconds: 0 };
const IDS: [&str; 3] = ["32473.2", "32473.3", "32473.4"];

fn id(text: &str) -> TrustAnchorId {
    text.parse().expect("a trust anchor ID")
}

fn key(text: &str) -> CosigningKey {
    let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
    CosigningKey::new(id(text), secret).expect("a public half")
}

/// What is at a witness's address.
enum Witness {
    /// One that cosigns, though perhaps with another key.
    Well(Box<WitnessStore>),
    /// It lost its state, and says so whatever it is asked.
    Stale,
    /// A web server.
    Foreign,
}

impl Handler for Witness {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let answer = |status, text: String| Ok(Response::bytes(status, "text/plain", text));
        let Self::Well(store) = self else {
            return match self {
                Self::Stale => answer(StatusCode::CONFLICT, "0\n".to_owned()),
                _ => answer(StatusCode::OK, "<html>welcome</html>".to_owned()),
            };
        };
        let cosigned = match request.path.as_str() {
            "/add-checkpoint" => store.add_checkpoint(&request.body, CLOCK.now()),
            _ => store.sign_subtree(&request.body),
        };
        match cosigned {
            Ok(lines) => Ok(Response::bytes(StatusCode::OK, "text/plain", lines)),
            Err(refusal) => {
                let status = StatusCode::from_u16(refusal.status()).expect("a status");
                answer(
                    status,
                    match refusal {
                        Refusal::Conflict { latest } => format!("{latest}\n"),
                        refusal => refusal.to_string(),
                    },
                )
            }
        }
    }
}

async fn serve(witness: Witness) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let witness = Arc::new(witness);
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (tcp, remote) = listener.accept().await.expect("a connection");
            let never = std::future::pending();
            connections.spawn(serve_cleartext(tcp, remote, witness.clone(), never));
        }
    });
    addr
}

/// A port at which nobody listens.
fn nowhere() -> SocketAddr {
    let bound = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    bound.local_addr().expect("bound")
}

/// What is wrong with a witness.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Down,
    Stale,
    Foreign,
    /// It signs, under the right name.
    OtherKey,
}

/// A log, and what its NRF tells of the witnesses.
struct Scene {
    registry: Registry,
    issuer: Issuer,
    /// Lives as long as the files in it.
    _folder: TempDir,
}

impl Scene {
    /// The first witnesses are `well`, the others what `trouble` says.
    async fn new(well: usize, trouble: Trouble) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = key("32473.1");
        let ca = key.cosigner().clone();
        let log = LogId::new(ca.id, LogNumber::FIRST).expect("a short ID");
        let registry = Registry::default();
        let metrics = NrfMetrics::new(&registry);
        let mut witnesses = Vec::new();
        for (position, id) in IDS.into_iter().enumerate() {
            let (own, other) = (self::key(id), self::key(id));
            let cosigner = own.cosigner().clone();
            let store = |key| Witness::Well(Box::new(store(&folder, id, key, log, &ca)));
            let addr = match trouble {
                _ if position < well => serve(store(own)).await,
                Trouble::Down => nowhere(),
                Trouble::Stale => serve(Witness::Stale).await,
                Trouble::Foreign => serve(Witness::Foreign).await,
                Trouble::OtherKey => serve(store(other)).await,
            };
            witnesses.push(client(cosigner, addr, &metrics));
        }
        let issuance = IssuanceLog::create(storage(&folder, "log"), log, key, CLOCK.now());
        let config = SequencerConfig {
            queue: 16,
            min_interval: Duration::ZERO,
            required_witnesses: 2,
            // Where enough are well nobody waits for it.
            witness_deadline: Duration::from_secs(if well < 2 { 1 } else { 30 }),
        };
        let clock = Arc::new(|| CLOCK.now());
        let (issuer, sequencer) =
            Sequencer::new(issuance.expect("empty"), witnesses, config, clock)
                .expect("2 of 3 witnesses");
        tokio::spawn(sequencer.observed_by(metrics.observer()).run());
        Self {
            registry,
            issuer,
            _folder: folder,
        }
    }

    /// Of the last witness, by the NRF's metrics.
    fn failures(&self, fault: &str) -> u64 {
        let text = Exposition::Prometheus.encode(&self.registry.gather());
        let name = format!(
            "mtc_witness_failures_total{{fault=\"{fault}\",witness=\"{}\"}} ",
            IDS[2]
        );
        let mut values = text.lines().filter_map(|line| line.strip_prefix(&name));
        let value = values
            .next()
            .unwrap_or_else(|| panic!("no {name} in {text}"));
        value.parse().expect("a number")
    }
}

fn storage(folder: &TempDir, name: &str) -> Arc<dyn Storage> {
    Arc::new(DirectoryStorage::create(folder.path().join(name)).expect("a new folder"))
}

fn store(
    folder: &TempDir,
    name: &str,
    key: CosigningKey,
    log: LogId,
    ca: &Cosigner,
) -> WitnessStore {
    let log = WitnessedLog {
        id: log,
        ca: ca.clone(),
    };
    WitnessStore::open(storage(folder, name), key, [log]).expect("a new witness")
}

fn client(cosigner: Cosigner, addr: SocketAddr, metrics: &NrfMetrics) -> HttpWitness {
    let address = WitnessAddress {
        id: cosigner.id.to_string(),
        submission_prefix: addr.into(),
        monitoring_prefix: None,
        mirror: false,
    };
    let witness = HttpWitness::new(cosigner, &address);
    let witness = witness.expect("cleartext needs no roots");
    witness.counted_in(metrics.clone())
}

#[tokio::test]
async fn two_witnesses_that_are_well_are_enough() {
    for (trouble, fault) in [
        (Trouble::Down, "unreachable"),
        (Trouble::Foreign, "invalid"),
        (Trouble::OtherKey, "invalid"),
        // To be at another size is no fault; that it never gets further shows in mtc_witness_entries.
        (Trouble::Stale, "late"),
    ] {
        let scene = Scene::new(2, trouble).await;
        for entry in ["a", "b", "c"] {
            let issued = scene.issuer.issue(entry.into()).await;
            let issued = issued.unwrap_or_else(|error| panic!("{trouble:?}: {error}"));
            let ids = issued.cosignatures.iter().map(|of| of.cosigner_id);
            let wanted = ["32473.1", IDS[0], IDS[1]].map(id);
            assert!(ids.eq(wanted), "{trouble:?}");
        }
        let told = async {
            while scene.failures(fault) == 0 {
                yield_now().await;
            }
        };
        let told = timeout(Duration::from_secs(20), told).await;
        told.unwrap_or_else(|_| panic!("{trouble:?}"));
    }
}

#[tokio::test]
async fn one_is_not_and_the_error_says_what_is_wrong_with_the_others() {
    for (trouble, why) in [
        (Trouble::Down, "cannot be reached"),
        (Trouble::Foreign, "malformed"),
        (Trouble::OtherKey, "not usable"),
        (Trouble::Stale, "at size 0"),
    ] {
        let scene = Scene::new(1, trouble).await;
        let error = scene.issuer.issue(b"a".to_vec()).await;
        let error = error.expect_err("one of three");
        assert!(
            matches!(error, IssueError::WitnessUnavailable { .. }),
            "{error}"
        );
        let told = error.to_string();
        for part in ["2 witnesses must cosign", IDS[1], IDS[2], why] {
            assert!(told.contains(part), "{trouble:?}: {told}");
        }
        assert!(!told.contains(IDS[0]), "{trouble:?}: {told}");
    }
}
