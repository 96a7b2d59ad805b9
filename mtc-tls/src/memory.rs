//! A handshake of two endpoints in one thread, without sockets: what TLS costs by itself.
//!
//! ```text
//!  client ── ClientHello ──────────────────────> server     each side's CPU time is read around each of its turns;
//!         <── ServerHello .. Finished ──────────            what one writes is a buffer that the other reads
//!         ── Certificate .. Finished ──────────>
//! ```
//!
//! Configurations are had as for a connection over TCP, by the same functions, so that the two differ in sockets and
//! scheduling alone.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use rustls::{ClientConnection, ConnectionCommon, ServerConnection, SideData};

use crate::cpu::thread_time;
use crate::endpoint::{Endpoint, ServerLease};
use crate::handshake::HandshakeError;
use crate::kind::CertificateKind;
use crate::notes::Notes;
use crate::peer::{ExpectedPeer, VerifiedPeer};
use crate::profile::{ClientAuth, ConnectionProfile};

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
    let mut at_client = Turns::default();
    let mut at_server = Turns::default();

    let (lease, mut client_end) = at_client.turn(|| {
        let name = ServerName::try_from(expected.fqdn.clone())
            .map_err(|_| HandshakeError::ServerName(expected.fqdn.clone()))?;
        let lease = client
            .client(profile, expected, &client_notes)
            .map_err(HandshakeError::Setup)?;
        let end = ClientConnection::new(lease.config().clone(), name);
        Ok((lease, end.map_err(HandshakeError::Setup)?))
    })?;
    let hello = at_client.write(&mut client_end)?;
    let (served, mut server_end) = at_server.turn(|| accept(&hello, server, &server_notes))?;
    while client_end.is_handshaking() || server_end.is_handshaking() {
        let to_client = at_server.write(&mut server_end)?;
        at_client.read(&mut client_end, &to_client, &client_notes)?;
        let to_server = at_client.write(&mut client_end)?;
        at_server.read(&mut server_end, &to_server, &server_notes)?;
        if to_client.is_empty() && to_server.is_empty() {
            return Err(HandshakeError::Tls(rustls::Error::HandshakeNotComplete));
        }
    }
    if let Some(Ok(peer)) = client_notes.verdict.get() {
        at_client.turn(|| client.met(lease, peer));
    }
    at_server.turn(|| server.served(served));
    Ok(InMemory {
        elapsed: started.elapsed(),
        client: at_client.side(&client_notes)?,
        server: at_server.side(&server_notes)?,
    })
}

fn accept(
    mut hello: &[u8],
    endpoint: &Endpoint,
    notes: &Arc<Notes>,
) -> Result<(ServerLease, ServerConnection), HandshakeError> {
    let mut acceptor = Acceptor::default();
    while !hello.is_empty() {
        acceptor.read_tls(&mut hello).map_err(HandshakeError::Io)?;
    }
    let accepted = acceptor
        .accept()
        .map_err(|(error, _)| HandshakeError::Tls(error))?
        .ok_or(HandshakeError::Tls(rustls::Error::HandshakeNotComplete))?;
    let lease = endpoint
        .server(&accepted.client_hello(), ClientAuth::Required, notes)
        .map_err(HandshakeError::Setup)?;
    let end = accepted
        .into_connection(lease.config().clone())
        .map_err(|(error, _)| HandshakeError::Tls(error))?;
    Ok((lease, end))
}

/// What one side has used up in its turns.
#[derive(Default)]
struct Turns {
    cpu: Duration,
    bytes_sent: u64,
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
        notes: &Notes,
    ) -> Result<(), HandshakeError> {
        self.turn(|| {
            while !bytes.is_empty() {
                connection
                    .read_tls(&mut bytes)
                    .map_err(HandshakeError::Io)?;
                connection
                    .process_new_packets()
                    .map_err(|error| refused(error, notes))?;
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

/// What an error of TLS stands for: this side's own refusal has a reason.
fn refused(error: rustls::Error, notes: &Notes) -> HandshakeError {
    match notes.verdict.get() {
        Some(Err(refused)) => HandshakeError::Refused(refused.clone()),
        _ => HandshakeError::Tls(error),
    }
}
