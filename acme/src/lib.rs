//! The Automatic Certificate Management Environment (RFC 8555) from the side of the CA: what a client sends.
//!
//! ```text
//!  body ── Signed::parse ──> header { alg, nonce, url, jwk or kid }, payload          bounded; nothing of it is believed
//!                              └─ verify(AccountKey) ──> Verified ── read ──> NewAccount, NewOrder, Finalize, ...
//!  externalAccountBinding ── Binding::parse ── verify(HMAC key, url, AccountKey) ──> the account is its kid's
//! ```
//!
//! Pure: no I/O, no clock, no randomness. Which nonces are fresh, who has an account and what he may have is for whoever reads the request.
//! An account key verifies signatures of its own algorithm alone, so that no header can choose another (RFC 8725 section 3.1); `none`
//! does not exist here, and HMAC for bindings only.

mod binding;
mod key;
mod payload;
mod problem;
mod request;

pub use binding::{Binding, BindingError};
pub use key::{AccountKey, Algorithm, KeyError};
pub use payload::{
    AccountUpdate, Finalize, Identifier, KeyChange, NewAccount, NewOrder, RevokeCertificate,
};
pub use problem::ErrorKind;
pub use request::{By, Header, MAX_REQUEST, RequestError, Signed, Verified, decode};
