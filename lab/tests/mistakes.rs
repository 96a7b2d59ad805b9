//! Common mistakes: each gets one message that names the cause and what to do.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use experiment::scenario::Nf;
use hyper::{Method, StatusCode};
use lab::topology::LabFolder;
use mtc_core::causes::Causes;
use mtc_core::time::UnixTime;
use mtc_tls::key::NfKey;
use mtc_tls::peer::ExpectedPeer;
use rustix::process::Signal;
use rustls::{AlertDescription, Error as TlsError};
use sbi::client::{ClientError, Request};
use sbi::model::{NfProfile, NfType};
use sbi::process::Event;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use uuid::Uuid;

use test_support::command::{Ended, PATIENCE, Started, binary, mtc5g, within};
use test_support::test_lab::{TestFolder, TestLab, now, small};
use test_support::test_nf::{PROFILE, TestNf, der, refusal};

fn expect_parts(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

/// Runs an NF of a lab, which must fail.
async fn fail(lab: &LabFolder, nf: &str, arguments: &[&str]) -> Ended {
    let config = lab.config_file(nf);
    let config = config.to_str().expect("temporary folders are text");
    let ended = mtc5g([&[nf, "--config", config], arguments].concat()).await;
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    ended
}

async fn fails_with(lab: &LabFolder, nf: &str, arguments: &[&str], parts: &[&str]) {
    expect_parts(fail(lab, nf, arguments).await.error(), parts);
}

#[tokio::test]
async fn a_wrong_scenario_key_is_shown_with_its_line_and_the_right_spelling() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    let text = include_str!("../../scenarios/quick.toml");
    let line = 1 + text
        .lines()
        .position(|line| line.starts_with("checkpoint_interval"))
        .unwrap();
    std::fs::write(
        &file,
        text.replace("checkpoint_interval", "checkpoint_intervall"),
    )
    .unwrap();
    let ended = mtc5g(["run".as_ref(), file.as_os_str()]).await;
    assert_eq!(ended.code(), Some(2));
    let place = format!("line {line}, column 1: lab.checkpoint_intervall is not a known key");
    expect_parts(
        ended.error(),
        &[
            "wrong.toml",
            "1 fault",
            &place,
            "did you mean \"checkpoint_interval\"?",
        ],
    );
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let folder = TestFolder::new(&small());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    folder.set("smf", "admin", format!("\"{address}\""));
    let parts = [
        &format!("cannot listen on {address} (admin; key admin)"),
        "is another process using it?",
    ];
    fails_with(&folder.lab, "smf", &[], &parts).await;
}

#[tokio::test]
async fn a_missing_scenario_is_named() {
    let ended = mtc5g(["run", "no/such/scenario.toml"]).await;
    assert_eq!(ended.code(), Some(2));
    expect_parts(
        ended.error(),
        &["cannot read scenario no/such/scenario.toml", "No such file"],
    );
}

#[tokio::test]
async fn a_missing_file_of_a_lab_is_named() {
    let folder = TestFolder::new(&small());
    let remove = |path: &Path| std::fs::remove_file(path).expect("the file was there");
    let missing = |what: &str, file: &Path| format!("{what}{}", file.display());

    let key = &folder.lab.pki.cosigner_key;
    remove(key);
    fails_with(
        &folder.lab,
        "nrf",
        &["--create-log"],
        &[&missing("cannot read ", key), "No such file"],
    )
    .await;
    let key = &folder.lab.pki.witnesses[0].key;
    remove(key);
    fails_with(
        &folder.lab,
        "scp",
        &[],
        &[
            &missing("cannot read the cosigner's key ", key),
            "No such file",
        ],
    )
    .await;
    let tokens = folder.path().join("tokens");
    std::fs::remove_dir_all(&tokens).unwrap();
    let parts = [
        "smf1.",
        "cannot read the enrolment token",
        &missing("", &tokens),
        "No such file",
    ];
    fails_with(&folder.lab, "smf", &[], &parts).await;
    let trust = &folder.lab.pki.trust;
    remove(trust);
    fails_with(
        &folder.lab,
        "smf",
        &[],
        &[
            &missing("trust file ", trust),
            "cannot read",
            "No such file",
        ],
    )
    .await;
    let config = folder.lab.config_file("smf");
    remove(&config);
    fails_with(
        &folder.lab,
        "smf",
        &[],
        &[
            &missing("cannot read configuration ", &config),
            "is the path right",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_key_file_that_holds_no_key_is_named() {
    let folder = TestFolder::new(&small());
    for (nf, arguments, file) in [
        ("scp", &[][..], "witness/witness.key"),
        ("nrf", &["--create-log"], "mtca/cosigner.key"),
        ("nrf", &["--create-log"], "enrolment/authority.pub"),
    ] {
        let path = folder.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, "no key").unwrap();
        fails_with(&folder.lab, nf, arguments, &[path.to_str().unwrap()]).await;
        std::fs::write(&path, whole).unwrap();
    }
    let path = folder.path().join("enrolment/authority.key");
    std::fs::write(&path, "no key").unwrap();
    let instance = folder.lab.instances[0].instance_id.to_string();
    let lab = folder.path().to_str().unwrap();
    let ended = mtc5g(["token", lab, &instance]).await;
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    expect_parts(ended.error(), &[path.to_str().unwrap()]);
}

#[tokio::test]
async fn an_expired_token_is_told_with_both_times() {
    let lab = TestLab::start(TestFolder::new(&small())).await;
    let nf = TestNf::new(&lab.folder.lab, 100);
    let expired = UnixTime(now().0 - 100);
    let (status, detail) = refusal(&nf.enrol(&nf.token_until(expired)).await.unwrap_err());
    assert_eq!(status, 401);
    expect_parts(
        &detail,
        &[
            "enrolment token",
            "exp",
            &expired.to_string(),
            "s before this clock",
            "mint a new one",
        ],
    );
    lab.topology.stop().await;
}

#[tokio::test]
async fn a_token_is_good_once() {
    let lab = TestLab::start(TestFolder::new(&small())).await;
    let mut nf = TestNf::new(&lab.folder.lab, 100);
    let token = nf.token();
    let first = nf.enrol(&token).await.unwrap();
    // The same key asks for the same.
    assert_eq!(nf.enrol(&token).await.unwrap(), first);
    nf.key = NfKey::generate(nf.key.algorithm()).unwrap();
    let refused = nf.enrol(&token).await.unwrap_err();
    assert!(refused.token_is_used());
    let (status, detail) = refusal(&refused);
    assert_eq!(status, 403);
    expect_parts(
        &detail,
        &[
            "enrolment token",
            "already used",
            "valid for one certificate",
        ],
    );
    lab.topology.stop().await;
}

#[tokio::test]
async fn what_another_process_still_has_to_write_is_awaited_if_one_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let [config, last, written] =
        ["smf.toml", "lab.toml", "new"].map(|name| folder.path().join(name));
    let arguments = [
        "smf",
        "--config",
        config.to_str().unwrap(),
        "--await-file",
        last.to_str().unwrap(),
    ];

    // Its standard input has ended, which stops a supervised process.
    let ended = mtc5g([&arguments[..], &["--supervised"]].concat()).await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);

    let mut smf = Started::new(arguments);
    smf.says("waiting for a file").await;
    std::fs::write(&config, "[nf]\ntrust = 5\n").unwrap();
    std::fs::write(&written, "").unwrap();
    std::fs::rename(written, last).unwrap();
    let ended = smf.end().await;
    assert_eq!(ended.code(), Some(1));
    expect_parts(ended.error(), &["smf.toml", "line 2"]);
}

/// As after a crash between the use of the token and the certificate.
#[tokio::test]
async fn a_replica_whose_token_is_used_takes_another_at_its_next_start() {
    let lab = TestLab::start(TestFolder::new(&small())).await;
    let (lost, next) = (
        TestNf::new(&lab.folder.lab, 100),
        TestNf::new(&lab.folder.lab, 101),
    );
    let used = lost.token();
    lost.enrol(&used).await.unwrap();
    let of = |name: &str| lab.folder.path().join(name);
    std::fs::create_dir(of("pool")).unwrap();
    std::fs::write(of("pool/1.jwt"), used).unwrap();
    std::fs::write(of("pool/2.jwt"), next.token()).unwrap();
    let smf = std::fs::read_to_string(lab.folder.lab.config_file("smf")).unwrap();
    let mut config: toml::Table = smf.parse().unwrap();
    let nf = config["nf"].as_table_mut().unwrap();
    nf.remove("instance");
    for (key, value) in [("state", "state/replica"), ("admin", "127.0.0.1:0")] {
        nf.insert(key.to_owned(), value.into());
    }
    let replica = toml::toml! { tokens = "pool"
    listen = "127.0.0.1:0" };
    nf.insert("replica".to_owned(), replica.into());
    let file = lab.folder.lab.config_file("replica");
    std::fs::write(&file, config.to_string()).unwrap();
    let arguments = ["smf", "--config", file.to_str().unwrap()];

    let refused = mtc5g(arguments).await;
    assert_eq!(refused.code(), Some(1));
    expect_parts(refused.error(), &["already used"]);
    expect_parts(&refused.stderr, &["takes another enrolment token"]);
    let mut replica = Started::new(arguments);
    replica.says("{\"event\":\"ready\"").await;
    replica.signal(Signal::TERM);
    let ended = replica.end().await;
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    expect_parts(&ended.stderr, &[&next.instance.fqdn]);
    lab.topology.stop().await;
}

#[tokio::test]
async fn a_csr_for_another_is_refused_with_both_names() {
    let lab = TestLab::start(TestFolder::new(&small())).await;
    let (nf, other) = (TestNf::new(&lab.folder.lab, 100), Uuid::new_v4());
    let (token, fqdn) = (nf.token(), nf.instance.fqdn.as_str());
    let (status, detail) = refusal(&nf.enrol_as(other, fqdn, Some(&token)).await.unwrap_err());
    assert_eq!(status, 403);
    let (asked, allowed) = (other.to_string(), nf.id().to_string());
    expect_parts(
        &detail,
        &["CSR is for NF instance", &asked, "token", &allowed],
    );

    let foreign = "amf1.5gc.mnc001.mcc001.3gppnetwork.org";
    let (status, detail) = refusal(
        &nf.enrol_as(nf.id(), foreign, Some(&token))
            .await
            .unwrap_err(),
    );
    assert_eq!(status, 403);
    expect_parts(&detail, &["CSR asks for", foreign, "allows", fqdn]);
    nf.enrol(&token)
        .await
        .expect("a refused request does not use the token up");

    nf.present(der(&nf.enrol(&nf.token()).await.unwrap()));
    let (status, detail) = refusal(&nf.enrol_as(other, fqdn, None).await.unwrap_err());
    assert_eq!(status, 403);
    expect_parts(
        &detail,
        &["CSR is for NF instance", &asked, "certificate", &allowed],
    );
    lab.topology.stop().await;
}

#[tokio::test]
async fn an_smf_cannot_register_as_an_amf() {
    let lab = TestLab::start(TestFolder::new(&small())).await;
    let nf = TestNf::new(&lab.folder.lab, 100);
    nf.present(der(&nf.enrol(&nf.token()).await.unwrap()));
    let profile = |nf_type| NfProfile::new(nf.instance.id, nf_type, nf.instance.fqdn.clone());
    let connection = nf.connect().await.unwrap().connection;
    let error = nf
        .nrf
        .register(&connection, &profile(NfType::Amf))
        .await
        .unwrap_err();
    let ClientError::Status { status, details } = error else {
        panic!("not a refusal: {error:?}");
    };
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(details.cause.as_deref(), Some("MTC5G_CERTIFICATE_MISMATCH"));
    expect_parts(
        &details.detail.unwrap(),
        &["certificate is for nfType SMF", "profile has AMF"],
    );
    nf.nrf
        .register(&connection, &profile(NfType::Smf))
        .await
        .unwrap();
    lab.topology.stop().await;
}

/// The alert that ends a connection.
async fn alert(stream: &mut (impl AsyncRead + Unpin)) -> AlertDescription {
    let error = within(stream.read_u8())
        .await
        .expect_err("the peer refuses");
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(TlsError::AlertReceived(alert)) => *alert,
        _ => panic!("no alert: {error:?}"),
    }
}

/// The SBI address of the first instance of a process, and its name.
fn sbi_of(lab: &mut TestLab, nf: Nf) -> (std::net::SocketAddr, String) {
    let child = lab.topology.child(nf).expect("the process was started");
    let listening = child.seen(|event| match event {
        Event::SbiListening { instance, addr } => Some((*addr, instance.clone())),
        _ => None,
    });
    listening.expect("the process serves")
}

#[tokio::test]
async fn without_a_client_certificate_there_is_an_alert_or_a_problem() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    let nf = TestNf::new(&lab.folder.lab, 100);
    for producer in [Nf::Amf, Nf::Smf] {
        let (addr, fqdn) = sbi_of(&mut lab, producer);
        let expected = ExpectedPeer {
            fqdn,
            instance_id: None,
            nf_type: None,
        };
        // In TLS 1.3 the client is done before the server has looked at its certificate.
        let mut connected = nf
            .instance
            .shake_hands(addr, PROFILE, expected)
            .await
            .unwrap();
        let alert = alert(&mut connected.stream).await;
        assert_eq!(alert, AlertDescription::CertificateRequired);
    }
    let connection = nf.connect().await.unwrap().connection;
    let ask = |method, path: String| Request::new(method, nf.nrf.authority(), path);
    let id = nf.id();
    let refused = [
        (
            ask(
                Method::GET,
                "/nnrf-cm/v1/certificates/1/landmark-relative".to_owned(),
            ),
            401,
        ),
        (
            ask(Method::POST, "/nnrf-cm/v1/certificates".to_owned()),
            401,
        ),
        (
            ask(Method::GET, format!("/nnrf-nfm/v1/nf-instances/{id}")),
            403,
        ),
        (
            ask(
                Method::GET,
                "/nnrf-disc/v1/nf-instances?target-nf-type=SMF&requester-nf-type=AMF".to_owned(),
            ),
            403,
        ),
    ];
    for (request, expected) in refused {
        let error = connection.call(request, PATIENCE).await.unwrap_err();
        let ClientError::Status { status, details } = error else {
            panic!("not a refusal: {error:?}");
        };
        assert_eq!(status.as_u16(), expected, "{details}");
        assert!(details.detail.unwrap().contains("client certificate"));
    }
    lab.topology.stop().await;
}

/// Changes a certificate (DER).
type Damage = fn(&mut [u8]);

/// The DER of the MTC in an NF's state file, changed by `damage`.
fn damage_stored(lab: &LabFolder, nf: &str, damage: Damage) -> PathBuf {
    let instance = lab
        .instances
        .iter()
        .find(|instance| instance.nf_type.eq_ignore_ascii_case(nf))
        .expect("planned");
    let file = lab
        .path()
        .join(format!("state/{nf}/{}.json", instance.instance_id));
    let text = std::fs::read(&file).expect("state is readable");
    let mut vault: serde_json::Value = serde_json::from_slice(&text).expect("state is JSON");
    // As a file of an older version: otherwise its checksum tells the damage before anybody looks at the certificate.
    vault.as_object_mut().expect("an object").remove("sha256");
    let leaf = &mut vault["credentials"][0]["chain"][0];
    let mut certificate = STANDARD
        .decode(leaf.as_str().expect("chain has a leaf"))
        .expect("base64");
    damage(&mut certificate);
    *leaf = STANDARD.encode(certificate).into();
    std::fs::write(&file, vault.to_string()).expect("state is written");
    file
}

/// A byte of the last cosignature.
fn flip_signature(certificate: &mut [u8]) {
    *certificate.last_mut().expect("certificates are not empty") ^= 1;
}

/// A byte in the middle of the public key, which is the longest part before the proof.
fn flip_key(certificate: &mut [u8]) {
    certificate[1000] ^= 1;
}

/// What the message says is to be done with the damaged state file of an instance.
async fn enrol_again(lab: &LabFolder, file: &Path) {
    std::fs::remove_file(file).expect("state file was there");
    let instance = file
        .file_stem()
        .expect("state files are named for instances");
    let minted = mtc5g(["token".as_ref(), lab.path().as_os_str(), instance]).await;
    assert_eq!(minted.code(), Some(0), "{}", minted.stderr);
}

#[tokio::test]
async fn a_corrupted_certificate_is_noticed_by_its_owner_and_by_its_peer() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    let damages: [(Nf, &str, Damage, &str); 2] = [
        (Nf::Smf, "smf", flip_signature, "cosignatures verify"),
        (Nf::Amf, "amf", flip_key, "does not belong to this key"),
    ];
    for (nf, name, damage, why) in damages {
        lab.topology.kill(nf).await.unwrap();
        let file = damage_stored(&lab.folder.lab, name, damage);
        let parts = [
            name,
            file.to_str().unwrap(),
            "is damaged; remove it and enrol again with a new token",
            why,
        ];
        fails_with(&lab.folder.lab, name, &[], &parts).await;
        enrol_again(&lab.folder.lab, &file).await;
        lab.topology.restart(nf).await.unwrap();
    }

    let nf = TestNf::new(&lab.folder.lab, 100);
    let mut certificate = der(&nf.enrol(&nf.token()).await.unwrap());
    flip_signature(&mut certificate);
    nf.present(certificate);
    let opening = nf
        .instance
        .shake_hands(nf.nrf.addr().await.unwrap(), PROFILE, nf.nrf.expected());
    let mut stream = opening.await.unwrap().stream;
    // The request that a client sends along with its certificate must not cost it the alert.
    stream.write_all(b"PRI * HTTP/2.0").await.unwrap();
    assert_eq!(
        alert(&mut stream).await,
        AlertDescription::CertificateUnknown
    );
    drop(stream);
    let TestLab { topology, folder } = lab;
    topology.stop().await;
    let log = std::fs::read_to_string(folder.lab.log_file("nrf")).unwrap();
    let parts = [
        "refused the peer's certificate",
        "not authentic",
        "invalid: 32473.2",
    ];
    expect_parts(&log, &parts);
}

const YEAR: i64 = 365 * 86_400;

#[tokio::test]
async fn a_wrong_clock_is_told_with_both_times() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    for (nf, name, offset, parts) in [
        (
            Nf::Smf,
            "smf",
            YEAR,
            [
                "notAfter",
                "s before the time of this check",
                "or is a clock wrong?",
            ],
        ),
        (
            Nf::Amf,
            "amf",
            -YEAR,
            [
                "notBefore",
                "s after the time of this check",
                "is a clock wrong?",
            ],
        ),
    ] {
        lab.topology.kill(nf).await.unwrap();
        lab.folder.set(name, "clock_offset_seconds", offset);
        // It tries again for as long: the clock that is wrong may be the NRF's, and be set right.
        lab.folder.set(name, "startup_seconds", 1);
        let wrong = UnixTime(now().0.saturating_add_signed(offset)).to_string();
        let (year, _) = wrong.split_once('-').expect("times begin with the year");
        let clock = format!("the time of this check, {year}-");
        fails_with(
            &lab.folder.lab,
            name,
            &[],
            &[&parts[..], &[name, &clock]].concat(),
        )
        .await;
    }
    lab.topology.stop().await;
}

#[tokio::test]
async fn a_folder_of_trusted_sets_that_is_another_is_named_with_its_key() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    lab.topology.kill(Nf::Smf).await.unwrap();
    let typo = "50\ntrusted_sets = \"typo\"";
    lab.folder.set("smf", "trust_interval_ms", typo);
    lab.folder.set("smf", "startup_seconds", 1);
    let parts = ["trusted_sets", "typo", "mtc5g distribute"];
    fails_with(&lab.folder.lab, "smf", &[], &parts).await;
    lab.topology.stop().await;
}

#[tokio::test]
async fn a_log_is_created_only_when_told_and_never_over_another() {
    let folder = TestFolder::new(&small());
    let log = folder.path().join("log");
    let in_log = format!("the issuance log in {}", log.display());
    let never = "never do that to replace a log that was lost";
    let absent = [in_log.as_str(), "start with --create-log", never];
    fails_with(&folder.lab, "nrf", &[], &absent).await;

    let TestLab { topology, folder } = TestLab::start(folder).await;
    folder.set("nrf", "admin", "\"127.0.0.1:0\"");
    folder.set("nrf", "state", "\"state/other\"");
    let in_use = [
        in_log.as_str(),
        "in use by another writer",
        "stop the other NRF",
    ];
    fails_with(&folder.lab, "nrf", &[], &in_use).await;
    folder.set("nrf", "state", "\"state/nrf\"");
    topology.stop().await;
    let exists = [in_log.as_str(), "start without --create-log", "not empty"];
    fails_with(&folder.lab, "nrf", &["--create-log"], &exists).await;

    // Without certificates of its own the NRF could serve nothing else either.
    std::fs::remove_dir_all(folder.path().join("state/nrf/own")).unwrap();
    std::fs::remove_dir_all(&log).unwrap();
    fails_with(&folder.lab, "nrf", &[], &absent).await;
    // Permissions would not stop root, as whom tests may run.
    std::fs::write(&log, "not a folder").unwrap();
    for arguments in [&[][..], &["--create-log"]] {
        let unreadable = [
            in_log.as_str(),
            "must be a folder that this user may read and write",
        ];
        fails_with(&folder.lab, "nrf", arguments, &unreadable).await;
    }
}

// With a log and an id of its own a second NRF shared the registry of the first: each wrote what the other did not know of.
#[tokio::test]
async fn a_second_nrf_on_the_same_state_folder_is_refused() {
    let TestLab { topology, folder } = TestLab::start(TestFolder::new(&small())).await;
    let state = folder.path().join("state/nrf/lock");
    let locked = format!(
        "{} is locked: another NRF runs on this state folder",
        state.display()
    );
    let parts = [
        locked.as_str(),
        "stop it, or give this one a state folder of its own",
    ];
    folder.set("nrf", "admin", "\"127.0.0.1:0\"");
    for (key, value) in [
        ("listen", "127.0.0.1:0"),
        ("log", "log-of-another"),
        ("id", "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01"),
    ] {
        fails_with(&folder.lab, "nrf", &[], &parts).await;
        folder.set("nrf", key, format!("\"{value}\""));
    }
    fails_with(&folder.lab, "nrf", &["--create-log"], &parts).await;
    topology.stop().await;
}

/// What the admin port of a lab's NRF answers.
async fn admin(lab: &mut TestLab, path: &str) -> (u16, String) {
    let addr = lab.topology.admin(Nf::Nrf).expect("it has said where");
    get(addr, path).await
}

/// Asks a cleartext port.
async fn get(addr: std::net::SocketAddr, path: &str) -> (u16, String) {
    let connection = sbi::client::Connection::connect_cleartext(addr, PATIENCE);
    let connection = connection.await.expect("the port answers");
    let request = Request::new(Method::GET, addr.to_string(), path);
    let response = connection.send(request, PATIENCE).await;
    let response = response.expect("the port answers");
    let body = String::from_utf8_lossy(&response.body).into_owned();
    (response.status.as_u16(), body)
}

#[tokio::test]
async fn a_damaged_log_is_not_opened_and_takes_no_registry_with_it() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    lab.topology.kill(Nf::Nrf).await.unwrap();
    let tiles = lab.folder.path().join("log/log/tile/0/000.p");
    let widths = std::fs::read_dir(&tiles)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let newest = widths.max_by_key(|width| width.to_str().unwrap().parse::<u16>().unwrap());
    let newest = tiles.join(newest.unwrap());
    let mut hashes = std::fs::read(&newest).unwrap();
    hashes[0] ^= 1;
    std::fs::write(&newest, hashes).unwrap();
    let parts = [
        "it is damaged: restore the latest copy of the files",
        "one of these is damaged: log/tile/0/000.p/",
    ];
    let checkpoint = std::fs::read(lab.folder.path().join("log/log/checkpoint")).unwrap();
    let error = lab.topology.restart(Nf::Nrf).await.unwrap_err();
    expect_parts(&Causes(&error).to_string(), &parts);

    let (status, told) = admin(&mut lab, "/readyz").await;
    assert_eq!(status, 503);
    expect_parts(&told, &parts);
    let (_, metrics) = admin(&mut lab, "/metrics").await;
    expect_parts(&metrics, &["mtc_log_unopened 1\n"]);
    let log: std::net::SocketAddr = lab.folder.lab.nrf.log.address().parse().unwrap();
    let (status, told) = get(log, "/1/checkpoint").await;
    assert_eq!(status, 503);
    expect_parts(&told, &parts);
    let newcomer = TestNf::new(&lab.folder.lab, 100);
    let refused = newcomer.enrol(&newcomer.token()).await.unwrap_err();
    expect_parts(&Causes(&refused).to_string(), &["503", parts[1]]);
    // The SMF registers, the AMF finds it.
    lab.topology.kill(Nf::Smf).await.unwrap();
    lab.topology.restart(Nf::Smf).await.unwrap();
    lab.expect_service().await;

    lab.topology.kill(Nf::Nrf).await.unwrap();
    let untouched = std::fs::read(lab.folder.path().join("log/log/checkpoint")).unwrap();
    assert_eq!(untouched, checkpoint, "nothing was signed");
    let log = std::fs::read_to_string(lab.folder.lab.log_file("nrf")).unwrap();
    expect_parts(&log, &["the issuance log cannot be opened", parts[1]]);
    lab.topology.stop().await;
    // Without a certificate of its own it serves nothing.
    std::fs::remove_dir_all(lab.folder.path().join("state/nrf/own")).unwrap();
    fails_with(&lab.folder.lab, "nrf", &[], &parts).await;
}

const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/results/article");

#[tokio::test]
async fn the_folder_of_a_run_stands_for_its_results() {
    let by_file = mtc5g(["report", "table", &format!("{PUBLISHED}/results.json")]).await;
    let by_folder = mtc5g(["report", "table", PUBLISHED]).await;
    assert_eq!(by_folder.code(), Some(0), "{}", by_folder.stderr);
    assert_eq!(by_folder.stdout, by_file.stdout);
    let tex = mtc5g(["report", "table", PUBLISHED, "--format", "tex"]).await;
    assert!(tex.stdout.contains("\\begin{tabular}"), "{}", tex.stderr);
    let plotted = mtc5g(["plot", PUBLISHED, "--figure", "bytes"]).await;
    assert!(plotted.stdout.starts_with("<svg"), "{plotted:?}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let none = mtc5g(["report", "table", path]).await;
    assert_eq!(none.code(), Some(1));
    expect_parts(none.error(), &[path, "a folder without results.json"]);
    // That of a sweep has several runs: a report of all, and no figure of one.
    for cell in ["01", "02"] {
        let cell = folder.path().join("cells").join(cell);
        std::fs::create_dir_all(&cell).unwrap();
        std::fs::copy(
            format!("{PUBLISHED}/results.json"),
            cell.join("results.json"),
        )
        .unwrap();
    }
    let of_sweep = mtc5g(["plot", path, "--figure", "bytes"]).await;
    expect_parts(of_sweep.error(), &["name one of them", "cells/01"]);
    let cell = format!("{path}/cells/01");
    for (run, beside) in [
        (path, path),
        (&cell, &cell),
        (&format!("{cell}/results.json"), &cell),
    ] {
        let page = format!("{beside}/report.html");
        let drawn = mtc5g(["report", "html", run]).await;
        assert_eq!(drawn.code(), Some(0), "{}", drawn.stderr);
        assert_eq!(drawn.stdout, format!("wrote {page}\n"));
        let printed = mtc5g(["report", "html", run, "-o", "-"]).await;
        assert_eq!(printed.stdout, std::fs::read_to_string(&page).unwrap());
        std::fs::remove_file(page).unwrap();
    }
}

#[tokio::test]
async fn a_folder_where_a_file_is_wanted_is_told_which() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, lab) = (folder.path().join("empty"), folder.path().join("lab"));
    std::fs::create_dir(&empty).unwrap();
    let (empty, lab) = (empty.to_str().unwrap(), lab.to_str().unwrap());
    let made = mtc5g(["init", lab]).await;
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    let scenarios = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    for (named, wanted) in [
        (scenarios, "name a file in it, such as "),
        (scenarios, "scenarios/article.toml"),
        (PUBLISHED, "it is the folder of a run"),
        (PUBLISHED, "results.json >again.toml"),
        (lab, "it is the folder of a lab"),
        (lab, "the lab with --lab "),
        (empty, "no scenario (*.toml) in it"),
    ] {
        let ended = mtc5g(["run", named]).await;
        assert_eq!(ended.code(), Some(2), "{}", ended.stderr);
        expect_parts(ended.error(), &[named, wanted]);
    }
    // The trust file is taken from where it is: the certificate is what is missing then.
    let deployed = format!("{lab}-for-containers");
    let made = mtc5g(["init", "--deploy", &deployed]).await;
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    for trust in [lab, &deployed] {
        let ended = mtc5g(["cert", "verify", "--trust", trust, "none.pem"]).await;
        assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stdout.contains("none.pem"), "{}", ended.stdout);
    }
    let ended = mtc5g(["cert", "verify", "--trust", empty, "none.pem"]).await;
    assert_eq!(ended.code(), Some(2), "{}", ended.stderr);
    expect_parts(ended.error(), &["empty/trust.toml", "No such file"]);
}

#[tokio::test]
async fn a_figure_is_not_written_under_the_name_of_another_format() {
    let folder = tempfile::tempdir().unwrap();
    let pdf = folder.path().join("figure.pdf");
    let arguments = ["plot", PUBLISHED, "--figure", "bytes", "-o"];
    let refused = mtc5g([&arguments[..], &[pdf.to_str().unwrap()]].concat()).await;
    assert_eq!(refused.code(), Some(2));
    expect_parts(refused.error(), &["figure.pdf", "SVG", "rsvg-convert"]);
    assert!(!pdf.exists());
    let svg = folder.path().join("figure.SVG");
    let written = mtc5g([&arguments[..], &[svg.to_str().unwrap()]].concat()).await;
    assert_eq!(written.code(), Some(0), "{}", written.stderr);
    assert_eq!(written.stdout, format!("wrote {}\n", svg.display()));
}

#[tokio::test]
async fn what_was_probably_meant_is_said() {
    let misspelt = mtc5g(["run", "scenarios/quik.toml"]).await;
    expect_parts(misspelt.error(), &["did you mean \"quick\"?"]);
    let many = mtc5g(["lab", "up", "--amf", "1000"]).await;
    assert_eq!(many.code(), Some(2));
    expect_parts(
        many.error(),
        &["from 1 to 256", "load.stages.rate", "--load N"],
    );
    let named = mtc5g(["token", "lab", "amf1"]).await;
    assert_eq!(named.code(), Some(2));
    expect_parts(named.error(), &["amf1", "tokens/ID.jwt"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("latin1.toml");
    std::fs::write(&file, b"# one\n# caf\xe9\n").unwrap();
    let latin1 = mtc5g(["run".as_ref(), file.as_os_str()]).await;
    assert_eq!(latin1.code(), Some(2));
    expect_parts(
        latin1.error(),
        &["latin1.toml", "line 2, column 6", "UTF-8"],
    );
}

#[tokio::test]
async fn a_table_that_a_full_disk_cuts_is_a_failure() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = std::process::Command::new(binary())
        .args(["report", "table", PUBLISHED, "--json"])
        .stdout(full)
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn a_replica_without_a_token_says_so_once_and_is_not_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path().join("lab");
    let path = lab.to_str().unwrap();
    let one = ["--amf", "1", "--smf", "1", "--load", "1"];
    let made = mtc5g([&["init", "--deploy", path][..], &one].concat()).await;
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    let config = lab.join("amf/amf.toml");
    let state = folder.path().join("state");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("/var/lib/mtc5g", state.to_str().unwrap());
    std::fs::write(&config, text).unwrap();
    for token in lab.join("amf/tokens").read_dir().unwrap() {
        std::fs::remove_file(token.unwrap().path()).unwrap();
    }
    let config = config.to_str().unwrap();
    let mut surplus = Started::new(["amf", "--config", config, "--log-format", "json"]);
    surplus.says("no enrolment token is left in").await;
    surplus.signal(Signal::TERM);
    let ended = surplus.end().await;
    assert_eq!(ended.code(), Some(1));
    // As the error, and as the event that ends a process.
    assert_eq!(ended.stderr.lines().count(), 2, "{}", ended.stderr);
    for line in ended.stderr.lines() {
        let object: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(object.is_ok_and(|line| line.is_object()), "{line}");
    }
}
