//! HTTP through two sidecars.

use std::process::Stdio;

use test_support::command::within;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::beside::{are_there, curl, fqdn};
use crate::pair::{PROFILE, Pair};

#[tokio::test]
async fn programs_reach_each_other_and_know_nothing_of_certificates() {
    if !are_there(&["nghttpd", "curl"]) {
        return;
    }
    let headers = "[inbound.headers]\nforwarded_client_cert = true\nuser = 'X-Remote-User'\n\
                   [[inbound.allow]]\nnf_type = 'UDM'\nuser = 'system:udm'\n";
    let pair = Pair::start(headers).await;
    let page = format!("{}/page", pair.url);

    // By the authority of the request, over the MTCA; and over X.509.
    for page in [&page, &format!("{}/page", pair.x509)] {
        let got = curl(&[
            "-H",
            "Host: program.test",
            "-H",
            "X-Remote-User: root",
            page,
        ])
        .await;
        assert_eq!(got.stdout, "of the program\n", "{got:?}");
    }
    let asked = pair.asked();
    assert!(asked.contains("x-remote-user: system:udm"), "{asked}");
    assert!(!asked.contains("x-remote-user: root"), "{asked}");
    let cert = format!(";DNS={}", fqdn("client1"));
    let cert = asked.lines().find(|line| {
        line.contains("x-forwarded-client-cert: By=urn:uuid:") && line.contains(&cert)
    });
    assert!(cert.is_some(), "{asked}");
    assert!(asked.contains(":authority: program.test"), "{asked}");
    // Nothing is added that a program of others would wonder about.
    assert!(!asked.contains("3gpp-sbi-max-rsp-time"), "{asked}");

    // By the apiRoot, whose prefix is part of the path there.
    let root = "3gpp-Sbi-Target-apiRoot: http://program.test:80/edge";
    let got = curl(&["-o", "/dev/null", "-w", "%{http_code}", "-H", root, &page]).await;
    assert_eq!(got.stdout, "404", "nghttpd has no such file");
    assert!(pair.asked().contains(":path: /edge/page"));

    // Whoever is not there, or is another than is called, is not reached.
    for (host, detail) in [
        ("10.1.2.3", "no [[peer]] is called 10.1.2.3"),
        ("other.test", "refused the peer's certificate"),
    ] {
        let host = format!("Host: {host}");
        let got = curl(&["-w", "%{http_code}", "-H", &host, &page]).await;
        assert!(got.stdout.ends_with("504"), "{got:?}");
        assert!(got.stdout.contains(detail), "{got:?}");
    }

    // A body goes through.
    let body = pair.folder.path().join("body");
    std::fs::write(&body, vec![b'x'; 1 << 20]).expect("a new file");
    let body = format!("@{}", body.display());
    let got = curl(&["-H", "Host: program.test", "--data-binary", &body, &page]).await;
    assert_eq!(got.stdout, "of the program\n", "{got:?}");

    // It takes part in the measurements as every network function does.
    let metrics = pair.server.metrics().await;
    assert_eq!(metrics.value("nf_ready"), 1.0);
    let by_x509 = format!(
        "sbi_handshake_duration_seconds_count{{credential=\"{PROFILE}\",key_exchange=\"X25519MLKEM768\",\
         leaf_key=\"ecdsa-p256\",result=\"ok\",side=\"server\"}}"
    );
    assert_eq!(metrics.value(&by_x509), 1.0);
    pair.end().await;
}

/// Of the long file, in octets: more than all buffers between its ends.
const LONG: u64 = 32 << 20;
/// What a sidecar may take more than before, while nobody reads the long file.
const GROWTH: u64 = 16 << 20;

#[tokio::test]
async fn a_reader_that_stands_still_costs_little_and_gets_all_before_the_end() {
    if !are_there(&["nghttpd", "nghttp", "curl"]) {
        return;
    }
    let pair = Pair::start("").await;
    let long = std::fs::File::create(pair.folder.path().join("files/long"));
    long.and_then(|long| long.set_len(LONG))
        .expect("a new file");
    let page = format!("{}/page", pair.url);
    let read_page = async || {
        let got = curl(&["-H", "Host: program.test", &page]).await;
        assert_eq!(got.stdout, "of the program\n", "{got:?}");
    };
    read_page().await;
    let before = [pair.client.memory(), pair.server.memory()];

    let mut reader = Command::new("nghttp")
        .args(["-H", ":authority: program.test"])
        .arg(format!("{}/long", pair.url))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("nghttp is there");
    let mut output = reader.stdout.take().expect("it is piped");
    let mut first = vec![0; 1 << 20];
    within(output.read_exact(&mut first))
        .await
        .expect("the file's beginning");
    // Others get on meanwhile, over the same connection between the sidecars.
    for _ in 0..10 {
        read_page().await;
    }
    for (sidecar, before) in [&pair.client, &pair.server].into_iter().zip(before) {
        let grown = sidecar.memory().saturating_sub(before);
        assert!(grown < GROWTH, "{grown} octets");
    }

    // Requests in progress are finished when it is told to stop, and nobody gets in any more.
    pair.client.stop();
    let at = pair.url.strip_prefix("http://").expect("a URL").to_owned();
    within(async { while TcpStream::connect(&at).await.is_ok() {} }).await;
    let rest = within(tokio::io::copy(&mut output, &mut tokio::io::sink())).await;
    drop(output);
    let ended = within(reader.wait_with_output())
        .await
        .expect("nghttp ends");
    assert!(ended.status.success(), "{ended:?} {rest:?}");
    assert_eq!(rest.expect("the file's rest"), LONG - (1 << 20));
    pair.end().await;
}
