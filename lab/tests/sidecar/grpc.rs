//! gRPC through two sidecars: etcd and its client, whose calls need trailers and whose watches do not end.

use std::process::Stdio;
use std::time::Duration;

use test_support::command::within;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::beside::{Ports, Program, Sidecar, are_there};
use crate::pair::Pair;

#[tokio::test]
async fn calls_and_long_watches_of_grpc_pass() {
    if !are_there(&["etcd", "etcdctl", "nghttpd"]) {
        return;
    }
    let pair = Pair::start("").await;
    let mut ports = Ports::new();
    let (etcd, peer_port, outbound) = (ports.next(), ports.next(), ports.next());
    let mut command = Command::new("etcd");
    command
        .args(["--data-dir", "data", "--unsafe-no-fsync"])
        .args(["--listen-client-urls", &format!("http://{etcd}")])
        .args(["--advertise-client-urls", &format!("http://{etcd}")])
        .args(["--listen-peer-urls", &format!("http://{peer_port}")])
        .current_dir(pair.folder.path());
    let _etcd = Program::start(&mut command, etcd, &pair.folder.path().join("etcd")).await;
    let names = [("etcd1", "UDSF"), ("etcdctl1", "UDM")];
    let inbound = format!("forward = 'http://{etcd}'");
    let listen = format!("listen = '{outbound}'");
    let [server, client] = Sidecar::between(&pair.lab, &mut ports, names, &inbound, &listen).await;
    let etcdctl = |arguments: &[&str]| {
        let mut command = Command::new("etcdctl");
        command
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &outbound.to_string()])
            .args(arguments)
            .kill_on_drop(true)
            .stdout(Stdio::piped());
        command
    };
    let mut watch = etcdctl(&["watch", "key"])
        .spawn()
        .expect("etcdctl is there");
    let mut seen = BufReader::new(watch.stdout.take().expect("it is piped")).lines();
    // Nothing says when the watch has begun: what is put until then it does not see.
    let value = within(async {
        loop {
            let put = etcdctl(&["put", "key", "value"]).output().await;
            let put = put.expect("etcdctl is there");
            assert!(put.status.success(), "{put:?}");
            let next = tokio::time::timeout(Duration::from_secs(1), seen.next_line());
            if let Ok(line) = next.await {
                break line.expect("text");
            }
        }
    });
    assert_eq!(value.await.as_deref(), Some("PUT"));

    // A watch does not end by itself, and does not keep a sidecar from ending.
    client.stop();
    client.ends().await;
    server.stop();
    server.ends().await;
    pair.end().await;
}
