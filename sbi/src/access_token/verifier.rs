//! Signatures of tokens: each verified once, however many requests carry it.

use std::sync::Arc;
use std::time::Duration;

use jose::{Jws, JwsError, KeySet};
use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::time::UnixTime;
use mtc_tls::cpu;

use crate::known::{Digest, Known, digest_of};
use crate::model::AccessTokenClaims;

/// Tokens that are remembered, each some 400 octets: a process hears from fewer consumers than this in the life of a token.
const MAX_KNOWN: usize = 4096;

/// Verifies tokens with the keys of the NRF. Shared by the instances of a process.
pub struct TokenVerifier {
    keys: KeySet,
    known: Known<Digest, Signed>,
}

/// What a token says, and what it is signed with.
struct Signed {
    claims: Arc<AccessTokenClaims>,
    algorithm: SignatureAlgorithm,
}

/// The claims of a token of the NRF; nothing is said of what they permit.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The claims.
    pub claims: Arc<AccessTokenClaims>,
    /// What signed them.
    pub algorithm: SignatureAlgorithm,
    /// CPU time that the signature took; none if the token had been verified before.
    pub cpu: Option<Duration>,
}

impl TokenVerifier {
    /// Trusts these keys and no other.
    pub fn new(keys: KeySet) -> Self {
        Self {
            keys,
            known: Known::new(MAX_KNOWN),
        }
    }

    /// The claims of a token, if the NRF has signed them. A token that has ended by `now` is not remembered.
    ///
    /// # Errors
    /// See [`JwsError`].
    pub fn verify(&self, token: &str, now: UnixTime) -> Result<Checked, JwsError> {
        let name = digest_of(token);
        if let Some(known) = self.known.get(&name, now) {
            return Ok(Checked {
                claims: known.claims.clone(),
                algorithm: known.algorithm,
                cpu: None,
            });
        }
        let started = cpu::thread_time();
        let jws = Jws::parse(token)?;
        let algorithm = jws.header.algorithm;
        let claims: Arc<AccessTokenClaims> = Arc::new(self.keys.verify(jws)?.claims()?);
        let cpu = cpu::thread_time().saturating_sub(started);
        let signed = Signed {
            claims: claims.clone(),
            algorithm,
        };
        let end = UnixTime(claims.exp);
        self.known.remember(name, Arc::new(signed), end, now);
        Ok(Checked {
            claims,
            algorithm,
            cpu: Some(cpu),
        })
    }
}

#[cfg(test)]
mod tests {
    use jose::Header;
    use mtc_core::cosign::SecretKey;
    use uuid::Uuid;

    use super::*;
    use crate::model::{Audience, NfType};

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn token(key: &SecretKey, number: u64) -> String {
        let claims = AccessTokenClaims {
            iss: Uuid::from_u128(1).into(),
            sub: Uuid::from_u128(2).into(),
            aud: Audience::Type(NfType::Smf),
            scope: "nsmf-pdusession".to_owned(),
            exp: NOW.0 + 60 + number,
            consumer_plmn_id: None,
            producer_plmn_id: None,
            producer_snssai_list: Vec::new(),
            other: serde_json::Map::new(),
        };
        let header = Header {
            key_id: None,
            ..Header::of_key(key.algorithm(), "")
        };
        jose::sign(&header, &claims, key).expect("keys sign")
    }

    #[test]
    fn a_token_is_verified_once_and_known_until_its_end() {
        let key = SecretKey::generate(SignatureAlgorithm::Ed25519).unwrap();
        let verifier = TokenVerifier::new(KeySet::of([key.public_key().unwrap()]));
        let text = token(&key, 0);
        assert!(verifier.verify(&text, NOW).unwrap().cpu.is_some());
        let again = verifier.verify(&text, NOW).unwrap();
        assert!(again.cpu.is_none());
        assert_eq!(again.algorithm, SignatureAlgorithm::Ed25519);
        // Another text is another token, though its signature may stand elsewhere.
        let (signed, _) = text.rsplit_once('.').unwrap();
        assert!(verifier.verify(&format!("{signed}.AAAA"), NOW).is_err());
        let late = UnixTime(NOW.0 + 1000);
        let over = token(&key, 1);
        for _ in 0..2 {
            assert!(verifier.verify(&over, late).unwrap().cpu.is_some());
        }
    }
}
