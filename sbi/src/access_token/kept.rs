//! The tokens that a consumer has: one for each audience and scope, until shortly before its end.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::http::HeaderValue;
use mtc_tls::profile::Tokens;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::model::{AccessTokenRsp, NfType, ServiceName};

/// Most tokens of a consumer: a lab has three services and three algorithms.
const MAX_KEPT: usize = 64;
/// The life of a token whose answer does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// Longest life that is believed.
const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);

/// What a token is needed for. A token is for every producer of a type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenNeed {
    /// The producers' type: its audience.
    pub target: NfType,
    /// The service: its scope.
    pub service: ServiceName,
    /// What signs it.
    pub tokens: Tokens,
}

/// The value of `Authorization` with a token. Prints nothing of it.
///
/// Not marked as sensitive: HPACK may then keep it in its table, where a token that fits (up to 3 kB) travels once in a connection and
/// is an octet in each further request. RFC 7541 section 7.1.3 warns of values that can be guessed; a signature cannot.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearer(HeaderValue);

impl Bearer {
    /// The value for a token; none if it is not visible ASCII.
    pub fn of(token: &str) -> Option<Self> {
        HeaderValue::try_from(format!("Bearer {token}"))
            .ok()
            .map(Self)
    }

    /// The value of the header.
    pub const fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(..)")
    }
}

/// A token that came.
#[derive(Clone, Debug)]
struct Kept {
    bearer: Bearer,
    /// When the next one is fetched: after four fifths of its life.
    until: Instant,
}

type Slot = Arc<OnceCell<Kept>>;

/// The tokens of a consumer.
#[derive(Default)]
pub struct KeptTokens {
    /// An empty slot is being fetched for.
    slots: Mutex<HashMap<TokenNeed, Slot>>,
}

impl KeptTokens {
    /// The token for `need`; `fetch` asks for it if there is none that is fresh. Of many that need it, one asks.
    ///
    /// Dropping the future lets another one ask.
    ///
    /// # Errors
    /// Those of `fetch`, which are not remembered.
    pub async fn get<E, F>(&self, need: &TokenNeed, fetch: F) -> Result<Bearer, E>
    where
        F: AsyncFnOnce() -> Result<(Bearer, Duration), E>,
    {
        let slot = self.slot(need, Instant::now());
        let kept = slot
            .get_or_try_init(|| async {
                let asked = Instant::now();
                let (bearer, life) = fetch().await?;
                Ok(Kept {
                    bearer,
                    until: asked + life.min(MAX_LIFE) * 4 / 5,
                })
            })
            .await?;
        Ok(kept.bearer.clone())
    }

    /// Forgets the token `bearer`, which a producer has refused; a newer one stays.
    pub fn forget(&self, need: &TokenNeed, bearer: &Bearer) {
        self.with(|slots| {
            let is_it = |slot: &Slot| slot.get().is_some_and(|kept| kept.bearer == *bearer);
            if slots.get(need).is_some_and(is_it) {
                slots.remove(need);
            }
        });
    }

    /// The slot for `need`: a token that is to be replaced by `now` makes way for an empty one.
    fn slot(&self, need: &TokenNeed, now: Instant) -> Slot {
        let is_fresh = |slot: &Slot| slot.get().is_none_or(|kept| now < kept.until);
        self.with(|slots| {
            if let Some(slot) = slots.get(need).filter(|slot| is_fresh(slot)) {
                return slot.clone();
            }
            if slots.len() >= MAX_KEPT {
                slots.retain(|_, slot| is_fresh(slot));
            }
            if slots.len() >= MAX_KEPT {
                slots.clear();
            }
            let slot = Slot::default();
            slots.insert(need.clone(), slot.clone());
            slot
        })
    }

    /// Every change is a single one: what a holder that panicked leaves is consistent.
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<TokenNeed, Slot>) -> T) -> T {
        act(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How long the token of an answer is good.
pub(crate) fn life(answer: &AccessTokenRsp) -> Duration {
    answer.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn need(tokens: Tokens) -> TokenNeed {
        TokenNeed {
            target: NfType::Smf,
            service: ServiceName::NsmfPdusession,
            tokens,
        }
    }

    /// A source of numbered tokens that live for a minute.
    struct Source(AtomicU32);

    impl Source {
        async fn token(&self) -> Result<(Bearer, Duration), Infallible> {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            let bearer = Bearer::of(&number.to_string()).expect("digits");
            Ok((bearer, Duration::from_secs(60)))
        }
    }

    async fn get(kept: &KeptTokens, source: &Source, tokens: Tokens) -> String {
        let bearer = kept.get(&need(tokens), async || source.token().await).await;
        let bearer = bearer.expect("a token");
        bearer.header().to_str().expect("ASCII").to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_fetched_anew_after_four_fifths_of_its_life() {
        let (kept, source) = (KeptTokens::default(), Source(AtomicU32::new(0)));
        assert_eq!(get(&kept, &source, Tokens::Es256).await, "Bearer 0");
        assert_eq!(get(&kept, &source, Tokens::MlDsa44).await, "Bearer 1");
        tokio::time::advance(Duration::from_secs(47)).await;
        assert_eq!(get(&kept, &source, Tokens::Es256).await, "Bearer 0");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(get(&kept, &source, Tokens::Es256).await, "Bearer 2");
    }

    #[tokio::test]
    async fn those_who_need_it_at_the_same_time_fetch_it_once() {
        let (kept, source) = (KeptTokens::default(), Source(AtomicU32::new(0)));
        let (first, second) = tokio::join!(
            get(&kept, &source, Tokens::Es256),
            get(&kept, &source, Tokens::Es256)
        );
        assert_eq!((first.as_str(), second.as_str()), ("Bearer 0", "Bearer 0"));
    }

    #[tokio::test]
    async fn a_refused_token_is_forgotten_and_a_newer_one_is_not() {
        let (kept, source) = (KeptTokens::default(), Source(AtomicU32::new(0)));
        let first = Bearer::of(&get(&kept, &source, Tokens::Es256).await["Bearer ".len()..]);
        let first = first.expect("digits");
        kept.forget(&need(Tokens::Es256), &first);
        assert_eq!(get(&kept, &source, Tokens::Es256).await, "Bearer 1");
        kept.forget(&need(Tokens::Es256), &first);
        assert_eq!(get(&kept, &source, Tokens::Es256).await, "Bearer 1");
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let (kept, source) = (KeptTokens::default(), Source(AtomicU32::new(0)));
        let failed: Result<_, &str> = kept.get(&need(Tokens::Es256), async || Err("no")).await;
        assert_eq!(failed, Err("no"));
        assert_eq!(get(&kept, &source, Tokens::Es256).await, "Bearer 0");
    }
}
