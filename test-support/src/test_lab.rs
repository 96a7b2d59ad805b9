//! A small lab whose processes this test supervises, and loads for it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use experiment::measure::{LoadResult, Shard};
use experiment::scenario::{Distribution, LabPlan, LoadPlan, Nf, OperationKind};
use hyper::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use lab::load::Progress;
use lab::load::worker::{Answer, Command};
use lab::topology::{LabFolder, Plan, Ports, Topology};
use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use mtc_tls::key::{KeyAlgorithm, NfKey};
use sbi::access_token::TokenPolicy;
use sbi::client::{Connection, Request};
use sbi::enrolment_claims::{ENROLMENT_ISSUER, EnrolmentClaims};
use sbi::process::Event;
use tempfile::TempDir;
use tokio::time::sleep;
use uuid::Uuid;

use crate::command::{PATIENCE, binary, within};

/// The algorithm of every leaf key in these labs.
pub const LEAF_KEY: KeyAlgorithm = KeyAlgorithm::MlDsa65;

/// One AMF and one SMF with Merkle Tree Certificates only, quick to start.
pub fn small() -> Plan {
    Plan {
        lab: LabPlan {
            amf: 1,
            smf: 1,
            ausf: 0,
            udm: 0,
            pcf: 0,
            certificate_lifetime: Duration::from_secs(3600),
            checkpoint_interval: Duration::from_millis(20),
            landmark_interval: Duration::from_secs(1),
            preload: 0,
            tokens: true,
            client_credentials: true,
            token_lifetime: Duration::from_secs(3600),
            status_lifetime: Duration::from_secs(3600),
            remember_subtrees: true,
            distribution: Distribution::Each,
            upgraded: None,
            witnesses: 1,
            require: 1,
        },
        mtc: vec![LEAF_KEY],
        x509: Vec::new(),
        ports: Ports::Free,
        // Network functions that a test makes itself have none.
        access_tokens: TokenPolicy::Optional,
        await_landmarks: false,
        key_log: None,
        connection_uses: 1,
    }
}

/// The files of a lab, in a temporary folder that goes with them.
pub struct TestFolder {
    /// The files.
    pub lab: LabFolder,
    _temporary: TempDir,
}

impl TestFolder {
    /// Makes the files of a lab.
    pub fn new(plan: &Plan) -> Self {
        let temporary = tempfile::tempdir().expect("temporary folder");
        let path = temporary.path().join("lab");
        let lab = LabFolder::create(&path, plan, now()).expect("lab folder is made");
        Self {
            lab,
            _temporary: temporary,
        }
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        self.lab.path()
    }

    /// Replaces a line `key = ...` of a configuration.
    pub fn set(&self, process: &str, key: &str, value: impl std::fmt::Display) {
        let file = self.lab.config_file(process);
        let text = std::fs::read_to_string(&file).expect("configuration is readable");
        let mut changed = String::new();
        for line in text.lines() {
            let is_it = line.split_once(" = ").is_some_and(|(name, _)| name == key);
            let line = if is_it {
                format!("{key} = {value}")
            } else {
                line.to_owned()
            };
            writeln!(changed, "{line}").expect("strings take everything");
        }
        assert_ne!(changed, text, "{key} is in {process}.toml and changes");
        std::fs::write(file, changed).expect("configuration is written");
    }
}

/// Now, by the clock of the machine.
pub fn now() -> UnixTime {
    Clock::default().now()
}

/// A token of the lab's enrolment authority.
pub fn mint(lab: &LabFolder, id: Uuid, nf_type: &str, fqdn: &str, exp: UnixTime) -> String {
    let key = std::fs::read_to_string(&lab.pki.authority_key).expect("authority key is readable");
    let key = NfKey::from_pem(&key)
        .and_then(|key| key.to_pkcs8())
        .expect("authority key is one");
    let claims = EnrolmentClaims {
        iss: ENROLMENT_ISSUER.to_owned(),
        sub: id,
        nf_type: nf_type.to_owned(),
        fqdn: vec![fqdn.to_owned()],
        exp: exp.0,
        jti: Uuid::new_v4(),
    };
    jsonwebtoken::encode(
        &Header::new(Algorithm::ES256),
        &claims,
        &EncodingKey::from_ec_der(&key),
    )
    .expect("claims encode")
}

/// Between looks at metrics: what they tell can only be asked for.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Waits until a process shows metrics as they are wanted.
pub async fn shows(admin: SocketAddr, is_wanted: impl Fn(&Metrics) -> bool) {
    let shown = async {
        while !is_wanted(&Metrics::read(admin).await) {
            sleep(LOOK_INTERVAL).await;
        }
    };
    within(shown).await;
}

/// What a process tells Prometheus.
pub struct Metrics(String);

impl Metrics {
    /// Asks at an admin port.
    pub async fn read(admin: SocketAddr) -> Self {
        let connection = Connection::connect_cleartext(admin, PATIENCE).await;
        let request = Request::new(Method::GET, admin.to_string(), "/metrics");
        let answer = connection
            .expect("it listens")
            .send(request, PATIENCE)
            .await;
        let body = answer.expect("it answers").body.to_vec();
        Self(String::from_utf8(body).expect("metrics are text"))
    }

    /// The value of a metric without labels.
    pub fn value(&self, name: &str) -> f64 {
        self.find(name)
            .unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    /// The value of a series, written as the process does; 0 where it has not begun.
    pub fn value_or_zero(&self, series: &str) -> f64 {
        self.find(series).unwrap_or_default()
    }

    fn find(&self, series: &str) -> Option<f64> {
        let mut named = self.0.lines().filter_map(|line| line.split_once(' '));
        named.find_map(|(other, value)| (other == series).then(|| value.trim().parse().ok())?)
    }
}

/// A running lab. Dropping it kills its processes.
pub struct TestLab {
    /// Its processes.
    pub topology: Topology,
    /// Its files.
    pub folder: TestFolder,
}

impl TestLab {
    /// Starts the lab, and waits until it is ready.
    pub async fn start(folder: TestFolder) -> Self {
        let starting = Topology::start(folder.lab.clone(), binary(), |_| {});
        let topology = within(starting)
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        Self { topology, folder }
    }

    /// The process of a network function.
    pub fn pid(&mut self, nf: Nf) -> u32 {
        let child = self.topology.child(nf).expect("the process was started");
        child.id().expect("the process runs")
    }

    /// Makes the AMF establish sessions: `rate` a second for `duration`, over each kind of MTC in turn.
    pub async fn start_load(&mut self, rate: f64, duration: Duration) {
        let profile = |domain: &str| format!("{domain}/{LEAF_KEY}/X25519MLKEM768");
        let profiles = vec![profile("mtc-standalone"), profile("mtc-landmark")];
        let plan = LoadPlan::steady(OperationKind::Session, rate, duration);
        self.start_load_of(plan, profiles).await;
    }

    /// Makes the AMF do what a plan says, without a warm-up, over these connection profiles in turn.
    pub async fn start_load_of(&mut self, plan: LoadPlan, profiles: Vec<String>) {
        let command = Command::Load {
            plan: Box::new(LoadPlan {
                warmup: Duration::ZERO,
                ..plan
            }),
            watched: 0,
            shard: Shard::WHOLE,
            scenario: "test".to_owned(),
            variants: profiles.clone(),
            profiles,
            seed: 1,
        };
        let command = serde_json::to_string(&command).expect("commands encode");
        let amf = self.topology.child(Nf::Amf).expect("the AMF was started");
        amf.command(&command).await.expect("the AMF hears");
    }

    async fn answer(&mut self) -> Answer {
        let amf = self.topology.child(Nf::Amf).expect("the AMF was started");
        loop {
            let event = within(amf.next_event()).await.expect("the AMF runs");
            let Event::Answer { value } = event else {
                continue;
            };
            match serde_json::from_value(value).expect("answers are readable") {
                // Nobody takes readings here.
                Answer::Settled => {
                    let measure = serde_json::to_string(&Command::Measure);
                    let measure = measure.expect("commands encode");
                    within(amf.command(&measure)).await.expect("the AMF hears");
                }
                answer => return answer,
            }
        }
    }

    /// Waits until the load has done something.
    pub async fn load_is_under_way(&mut self) -> Progress {
        loop {
            match self.answer().await {
                Answer::Progress(progress) if progress.done > 0 => return progress,
                Answer::Progress(_) | Answer::Settled => {}
                Answer::Result(result) => panic!("the load is over: {result:?}"),
            }
        }
    }

    /// Waits until the load is over.
    pub async fn load_result(&mut self) -> LoadResult {
        loop {
            if let Answer::Result(result) = self.answer().await {
                return *result;
            }
        }
    }

    /// Lets no more operations arrive, and waits until the load is over.
    pub async fn end_load(&mut self) -> LoadResult {
        let stop = serde_json::to_string(&Command::Stop).expect("commands encode");
        let amf = self.topology.child(Nf::Amf).expect("the AMF was started");
        amf.command(&stop).await.expect("the AMF hears");
        self.load_result().await
    }

    /// Runs a short load in which nothing may fail.
    pub async fn expect_service(&mut self) {
        self.start_load(10.0, Duration::from_secs(1)).await;
        for variant in self.load_result().await.variants {
            assert_eq!(variant.errors, [].into());
            assert_eq!((variant.attempts, variant.ok, variant.dropped), (5, 5, 0));
        }
    }
}
