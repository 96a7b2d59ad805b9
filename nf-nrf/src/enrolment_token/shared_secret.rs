//! Secrets that an NF shares with the NRF for its enrolment by CMP or ACME, without anybody having to tell the NRF.
//!
//! ```text
//!  authority (mtc5g token --cmp)  claims ── ES256 ──> reference number, which is sent in the clear (senderKID)
//!                                 HMAC(key, jti) ───> secret, which is sent to nobody
//!                                                     by ACME: key identifier (kid) and MAC key of an external account, alike
//!  NRF                            reference number ─> claims, verified ─> HMAC(key, jti) ─> has the secret protected this message?
//! ```
//!
//! The one key, of each protocol, is known to those two. Whoever has it alone can make no reference number, and whoever listens has no secret.

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mtc_core::hex;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Parts these HMACs from others of the same key.
const CONTEXT: &[u8] = b"mtc5g cmp secret\0";
/// As before, of ACME.
const ACME_CONTEXT: &[u8] = b"mtc5g acme external account\0";
/// Octets of the key.
const KEY: usize = 32;

/// The text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key of shared secrets: not {} hexadecimal digits", 2 * KEY)]
pub struct SharedSecretsError;

/// What the secrets are derived from. Holds a secret, hence no `Debug`.
pub struct SharedSecrets(hmac::Key);

impl SharedSecrets {
    /// The text of a new key file.
    pub fn new_key() -> Zeroizing<String> {
        let mut key = Zeroizing::new([0; KEY]);
        rand::fill(&mut *key).expect("the operating system has randomness");
        Zeroizing::new(format!("{}\n", hex::encode(&*key)))
    }

    /// From the text of the key file: 64 hexadecimal digits.
    ///
    /// # Errors
    /// The text is not that.
    pub fn new(text: &str) -> Result<Self, SharedSecretsError> {
        let key = hex::decode(text.trim()).map(Zeroizing::new);
        let key = key.filter(|key| key.len() == KEY);
        let key = key.ok_or(SharedSecretsError)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The secret of the reference number with this `jti`: base64url, so that it is text, and its octets are what CMP uses.
    pub fn of(&self, jti: Uuid) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.derive(CONTEXT, jti)))
    }

    /// The MAC key of the external account whose key identifier has this `jti`, in base64url, as clients are told it.
    pub fn mac_key_text(&self, jti: Uuid) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.derive(ACME_CONTEXT, jti)))
    }

    /// The MAC key of the external account whose key identifier has this `jti`.
    pub fn mac_key(&self, jti: Uuid) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.derive(ACME_CONTEXT, jti).as_ref().to_vec())
    }

    fn derive(&self, purpose: &[u8], jti: Uuid) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose);
        context.update(jti.as_bytes());
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_of_their_key_and_reference_number() {
        let keys = ["00", "ab"].map(|digits| SharedSecrets::new(&digits.repeat(KEY)).ok().unwrap());
        let secret = keys[0].of(Uuid::from_u128(1));
        assert_eq!(secret.len(), 43);
        assert_eq!(keys[0].of(Uuid::from_u128(1)), secret);
        assert_ne!(keys[0].of(Uuid::from_u128(2)), secret);
        assert_ne!(keys[1].of(Uuid::from_u128(1)), secret);
        let mac_key = keys[0].mac_key(Uuid::from_u128(1));
        assert_eq!(mac_key.len(), 32);
        assert_ne!(*secret, URL_SAFE_NO_PAD.encode(&*mac_key));
    }

    #[test]
    fn new_keys_are_keys_and_new() {
        let [one, other] = [SharedSecrets::new_key(), SharedSecrets::new_key()];
        assert_ne!(one, other);
        assert!(SharedSecrets::new(&one).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "ab",
            &"ab".repeat(31),
            &"ab".repeat(33),
            &"xy".repeat(32),
        ] {
            assert_eq!(
                SharedSecrets::new(text).err(),
                Some(SharedSecretsError),
                "{text}"
            );
        }
    }
}
