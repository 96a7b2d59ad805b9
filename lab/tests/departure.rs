//! SM contexts end with their AMF: a whole lab in which the SMF asks the NRF about AMFs that are the test's own.

use std::net::SocketAddr;
use std::time::Duration;

use experiment::scenario::Nf;
use hyper::header::LOCATION;
use hyper::{Method, StatusCode};
use lab::pki;
use mtc_tls::peer::ExpectedPeer;
use sbi::client::{Connection, Request};
use sbi::model::{NfProfile, NfType, ServiceName};
use sbi::process::Event;
use serde_json::json;
use tokio::time::sleep;

use test_support::command::{PATIENCE, within};
use test_support::test_lab::{Metrics, TestFolder, TestLab, mint, now, small};
use test_support::test_nf::{PROFILE, TestNf, der};

/// Between looks at what can only be asked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Times of recovery, before and after a restart.
const RECOVERED: [&str; 2] = ["2026-11-28T08:00:00Z", "2026-11-28T09:00:00Z"];

/// An AMF that is registered and has one SM context.
struct TestAmf {
    nf: TestNf,
    nrf: Connection,
    smf: Connection,
    profile: NfProfile,
    /// Path of its SM context.
    context: String,
}

impl TestAmf {
    async fn new(lab: &mut TestLab, number: u16) -> Self {
        let nf = TestNf::of_type(&lab.folder.lab, NfType::Amf, number);
        let issued = nf.enrol(&nf.token()).await.expect("the AMF enrols");
        nf.present(der(&issued));
        let nrf = nf.connect().await.expect("the NRF answers").connection;
        // Nobody answers there: a transfer of N1 and N2 messages fails, which ends no context.
        let at = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut profile = nf.instance.producing(ServiceName::NamfComm, at);
        profile.heart_beat_timer = Some(10);
        profile.recovery_time = Some(RECOVERED[0].to_owned());
        nf.nrf
            .register(&nrf, &profile)
            .await
            .expect("the AMF registers");
        let smf = connect_to_smf(lab, &nf).await;
        let context = create_context(&smf, &nf, number).await;
        Self {
            nf,
            nrf,
            smf,
            profile,
            context,
        }
    }

    /// Whether its SM context is there.
    async fn has_context(&self) -> bool {
        let modify = format!("{}/modify", self.context);
        let request = Request::new(Method::POST, smf_fqdn(), modify).json(&json!({}));
        let answer = self.smf.send(request, PATIENCE).await;
        match answer.expect("the SMF answers").status {
            StatusCode::NO_CONTENT => true,
            StatusCode::NOT_FOUND => false,
            other => panic!("{other}"),
        }
    }

    async fn await_end_of_context(&self) {
        within(async {
            while self.has_context().await {
                sleep(LOOK_INTERVAL).await;
            }
        })
        .await;
    }
}

fn smf_fqdn() -> String {
    pki::fqdn("SMF", 1)
}

async fn connect_to_smf(lab: &mut TestLab, amf: &TestNf) -> Connection {
    let smf = lab.topology.child(Nf::Smf).expect("the SMF was started");
    let addr = smf.seen(|event| match event {
        Event::SbiListening { addr, .. } => Some(*addr),
        _ => None,
    });
    let expected = ExpectedPeer {
        fqdn: smf_fqdn(),
        instance_id: None,
        nf_type: Some(NfType::Smf.as_str().to_owned()),
    };
    let opened = amf
        .instance
        .open(addr.expect("the SMF listens"), PROFILE, expected);
    opened.await.expect("the SMF answers").connection
}

/// The path of a new SM context of subscriber `number`.
async fn create_context(smf: &Connection, amf: &TestNf, number: u16) -> String {
    let supi = format!("imsi-00101{number:010}");
    let session = json!({"supi": supi, "pduSessionId": 5, "dnn": "internet", "selectedDnn": "internet",
        "sNssai": {"sst": 1, "sd": "010203"}, "servingNfId": amf.id(),
        "guami": {"plmnId": {"mcc": "001", "mnc": "01"}, "amfId": "020040"},
        "servingNetwork": {"mcc": "001", "mnc": "01"}, "requestType": "INITIAL_REQUEST", "anType": "3GPP_ACCESS",
        "smContextStatusUri": format!("https://{}:9/namf-callback/v1/{supi}/sm-context-status/5", amf.instance.fqdn)});
    let request = Request::new(
        Method::POST,
        smf_fqdn(),
        "/nsmf-pdusession/v1/sm-contexts".to_owned(),
    );
    let answer = smf.send(request.json(&session), PATIENCE).await;
    let answer = answer.expect("the SMF answers");
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    let location = answer.header(&LOCATION).expect("a Location");
    let path = location
        .find("/nsmf-pdusession/")
        .expect("a path of the service");
    location[path..].to_owned()
}

/// What an admin port tells Prometheus.
async fn metrics(admin: SocketAddr) -> String {
    let connection = Connection::connect_cleartext(admin, PATIENCE).await;
    let request = Request::new(Method::GET, admin.to_string(), "/metrics");
    let answer = connection
        .expect("the admin port listens")
        .send(request, PATIENCE)
        .await;
    let body = answer.expect("it answers").body;
    String::from_utf8(body.into()).expect("metrics are text")
}

/// How often the SMF has asked the NRF for a profile and got one.
async fn profiles_retrieved(smf_admin: SocketAddr) -> f64 {
    let text = metrics(smf_admin).await;
    let retrievals = text.lines().filter(|line| {
        line.starts_with("sbi_request_duration_seconds_count{")
            && line.contains("\"NFProfileRetrieval\"")
            && line.contains("\"200\"")
    });
    let counts = retrievals.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    counts.sum()
}

/// Waits until the SMF has heard of all these AMFs. It asks for all as soon as it has a context of a new one, so the last is among those
/// asked for when there are more answers than there were AMFs at the questions before.
async fn await_questions_about(lab: &mut TestLab, amfs: u16) {
    let admin = lab.topology.admin(Nf::Smf).expect("the SMF was started");
    let answers: f64 = (1..=amfs).map(f64::from).sum();
    within(async {
        while profiles_retrieved(admin).await < answers {
            sleep(LOOK_INTERVAL).await;
        }
    })
    .await;
}

#[tokio::test]
async fn contexts_end_with_an_amf_that_deregisters_or_restarts_and_with_no_other() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    let leaving = TestAmf::new(&mut lab, 100).await;
    await_questions_about(&mut lab, 1).await;
    let mut restarting = TestAmf::new(&mut lab, 101).await;
    await_questions_about(&mut lab, 2).await;
    let staying = TestAmf::new(&mut lab, 102).await;
    await_questions_about(&mut lab, 3).await;
    for amf in [&leaving, &restarting, &staying] {
        assert!(amf.has_context().await);
    }

    let TestAmf {
        nf, nrf, profile, ..
    } = &leaving;
    nf.nrf
        .deregister(nrf, profile.nf_instance_id)
        .await
        .unwrap();
    restarting.profile.recovery_time = Some(RECOVERED[1].to_owned());
    let TestAmf {
        nf, nrf, profile, ..
    } = &restarting;
    nf.nrf.register(nrf, profile).await.unwrap();

    restarting.await_end_of_context().await;
    leaving.await_end_of_context().await;
    assert!(staying.has_context().await);
    // Nobody had to wait for a look: the NRF has told the SMF of both.
    let nrf = lab.topology.admin(Nf::Nrf).expect("the NRF was started");
    let told_by_nrf = metrics(nrf).await;
    for event in ["NF_DEREGISTERED", "NF_PROFILE_CHANGED"] {
        let told = format!("nf_notifications_total{{event=\"{event}\",result=\"ok\"}}");
        let mut lines = told_by_nrf.lines();
        assert!(lines.any(|line| line.starts_with(&told)), "{event}");
    }
    // The SCP remembers what it discovered, and is told as well.
    let scp = lab.topology.admin(Nf::Scp).expect("the SCP was started");
    within(async {
        while !metrics(scp).await.contains("\"NFStatusNotify\"") {
            sleep(LOOK_INTERVAL).await;
        }
    })
    .await;
    lab.topology.stop().await;
}

#[tokio::test]
async fn contexts_end_with_an_amf_that_an_nrf_without_its_registrations_does_not_know_again() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    let forgotten = TestAmf::new(&mut lab, 100).await;
    await_questions_about(&mut lab, 1).await;

    lab.topology.kill(Nf::Nrf).await.unwrap();
    let profiles = lab.folder.path().join("state/nrf/profiles");
    std::fs::remove_dir_all(profiles).unwrap();
    assert!(
        forgotten.has_context().await,
        "while nobody answers nothing is known"
    );
    lab.topology.restart(Nf::Nrf).await.unwrap();
    forgotten.await_end_of_context().await;
    lab.topology.stop().await;
}

/// Instances that the NRF has suspended so far, as its log says.
fn suspended(lab: &TestLab) -> usize {
    let log = std::fs::read_to_string(lab.folder.lab.log_file("nrf")).expect("the NRF logs");
    log.matches("instance suspended").count()
}

// They were registered first, and sent the first heartbeat when they had their landmarks: it was suspended in between.
#[tokio::test]
async fn an_nf_that_waits_for_its_landmark_stays_registered() {
    let mut plan = small();
    plan.lab.landmark_interval = Duration::from_secs(30);
    let mut lab = TestLab::start(TestFolder::new(&plan)).await;
    lab.topology.kill(Nf::Smf).await.expect("it runs");
    // The first landmarks of a log that grows are 2, 1, 2, 4 and 8 s apart. The killed SMF is suspended after 7.
    let nrf = lab.topology.admin(Nf::Nrf).expect("it runs");
    let newest_landmark = async || Metrics::read(nrf).await.value("mtc_log_newest_landmark");
    let mut newcomers = 200..;
    while newest_landmark().await < 4.0 || suspended(&lab) < 1 {
        let nf = TestNf::new(&lab.folder.lab, newcomers.next().expect("without end"));
        nf.enrol(&nf.token()).await.expect("it enrols");
        sleep(LOOK_INTERVAL).await;
    }
    // As new: its certificate is in the next landmark, in some eight seconds, and the NRF waits for three.
    let fqdn = smf_fqdn();
    let mut planned = lab.folder.lab.instances.iter();
    let smf = planned.find(|instance| instance.fqdn == fqdn);
    let id = smf.expect("a lab has an SMF").instance_id;
    let file = |name: String| lab.folder.path().join(name);
    std::fs::remove_file(file(format!("state/smf/{id}.json"))).expect("its vault is there");
    let token = mint(&lab.folder.lab, id, "SMF", &fqdn, now().plus(PATIENCE));
    std::fs::write(file(format!("tokens/{id}.jwt")), token).expect("tokens can be written");
    lab.folder.set("smf", "heartbeat_seconds", 1);
    lab.folder.set("smf", "await_landmarks", true);
    lab.topology.put_back(Nf::Smf).expect("it starts");
    let admin = loop {
        let event = lab.topology.next_event(Nf::Smf).await;
        if let Event::AdminListening { addr } = event.expect("it goes on") {
            break addr;
        }
    };
    let waits = async || {
        let metrics = Metrics::read(admin).await;
        metrics.value("mtc_certificates_without_landmark") > 0.0
    };
    within(async {
        while !waits().await {
            sleep(LOOK_INTERVAL).await;
        }
    })
    .await;
    loop {
        let event = lab.topology.next_event(Nf::Smf).await;
        if matches!(event.expect("it goes on"), Event::Ready { .. }) {
            break;
        }
    }
    assert!(!waits().await, "it is there");
    assert!(newest_landmark().await >= 5.0, "it had to wait");
    // Whether they were in time is up to the machine: the NRF waits for two seconds.
    let smf = lab.topology.admin(Nf::Smf).expect("it runs");
    let sent = Metrics::read(smf).await;
    let sent = sent.value_or_zero("nf_heartbeats_total{result=\"ok\"}");
    assert!(sent > 0.0, "heartbeats while it waited");
    lab.topology.stop().await;
}
