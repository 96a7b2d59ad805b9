//! Peers that exhaust, keep silent or lie, each against a lab of its own.
//!
//! While they are at it the resident memory of the process must not grow by more than [`GROWTH`], an honest peer of the same
//! port must be served within [`HONEST`] (see [`BUSY`]), and when they are gone the memory goes back and everything works as before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use lab::topology::LabFolder;
use mtc_tls::handshake::Connected;
use mtc_tls::peer::ExpectedPeer;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sbi::backoff;
use sbi::client::{Connection, Request};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::clients::{FalseWitness, STREAMS, endless_bodies, silent, unread_http1, unread_http2};
use crate::ledger::{Ledger, enrol};
use crate::process::resident_kib;
use crate::stage::{Nf, Stage};
use crate::{Plan, Violation, none_of, say, violated};
use test_support::test_nf::{PROFILE, TestNf};

/// What resident memory may grow by: a budget of bodies of 64 MiB, and as much again for connections and the allocator.
const GROWTH: u64 = 128 * 1024;
/// What may be left of that when the peers are gone, and how long it may take to go: the allocator keeps what is free for ten
/// seconds.
const LEFT: u64 = 32 * 1024;
const GOING: Duration = Duration::from_secs(15);
/// How long an honest peer may wait for its answer, connection and handshake included.
const HONEST: Duration = Duration::from_secs(2);
/// On a busy machine, by what factor longer than the slowest of [`ASKED_BEFORE`] just before the attack.
const BUSY: u32 = 4;
const ASKED_BEFORE: usize = 10;
/// However busy the machine is: what is exhausted keeps a peer waiting longer than this (6 s and more before there were bounds).
const HONEST_AT_MOST: Duration = Duration::from_secs(5);
/// An attack in which nothing is wrong but that an honest peer waited too long, or was not served, is made again: something else may have had
/// the machine, while what is wrong with the command is wrong each time.
const ATTEMPTS: usize = 3;
/// An honest peer that has waited so long has been shown what there is to show.
const GIVES_UP: Duration = Duration::from_secs(30);
/// How long an attack lasts, once everybody is there.
const ATTACK: Duration = Duration::from_secs(5);
/// What is there at a time to connect: as the backlog of a listening port.
const CONNECTING: usize = 128;
const SAMPLE: Duration = Duration::from_millis(50);

const GREEDY_CONNECTIONS: usize = 30;
const SILENT_CONNECTIONS: usize = 5000;
const UNREAD_CONNECTIONS: usize = 20;
const UNREAD_REQUESTS: usize = 600;
/// File descriptors of a process where places are to run out, and connections that take them all.
const FEW_DESCRIPTORS: u64 = 1024;
const ALL_PLACES: usize = 133;

/// A port of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Port {
    NrfSbi,
    NrfLog,
    NrfAdmin,
    Witness,
    SmfSbi,
}

#[derive(Clone, Copy, Debug)]
enum Attack {
    /// 30 connections of 256 streams with bodies of 250 kB that do not end.
    Bodies(Port),
    /// 5,000 connections that say nothing.
    Silence(Port),
    /// 20 connections of HTTP/1.1 and 20 of HTTP/2 that read no answer.
    Unread(Port),
    /// As many connections of HTTP/1.1 that read no answer as the port has places: they must not keep them.
    Places(Port),
    /// An unsigned 409 at the witness's address.
    FalseWitness,
}

/// In the order of rounds: one of each kind comes first.
const ATTACKS: [Attack; 13] = [
    Attack::Bodies(Port::NrfSbi),
    Attack::Silence(Port::NrfSbi),
    Attack::Unread(Port::NrfAdmin),
    Attack::FalseWitness,
    Attack::Bodies(Port::Witness),
    Attack::Bodies(Port::SmfSbi),
    Attack::Silence(Port::Witness),
    Attack::Silence(Port::NrfLog),
    Attack::Silence(Port::SmfSbi),
    Attack::Unread(Port::NrfLog),
    Attack::Unread(Port::Witness),
    Attack::Places(Port::Witness),
    Attack::Places(Port::NrfLog),
];

impl Port {
    const fn process(self) -> Nf {
        match self {
            Self::NrfSbi | Self::NrfLog | Self::NrfAdmin => Nf::Nrf,
            Self::Witness => Nf::Scp,
            Self::SmfSbi => Nf::Smf,
        }
    }

    async fn addr(self, stage: &mut Stage) -> SocketAddr {
        match self {
            Self::NrfSbi => stage
                .folder
                .lab
                .nrf
                .sbi
                .resolve()
                .await
                .expect("addresses resolve"),
            Self::NrfLog => stage
                .folder
                .lab
                .nrf
                .log
                .address()
                .parse()
                .expect("an address"),
            Self::NrfAdmin => stage.admin(Nf::Nrf),
            Self::Witness => stage
                .configured(Nf::Nrf, "submission_prefix")
                .trim_start_matches("http://")
                .parse()
                .expect("an address"),
            Self::SmfSbi => stage
                .process(Nf::Smf)
                .sbi()
                .expect("the SMF has told its address"),
        }
    }
}

pub(crate) async fn run(plan: Plan) -> Result<String, Violation> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|error| violated!("limit of descriptors: {error}"))?;
    let rounds = if plan.rounds == 0 {
        ATTACKS.len()
    } else {
        plan.rounds
    };
    let mut violations = Vec::new();
    let mut worst = (0, Duration::ZERO);
    for round in 0..rounds {
        let attack = ATTACKS[round % ATTACKS.len()];
        let mut attempt = 1;
        let told = loop {
            let mut stage = Stage::new(0);
            if let Attack::Places(_) = attack {
                stage.limit_descriptors(FEW_DESCRIPTORS);
            }
            let told = try_attack(&mut stage, attack).await;
            stage.expect_no_panic()?;
            let told = told.inspect_err(|_| stage.keep())?;
            say(&format!(
                "hostile {}/{rounds}: {attack:?}: {told}",
                round + 1
            ));
            stage.stop_all().await;
            if attempt == ATTEMPTS || !told.only_waited() {
                break told;
            }
            attempt += 1;
            say("    an honest peer waited too long, or in vain; again");
        };
        worst = (worst.0.max(told.grown), worst.1.max(told.waited));
        if let Some(broken) = told.broken() {
            violations.push(format!("{attack:?}: {broken}"));
        }
    }
    none_of(rounds, &violations)?;
    Ok(format!(
        "{rounds} attacks; resident memory grew by {} MiB at most (bound {} MiB), an honest peer waited {} ms at most (bound {} ms, {} ms on a \
         busy machine, {} s where all places were taken), and everything worked afterwards",
        worst.0 / 1024,
        GROWTH / 1024,
        worst.1.as_millis(),
        HONEST.as_millis(),
        HONEST_AT_MOST.as_millis(),
        PLACES_FREED.as_secs(),
    ))
}

/// Where peers that do not read have taken every place: what HTTP/2 takes to close them, and somewhat more.
const PLACES_FREED: Duration = Duration::from_secs(45);

/// What an attack did.
struct Told {
    before: u64,
    /// KiB above `before` at most.
    grown: u64,
    /// KiB above `before` in the end.
    left: u64,
    /// The longest that an honest peer waited.
    waited: Duration,
    bound: Duration,
    served: usize,
    unserved: usize,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "memory {} MiB, +{} MiB at most, +{} MiB afterwards; {} honest requests served, the slowest in {} ms (bound {} ms), {} not",
            self.before / 1024,
            self.grown / 1024,
            self.left / 1024,
            self.served,
            self.waited.as_millis(),
            self.bound.as_millis(),
            self.unserved
        )
    }
}

impl Told {
    /// Whether nothing is wrong but that an honest peer waited too long, for what it got or in vain.
    fn only_waited(&self) -> bool {
        let is_small = self.grown <= GROWTH && self.left <= LEFT;
        is_small && (self.unserved > 0 || self.waited > self.bound)
    }

    fn broken(&self) -> Option<String> {
        let mut broken = Vec::new();
        if self.grown > GROWTH {
            broken.push(format!("memory grew by {} MiB", self.grown / 1024));
        }
        if self.left > LEFT {
            broken.push(format!("{} MiB stayed", self.left / 1024));
        }
        if self.waited > self.bound {
            broken.push(format!(
                "an honest peer waited {} ms",
                self.waited.as_millis()
            ));
        }
        if self.unserved > 0 {
            broken.push(format!("{} honest requests failed", self.unserved));
        }
        (!broken.is_empty()).then(|| broken.join(", "))
    }
}

/// What holds an attack's connections open.
#[derive(Default)]
struct Peers {
    greedy: Vec<JoinSet<()>>,
    streams: Vec<TcpStream>,
}

async fn try_attack(stage: &mut Stage, attack: Attack) -> Result<Told, Violation> {
    for nf in [Nf::Scp, Nf::Nrf, Nf::Smf] {
        stage.start(nf).await?;
    }
    let mut ledger = Ledger::default();
    let newcomer = enrol(&stage.folder.lab, 100).await;
    let (insider, certificate) = newcomer.map_err(|refused| violated!("{:?}", refused.error))?;
    insider.present(certificate.clone());
    ledger.check(stage, &[certificate]).await?;

    let told = match attack {
        Attack::FalseWitness => false_witness(stage).await?,
        Attack::Bodies(port)
        | Attack::Silence(port)
        | Attack::Unread(port)
        | Attack::Places(port) => under_attack(stage, attack, port, insider).await?,
    };
    let later = enrol(&stage.folder.lab, 101).await;
    let (_, certificate) = later
        .map_err(|refused| violated!("{attack:?}: no newcomer afterwards: {:?}", refused.error))?;
    ledger.check(stage, &[certificate]).await?;
    Ok(told)
}

async fn under_attack(
    stage: &mut Stage,
    attack: Attack,
    port: Port,
    insider: TestNf,
) -> Result<Told, Violation> {
    let addr = port.addr(stage).await;
    let insider = Arc::new(insider);
    let process = stage
        .process(port.process())
        .id()
        .ok_or_else(|| violated!("it has ended"))?;
    let before = resident_kib(process);
    let mut peak = before;
    // On a machine that is busy with something else, an honest peer waits without any attack.
    let mut usual = Duration::ZERO;
    for _ in 0..ASKED_BEFORE {
        let begun = Instant::now();
        if !ask(port, addr, &insider, &stage.folder.lab, GIVES_UP).await {
            return Err(violated!("{port:?} does not serve before the attack"));
        }
        usual = usual.max(begun.elapsed());
    }
    let bound = match attack {
        Attack::Places(_) => PLACES_FREED,
        _ => (usual * BUSY).clamp(HONEST, HONEST_AT_MOST),
    };

    let mut coming = JoinSet::new();
    let (attacker, lab) = (insider.clone(), stage.folder.lab.clone());
    coming.spawn(async move { attackers_come(attack, port, addr, &attacker, &lab).await });
    let mut honest = JoinSet::new();
    let (mut waited, mut served, mut unserved) = (Duration::ZERO, 0, 0);
    let mut peers = None;
    let mut end = None;
    loop {
        peak = peak.max(resident_kib(process));
        if let Some(arrived) = coming.try_join_next() {
            peers = Some(arrived.map_err(|error| violated!("the attack failed: {error}"))?);
            end = Some(Instant::now() + ATTACK);
        }
        while let Some(answer) = honest.try_join_next() {
            let (took, good): (Duration, bool) = answer.map_err(|error| violated!("{error}"))?;
            waited = waited.max(took);
            *(if good { &mut served } else { &mut unserved }) += 1;
        }
        let over = end.is_some_and(|end| Instant::now() > end);
        if over && honest.is_empty() {
            break;
        }
        // One after the other, so that honest peers are no load themselves.
        if !over && honest.is_empty() {
            let (insider, lab) = (insider.clone(), stage.folder.lab.clone());
            let patience = bound.max(GIVES_UP);
            honest.spawn(async move {
                let begun = Instant::now();
                let asked = timeout(patience, ask(port, addr, &insider, &lab, patience)).await;
                (begun.elapsed(), asked == Ok(true))
            });
        }
        sleep(SAMPLE).await;
    }
    drop(peers);
    let gone = || async {
        let left = resident_kib(process).saturating_sub(before);
        if left <= LEFT { Ok(left) } else { Err(left) }
    };
    let left = backoff::until(Instant::now() + GOING, gone, |_| true).await;
    Ok(Told {
        before,
        grown: peak - before,
        left: left.unwrap_or_else(|left| left),
        waited,
        bound,
        served,
        unserved,
    })
}

async fn attackers_come(
    attack: Attack,
    port: Port,
    addr: SocketAddr,
    insider: &TestNf,
    lab: &LabFolder,
) -> Peers {
    let mut peers = Peers::default();
    match attack {
        Attack::Bodies(_) => {
            for _ in 0..GREEDY_CONNECTIONS {
                peers.greedy.extend(greedy(port, addr, insider, lab).await);
            }
        }
        Attack::Silence(_) => {
            peers.streams = at_once(SILENT_CONNECTIONS, move || silent(addr)).await;
        }
        Attack::Unread(_) => {
            let path = unread_path(port);
            let mut streams = at_once(UNREAD_CONNECTIONS, move || {
                unread_http1(addr, path, UNREAD_REQUESTS)
            })
            .await;
            streams.extend(
                at_once(UNREAD_CONNECTIONS, move || {
                    unread_http2(addr, path, STREAMS as u32)
                })
                .await,
            );
            peers.streams = streams;
        }
        Attack::Places(_) => {
            let path = unread_path(port);
            peers.streams = at_once(ALL_PLACES, move || {
                unread_http1(addr, path, UNREAD_REQUESTS)
            })
            .await;
        }
        Attack::FalseWitness => {}
    }
    peers
}

/// What has the longest answer on the port.
const fn unread_path(port: Port) -> &'static str {
    match port {
        Port::NrfLog => "/1/checkpoint",
        Port::Witness => "/",
        _ => "/metrics",
    }
}

/// Makes connections, so many at a time; those that were refused are not there.
async fn at_once<F>(count: usize, connect: impl Fn() -> F) -> Vec<TcpStream>
where
    F: Future<Output = Option<TcpStream>> + Send + 'static,
{
    let mut made = Vec::new();
    let mut connecting = JoinSet::new();
    for _ in 0..count {
        if connecting.len() == CONNECTING
            && let Some(Ok(stream)) = connecting.join_next().await
        {
            made.extend(stream);
        }
        connecting.spawn(connect());
    }
    while let Some(stream) = connecting.join_next().await {
        made.extend(stream.ok().flatten());
    }
    made
}

async fn greedy(
    port: Port,
    addr: SocketAddr,
    insider: &TestNf,
    lab: &LabFolder,
) -> Option<JoinSet<()>> {
    match port {
        Port::NrfSbi => {
            // Without a certificate, as whoever has not enrolled.
            let stranger = TestNf::new(lab, 105);
            let connected = shake_hands(&stranger, port, addr, lab).await?;
            Some(
                endless_bodies(
                    connected.stream,
                    format!("https://{addr}/nnrf-cm/v1/certificates"),
                )
                .await,
            )
        }
        Port::SmfSbi => {
            let connected = shake_hands(insider, port, addr, lab).await?;
            Some(
                endless_bodies(
                    connected.stream,
                    format!("https://{addr}/nsmf-pdusession/v1/sm-contexts"),
                )
                .await,
            )
        }
        Port::NrfLog | Port::NrfAdmin | Port::Witness => {
            let tcp = silent(addr).await?;
            Some(endless_bodies(tcp, format!("http://{addr}/add-checkpoint")).await)
        }
    }
}

/// What an honest peer of the port does; whether it was served.
async fn ask(
    port: Port,
    addr: SocketAddr,
    insider: &TestNf,
    lab: &LabFolder,
    patience: Duration,
) -> bool {
    match port {
        Port::NrfSbi => enrol(lab, 102).await.is_ok(),
        Port::SmfSbi => shake_hands(insider, port, addr, lab).await.is_some(),
        Port::NrfLog => get(addr, "/1/checkpoint", patience).await,
        Port::NrfAdmin => get(addr, "/healthz", patience).await,
        Port::Witness => get(addr, "/", patience).await,
    }
}

async fn get(addr: SocketAddr, path: &str, patience: Duration) -> bool {
    let Ok(connection) = Connection::connect_cleartext(addr, patience).await else {
        return false;
    };
    let request = Request::new(Method::GET, addr.to_string(), path);
    let answer = connection.send(request, patience).await;
    answer.is_ok_and(|answer| !answer.status.is_server_error())
}

/// The witness is replaced by a liar for a while; then it is back, and the same NRF process issues again.
async fn false_witness(stage: &mut Stage) -> Result<Told, Violation> {
    let addr = Port::Witness.addr(stage).await;
    let nrf = stage.process(Nf::Nrf).id();
    stage.stop(Nf::Scp).await;
    let liar = FalseWitness::start(addr)
        .await
        .map_err(|error| violated!("{addr}: {error}"))?;
    let lied_to = enrol(&stage.folder.lab, 103).await;
    if lied_to.is_ok() {
        return Err(violated!("a certificate without the witness"));
    }
    drop(liar);
    stage.start(Nf::Scp).await?;
    let begun = Instant::now();
    let lab = stage.folder.lab.clone();
    let again = || async { enrol(&lab, 104).await.map(drop) };
    let issued = backoff::until(Instant::now() + GIVES_UP, again, |_| true).await;
    if let Err(refused) = &issued {
        say(&format!("    after the liar has gone: {:?}", refused.error));
    }
    if stage.process(Nf::Nrf).id() != nrf || !stage.runs(Nf::Nrf) {
        return Err(violated!("the NRF has ended"));
    }
    let unserved = usize::from(issued.is_err());
    if unserved > 0 {
        // So that the next attack is tried too.
        stage.stop(Nf::Nrf).await;
        stage.start(Nf::Nrf).await?;
    }
    Ok(Told {
        before: 0,
        grown: 0,
        left: 0,
        waited: begun.elapsed(),
        bound: GIVES_UP,
        served: 1 - unserved,
        unserved,
    })
}

/// A TLS connection to whoever has to be at the port.
async fn shake_hands(
    nf: &TestNf,
    port: Port,
    addr: SocketAddr,
    lab: &LabFolder,
) -> Option<Connected> {
    let expected = match port {
        Port::SmfSbi => {
            let smf = lab
                .instances
                .iter()
                .find(|instance| instance.nf_type == "SMF");
            ExpectedPeer {
                fqdn: smf.expect("the lab has an SMF").fqdn.clone(),
                instance_id: None,
                nf_type: Some("SMF".to_owned()),
            }
        }
        _ => nf.nrf.expected(),
    };
    nf.instance.shake_hands(addr, PROFILE, expected).await.ok()
}
