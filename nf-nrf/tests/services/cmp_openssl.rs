//! The CMP port, asked by `openssl cmp` over HTTP: a client by others, as network functions of others have one.
//!
//! That of OpenSSL 3.0 knows neither PBMAC1 nor ML-DSA; [`crate::cmp`] has both.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mtc_tls::identity::NfIdentity;
use mtc_tls::pem;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sbi::enrolment::MTC_PROFILE;
use sbi::server::serve_cleartext;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::cmp::{AMF, FQDN, Scene, Shared, X509};
use crate::programs::said;

/// A client in a folder of its own, and the port that it asks.
struct Client {
    scene: Scene,
    server: String,
    folder: TempDir,
    _serving: JoinSet<()>,
}

impl Client {
    async fn new() -> Self {
        let scene = Scene::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = listener.local_addr().expect("bound").to_string();
        let port = scene.port.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, remote) = listener.accept().await.expect("a connection");
                let port = Arc::clone(&port);
                connections.spawn(serve_cleartext(
                    stream,
                    remote,
                    port,
                    std::future::pending(),
                ));
            }
        });
        let client = Self {
            scene,
            server,
            folder: tempfile::tempdir().expect("a folder"),
            _serving: serving,
        };
        for (name, profile) in [("mtc", MTC_PROFILE), ("x509", X509)] {
            let own = usize::from(profile != MTC_PROFILE);
            let own = pem::encode(pem::CERTIFICATE, &client.scene.own[own]);
            fs::write(client.path(&format!("nrf-{name}.pem")), own).expect("written");
        }
        let root = client.scene.service.enrolment.baselines[0].root();
        let root = pem::encode(pem::CERTIFICATE, root);
        fs::write(client.path("root.pem"), root).expect("written");
        client
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn certificate(&self, name: &str) -> NfIdentity {
        let text = fs::read(self.path(name)).expect("a certificate was written");
        let der = CertificateDer::from_pem_slice(&text).expect("PEM");
        let identity = NfIdentity::from_certificate(&der).expect("names an NF");
        assert_eq!(identity.instance_id, AMF);
        assert_eq!(identity.fqdns, [FQDN]);
        identity
    }

    async fn key(&self, name: &str) {
        let arguments =
            format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}");
        let made = self.openssl(&arguments).await;
        made.expect("a new key");
    }

    /// Runs openssl; what it says, as error if it fails.
    async fn openssl(&self, arguments: &str) -> Result<String, String> {
        run(self.folder.path(), arguments.split_whitespace()).await
    }

    /// `openssl cmp` with a secret.
    async fn with_secret(&self, shared: &Shared, arguments: &str) -> Result<String, String> {
        let secret = format!("pass:{}", shared.secret.as_str());
        let fixed = ["-ref", &shared.reference, "-secret", &secret];
        self.cmp(arguments, &fixed).await
    }

    async fn cmp(&self, arguments: &str, more: &[&str]) -> Result<String, String> {
        let fixed = ["cmp", "-config", "", "-server", &self.server];
        let arguments = fixed.into_iter().chain(arguments.split_whitespace());
        run(self.folder.path(), arguments.chain(more.iter().copied())).await
    }
}

async fn run<'a>(
    folder: &Path,
    arguments: impl Iterator<Item = &'a str>,
) -> Result<String, String> {
    let mut command = Command::new("openssl");
    said(command.args(arguments).current_dir(folder)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_enrols_renews_and_revokes() {
    let client = Client::new().await;
    for (name, profile, confirm) in [
        // OpenSSL finds no hash for certConf in a certificate that nobody has signed.
        ("mtc", MTC_PROFILE, "-implicit_confirm"),
        ("x509", X509, ""),
    ] {
        let path = format!("-path /.well-known/cmp/p/{profile} {confirm}");
        client.key("key.pem").await;
        client.key("new-key.pem").await;
        let shared = client.scene.mint();
        let enrol =
            format!("-cmd ir {path} -newkey key.pem -certout {name}.pem -cacertsout ca.pem");
        let enrolled = client.with_secret(&shared, &enrol).await;
        enrolled.unwrap_or_else(|said| panic!("{profile}: {said}"));
        client.certificate(&format!("{name}.pem"));
        if profile == X509 {
            let verified = client
                .openssl("verify -CAfile ca.pem -partial_chain ca.pem")
                .await;
            verified.unwrap_or_else(|said| panic!("the root comes along: {said}"));
        }

        let own = format!("-cert {name}.pem -key key.pem -srvcert nrf-{name}.pem");
        let renew = format!("-cmd kur {path} {own} -newkey new-key.pem -certout new-{name}.pem");
        let renewed = client.cmp(&renew, &[]).await;
        renewed.unwrap_or_else(|said| panic!("{profile}: {said}"));
        client.certificate(&format!("new-{name}.pem"));

        let revoke = format!("-cmd rr {path} {own} -oldcert {name}.pem -revreason 1");
        let revoked = client.cmp(&revoke, &[]).await;
        revoked.unwrap_or_else(|said| panic!("{profile}: {said}"));
        let again = client
            .cmp(&format!("{renew} -unprotected_errors"), &[])
            .await;
        let said = again.expect_err("the certificate was revoked");
        assert!(said.contains("certRevoked"), "{said}");
        // The one in its place is as good as before.
        let own = format!("-cert new-{name}.pem -key new-key.pem -srvcert nrf-{name}.pem");
        let again = format!("-cmd kur {path} {own} -newkey key.pem -certout again-{name}.pem");
        let renewed = client.cmp(&again, &[]).await;
        renewed.unwrap_or_else(|said| panic!("{profile}: {said}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_asks_by_pkcs10_and_trusts_answers_by_the_root() {
    let client = Client::new().await;
    client.key("key.pem").await;
    let made = client
        .openssl("req -new -key key.pem -subj /CN=amf1 -out request.pem")
        .await;
    made.expect("a request");
    let shared = client.scene.mint();
    let path = format!("-path /.well-known/cmp/p/{X509}");
    let enrol = format!("-cmd p10cr {path} -csr request.pem -certout amf.pem");
    let enrolled = client.with_secret(&shared, &enrol).await;
    enrolled.unwrap_or_else(|said| panic!("{said}"));
    let first = client.certificate("amf.pem");
    // Lost on its way.
    fs::remove_file(client.path("amf.pem")).expect("it is there");
    let again = client.with_secret(&shared, &enrol).await;
    again.unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(client.certificate("amf.pem"), first);

    let own = "-cert amf.pem -key key.pem -trusted root.pem";
    let renew = format!("-cmd kur {path} {own} -newkey key.pem -certout new.pem");
    let renewed = client.cmp(&renew, &[]).await;
    renewed.unwrap_or_else(|said| panic!("{said}"));
    let general = client
        .cmp(&format!("-cmd genm -infotype caCerts {path} {own}"), &[])
        .await;
    general.unwrap_or_else(|said| panic!("{said}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_is_told_why_it_gets_nothing() {
    let client = Client::new().await;
    client.key("key.pem").await;
    let wrong = Shared {
        secret: "guessed".to_owned().into(),
        ..client.scene.mint()
    };
    let enrol =
        "-cmd ir -path /.well-known/cmp -newkey key.pem -certout amf.pem -unprotected_errors";
    let said = client.with_secret(&wrong, enrol).await;
    let said = said.expect_err("nobody is known by that secret");
    assert!(said.contains("badMessageCheck"), "{said}");

    let shared = client.scene.mint();
    let more = format!("{enrol} -implicit_confirm -sans nrf1.5gc.mnc001.mcc001.3gppnetwork.org");
    let said = client.with_secret(&shared, &more).await;
    let said = said.expect_err("the name is another's");
    assert!(said.contains("subjectAltName"), "{said}");
    assert!(said.contains(FQDN), "{said}");
    assert!(!client.path("amf.pem").exists());
}
