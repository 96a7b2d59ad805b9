//! Enrolment by CMP from the command line alone: `mtc5g token --cmp`, `openssl cmp`, and what `mtc5g` says of the certificate.

use std::fs;
use std::path::Path;

use hyper::Method;
use lab::topology::Plan;
use mtc_tls::key::KeyAlgorithm;
use sbi::client::{Connection, Request};
use tokio::process::Command;

use test_support::command::{PATIENCE, mtc5g};
use test_support::ports::{eight_ports, localhost};
use test_support::test_lab::{TestFolder, TestLab, small};

/// Runs openssl in a folder.
async fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command
        .args(arguments.split_whitespace())
        .current_dir(folder);
    let ended = command.output().await.expect("openssl is installed");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "openssl {arguments}: {said}");
}

#[tokio::test]
async fn openssl_gets_a_certificate_that_relying_parties_verify() {
    // OpenSSL 3.0 verifies nothing that is signed with ML-DSA.
    let plan = Plan {
        mtc: vec![KeyAlgorithm::EcdsaP256],
        ..small()
    };
    let folder = TestFolder::new(&plan);
    let path = folder.path().to_owned();
    let text = |file: &str| path.join(file).to_str().expect("text").to_owned();
    let lab = path.to_str().expect("temporary folders are text");
    let amf = folder.lab.instances.iter().find(|nf| nf.nf_type == "AMF");
    let amf = amf.expect("there is one").instance_id.to_string();
    let token = ["token", lab, &amf, "--cmp"];

    let early = mtc5g(token).await;
    assert_ne!(early.code(), Some(0));
    assert!(early.error().contains("[cmp]"), "{}", early.stderr);

    let nrf = folder.lab.config_file("nrf");
    let mut config = fs::read_to_string(&nrf).expect("configuration is readable");
    let listen = localhost(eight_ports());
    config += &format!("\n[cmp]\nlisten = \"{listen}\"\nsecrets = \"enrolment/cmp.key\"\n");
    fs::write(&nrf, config).expect("configuration is written");
    let running = TestLab::start(folder).await;

    let minted = mtc5g(token).await;
    assert_eq!(minted.code(), Some(0), "{}", minted.stderr);
    openssl(
        &path,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
    )
    .await;
    let enrol = format!("cmp -config tokens/{amf}.cmp.cnf -newkey key.pem -certout amf.pem");
    openssl(&path, &enrol).await;

    let verified = mtc5g([
        "cert",
        "verify",
        "--trust",
        &text("trust.toml"),
        &text("amf.pem"),
    ])
    .await;
    assert_eq!(verified.code(), Some(0), "{}", verified.stderr);

    let server = format!(
        "cmp -server {listen} -path /.well-known/cmp/p/mtc -implicit_confirm -srvcert nrf.pem"
    );
    let connection = Connection::connect_cleartext(listen, PATIENCE).await;
    let signer = Request::new(Method::GET, listen.to_string(), "/.well-known/cmp/p/mtc");
    let signer = connection.expect("it listens").send(signer, PATIENCE).await;
    fs::write(path.join("nrf.pem"), signer.expect("an answer").body).expect("written");
    let verified = mtc5g([
        "cert",
        "verify",
        "--trust",
        &text("trust.toml"),
        &text("nrf.pem"),
    ])
    .await;
    assert_eq!(verified.code(), Some(0), "{}", verified.stderr);
    openssl(
        &path,
        &format!("{server} -cmd rr -cert amf.pem -key key.pem -oldcert amf.pem"),
    )
    .await;

    // Whoever has it makes its landmark-relative form of the public log.
    let log = running.folder.lab.nrf.log.to_string();
    let log = format!("{}/1/", log.trim_end_matches('/'));
    let (amf, relative) = (text("amf.pem"), text("amf-landmark.pem"));
    let arguments = [
        "log",
        "prove",
        &log,
        "--certificate",
        &amf,
        "--landmark-certificate",
        &relative,
    ];
    loop {
        // Until its landmark is there, a second later.
        let proven = mtc5g(arguments).await;
        if proven.code() == Some(0) {
            break;
        }
        assert!(proven.stderr.contains("landmark"), "{}", proven.stderr);
    }
    let inspected = mtc5g(["cert", "inspect", &relative]).await;
    assert!(
        inspected.stdout.contains("landmark-relative"),
        "{}",
        inspected.stdout
    );
}
