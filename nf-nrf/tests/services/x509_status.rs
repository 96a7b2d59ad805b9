//! What the X.509 CAs say of revoked certificates, read by OpenSSL: `openssl crl`, `verify -crl_check_all` and `ocsp`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::{Method, StatusCode};
use mtc_core::time::UnixTime;
use mtc_core::x509::Certificate;
use mtc_tls::clock::Clock;
use mtc_tls::identity::NfSubject;
use mtc_tls::key::{Intermediates, KeyAlgorithm, NfKey, X509Profile, X509Revocation};
use mtc_tls::pem;
use mtc_tls::revocation::CRL_FILES;
use mtc_tls::revocation::crl::Crl;
use mtc_tls::revocation::ocsp::{CertId, OcspError, Response as Ocsp, Status};
use nf_nrf::baseline::{self, BaselineCa, CaPem};
use nf_nrf::enrolment::Enrolment;
use nf_nrf::files::PrivateFolder;
use nf_nrf::revoked::Revoked;
use nf_nrf::x509_status::X509Status;
use sbi::client::Connection;
use sbi::response::Response;
use sbi::server::serve_cleartext;
use sbi::uri::Scheme;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::mtca::Service;
use crate::nrf::request;

const LIFETIME: Duration = Duration::from_secs(100);

const fn profile(ca_signature: KeyAlgorithm) -> X509Profile {
    X509Profile {
        ca_signature,
        intermediates: Intermediates::One,
        revocation: X509Revocation::OcspStapled,
    }
}

/// A CA in its folder, which says that its lists are at this URL.
fn ca(folder: &Path, profile: X509Profile, url: &str) -> BaselineCa {
    let now = Clock::default().now();
    let hour = Duration::from_secs(3600);
    let made = baseline::create(profile, now.minus(hour), now.plus(hour)).expect("a new CA");
    let [intermediate] = &made.intermediates[..] else {
        panic!("the profile has one")
    };
    let list = made.root.crl.as_ref().expect("the root's list");
    for (name, text) in [
        (baseline::ROOT_CERTIFICATE_FILE, &made.root.certificate),
        (
            baseline::INTERMEDIATE_CERTIFICATE_FILES[0],
            &intermediate.certificate,
        ),
        (baseline::INTERMEDIATE_KEY_FILES[0], &*intermediate.key),
        (CRL_FILES[0], list),
    ] {
        fs::write(folder.join(name), text).expect("written");
    }
    let ca = BaselineCa::load(folder, profile).expect("a sound CA");
    ca.published_below(url)
}

/// The service with one more CA, whose lists and answers are served.
struct Scene {
    profile: X509Profile,
    enrolment: Arc<Enrolment>,
    status: Arc<X509Status>,
    url: String,
    folder: TempDir,
    serving: JoinSet<()>,
}

impl Scene {
    async fn start(algorithm: KeyAlgorithm) -> Self {
        let service = Service::start();
        let mut enrolment = Arc::into_inner(service.enrolment).expect("nobody else's");
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let profile = profile(algorithm);
        // The service's own folder goes with it.
        let revoked = PrivateFolder::open(folder.path().join("revoked")).expect("a folder");
        enrolment.revoked = Revoked::open(revoked).expect("a readable folder");
        enrolment.baselines.push(ca(folder.path(), profile, &url));
        let enrolment = Arc::new(enrolment);
        let mut scene = Self {
            profile,
            status: status(&enrolment, &folder),
            enrolment,
            url,
            folder,
            serving: JoinSet::new(),
        };
        let status = scene.status.clone();
        scene.serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, remote) = listener.accept().await.expect("a connection");
                let status = status.clone();
                connections.spawn(serve_cleartext(
                    stream,
                    remote,
                    status,
                    std::future::pending(),
                ));
            }
        });
        scene
    }

    fn ca(&self) -> &BaselineCa {
        self.enrolment.baselines.last().expect("there is one")
    }

    /// A leaf, in a file too.
    fn leaf(&self, name: &str) -> Vec<u8> {
        let fqdn = "amf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned();
        let id = uuid::Uuid::from_u128(1);
        let subject = NfSubject::new("DE", "example.org", id, &["AMF".to_owned()], &[fqdn]);
        let key = NfKey::generate(KeyAlgorithm::EcdsaP256).expect("a key");
        let now = Clock::default().now();
        let chain = self.ca().issue(
            key.spki_der(),
            &subject.expect("a subject"),
            now,
            now.plus(LIFETIME),
        );
        let chain = chain.expect("issued");
        self.write(name, &pem::encode(pem::CERTIFICATE, &chain[0]));
        chain[0].to_vec()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).expect("written");
    }

    async fn get(&self, path: &str) -> Response {
        get(&self.status, path).await
    }

    async fn list(&self, file: &str) -> Vec<u8> {
        let path = format!("/x509/{}/{file}", self.profile);
        let answer = self.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], "application/pkix-crl");
        answer.body.to_vec()
    }

    /// Both lists in files, in DER each and in PEM together.
    async fn lists(&self) {
        let mut all = String::new();
        for file in &CRL_FILES[..2] {
            let list = self.list(file).await;
            all.push_str(&pem::encode(pem::X509_CRL, &list));
            self.write(file, list);
        }
        self.write("all.crl", all);
    }

    /// Runs openssl; what it says, as error if it fails.
    async fn openssl(&self, arguments: &str) -> Result<String, String> {
        let ended = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .kill_on_drop(true)
            .output()
            .await
            .expect("openssl is installed");
        let said = [&*ended.stdout, &*ended.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if ended.status.success() {
            Ok(said)
        } else {
            Err(said)
        }
    }

    async fn verify(&self, leaf: &str) -> Result<String, String> {
        let arguments =
            "verify -crl_check_all -x509_strict -CAfile root.crt -untrusted intermediate.crt";
        self.openssl(&format!("{arguments} -CRLfile all.crl {leaf}"))
            .await
    }

    async fn ocsp(&self, leaf: &str) -> String {
        let arguments = "ocsp -CAfile root.crt -issuer intermediate.crt -no_nonce";
        let url = format!("{}/x509/{}/ocsp", self.url, self.profile);
        let said = self
            .openssl(&format!("{arguments} -cert {leaf} -url {url}"))
            .await;
        said.expect("an answer")
    }
}

fn status(enrolment: &Arc<Enrolment>, folder: &TempDir) -> Arc<X509Status> {
    let lists = PrivateFolder::open(folder.path().join("lists")).expect("a folder");
    Arc::new(X509Status::open(enrolment.clone(), lists, LIFETIME).expect("a readable folder"))
}

/// A client of what is served.
async fn client(status: &Arc<X509Status>) -> Connection {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let remote = ([127, 0, 0, 1], 1).into();
    let status = status.clone();
    tokio::spawn(serve_cleartext(
        server,
        remote,
        status,
        std::future::pending(),
    ));
    let client = Connection::handshake(client, Scheme::Http).await;
    client.expect("http/2")
}

async fn get(status: &Arc<X509Status>, path: &str) -> Response {
    let sent = client(status)
        .await
        .send(request(Method::GET, path), LIFETIME)
        .await;
    sent.expect("an answer")
}

fn number(list: &[u8]) -> u64 {
    Crl::parse(list).expect("a list").number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_believes_the_lists_and_answers_and_hears_of_a_revocation() {
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519] {
        let scene = Scene::start(algorithm).await;
        let leaf = scene.leaf("leaf.pem");
        scene.leaf("other.pem");
        scene.lists().await;
        for (file, issuer) in [
            ("root.crl", "root.crt"),
            ("intermediate.crl", "intermediate.crt"),
        ] {
            let arguments = format!("crl -inform DER -in {file} -CAfile {issuer} -noout -verify");
            let said = scene.openssl(&arguments).await.expect("verifies");
            assert!(said.contains("verify OK"), "{said}");
        }
        scene.verify("leaf.pem").await.expect("not revoked");
        let said = scene.ocsp("leaf.pem").await;
        assert!(said.contains("Response verify OK"), "{said}");
        assert!(said.contains("leaf.pem: good"), "{said}");

        let before = number(&scene.list("intermediate.crl").await);
        let now = Clock::default().now();
        let revoked = scene.enrolment.revoked.mark(&leaf, Some(1), now);
        revoked.await.expect("recorded");
        scene.lists().await;
        let refused = scene.verify("leaf.pem").await.expect_err("revoked");
        assert!(refused.contains("certificate revoked"), "{refused}");
        scene.verify("other.pem").await.expect("not revoked");
        let said = scene.ocsp("leaf.pem").await;
        assert!(said.contains("leaf.pem: revoked"), "{said}");
        assert!(said.contains("Reason: keyCompromise"), "{said}");
        let said = scene.ocsp("other.pem").await;
        assert!(said.contains("other.pem: good"), "{said}");
        assert!(number(&scene.list("intermediate.crl").await) > before);
    }
}

#[tokio::test]
async fn a_list_is_signed_once_while_it_is_true_and_its_number_survives_a_restart() {
    let scene = Scene::start(KeyAlgorithm::MlDsa44).await;
    let first = scene.list("intermediate.crl").await;
    assert_eq!(scene.list("intermediate.crl").await, first);
    let again = status(&scene.enrolment, &scene.folder);
    let path = format!("/x509/{}/intermediate.crl", scene.profile);
    let second = get(&again, &path).await.body;
    assert!(number(&second) > number(&first));
    // The record of certificates that were revoked is a file each, of which one is none.
    let damaged = scene.enrolment.revoked.clone();
    let leaf = scene.leaf("leaf.pem");
    damaged
        .mark(&leaf, None, Clock::default().now())
        .await
        .expect("recorded");
    let third = scene.list("intermediate.crl").await;
    let entries = |list: &[u8]| list.len();
    assert!(entries(&third) > entries(&first), "one more entry");
}

#[tokio::test]
async fn what_is_asked_in_a_path_is_answered_and_what_cannot_be_read_has_no_answer() {
    let scene = Scene::start(KeyAlgorithm::EcdsaP256).await;
    let leaf = scene.leaf("leaf.pem");
    let leaf = Certificate::parse(&leaf).expect("a certificate");
    let issuer = &scene.ca().intermediates()[0];
    let issuer = Certificate::parse(issuer).expect("a certificate");
    let ask = async |id: &CertId| {
        let encoded = STANDARD
            .encode(id.request())
            .replace('+', "%2B")
            .replace('=', "%3D");
        let answer = scene
            .get(&format!("/x509/{}/ocsp/{encoded}", scene.profile))
            .await;
        assert_eq!(answer.headers["content-type"], "application/ocsp-response");
        answer.body
    };
    let id = CertId::new(issuer.statement.subject, issuer.spki, leaf.serial).expect("a key");
    let answer = ask(&id).await;
    let response = Ocsp::parse(&answer).expect("an answer");
    assert_eq!(response.status, Status::Good);
    let now = Clock::default().now();
    assert_eq!(response.check(&issuer, leaf.serial, now), Ok(()));
    assert_eq!(
        response.next_update,
        UnixTime(response.this_update.0 + LIFETIME.as_secs())
    );
    assert_eq!(ask(&id).await, answer, "signed once");

    let status_of = |answer: &[u8]| match Ocsp::parse(answer) {
        Err(OcspError::Status(status)) => status,
        other => panic!("{other:?}"),
    };
    let foreign = CertId::new(leaf.statement.subject, leaf.spki, leaf.serial).expect("a key");
    assert_eq!(status_of(&ask(&foreign).await), 6, "unauthorized");
    for text in ["AAAA", "%", "MAA", "a/b/c"] {
        let path = format!("/x509/{}/ocsp/{text}", scene.profile);
        assert_eq!(status_of(&scene.get(&path).await.body), 1, "{text}");
    }
    for path in [
        "/x509/",
        "/x509/ed25519-direct/root.crl",
        "/x509/a/../root.crl",
    ] {
        assert_eq!(
            scene.get(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let path = format!("/x509/{}/intermediate-2.crl", scene.profile);
    assert_eq!(scene.get(&path).await.status, StatusCode::NOT_FOUND);
    let path = format!("/x509/{}/ocsp", scene.profile);
    let answer = scene.get(&path).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn only_profiles_with_revocation_have_longer_certificates() {
    let leaf = |revocation| {
        let profile = X509Profile {
            revocation,
            ..profile(KeyAlgorithm::Ed25519)
        };
        let made = baseline::create(profile, UnixTime(1_800_000_000), UnixTime(1_800_003_600));
        let made = made.expect("a new CA");
        let of = |ca: &CaPem| ca.certificate.len();
        (
            of(&made.root),
            of(&made.intermediates[0]),
            made.root.crl.is_some(),
        )
    };
    let [none, crl, ocsp] = X509Revocation::ALL.map(leaf);
    assert_eq!((none.0, none.1), (crl.0, crl.1));
    assert_eq!((none.0, none.1), (ocsp.0, ocsp.1));
    assert_eq!([none.2, crl.2, ocsp.2], [false, true, true]);
}
