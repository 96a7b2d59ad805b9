//! Signatures of tokens: each verified once, however many requests carry it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jose::{Jws, JwsError, KeySet};
use mtc_core::time::UnixTime;
use mtc_tls::cpu;

use crate::model::AccessTokenClaims;

/// Tokens that are remembered, each some 400 octets: a process hears from fewer consumers than this in the life of a token.
const MAX_KNOWN: usize = 4096;

/// The hash of a token: what is remembered of its text.
type Digest = [u8; 32];

/// Verifies tokens with the keys of the NRF. Shared by the instances of a process.
pub struct TokenVerifier {
    keys: KeySet,
    known: Mutex<HashMap<Digest, Arc<AccessTokenClaims>>>,
}

/// The claims of a token of the NRF; nothing is said of what they permit.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The claims.
    pub claims: Arc<AccessTokenClaims>,
    /// CPU time that the signature took; none if the token had been verified before.
    pub cpu: Option<Duration>,
}

impl TokenVerifier {
    /// Trusts these keys and no other.
    pub fn new(keys: KeySet) -> Self {
        Self {
            keys,
            known: Mutex::default(),
        }
    }

    /// The claims of a token, if the NRF has signed them. A token that has ended by `now` is not remembered.
    ///
    /// # Errors
    /// See [`JwsError`].
    pub fn verify(&self, token: &str, now: UnixTime) -> Result<Checked, JwsError> {
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(claims) = self.with_known(|known| known.get(&name).cloned()) {
            return Ok(Checked { claims, cpu: None });
        }
        let started = cpu::thread_time();
        let verified = self.keys.verify(Jws::parse(token)?)?;
        let claims: Arc<AccessTokenClaims> = Arc::new(verified.claims()?);
        let cpu = cpu::thread_time().saturating_sub(started);
        if now.0 < claims.exp {
            self.with_known(|known| remember(known, name, &claims, now));
        }
        Ok(Checked {
            claims,
            cpu: Some(cpu),
        })
    }

    /// Every change is a single insert or removal: what a holder that panicked leaves is consistent.
    fn with_known<T>(
        &self,
        act: impl FnOnce(&mut HashMap<Digest, Arc<AccessTokenClaims>>) -> T,
    ) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes room first, by what has ended and otherwise by any: it is verified again when it comes.
fn remember(
    known: &mut HashMap<Digest, Arc<AccessTokenClaims>>,
    name: Digest,
    claims: &Arc<AccessTokenClaims>,
    now: UnixTime,
) {
    if known.len() >= MAX_KNOWN {
        known.retain(|_, claims| now.0 < claims.exp);
    }
    if known.len() >= MAX_KNOWN
        && let Some(&any) = known.keys().next()
    {
        known.remove(&any);
    }
    known.insert(name, claims.clone());
}

#[cfg(test)]
mod tests {
    use jose::Header;
    use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
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
        assert!(verifier.verify(&text, NOW).unwrap().cpu.is_none());
        // Another text is another token, though its signature may stand elsewhere.
        let (signed, _) = text.rsplit_once('.').unwrap();
        assert!(verifier.verify(&format!("{signed}.AAAA"), NOW).is_err());
        let late = UnixTime(NOW.0 + 1000);
        let over = token(&key, 1);
        for _ in 0..2 {
            assert!(verifier.verify(&over, late).unwrap().cpu.is_some());
        }
    }

    #[test]
    fn what_is_known_is_bounded() {
        let claims = |exp| {
            let key = SecretKey::generate(SignatureAlgorithm::Ed25519).unwrap();
            let verifier = TokenVerifier::new(KeySet::of([key.public_key().unwrap()]));
            let mut claims =
                AccessTokenClaims::clone(&verifier.verify(&token(&key, 0), NOW).unwrap().claims);
            claims.exp = exp;
            Arc::new(claims)
        };
        let (good, over) = (claims(NOW.0 + 60), claims(NOW.0));
        let mut known = HashMap::new();
        let name = |number: usize| {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_be_bytes());
            name
        };
        for number in 0..MAX_KNOWN + 10 {
            remember(&mut known, name(number), &good, NOW);
        }
        assert_eq!(known.len(), MAX_KNOWN);
        for claims in known.values_mut() {
            *claims = over.clone();
        }
        remember(&mut known, [0xff; 32], &good, NOW);
        assert_eq!(known.len(), 1);
    }
}
