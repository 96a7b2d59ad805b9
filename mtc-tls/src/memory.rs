//! A handshake in one thread, without sockets: what TLS costs by itself.
//!
//! ```text
//!  client ── ClientHello ──────────────────────> server     each side's CPU time is read around each of its turns;
//!         <── ServerHello .. Finished ──────────            what one writes is a buffer that the other reads
//!         ── Certificate .. Finished ──────────>
//! ```
//!
//! Configurations of two endpoints are had as for a connection over TCP, by the same functions, so that the two differ in
//! sockets and scheduling alone.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::server::{Accepted, Acceptor};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, ServerConfig, ServerConnection, SideData,
};

use crate::cpu::thread_time;
use crate::endpoint::Endpoint;
use crate::handshake::HandshakeError;
use crate::kind::CertificateKind;
use crate::notes::Notes;
use crate::peer::{ExpectedPeer, VerifiedPeer};
use crate::profile::{ClientAuth, ConnectionProfile};
use crate::trust_anchors::asks_for_status;

/// What a handshake in memory cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InMemory {
    /// From nothing to a complete handshake on both sides.
    pub elapsed: Duration,
    /// The client.
    pub client: InMemorySide,
    /// The server.
    pub server: InMemorySide,
}

/// One side of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InMemorySide {
    /// Thread CPU time of its turns.
    pub cpu: Duration,
    /// Thread CPU time spent verifying the peer's certificate, included in `cpu`.
    pub verify: Duration,
    /// TLS record bytes that it wrote.
    pub bytes_sent: u64,
    /// The kind of certificate that the peer showed.
    pub received: CertificateKind,
}

/// What one side has used up in its turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// Thread CPU time.
    pub cpu: Duration,
    /// TLS record bytes that it wrote.
    pub bytes_sent: u64,
}

/// A handshake of `client`, which expects a certain server, with `server`, which requires a certificate.
///
/// # Errors
/// As over TCP.
pub fn handshake(
    client: &Endpoint,
    server: &Endpoint,
    profile: ConnectionProfile,
    expected: ExpectedPeer,
) -> Result<InMemory, HandshakeError> {
    let started = Instant::now();
    let (client_notes, server_notes) = (client.notes(), server.notes());
    let (mut at_client, mut at_server) = (Turns::default(), Turns::default());
    let name = server_name(&expected.fqdn)?;
    let lease = at_client
        .turn(|| client.client(profile, expected, &client_notes))
        .map_err(HandshakeError::Setup)?;
    let mut served = None;
    let met = converse(
        (lease.config(), &mut at_client),
        |accepted, records| {
            let anchors = server.trust_anchors(records);
            let anchors = anchors.map_err(|error| rustls::Error::General(error.to_string()))?;
            if asks_for_status(records) {
                let _ = server_notes.status_asked.set(());
            }
            let lease = server.server(
                &accepted.client_hello(),
                anchors.as_ref(),
                ClientAuth::Required,
                &server_notes,
            )?;
            Ok(served.insert(lease).config().clone())
        },
        &mut at_server,
        name,
    );
    met.map_err(|error| refused(error, [&client_notes, &server_notes]))?;
    if let Some(Ok(peer)) = client_notes.verdict.get() {
        at_client.turn(|| client.met(lease, peer));
    }
    at_server.turn(|| served.map(|lease| server.served(lease)));
    Ok(InMemory {
        elapsed: started.elapsed(),
        client: at_client.side(&client_notes)?,
        server: at_server.side(&server_notes)?,
    })
}

/// A handshake by these two configurations, whatever they are, with the server of this name: what client and server used up.
///
/// # Errors
/// There is no handshake between them.
pub fn plain_handshake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<[Turns; 2], HandshakeError> {
    let (mut at_client, mut at_server) = (Turns::default(), Turns::default());
    converse(
        (client, &mut at_client),
        |_, _| Ok(server.clone()),
        &mut at_server,
        server_name(name)?,
    )?;
    Ok([at_client, at_server])
}

fn server_name(name: &str) -> Result<ServerName<'static>, HandshakeError> {
    ServerName::try_from(name.to_owned()).map_err(|_| HandshakeError::ServerName(name.to_owned()))
}

/// Both sides in turns; the server has its configuration when it has read ClientHello.
fn converse(
    (client, at_client): (&Arc<ClientConfig>, &mut Turns),
    configure: impl FnOnce(&Accepted, &[u8]) -> Result<Arc<ServerConfig>, rustls::Error>,
    at_server: &mut Turns,
    name: ServerName<'static>,
) -> Result<(), HandshakeError> {
    let mut client = at_client
        .turn(|| ClientConnection::new(client.clone(), name))
        .map_err(HandshakeError::Setup)?;
    let hello = at_client.write(&mut client)?;
    let mut server = at_server.turn(|| accept(&hello, configure))?;
    while client.is_handshaking() || server.is_handshaking() {
        let to_client = at_server.write(&mut server)?;
        at_client.read(&mut client, &to_client)?;
        let to_server = at_client.write(&mut client)?;
        at_server.read(&mut server, &to_server)?;
        if to_client.is_empty() && to_server.is_empty() {
            return Err(HandshakeError::Tls(rustls::Error::HandshakeNotComplete));
        }
    }
    Ok(())
}

fn accept(
    records: &[u8],
    configure: impl FnOnce(&Accepted, &[u8]) -> Result<Arc<ServerConfig>, rustls::Error>,
) -> Result<ServerConnection, HandshakeError> {
    let mut hello = records;
    let mut acceptor = Acceptor::default();
    while !hello.is_empty() {
        acceptor.read_tls(&mut hello).map_err(HandshakeError::Io)?;
    }
    let accepted = acceptor
        .accept()
        .map_err(|(error, _)| HandshakeError::Tls(error))?
        .ok_or(HandshakeError::Tls(rustls::Error::HandshakeNotComplete))?;
    let config = configure(&accepted, records).map_err(HandshakeError::Setup)?;
    accepted
        .into_connection(config)
        .map_err(|(error, _)| HandshakeError::Tls(error))
}

impl Turns {
    fn turn<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = thread_time();
        let done = work();
        self.cpu += thread_time().saturating_sub(started);
        done
    }

    fn write<S: SideData>(
        &mut self,
        connection: &mut ConnectionCommon<S>,
    ) -> Result<Vec<u8>, HandshakeError> {
        let written = self.turn(|| {
            let mut bytes = Vec::new();
            while connection.wants_write() {
                connection.write_tls(&mut bytes)?;
            }
            Ok::<_, io::Error>(bytes)
        });
        let bytes = written.map_err(HandshakeError::Io)?;
        self.bytes_sent += bytes.len() as u64;
        Ok(bytes)
    }

    fn read<S: SideData>(
        &mut self,
        connection: &mut ConnectionCommon<S>,
        mut bytes: &[u8],
    ) -> Result<(), HandshakeError> {
        self.turn(|| {
            while !bytes.is_empty() {
                connection
                    .read_tls(&mut bytes)
                    .map_err(HandshakeError::Io)?;
                connection
                    .process_new_packets()
                    .map_err(HandshakeError::Tls)?;
            }
            Ok(())
        })
    }

    fn side(self, notes: &Notes) -> Result<InMemorySide, HandshakeError> {
        let Some(Ok(VerifiedPeer { kind, verify, .. })) = notes.verdict.get() else {
            return Err(HandshakeError::Tls(rustls::Error::NoCertificatesPresented));
        };
        Ok(InMemorySide {
            cpu: self.cpu,
            verify: *verify,
            bytes_sent: self.bytes_sent,
            received: *kind,
        })
    }
}

/// What an error of TLS stands for: a side's own refusal has a reason.
fn refused(error: HandshakeError, notes: [&Notes; 2]) -> HandshakeError {
    let refusal = notes
        .into_iter()
        .find_map(|notes| match notes.verdict.get() {
            Some(Err(refused)) => Some(refused.clone()),
            _ => None,
        });
    match (error, refusal) {
        (HandshakeError::Tls(_), Some(refusal)) => HandshakeError::Refused(refusal),
        (error, _) => error,
    }
}
