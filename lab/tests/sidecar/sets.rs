//! Sidecars that read the trusted sets of their node, and have no way to the log.

use std::net::SocketAddr;

use lab::topology::Plan as LabPlan;
use nf_nrf::revocation::Answer;
use test_support::command::{mtc5g, within};
use test_support::distributor::Distributor;
use test_support::ports::localhost;
use test_support::test_lab::{TestFolder, TestLab, shows, small};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::beside::{Ports, Sidecar};

/// A program that sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(localhost(0)).await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    at
}

/// What comes back over a connection to `at`; nothing if it is cut off.
async fn ask(at: SocketAddr) -> String {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    let mut answer = Vec::new();
    let asked = async {
        stream.write_all(b"question").await?;
        stream.shutdown().await?;
        stream.read_to_end(&mut answer).await
    };
    // A connection that is cut off ends with an error or without one.
    let _ = within(asked).await;
    String::from_utf8(answer).expect("text")
}

/// Completed handshakes of `sidecar` with peers that showed a landmark-relative certificate.
async fn by_landmark(sidecar: &Sidecar, side: &str) -> f64 {
    let of = format!(
        "sbi_handshake_duration_seconds_count{{credential=\"mtc-landmark\",key_exchange=\"X25519MLKEM768\",\
         leaf_key=\"ml-dsa-65\",result=\"ok\",side=\"{side}\"}}"
    );
    sidecar.metrics().await.value(&of)
}

#[tokio::test]
async fn sidecars_learn_landmarks_and_who_is_revoked_from_the_sets_of_their_node() {
    let folder = TestFolder::new(&LabPlan {
        await_landmarks: true,
        ..small()
    });
    let mut distributor = Distributor::add_to(&folder).await;
    let lab = TestLab::start(folder).await;
    let (mut ports, program) = (Ports::new(), echo().await);
    let old = std::fs::read_to_string(distributor.current()).expect("a set");
    let outbound = ports.next();
    let names = [("program1", "UDR"), ("client1", "UDM")];
    let inbound = format!("forward = 'tcp://{program}'");
    let listen = format!("listen = '{outbound}'\nprotocol = 'tcp'\ntrust_domain = 'mtc-landmark'");
    let [server, client] = Sidecar::between(&lab, &mut ports, names, &inbound, &listen).await;

    // The client's landmark is younger than the server, which takes it from a set.
    let landmark = client.metrics().await.value("mtc_newest_landmark");
    shows(server.admin, |metrics| {
        metrics.value("mtc_newest_landmark") >= landmark
    })
    .await;
    assert_eq!(ask(outbound).await, "question");
    assert_eq!(by_landmark(&server, "server").await, 1.0);
    let by_client = by_landmark(&client, "client").await;
    assert!(by_client >= 1.0, "{by_client}");

    // An older set, one that nobody has signed and half a one change nothing.
    distributor.kill().await;
    let poisoned = distributor.poisoned();
    for bad in [&old, &poisoned, &poisoned[..poisoned.len() / 2]] {
        distributor.replace_current(bad);
        let refused = "mtc_distribution_refused_total";
        let before = server.metrics().await.value(refused);
        // The first look may have begun before the set was there.
        shows(server.admin, |metrics| {
            metrics.value(refused) > before + 1.0
        })
        .await;
    }
    assert_eq!(ask(outbound).await, "question");
    assert_eq!(by_landmark(&server, "server").await, 2.0);
    distributor.restart().await;

    // Whoever is revoked gets no connection any more, and is cut off from those that it has.
    let mut open = TcpStream::connect(outbound).await.expect("it listens");
    open.write_all(b"question").await.expect("it is taken");
    let mut begun = [0; 8];
    let answered = within(open.read_exact(&mut begun)).await;
    answered.expect("an answer");
    let path = lab
        .folder
        .path()
        .to_str()
        .expect("temporary folders are text");
    let id = client.id.to_string();
    let revoked = mtc5g(["revoke", path, "--instance", &id, "--json"]).await;
    assert_eq!(revoked.code(), Some(0), "{}", revoked.stderr);
    let answer: Answer = serde_json::from_str(&revoked.stdout).expect("one document");
    let list = answer.list.expect("it is published").number as f64;
    shows(server.admin, |metrics| {
        metrics.value("mtc_revocation_list_number") >= list
    })
    .await;
    let rest = within(open.read(&mut begun)).await;
    assert!(matches!(rest, Ok(0) | Err(_)), "{rest:?}");
    let closed = "nf_revoked_connections_closed_total{side=\"server\"}";
    assert_eq!(server.metrics().await.value(closed), 1.0);
    assert_eq!(ask(outbound).await, "");
    assert_eq!(distributor.readers_asked(), 0, "the log is asked by one");

    client.stop();
    client.ends().await;
    server.stop();
    let said = server.ends().await.stderr;
    assert!(said.contains("is revoked"), "{said}");
    lab.topology.stop().await;
}
