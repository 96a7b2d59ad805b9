//! A program behind a sidecar, and a sidecar that leads others there.

use std::net::SocketAddr;
use std::path::PathBuf;

use lab::topology::Plan as LabPlan;
use mtc_tls::key::KeyAlgorithm;
use tempfile::TempDir;
use test_support::test_lab::{TestFolder, TestLab, small};

use crate::beside::{Plan, Ports, Program, Sidecar, fqdn, nghttpd};

/// An address that nobody has (RFC 5737).
pub(crate) const NOWHERE: &str = "192.0.2.7";
/// The X.509 profile of the lab.
pub(crate) const PROFILE: &str = "x509-ecdsa-p256-intermediate";

/// A lab, a program behind a sidecar, and a sidecar that leads others there.
pub(crate) struct Pair {
    pub(crate) lab: TestLab,
    /// In front of the program.
    pub(crate) server: Sidecar,
    /// Behind which clients are.
    pub(crate) client: Sidecar,
    /// URL of the latter, without a path.
    pub(crate) url: String,
    /// URL of a port that goes over X.509.
    pub(crate) x509: String,
    /// A port for redirected connections.
    pub(crate) redirected: SocketAddr,
    /// What the program is asked.
    pub(crate) asked: PathBuf,
    _program: Program,
    pub(crate) folder: TempDir,
}

impl Pair {
    pub(crate) async fn start(inbound: &str) -> Self {
        let x509 = ("ecdsa-p256-intermediate".parse(), KeyAlgorithm::EcdsaP256);
        let plan = LabPlan {
            x509: vec![(x509.0.expect("a profile"), x509.1)],
            ..small()
        };
        let lab = TestLab::start(TestFolder::new(&plan)).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = folder.path().join("files");
        std::fs::create_dir(&files).expect("a new folder");
        std::fs::write(files.join("page"), "of the program\n").expect("a new file");
        let asked = folder.path().join("asked");
        let mut ports = Ports::new();
        let (program, peer) = (ports.next(), ports.next());
        let running = nghttpd(&files, program, &asked).await;
        let server = Plan {
            name: "program1",
            nf_type: "UDR",
            tables: format!(
                "[[inbound]]\nlisten = '{peer}'\nforward = 'http://{program}'\n{inbound}"
            ),
        };
        let server = Sidecar::start(&lab, server, ports.next()).await;
        let (mtc, x509, redirected) = (ports.next(), ports.next(), ports.next());
        let client = Plan {
            name: "client1",
            nf_type: "UDM",
            tables: format!(
                "[[outbound]]\nlisten = '{mtc}'\n\
                 [[outbound]]\nlisten = '{x509}'\ntrust_domain = '{PROFILE}'\n\
                 [[outbound]]\nlisten = '{redirected}'\nredirected = true\n\
                 [[peer]]\nname = 'program'\ncalled = ['program.test', '{NOWHERE}:80']\naddress = '{peer}'\nfqdn = '{}'\nnf_type = 'UDR'\n\
                 [[peer]]\nname = 'other'\ncalled = ['other.test']\naddress = '{peer}'\nfqdn = '{}'\n",
                fqdn("program1"),
                fqdn("program2"),
            ),
        };
        let client = Sidecar::start(&lab, client, ports.next()).await;
        Self {
            lab,
            server,
            client,
            url: format!("http://{mtc}"),
            x509: format!("http://{x509}"),
            redirected,
            asked,
            _program: running,
            folder,
        }
    }

    /// What the program was asked.
    pub(crate) fn asked(&self) -> String {
        std::fs::read_to_string(&self.asked).expect("it was asked")
    }

    pub(crate) async fn end(self) {
        self.client.stop();
        self.client.ends().await;
        self.server.stop();
        self.server.ends().await;
        self.lab.topology.stop().await;
    }
}
