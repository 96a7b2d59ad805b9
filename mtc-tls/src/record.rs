//! Which bytes of a TLS 1.3 handshake belong to which message, to the byte.
//!
//! ```text
//!  socket ──bytes──> Watch ──┬─ sent ──────┬─ ClientHello, HelloRetryRequest, ServerHello: read from the wire, in the clear
//!                            └─ received ──┴─ records after that: their lengths, which are not encrypted
//!
//!  what the callbacks of rustls noted (Protected) ──> Certificate, CertificateVerify, Finished, CertificateRequest
//!  what is left of the server's records ────────────> EncryptedExtensions; behind the client's Finished: NewSessionTicket
//! ```
//!
//! rustls tells nobody how long its messages are, and those after ServerHello are encrypted. But a record's header says how
//! long it is, nobody here pads, and every message but EncryptedExtensions follows from what this side knows: the chains,
//! the length of the signatures, the hash of the cipher suite, the names and schemes asked for. So the parts add up to what
//! was counted on the socket by construction, and a client's must end exactly at the end of a record: `Watch::account` is
//! none otherwise. `tests/loopback/bytes.rs` checks both sides against each other and against lengths worked out by hand, and
//! `tests/loopback/capture.rs` against a packet capture that tshark decrypts.

use rustls::SignatureScheme;
use serde::{Deserialize, Serialize};

mod direction;
#[cfg(test)]
mod tests;

pub(crate) use direction::Direction;

/// Bytes of one direction by handshake message, each with its header of four bytes, and what the record layer adds.
///
/// Of one handshake, or a sum over many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageBytes {
    /// ClientHello, both of them if there were two.
    pub client_hello: u64,
    /// HelloRetryRequest.
    pub hello_retry_request: u64,
    /// ServerHello.
    pub server_hello: u64,
    /// EncryptedExtensions.
    pub encrypted_extensions: u64,
    /// CertificateRequest.
    pub certificate_request: u64,
    /// Certificate; 8 bytes if none is presented where one was asked for.
    pub certificate: u64,
    /// The OCSP response that is stapled to the certificate in Certificate, with the header of its extension; not in `certificate`.
    #[serde(skip_serializing_if = "is_zero")]
    pub certificate_status: u64,
    /// CertificateVerify.
    pub certificate_verify: u64,
    /// Finished.
    pub finished: u64,
    /// NewSessionTicket, those sent before this side's handshake counted as complete.
    pub new_session_ticket: u64,
    /// Record headers, inner content types, tags of the AEAD, and ChangeCipherSpec records.
    pub record_layer: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

impl MessageBytes {
    /// All parts with the names that results use, in the order in which they travel.
    pub const fn parts(&self) -> [(&'static str, u64); 11] {
        [
            ("client_hello", self.client_hello),
            ("hello_retry_request", self.hello_retry_request),
            ("server_hello", self.server_hello),
            ("encrypted_extensions", self.encrypted_extensions),
            ("certificate_request", self.certificate_request),
            ("certificate", self.certificate),
            ("certificate_status", self.certificate_status),
            ("certificate_verify", self.certificate_verify),
            ("finished", self.finished),
            ("new_session_ticket", self.new_session_ticket),
            ("record_layer", self.record_layer),
        ]
    }

    /// All parts together: the bytes of the handshake's records.
    pub fn total(&self) -> u64 {
        self.parts().iter().map(|(_, bytes)| bytes).sum()
    }

    /// Adds or subtracts another's, part by part.
    pub fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            client_hello,
            hello_retry_request,
            server_hello,
            encrypted_extensions,
            certificate_request,
            certificate,
            certificate_status,
            certificate_verify,
            finished,
            new_session_ticket,
            record_layer,
        } = other;
        for (mine, theirs) in [
            (&mut self.client_hello, client_hello),
            (&mut self.hello_retry_request, hello_retry_request),
            (&mut self.server_hello, server_hello),
            (&mut self.encrypted_extensions, encrypted_extensions),
            (&mut self.certificate_request, certificate_request),
            (&mut self.certificate, certificate),
            (&mut self.certificate_status, certificate_status),
            (&mut self.certificate_verify, certificate_verify),
            (&mut self.finished, finished),
            (&mut self.new_session_ticket, new_session_ticket),
            (&mut self.record_layer, record_layer),
        ] {
            *mine = with(*mine, *theirs);
        }
    }
}

/// One direction of a finished handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectionBytes {
    /// By message.
    pub messages: MessageBytes,
    /// Bytes by flight, in order; what a side sends without waiting for the other. The rest is zero.
    ///
    /// A client has its ClientHello, another one after a HelloRetryRequest, and its last flight; a server perhaps a
    /// HelloRetryRequest, and the flight from ServerHello to Finished. A ChangeCipherSpec record counts to the flight after
    /// it. Tickets are in none.
    pub flights: [u64; MAX_FLIGHTS],
    /// Bytes counted on the socket that are no part of the handshake: a server may have read the first request already.
    pub beyond: u64,
}

impl DirectionBytes {
    /// Everything that was counted on the socket.
    pub fn total(&self) -> u64 {
        self.messages.total() + self.beyond
    }
}

/// Flights of a client whose first ClientHello did not suffice.
pub const MAX_FLIGHTS: usize = 3;

/// Both directions of a finished handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireBytes {
    /// What this side sent.
    pub sent: DirectionBytes,
    /// What this side received.
    pub received: DirectionBytes,
}

/// Lengths of messages that no one can read from the wire, as this side knows them; none for a message that is not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Protected {
    pub(crate) certificate_request: Option<u64>,
    pub(crate) certificate: Option<u64>,
    /// What is stapled to it.
    pub(crate) certificate_status: Option<u64>,
    pub(crate) certificate_verify: Option<u64>,
    pub(crate) finished: u64,
}

impl Protected {
    fn total(&self) -> u64 {
        let optional = [
            self.certificate_request,
            self.certificate,
            self.certificate_status,
            self.certificate_verify,
        ];
        optional.into_iter().flatten().sum::<u64>() + self.finished
    }

    fn state(&self, messages: &mut MessageBytes) {
        messages.certificate_request = self.certificate_request.unwrap_or_default();
        messages.certificate = self.certificate.unwrap_or_default();
        messages.certificate_status = self.certificate_status.unwrap_or_default();
        messages.certificate_verify = self.certificate_verify.unwrap_or_default();
        messages.finished = self.finished;
    }
}

/// `msg_type(1) length(3)`.
const MESSAGE_HEADER: u64 = 4;
/// An extension without its data: `type(2) length(2)`.
const EXTENSION_HEADER: u64 = 4;

/// The length of a Certificate message without extensions:
/// `opaque certificate_request_context<0..2^8-1>` (empty), `CertificateEntry certificate_list<0..2^24-1>`, each entry
/// `opaque cert_data<1..2^24-1>; Extension extensions<0..2^16-1>` (RFC 8446 Section 4.4.2).
pub(crate) fn certificate_length<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let entries: u64 = chain.into_iter().map(|der| 3 + der.len() as u64 + 2).sum();
    MESSAGE_HEADER + 1 + 3 + entries
}

/// What a stapled OCSP response adds to a Certificate message: `CertificateStatusType status_type; opaque OCSPResponse<1..2^24-1>` in an
/// extension of the first entry (RFC 8446 Section 4.4.2.1); none if nothing is stapled.
pub(crate) const fn staple_length(response: &[u8]) -> Option<u64> {
    if response.is_empty() {
        return None;
    }
    Some(EXTENSION_HEADER + 1 + 3 + response.len() as u64)
}

/// The length of a CertificateVerify message: `SignatureScheme algorithm; opaque signature<0..2^16-1>`.
pub(crate) const fn certificate_verify_length(signature: usize) -> u64 {
    MESSAGE_HEADER + 2 + 2 + signature as u64
}

/// The length of a Finished message: `opaque verify_data[Hash.length]`.
pub(crate) const fn finished_length(hash: usize) -> u64 {
    MESSAGE_HEADER + hash as u64
}

/// The length of a CertificateRequest message with `signature_algorithms` and, unless there are none, `certificate_authorities`:
/// `opaque certificate_request_context<0..2^8-1>` (empty), `Extension extensions<0..2^16-1>` (RFC 8446 Section 4.3.2).
pub(crate) fn certificate_request_length<'a>(
    schemes: &[SignatureScheme],
    authorities: impl IntoIterator<Item = &'a [u8]>,
) -> u64 {
    let names: u64 = authorities
        .into_iter()
        .map(|name| 2 + name.len() as u64)
        .sum();
    let authorities = if names == 0 {
        0
    } else {
        EXTENSION_HEADER + 2 + names
    };
    let schemes = EXTENSION_HEADER + 2 + 2 * schemes.len() as u64;
    MESSAGE_HEADER + 1 + 2 + schemes + authorities
}

/// Which side of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// It opened the connection.
    Client,
    /// It accepted the connection.
    Server,
}

impl Side {
    /// `client` or `server`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// Both directions of a connection, from its first byte to the end of the handshake on this side.
#[derive(Debug)]
pub(crate) struct Watch {
    side: Side,
    sent: Direction,
    received: Direction,
    /// Encrypted records of the server when the client's first one was seen: all that came before are one flight.
    server_flight: Option<usize>,
}

impl Watch {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            sent: Direction::default(),
            received: Direction::default(),
            server_flight: None,
        }
    }

    pub(crate) fn sent(&mut self, bytes: &[u8]) {
        self.sent.take(bytes);
        self.mark();
    }

    pub(crate) fn received(&mut self, bytes: &[u8]) {
        self.received.take(bytes);
        self.mark();
    }

    /// A client encrypts its first record when it has the server's Finished, and a server sends tickets when it has the
    /// client's: whatever the server has encrypted by then is its flight up to Finished.
    fn mark(&mut self) {
        let (client, server) = self.client_and_server();
        if self.server_flight.is_none() && client.encrypted_begun() {
            self.server_flight = Some(server.encrypted().len());
        }
    }

    const fn client_and_server(&self) -> (&Direction, &Direction) {
        match self.side {
            Side::Client => (&self.sent, &self.received),
            Side::Server => (&self.received, &self.sent),
        }
    }

    /// Attributes every byte. None if the bytes are not those of a handshake with such messages.
    pub(crate) fn account(&self, client: &Protected, server: &Protected) -> Option<WireBytes> {
        let (client_bytes, server_bytes) = self.client_and_server();
        let client = client_bytes.account_client(client)?;
        let server = server_bytes.account_server(server, self.server_flight?)?;
        Some(match self.side {
            Side::Client => WireBytes {
                sent: client,
                received: server,
            },
            Side::Server => WireBytes {
                sent: server,
                received: client,
            },
        })
    }
}
