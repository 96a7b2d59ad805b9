//! `mtc5g observe`: what live processes count in a window, without a load of ours.
//!
//! ```text
//!  Places ─ 21 looks or more ─> GET /measurements, /metrics of each process ─> Tally: differences by process, profile, slice ─> Observation
//! ```
//!
//! Processes come and go meanwhile, so where they are is found anew for each look. `tally` is pure.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use experiment::measure::SLICES;
use experiment::results::{Observation, SilentProcess};
use hyper::Method;
use mtc_core::causes::Causes;
use sbi::client::{ClientError, Connection, Request};
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::top::scrape::{TIMEOUT, nf_type};
use crate::top::text::{NoSample, Samples};
use crate::top::{Places, UNNAMED};

mod tally;

use tally::{Look, Reading, Seen, Tally};

/// The longest between two looks: what a process has counted that ends between them is lost.
const LONGEST_UNSEEN: Duration = Duration::from_secs(5);

/// Why nothing was observed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// There is nobody to ask.
    #[error(
        "the lab names no process, and none has announced itself; name admin ports: mtc5g observe 127.0.0.1:7791"
    )]
    NoProcess,
    /// Nobody answers.
    #[error("no process answers: {}", list(.0))]
    NoAnswer(Vec<SilentProcess>),
}

fn list(silent: &[SilentProcess]) -> String {
    let reasons = silent.iter().map(|process| {
        let SilentProcess {
            nf,
            address,
            reason,
        } = process;
        format!("{nf} {address}: {reason}")
    });
    reasons.collect::<Vec<_>>().join("; ")
}

/// How far an observation is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Since the first look.
    pub elapsed: Duration,
    /// Processes that answered the last look.
    pub answering: usize,
    /// Handshakes completed since the first look, counted by clients.
    pub client_handshakes: u64,
    /// The same, counted by servers.
    pub server_handshakes: u64,
}

/// Watches the processes at these places for so long, or until `interrupt` completes; `hears` is told after each look how far it is.
///
/// # Errors
/// No process answers at first.
pub async fn observe(
    places: &Places,
    window: Duration,
    interrupt: impl Future<Output = ()>,
    hears: impl Fn(Progress),
) -> Result<Observation, ObserveError> {
    let begin = Instant::now();
    observe_by(
        async || look(places, begin).await,
        begin,
        window,
        interrupt,
        hears,
    )
    .await
}

/// As [`observe`], from `begin` on, by what `look` sees.
async fn observe_by(
    look: impl AsyncFn() -> Look,
    begin: Instant,
    window: Duration,
    interrupt: impl Future<Output = ()>,
    hears: impl Fn(Progress),
) -> Result<Observation, ObserveError> {
    let mut interrupt = pin!(interrupt);
    let started = OffsetDateTime::now_utc();
    let mut tally = Tally::begin(look().await)?;
    hears(tally.progress());
    let mut interrupted = false;
    let slices = SLICES as u32;
    let in_a_slice = looks_in(window / slices);
    let all = slices * in_a_slice;
    let mut number = 0;
    while number < all && !interrupted {
        number = next_look(number, all, begin.elapsed().div_duration_f64(window));
        let due = begin + window.mul_f64(f64::from(number) / f64::from(all));
        tokio::select! {
            () = sleep_until(due) => {}
            () = &mut interrupt => interrupted = true,
        }
        let slice = (number - 1) / in_a_slice;
        tally.add(slice as usize, look().await);
        hears(tally.progress());
    }
    Ok(tally.finish(started, window, interrupted))
}

/// The look after look `made`, of so many in a window of which this share is over: the next one, or the last that is overdue. A process that
/// does not answer makes a look last longer than it is to the next, and making up for all would go on long after the window.
fn next_look(made: u32, all: u32, over: f64) -> u32 {
    let overdue = (over * f64::from(all)) as u32;
    overdue.max(made + 1).min(all)
}

/// Looks in a slice of so long, at least one.
fn looks_in(slice: Duration) -> u32 {
    slice.as_secs_f64().div_euclid(LONGEST_UNSEEN.as_secs_f64()) as u32 + 1
}

/// Reads every process now. Takes as long as the slowest, and no longer than a few seconds.
async fn look(places: &Places, begin: Instant) -> Look {
    let found = places.find().await;
    let (at, now) = (begin.elapsed(), SystemTime::now());
    let mut asking = JoinSet::new();
    for (addr, nf) in found {
        asking.spawn(async move {
            let read = read(addr).await;
            let is_told = nf != UNNAMED;
            let nf = match &read {
                Ok((_, named)) if !is_told => named.clone().unwrap_or(nf),
                _ => nf,
            };
            let reading = read.map(|(reading, _)| reading);
            Seen {
                nf,
                addr,
                reading: reading.map_err(|error| Causes(&error).to_string()),
            }
        });
    }
    Look {
        at,
        unix: now
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64(),
        seen: asking.join_all().await,
    }
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Sample(#[from] NoSample),
}

/// What a process has counted until now, and what it says that it is.
async fn read(addr: SocketAddr) -> Result<(Reading, Option<String>), ReadError> {
    let connection = Connection::connect_cleartext(addr, TIMEOUT).await?;
    let get = async |path: &str| {
        let request = Request::new(Method::GET, addr.to_string(), path);
        connection.call(request, TIMEOUT).await
    };
    let measurements = get("/measurements").await?;
    let measurements = measurements.read_json().map_err(ClientError::Body)?;
    let metrics = get("/metrics").await?;
    let samples = Samples::parse(&String::from_utf8_lossy(&metrics.body))?;
    Ok((Reading::of(measurements, &samples), nf_type(&samples)))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(3);

    /// How many looks are made in a window, after the first, each of which lasts so long; and how long it all takes. Nothing but waiting moves
    /// the clock.
    async fn looks_of(duration: Duration) -> (u32, Duration) {
        let (begin, looks) = (Instant::now(), Cell::new(0));
        let look = async || {
            looks.set(looks.get() + 1);
            let at = begin.elapsed();
            sleep(duration).await;
            let answered = Seen {
                nf: "smf".to_owned(),
                addr: ([127, 0, 0, 1], 1).into(),
                reading: Ok(Reading::default()),
            };
            Look {
                at,
                unix: 0.0,
                seen: vec![answered],
            }
        };
        let observed = observe_by(look, begin, WINDOW, pending(), |_| ()).await;
        observed.expect("a process answers");
        (looks.get() - 1, begin.elapsed())
    }

    // Each of 21 looks took two seconds, and was made.
    #[tokio::test(start_paused = true)]
    async fn looks_that_last_longer_than_the_window_are_left_out_but_for_a_last_one() {
        let slow = Duration::from_secs(2);
        assert_eq!(looks_of(slow).await, (2, 3 * slow));
    }

    #[tokio::test(start_paused = true)]
    async fn looks_that_are_quick_are_all_made_and_the_last_at_the_end() {
        let quick = Duration::from_millis(1);
        let (looks, took) = looks_of(quick).await;
        assert_eq!(looks, SLICES as u32);
        assert!((WINDOW..WINDOW + 3 * quick).contains(&took), "{took:?}");
    }

    #[test]
    fn the_next_look_is_the_one_that_is_due_and_none_is_made_twice() {
        assert_eq!(next_look(0, 20, 0.01), 1);
        assert_eq!(next_look(5, 20, 0.2), 6);
        assert_eq!(next_look(5, 20, 0.42), 8);
        assert_eq!(next_look(5, 20, 7.0), 20);
        assert_eq!(next_look(19, 20, 0.95), 20);
    }

    #[test]
    fn a_long_slice_has_more_looks_than_one() {
        let looks = [0.05, 3.0, 5.0, 30.0, 30_240.0].map(Duration::from_secs_f64);
        assert_eq!(looks.map(looks_in), [1, 1, 2, 7, 6049]);
    }
}
