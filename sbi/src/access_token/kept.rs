//! The tokens that a consumer has: one for each audience and scope, until shortly before its end.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::http::HeaderValue;
use mtc_tls::profile::Tokens;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::model::{AccessTokenRsp, NfType, ServiceName};

/// The life of a token whose answer does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// How long at least a token is kept that was fetched in place of a refused one, whoever refuses it.
const LEAST_LIFE: Duration = Duration::from_secs(5);
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

/// What came of a request for a token.
#[derive(Clone, Debug)]
struct Kept<V> {
    value: V,
    /// When the next one is fetched: after four fifths of its life.
    until: Instant,
}

type Slot<V> = Arc<OnceCell<Kept<V>>>;

/// What there is for one need.
struct Entry<V> {
    /// An empty one is being fetched for.
    slot: Slot<V>,
    /// When a producer's refusal was believed last.
    forgotten: Option<Instant>,
}

/// Tokens by what they are needed for: those of a consumer, by default.
pub struct KeptTokens<K = TokenNeed, V = Bearer> {
    most: usize,
    entries: Mutex<HashMap<K, Entry<V>>>,
}

impl<K: Clone + Eq + Hash, V: Clone> KeptTokens<K, V> {
    /// No token yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            entries: Mutex::default(),
        }
    }

    /// The token for `need`; `fetch` asks for it, and for how long it is good, if there is none that is fresh. Of many that need it, one
    /// asks.
    ///
    /// Dropping the future lets another one ask.
    ///
    /// # Errors
    /// Those of `fetch`, which are not remembered.
    pub async fn get<E, F>(&self, need: &K, fetch: F) -> Result<V, E>
    where
        F: AsyncFnOnce() -> Result<(V, Duration), E>,
    {
        let slot = self.slot(need, Instant::now());
        let kept = slot
            .get_or_try_init(|| async {
                let asked = Instant::now();
                let (value, life) = fetch().await?;
                Ok(Kept {
                    value,
                    until: asked + life.min(MAX_LIFE) * 4 / 5,
                })
            })
            .await?;
        Ok(kept.value.clone())
    }

    /// Forgets the token that `is_it`, which a producer has refused; a newer one stays, and so does one that came in place of a refused
    /// one less than five seconds ago: the next would be no better, and a producer that refuses all would bring about a fetch with every
    /// request. Whether there is, or will be fetched, another one.
    pub fn forget(&self, need: &K, is_it: impl Fn(&V) -> bool) -> bool {
        self.with(|entries| {
            let Some(entry) = entries.get_mut(need) else {
                return true;
            };
            if !entry.slot.get().is_some_and(|kept| is_it(&kept.value)) {
                return true;
            }
            let is_believed = entry
                .forgotten
                .is_none_or(|last| last.elapsed() >= LEAST_LIFE);
            if is_believed {
                *entry = Entry {
                    slot: Slot::default(),
                    forgotten: Some(Instant::now()),
                };
            }
            is_believed
        })
    }

    /// The slot for `need`: a token that is to be replaced by `now` makes way for an empty one.
    fn slot(&self, need: &K, now: Instant) -> Slot<V> {
        let is_fresh = |entry: &Entry<V>| entry.slot.get().is_none_or(|kept| now < kept.until);
        self.with(|entries| {
            if let Some(entry) = entries.get(need).filter(|entry| is_fresh(entry)) {
                return entry.slot.clone();
            }
            if entries.len() >= self.most {
                entries.retain(|_, entry| is_fresh(entry));
            }
            if entries.len() >= self.most
                && let Some(any) = entries.keys().next().cloned()
            {
                entries.remove(&any);
            }
            let slot = Slot::default();
            let entry = Entry {
                slot: slot.clone(),
                forgotten: None,
            };
            entries.insert(need.clone(), entry);
            slot
        })
    }

    /// Every change is a single one: what a holder that panicked leaves is consistent.
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<K, Entry<V>>) -> T) -> T {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
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
        let (kept, source) = (KeptTokens::new(8), Source(AtomicU32::new(0)));
        assert_eq!(get(&kept, &source, Tokens::Es256).await, "Bearer 0");
        assert_eq!(get(&kept, &source, Tokens::MlDsa44).await, "Bearer 1");
        tokio::time::advance(Duration::from_secs(47)).await;
        assert_eq!(get(&kept, &source, Tokens::Es256).await, "Bearer 0");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(get(&kept, &source, Tokens::Es256).await, "Bearer 2");
    }

    #[tokio::test]
    async fn those_who_need_it_at_the_same_time_fetch_it_once() {
        let (kept, source) = (KeptTokens::new(8), Source(AtomicU32::new(0)));
        let (first, second) = tokio::join!(
            get(&kept, &source, Tokens::Es256),
            get(&kept, &source, Tokens::Es256)
        );
        assert_eq!((first.as_str(), second.as_str()), ("Bearer 0", "Bearer 0"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_forgotten_and_the_next_one_only_after_a_while() {
        let (kept, source) = (KeptTokens::new(8), Source(AtomicU32::new(0)));
        let current = async || {
            let text = get(&kept, &source, Tokens::Es256).await;
            Bearer::of(&text["Bearer ".len()..]).expect("digits")
        };
        let forget = |refused: &Bearer| kept.forget(&need(Tokens::Es256), |kept| kept == refused);
        let first = current().await;
        assert!(forget(&first));
        let second = current().await;
        assert_ne!(second, first);
        // A producer that refuses whatever comes must not have a token fetched for each request.
        assert!(!forget(&second));
        assert_eq!(current().await, second);
        tokio::time::advance(LEAST_LIFE).await;
        assert!(forget(&second));
        let third = current().await;
        assert_ne!(third, second);
        // There is a newer one already.
        assert!(forget(&second));
        assert_eq!(current().await, third);
    }

    #[tokio::test]
    async fn tokens_are_bounded() {
        let (kept, source) = (KeptTokens::new(2), Source(AtomicU32::new(0)));
        for tokens in Tokens::ALL {
            get(&kept, &source, tokens).await;
        }
        assert_eq!(kept.with(|entries| entries.len()), 2);
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let (kept, source) = (KeptTokens::new(8), Source(AtomicU32::new(0)));
        let failed: Result<_, &str> = kept.get(&need(Tokens::Es256), async || Err("no")).await;
        assert_eq!(failed, Err("no"));
        assert_eq!(get(&kept, &source, Tokens::Es256).await, "Bearer 0");
    }
}
