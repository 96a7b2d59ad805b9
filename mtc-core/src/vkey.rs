//! Verifier keys (c2sp.org/signed-note): who signs checkpoints, and with which key, in one word. In this form logs, witnesses and
//! those who verify are told of each other.
//!
//! ```text
//! oid/1.3.6.1.4.1.32473.1+5fb0a3c2+BkX0...       <name>+<key ID, hexadecimal>+<base64 of: type || key>
//! ```
//!
//! In scope: keys of type 0x06, ML-DSA-44 cosignatures (c2sp.org/tlog-cosignature), which c2sp.org/mtc-tlog requires of a CA and of
//! its cosigners, under names that are trust anchor IDs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::checkpoint::{CheckpointError, ML_DSA_44_COSIGNATURE, key_id};
use crate::cosign::{Cosigner, KeyError, PublicKey, SignatureAlgorithm};
use crate::hex;
use crate::id::{IdError, TrustAnchorId};

/// Longest verifier key in bytes: a name of 148, a key ID of 8, and 1313 bytes in base64.
pub const MAX_VKEY: usize = 2048;

/// Why a text is not the verifier key of an MTC cosigner.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VkeyError {
    /// Not three fields of the right characters, or too long.
    #[error("not <name>+<8 hexadecimal digits>+<base64>")]
    Form,
    /// The name is not a trust anchor ID.
    #[error("the name {name:?} is not oid/1.3.6.1.4.1.<trust anchor ID>")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        source: IdError,
    },
    /// A key for signatures of another type.
    #[error("a key of signature type {0:#04x}, not 0x06 (ML-DSA-44 cosignatures)")]
    Type(u8),
    /// The key is not one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key ID is not that of name and key: a part was changed.
    #[error("the key ID is not that of this name and key")]
    KeyId,
}

/// The verifier key of a cosigner.
///
/// # Errors
/// [`CheckpointError::UnsupportedKey`] if its key is not of ML-DSA-44.
pub fn encode(cosigner: &Cosigner) -> Result<String, CheckpointError> {
    let key_id = key_id(cosigner)?;
    let typed = [&[ML_DSA_44_COSIGNATURE], cosigner.key.raw()].concat();
    Ok(format!(
        "{}+{}+{}",
        cosigner.id.signed_text_name(),
        hex::encode(&key_id),
        STANDARD.encode(typed)
    ))
}

/// Reads a verifier key.
///
/// # Errors
/// The first rule that it breaks.
pub fn parse(vkey: &str) -> Result<Cosigner, VkeyError> {
    if vkey.len() > MAX_VKEY {
        return Err(VkeyError::Form);
    }
    // Base64 has pluses too, names have none.
    let mut fields = vkey.splitn(3, '+');
    let (Some(name), Some(stated), Some(encoded)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err(VkeyError::Form);
    };
    let typed = STANDARD.decode(encoded).map_err(|_| VkeyError::Form)?;
    let (&signature_type, raw) = typed.split_first().ok_or(VkeyError::Form)?;
    let id = TrustAnchorId::from_signed_text_name(name).map_err(|source| VkeyError::Name {
        name: name.to_owned(),
        source,
    })?;
    if signature_type != ML_DSA_44_COSIGNATURE {
        return Err(VkeyError::Type(signature_type));
    }
    let key = PublicKey::from_raw(SignatureAlgorithm::MlDsa44, raw)?;
    let cosigner = Cosigner { id, key };
    let key_id = key_id(&cosigner).expect("the key is of ML-DSA-44");
    if stated == hex::encode(&key_id) {
        Ok(cosigner)
    } else {
        Err(VkeyError::KeyId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosign::SecretKey;

    fn cosigner(algorithm: SignatureAlgorithm) -> Cosigner {
        let secret = SecretKey::generate(algorithm).expect("randomness");
        Cosigner {
            id: "32473.1".parse().expect("an ID"),
            key: secret.public_key().expect("a key"),
        }
    }

    #[test]
    fn a_verifier_key_names_the_cosigner_and_reads_as_it() {
        let cosigner = cosigner(SignatureAlgorithm::MlDsa44);
        let vkey = encode(&cosigner).unwrap();
        assert!(vkey.starts_with("oid/1.3.6.1.4.1.32473.1+"), "{vkey}");
        assert!(vkey.len() <= MAX_VKEY);
        assert_eq!(parse(&vkey), Ok(cosigner));
    }

    #[test]
    fn only_keys_of_ml_dsa_44_have_one() {
        let cosigner = cosigner(SignatureAlgorithm::Ed25519);
        let expected = CheckpointError::UnsupportedKey(SignatureAlgorithm::Ed25519);
        assert_eq!(encode(&cosigner), Err(expected));
    }

    #[test]
    fn damage_is_told_by_what_it_damages() {
        let vkey = encode(&cosigner(SignatureAlgorithm::MlDsa44)).unwrap();
        let refused = |vkey: &str| parse(vkey).expect_err("damaged");
        assert_eq!(refused("oid/1.3.6.1.4.1.32473.1"), VkeyError::Form);
        assert_eq!(refused(&vkey[..vkey.len() - 1]), VkeyError::Form);
        assert_eq!(refused(&"+".repeat(MAX_VKEY + 1)), VkeyError::Form);
        assert_eq!(
            refused(&vkey.replace(".32473.1", ".32473.2")),
            VkeyError::KeyId
        );
        let name = vkey.replace("oid/1.3.6.1.4.1.", "example.com/");
        assert!(matches!(refused(&name), VkeyError::Name { .. }), "{name}");
        // A log's Ed25519 key, as most witnesses' lists have them.
        let ed25519 = format!(
            "oid/1.3.6.1.4.1.32473.1+00000000+{}",
            STANDARD.encode([1; 33])
        );
        assert_eq!(refused(&ed25519), VkeyError::Type(1));
        let short = format!(
            "oid/1.3.6.1.4.1.32473.1+00000000+{}",
            STANDARD.encode([6; 33])
        );
        let malformed = KeyError::Malformed(SignatureAlgorithm::MlDsa44);
        assert_eq!(refused(&short), VkeyError::Key(malformed));
    }
}
