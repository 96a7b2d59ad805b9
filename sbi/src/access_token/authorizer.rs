//! What gives the requests of a connection their access tokens.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use mtc_tls::profile::{ConnectionProfile, Tokens};

use super::{AccessTokens, Bearer, TokenNeed, producer, tokened};

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
}

impl Authorizer {
    /// For a connection of this profile, which says what signs the tokens.
    pub const fn new(tokens: Arc<AccessTokens>, profile: ConnectionProfile) -> Self {
        Self { tokens, profile }
    }

    /// What a request needs a token for; none if it needs none, or there is nowhere to get one.
    pub(crate) fn need(&self, method: &Method, path: &str) -> Option<TokenNeed> {
        let tokens = self.profile.tokens;
        if tokens == Tokens::None || self.tokens.source.get().is_none() {
            return None;
        }
        let service = tokened(method, path)?;
        Some(TokenNeed {
            target: producer(&service)?,
            service,
            tokens,
        })
    }

    /// The token for a need: kept, or fetched.
    ///
    /// # Errors
    /// Why it could not be fetched.
    pub(crate) async fn token(
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

    /// Forgets a token that a producer has refused.
    pub(crate) fn forget(&self, need: &TokenNeed, refused: &Bearer) {
        self.tokens.kept.forget(need, refused);
    }
}
