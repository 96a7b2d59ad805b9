//! Assertions as a consumer makes and keeps them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use hyper::http::HeaderValue;
use jose::Header;
use mtc_core::cosign::KeyError;
use mtc_core::time::UnixTime;
use mtc_tls::endpoint::Endpoint;
use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::ConnectionProfile;
use mtc_tls::signing::Signing;

use crate::model::{ClientCredentialsAssertion, NfInstanceId, NfType};

/// Seconds for which an assertion is good: short, since whoever sees one could show it to others of its audience, and long beside what a
/// signature costs.
const LIFETIME: u64 = 300;
/// Seconds after which the next one is made: four fifths of it, as with tokens.
const USE: u64 = LIFETIME * 4 / 5;
/// Most assertions of a consumer, each of 50 kB at most: a lab has some kinds of connections and of producers.
const MAX_KEPT: usize = 64;

/// The value of `3gpp-Sbi-Client-Credentials`. Prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Assertion {
    value: HeaderValue,
    kind: CertificateKind,
    audience: Audience,
}

/// Why there is no assertion.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionError {
    /// The key of the certificate cannot sign.
    #[error("client credentials assertion")]
    Key(#[from] KeyError),
}

impl Assertion {
    /// The value of the header.
    pub const fn header(&self) -> &HeaderValue {
        &self.value
    }

    /// How the certificate in it is authenticated.
    pub const fn kind(&self) -> CertificateKind {
        self.kind
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Assertion({}, {:?})", self.kind, self.audience)
    }
}

/// For whom an assertion is, and how it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Audience {
    pub(super) target: NfType,
    pub(super) profile: ConnectionProfile,
}

struct Kept {
    assertion: Assertion,
    made: UnixTime,
    /// Readers do not know the landmark of the instance's certificate.
    fell_back: bool,
}

impl Kept {
    /// A clock that was set back makes it look as if it came from the future.
    fn is_fresh(&self, now: UnixTime) -> bool {
        self.made <= now && now.0 < self.made.0.saturating_add(USE)
    }
}

/// The assertions of a consumer.
#[derive(Default)]
pub(super) struct KeptAssertions(Mutex<HashMap<Audience, Kept>>);

impl KeptAssertions {
    /// The assertion of `id` for `audience`: kept, or signed now. Others wait for the signature, as it will be theirs too.
    pub(super) fn get(
        &self,
        id: NfInstanceId,
        endpoint: &Endpoint,
        audience: Audience,
    ) -> Result<Option<Assertion>, AssertionError> {
        let now = endpoint.clock().now();
        self.with(|kept| {
            let before = kept.get(&audience).filter(|kept| kept.is_fresh(now));
            // What was refused is not kept, but the reason for that is.
            if let Some(kept) = before
                && (!kept.fell_back || kept.assertion.kind != CertificateKind::LandmarkRelative)
            {
                return Ok(Some(kept.assertion.clone()));
            }
            let fell_back = before.is_some_and(|kept| kept.fell_back);
            let Some(assertion) = make(id, endpoint, &audience, fell_back, now)? else {
                return Ok(None);
            };
            if kept.len() >= MAX_KEPT {
                kept.retain(|_, kept| kept.is_fresh(now));
            }
            if kept.len() >= MAX_KEPT {
                kept.clear();
            }
            let new = Kept {
                assertion: assertion.clone(),
                made: now,
                fell_back,
            };
            kept.insert(audience, new);
            Ok(Some(assertion))
        })
    }

    /// Until the assertion that was `refused` would have been replaced anyway, it is one of the standalone certificate.
    pub(super) fn fall_back(&self, refused: &Assertion) -> bool {
        if refused.kind != CertificateKind::LandmarkRelative {
            return false;
        }
        self.with(|kept| {
            if let Some(kept) = kept.get_mut(&refused.audience) {
                kept.fell_back = true;
            }
        });
        true
    }

    /// Every change is a single insert or removal: what a holder that panicked leaves is consistent.
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Audience, Kept>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn make(
    id: NfInstanceId,
    endpoint: &Endpoint,
    audience: &Audience,
    fell_back: bool,
    now: UnixTime,
) -> Result<Option<Assertion>, AssertionError> {
    let set = endpoint.credentials();
    let Some(signing) = Signing::of(&set, audience.profile, !fell_back) else {
        return Ok(None);
    };
    let mut aud = vec![audience.target.clone()];
    if audience.target != NfType::Nrf {
        aud.push(NfType::Nrf);
    }
    let claims = ClientCredentialsAssertion {
        sub: id,
        iat: now.0,
        exp: now.0.saturating_add(LIFETIME).min(signing.not_after().0),
        aud,
    };
    let chain = signing.chain().map(<[u8]>::to_vec).collect();
    let header = Header::of_chain(signing.algorithm(), chain);
    let text = jose::sign(&header, &claims, &signing)?;
    Ok(Some(Assertion {
        value: HeaderValue::try_from(text).expect("a JWS is base64url and dots"),
        kind: signing.kind(),
        audience: audience.clone(),
    }))
}
