//! External account bindings (RFC 8555 section 7.3.4): who has the MAC key of an account elsewhere says that this account key is his.
//!
//! ```text
//! { "protected": base64url({ "alg": "HS256", "kid", "url" }), "payload": base64url(JWK of the account key), "signature": base64url(MAC) }
//! ```

use aws_lc_rs::hmac;
use serde::Deserialize;
use serde_json::Value;

use crate::key::{AccountKey, KeyError};
use crate::request::{Flattened, RequestError};

const HS256: &str = "HS256";

/// Why a binding is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// Not a JWS in flattened JSON.
    #[error("externalAccountBinding")]
    Form(#[from] RequestError),
    /// Another algorithm than the one that is taken.
    #[error("externalAccountBinding: alg is {0:?}, not HS256")]
    Algorithm(String),
    /// It has a nonce, which belongs into the request around it.
    #[error("externalAccountBinding: it has a nonce")]
    Nonce,
    /// What it binds is no key.
    #[error("externalAccountBinding")]
    Key(#[from] KeyError),
    /// Its URL is not that of the request.
    #[error("externalAccountBinding: url is not that of the request around it")]
    Url,
    /// It binds another key than that of the request.
    #[error("externalAccountBinding: payload is not the key that signs the request around it")]
    OtherKey,
    /// The MAC is not by the key of this kid.
    #[error("externalAccountBinding: the MAC is not by the key that belongs to this kid")]
    Mac,
}

/// A binding that has been read, and nothing in it believed.
#[derive(Clone, Debug)]
pub struct Binding {
    /// `kid`: the name of the account elsewhere.
    pub key_id: String,
    url: String,
    key: AccountKey,
    signed: String,
    mac: Vec<u8>,
}

#[derive(Deserialize)]
struct Written {
    alg: String,
    kid: String,
    url: String,
    nonce: Option<Value>,
    crit: Option<Value>,
}

impl Binding {
    /// Reads the member `externalAccountBinding`.
    ///
    /// # Errors
    /// Every rule of form has its variant in [`BindingError`].
    pub fn parse(binding: &Value) -> Result<Self, BindingError> {
        let flattened: Flattened = Deserialize::deserialize(binding).map_err(RequestError::Form)?;
        let (header, payload, mac) = flattened.decode()?;
        let Written {
            alg,
            kid,
            url,
            nonce,
            crit,
        } = header;
        if alg != HS256 {
            return Err(BindingError::Algorithm(alg));
        }
        if nonce.is_some() {
            return Err(BindingError::Nonce);
        }
        if crit.is_some() {
            return Err(RequestError::Critical.into());
        }
        let jwk: Value = serde_json::from_slice(&payload).map_err(RequestError::Payload)?;
        Ok(Self {
            key_id: kid,
            url,
            key: AccountKey::from_jwk(&jwk)?,
            signed: flattened.signed(),
            mac,
        })
    }

    /// Whether whoever has `mac_key` says that `key` is his, to the resource at `url`.
    ///
    /// # Errors
    /// The first that is not so.
    pub fn verify(&self, mac_key: &[u8], url: &str, key: &AccountKey) -> Result<(), BindingError> {
        let mac_key = hmac::Key::new(hmac::HMAC_SHA256, mac_key);
        hmac::verify(&mac_key, self.signed.as_bytes(), &self.mac).map_err(|_| BindingError::Mac)?;
        if self.url != url {
            return Err(BindingError::Url);
        }
        if self.key != *key {
            return Err(BindingError::OtherKey);
        }
        Ok(())
    }
}
