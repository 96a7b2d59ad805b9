//! Connections that the kernel redirects to a sidecar.

use test_support::command::within;
use tokio::process::Command;

use crate::beside::{are_there, curl};
use crate::pair::{NOWHERE, Pair};

/// Says that a test runs in a network namespace of its own.
const INSIDE: &str = "MTC5G_TEST_INSIDE";

#[tokio::test]
async fn redirected_connections_go_to_whom_the_program_has_called() {
    if !are_there(&["nghttpd", "curl", "nft", "unshare", "ip"]) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root has network namespaces");
        return;
    }
    if std::env::var_os(INSIDE).is_none() {
        let own = std::env::current_exe().expect("the system knows the running program");
        let inside = Command::new("unshare")
            .args(["--net", "--"])
            .arg(own)
            .args(["--nocapture", "redirected_connections"])
            .env(INSIDE, "1")
            .output();
        let inside = within(inside).await.expect("unshare is there");
        let said = String::from_utf8_lossy(&inside.stdout);
        assert!(
            inside.status.success() && said.contains("1 passed"),
            "{inside:?}"
        );
        return;
    }
    let sh = async |script: String| {
        let ended = Command::new("sh").args(["-euc", &script]).output().await;
        let ended = ended.expect("a shell");
        assert!(ended.status.success(), "{ended:?}");
    };
    sh("ip link set lo up; ip route add default dev lo src 127.0.0.1".to_owned()).await;
    let pair = Pair::start("").await;
    let port = pair.redirected.port();
    sh(format!(
        "nft add table ip nat
         nft add chain ip nat output '{{ type nat hook output priority -100; }}'
         nft add rule ip nat output ip daddr {NOWHERE} tcp dport 80 redirect to :{port}"
    ))
    .await;
    let got = curl(&[&format!("http://{NOWHERE}/page")]).await;
    assert_eq!(got.stdout, "of the program\n", "{got:?}");
    // What was not redirected means nobody.
    let direct = curl(&[&format!("http://{}/page", pair.redirected)]).await;
    assert_ne!(direct.code(), Some(0), "{direct:?}");
    pair.end().await;
}
