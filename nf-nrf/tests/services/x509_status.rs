//! What the X.509 CAs say of revoked certificates, read by OpenSSL: `openssl crl`, `verify -crl_check_all` and `ocsp`.

use std::fs;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_core::time::UnixTime;
use mtc_core::verify::CaTrust;
use mtc_core::x509::Certificate;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{Credential, CredentialSet, MtcTrust, X509Credential, X509Trust};
use mtc_tls::identity::NfSubject;
use mtc_tls::key::{Intermediates, KeyAlgorithm, NfKey, X509Profile, X509Revocation};
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::pem;
use mtc_tls::profile::{ClientAuth, ConnectionProfile, Tickets, Tokens, TrustDomain, Via};
use mtc_tls::provider::KeyExchange;
use mtc_tls::revocation::CRL_FILES;
use mtc_tls::revocation::crl::{Crl, MAX_CRL};
use mtc_tls::revocation::ocsp::{CertId, OcspError, Response as Ocsp, Status};
use mtc_web::Prefix;
use nf_nrf::baseline::{self, BaselineCa, CaPem};
use nf_nrf::enrolment::Enrolment;
use nf_nrf::files::PrivateFolder;
use nf_nrf::revocation::{RevocationOrder, What};
use nf_nrf::revoked::Revoked;
use nf_nrf::x509_status::X509Status;
use sbi::client::Connection;
use sbi::instance::{Instance, Offer};
use sbi::limits::Limits;
use sbi::listener::{Host, Hosts, bind, serve_sbi};
use sbi::model::NfType;
use sbi::problem::Problem;
use sbi::process::Stop;
use sbi::response::Response;
use sbi::server::{Handler, Request, serve_cleartext};
use sbi::uri::Scheme;
use sbi::x509_status::{FetchError, StatusKeeper};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use crate::mtca::{Authority, Service};
use crate::nrf::request;
use crate::programs::said;
use crate::revocation::{carry_out, order};

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
    authority: Authority,
    trust: CaTrust,
    status: Arc<X509Status>,
    /// What is served instead of the list of leaves' issuer.
    instead: Arc<Mutex<Option<Vec<u8>>>>,
    url: String,
    folder: TempDir,
    serving: JoinSet<()>,
}

impl Scene {
    async fn start(algorithm: KeyAlgorithm) -> Self {
        let service = Service::start();
        let trust = service.trust();
        let mut enrolment = Arc::into_inner(service.enrolment).expect("nobody else's");
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let profile = profile(algorithm);
        // The service's own folder goes with it.
        let revoked = PrivateFolder::open(folder.path().join("revoked")).expect("a folder");
        enrolment.revoked = Revoked::open(revoked, trust.id()).expect("a readable folder");
        enrolment.baselines.push(ca(folder.path(), profile, &url));
        let enrolment = Arc::new(enrolment);
        let mut scene = Self {
            profile,
            status: status(&enrolment, &folder),
            enrolment,
            authority: service.authority,
            trust,
            instead: Arc::default(),
            url,
            folder,
            serving: JoinSet::new(),
        };
        let served = Arc::new(Altered {
            status: scene.status.clone(),
            instead: scene.instead.clone(),
        });
        scene.serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, remote) = listener.accept().await.expect("a connection");
                let served = served.clone();
                connections.spawn(serve_cleartext(
                    stream,
                    remote,
                    served,
                    std::future::pending(),
                ));
            }
        });
        scene
    }

    /// As `mtc5g revoke --certificate` does.
    async fn revoke(&self, leaf: &[u8], reason: Option<u8>) {
        let what = What::of_certificate(leaf).expect("a certificate");
        let order = RevocationOrder {
            reason,
            ..order(what)
        };
        let answer = carry_out(&self.enrolment, &self.authority, &order).await;
        assert_eq!(answer.revoked, [], "no Merkle Tree Certificate");
    }

    fn ca(&self) -> &BaselineCa {
        self.enrolment.baselines.last().expect("there is one")
    }

    /// A leaf, in a file too.
    fn leaf(&self, name: &str) -> Vec<u8> {
        let (chain, _) = self.chain();
        self.write(name, pem::encode(pem::CERTIFICATE, &chain[0]));
        chain[0].clone()
    }

    /// What goes to an NF, and its key.
    fn chain(&self) -> (Vec<Vec<u8>>, NfKey) {
        let fqdn = "amf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned();
        let id = Uuid::from_u128(1);
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
        (chain.iter().map(|der| der.to_vec()).collect(), key)
    }

    /// An instance with this certificate, which it cannot present yet.
    fn instance(&self, (chain, key): (Vec<Vec<u8>>, &NfKey)) -> Arc<Instance> {
        let root = X509Trust::new(self.profile, self.ca().root()).expect("a root");
        let mut set = CredentialSet::new(MtcTrust::new(self.trust.clone()), vec![root]);
        let not_after = Clock::default().now().plus(LIFETIME);
        set.present_x509(vec![X509Credential {
            profile: self.profile,
            credential: Credential::new(chain, key, not_after).expect("the key's"),
        }]);
        Arc::new(Instance::new(
            Uuid::from_u128(1).into(),
            NfType::Amf,
            "amf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned(),
            set,
            Clock::default(),
            Arc::default(),
        ))
    }

    fn keeper(&self, instance: &Instance) -> StatusKeeper {
        let url: Prefix = self.url.parse().expect("a URL");
        let roots = &instance.store.current().x509_trust;
        let keeper = StatusKeeper::new(url, roots, Clock::default(), Arc::default());
        keeper.expect("no TLS").expect("the profile needs it")
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
        let arguments = arguments.split_whitespace();
        let mut command = Command::new("openssl");
        said(command.args(arguments).current_dir(self.folder.path())).await
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

/// What a CA serves, or somebody on the way.
struct Altered {
    status: Arc<X509Status>,
    instead: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Handler for Altered {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let instead = self.instead.lock().expect("no panic").clone();
        match instead.filter(|_| request.path.ends_with("/intermediate.crl")) {
            Some(list) => Ok(Response::bytes(
                StatusCode::OK,
                "application/pkix-crl",
                list,
            )),
            None => self.status.handle(request).await,
        }
    }

    fn max_body(&self, method: &Method, path: &str) -> usize {
        self.status.max_body(method, path)
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
        scene.revoke(&leaf, Some(1)).await;
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

#[tokio::test]
async fn an_instance_staples_what_it_is_told_and_presents_no_certificate_that_was_revoked() {
    let scene = Scene::start(KeyAlgorithm::MlDsa44).await;
    let (chain, key) = scene.chain();
    let leaf = chain[0].clone();
    let instance = scene.instance((chain.clone(), &key));
    let presented = |instance: &Instance| {
        let set = instance.store.current();
        let staples = set
            .x509
            .iter()
            .map(|own| own.credential.staple().map(<[u8]>::len));
        (staples.collect::<Vec<_>>(), set.unstapled.len())
    };
    assert_eq!(presented(&instance), (vec![], 1));
    let mut keeper = scene.keeper(&instance);
    keeper.update(from_ref(&instance)).await.expect("served");
    let (staples, unstapled) = presented(&instance);
    assert!(
        matches!(staples[..], [Some(length)] if length > 2420),
        "{staples:?}"
    );
    assert_eq!(unstapled, 0);

    let now = Clock::default().now();
    scene
        .enrolment
        .revoked
        .mark(&leaf, None, now)
        .await
        .expect("recorded");
    // It is fresh, so that nothing is asked; another instance with the key is told.
    keeper
        .update(from_ref(&instance))
        .await
        .expect("nothing is due");
    let thief = scene.instance((chain, &key));
    let mut keeper = scene.keeper(&thief);
    let refused = keeper.update(from_ref(&thief)).await;
    let Err(FetchError::Ocsp { source, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(matches!(source, OcspError::Revoked(_)), "{source:?}");
    // Nobody else of its process waits for it.
    keeper.update(from_ref(&thief)).await.expect("told once");
    assert_eq!(presented(&thief), (vec![], 1));
}

#[tokio::test]
async fn a_list_that_has_the_client_of_an_open_connection_ends_it_at_the_server() {
    let scene = Scene::start(KeyAlgorithm::EcdsaP256).await;
    let chains = [scene.chain(), scene.chain()];
    let instances = chains
        .each_ref()
        .map(|(chain, key)| scene.instance((chain.clone(), key)));
    let mut keeper = scene.keeper(&instances[0]);
    keeper.update(&instances).await.expect("served");
    let [server, client] = &instances;
    let (listener, addr) = bind(([127, 0, 0, 1], 0).into(), "SBI", "listen").expect("a port");
    let hosts = Hosts::One(Host {
        endpoint: server.endpoint().clone(),
        handler: scene.status.clone(),
    });
    let (_stopper, stop) = Stop::new();
    let ledger = server.ledger().clone();
    let (auth, limits) = (ClientAuth::Required, Limits::default());
    tokio::spawn(serve_sbi(listener, hosts, auth, ledger, limits, stop));
    let open = || {
        let profile = ConnectionProfile {
            domain: TrustDomain::X509(scene.profile),
            leaf_key: KeyAlgorithm::EcdsaP256,
            key_exchange: KeyExchange::X25519,
            tickets: Tickets::None,
            tokens: Tokens::Es256,
            via: Via::Direct,
            grease: false,
        };
        let expected = ExpectedPeer {
            fqdn: "amf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned(),
            instance_id: None,
            nf_type: None,
        };
        client.open(addr, Offer::First(profile), expected)
    };
    let connection = open().await.expect("nobody is revoked yet").connection;
    let list = format!("/x509/{}/root.crl", scene.profile);
    let answer = connection.send(request(Method::GET, &list), LIFETIME).await;
    assert_eq!(answer.expect("it is open").status, StatusCode::OK);

    scene.revoke(&chains[1].0[0], None).await;
    // Half of the list's time is not over: a process that looks has just been started.
    let mut keeper = scene.keeper(server);
    keeper.update(from_ref(server)).await.expect("served");
    let ended = timeout(LIFETIME, connection.ended());
    ended.await.expect("closed");
    let refused = match open().await {
        // Of TLS 1.3 a client may think that it is done before it hears that it is refused.
        Ok(opened) => {
            let asked = opened
                .connection
                .send(request(Method::GET, &list), LIFETIME);
            asked.await.is_err()
        }
        Err(_) => true,
    };
    assert!(refused);
    let closed = &server.ledger().metrics().revocation.closed;
    assert_eq!(closed.with_label_values(&["server"]).get(), 1);
}

#[tokio::test]
async fn a_list_that_is_not_the_cas_newest_of_now_is_refused_and_the_one_before_stays() {
    let scene = Scene::start(KeyAlgorithm::EcdsaP256).await;
    let (chain, key) = scene.chain();
    let instance = scene.instance((chain, &key));
    let mut keeper = scene.keeper(&instance);
    let serve = |list: Option<Vec<u8>>| *scene.instead.lock().expect("no panic") = list;
    let now = Clock::default().now();
    // More than half of its time is over, so that each update fetches another.
    let times = (now.minus(LIFETIME), now.plus(LIFETIME / 2));
    let list = |number, times| {
        scene
            .ca()
            .list(number, times, &[])
            .expect("a key that signs")
    };
    serve(Some(list(7, times)));
    keeper.update(from_ref(&instance)).await.expect("served");

    let other = tempfile::tempdir().expect("a folder");
    let other = ca(other.path(), scene.profile, &scene.url);
    let forged = other.list(8, times, &[]).expect("a key that signs");
    let ended = list(8, (now.minus(2 * LIFETIME), now.minus(LIFETIME)));
    let mut damaged = list(8, times);
    damaged.truncate(100);
    for (served, expected) in [
        (list(6, times), "CRL went back from number 7 to 6"),
        (forged, "CRL: the CA's signature does not verify"),
        (scene.list("root.crl").await, "CRL of another CA"),
        (ended, "CRL was to be replaced by"),
        (damaged, "CRL: CertificateList is malformed"),
        (vec![0; MAX_CRL + 1], "the answer is longer than"),
    ] {
        serve(Some(served));
        let refused = keeper
            .update(from_ref(&instance))
            .await
            .expect_err(expected);
        let said = Causes(&refused).to_string();
        assert!(said.contains(expected), "{said}");
    }
    serve(Some(list(7, times)));
    keeper.update(from_ref(&instance)).await.expect("the same");
    serve(None);
    keeper
        .update(from_ref(&instance))
        .await
        .expect("a newer one");
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
