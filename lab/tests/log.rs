//! `mtc5g log` as people use it: sound logs and damaged ones, from a folder and over HTTP, proofs, and a log that lies.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use mtc_core::ca::CaCertificate;
use mtc_core::entry::MtcLogEntry;
use mtc_core::id::{LogNumber, TreeSize};
use mtc_core::note::SignedNote;
use mtc_core::tree::Subtree;
use mtc_log::Storage;
use mtc_tls::pem;
use nf_nrf::log_api::LogApi;
use rustix::process::Signal;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Request, serve_cleartext};
use serde_json::Value;
use tokio::net::TcpListener;

use test_support::command::{Ended, Started, binary, mtc5g};
use test_support::issued_log::{IssuedLog, id, now};

/// Makes two tiles and two bundles, one of each full, and a tile on level 1.
const ENTRIES: usize = 300;

/// A log of [`ENTRIES`] entries and a landmark.
fn long_log() -> IssuedLog {
    let mut log = IssuedLog::create();
    let labels: Vec<String> = (0..ENTRIES).map(|number| format!("amf{number}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    log.log(&labels[..200]);
    log.landmark();
    log.log(&labels[200..]);
    log
}

/// What serves a log, which may be exchanged for another one.
struct Server {
    addr: SocketAddr,
    served: Arc<Mutex<Arc<dyn Storage>>>,
}

struct Exchangeable(Arc<Mutex<Arc<dyn Storage>>>);

impl Handler for Exchangeable {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let storage = self.0.lock().expect("no panic while it is held").clone();
        let api = LogApi {
            current: LogNumber::FIRST,
            storage,
            retired: BTreeMap::new(),
        };
        api.handle(request).await
    }
}

impl Server {
    async fn start(log: &IssuedLog) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let served = Arc::new(Mutex::new(log.issuance.storage()));
        let handler = Arc::new(Exchangeable(served.clone()));
        tokio::spawn(async move {
            while let Ok((stream, remote)) = listener.accept().await {
                let handler = handler.clone();
                tokio::spawn(serve_cleartext(
                    stream,
                    remote,
                    handler,
                    std::future::pending(),
                ));
            }
        });
        Self { addr, served }
    }

    fn url(&self) -> String {
        format!("http://{}/1/", self.addr)
    }

    fn exchange(&self, log: &IssuedLog) {
        *self.served.lock().expect("no panic while it is held") = log.issuance.storage();
    }
}

/// Runs `mtc5g log` with a subcommand.
async fn log(arguments: &[&str]) -> Ended {
    mtc5g(["log"].iter().chain(arguments)).await
}

fn path(log: &IssuedLog, name: &str) -> String {
    log.path(name).display().to_string()
}

/// The verdict on a log in a folder, and its findings.
async fn findings(log: &IssuedLog) -> Vec<String> {
    let folder = log.path("log").display().to_string();
    let trust = path(log, "trust.toml");
    let ended = self::log(&["verify", &folder, "--trust", &trust, "--json"]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout).expect("a report");
    assert_eq!(report["sound"], false);
    let findings = report["findings"].as_array().expect("a list");
    findings
        .iter()
        .map(|finding| finding.as_str().expect("text").to_owned())
        .collect()
}

const AS_SIGNED: &str = "nevertheless the entries hash to the checkpoint's root: they are as signed, and only what is named above is damaged";
const NOT_AS_SIGNED: &str = "the entries do not hash to the checkpoint's root: entries or checkpoint are not what was signed";

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_log_is_sound_wherever_it_is_read() {
    let log = long_log();
    let server = Server::start(&log).await;
    let trust = path(&log, "trust.toml");
    for place in [
        path(&log, "log/log"),
        path(&log, "log"),
        log.folder().display().to_string(),
        server.url(),
        format!("http://{}/1", server.addr),
        format!("http://{}/1/checkpoint", server.addr),
    ] {
        let ended = self::log(&["verify", &place, "--trust", &trust]).await;
        assert_eq!(ended.code(), Some(0), "{place}: {ended:?}");
        for part in [
            "log         oid/1.3.6.1.4.1.32473.1.0.1\n",
            "checkpoint  300 entries, root ",
            "signatures  32473.1 verified, of 20",
            "; 32473.2 verified, of 20",
            "entries     300 certificates, 0 null\n",
            "landmarks   latest 1, 1 active\n",
            "verdict     sound\n",
        ] {
            assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
        }
        assert!(
            ended.stderr.contains("300 of 300 entries"),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn without_trust_it_is_said_that_signatures_were_not_checked() {
    let mut log = IssuedLog::create();
    log.log_null();
    let ended = self::log(&["verify", &path(&log, "log")]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for part in [
        "signatures  NOT CHECKED (32473.1, 32473.2)",
        "entries     0 certificates, 1 null\n",
        "verdict     consistent in itself; signatures were not checked\n",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

#[tokio::test]
async fn a_flipped_byte_in_an_entry_is_found_and_named() {
    let log = long_log();
    // The first bundle's last byte belongs to entry 255.
    let last = std::fs::metadata(log.served("tile/entries/000"))
        .unwrap()
        .len() as usize
        - 1;
    log.flip("tile/entries/000", last);
    let found = findings(&log).await;
    assert_eq!(
        found.last().map(String::as_str),
        Some(NOT_AS_SIGNED),
        "{found:?}"
    );
    assert!(
        found.contains(
            &"entry 255 in tile/entries/000 does not hash to what tile/0/000 says".to_owned()
        ),
        "{found:?}"
    );
    assert!(
        found.iter().all(|finding| !finding.contains("tile/1")),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_damaged_hash_tile_is_found_at_every_level() {
    let log = long_log();
    log.flip("tile/0/000", 32 * 5);
    assert_eq!(
        findings(&log).await,
        [
            "entry 5 in tile/entries/000 does not hash to what tile/0/000 says",
            AS_SIGNED
        ]
    );
    let log = long_log();
    log.flip("tile/0/001.p/44", 0);
    assert_eq!(
        findings(&log).await,
        [
            "entry 256 in tile/entries/001.p/44 does not hash to what tile/0/001.p/44 says",
            AS_SIGNED
        ]
    );
    let log = long_log();
    log.flip("tile/1/000.p/1", 31);
    assert_eq!(
        findings(&log).await,
        [
            "hash 0 in tile/1/000.p/1 is not that of tile 0 on level 0",
            AS_SIGNED
        ]
    );
}

#[tokio::test]
async fn missing_and_short_objects_are_found() {
    let log = long_log();
    std::fs::remove_file(log.served("tile/1/000.p/1")).unwrap();
    std::fs::write(log.served("tile/0/000"), [0; 31]).unwrap();
    assert_eq!(
        findings(&log).await,
        [
            "tile/0/000 is malformed: 31 bytes instead of 8192",
            "tile/1/000.p/1 is missing",
            AS_SIGNED
        ]
    );
    let log = long_log();
    std::fs::remove_file(log.served("tile/entries/001.p/44")).unwrap();
    assert_eq!(
        findings(&log).await,
        [
            "tile/entries/001.p/44 is missing: entries 256 to 299 cannot be checked",
            "with stored hashes in place of what is missing, the hashes lead to the checkpoint's root"
        ]
    );
}

#[tokio::test]
async fn entries_that_are_none_and_landmarks_beyond_the_tree_are_found() {
    let mut log = IssuedLog::create();
    log.log_raw(&[vec![0, 0, 0, 9], b"nonsense".to_vec()]);
    std::fs::write(log.served("landmarks"), "1\n9 99999999999\n0 0\n").unwrap();
    let found = findings(&log).await;
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(
        found[0],
        "landmark 1 is at tree size 9, beyond the checkpoint's 2"
    );
    assert_eq!(found[1], "entry 0 is none: unknown entry type 9");
    assert!(found[2].starts_with("entry 1 is none: "), "{found:?}");
    assert_eq!(found[3], AS_SIGNED);

    std::fs::write(log.served("landmarks"), "1\n2 x\n").unwrap();
    let found = findings(&log).await;
    assert_eq!(
        found[0],
        "the landmarks document: line 2 of the landmarks document is malformed"
    );
}

#[tokio::test]
async fn a_log_that_has_grown_since_its_checkpoint_and_dropped_partial_tiles_is_sound() {
    let mut log = IssuedLog::create();
    let labels: Vec<String> = (0..ENTRIES).map(|number| format!("amf{number}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    log.log(&labels[..200]);
    let old = std::fs::read(log.served("checkpoint")).unwrap();
    log.log(&labels[200..]);
    std::fs::write(log.served("checkpoint"), old).unwrap();
    for partial in ["tile/0/000.p/200", "tile/entries/000.p/200"] {
        std::fs::remove_file(log.served(partial)).unwrap();
    }
    let (folder, trust) = (path(&log, "log"), path(&log, "trust.toml"));
    let ended = self::log(&["verify", &folder, "--trust", &trust]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("checkpoint  200 entries"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn a_checkpoint_that_claims_entries_which_are_not_there_ends_the_audit() {
    let mut log = IssuedLog::create();
    log.log_null();
    let root = "A".repeat(43);
    let folder = path(&log, "log");
    for (size, last) in [
        ((1_u64 << 48) - 1, "the audit stopped after entry "),
        (
            1 << 48,
            "the checkpoint says 281474976710656 entries, more than",
        ),
    ] {
        let note = format!("oid/1.3.6.1.4.1.32473.1.0.1\n{size}\n{root}=\n\n\u{2014} x AAAAAAA=\n");
        std::fs::write(log.served("checkpoint"), note).unwrap();
        let ended = self::log(&["verify", &folder, "--json"]).await;
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        let found = report["findings"].as_array().unwrap();
        assert!(found.len() <= 101, "{}", found.len());
        let end = found.last().and_then(Value::as_str).unwrap();
        assert!(end.starts_with(last), "{end}");
    }
}

#[tokio::test]
async fn an_entry_that_outlives_its_landmark_is_found() {
    let mut log = IssuedLog::create();
    log.log(&["amf0"]);
    let soon = now().0 + 60;
    std::fs::write(log.served("landmarks"), format!("1\n1 {soon}\n0 0\n")).unwrap();
    let found = findings(&log).await;
    assert!(
        found[0].starts_with("entry 0 is valid until ")
            && found[0].contains("after the expiry")
            && found[0].ends_with("of its landmark 1"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_checkpoint_that_the_trusted_did_not_sign_is_refused() {
    let log = long_log();
    let folder = path(&log, "log");
    let verify = async |trust: &[&str]| {
        let ended = self::log(&[&["verify", &folder], trust].concat()).await;
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        assert_eq!(ended.stdout, "");
        ended.error().trim_end().to_owned()
    };
    let other = IssuedLog::create();
    let other_trust = path(&other, "trust.toml");
    assert_eq!(
        verify(&["--trust", &other_trust]).await,
        "error: the checkpoint: no signature of 32473.1"
    );
    let (ca, witness) = (path(&log, "ca.pem"), path(&log, "witness.pub"));
    let cosigner = format!("32473.9={witness}");
    assert_eq!(
        verify(&["--ca", &ca, "--cosigner", &cosigner]).await,
        "error: the checkpoint's cosignatures: 0 of the 1 required cosignatures verify; missing: 32473.9"
    );
    let renamed = renamed_ca(&log);
    assert_eq!(
        verify(&["--ca", &renamed]).await,
        "error: the log belongs to CA 32473.1, but the trusted CA is 32473.7"
    );
    // A character inside the base64 of the CA's signature, far from its key ID.
    let note = std::fs::read_to_string(log.served("checkpoint")).unwrap();
    let at = note.find('\u{2014}').unwrap() + 400;
    let changed = if &note[at..=at] == "A" { "B" } else { "A" };
    let damaged = format!("{}{changed}{}", &note[..at], &note[at + 1..]);
    std::fs::write(log.served("checkpoint"), damaged).unwrap();
    assert_eq!(
        verify(&["--ca", &ca]).await,
        "error: the checkpoint: the signature of 32473.1 does not verify"
    );
}

/// A CA certificate with the log's key and another ID.
fn renamed_ca(log: &IssuedLog) -> String {
    let der = std::fs::read(log.path("ca.der")).expect("written");
    let mut ca = CaCertificate::parse(&der).expect("its own encoding");
    ca.cosigner.id = id("32473.7");
    let now = now();
    let path = log.write("renamed-ca.der", &ca.to_der(now, now));
    path.display().to_string()
}

#[tokio::test]
async fn places_that_are_no_log_are_told_apart() {
    let log = IssuedLog::create();
    let empty = tempfile::tempdir().unwrap();
    let empty = empty.path().display().to_string();
    for (place, code, part) in [
        (
            "/nowhere",
            2,
            "neither a folder nor an http:// or https:// URL",
        ),
        (&*empty, 2, "there is no checkpoint in"),
        ("https://127.0.0.1:1/1/", 1, "cannot connect to 127.0.0.1:1"),
        ("http://a b/1/", 2, "is not the URL of a log"),
        ("http://127.0.0.1:1/1/", 1, "cannot connect to 127.0.0.1:1"),
    ] {
        let ended = self::log(&["verify", place]).await;
        assert_eq!(ended.code(), Some(code), "{place}: {ended:?}");
        assert!(ended.error().contains(part), "{place}: {}", ended.stderr);
    }
    let server = Server::start(&log).await;
    let wrong = format!("http://{}/2/", server.addr);
    let ended = self::log(&["verify", &wrong]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended.error().contains("is this the prefix of one log"),
        "{}",
        ended.stderr
    );
    let ended = self::log(&["verify", &server.url(), "--write-subtrees", "x"]).await;
    assert_eq!(ended.code(), Some(2), "{ended:?}");
}

#[tokio::test]
async fn landmark_certificates_verify_with_the_subtrees_that_were_written() {
    let mut log = IssuedLog::create();
    log.log(&["amf0", "amf1", "amf2"]);
    log.landmark();
    log.log(&["amf3"]);
    let server = Server::start(&log).await;
    let (trust, subtrees) = (path(&log, "trust.toml"), path(&log, "subtrees.txt"));
    log.write(
        "amf1.pem",
        pem::encode(pem::CERTIFICATE, &log.standalone("amf1", 1, true)).as_bytes(),
    );
    let (standalone, landmark) = (path(&log, "amf1.pem"), path(&log, "amf1-landmark.pem"));

    let arguments = [
        "verify",
        &server.url(),
        "--trust",
        &trust,
        "--write-subtrees",
        &subtrees,
    ];
    let ended = self::log(&arguments).await;
    assert!(
        ended.stdout.contains("subtrees    2 written\n"),
        "{ended:?}"
    );
    let arguments = [
        "prove",
        &server.url(),
        "--certificate",
        &standalone,
        "--landmark-certificate",
        &landmark,
        "--trust",
        &trust,
    ];
    let ended = self::log(&arguments).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for part in [
        "entry 1          C=XX, O=5gc.mnc001.mcc001.3gppnetwork.org, DNS:amf1.",
        "amf1.pem states this entry\n",
        "landmark         1; the landmark-relative certificate is written\n",
        "verdict          proven\n",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let verified = mtc5g([
        "cert",
        "verify",
        "--trust",
        &trust,
        "--subtrees",
        &subtrees,
        &landmark,
    ])
    .await;
    assert_eq!(
        verified.stdout,
        format!("{landmark}: ok (trusted subtree [0, 2) of log 1, entry 1)\n")
    );
}

#[tokio::test]
async fn proofs_are_made_in_any_tree_or_subtree_that_holds_the_entry() {
    let log = long_log();
    let folder = path(&log, "log");
    let prove = async |arguments: &[&str]| {
        let ended = self::log(&[&["prove", &folder, "--json"], arguments].concat()).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).expect("a report")
    };
    let lengths = |report: &Value| {
        ["inclusion_proof", "consistency_proof"]
            .map(|name| report[name].as_array().expect("a list").len())
    };
    let whole = prove(&["7"]).await;
    assert_eq!(whole["end"], 300);
    assert_eq!(whole["subtree_hash"], whole["root"]);
    assert_eq!(lengths(&whole), [9, 0]);
    let small = prove(&["7", "--size", "200"]).await;
    assert_eq!(
        small["subtree_hash"].as_str().unwrap(),
        mtc_core::hex::encode(&log.subtree_hash(Subtree::whole(TreeSize(200))))
    );
    assert_eq!(lengths(&small)[0], 8);
    let subtree = prove(&["7", "--subtree", "4:8"]).await;
    assert_eq!(lengths(&subtree), [2, 7]);
    assert_eq!(subtree["signatures_checked"], false);

    for (arguments, code, part) in [
        (
            &["300"][..],
            1,
            "entry 300 is beyond the log of 300 entries",
        ),
        (&["7", "--subtree", "8:16"], 1, "entry 7 is not in [8, 16)"),
        (&["7", "--size", "301"], 1, "beyond the log of 300 entries"),
        (&["7", "--subtree", "1:8"], 2, "must be a multiple"),
        (
            &["7", "--size", "8", "--subtree", "0:8"],
            2,
            "cannot be used with",
        ),
        (&[], 2, "INDEX"),
    ] {
        let ended = self::log(&[&["prove", &folder], arguments].concat()).await;
        assert_eq!(ended.code(), Some(code), "{arguments:?}: {ended:?}");
        assert!(
            ended.error().contains(part),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn a_certificate_of_another_entry_or_log_is_not_proven() {
    let mut log = IssuedLog::create();
    log.log(&["amf0", "amf1"]);
    let mut other = IssuedLog::twin_of(&log);
    other.log(&["amf0", "smf1"]);
    // The twin's entry 1 is another one, cosigned by the same keys.
    log.write("twin.der", &other.standalone("smf1", 1, true));
    let (folder, twin) = (path(&log, "log"), path(&log, "twin.der"));
    let ended = self::log(&["prove", &folder, "--certificate", &twin]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended
            .error()
            .contains("the certificate does not match entry 1 of the log"),
        "{}",
        ended.stderr
    );
    let ca = path(&log, "ca.pem");
    let ended = self::log(&["prove", &folder, "--certificate", &ca]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.error().contains("not a Merkle Tree Certificate"));
    // No landmark yet.
    log.write("amf0.der", &log.standalone("amf0", 0, true));
    let (amf0, out) = (path(&log, "amf0.der"), path(&log, "out.pem"));
    let ended = self::log(&[
        "prove",
        &folder,
        "--certificate",
        &amf0,
        "--landmark-certificate",
        &out,
    ])
    .await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.error().contains("no active landmark covers entry 0"));
}

#[tokio::test]
async fn a_proof_from_damaged_tiles_is_refused() {
    let log = long_log();
    log.flip("tile/0/001.p/44", 3);
    let ended = self::log(&["prove", &path(&log, "log"), "7"]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended
            .error()
            .contains("do not hash to its checkpoint's root"),
        "{}",
        ended.stderr
    );
}

/// Starts a monitor of a server's log that looks often.
fn monitor(server: &Server, arguments: &[&str]) -> Started {
    let url = server.url();
    let fixed = ["log", "monitor", &url, "--interval", "20ms"];
    Started::new(fixed.iter().chain(arguments))
}

#[tokio::test]
async fn a_monitor_prints_new_entries_until_it_is_told_to_end() {
    let mut log = IssuedLog::create();
    log.log(&["amf0", "amf1"]);
    let server = Server::start(&log).await;
    let trust = path(&log, "trust.toml");
    let mut monitor = monitor(&server, &["--trust", &trust]);
    monitor.prints("checkpoint: 2 entries").await;
    log.log(&["smf2"]);
    log.log_null();
    monitor.prints("entry 3: null entry").await;
    monitor.signal(Signal::INT);
    let ended = monitor.end().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let entries: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with("entry "))
        .collect();
    assert_eq!(entries.len(), 2, "{}", ended.stdout);
    assert!(
        entries[0].starts_with(
            "entry 2: C=XX, O=5gc.mnc001.mcc001.3gppnetwork.org, DNS:smf2.5gc.mnc001.mcc001.3gppnetwork.org, URI:urn:uuid:"
        ) && entries[0].contains(", ecdsa-p256, 20"),
        "{}",
        entries[0]
    );
}

#[tokio::test]
async fn a_monitor_ends_when_the_log_shows_another_history() {
    let mut log = IssuedLog::create();
    log.log(&["amf0", "amf1"]);
    let mut twin = IssuedLog::twin_of(&log);
    twin.log(&["amf0", "evil1", "amf2"]);
    let server = Server::start(&log).await;
    let trust = path(&log, "trust.toml");
    let mut monitor = monitor(&server, &["--trust", &trust]);
    monitor.prints("checkpoint: 2 entries").await;
    server.exchange(&twin);
    let ended = monitor.end().await;
    assert_eq!(ended.code(), Some(5), "{ended:?}");
    let evidence = format!(
        "FORK: the log's tree of 3 entries does not begin with the one of 2 that it showed before\n\
         --- the checkpoint before\n{}--- the checkpoint now\n{}",
        std::fs::read_to_string(log.served("checkpoint")).unwrap(),
        std::fs::read_to_string(twin.served("checkpoint")).unwrap(),
    );
    assert!(ended.stdout.ends_with(&evidence), "{}", ended.stdout);
}

#[tokio::test]
async fn a_monitor_remembers_what_it_saw_before_it_was_started_again() {
    let mut log = IssuedLog::create();
    log.log(&["amf0", "amf1"]);
    let (folder, state) = (path(&log, "log"), path(&log, "state"));
    let look = async |folder: &str, code| {
        let ended = self::log(&["monitor", folder, "--state", &state, "--once"]).await;
        assert_eq!(ended.code(), Some(code), "{ended:?}");
        ended.stdout
    };
    let first = look(&folder, 0).await;
    assert!(
        first.starts_with("following oid/1.3.6.1.4.1.32473.1.0.1; signatures: NOT CHECKED"),
        "{first}"
    );
    assert_eq!(
        std::fs::read(&state).unwrap(),
        std::fs::read(log.served("checkpoint")).unwrap()
    );
    assert_eq!(look(&folder, 0).await, "", "nothing new");
    let mut smaller = IssuedLog::twin_of(&log);
    smaller.log(&["amf0"]);
    assert_eq!(look(&path(&smaller, "log"), 1).await, "");
    let mut equal = IssuedLog::twin_of(&log);
    equal.log(&["amf0", "evil1"]);
    let two = look(&path(&equal, "log"), 5).await;
    assert!(
        two.starts_with("FORK: the log shows two trees of 2 entries\n"),
        "{two}"
    );
    // The state still holds what was believed, and the honest log goes on from there.
    log.log(&["amf2"]);
    let grown = look(&folder, 0).await;
    assert!(
        grown.contains("checkpoint: 3 entries") && grown.contains("entry 2: "),
        "{grown}"
    );
}

// A cache that was behind was called a fork of the log.
#[tokio::test]
async fn a_stale_log_is_no_fork_and_another_beginning_is() {
    let mut log = IssuedLog::create();
    log.log(&["amf0"]);
    let old = std::fs::read(log.served("checkpoint")).unwrap();
    log.log(&["amf1"]);
    let new = std::fs::read(log.served("checkpoint")).unwrap();
    let (folder, state) = (path(&log, "log"), path(&log, "state"));
    let look = async || self::log(&["monitor", &folder, "--state", &state, "--once"]).await;
    assert_eq!(look().await.code(), Some(0));

    std::fs::write(log.served("checkpoint"), old).unwrap();
    let stale = look().await;
    assert_eq!(stale.code(), Some(1), "{stale:?}");
    assert_eq!(stale.stdout, "");
    assert!(
        stale
            .stderr
            .starts_with("warning: the log here is stale: it has 1 entries, the first of the 2 "),
        "{}",
        stale.stderr
    );
    // What was seen stays remembered.
    assert_eq!(std::fs::read(&state).unwrap(), new);

    let mut twin = IssuedLog::twin_of(&log);
    twin.log(&["evil0"]);
    let other = std::fs::read(twin.served("checkpoint")).unwrap();
    std::fs::write(log.served("checkpoint"), other).unwrap();
    let fork = look().await;
    assert_eq!(fork.code(), Some(5), "{fork:?}");
    assert!(
        fork.stdout.starts_with(
            "FORK: the log's tree of 2 entries, which it showed before, does not begin with the one of 1 that it shows now\n"
        ),
        "{}",
        fork.stdout
    );

    // A copy that has not even the tiles proves nothing.
    std::fs::remove_dir_all(log.served("tile")).unwrap();
    let behind = look().await;
    assert_eq!(behind.code(), Some(1), "{behind:?}");
    assert!(
        behind
            .stderr
            .starts_with("warning: the log here has 1 entries, fewer than the 2 "),
        "{}",
        behind.stderr
    );
}

/// More lines than a pipe and its reader hold: 64 KiB and a few.
const MANY: usize = 10_000;

fn log_of_many() -> IssuedLog {
    let mut log = IssuedLog::create();
    let null = MtcLogEntry::NULL.encode().expect("short");
    log.log_raw(&vec![null; MANY]);
    log
}

// Both signals were without effect while whoever reads the output did not.
#[tokio::test]
async fn a_signal_ends_a_monitor_whose_reader_is_stalled() {
    let log = log_of_many();
    let folder = path(&log, "log");
    for signal in [Signal::INT, Signal::TERM] {
        let mut monitor = Started::new(["log", "monitor", &folder, "--from", "0"]);
        monitor.prints("entry 0: null entry").await;
        monitor.signal(signal);
        assert_eq!(monitor.exits().await.code(), Some(0), "{signal:?}");
        // It ended without writing all that was left.
        let lines = monitor.end().await.stdout.lines().count();
        assert!(lines < MANY, "{lines}");
    }
}

// A full disk was taken for a reader who has read enough.
#[tokio::test]
async fn a_monitor_that_cannot_write_says_so() {
    let mut log = IssuedLog::create();
    log.log(&["amf0"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let output = std::process::Command::new(binary())
        .args(["log", "monitor", &path(&log, "log"), "--once"])
        .stdout(full.expect("Linux has it"))
        .output()
        .expect("the built command starts");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("error: cannot write the findings: No space left on device"),
        "{said}"
    );
}

// A good file was replaced by one without subtrees when the landmarks could not be read a second time.
#[tokio::test]
async fn a_file_of_subtrees_is_not_replaced_by_nothing() {
    let mut log = IssuedLog::create();
    log.log(&["amf0", "amf1"]);
    let (folder, trust) = (path(&log, "log"), path(&log, "trust.toml"));
    let good = log.write("subtrees.txt", b"good").display().to_string();
    let arguments = [
        "verify",
        &folder,
        "--trust",
        &trust,
        "--write-subtrees",
        &good,
    ];
    let ended = self::log(&arguments).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended.error().contains("has no active landmark: "),
        "{}",
        ended.stderr
    );
    assert_eq!(std::fs::read(&good).unwrap(), b"good");
    log.landmark();
    let ended = self::log(&arguments).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_ne!(std::fs::read(&good).unwrap(), b"good");
}

// Every object could have the length of the longest bundle, and sixteen of each kind were held at a time.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_longer_than_its_kind_can_be_is_not_read() {
    let log = long_log();
    let grow = |object: &str, length: u64| {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(log.served(object));
        file.and_then(|file| file.set_len(length))
            .expect("writable");
    };
    grow("tile/0/000", 8193);
    grow("tile/1/000.p/1", 33);
    grow("tile/entries/001.p/44", 44 * (2 + 65_535) + 1);
    let expected = [
        "tile/0/000 is malformed: more than 8192 bytes",
        "tile/entries/001.p/44 is longer than a bundle can be: entries 256 to 299 cannot be checked",
        "tile/1/000.p/1 is malformed: more than 32 bytes",
        "with stored hashes in place of what is missing, the hashes lead to the checkpoint's root",
    ];
    assert_eq!(findings(&log).await, expected);
    let server = Server::start(&log).await;
    let ended = self::log(&["verify", &server.url(), "--json"]).await;
    let report: Value = serde_json::from_str(&ended.stdout).expect("a report");
    assert_eq!(report["findings"], serde_json::json!(expected));

    grow("landmarks", 21 + 4097 * 42 + 1);
    let ended = self::log(&["verify", &path(&log, "log")]).await;
    assert!(
        ended
            .error()
            .contains("landmarks is longer than 172095 bytes"),
        "{}",
        ended.stderr
    );
    grow("checkpoint", 512 * 1024 + 1);
    let ended = self::log(&["verify", &path(&log, "log")]).await;
    assert!(
        ended
            .error()
            .contains("checkpoint is longer than 524288 bytes"),
        "{}",
        ended.stderr
    );
}

// A line under a known name was shown as verified, whichever key it is of.
#[tokio::test]
async fn a_signature_line_of_another_key_is_not_shown_as_verified() {
    let mut log = IssuedLog::create();
    log.log(&["amf0"]);
    let note = std::fs::read(log.served("checkpoint")).unwrap();
    let mut note = SignedNote::parse(&note).unwrap();
    let mut foreign = note.signatures[1].clone();
    foreign.key_id[0] ^= 1;
    note.signatures.push(foreign);
    std::fs::write(log.served("checkpoint"), note.encode()).unwrap();
    let trust = path(&log, "trust.toml");
    let ended = self::log(&["verify", &path(&log, "log"), "--trust", &trust, "--json"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let states: Vec<_> = report["signatures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["verified", "verified", "unknown"]);
}

#[tokio::test]
async fn a_state_that_is_none_or_of_another_log_is_refused() {
    let mut log = IssuedLog::create();
    log.log(&["amf0"]);
    let folder = path(&log, "log");
    let state = log.write("state", b"hello").display().to_string();
    let ended = self::log(&["monitor", &folder, "--state", &state, "--once"]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended.error().contains("remove it to start over"),
        "{}",
        ended.stderr
    );
    let note = std::fs::read_to_string(log.served("checkpoint")).unwrap();
    std::fs::write(&state, note.replacen("32473.1.0.1", "32473.1.0.2", 1)).unwrap();
    let ended = self::log(&["monitor", &folder, "--state", &state, "--once"]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended
            .error()
            .contains("but the one followed so far was oid/"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_monitor_survives_a_log_that_is_away() {
    let mut log = IssuedLog::create();
    log.log(&["amf0"]);
    let place = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/1/", place.local_addr().unwrap());
    drop(place);
    let ended = self::log(&["monitor", &url, "--once"]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let mut monitor = Started::new(["log", "monitor", &url, "--interval", "20ms"]);
    monitor.says("cannot connect to").await;
    monitor.says("cannot connect to").await;
    monitor.signal(Signal::INT);
    let ended = monitor.end().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

#[tokio::test]
async fn a_monitor_does_not_believe_a_checkpoint_that_the_trusted_did_not_sign() {
    let mut log = IssuedLog::create();
    log.log(&["amf0"]);
    let other = IssuedLog::create();
    let (folder, trust, state) = (
        path(&log, "log"),
        path(&other, "trust.toml"),
        path(&log, "state"),
    );
    let arguments = [
        "monitor", &folder, "--trust", &trust, "--state", &state, "--once",
    ];
    let ended = self::log(&arguments).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert!(
        ended.error().contains("no signature of 32473.1"),
        "{}",
        ended.stderr
    );
    assert!(!log.path("state").exists());
}

#[tokio::test]
async fn a_monitor_can_tell_old_entries_too_and_in_json() {
    let mut log = IssuedLog::create();
    log.log(&["amf0", "amf1"]);
    let folder = path(&log, "log");
    let ended = self::log(&["monitor", &folder, "--from", "1", "--once", "--json"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let lines: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON document per line"))
        .collect();
    assert_eq!(lines.len(), 2, "{}", ended.stdout);
    assert_eq!(lines[0]["event"], "checkpoint");
    assert_eq!(lines[0]["size"], 2);
    assert_eq!(
        (&lines[1]["event"], &lines[1]["index"], &lines[1]["kind"]),
        (&"entry".into(), &1.into(), &"certificate".into())
    );
}

/// Copies a folder: what a test's log is in stays locked by it.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a new folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[tokio::test]
async fn damaged_tiles_are_repaired_and_lost_entries_named() {
    let log = long_log();
    let trust = path(&log, "trust.toml");
    let folder = log.path("copy");
    copy(&log.path("log"), &folder);
    let place = folder.display().to_string();
    let repair = async || self::log(&["repair", &place, "--trust", &trust]).await;
    let flip = |name: &str| {
        let file = folder.join(name);
        let mut bytes = std::fs::read(&file).expect("a file of the log");
        bytes[9] ^= 1;
        std::fs::write(file, bytes).expect("written");
    };
    let nothing = repair().await;
    assert_eq!(
        (nothing.code(), &*nothing.stdout),
        (Some(0), "verdict     nothing was damaged\n"),
        "{nothing:?}"
    );

    flip("log/tile/0/000");
    std::fs::remove_file(folder.join("log/tile/1/000.p/1")).expect("a tile");
    std::fs::write(folder.join("log/checkpoint"), "no checkpoint").expect("written");
    let ended = repair().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for part in [
        "restored    log/tile/0/000\n",
        "restored    log/tile/1/000.p/1\n",
        "restored    log/checkpoint\n",
        "verdict     whole again\n",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let verified = self::log(&["verify", &place]).await;
    assert_eq!(verified.code(), Some(0), "{verified:?}");

    flip("log/tile/entries/000");
    let ended = repair().await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended.stdout.contains("LOST        log/tile/entries/000")
            && ended.stdout.contains("STILL DAMAGED"),
        "{}",
        ended.stdout
    );

    // Not while somebody writes, and not where there is no log.
    let locked = self::log(&["repair", &path(&log, "log"), "--trust", &trust]).await;
    assert_eq!(locked.code(), Some(1), "{locked:?}");
    assert!(locked.stderr.contains("stop the NRF"), "{}", locked.stderr);
    let none = self::log(&["repair", &log.folder().display().to_string()]).await;
    assert!(
        none.code() == Some(1) && none.stderr.contains("there is no log"),
        "{none:?}"
    );
}
