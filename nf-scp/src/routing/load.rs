//! What producers say of their load and overload with their answers (TS 29.500 clauses 6.3 and 6.4), until they say something else.
//!
//! ```text
//!  answer ── Lci: load ──────> weight in the choice among equals, instead of the load in the profile
//!         └─ Oci: reduction ─> that share of the requests goes to another producer, or is refused
//! ```
//!
//! A producer is believed of itself only. Pure: times and random numbers are given.

use std::collections::HashMap;
use std::time::Duration;

use hyper::HeaderMap;
use sbi::header::{LoadControl, OverloadControl};
use sbi::model::NfInstanceId;
use time::OffsetDateTime;
use tokio::time::Instant;

/// Producers to remember.
const MAX_PRODUCERS: usize = 1024;
/// Longest time for which an overload is believed, whatever the producer says.
const MAX_VALIDITY: Duration = Duration::from_secs(3600);

/// What is known of each producer that has said something.
#[derive(Debug, Default)]
pub(super) struct Loads(HashMap<NfInstanceId, Said>);

#[derive(Debug, Default)]
struct Said {
    load: Option<(OffsetDateTime, u8)>,
    overload: Option<Overload>,
}

#[derive(Clone, Copy, Debug)]
struct Overload {
    timestamp: OffsetDateTime,
    reduction: u8,
    until: Instant,
}

impl Loads {
    /// Takes in what `producer` says in the headers of an answer that came at `now`. What cannot be read changes nothing: the answer
    /// is none the worse.
    pub(super) fn hear(&mut self, producer: NfInstanceId, headers: &HeaderMap, now: Instant) {
        let loads = LoadControl::read_all(headers).unwrap_or_default();
        let overloads = OverloadControl::read_all(headers).unwrap_or_default();
        let load = loads.iter().find(|load| load.instance == producer);
        let overload = overloads.iter().find(|one| one.instance == producer);
        if load.is_none() && overload.is_none() {
            return;
        }
        if !self.0.contains_key(&producer) && self.0.len() >= MAX_PRODUCERS {
            return;
        }
        let said = self.0.entry(producer).or_default();
        let is_newer = |before: Option<OffsetDateTime>, timestamp| {
            before.is_none_or(|before| before < timestamp)
        };
        if let Some(load) = load
            && is_newer(said.load.map(|(before, _)| before), load.timestamp)
        {
            said.load = Some((load.timestamp, load.load));
        }
        if let Some(overload) = overload
            && is_newer(
                said.overload.map(|before| before.timestamp),
                overload.timestamp,
            )
        {
            said.overload = Some(Overload {
                timestamp: overload.timestamp,
                reduction: overload.reduction,
                until: now + overload.validity.min(MAX_VALIDITY),
            });
        }
    }

    /// Whether nobody has said anything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The load of `producer` in percent, if it has said.
    pub(super) fn load(&self, producer: NfInstanceId) -> Option<u8> {
        let (_, load) = self.0.get(&producer)?.load?;
        Some(load)
    }

    /// Whether the request that has drawn `random` is one of those that `producer` does not want at `now`.
    pub(super) fn sheds(&self, producer: NfInstanceId, random: u64, now: Instant) -> bool {
        let overload = self.0.get(&producer).and_then(|said| said.overload);
        overload.is_some_and(|overload| {
            now < overload.until && random % 100 < u64::from(overload.reduction)
        })
    }

    /// How many producers want fewer requests at `now`.
    pub(super) fn overloaded(&self, now: Instant) -> usize {
        let overloads = self.0.values().filter_map(|said| said.overload);
        overloads
            .filter(|overload| overload.reduction > 0 && now < overload.until)
            .count()
    }

    /// Forgets `producer`, which is gone or has a new profile.
    pub(super) fn forget(&mut self, producer: NfInstanceId) {
        self.0.remove(&producer);
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use sbi::header::{LCI, OCI};
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> NfInstanceId {
        Uuid::from_u128(n).into()
    }

    fn says(second: u8, load: u8, reduction: u8, of: NfInstanceId) -> HeaderMap {
        let at = format!("Timestamp: \"Tue, 04 Feb 2020 08:49:{second:02} GMT\"");
        let lci = format!("{at}; Load-Metric: {load}%; NF-Instance: {of}");
        let oci = format!(
            "{at}; Period-of-Validity: 60s; Overload-Reduction-Metric: {reduction}%; NF-Instance: {of}"
        );
        let value = |text| HeaderValue::try_from(text).expect("a value");
        HeaderMap::from_iter([(LCI, value(lci)), (OCI, value(oci))])
    }

    #[tokio::test]
    async fn the_newest_word_of_a_producer_counts() {
        let (mut loads, now) = (Loads::default(), Instant::now());
        assert_eq!(loads.load(id(1)), None);
        loads.hear(id(1), &says(20, 70, 100, id(1)), now);
        loads.hear(id(1), &says(10, 5, 0, id(1)), now);
        assert_eq!((loads.load(id(1)), loads.overloaded(now)), (Some(70), 1));
        loads.hear(id(1), &says(30, 5, 0, id(1)), now);
        assert_eq!((loads.load(id(1)), loads.overloaded(now)), (Some(5), 0));
        loads.forget(id(1));
        assert_eq!(loads.load(id(1)), None);
    }

    #[tokio::test]
    async fn a_producer_is_believed_of_itself_only() {
        let (mut loads, now) = (Loads::default(), Instant::now());
        loads.hear(id(1), &says(0, 70, 100, id(2)), now);
        assert_eq!((loads.load(id(1)), loads.load(id(2))), (None, None));
        let mut broken = says(0, 70, 100, id(1));
        broken.insert(LCI, HeaderValue::from_static("70%"));
        loads.hear(id(1), &broken, now);
        assert_eq!(loads.load(id(1)), None);
        assert!(loads.sheds(id(1), 0, now), "the other header is read");
    }

    #[tokio::test]
    async fn the_share_that_is_not_wanted_is_shed_while_that_is_valid() {
        let (mut loads, now) = (Loads::default(), Instant::now());
        loads.hear(id(1), &says(0, 0, 30, id(1)), now);
        let shed = |at| {
            (0..1000)
                .filter(|random| loads.sheds(id(1), *random, at))
                .count()
        };
        assert_eq!(shed(now), 300);
        assert_eq!(shed(now + Duration::from_secs(59)), 300);
        assert_eq!(shed(now + Duration::from_secs(60)), 0);
    }

    #[tokio::test]
    async fn producers_that_are_remembered_are_bounded() {
        let (mut loads, now) = (Loads::default(), Instant::now());
        for n in 0..=MAX_PRODUCERS as u128 {
            loads.hear(id(n), &says(0, 1, 0, id(n)), now);
        }
        assert_eq!(loads.0.len(), MAX_PRODUCERS);
    }
}
