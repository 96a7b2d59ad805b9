//! Revocation in a running lab: by command, through the list that the NRF publishes, to processes that refuse who is revoked.

use std::path::Path;
use std::time::Duration;

use experiment::scenario::Nf;
use lab::topology::Plan;
use mtc_core::x509::Certificate;
use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use mtc_tls::revocation::crl::{Crl, MAX_CRL};
use mtc_tls::revocation::crl_paths;
use mtc_tools::certificate_file::read_certificate;
use mtc_web::{Client, Prefix};
use nf_nrf::config::NrfConfig;
use nf_nrf::revocation::{Answer, PublishedList};
use tokio::time::sleep;

use test_support::command::{Ended, mtc5g, within};
use test_support::test_lab::{Metrics, TestFolder, TestLab, small};

/// Between looks at metrics: what they tell can only be asked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How the peer of whoever is revoked says so.
const REFUSED: &str = "CertificateRevoked";

async fn revoke(lab: &str, arguments: &[&str]) -> Ended {
    mtc5g([&["revoke", lab], arguments].concat()).await
}

fn json<T: serde::de::DeserializeOwned>(ended: &Ended) -> T {
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("one document")
}

/// Waits until a list is in force in a process.
async fn is_in_force(lab: &mut TestLab, nf: Nf, number: u64) {
    let admin = lab.topology.admin(nf).expect("it was started");
    let in_force = async {
        loop {
            let metrics = Metrics::read(admin).await;
            if metrics.value("mtc_revocation_list_number") >= number as f64 {
                return;
            }
            sleep(LOOK_INTERVAL).await;
        }
    };
    within(in_force).await;
}

/// A short load in which nothing may succeed.
async fn is_refused(lab: &mut TestLab) {
    lab.start_load(20.0, Duration::from_secs(1)).await;
    for variant in lab.load_result().await.variants {
        assert!(variant.attempts > 0 && variant.ok == 0, "{variant:?}");
        let revoked = |cause: &String| cause.contains(REFUSED);
        assert!(variant.errors.keys().any(revoked), "{:?}", variant.errors);
    }
}

#[tokio::test]
async fn an_x509_certificate_is_in_the_crl_when_the_command_returns() {
    let profile = X509Profile {
        ca_signature: KeyAlgorithm::EcdsaP256,
        intermediates: Intermediates::None,
        revocation: X509Revocation::Crl,
    };
    let folder = TestFolder::new(&Plan {
        x509: vec![(profile, KeyAlgorithm::EcdsaP256)],
        ..small()
    });
    let path = folder.path().to_str().expect("temporary folders are text");
    let path = path.to_owned();
    let nrf: NrfConfig = sbi::config::load(&folder.lab.config_file("nrf")).expect("it is sound");
    let _lab = TestLab::start(folder).await;
    let own = format!("{path}/amf1");
    let exported = mtc5g(["identity", "export", &path, "amf1", &own]).await;
    assert_eq!(exported.code(), Some(0), "{}", exported.stderr);
    let file = format!("{own}/x509-{profile}-ecdsa-p256.pem");
    let leaf = read_certificate(Path::new(&file)).expect("a certificate");
    let serial = Certificate::parse(&leaf).expect("a certificate").serial;
    let prefix: Prefix = nrf.log_listen.into();
    let client = Client::new(prefix, Duration::from_secs(10)).expect("no TLS");
    let url = crl_paths(profile).last().expect("of the leaves' issuer");
    let has_it = async || {
        let list = client.file(&url, MAX_CRL).await.expect("it is served");
        let serials =
            Crl::parse(&list).and_then(|list| list.serials().map(|of| of.contains(&serial)));
        serials.expect("a list")
    };
    assert!(!has_it().await);
    for _ in 0..2 {
        let answer: Answer = json(&revoke(&path, &["--certificate", &file, "--json"]).await);
        assert_eq!((answer.revoked, answer.list), (vec![], None));
        assert!(has_it().await);
    }
    let said = revoke(&path, &["--certificate", &file]).await;
    assert!(said.stdout.contains("CRLs"), "{}", said.stdout);
}

#[tokio::test]
async fn who_is_revoked_is_refused_by_all_and_stays_so_after_crashes() {
    let folder = TestFolder::new(&small());
    let path = folder.path().to_str().expect("temporary folders are text");
    let path = path.to_owned();
    let id_of = |nf_type: &str| {
        let mut instances = folder.lab.instances.iter();
        let found = instances.find(|nf| nf.nf_type == nf_type);
        found.expect("there is one").instance_id.to_string()
    };
    let (amf, unknown) = (id_of("AMF"), uuid::Uuid::nil().to_string());
    let mut lab = TestLab::start(folder).await;
    lab.expect_service().await;
    let empty: PublishedList = json(&revoke(&path, &["--list", "--json"]).await);
    assert!(empty.ranges.is_empty());

    let nobody = revoke(&path, &["--instance", &unknown]).await;
    assert_eq!(nobody.code(), Some(1));
    assert!(nobody.error().contains("404"), "{}", nobody.stderr);
    let future = revoke(&path, &["--serial", "1:0-1:99999"]).await;
    assert_eq!(future.code(), Some(1));
    assert!(future.error().contains("issued"), "{}", future.stderr);

    // It works when the order comes.
    lab.start_load(20.0, Duration::from_secs(5)).await;
    lab.load_is_under_way().await;
    let order = ["--instance", &amf, "--reason", "key-compromise", "--json"];
    let answer: Answer = json(&revoke(&path, &order).await);
    let list = answer.list.expect("it is published");
    assert!(list.number > empty.number);
    assert_eq!(list.ranges.len(), answer.revoked.len());
    for nf in [Nf::Nrf, Nf::Scp, Nf::Amf, Nf::Smf] {
        is_in_force(&mut lab, nf, list.number).await;
    }
    for variant in lab.load_result().await.variants {
        let refused = variant.errors.keys().any(|cause| cause.contains(REFUSED));
        assert!(variant.ok > 0 && refused, "{variant:?}");
    }
    is_refused(&mut lab).await;

    // Both come back with what they knew, whatever the other knows.
    for nf in [Nf::Smf, Nf::Nrf] {
        within(lab.topology.kill(nf)).await.expect("it was running");
        within(lab.topology.restart(nf)).await.expect("it starts");
        is_in_force(&mut lab, nf, list.number).await;
        is_refused(&mut lab).await;
    }
    let again: PublishedList = json(&revoke(&path, &["--list", "--json"]).await);
    assert!(again.number >= list.number);
    assert_eq!(again.ranges, list.ranges);
    let repeated: Answer = json(&revoke(&path, &order).await);
    assert_eq!(repeated.revoked, answer.revoked, "carried out once");
}
