//! `mtc5g audit` as people use it: an estate made by openssl, keytool and kubectl, live servers of others and a lab of ours, and what
//! nobody wants to meet on a disk or at a port.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use test_support::command::{Ended, Started, binary, mtc5g, within};
use test_support::ports::{eight_ports, localhost};
use test_support::test_lab::{TestFolder, TestLab, small};

/// What audit ends with if it finds what it must not.
const FOUND: Option<i32> = Some(6);

/// The estate of `audit/estate.sh`.
struct Estate(TempDir);

impl Estate {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audit/estate.sh");
        let made = Command::new("sh").arg(script).arg(folder.path()).output();
        let made = within(made).await.expect("sh runs");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    async fn audit(&self, arguments: &[&str]) -> Ended {
        let folder = self.path("");
        let folder = folder.trim_end_matches('/');
        mtc5g([&["audit"], arguments, &[folder]].concat()).await
    }

    /// Places of an inventory, seen from the estate.
    fn places(&self, list: &Value) -> Vec<String> {
        let texts = list.as_array().expect("a list").iter().map(place_text);
        texts.map(|text| self.relative(&text)).collect()
    }

    fn relative(&self, text: &str) -> String {
        text.replace(&self.path(""), "")
    }
}

fn place_text(place: &Value) -> String {
    let location = place["location"].as_str().expect("a location");
    match place["part"].as_str() {
        None => location.to_owned(),
        Some(part) if part.starts_with('#') => format!("{location}{part}"),
        Some(part) => format!("{location}: {part}"),
    }
}

fn document(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

fn certificate<'a>(inventory: &'a Value, subject: &str) -> &'a Value {
    let list = inventory["certificates"].as_array().expect("a list");
    let found = list.iter().find(|entry| entry["subject"] == subject);
    found.unwrap_or_else(|| panic!("no {subject} in {inventory}"))
}

#[tokio::test]
async fn an_estate_is_told_whole() {
    let estate = Estate::new().await;
    let ended = estate.audit(&["--json"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let inventory = document(&ended);
    places_and_uses(&estate, &inventory);
    authorities_and_references(&estate, &inventory);
    renewal_and_algorithms(&inventory);
    private_keys(&estate, &inventory);
    problems(&estate, &inventory);
    assert_eq!(inventory["requests"].as_array().map(Vec::len), Some(1));
    assert_eq!(inventory["requests"][0]["subject"], "CN=smf-next");
    nothing_secret(&estate, &ended.stdout);
    forms(&estate, &inventory).await;
    conditions(&estate).await;
    passwords(&estate).await;
}

fn places_and_uses(estate: &Estate, inventory: &Value) {
    let amf = certificate(inventory, "CN=amf.5gc.mnc001.mcc001.3gppnetwork.org");
    assert_eq!(
        estate.places(&amf["places"]),
        [
            "free5gc/cert/amf.pem",
            "hostile/linked.crt",
            "objects/secret.yaml: Secret core/amf-tls, tls.crt",
            "objects/stores.json: Secret core/stores, rc2.p12",
            "open5gs/tls/amf.crt",
            "stores/3des.pfx",
            "stores/aes128.p12",
            "stores/chain.p7b",
            "stores/rc2.p12",
        ]
    );
    let uses = |number: usize| estate.relative(&amf["places"][number]["uses"].to_string());
    assert_eq!(
        uses(0),
        r#"["certificate of a server, in a configuration: free5gc/config/amfcfg.yaml: configuration.sbi.tls.pem"]"#
    );
    assert_eq!(uses(2), r#"["mounted by pods as TLS certificate"]"#);
    assert!(uses(4).contains("certificate of a client, in a configuration: open5gs/amf.yaml: default.tls.client.client_cert"));
    assert!(uses(4).contains(
        "certificate of a server, in a configuration: open5gs/amf.yaml: default.tls.server.cert"
    ));
    assert_eq!(
        estate.relative(&amf["places"][1]["link_to"].to_string()),
        r#""open5gs/tls/amf.crt""#
    );
    // The chain in PKCS#12 and PKCS#7: the leaf and its CA.
    assert_eq!(amf["chain"]["certificates"], 2);
}

fn authorities_and_references(estate: &Estate, inventory: &Value) {
    let kubernetes = certificate(inventory, "CN=kubernetes");
    assert_eq!(
        estate.places(&kubernetes["places"]),
        [
            "kubernetes/pki/ca.crt",
            "objects/admin.conf: kubeconfig cluster c, certificate-authority-data"
        ]
    );
    let uses = estate.relative(&kubernetes["places"][0]["uses"].to_string());
    assert!(
        uses.contains("Kubernetes: CA of the cluster")
            && uses.contains("trusted by a kubeconfig: kubelet.conf"),
        "{uses}"
    );
    let root = certificate(inventory, "CN=open5gs-ca");
    assert!(
        estate
            .places(&root["places"])
            .contains(&"stores/java.jks: root".to_owned())
    );
    assert!(
        estate
            .places(&root["places"])
            .contains(&"objects/roots.yaml: ConfigMap core/roots, ca.crt".to_owned())
    );
    let unresolved = inventory["unresolved_references"]
        .as_array()
        .expect("a list");
    let unresolved: Vec<_> = unresolved
        .iter()
        .map(|reference| estate.relative(&place_text(&reference["from"])))
        .collect();
    assert!(
        unresolved.contains(&"open5gs/amf.yaml: default.tls.client.client_private_key".to_owned())
    );
    assert!(
        unresolved.contains(&"free5gc/config/amfcfg.yaml: configuration.nrfCertPem".to_owned())
    );
    // A ConfigMap is read by a container, which has files of its own.
    assert!(unresolved.contains(
        &"objects/roots.yaml: ConfigMap core/roots, amf.yaml, default.tls.server.cert".to_owned()
    ));
}

fn renewal_and_algorithms(inventory: &Value) {
    let facts = |subject: &str| {
        let entry = certificate(inventory, subject);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        [
            text(&entry["role"]),
            text(&entry["key"]["name"]),
            text(&entry["signature"]["name"]),
        ]
    };
    let rsa = "sha256WithRSAEncryption";
    assert_eq!(
        facts("CN=smf.5gc.mnc001.mcc001.3gppnetwork.org"),
        ["leaf", "ed25519", rsa]
    );
    assert_eq!(
        facts("CN=java-smf"),
        ["leaf", "ecdsa-p384", "ecdsa-with-SHA384"]
    );
    assert_eq!(facts("CN=etcd-ca"), ["authority", "rsa-2048", rsa]);
    let etcd = certificate(inventory, "CN=etcd");
    assert_eq!(etcd["days_left"], 19);
    assert_eq!(etcd["quantum_vulnerable"], true);
    assert_eq!(
        (&etcd["renewal"]["due"], &etcd["renewal"]["rule"]),
        (&false.into(), &"two-thirds".into())
    );
    // What expires first comes first.
    let all = inventory["certificates"].as_array().expect("a list");
    assert_eq!(all[0]["key"]["name"], "rsa-1024");
    assert_eq!(all[1]["subject"], "CN=etcd");
    assert_eq!(inventory["summary"]["certificates"], all.len());
    assert_eq!(inventory["summary"]["quantum_vulnerable"], all.len());
}

fn private_keys(estate: &Estate, inventory: &Value) {
    let keys = inventory["private_keys"].as_array().expect("a list");
    let told = |place: &str| {
        let found = keys
            .iter()
            .find(|key| estate.relative(&place_text(&key["place"])) == place);
        let key = found.unwrap_or_else(|| panic!("no {place} in {keys:?}"));
        let certificates = key["certificates"].as_array().map_or(0, Vec::len);
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let open = if key["open"] == true {
            "open"
        } else {
            "closed"
        };
        format!(
            "{} {} {open} {certificates}",
            text(&key["algorithm"]["name"]),
            text(&key["protection"])
        )
    };
    for (place, expected) in [
        ("open5gs/tls/amf.key", "ecdsa-p256 none closed 1"),
        ("open5gs/tls/smf.key", "ed25519 none closed 1"),
        ("kubernetes/pki/ca.key", "rsa-2048 none closed 1"),
        ("kubernetes/pki/sa.key", "rsa-2048 none open 0"),
        ("stores/smf-key.der", "ed25519 none open 1"),
        ("stores/encrypted.key", "- encrypted closed 0"),
        ("stores/old-encrypted.key", "- encrypted closed 0"),
        ("stores/rc2.p12", "ecdsa-p256 known-password closed 1"),
        ("stores/3des.pfx", "ecdsa-p256 known-password closed 1"),
        ("stores/aes128.p12", "ecdsa-p256 known-password closed 1"),
        ("stores/modern.p12", "- encrypted closed 0"),
        ("stores/plain.p12", "ed25519 none closed 1"),
        ("stores/java.jks: amf", "rsa-2048 known-password open 1"),
        ("stores/java.jceks: smf", "ecdsa-p384 encrypted closed 1"),
        ("stores/java.p12", "ecdsa-p256 known-password open 1"),
        (
            "objects/secret.yaml: Secret core/amf-tls, tls.key",
            "ecdsa-p256 none open 1",
        ),
        (
            "objects/admin.conf: kubeconfig user admin, client-key-data",
            "rsa-2048 none closed 1",
        ),
    ] {
        assert_eq!(told(place), expected, "{place}");
    }
}

fn problems(estate: &Estate, inventory: &Value) {
    let problems = inventory["problems"].as_array().expect("a list");
    let problems: Vec<_> = problems
        .iter()
        .map(|problem| {
            let place = estate.relative(&place_text(&problem["place"]));
            format!(
                "{place}: {}",
                problem["reason"].as_str().unwrap_or_default()
            )
        })
        .collect();
    for expected in [
        "hostile/bomb.yaml: cannot be read as YAML: its aliases stand for too much",
        "hostile/cut.pem: PEM section \"CERTIFICATE\" has no end",
        "hostile/dangling: cannot be read: No such file or directory (os error 2)",
        "hostile/itself: cannot be read: Too many levels of symbolic links (os error 40)",
        "hostile/empty.crt: is empty",
        "hostile/junk.pem: is binary, and of no form that is read here",
        "hostile/short.jks: is binary, and of no form that is read here",
        "hostile/huge.pem: is binary, and of no form that is read here",
        "hostile/long.pem: longer than 64 MiB",
        "stores/modern.p12: a PKCS#12 store that opens with no password that was tried (none was given; the empty one, \"changeit\")",
    ] {
        assert!(
            problems.contains(&expected.to_owned()),
            "{expected} is not in {problems:#?}"
        );
    }
    assert_eq!(problems.len(), 10, "{problems:#?}");
}

/// No line of any key is anywhere in what is printed.
fn nothing_secret(estate: &Estate, printed: &str) {
    assert!(!printed.contains("PRIVATE KEY"));
    for key in [
        "open5gs/tls/amf.key",
        "kubernetes/pki/ca.key",
        "open5gs/tls/smf.key",
    ] {
        let text = fs::read_to_string(estate.path(key)).expect("a key");
        for line in text.lines().filter(|line| !line.starts_with('-')) {
            assert!(!printed.contains(line), "{key}");
        }
    }
}

async fn forms(estate: &Estate, inventory: &Value) {
    let (page, bill) = (estate.path("../page.html"), estate.path("../cbom.json"));
    let made = estate.audit(&["--html", &page, "--cbom", &bill]).await;
    assert_eq!(made.code(), Some(0), "{made:?}");
    assert!(
        made.stdout.starts_with("12 certificates"),
        "{}",
        made.stdout
    );
    assert!(made.stdout.contains("0644 OPEN"));
    // Names that others chose neither move the cursor nor become markup.
    assert!(!made.stdout.contains(['\u{1b}', '\u{202e}']));
    let html = fs::read_to_string(&page).expect("a page");
    assert!(
        html.contains("CN=\\&lt;b\\&gt;bold") && !html.contains("<b>"),
        "escaped"
    );
    assert!(!html.contains("<script") && !html.contains("src="));
    nothing_secret(estate, &html);
    let text = fs::read_to_string(&bill).expect("a bill");
    nothing_secret(estate, &text);
    let bill: Value = serde_json::from_str(&text).expect("JSON");
    let assets = |kind: &str| {
        let components = bill["components"].as_array().expect("a list").iter();
        components
            .filter(|component| component["cryptoProperties"]["assetType"] == kind)
            .count()
    };
    let length = |name: &str| inventory[name].as_array().map_or(0, Vec::len);
    assert_eq!(assets("certificate"), length("certificates"));
    assert!(assets("related-crypto-material") > length("private_keys"));
    let lines = estate.audit(&["--csv"]).await.stdout;
    assert_eq!(lines.lines().count(), 1 + length("certificates"));
    assert!(lines.starts_with("fingerprint,kind,role,subject,"));
    for file in [page, "cbom.json".to_owned()] {
        fs::remove_file(Path::new(&file))
            .or_else(|_| fs::remove_file(estate.path("../cbom.json")))
            .expect("it is there");
    }
}

async fn conditions(estate: &Estate) {
    for (condition, first) in [
        ("quantum-vulnerable", "quantum-vulnerable: 12 found\n"),
        ("expiring=30d", "expiring=30d: 2 found\n"),
        ("expiring=4w", "expiring=28d: 2 found\n"),
        ("open-key", "open-key: "),
        ("incomplete", "incomplete: 10 found\n"),
    ] {
        let ended = estate.audit(&["--csv", "--fail-on", condition]).await;
        assert_eq!(ended.code(), FOUND, "{condition}");
        assert!(ended.stderr.starts_with(first), "{}", ended.stderr);
        assert!(
            ended.stdout.starts_with("fingerprint,"),
            "the inventory is printed all the same"
        );
    }
    let store = estate.path("stores/smf.der");
    let met = mtc5g([
        "audit",
        &store,
        "--fail-on",
        "expiring=30d",
        "--fail-on",
        "open-key",
        "--fail-on",
        "incomplete",
    ])
    .await;
    assert_eq!((met.code(), met.stderr.as_str()), (Some(0), ""));
}

async fn passwords(estate: &Estate) {
    let file = estate.path("passwords");
    fs::write(&file, "wrong\nsecret\n").expect("a file");
    let store = estate.path("stores/modern.p12");
    let opened = mtc5g(["audit", "--json", "--password-file", &file, &store]).await;
    let inventory = document(&opened);
    assert_eq!(inventory["summary"]["certificates"], 2);
    assert_eq!(inventory["private_keys"][0]["protection"], "encrypted");
    assert!(!opened.stdout.contains("secret"));
    let started = Started::with(
        ["audit", "--json", &*store],
        [("MTC5G_STORE_PASSWORD", "secret".as_ref())],
    );
    assert_eq!(document(&started.end().await)["summary"]["certificates"], 2);
    let closed = mtc5g(["audit", "--json", &*store, "--fail-on", "incomplete"]).await;
    assert_eq!(closed.code(), FOUND);
    fs::remove_file(file).expect("it is there");
}

#[tokio::test]
async fn a_target_that_is_none_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gone = folder.path().join("gone").display().to_string();
    let ended = mtc5g(["audit", &gone]).await;
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended.error().contains("No such file or directory"),
        "{}",
        ended.error()
    );
    for (arguments, what) in [
        (
            &["audit", "nothing"][..],
            "\"nothing\" is no file here, and not HOST:PORT or https://HOST",
        ),
        (&["audit", "http://example.org"], "is no file here"),
        (&["audit"], "required"),
        (
            &["audit", ".", "--fail-on", "bad"],
            "not a condition; known: quantum-vulnerable, expiring=30d",
        ),
        (&["audit", ".", "--json", "--csv"], "cannot be used with"),
    ] {
        let ended = mtc5g(arguments).await;
        assert_eq!(ended.code(), Some(2), "{arguments:?}");
        assert!(ended.stderr.contains(what), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn folders_that_nobody_may_read_are_told_and_the_rest_is_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::write(folder.path().join("open.crt"), "nothing").expect("a file");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("it is ours");
    let is_forbidden = fs::read_dir(&closed).is_err(); // not to root
    let ended = mtc5g(["audit", "--json", &folder.path().display().to_string()]).await;
    let problems = document(&ended)["problems"].to_string();
    assert_eq!(
        problems.contains("Permission denied"),
        is_forbidden,
        "{problems}"
    );
    assert!(problems.contains("holds no certificate and no key"));
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("it is ours");
}

#[tokio::test]
async fn objects_come_from_kubectl_through_a_pipe() {
    let estate = tempfile::tempdir().expect("a temporary folder");
    let (key, certificate) = self_signed(estate.path(), "ed25519", &[]).await;
    let object = Command::new("kubectl")
        .args([
            "create",
            "secret",
            "tls",
            "a",
            "--dry-run=client",
            "-o",
            "json",
        ])
        .args([format!("--cert={certificate}"), format!("--key={key}")])
        .output();
    let object = within(object).await.expect("kubectl runs").stdout;
    let schedule = "{\"apiVersion\":\"cert-manager.io/v1\",\"kind\":\"Certificate\",\"metadata\":{\"name\":\"x\"},\
                    \"spec\":{\"secretName\":\"a\"},\"status\":{\"renewalTime\":\"2027-01-28T12:00:00Z\"}}";
    let object = String::from_utf8(object).expect("JSON");
    let list =
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{object},{schedule}]}}");
    let mut audit = Command::new(binary())
        .args(["audit", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = audit.stdin.take().expect("it is piped");
    stdin.write_all(list.as_bytes()).await.expect("it reads");
    drop(stdin);
    let output = within(audit.wait_with_output()).await.expect("it ends");
    let inventory: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let place = place_text(&inventory["certificates"][0]["places"][0]);
    assert_eq!(place, "-: Secret a, tls.crt");
    assert_eq!(
        inventory["certificates"][0]["private_keys"][0],
        "-: Secret a, tls.key"
    );
    let renewal = &inventory["certificates"][0]["renewal"];
    assert_eq!(renewal["date"], "2027-01-28T12:00:00Z");
    assert_eq!(renewal["rule"], "cert-manager");
}

/// Key and certificate of a server, for itself: their files.
async fn self_signed(folder: &Path, key: &str, more: &[&str]) -> (String, String) {
    let path = |name: &str| folder.join(name).display().to_string();
    let (private, certificate) = (path("server.key"), path("server.crt"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-nodes",
            "-days",
            "10",
            "-subj",
            "/CN=server",
            "-newkey",
            key,
        ])
        .args(more)
        .args(["-keyout", &private, "-out", &certificate])
        .output();
    let made = within(made).await.expect("openssl runs");
    assert!(made.status.success(), "{made:?}");
    (private, certificate)
}

/// `openssl s_server` at a port, once it listens.
async fn s_server(folder: &Path, arguments: &[&str]) -> (Child, SocketAddr) {
    let (key, certificate) = (folder.join("server.key"), folder.join("server.crt"));
    let address = localhost(eight_ports());
    let server = Command::new("openssl")
        .args(["s_server", "-quiet", "-accept", &address.to_string()])
        .arg("-key")
        .arg(key)
        .arg("-cert")
        .arg(certificate)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl runs");
    let listens = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::task::yield_now().await
        }
    };
    within(listens).await;
    (server, address)
}

#[tokio::test]
async fn servers_of_others_show_what_they_negotiate() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    self_signed(folder.path(), "rsa:2048", &[]).await;
    for (arguments, expected) in [
        (
            &["-tls1_3"][..],
            ["TLS 1.3", "x25519", "rsa_pss_sha256", "false", "null"],
        ),
        (
            &["-tls1_2"],
            ["TLS 1.2", "x25519", "rsa_pss_sha256", "false", "null"],
        ),
        (
            &["-tls1_2", "-groups", "P-384"],
            ["TLS 1.2", "secp384r1", "rsa_pss_sha256", "false", "null"],
        ),
        (
            &["-tls1_3", "-groups", "P-256"],
            ["TLS 1.3", "secp256r1", "rsa_pss_sha256", "false", "null"],
        ),
        (
            &["-tls1_3", "-Verify", "1"],
            ["TLS 1.3", "x25519", "rsa_pss_sha256", "true", "null"],
        ),
    ] {
        let (_server, address) = s_server(folder.path(), arguments).await;
        let ended = mtc5g(["audit", "--json", &address.to_string()]).await;
        let inventory = document(&ended);
        let port = &inventory["endpoints"][0];
        let fields = [
            &port["version"],
            &port["group"]["name"],
            &port["signature_scheme"],
        ]
        .map(|value| value.as_str().unwrap_or("-"));
        let asks = port["asks_for_client_certificate"].to_string();
        let error = port["error"].to_string();
        assert_eq!(
            [fields[0], fields[1], fields[2], &asks, &error],
            expected,
            "{arguments:?}"
        );
        assert_eq!(port["group"]["quantum"], "vulnerable");
        let entry = certificate(&inventory, "CN=server");
        assert_eq!(port["chain"][0], entry["fingerprint"]);
        assert_eq!(entry["places"][0]["location"], address.to_string());
        let judged = mtc5g([
            "audit",
            &address.to_string(),
            "--fail-on",
            "quantum-vulnerable",
        ])
        .await;
        assert_eq!(judged.code(), FOUND);
        assert!(judged.stderr.contains("key exchange "), "{}", judged.stderr);
    }
}

#[tokio::test]
async fn a_server_that_refuses_has_shown_its_certificate() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    self_signed(
        folder.path(),
        "ec",
        &["-pkeyopt", "ec_paramgen_curve:P-256"],
    )
    .await;
    // It must have a client certificate, and says so in TLS 1.2 before the handshake is over.
    let (_server, address) = s_server(
        folder.path(),
        &["-tls1_2", "-Verify", "1", "-verify_return_error"],
    )
    .await;
    let inventory = document(&mtc5g(["audit", "--json", &address.to_string()]).await);
    let port = &inventory["endpoints"][0];
    assert_eq!(port["asks_for_client_certificate"], true);
    assert!(
        port["error"].as_str().unwrap_or_default().contains("alert"),
        "{port}"
    );
    assert_eq!(
        certificate(&inventory, "CN=server")["key"]["name"],
        "ecdsa-p256"
    );
    // And one that has nothing in common with us.
    let (_server, address) = s_server(
        folder.path(),
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"],
    )
    .await;
    let inventory = document(&mtc5g(["audit", "--json", &address.to_string()]).await);
    let error = inventory["endpoints"][0]["error"].to_string();
    assert!(error.contains("CBC suites"), "{error}");
    assert_eq!(
        inventory["problems"][0]["reason"],
        inventory["endpoints"][0]["error"]
    );
}

#[tokio::test]
async fn a_port_that_is_none_of_tls_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let talk = async {
        let (mut stream, _) = listener.accept().await.expect("it is asked");
        stream
            .write_all(b"220 mail.example.org ESMTP\r\n")
            .await
            .expect("it is read");
        stream
    };
    let target = [address.to_string()];
    let audit = mtc5g(["audit", "--json", &target[0]]);
    let (_stream, ended) = tokio::join!(talk, audit);
    assert_eq!(
        document(&ended)["endpoints"][0]["error"],
        "does not answer with TLS"
    );
    let closed = localhost(eight_ports());
    let ended = mtc5g(["audit", "--json", &closed.to_string()]).await;
    let error = document(&ended)["endpoints"][0]["error"].to_string();
    assert!(
        error.contains("cannot connect: Connection refused"),
        "{error}"
    );
}

#[tokio::test]
async fn a_port_that_says_nothing_ends_the_wait_by_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let ended = mtc5g(["audit", "--json", &address.to_string()]).await;
    let error = document(&ended)["endpoints"][0]["error"].to_string();
    assert!(error.contains("took longer than 10 seconds"), "{error}");
}

#[tokio::test]
async fn a_lab_of_ours_is_seen_for_what_it_is() {
    let lab = TestLab::start(TestFolder::new(&small())).await;
    let folder = lab.folder.path().display().to_string();
    let inventory = document(&mtc5g(["audit", "--json", &folder]).await);
    let certificates = inventory["certificates"].as_array().expect("a list");
    assert!(!certificates.is_empty());
    let kinds: Vec<_> = certificates
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap_or_default())
        .collect();
    assert!(kinds.contains(&"standalone"), "{kinds:?}");
    for entry in certificates
        .iter()
        .filter(|entry| entry["kind"] == "standalone")
    {
        assert_eq!(entry["key"]["name"], "ml-dsa-65");
        assert_eq!(entry["quantum_vulnerable"], false, "{entry}");
        assert_eq!(entry["signature"]["name"], "id-alg-mtcProof");
    }
    let address = lab.folder.lab.nrf.sbi.to_string();
    let inventory = document(&mtc5g(["audit", "--json", &address]).await);
    let port = &inventory["endpoints"][0];
    assert_eq!(port["version"], "TLS 1.3", "{port}");
    assert_eq!(port["group"]["name"], "X25519MLKEM768");
    assert_eq!(port["group"]["quantum"], "hybrid");
    assert_eq!(port["signature_scheme"], "ml_dsa_65");
    assert_eq!(port["application_protocol"], "h2");
    assert_eq!(inventory["certificates"][0]["kind"], "standalone");
    let judged = mtc5g([
        "audit",
        &address,
        &folder,
        "--csv",
        "--fail-on",
        "expiring=0d",
    ])
    .await;
    assert_eq!(judged.code(), Some(0), "{judged:?}");
}
