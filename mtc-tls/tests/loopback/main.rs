//! Both ends of TLS connections over loopback TCP: which credential is presented, what is refused and how either side
//! learns of it, and what is on the wire.
//!
//! ```text
//! mtca, baseline ──> lab: an SMF that serves, an AMF that calls ──> server: one listener, one handshake at a time
//!  (issuers)          (who has and trusts what)                     raw: peers that are plain rustls
//!                                                                   tshark: what passes, as an independent decoder has it
//! ```

mod baseline;
mod bytes;
mod capture;
mod combinations;
mod credential_choice;
mod grease;
mod lab;
mod memory;
mod mixed;
mod mtca;
mod nf;
mod raw;
mod refusals;
mod resumption;
mod revocation;
mod server;
mod shared_port;
mod signing;
mod tshark;
mod wire;
