//! What a supervisor asks the admin ports of a lab's processes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use experiment::scenario::Nf;
use link::Host;
use nf_nrf::revocation::Answer;
use sbi::address::Address;
use sbi::client::{ClientError, Connection, Request};
use sbi::ledger::Measurements;
use sbi::process::Event;
use sbi::response::Response;
use sbi::uri::Scheme;
use tokio::net::TcpStream;

use super::child::ChildError;
use super::{Topology, TopologyError};

const TIMEOUT: Duration = Duration::from_secs(5);

impl Topology {
    /// Where the admin port of a process is.
    ///
    /// # Errors
    /// It was not started, or has not said.
    pub fn admin(&mut self, nf: Nf) -> Result<SocketAddr, ChildError> {
        let seen = self.child(nf)?.seen(|event| match event {
            Event::AdminListening { addr } => Some(*addr),
            _ => None,
        });
        seen.ok_or(ChildError::NotStarted { name: nf.as_str() })
    }

    /// What the handshakes of a process have cost so far.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn measurements(&mut self, nf: Nf) -> Result<Measurements, TopologyError> {
        let joined = self.joined.iter().find(|(joined, _)| *joined == nf);
        let Some((_, address)) = joined else {
            let addr = self.admin(nf)?;
            return self.admin_port(nf, addr).measurements().await;
        };
        let all = address.resolve_all().await;
        let all = all.map_err(|source| TopologyError::Unknown { nf, source })?;
        let mut sum = Measurements::default();
        for addr in all {
            sum.merge(&self.admin_port(nf, addr).measurements().await?);
        }
        Ok(sum)
    }

    /// Has the NRF carry out an order.
    pub(super) async fn carry_out(&mut self, order: String) -> Result<Answer, TopologyError> {
        let addr = self.admin(Nf::Nrf)?;
        let port = self.admin_port(Nf::Nrf, addr);
        let answered = async {
            let connection = port.connect().await?;
            crate::revocation::carry_out(&connection, &addr.to_string(), order).await
        };
        answered.await.map_err(|source| port.failed(source))
    }

    /// Whether every replica of a network function that runs without us is ready, and there is one.
    pub(super) async fn is_ready(&self, nf: Nf, address: &Address) -> Result<(), TopologyError> {
        let all = address.resolve_all().await;
        for addr in all.map_err(|source| TopologyError::Unknown { nf, source })? {
            self.admin_port(nf, addr).is_ready().await?;
        }
        Ok(())
    }

    fn admin_port(&self, nf: Nf, addr: SocketAddr) -> AdminPort<'_> {
        let host = self.host(nf);
        AdminPort { nf, addr, host }
    }
}

/// The admin port of a process.
struct AdminPort<'a> {
    nf: Nf,
    addr: SocketAddr,
    /// The host that the process is on, if not on this one.
    host: Option<&'a Host>,
}

impl AdminPort<'_> {
    async fn is_ready(&self) -> Result<(), TopologyError> {
        let asked = self.get("/readyz").await;
        asked.map(drop).map_err(|source| self.failed(source))
    }

    async fn measurements(&self) -> Result<Measurements, TopologyError> {
        let asked = self.get("/measurements").await;
        let read = asked.and_then(|response| response.read_json().map_err(ClientError::Body));
        read.map_err(|source| self.failed(source))
    }

    async fn get(&self, path: &str) -> Result<Response, ClientError> {
        let request = Request::new(hyper::Method::GET, self.addr.to_string(), path);
        self.connect().await?.call(request, TIMEOUT).await
    }

    /// Connects from the process's own host: what a supervisor asks takes no link's capacity.
    async fn connect(&self) -> Result<Connection, ClientError> {
        let addr = self.addr;
        let Some(host) = self.host.cloned() else {
            return Connection::connect_cleartext(addr, TIMEOUT).await;
        };
        let connect = move || {
            host.namespace
                .run(|| std::net::TcpStream::connect_timeout(&addr, TIMEOUT))
        };
        let connected = tokio::task::spawn_blocking(connect).await;
        let connected = connected.unwrap_or_else(|error| Err(io::Error::other(error)));
        let stream = connected.and_then(|stream| {
            stream.set_nonblocking(true)?;
            TcpStream::from_std(stream)
        });
        let stream = stream.map_err(|source| ClientError::Connect { addr, source })?;
        Connection::handshake(stream, Scheme::Http).await
    }

    fn failed(&self, source: ClientError) -> TopologyError {
        let (nf, addr) = (self.nf, self.addr);
        TopologyError::Admin { nf, addr, source }
    }
}
