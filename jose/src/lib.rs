//! JSON Object Signing (RFC 7515, RFC 7517) with the signatures of this workspace, ML-DSA among them (RFC 9964).
//!
//! ```text
//!  claims ── sign ──> header.payload.signature ── Jws::parse ── KeySet::verify or Jws::verify ──> Verified ── claims
//!                     (compact serialisation)       bounded      the key says which algorithm
//! ```
//!
//! Pure: no I/O, no clock. Who may sign what, and until when, is for whoever reads the claims. A key verifies signatures of its
//! own algorithm alone, so that no header can choose another (RFC 8725 section 3.1); `none` and HMAC do not exist here.

mod algorithm;
mod ecdsa;
mod jwk;
mod jws;

pub use algorithm::{UnknownAlgorithm, alg, algorithm};
pub use jwk::{Jwk, JwkSet, KeySet, KeySetError, MAX_KEYS, rsa_thumbprint, thumbprint};
pub use jws::{Header, Jws, JwsError, MAX_JWS, Verified, sign, verifies};
