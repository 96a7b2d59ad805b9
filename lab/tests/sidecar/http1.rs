//! A program that knows nothing newer than HTTP/1.1, and one that reaches its sidecar through a Unix socket.

use std::os::unix::fs::PermissionsExt as _;

use test_support::test_lab::{TestFolder, TestLab, small};
use tokio::process::Command;

use crate::beside::{Ports, Program, Sidecar, are_there, curl};

#[tokio::test]
async fn a_server_of_http1_is_reached_through_a_unix_socket() {
    if !are_there(&["python3", "curl"]) {
        return;
    }
    let lab = TestLab::start(TestFolder::new(&small())).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let long = vec![b'x'; 1 << 20];
    for (name, text) in [("page", &b"of the program\n"[..]), ("long", &long)] {
        std::fs::write(folder.path().join(name), text).expect("a new file");
    }
    let mut ports = Ports::new();
    let program = ports.next();
    let mut command = Command::new("python3");
    command
        .args(["-m", "http.server", "--protocol", "HTTP/1.1", "--bind"])
        .args([&program.ip().to_string(), &program.port().to_string()])
        .current_dir(folder.path());
    let asked = folder.path().join("asked");
    let _program = Program::start(&mut command, program, &asked).await;
    let socket = folder.path().join("out.sock");
    let names = [("program1", "UDR"), ("client1", "UDM")];
    let inbound = format!("forward = 'http1://{program}'");
    let listen = format!("listen = 'unix:{}'\nsocket_mode = '660'", socket.display());
    let [server, client] = Sidecar::between(&lab, &mut ports, names, &inbound, &listen).await;
    let file = std::fs::metadata(&socket).expect("it is there");
    assert_eq!(file.permissions().mode() & 0o777, 0o660);

    let socket_text = socket.to_str().expect("temporary folders are text");
    let through = ["--unix-socket", socket_text];
    for version in ["--http2-prior-knowledge", "--http1.1"] {
        let page = [&through[..], &[version, "http://program.test/page"]].concat();
        let got = curl(&page).await;
        assert_eq!(got.stdout, "of the program\n", "{got:?}");
    }
    let got = curl(&[&through[..], &["http://program.test/long"]].concat()).await;
    assert_eq!(got.stdout.as_bytes(), long, "{}", got.stderr);
    let status = ["-o", "/dev/null", "-w", "%{http_code}"];
    for (more, code) in [
        (&["-I", "http://program.test/page"][..], "200"),
        (&["http://program.test/none"], "404"),
        // It takes none, and may answer before the body has come.
        (&["-d", "body", "http://program.test/page"], "501"),
    ] {
        let asking = [&through[..], &status, more].concat();
        let mut got = curl(&asking).await;
        // A program that closes a connection with something unread resets it, which may take the answer along (RFC 9112 section 9.6): then it
        // is asked again, as whoever lost it would.
        let mut attempts = 1;
        while matches!(&*got.stdout, "000" | "504") && attempts < 10 {
            got = curl(&asking).await;
            attempts += 1;
        }
        assert_eq!(got.stdout, code, "{got:?} after {attempts} attempts");
    }
    let asked = std::fs::read_to_string(asked).expect("it was asked");
    assert!(asked.contains("\"GET /page HTTP/1.1\" 200"), "{asked}");

    client.stop();
    client.ends().await;
    assert!(!socket.exists());
    server.stop();
    server.ends().await;
    lab.topology.stop().await;
}
