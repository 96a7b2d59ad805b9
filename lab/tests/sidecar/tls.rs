//! A program that speaks TLS of its own.

use tokio::process::Command;

use crate::beside::{Ports, Program, Sidecar, are_there, curl};
use crate::pair::Pair;

/// A CA, and certificates of a program and of whom it believes who others are.
const MAKE_CERTIFICATES: &str = "
    key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
    openssl req $key -x509 -days 2 -subj /CN=ca -keyout ca.key -out ca.crt
    for name in program proxy; do
        printf 'basicConstraints=CA:FALSE\nsubjectAltName=DNS:%s.test' $name >$name.ext
        openssl req $key -subj /CN=$name -keyout $name.key |
            openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.crt
    done";

#[tokio::test]
async fn a_program_that_speaks_nothing_but_tls_is_reached_and_shown_a_certificate() {
    if !are_there(&["nghttpd", "curl", "openssl"]) {
        return;
    }
    let pair = Pair::start("").await;
    let made = Command::new("sh")
        .args(["-euc", MAKE_CERTIFICATES])
        .current_dir(pair.folder.path())
        .output()
        .await;
    let made = made.expect("a shell");
    assert!(made.status.success(), "{made:?}");
    let mut ports = Ports::new();
    let (program, outbound) = (ports.next(), ports.next());
    let mut command = Command::new("nghttpd");
    command
        .args(["--verify-client", "-d", "files", "-a", "127.0.0.1"])
        .args([&program.port().to_string(), "program.key", "program.crt"])
        .current_dir(pair.folder.path());
    let _program = Program::start(&mut command, program, &pair.folder.path().join("tls")).await;
    let folder = pair.folder.path().display();
    let names = [("secret1", "UDSF"), ("guest1", "UDM")];
    let inbound = format!(
        "forward = 'https://{program}'\n\
         [inbound.tls]\nca = '{folder}/ca.crt'\nname = 'program.test'\n\
         certificate = '{folder}/proxy.crt'\nkey = '{folder}/proxy.key'"
    );
    let listen = format!("listen = '{outbound}'");
    let [server, client] = Sidecar::between(&pair.lab, &mut ports, names, &inbound, &listen).await;
    let got = curl(&[&format!("http://{outbound}/page")]).await;
    assert_eq!(got.stdout, "of the program\n", "{got:?}");
    for sidecar in [client, server] {
        sidecar.stop();
        sidecar.ends().await;
    }
    pair.end().await;
}
