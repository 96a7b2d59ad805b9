//! The commands of docs/own-tools.md, run as they stand there, with openssl, curl, nghttp, GnuTLS and Python.
//!
//! Each tool is also shown what it must refuse (another name, another root), and shows what it must be refused for (a stranger's
//! certificate, none).

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use experiment::scenario::Scenario;
use lab::topology::{Plan, Ports};
use mtc_core::vkey;
use tokio::process::{Child, Command};

use test_support::command::{Ended, binary, mtc5g, within};
use test_support::test_lab::{TestFolder, TestLab};

const PAGE: &str = include_str!("../../docs/own-tools.md");
/// The NRF's port on the page.
const PORT: &str = "7777";

/// An FQDN that nobody in the lab has.
const OTHER_NAME: &str = "nrf2.example.org";
/// The AMF's X.509 credential, and the NRF's FQDN, as the page calls them.
const X509: &str = "amf1/x509-ecdsa-p256-intermediate-ecdsa-p256";
const NRF: &str = "nrf1.5gc.mnc001.mcc001.3gppnetwork.org";
const DISCOVERY: &str = "/nnrf-disc/v1/nf-instances?target-nf-type=SMF&requester-nf-type=AMF";
/// Makes a CA of a stranger, `stranger.pem`, and a certificate of it, `leaf.pem`.
const STRANGER: &str = "key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=stranger'
    openssl req $key -x509 -days 2 -keyout stranger.key -out stranger.pem
    echo basicConstraints=CA:FALSE >leaf.ext
    openssl req $key -keyout leaf.key |
        openssl x509 -req -CA stranger.pem -CAkey stranger.key -CAcreateserial -days 2 -extfile leaf.ext -out leaf.pem";

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
        Self::with("").await
    }

    /// The page's lab, with `more` at the end of the NRF's configuration.
    async fn with(more: &str) -> Self {
        let scenario = Scenario::parse(blocks("toml")[0]).expect("the scenario of the page");
        let plan = Plan {
            ports: Ports::Free,
            ..Plan::of(&scenario)
        };
        let files = TestFolder::new(&plan);
        let config = files.lab.config_file("nrf");
        let text = std::fs::read_to_string(&config).expect("the NRF's configuration");
        std::fs::write(&config, format!("{text}\n{more}\n")).expect("a file");
        let lab = TestLab::start(files).await;
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

    async fn make_stranger(&self) {
        let made = self.sh(STRANGER).await;
        assert_eq!(made.code(), Some(0), "{made:?}");
    }

    /// Runs what must fail, and returns all that it says.
    async fn refused(&self, script: &str) -> String {
        let ended = self.sh(script).await;
        assert_ne!(ended.code(), Some(0), "{script}: {ended:?}");
        ended.stdout + &ended.stderr
    }

    /// Waits until the NRF's log has a text: it is written behind the client's back.
    async fn await_log(&self, text: &str) {
        await_text(&self.lab.folder.lab.log_file("nrf"), text).await;
    }

    /// Subscribes the AMF, by its X.509 certificate, to what becomes of SMFs, at a server of OpenSSL that shows this certificate and
    /// wants the NRF's. Then the SMF's priority changes.
    async fn subscribe_at_openssl(&self, certificate: &str, priority: u16) -> OpensslServer {
        let server = OpensslServer::start(self.folder.path(), certificate);
        let uri = format!(
            "https://amf1.5gc.mnc001.mcc001.3gppnetwork.org:{}/notify",
            server.port
        );
        let instances = &self.lab.folder.lab.instances;
        let smf = instances.iter().find(|instance| instance.nf_type == "SMF");
        let smf = smf.expect("an SMF").instance_id;
        let done = self
            .sh(&format!(
                r#"nrf() {{
                    nf=$1/x509-ecdsa-p256-intermediate-ecdsa-p256; path=$2; shift 2
                    curl -sSf --http2-prior-knowledge --resolve {NRF}:{PORT}:127.0.0.1 --cacert $nf.root.pem --cert $nf.pem --key $nf.key \
                        https://{NRF}:{PORT}/nnrf-nfm/v1/$path "$@"
                }}
                nrf amf1 subscriptions --json '{{"nfStatusNotificationUri": "{uri}", "subscrCond": {{"nfType": "SMF"}}}}'
                nrf smf1 nf-instances/{smf} -X PATCH -H 'content-type: application/json-patch+json' \
                    -d '[{{"op": "replace", "path": "/priority", "value": {priority}}}]'"#
            ))
            .await;
        assert_eq!(done.code(), Some(0), "{done:?}");
        server
    }
}

async fn await_text(file: &Path, text: &str) {
    let written = async {
        // Whoever speaks HTTP/2 writes octets that are no text.
        let read = || std::fs::read(file).map(|all| String::from_utf8_lossy(&all).into_owned());
        while !read().is_ok_and(|all| all.contains(text)) {
            tokio::task::yield_now().await;
        }
    };
    within(written).await;
}

/// A TLS server of OpenSSL, which says what arrives; until it is dropped.
struct OpensslServer {
    port: u16,
    said: PathBuf,
    _process: Child,
}

impl OpensslServer {
    fn start(folder: &Path, certificate: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let said = folder.join("s_server.txt");
        let process = Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                &format!("127.0.0.1:{port}"),
                "-tls1_3",
                "-alpn",
                "h2",
            ])
            .args([
                "-cert",
                &format!("{certificate}.pem"),
                "-cert_chain",
                &format!("{certificate}.pem"),
            ])
            .args(["-key", &format!("{certificate}.key")])
            .args([
                "-Verify",
                "2",
                "-verify_return_error",
                "-CAfile",
                &format!("{X509}.root.pem"),
            ])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(File::create(&said).expect("a file"))
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        Self {
            port,
            said,
            _process: process.expect("openssl"),
        }
    }
}

fn mode(path: &Path) -> u32 {
    let metadata = path.metadata().unwrap_or_else(|error| panic!("{error}"));
    metadata.permissions().mode() & 0o777
}

#[tokio::test]
async fn the_commands_of_the_page_work_and_what_does_not_is_explained_by_the_log() {
    assert_eq!(
        blocks("sh").len(),
        9,
        "each is run below or in the next test"
    );
    let scene = Scene::new().await;
    let listed = scene.block("identity export").await;
    for file in ["mtc-ecdsa-p256.pem", "openssl.cnf"] {
        assert!(listed.contains(file), "{listed}");
    }
    let exported = scene.folder.path().join("amf1");
    assert_eq!(mode(&exported), 0o700);
    assert_eq!(mode(&exported.join("mtc-ecdsa-p256.key")), 0o600);

    let met = scene.block("identity connect").await;
    for part in [
        "(NRF), nrf1.5gc.mnc001.mcc001.3gppnetwork.org",
        "mtc-standalone, verified by its cosignatures",
        "presented    mtc-standalone",
        "ALPN h2",
    ] {
        assert!(met.contains(part), "{part}: {met}");
    }
    let elsewhere = "mtc5g identity connect lab amf1 127.0.0.1:7777 smf1.example.org";
    let elsewhere = scene.sh(elsewhere).await;
    assert_eq!(elsewhere.code(), Some(1), "{elsewhere:?}");

    let shown = scene.block("openssl s_client").await;
    assert!(shown.contains("Verify return code: 0 (ok)"), "{shown}");
    assert!(shown.contains("Verified peername"), "{shown}");
    let answered = scene.block("curl").await;
    assert!(answered.contains(r#""nfType":"SMF""#), "{answered}");
    let verified = scene.block("python3 nrf.py").await;
    assert!(verified.contains("TLSv1.3 h2"), "{verified}");
    assert!(verified.contains("nrf.der: ok"), "{verified}");

    // Mistakes: another root than the one that was named, and none.
    let curl = format!("curl -sSk --http2-prior-knowledge https://127.0.0.1:{PORT}/");
    scene
        .refused(&format!("{curl} --cert {X509}.pem --key {X509}.key"))
        .await;
    scene.await_log("not a Merkle Tree Certificate").await;
    let nothing_named = format!(
        "openssl s_client -connect 127.0.0.1:{PORT} -sigalgs rsa_pss_rsae_sha256 </dev/null"
    );
    scene.sh(&nothing_named).await;
    scene
        .await_log("names no certificate_authorities (openssl: -requestCAfile)")
        .await;
    keys_are_told_in_the_form_of_others(&scene).await;
}

/// `mtc5g log keys`, as docs/interop.md has it.
async fn keys_are_told_in_the_form_of_others(scene: &Scene) {
    let keys = scene.sh("mtc5g log keys --trust lab/trust.toml").await;
    let cosigners = keys
        .stdout
        .lines()
        .map(|key| vkey::parse(key).expect(key).id);
    let ids: Vec<_> = cosigners.map(|id| id.to_string()).collect();
    assert_eq!(ids, ["32473.1", "32473.2"], "{keys:?}");
    let list = scene
        .sh("mtc5g log keys --trust lab/trust.toml --log-list 2")
        .await;
    let ca = keys.stdout.lines().next().expect("the CA's key");
    let log = |number: u16| format!("\nvkey {ca}\norigin oid/1.3.6.1.4.1.32473.1.0.{number}\n");
    assert_eq!(list.stdout, format!("logs/v0\n{}{}", log(1), log(2)));
    let nobody = scene.refused("mtc5g log keys").await;
    assert!(nobody.contains("whose keys?"), "{nobody}");
}

#[tokio::test]
async fn openssl_refuses_another_name_and_root_and_is_refused_with_a_strangers_certificate() {
    let scene = Scene::new().await;
    scene.block("identity export").await;
    scene.make_stranger().await;
    let client = |root: &str, name: &str, certificate: &str| {
        // It ends when the server does, whose verdict on the certificate comes after the handshake.
        format!(
            "openssl s_client -connect 127.0.0.1:{PORT} -servername {NRF} -tls1_3 -CAfile {root} \
             -requestCAfile {X509}.root.pem -verify_hostname {name} -verify_return_error \
             -cert {certificate}.pem -key {certificate}.key -ign_eof </dev/null"
        )
    };
    let root = format!("{X509}.root.pem");
    let said = scene.refused(&client(&root, OTHER_NAME, X509)).await;
    assert!(said.contains("hostname mismatch"), "{said}");
    let said = scene.refused(&client("stranger.pem", NRF, X509)).await;
    assert!(said.contains("unable to get"), "{said}");
    let said = scene.refused(&client(&root, NRF, "leaf")).await;
    assert!(said.contains("alert unknown ca"), "{said}");
    scene.await_log("UnknownIssuer").await;
}

#[tokio::test]
async fn tools_that_name_no_root_verify_the_nrf_by_the_one_that_is_served_to_them() {
    let scene = Scene::with(blocks("toml")[1]).await;
    scene.block("identity export").await;
    scene.make_stranger().await;
    curl_verifies(&scene).await;
    python_verifies(&scene).await;
    if is_installed(&scene, "nghttp").await {
        nghttp_verifies(&scene).await;
    }
    if is_installed(&scene, "gnutls-cli").await {
        gnutls_verifies(&scene).await;
    }
}

/// Whether a tool is there that few machines have; if not, this is said.
async fn is_installed(scene: &Scene, tool: &str) -> bool {
    let is_there = scene.sh(&format!("command -v {tool}")).await.code() == Some(0);
    if !is_there {
        println!("SKIPPED, nothing is shown of {tool}: it is not installed");
    }
    is_there
}

async fn curl_verifies(scene: &Scene) {
    let answered = scene.block("--cacert").await;
    assert!(answered.contains(r#""nfType":"SMF""#), "{answered}");
    let client = |root: &str, name: &str, certificate: &str| {
        format!(
            "curl -sS --http2-prior-knowledge --resolve {name}:{PORT}:127.0.0.1 --cacert {root} {certificate} \
             'https://{name}:{PORT}{DISCOVERY}'"
        )
    };
    let (root, own) = (
        format!("{X509}.root.pem"),
        format!("--cert {X509}.pem --key {X509}.key"),
    );
    let said = scene.refused(&client(&root, OTHER_NAME, &own)).await;
    assert!(said.contains("no alternative certificate"), "{said}");
    let said = scene.refused(&client("stranger.pem", NRF, &own)).await;
    assert!(said.contains("SSL certificate problem"), "{said}");
    let stranger = "--cert leaf.pem --key leaf.key";
    scene.refused(&client(&root, NRF, stranger)).await;
    scene.await_log("UnknownIssuer").await;
    let nobody = scene.sh(&client(&root, NRF, "")).await;
    let cause = "MTC5G_CERTIFICATE_MISMATCH";
    assert!(nobody.stdout.contains(cause), "{nobody:?}");
}

async fn python_verifies(scene: &Scene) {
    let verified = scene.block("python3 verify.py").await;
    assert_eq!(verified, "TLSv1.3 SETTINGS\n");
    for (right, wrong, complaint) in [
        (
            format!("\"{NRF}\""),
            format!("\"{OTHER_NAME}\""),
            "Hostname mismatch",
        ),
        (
            "x509 + \".root.pem\"".to_owned(),
            "\"stranger.pem\"".to_owned(),
            "unable to get local issuer certificate",
        ),
    ] {
        let said = scene
            .refused(&format!("sed 's|{right}|{wrong}|' verify.py | python3 -"))
            .await;
        assert!(said.contains(complaint), "{said}");
    }
}

async fn nghttp_verifies(scene: &Scene) {
    let warning = "Certificate verification failed";
    let answered = scene.block("SSL_CERT_FILE").await;
    assert!(answered.contains(r#""nfType":"SMF""#), "{answered}");
    assert!(!answered.contains(warning), "{answered}");
    let client = |root: &str, certificate: &str| {
        format!(
            "SSL_CERT_FILE={root} nghttp -v {certificate} -H 'host: {NRF}' 'https://127.0.0.1:{PORT}{DISCOVERY}' 2>&1"
        )
    };
    let root = format!("{X509}.root.pem");
    let own = format!("--cert={X509}.pem --key={X509}.key");
    let said = scene.sh(&client("stranger.pem", &own)).await;
    assert!(said.stdout.contains(warning), "{said:?}");
    let nobody = scene.sh(&client(&root, "")).await;
    assert!(nobody.stdout.contains(":status: 403"), "{nobody:?}");
    let stranger = "--cert=leaf.pem --key=leaf.key";
    let refused = scene.sh(&client(&root, stranger)).await;
    assert!(!refused.stdout.contains(":status"), "{refused:?}");
}

async fn gnutls_verifies(scene: &Scene) {
    let shown = scene.block("gnutls-cli").await;
    assert!(shown.contains("The certificate is trusted"), "{shown}");
    assert!(shown.contains("Application protocol: h2"), "{shown}");
    let client = |root: &str, name: &str| {
        format!(
            "gnutls-cli --x509cafile {root} --x509certfile {X509}.pem --x509keyfile {X509}.key --alpn h2 \
             --sni-hostname {NRF} --verify-hostname {name} --port {PORT} 127.0.0.1 </dev/null"
        )
    };
    let said = scene
        .refused(&client(&format!("{X509}.root.pem"), OTHER_NAME))
        .await;
    assert!(said.contains("does not match"), "{said}");
    let said = scene.refused(&client("stranger.pem", NRF)).await;
    assert!(said.contains("NOT trusted"), "{said}");
}

#[tokio::test]
async fn who_subscribes_by_x509_is_notified_by_x509() {
    let scene = Scene::with(blocks("toml")[1]).await;
    scene.block("identity export").await;
    let exported = scene.sh("mtc5g identity export lab smf1 smf1").await;
    assert_eq!(exported.code(), Some(0), "{exported:?}");
    let server = scene.subscribe_at_openssl(X509, 7).await;
    await_text(&server.said, "PRI * HTTP/2.0").await;
    scene.make_stranger().await;
    let _server = scene.subscribe_at_openssl("leaf", 8).await;
    scene.await_log("UnknownIssuer").await;
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
