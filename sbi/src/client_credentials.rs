//! Client credentials assertions (TS 33.501 clause 13.3.8, TS 29.500 clause 6.7.5): who a consumer is, in its own words, for those that
//! its requests reach through an SCP.
//!
//! ```text
//!  consumer  kept for this kind of connection and type of producer? ── yes ──> Assertion ──> 3gpp-Sbi-Client-Credentials
//!               └─ no: sub, iat, exp, aud, signed with the key of its certificate, which is in x5c
//!  producer  header ──> verified before? ── no: x5c judged as a client's certificate in a handshake, then the signature
//!  or NRF       └─ sub is the certificate's instance ──> exp, aud ──> claims
//! ```
//!
//! The certificate is one of the connection's trust domain: a Merkle Tree Certificate stands in `x5c` as any other does, in base64, and is
//! believed by the same rules as in TLS. In the domain of landmarks it is the landmark-relative one; whoever does not know the landmark
//! refuses it, and is then shown the standalone one ([`ClientCredentials::fall_back`]).
//!
//! One signature is for all requests of some minutes, and each reader verifies it once.

mod assertion;
mod refusal;
mod verifier;

use std::fmt;

use hyper::HeaderMap;
use mtc_tls::endpoint::Endpoint;
use mtc_tls::profile::{ConnectionProfile, TrustDomain};

use crate::header::CLIENT_CREDENTIALS;
use crate::model::{NfInstanceId, NfType};

pub use assertion::{Assertion, AssertionError};
pub use refusal::AssertionRefusal;
pub use verifier::VerifiedAssertion;

use assertion::{Audience, KeptAssertions};
use verifier::KnownAssertions;

/// The assertions of an NF instance, as consumer and as producer.
pub struct ClientCredentials {
    id: NfInstanceId,
    endpoint: Endpoint,
    kept: KeptAssertions,
    known: KnownAssertions,
}

impl ClientCredentials {
    /// Those of the instance `id`, which signs with what `endpoint` presents and believes what `endpoint` trusts.
    pub fn new(id: NfInstanceId, endpoint: Endpoint) -> Self {
        Self {
            id,
            endpoint,
            kept: KeptAssertions::default(),
            known: KnownAssertions::new(),
        }
    }

    /// An assertion of this instance for producers of type `target`, and the NRF, that trust the domain of `profile`; none if it has no
    /// certificate for them.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn assertion(
        &self,
        target: &NfType,
        profile: ConnectionProfile,
    ) -> Result<Option<Assertion>, AssertionError> {
        let audience = Audience {
            target: target.clone(),
            profile,
        };
        self.kept.get(self.id, &self.endpoint, audience)
    }

    /// Has the next assertion be of the standalone certificate, after one with a landmark-relative one was refused. Whether it was one.
    pub fn fall_back(&self, refused: &Assertion) -> bool {
        self.kept.fall_back(refused)
    }

    /// What an assertion says that came over a connection in `domain`, for an NF of type `own`, if it is good now.
    ///
    /// # Errors
    /// See [`AssertionRefusal`].
    pub fn verify(
        &self,
        text: &str,
        domain: TrustDomain,
        own: &NfType,
    ) -> Result<VerifiedAssertion, AssertionRefusal> {
        self.known.verify(text, domain, own, &self.endpoint)
    }
}

/// The assertion in the headers of a request.
///
/// # Errors
/// There is none, or more than one.
pub fn of(headers: &HeaderMap) -> Result<&str, AssertionRefusal> {
    let mut values = headers.get_all(CLIENT_CREDENTIALS).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(AssertionRefusal::Missing);
    };
    let text = value.to_str().map_err(|_| AssertionRefusal::Missing)?;
    Ok(text.trim())
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCredentials({})", self.id)
    }
}
