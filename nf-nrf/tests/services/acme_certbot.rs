//! The ACME port, asked by `certbot` and `lego` over HTTPS: clients by others, as network functions of others have them.
//!
//! ```text
//!  client ── CONNECT nrf1....org:port ──> Detour ──> the port, wherever it is
//! ```
//!
//! The name in the NRF's certificate has no address on this machine. A proxy leads there, which clients know how to use and which sees nothing
//! but TLS.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mtc_core::certificate::is_mtc;
use mtc_tls::identity::NfIdentity;
use mtc_tls::pem;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sbi::enrolment::MTC_PROFILE;
use tempfile::TempDir;
use test_support::detour::Detour;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::acme::{AMF, FQDN, NRF_FQDN, PORT, Scene, X509};
use crate::programs::said;

/// A client in a folder of its own, and the way to the port that it asks.
struct Client {
    scene: Scene,
    detour: Detour,
    folder: TempDir,
    _serving: JoinSet<()>,
}

/// Whether a program is there; says loudly that a test is skipped if not.
fn is_installed(program: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    });
    if !found {
        eprintln!("SKIPPED: {program} is not installed (apt-get install {program})");
    }
    found
}

impl Client {
    async fn new() -> Self {
        let scene = Scene::start().await;
        let mut serving = JoinSet::new();
        let port = scene.serve_https(&mut serving).await;
        let detour = Detour::start(format!("{NRF_FQDN}:{PORT}"), port).await;
        let folder = tempfile::tempdir().expect("a folder");
        let root = scene.service.enrolment.baselines[0].root();
        let root = pem::encode(pem::CERTIFICATE, root);
        fs::write(folder.path().join("root.pem"), root).expect("written");
        Self {
            scene,
            detour,
            folder,
            _serving: serving,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a client; what it says, as error if it fails.
    async fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let root = self.path("root.pem");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("HTTPS_PROXY", &self.detour.url)
            .env("REQUESTS_CA_BUNDLE", &root)
            .env("LEGO_CA_CERTIFICATES", &root);
        said(&mut command).await
    }

    async fn certbot(&self, arguments: &str) -> Result<String, String> {
        let folders = "--config-dir config --work-dir work --logs-dir logs --non-interactive";
        let arguments: Vec<_> = arguments
            .split_whitespace()
            .chain(folders.split_whitespace())
            .collect();
        self.run("certbot", &arguments).await
    }

    /// The certificates of a PEM file, the first of them the AMF's.
    fn certificates(&self, path: &str) -> Vec<Vec<u8>> {
        let text = fs::read(self.path(path)).expect("a certificate was written");
        let chain = CertificateDer::pem_slice_iter(&text).map(|der| der.expect("PEM").to_vec());
        let chain: Vec<_> = chain.collect();
        let identity = NfIdentity::from_certificate(&chain[0]).expect("names an NF");
        assert_eq!(identity.instance_id, AMF);
        assert_eq!(identity.nf_types, ["AMF"]);
        assert_eq!(identity.fqdns, [FQDN]);
        chain
    }

    /// Options that bind an account. No key begins like an option: `mtc5g token --acme` mints none that does.
    fn external_account(&self) -> (String, String) {
        let accounts = std::iter::repeat_with(|| {
            let minted = self.scene.mint();
            (minted.key_id, URL_SAFE_NO_PAD.encode(&*minted.mac_key))
        });
        let mut accounts = accounts.filter(|(_, mac_key)| !mac_key.starts_with('-'));
        accounts.next().expect("most do not")
    }
}

fn directory(profile: &str) -> String {
    format!("https://{NRF_FQDN}:{PORT}/acme/p/{profile}/directory")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certbot_enrols_renews_and_revokes() {
    if !is_installed("certbot") {
        return;
    }
    for profile in [X509, MTC_PROFILE] {
        let client = Client::new().await;
        let server = directory(profile);
        let (key_id, mac_key) = client.external_account();
        let enrol = format!(
            "certonly --standalone --server {server} --eab-kid {key_id} --eab-hmac-key {mac_key} \
             --agree-tos --register-unsafely-without-email -d {FQDN}"
        );
        let enrolled = client.certbot(&enrol).await;
        enrolled.unwrap_or_else(|said| panic!("{profile}: {said}"));
        let live = format!("config/live/{FQDN}");
        let first = client.certificates(&format!("{live}/cert.pem"));
        assert_eq!(is_mtc(&first[0]), profile == MTC_PROFILE);
        if profile == MTC_PROFILE {
            client
                .scene
                .service
                .trust()
                .verify_issuance(&first[0])
                .expect("cosigned");
        } else {
            let root = client.path("root.pem").display().to_string();
            let (chain, leaf) = (format!("{live}/chain.pem"), format!("{live}/cert.pem"));
            let verify = ["verify", "-CAfile", &root, "-untrusted", &chain, &leaf];
            let verified = client.run("openssl", &verify).await;
            verified.unwrap_or_else(|said| panic!("{said}"));
        }

        let renewed = client
            .certbot("renew --force-renewal --no-random-sleep-on-renew")
            .await;
        renewed.unwrap_or_else(|said| panic!("{profile}: {said}"));
        let second = client.certificates(&format!("{live}/cert.pem"));
        assert_ne!(first[0], second[0]);

        let revoke = format!(
            "revoke --server {server} --cert-name {FQDN} --reason superseded --no-delete-after-revoke"
        );
        let revoked = client.certbot(&revoke).await;
        revoked.unwrap_or_else(|said| panic!("{profile}: {said}"));
        assert!(client.scene.is_revoked(&second[0]));
        assert!(!client.scene.is_revoked(&first[0]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certbot_is_told_why_it_gets_nothing() {
    if !is_installed("certbot") {
        return;
    }
    let client = Client::new().await;
    let server = directory(MTC_PROFILE);
    let (key_id, _) = client.external_account();
    let (_, other_key) = client.external_account();
    let enrol = |mac_key: &str, name: &str| {
        format!(
            "certonly --standalone --server {server} --eab-kid {key_id} --eab-hmac-key {mac_key} \
             --agree-tos --register-unsafely-without-email -d {name}"
        )
    };
    let said = client.certbot(&enrol(&other_key, FQDN)).await;
    let said = said.expect_err("the MAC key is another account's");
    assert!(said.contains("MAC"), "{said}");
    let (key_id, mac_key) = client.external_account();
    let foreign = format!(
        "certonly --standalone --server {server} --eab-kid {key_id} --eab-hmac-key {mac_key} \
         --agree-tos --register-unsafely-without-email -d {NRF_FQDN}"
    );
    let said = client
        .certbot(&foreign)
        .await
        .expect_err("the name is another's");
    // certbot 2.1 trips over an error of its own when it is to print this one, which its log has.
    let log = fs::read_to_string(client.path("logs/letsencrypt.log")).expect("a log");
    assert!(
        log.contains("rejectedIdentifier") && log.contains(FQDN),
        "{said}"
    );
    assert!(!client.path("config/live").join(NRF_FQDN).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lego_enrols() {
    if !is_installed("lego") {
        return;
    }
    for profile in [X509, MTC_PROFILE] {
        let client = Client::new().await;
        let server = directory(profile);
        let (key_id, mac_key) = client.external_account();
        let arguments = format!(
            "--server {server} --email noc@{FQDN} --accept-tos --eab --kid {key_id} --hmac {mac_key} --domains {FQDN} --http run"
        );
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let enrolled = client.run("lego", &arguments).await;
        enrolled.unwrap_or_else(|said| panic!("{profile}: {said}"));
        let chain = client.certificates(&format!(".lego/certificates/{FQDN}.crt"));
        assert_eq!(is_mtc(&chain[0]), profile == MTC_PROFILE);
        assert_eq!(chain.len(), 2);
    }
}
