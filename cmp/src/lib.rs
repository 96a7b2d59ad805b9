//! The Certificate Management Protocol (RFC 9810) as its Lightweight Profile (RFC 9483) uses it, from the side of the CA.
//!
//! ```text
//!  bytes ── Message::parse ──> header, body, protection, extraCerts        bounded, borrowed from the bytes
//!                                │       └─ Body::parse ──> one request, revocation, confirmation, ...
//!                                └─ Mac::of (shared secret), or the key of a certificate ── has it protected the message?
//!  bytes <── Reply::protected_by <── reply::certificate, reply::error, ...
//! ```
//!
//! Pure: no I/O, no clock, no randomness. Who may ask for what, which nonces are fresh and whose certificate signs is for whoever reads
//! the message. A message says what it wants protected by whom and nothing of that is believed here: [`Message::mac_protects`] and
//! [`Message::is_signed_by`] answer for a secret or key that the reader has.

mod algorithm;
mod body;
mod mac;
mod message;
mod oid;
pub mod reply;
mod request;
mod status;

pub use algorithm::Algorithm;
pub use body::{Body, BodyError, Confirmation, MAX_REQUEST_ID, Revocation};
pub use mac::{MAX_ITERATIONS, Mac, MacError};
pub use message::{
    Header, MAX_MESSAGE, MAX_NONCE, MAX_TRANSACTION_ID, MIN_NONCE, Message, MessageError,
    ProtectionError,
};
pub use reply::Reply;
pub use request::{CertRequest, PossessionError, RequestKind, Template};
pub use status::{Failure, Status};
