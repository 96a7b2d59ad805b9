//! NF instances that have no certificate yet, and configuration files with what every NF needs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use mtc_core::ca::CaCertificate;
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::verify::CaTrust;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{CredentialSet, MtcTrust};
use sbi::config::{ConfigError, NrfAddress};
use sbi::instance::Instance;
use sbi::ledger::Ledger;
use sbi::model::NfType;
use sbi::nnrf::Nrf;
use tokio::net::TcpSocket;

/// What every NF needs.
const NF: &str = r#"
    [nf]
    trust = "trust.toml"
    state = "state"
    admin = "127.0.0.1:0"
    nrf = { sbi = "127.0.0.1:7777", fqdn = "nrf1.5gc.mnc001.mcc001.3gppnetwork.org", log = "127.0.0.1:7778" }
    credential = [{ profile = "mtc", leaf_key = "ml-dsa-65" }]
    [[nf.instance]]
    id = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01"
    fqdn = "nf1.5gc.mnc001.mcc001.3gppnetwork.org"
    listen = "127.0.0.1:0"
"#;

/// Reads a configuration file that has what every NF needs, and `more`.
///
/// # Errors
/// Those of `load`.
///
/// # Panics
/// The disk refuses.
pub fn configured<C>(
    more: &str,
    load: impl FnOnce(&Path) -> Result<C, ConfigError>,
) -> Result<C, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nf.toml");
    std::fs::write(&path, format!("{NF}{more}")).expect("a file");
    load(&path)
}

/// An instance that trusts a CA nobody else knows, and has no certificate.
///
/// # Panics
/// `id` is no UUID.
pub fn instance(nf_type: NfType, id: &str, fqdn: &str) -> Arc<Instance> {
    let key = SecretKey::generate(SignatureAlgorithm::Ed25519).expect("a key");
    let ca = CaCertificate {
        cosigner: Cosigner {
            id: "32473.1".parse().expect("a trust anchor id"),
            key: key.public_key().expect("a public key"),
        },
        min_serial: 0,
        max_serial: u64::MAX,
        prefix_url: None,
    };
    Arc::new(Instance::new(
        id.parse().expect("a UUID"),
        nf_type,
        fqdn.to_owned(),
        CredentialSet::new(MtcTrust::new(CaTrust::ca_alone(&ca)), Vec::new()),
        Clock::default(),
        Arc::new(Ledger::default()),
    ))
}

/// An NRF at `sbi`.
pub fn nrf(sbi: SocketAddr) -> Nrf {
    Nrf::new(&NrfAddress {
        sbi: sbi.into(),
        fqdn: "nrf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned(),
        log: sbi.into(),
    })
}

/// A port of 127.0.0.1 at which nobody listens, for as long as the socket is there: it is bound, so that nobody else gets it.
///
/// # Panics
/// The system has no port.
pub fn closed_port() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(([127, 0, 0, 1], 0).into())
        .expect("a free port");
    let addr = socket.local_addr().expect("a bound socket has an address");
    (socket, addr)
}
