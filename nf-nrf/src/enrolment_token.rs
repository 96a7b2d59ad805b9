//! Enrolment tokens as the NRF sees them: checked against the authority's public key, then used once.
//!
//! ```text
//!  token ──TokenVerifier::verify──> EnrolmentClaims ──UsedTokens::reserve──> Reservation
//!                                                          dropped: free again │ consume: on disk, then acknowledged
//! ```
//!
//! Two requests with one token never both succeed, not even across a crash: the second finds the token reserved, or
//! recorded.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use mtc_core::cosign::{PublicKey, SignatureAlgorithm};
use mtc_core::time::UnixTime;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use sbi::enrolment_claims::{ACME_ISSUER, CMP_ISSUER, ENROLMENT_ISSUER, EnrolmentClaims};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::revocation::{ORDER_ISSUER, RevocationOrder};

mod shared_secret;
mod used;

pub use self::shared_secret::{SharedSecrets, SharedSecretsError};
pub use self::used::{Answer, RequestDigest, Reservation, Reserved, UsedTokens, UsedTokensError};

/// Longest token that is decoded. With 16 FQDNs of 253 characters it is below this.
const MAX_TOKEN: usize = 8 * 1024;

/// Why an enrolment token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Longer than the bound of this implementation.
    #[error("enrolment token: {0} bytes; at most {MAX_TOKEN} are allowed")]
    TooLong(usize),
    /// Not a JWT with exactly the claims of an enrolment token.
    #[error("enrolment token: not a JWT with the claims of an enrolment token")]
    Malformed(#[source] jsonwebtoken::errors::Error),
    /// Signed with another algorithm than ES256, or not at all.
    #[error("enrolment token: alg is not ES256")]
    Algorithm,
    /// Not signed by the authority that this NRF trusts: minted for another lab, or changed.
    #[error("enrolment token: signature is not by this NRF's enrolment authority")]
    BadSignature,
    /// Signed by the right key for another purpose.
    #[error("enrolment token: iss is {found:?}, not {expected:?}")]
    Issuer {
        /// For what it is.
        found: String,
        /// For what it should be.
        expected: &'static str,
    },
    /// The token's time is over.
    #[error(
        "enrolment token: exp {expired} was {} s before this clock, {now}; mint a new one (mtc5g token), or is a clock wrong?",
        now.0.saturating_sub(expired.0)
    )]
    Expired {
        /// Last good second.
        expired: UnixTime,
        /// The NRF's clock.
        now: UnixTime,
    },
    /// A certificate was, or is just being, issued for this token.
    #[error(
        "enrolment token {0}: already used; a token is valid for one certificate, and mtc5g token mints a new one"
    )]
    AlreadyUsed(Uuid),
    /// An earlier copy of this request has not been answered yet.
    #[error("enrolment token {0}: the same request is being processed; repeat it in a moment")]
    InUse(Uuid),
}

impl TokenError {
    /// The check that failed, in a word.
    pub const fn check(&self) -> &'static str {
        match self {
            Self::TooLong(_) | Self::Malformed(_) => "malformed",
            Self::Algorithm => "algorithm",
            Self::BadSignature => "signature",
            Self::Issuer { .. } => "issuer",
            Self::Expired { .. } => "expired",
            Self::AlreadyUsed(_) => "used",
            Self::InUse(_) => "in-use",
        }
    }
}

/// The enrolment authority's public key is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("enrolment authority: not a PEM public key on P-256")]
pub struct AuthorityKeyError;

/// Checks signature, issuer and time of enrolment tokens.
pub struct TokenVerifier {
    key: DecodingKey,
    validation: Validation,
}

impl TokenVerifier {
    /// A verifier that trusts the authority with this public key, a PEM SubjectPublicKeyInfo on P-256.
    ///
    /// # Errors
    /// The text holds no such key.
    pub fn new(public_key_pem: &str) -> Result<Self, AuthorityKeyError> {
        let key = SubjectPublicKeyInfoDer::from_pem_slice(public_key_pem.as_bytes())
            .ok()
            .and_then(|spki| PublicKey::from_spki(&spki).ok())
            .filter(|key| key.algorithm() == SignatureAlgorithm::EcdsaP256)
            .ok_or(AuthorityKeyError)?;
        // The library judges the signature alone. Issuer and time are judged below, where the error can carry them,
        // and with the caller's clock.
        let mut validation = Validation::new(Algorithm::ES256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        Ok(Self {
            key: DecodingKey::from_ec_der(key.raw()),
            validation,
        })
    }

    /// The claims of a token that is good at `now`; whether it was used before is [`UsedTokens`]' to say.
    ///
    /// # Errors
    /// Every rule has its variant in [`TokenError`].
    pub fn verify(&self, token: &str, now: UnixTime) -> Result<EnrolmentClaims, TokenError> {
        self.verify_of(ENROLMENT_ISSUER, token, now)
    }

    /// The claims of the reference number of a CMP secret that is good at `now`. It proves nothing without that secret.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_reference(
        &self,
        reference: &str,
        now: UnixTime,
    ) -> Result<EnrolmentClaims, TokenError> {
        self.verify_of(CMP_ISSUER, reference, now)
    }

    /// The claims of the key identifier of an external account that is good at `now`. It proves nothing without the MAC key of that account.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_external_account(
        &self,
        key_id: &str,
        now: UnixTime,
    ) -> Result<EnrolmentClaims, TokenError> {
        self.verify_of(ACME_ISSUER, key_id, now)
    }

    /// What an operator orders to be revoked, by an order that is good at `now`.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_order(&self, order: &str, now: UnixTime) -> Result<RevocationOrder, TokenError> {
        let order: RevocationOrder = self.decode(order)?;
        check(ORDER_ISSUER, &order.iss, order.exp, now)?;
        Ok(order)
    }

    fn verify_of(
        &self,
        issuer: &'static str,
        token: &str,
        now: UnixTime,
    ) -> Result<EnrolmentClaims, TokenError> {
        let claims: EnrolmentClaims = self.decode(token)?;
        check(issuer, &claims.iss, claims.exp, now)?;
        Ok(claims)
    }

    /// The claims that the authority has signed.
    fn decode<T: DeserializeOwned>(&self, token: &str) -> Result<T, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::TooLong(token.len()));
        }
        let decoded = jsonwebtoken::decode::<T>(token, &self.key, &self.validation);
        let decoded = decoded.map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenError::BadSignature,
            ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
            _ => TokenError::Malformed(error),
        });
        Ok(decoded?.claims)
    }
}

/// Purpose and time of what the authority has signed.
fn check(expected: &'static str, iss: &str, exp: u64, now: UnixTime) -> Result<(), TokenError> {
    if iss != expected {
        return Err(TokenError::Issuer {
            found: iss.to_owned(),
            expected,
        });
    }
    let expired = UnixTime(exp);
    if now > expired {
        return Err(TokenError::Expired { expired, now });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header};
    use mtc_tls::key::{KeyAlgorithm, NfKey};
    use mtc_tls::pem;

    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    struct Authority(NfKey);

    impl Authority {
        fn new() -> Self {
            Self(NfKey::generate(KeyAlgorithm::EcdsaP256).expect("key generation works"))
        }

        fn verifier(&self) -> TokenVerifier {
            TokenVerifier::new(&pem::encode(pem::PUBLIC_KEY, self.0.spki_der()))
                .expect("key is on P-256")
        }

        fn mint(&self, claims: &impl serde::Serialize) -> String {
            let key = EncodingKey::from_ec_der(&self.0.to_pkcs8().expect("key encodes"));
            jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &key)
                .expect("claims encode")
        }
    }

    fn claims() -> EnrolmentClaims {
        EnrolmentClaims {
            iss: ENROLMENT_ISSUER.to_owned(),
            sub: Uuid::from_u128(1),
            nf_type: "AMF".to_owned(),
            fqdn: vec!["amf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned()],
            exp: NOW.0,
            jti: Uuid::from_u128(2),
        }
    }

    #[test]
    fn a_minted_token_is_good_until_its_last_second() {
        let authority = Authority::new();
        let token = authority.mint(&claims());
        assert_eq!(authority.verifier().verify(&token, NOW), Ok(claims()));
        let late = UnixTime(NOW.0 + 5);
        let error = authority.verifier().verify(&token, late).unwrap_err();
        assert_eq!(
            error,
            TokenError::Expired {
                expired: NOW,
                now: late
            }
        );
        assert!(
            error.to_string().contains("was 5 s before this clock"),
            "{error}"
        );
    }

    #[test]
    fn a_token_of_another_authority_is_refused() {
        let token = Authority::new().mint(&claims());
        assert_eq!(
            Authority::new().verifier().verify(&token, NOW),
            Err(TokenError::BadSignature)
        );
    }

    #[test]
    fn changed_claims_are_refused() {
        let authority = Authority::new();
        let token = authority.mint(&claims());
        let mut parts: Vec<&str> = token.split('.').collect();
        let other = EnrolmentClaims {
            nf_type: "NRF".to_owned(),
            ..claims()
        };
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other).unwrap());
        parts[1] = &payload;
        assert_eq!(
            authority.verifier().verify(&parts.join("."), NOW),
            Err(TokenError::BadSignature)
        );
    }

    #[test]
    fn tokens_for_another_purpose_are_refused() {
        let authority = Authority::new();
        let access = EnrolmentClaims {
            iss: "nrf".to_owned(),
            ..claims()
        };
        assert_eq!(
            authority.verifier().verify(&authority.mint(&access), NOW),
            Err(TokenError::Issuer {
                found: "nrf".to_owned(),
                expected: ENROLMENT_ISSUER
            })
        );
        // Whoever listens has seen it.
        let reference = authority.mint(&EnrolmentClaims {
            iss: CMP_ISSUER.to_owned(),
            ..claims()
        });
        assert!(
            authority
                .verifier()
                .verify_reference(&reference, NOW)
                .is_ok()
        );
        assert!(matches!(
            authority.verifier().verify(&reference, NOW),
            Err(TokenError::Issuer { .. })
        ));
        let token = authority.mint(&claims());
        assert!(matches!(
            authority.verifier().verify_reference(&token, NOW),
            Err(TokenError::Issuer { .. })
        ));
        let without_jti = serde_json::json!({ "iss": ENROLMENT_ISSUER, "exp": NOW.0 });
        assert!(matches!(
            authority
                .verifier()
                .verify(&authority.mint(&without_jti), NOW),
            Err(TokenError::Malformed(_))
        ));
    }

    #[test]
    fn other_algorithms_and_none_are_refused() {
        let authority = Authority::new();
        let secret = EncodingKey::from_secret(authority.0.spki_der());
        let symmetric =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(), &secret).unwrap();
        assert_eq!(
            authority.verifier().verify(&symmetric, NOW),
            Err(TokenError::Algorithm)
        );

        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims()).unwrap());
        let unsigned = format!("{header}.{payload}.");
        assert!(matches!(
            authority.verifier().verify(&unsigned, NOW),
            Err(TokenError::Malformed(_))
        ));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let verifier = Authority::new().verifier();
        for text in ["", "a.b", "a.b.c", "....", "ey"] {
            assert!(
                matches!(verifier.verify(text, NOW), Err(TokenError::Malformed(_))),
                "{text:?}"
            );
        }
        assert_eq!(
            verifier.verify(&"a".repeat(9000), NOW),
            Err(TokenError::TooLong(9000))
        );
    }

    #[test]
    fn keys_of_another_curve_are_no_authority() {
        let p384 = NfKey::generate(KeyAlgorithm::EcdsaP384).unwrap();
        assert!(TokenVerifier::new("no key").is_err());
        assert!(TokenVerifier::new(&pem::encode(pem::PUBLIC_KEY, p384.spki_der())).is_err());
    }
}
