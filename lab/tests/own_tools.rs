//! The commands of docs/own-tools.md, run as they stand there, with openssl, curl and Python.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use experiment::scenario::Scenario;
use lab::topology::{Plan, Ports};
use tokio::process::Command;

use test_support::command::{Ended, binary, mtc5g, within};
use test_support::test_lab::{TestFolder, TestLab};

const PAGE: &str = include_str!("../../docs/own-tools.md");
/// The NRF's port on the page.
const PORT: &str = "7777";

/// The texts of the page between fences of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("\n```{language}\n");
    let behind = PAGE.split(&fence).skip(1);
    behind
        .map(|text| text.split("\n```").next().expect("the fence is closed"))
        .collect()
}

/// A lab as the page wants it, and a folder in which it is `lab` and the command `mtc5g`.
struct Scene {
    lab: TestLab,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let [scenario] = blocks("toml")[..] else {
            panic!("the page has one scenario");
        };
        let scenario = Scenario::parse(scenario).expect("the scenario of the page");
        let plan = Plan {
            ports: Ports::Free,
            ..Plan::of(&scenario)
        };
        let lab = TestLab::start(TestFolder::new(&plan)).await;
        let folder = tempfile::tempdir().expect("temporary folder");
        symlink(lab.folder.path(), folder.path().join("lab")).expect("a link");
        symlink(binary(), folder.path().join("mtc5g")).expect("a link");
        Self { lab, folder }
    }

    /// Runs a block of the page, or another command, with the port of this lab.
    async fn sh(&self, script: &str) -> Ended {
        let port = self.lab.folder.lab.nrf.sbi.port().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let running = Command::new("sh")
            .args(["-euc", &script.replace(PORT, &port)])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            .kill_on_drop(true)
            .output();
        let ended = within(running).await.expect("a shell");
        let text = |octets| String::from_utf8_lossy(octets).into_owned();
        Ended {
            status: ended.status,
            stdout: text(&ended.stdout[..]),
            stderr: text(&ended.stderr[..]),
        }
    }

    /// Runs the block of the page that contains `part`, which must succeed.
    async fn block(&self, part: &str) -> String {
        let blocks = blocks("sh");
        let block = blocks.iter().find(|block| block.contains(part));
        let ended = self.sh(block.expect("a block of the page")).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        ended.stdout
    }

    /// Waits until the NRF's log has a text: it is written behind the client's back.
    async fn await_log(&self, text: &str) {
        let log = self.lab.folder.lab.log_file("nrf");
        let written = async {
            while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains(text)) {
                tokio::task::yield_now().await;
            }
        };
        within(written).await;
    }
}

fn mode(path: &Path) -> u32 {
    let metadata = path.metadata().unwrap_or_else(|error| panic!("{error}"));
    metadata.permissions().mode() & 0o777
}

#[tokio::test]
async fn the_commands_of_the_page_work_and_what_does_not_is_explained_by_the_log() {
    assert_eq!(blocks("sh").len(), 4, "each is run below");
    let scene = Scene::new().await;
    let listed = scene.block("identity export").await;
    for file in ["mtc-ecdsa-p256.pem", "openssl.cnf"] {
        assert!(listed.contains(file), "{listed}");
    }
    let exported = scene.folder.path().join("amf1");
    assert_eq!(mode(&exported), 0o700);
    assert_eq!(mode(&exported.join("mtc-ecdsa-p256.key")), 0o600);

    let shown = scene.block("openssl s_client").await;
    assert!(shown.contains("Verify return code: 0 (ok)"), "{shown}");
    assert!(shown.contains("Verified peername"), "{shown}");
    let answered = scene.block("curl").await;
    assert!(answered.contains(r#""nfType":"SMF""#), "{answered}");
    let verified = scene.block("python3 nrf.py").await;
    assert!(verified.contains("TLSv1.3 h2"), "{verified}");
    assert!(verified.contains("nrf.der: ok"), "{verified}");

    // Mistakes: another root than the one that was named, and none.
    let x509 = "amf1/x509-ecdsa-p256-intermediate-ecdsa-p256";
    let refused = scene
        .sh(&format!(
            "curl -sSk --http2-prior-knowledge --cert {x509}.pem --key {x509}.key https://127.0.0.1:{PORT}/"
        ))
        .await;
    assert_ne!(refused.code(), Some(0), "{refused:?}");
    scene.await_log("not a Merkle Tree Certificate").await;
    let nothing_named = format!(
        "openssl s_client -connect 127.0.0.1:{PORT} -sigalgs rsa_pss_rsae_sha256 </dev/null"
    );
    scene.sh(&nothing_named).await;
    scene
        .await_log("names no certificate_authorities (openssl: -requestCAfile)")
        .await;
}

#[tokio::test]
async fn an_unknown_network_function_is_told_with_those_that_there_are() {
    let plan = test_support::test_lab::small();
    let lab = TestLab::start(TestFolder::new(&plan)).await;
    let folder = tempfile::tempdir().expect("temporary folder");
    let (lab, out) = (lab.folder.path(), folder.path().join("out"));
    let arguments = |nf: &'static str| {
        [
            "identity".as_ref(),
            "export".as_ref(),
            lab.as_os_str(),
            nf.as_ref(),
            out.as_os_str(),
        ]
    };
    let ended = mtc5g(arguments("upf1")).await;
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended.error().ends_with("it has amf1, nrf1, scp1, smf1\n"),
        "{}",
        ended.stderr
    );
    assert!(!out.exists(), "nothing is made for nobody");
    let nowhere = ["identity", "export", "no/lab", "amf1", "out"];
    assert!(mtc5g(nowhere).await.error().contains("no/lab/state"));
    let der = mtc5g(arguments("NRF1").into_iter().chain(["--der".as_ref()])).await;
    assert_eq!(der.code(), Some(0), "{}", der.stderr);
    assert!(out.join("mtc-ml-dsa-65.der").exists(), "{}", der.stdout);
    let again = mtc5g(arguments("nrf1")).await;
    let advice = "openssl.cnf exists, perhaps of an earlier export, and nothing is written over: name another folder";
    assert!(again.error().contains(advice), "{}", again.stderr);
}
