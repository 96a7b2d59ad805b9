//! What gives the requests of a connection their access tokens, and, through an SCP, their client credentials assertions.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method, StatusCode};
use mtc_tls::identity::NfIdentity;
use mtc_tls::profile::ConnectionProfile;

use super::{AccessTokens, Bearer, TokenNeed, is_scp, need_of};
use crate::client_credentials::Assertion;
use crate::header::{CLIENT_CREDENTIALS, is_delegated};
use crate::problem::{Cause, ProblemDetails};
use crate::response::Response;

/// A request for a token that is under way: the token, and how long it is good.
pub type FetchToken<'a> = Pin<
    Box<dyn Future<Output = Result<(Bearer, Duration), Box<dyn Error + Send + Sync>>> + Send + 'a>,
>;

/// Where tokens come from.
pub trait TokenSource: Send + Sync {
    /// Asks for a token, over a connection of this profile. Dropping the future gives the request up.
    fn fetch<'a>(&'a self, need: &'a TokenNeed, profile: ConnectionProfile) -> FetchToken<'a>;
}

/// Gives the requests of one connection their access tokens.
#[derive(Clone, Debug)]
pub struct Authorizer {
    tokens: Arc<AccessTokens>,
    profile: ConnectionProfile,
    /// Producers see the certificate of an SCP.
    through_scp: bool,
}

/// By what a request is permitted, beside what it has already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Permit {
    bearer: Option<Bearer>,
    assertion: Option<Assertion>,
    /// The SCP fetches the token.
    is_delegated: bool,
}

impl Permit {
    /// Adds it to the headers of a request.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.header().clone());
        }
        if let Some(assertion) = &self.assertion {
            headers.insert(CLIENT_CREDENTIALS, assertion.header().clone());
        }
    }
}

impl Authorizer {
    /// For a connection of this profile, which says what signs the tokens, to this peer.
    pub fn new(tokens: Arc<AccessTokens>, profile: ConnectionProfile, peer: &NfIdentity) -> Self {
        Self {
            tokens,
            profile,
            through_scp: is_scp(peer),
        }
    }

    /// What a request needs a token for; none if it needs none, or there is nowhere to get one.
    pub(crate) fn need(&self, method: &Method, path: &str) -> Option<TokenNeed> {
        self.tokens.source.get()?;
        need_of(method, path, self.profile)
    }

    /// What permits a request with these headers, kept or fetched. At the first attempt an SCP that chooses the producer is left to fetch
    /// the token, which it can by the assertion (TS 33.501 clause 13.4.1.3.2).
    ///
    /// # Errors
    /// Why it could not be fetched, or signed.
    pub(crate) async fn permit(
        &self,
        need: &TokenNeed,
        headers: &HeaderMap,
        is_first: bool,
    ) -> Result<Permit, Box<dyn Error + Send + Sync>> {
        let is_asserted = headers.contains_key(CLIENT_CREDENTIALS);
        let assertion = match &self.tokens.credentials {
            Some(credentials) if self.through_scp && !is_asserted => {
                credentials.assertion(&need.target, self.profile)?
            }
            _ => None,
        };
        if headers.contains_key(AUTHORIZATION) {
            return Ok(Permit {
                assertion,
                ..Permit::default()
            });
        }
        let has_assertion = self.through_scp && (is_asserted || assertion.is_some());
        let is_delegated = is_first && has_assertion && is_delegated(headers);
        let bearer = if is_delegated {
            None
        } else {
            self.token(need).await?
        };
        Ok(Permit {
            bearer,
            assertion,
            is_delegated,
        })
    }

    async fn token(
        &self,
        need: &TokenNeed,
    ) -> Result<Option<Bearer>, Box<dyn Error + Send + Sync>> {
        let Some(source) = self.tokens.source.get() else {
            return Ok(None);
        };
        let fetch = async || {
            let fetched = source.fetch(need, self.profile).await;
            self.tokens.ledger.metrics().tokens.fetched(fetched.is_ok());
            fetched
        };
        self.tokens.kept.get(need, fetch).await.map(Some)
    }

    /// Forgets what an answer refuses, and says whether there is something else by which the request may be permitted: another token, the
    /// consumer's own instead of the SCP's, an assertion that does without a landmark.
    pub(crate) fn learn(&self, need: &TokenNeed, permit: &Permit, response: &Response) -> bool {
        match (response.status, &permit.bearer, &permit.assertion) {
            (StatusCode::UNAUTHORIZED, Some(bearer), _) => {
                self.tokens.kept.forget(need, |kept| kept == bearer)
            }
            (StatusCode::UNAUTHORIZED, None, _) => permit.is_delegated,
            (StatusCode::FORBIDDEN, _, Some(assertion)) if is_unbelieved(response) => {
                let credentials = self.tokens.credentials.as_ref();
                credentials.is_some_and(|credentials| credentials.fall_back(assertion))
            }
            _ => false,
        }
    }
}

/// Whether somebody does not believe the assertion.
fn is_unbelieved(response: &Response) -> bool {
    let details = ProblemDetails::from_body(&response.body);
    let cause = details.and_then(|details| details.cause);
    cause.as_deref() == Some(Cause::CcaVerificationFailure.as_str())
}
