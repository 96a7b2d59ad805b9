//! Enrolment by ACME from the command line alone: `mtc5g token --acme`, `certbot`, and what `mtc5g` says of the certificate.

use std::fs;

use lab::topology::Plan;
use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use tokio::process::Command;

use test_support::command::mtc5g;
use test_support::detour::Detour;
use test_support::ports::{eight_ports, localhost};
use test_support::test_lab::{TestFolder, TestLab, small};

/// Whether certbot is there; says loudly that the test is skipped if not.
async fn is_installed() -> bool {
    let found = Command::new("certbot").arg("--version").output().await;
    if found.is_err() {
        eprintln!("SKIPPED: certbot is not installed (apt-get install certbot)");
    }
    found.is_ok()
}

#[tokio::test]
async fn certbot_gets_a_certificate_that_relying_parties_verify() {
    if !is_installed().await {
        return;
    }
    let profile = X509Profile {
        ca_signature: KeyAlgorithm::EcdsaP256,
        intermediates: Intermediates::One,
        revocation: X509Revocation::None,
    };
    let plan = Plan {
        x509: vec![(profile, KeyAlgorithm::EcdsaP256)],
        ..small()
    };
    let folder = TestFolder::new(&plan);
    let path = folder.path().to_owned();
    let lab = path.to_str().expect("temporary folders are text");
    let of_type = |nf_type: &str| {
        let mut instances = folder.lab.instances.iter();
        instances
            .find(|nf| nf.nf_type == nf_type)
            .expect("there is one")
    };
    let amf = of_type("AMF").instance_id.to_string();
    let token = ["token", lab, &amf, "--acme"];
    let early = mtc5g(token).await;
    assert_ne!(early.code(), Some(0));
    assert!(early.error().contains("[acme]"), "{}", early.stderr);

    let nrf = folder.lab.config_file("nrf");
    let mut config = fs::read_to_string(&nrf).expect("configuration is readable");
    let fqdn = config.lines().find_map(|line| line.strip_prefix("fqdn = "));
    let fqdn = fqdn.expect("it has one").trim_matches('"').to_owned();
    let listen = localhost(eight_ports());
    config +=
        &format!("\n[acme]\nlisten = \"{listen}\"\nexternal_accounts = \"enrolment/acme.key\"\n");
    fs::write(&nrf, config).expect("configuration is written");
    let _running = TestLab::start(folder).await;

    let minted = mtc5g(token).await;
    assert_eq!(minted.code(), Some(0), "{}", minted.stderr);
    let root = format!("{lab}/x509/{profile}/root.crt");
    assert!(
        minted
            .stdout
            .contains(&format!("REQUESTS_CA_BUNDLE={root}")),
        "{}",
        minted.stdout
    );
    let detour = Detour::start(format!("{fqdn}:{}", listen.port()), listen).await;
    let configuration = format!("tokens/{amf}.acme.ini");
    let mut certbot = Command::new("certbot");
    certbot
        .args(["certonly", "--config", &configuration])
        .args([
            "--config-dir",
            "certbot",
            "--work-dir",
            "certbot",
            "--logs-dir",
            "certbot",
        ])
        .env("REQUESTS_CA_BUNDLE", &root)
        .env("HTTPS_PROXY", &detour.url)
        .current_dir(&path);
    let ended = certbot.output().await.expect("certbot is installed");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");

    let certificate = format!("{lab}/certbot/live/{amf}/cert.pem");
    let trust = format!("{lab}/trust.toml");
    let verified = mtc5g(["cert", "verify", "--trust", &trust, &certificate]).await;
    assert_eq!(verified.code(), Some(0), "{}", verified.stderr);
    let inspected = mtc5g(["cert", "inspect", &certificate]).await;
    assert!(inspected.stdout.contains(&amf), "{}", inspected.stdout);
}
