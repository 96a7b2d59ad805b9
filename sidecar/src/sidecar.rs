//! The process: ports, certificates and trust, then connections until it is told to stop.

use std::path::Path;
use std::sync::Arc;

use mtc_tls::profile::ClientAuth;
use sbi::config::ConfigError;
use sbi::instance::Instance;
use sbi::listener::{ListenError, bind, bind_local};
use sbi::metrics::Metrics;
use sbi::model::NfType;
use sbi::nf::{Enrolled, Life, NfError, enrol};
use sbi::process::{Control, Event, Events};
use sbi::server::Terms;

use crate::allow::{Allowed, Introduction};
use crate::config::{InboundConfig, OutboundConfig, PeerConfig, SidecarConfig};
use crate::inbound::Inbound;
use crate::local_address::LocalAddress;
use crate::metrics::SidecarMetrics;
use crate::outbound::Outbound;
use crate::program::{Program, ProgramTlsError, Protocol};
use crate::relay::Relayed;
use crate::tunnel;

/// What the process is called in its metrics and events, and its instance where it is told no type.
pub const PROCESS: &str = "SIDECAR";

/// Why a sidecar cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SidecarError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// TLS with the program.
    #[error(transparent)]
    ProgramTls(#[from] ProgramTlsError),
    /// Enrolment or trust.
    #[error(transparent)]
    Nf(#[from] NfError),
}

/// Runs a sidecar until it is told to stop.
///
/// # Errors
/// It cannot start.
pub async fn run(config: &Path, events: Events, control: Control) -> Result<(), SidecarError> {
    let config = SidecarConfig::load(config)?;
    let Control { stop, orders, .. } = control;
    let metrics = Metrics::new();
    let own_metrics = SidecarMetrics::new(&metrics.registry);
    let (process, nf) = (NfType::from(PROCESS), config.nf.clone());
    let enrolling = enrol(nf, process, metrics, events, stop.clone(), orders);
    let Enrolled { instances, life } = tokio::select! {
        enrolled = enrolling => enrolled?,
        () = stop.wait() => return Ok(()),
    };
    let mut sidecar = Sidecar {
        instance: instances.into_iter().next().expect("checked: one instance"),
        life,
        metrics: own_metrics,
    };
    for (number, inbound) in (1..).zip(config.inbound) {
        let own = config.nf.instance[0].listen;
        sidecar.serve_inbound(number, inbound, own)?;
    }
    for (number, outbound) in (1..).zip(&config.outbound) {
        sidecar.serve_outbound(number, outbound, &config.peer)?;
    }
    sidecar.life.lacks("");
    sidecar.life.tell_ready();
    sidecar.life.await_stop().await;
    sidecar.life.end().await;
    Ok(())
}

struct Sidecar {
    instance: Arc<Instance>,
    life: Life,
    metrics: SidecarMetrics,
}

impl Sidecar {
    /// Opens a port to peers.
    fn serve_inbound(
        &mut self,
        number: usize,
        config: InboundConfig,
        own: Option<std::net::SocketAddr>,
    ) -> Result<(), SidecarError> {
        let at = config
            .listen
            .or(own)
            .expect("checked: it listens somewhere");
        let (listener, addr) = bind(at, "inbound", "inbound.listen")?;
        let protocol = config.forward.protocol;
        let inbound = Arc::new(Inbound::new(
            Program::new(config.forward, config.tls.as_ref())?,
            Allowed::new(config.allow),
            Introduction::new(&config.headers, self.instance.id.uuid())?,
            self.metrics.clone(),
            self.life.stop(),
        ));
        match protocol {
            Protocol::Http => {
                let (auth, inbound) = (ClientAuth::Required, Arc::new(Relayed(inbound)));
                self.life
                    .serve_sbi(listener, addr, &self.instance, auth, inbound);
            }
            Protocol::Tcp => {
                let endpoint = self.instance.endpoint().speaking(&[tunnel::PROTOCOL]);
                let serve = move |stream, peer| inbound.clone().tunnel(stream, peer);
                self.life.serve_streams(listener, endpoint, serve);
            }
        }
        self.tell("inbound", number, addr.to_string());
        Ok(())
    }

    /// Opens a port to the program.
    fn serve_outbound(
        &mut self,
        number: usize,
        config: &OutboundConfig,
        peers: &[PeerConfig],
    ) -> Result<(), SidecarError> {
        let instance = self.instance.clone();
        let (metrics, stop) = (self.metrics.clone(), self.life.stop());
        let outbound = Arc::new(Outbound::new(config, peers, instance, metrics, stop)?);
        let budget = self.life.metrics.budget.clone();
        // Requests are counted where they are authenticated, on their way to the peer.
        let terms = move || Terms::new(None, budget.clone());
        let addr = match &config.listen {
            LocalAddress::Loopback(addr) => {
                let (listener, addr) = bind(*addr, "outbound", "outbound.listen")?;
                self.life.serve_local(listener, move |tcp, remote| {
                    outbound.clone().serve_tcp(tcp, remote, terms())
                });
                addr.to_string()
            }
            LocalAddress::Unix(path) => {
                let mode = config.socket_mode.unwrap_or_default();
                let socket = bind_local(path, mode.bits(), "outbound", "outbound.listen")?;
                self.life.serve_local(socket, move |stream, remote| {
                    let outbound = outbound.clone();
                    outbound.serve(stream, remote, None, terms())
                });
                config.listen.to_string()
            }
        };
        self.tell("outbound", number, addr);
        Ok(())
    }

    fn tell(&self, direction: &str, number: usize, addr: String) {
        self.life.events.tell(&Event::SidecarListening {
            port: format!("{direction} {number}"),
            addr,
        });
    }
}
