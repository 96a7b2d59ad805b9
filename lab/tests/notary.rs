//! `mtc5g notarise` and `mtc5g verify-artefact` as people use them: a notary alone and one with a witness, and everything that a proof
//! must not be taken for.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_core::id::{LogId, LogNumber};
use mtc_log::{CosigningKey, DirectoryStorage, WitnessStore, WitnessedLog};
use mtc_tls::clock::Clock;
use nf_scp::metrics::WitnessMetrics;
use nf_scp::witness_api::WitnessApi;
use sbi::server::serve_cleartext;
use sbi::trust_file::{CosignerEntry, GroupEntry, TrustDocument, TrustFile};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

use test_support::command::{Ended, binary, mtc5g};

const ID: &str = "32473.100";

/// A folder with a notary and what is notarised.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().expect("a temporary folder"));
        scene.write("results.json", b"{\"handshakes\": 7}\n");
        scene
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, contents: &[u8]) {
        fs::write(self.0.path().join(name), contents).expect("a file");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).expect("a text file")
    }

    /// Arguments that begin with `%` are names in the folder.
    async fn run(&self, arguments: &[&str]) -> Ended {
        let arguments = arguments.iter().map(|argument| {
            let name = argument.strip_prefix('%');
            name.map_or_else(|| (*argument).to_owned(), |name| self.path(name))
        });
        mtc5g(arguments).await
    }

    async fn notarise(&self, names: &[&str]) -> Ended {
        let arguments = [&["notarise", "--notary", "%notary", "--id", ID], names].concat();
        self.run(&arguments).await
    }

    async fn verify(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["verify-artefact", "--trust", "%notary"], arguments].concat())
            .await
    }

    /// Why a proof is refused.
    async fn refused(&self, arguments: &[&str]) -> String {
        let ended = self.verify(arguments).await;
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        ended.error().to_owned()
    }
}

fn good(ended: Ended) -> String {
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    ended.stdout
}

#[tokio::test]
async fn what_was_notarised_verifies_until_it_is_changed() {
    let scene = Scene::new();
    scene.write("nrf.toml", b"queue = 1\n");
    good(scene.notarise(&["%results.json", "%nrf.toml"]).await);
    scene.write("later.json", b"{}");
    good(
        scene
            .run(&["notarise", "%later.json", "--notary", "%notary"])
            .await,
    );

    // What it says is true: the digest is that of sha256sum, and entries 1 and 2, behind the null entry, are proven in one checkpoint.
    let json = good(scene.verify(&["%results.json", "--json"]).await);
    let json: Value = serde_json::from_str(&json).expect("one JSON document");
    let sum = Command::new("sha256sum")
        .arg(scene.path("results.json"))
        .output()
        .await
        .expect("coreutils")
        .stdout;
    let digest = format!("sha256:{}", &String::from_utf8_lossy(&sum)[..64]);
    assert_eq!(
        (&json["digest"], &json["index"]),
        (&digest.as_str().into(), &1.into())
    );
    assert_eq!(json["size"], 3);
    assert_eq!(json["signatures"][0]["state"], "verified");
    good(scene.verify(&["%nrf.toml"]).await);
    good(
        scene
            .verify(&["--digest", &digest, "--proof", "%results.json.tlog-proof"])
            .await,
    );
    // The log is one like any other.
    good(
        scene
            .run(&["log", "verify", "%notary/log", "--trust", "%notary"])
            .await,
    );
    let key = fs::metadata(scene.path("notary/notary.key")).expect("a key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);

    let other = scene
        .refused(&["%later.json", "--proof", "%results.json.tlog-proof"])
        .await;
    assert!(other.contains("another digest"), "{other}");
    scene.write("results.json", b"{\"handshakes\": 8}\n");
    let changed = scene.refused(&["%results.json"]).await;
    assert!(changed.contains("the artefact was changed"), "{changed}");
}

#[tokio::test]
async fn a_proof_that_was_touched_or_is_of_another_notary_is_refused() {
    let scene = Scene::new();
    good(scene.notarise(&["%results.json"]).await);
    let proof = scene.read("results.json.tlog-proof");
    let (head, note) = proof.split_once("\n\n").expect("a proof");
    let hash = head.lines().nth(2).expect("the null entry's hash");
    let other_hash = hash.replacen(&hash[..1], if hash.starts_with('A') { "B" } else { "A" }, 1);
    let other_size = note.replacen("\n2\n", "\n3\n", 1);
    assert_ne!(other_size, note);
    for (text, why) in [
        (proof.replacen("index 1", "index 0", 1), "another digest"),
        (proof.replacen("index 1", "index 2", 1), "inclusion proof"),
        (proof.replacen(hash, &other_hash, 1), "another digest"),
        (format!("{head}\n\n{other_size}"), "signature"),
        (note.to_owned(), "first line"),
        (head.to_owned(), "no checkpoint"),
        (proof.replacen("@v1", "@v2", 1), "first line"),
        (proof[..proof.len() - 40].to_owned(), "checkpoint"),
        (
            format!("{head}\n{}\n\n{note}", vec![hash; 64].join("\n")),
            "more than 63",
        ),
    ] {
        scene.write("touched", text.as_bytes());
        let said = scene
            .refused(&["%results.json", "--proof", "%touched"])
            .await;
        assert!(said.contains(why), "{why}: {said}");
    }

    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    // Its proof is written where the command runs.
    let out = Command::new(binary())
        .args([
            "notarise",
            "--notary",
            "theirs",
            "--id",
            "32473.101",
            "--digest",
            digest,
        ])
        .current_dir(scene.0.path())
        .output()
        .await
        .expect("it runs");
    assert!(out.status.success(), "{out:?}");
    let file = format!("%sha256-{}.tlog-proof", &digest[7..]);
    let said = scene.refused(&["--digest", digest, "--proof", &file]).await;
    assert!(said.contains("32473.101"), "{said}");
}

#[tokio::test]
async fn mistakes_are_told() {
    let scene = Scene::new();
    let told = |ended: Ended, code: i32, what: &str| {
        assert_eq!(ended.code(), Some(code), "{ended:?}");
        assert!(ended.error().contains(what), "{ended:?}");
    };
    let none = scene
        .run(&["notarise", "%results.json", "--notary", "%notary"])
        .await;
    told(none, 1, "--id ID makes one");
    assert!(!Path::new(&scene.path("notary")).exists());
    told(scene.notarise(&["%absent"]).await, 1, "cannot read");
    good(scene.notarise(&["%results.json"]).await);
    told(
        scene.notarise(&["%results.json"]).await,
        1,
        "is there already",
    );
    let other = [
        "notarise",
        "--notary",
        "%notary",
        "--id",
        "32473.7",
        "%notary/ca.pem",
    ];
    told(scene.run(&other).await, 1, "is 32473.100");
    told(
        scene.run(&["verify-artefact", "%results.json"]).await,
        2,
        "give --trust",
    );
    told(
        scene.verify(&["%notary/ca.pem"]).await,
        1,
        "ca.pem.tlog-proof",
    );
    // Two processes do not write one log.
    let lock = DirectoryStorage::open(scene.path("notary/log")).expect("nobody else has it");
    told(
        scene.notarise(&["%notary/ca.pem"]).await,
        1,
        "another process notarises",
    );
    drop(lock);
    good(scene.notarise(&["%notary/ca.pem"]).await);
}

/// A witness of the notary's log, over HTTP, and its public half.
async fn witness(scene: &Scene, trust: &TrustFile) -> (CosignerEntry, SocketAddr) {
    let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
    let key = CosigningKey::new("32473.102".parse().expect("an ID"), secret).expect("a key");
    let entry = CosignerEntry::from(key.cosigner());
    let log = WitnessedLog {
        id: LogId::new(trust.certificate.cosigner.id, LogNumber::FIRST).expect("a short ID"),
        ca: trust.certificate.cosigner.clone(),
    };
    let storage = DirectoryStorage::create(scene.0.path().join("witness")).expect("a folder");
    let store = WitnessStore::open(Arc::new(storage), key, [log]).expect("a new witness");
    let api = Arc::new(WitnessApi {
        store: Arc::new(store),
        clock: Clock::default(),
        metrics: WitnessMetrics::new(&sbi::metrics::Registry::default()),
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, remote)) = listener.accept().await {
            let serving = serve_cleartext(stream, remote, api.clone(), std::future::pending());
            tokio::spawn(serving);
        }
    });
    (entry, address)
}

#[tokio::test]
async fn a_witness_keeps_the_notary_from_having_two_histories() {
    let scene = Scene::new();
    good(scene.notarise(&["%results.json"]).await);
    let trust = TrustFile::load(&scene.0.path().join("notary/trust.toml")).expect("it was made");
    let (cosigner, address) = witness(&scene, &trust).await;
    let config = |id: &str| {
        format!(
            "required_witnesses = 1\n[[witness]]\nid = {id:?}\nsubmission_prefix = \"http://{address}/\"\n"
        )
    };
    scene.write("notary/notary.toml", config("32473.102").as_bytes());
    let unknown = scene.notarise(&["%notary/ca.pem"]).await;
    assert_eq!(unknown.code(), Some(1), "{unknown:?}");
    assert!(
        unknown.error().contains("has no [[cosigner]]"),
        "{unknown:?}"
    );

    let document = TrustDocument {
        ca_certificate: "ca.pem".into(),
        logs: vec![1],
        remember_subtrees: 0,
        token_keys: None,
        groups: vec![GroupEntry {
            required: 1,
            members: vec![cosigner.id.clone()],
        }],
        cosigners: vec![cosigner],
    };
    scene.write(
        "notary/trust.toml",
        document.to_toml().expect("TOML").as_bytes(),
    );
    // An old copy of the log, before the witness has seen a later one.
    let copied = Command::new("cp")
        .args(["-a", &scene.path("notary"), &scene.path("copy")])
        .status()
        .await;
    assert!(copied.expect("coreutils").success());
    good(scene.notarise(&["%notary/ca.pem"]).await);
    let said = good(scene.verify(&["%notary/ca.pem"]).await);
    assert!(said.contains("32473.102 verified"), "{said}");
    // The proof from before has the notary's signature alone.
    let said = scene.refused(&["%results.json"]).await;
    assert!(said.contains("cosignatures"), "{said}");

    scene.write("again", b"another history");
    let forked = scene
        .run(&["notarise", "%again", "--notary", "%copy"])
        .await;
    assert_eq!(forked.code(), Some(1), "{forked:?}");
    assert!(!Path::new(&scene.path("again.tlog-proof")).exists());
}
