//! What several looks at processes come to.
//!
//! ```text
//!  look 0   baseline of whoever answers
//!  look n   counted since look n-1 ──> slice n-1, and the whole
//!           a process that counts anew, or began after look 0: all that it has counted
//!           one that was there before and answers now for the first time: its baseline
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use experiment::measure::SLICES;
use experiment::results::{
    Issuance, Observation, Observed, ObservedProcess, ObservedRequests, ProfileCounts,
    SilentProcess,
};
use mtc_tls::profile::ConnectionProfile;
use sbi::ledger::{HandshakeTotals, IssuanceTotals, Learning, Measurements};
use time::OffsetDateTime;

use super::{ObserveError, Progress};
use crate::top::text::{Samples, Series};

/// The histogram of SBI requests, by its sum and its count.
const REQUESTS: &str = "sbi_request_duration_seconds";
/// What a request is counted by: side, service, operation, status.
const REQUEST_LABELS: [&str; 4] = ["side", "service", "operation", "status"];
/// A process tells to the second when it started, and clocks of hosts are not more alike than that.
const CLOCKS_AGREE: f64 = 1.0;

/// All processes at one moment.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// Since the first look.
    pub(super) at: Duration,
    /// Unix time, in seconds.
    pub(super) unix: f64,
    pub(super) seen: Vec<Seen>,
}

/// One process at one moment.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) nf: String,
    pub(super) addr: SocketAddr,
    /// Or why there is none.
    pub(super) reading: Result<Reading, String>,
}

/// What a process has counted so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    measurements: Measurements,
    cpu_s: f64,
    /// Unix time of its start.
    started: f64,
    requests: Requests,
}

/// Requests and their seconds, by [`REQUEST_LABELS`].
type Requests = BTreeMap<[String; 4], (f64, f64)>;

impl Reading {
    pub(super) fn of(measurements: Measurements, samples: &Samples) -> Self {
        let by_kind = |series: &Series| REQUEST_LABELS.map(|label| series.label(label).to_owned());
        let (counts, sums) = (format!("{REQUESTS}_count"), format!("{REQUESTS}_sum"));
        let mut requests = Requests::new();
        for (series, count) in samples.of(&counts) {
            requests.entry(by_kind(series)).or_default().0 += count;
        }
        for (series, sum) in samples.of(&sums) {
            requests.entry(by_kind(series)).or_default().1 += sum;
        }
        let value = |name| samples.sum(name).unwrap_or_default();
        Self {
            measurements,
            cpu_s: value("process_cpu_seconds_total"),
            started: value("process_start_time_seconds"),
            requests,
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        let requests = self.requests.iter().map(|(kind, (count, sum))| {
            let before = earlier.requests.get(kind).copied().unwrap_or_default();
            (
                kind.clone(),
                ((count - before.0).max(0.0), (sum - before.1).max(0.0)),
            )
        });
        Self {
            measurements: self.measurements.since(&earlier.measurements),
            cpu_s: (self.cpu_s - earlier.cpu_s).max(0.0),
            started: self.started,
            requests: requests.collect(),
        }
    }

    /// Whether it is of another process than an earlier one from the same port.
    fn is_another_than(&self, earlier: &Self) -> bool {
        self.started != earlier.started || self.measurements.is_less_than(&earlier.measurements)
    }
}

/// What was counted until the last look.
#[derive(Debug)]
pub(super) struct Tally {
    begun: f64,
    last: Duration,
    answering: usize,
    processes: BTreeMap<SocketAddr, (ObservedProcess, Reading)>,
    silent: BTreeMap<SocketAddr, SilentProcess>,
    profiles: BTreeMap<ConnectionProfile, ProfileCounts>,
    issuance: Issuance,
    requests: Requests,
    learning: BTreeMap<String, Learning>,
}

impl Tally {
    /// Begins with the first look.
    ///
    /// # Errors
    /// Nobody answers.
    pub(super) fn begin(look: Look) -> Result<Self, ObserveError> {
        if look.seen.is_empty() {
            return Err(ObserveError::NoProcess);
        }
        let mut tally = Self {
            begun: look.unix,
            last: Duration::ZERO,
            answering: 0,
            processes: BTreeMap::new(),
            silent: BTreeMap::new(),
            profiles: BTreeMap::new(),
            issuance: Issuance::default(),
            requests: Requests::new(),
            learning: BTreeMap::new(),
        };
        for seen in look.seen {
            if let Ok(reading) = &seen.reading {
                let issued = &reading.measurements.issuance;
                tally.issuance.before.merge(issued);
            }
            tally.see(0, Duration::ZERO, seen);
        }
        if tally.processes.is_empty() {
            return Err(ObserveError::NoAnswer(tally.silent.into_values().collect()));
        }
        Ok(tally)
    }

    /// Adds what was counted since the look before, which is of a slice.
    pub(super) fn add(&mut self, slice: usize, look: Look) {
        self.last = look.at;
        self.answering = 0;
        let slices = &mut self.issuance.slices;
        slices.resize(slice + 1, IssuanceTotals::default());
        for seen in look.seen {
            self.see(slice, look.at, seen);
        }
    }

    fn see(&mut self, slice: usize, at: Duration, Seen { nf, addr, reading }: Seen) {
        let reading = match reading {
            Ok(reading) => reading,
            Err(reason) => {
                if !self.processes.contains_key(&addr) {
                    let address = addr.to_string();
                    let silent = SilentProcess {
                        nf,
                        address,
                        reason,
                    };
                    self.silent.insert(addr, silent);
                }
                return;
            }
        };
        self.answering += 1;
        self.silent.remove(&addr);
        let at_s = seconds(at);
        let counted = match self.processes.get_mut(&addr) {
            Some((process, last)) => {
                process.until_s = at_s;
                let counted = if reading.is_another_than(last) {
                    process.restarts += 1;
                    reading.clone()
                } else {
                    reading.since(last)
                };
                *last = reading;
                counted
            }
            None => {
                let age = reading.started - self.begun;
                let (from_s, counted) = if age > CLOCKS_AGREE {
                    (thousandths(age.min(at_s)), reading.clone())
                } else {
                    (at_s, reading.since(&reading))
                };
                let process = ObservedProcess {
                    nf,
                    address: addr.to_string(),
                    from_s,
                    until_s: at_s,
                    ..ObservedProcess::default()
                };
                self.processes.insert(addr, (process, reading));
                counted
            }
        };
        self.count(slice, addr, counted);
    }

    fn count(&mut self, slice: usize, addr: SocketAddr, counted: Reading) {
        let Reading {
            measurements,
            cpu_s,
            started: _,
            requests,
        } = counted;
        if let Some(slice) = self.issuance.slices.get_mut(slice) {
            slice.merge(&measurements.issuance);
        }
        for (kind, (count, sum)) in requests {
            let requests = self.requests.entry(kind).or_default();
            *requests = (requests.0 + count, requests.1 + sum);
        }
        let Some((process, _)) = self.processes.get_mut(&addr) else {
            return;
        };
        if !measurements.learning.is_empty() {
            let learning = self.learning.entry(process.nf.clone()).or_default();
            learning.merge(&measurements.learning);
        }
        process.cpu_s += cpu_s;
        process.failed_accepts += measurements.failed_accepts;
        for (cause, count) in measurements.failed_accepts_by_cause.iter() {
            let failed = &mut process.failed_accepts_by_cause;
            *failed.entry(cause.to_owned()).or_default() += count;
        }
        for (profile, totals) in measurements.profiles {
            let cpu = |side: &HandshakeTotals| Duration::from_nanos(side.cpu_ns).as_secs_f64();
            process.handshake_cpu_s += cpu(&totals.client) + cpu(&totals.server);
            process.client_handshakes += totals.client.handshakes;
            process.server_handshakes += totals.server.handshakes;
            process.failed_connects += totals.client.failures;
            let Ok(profile) = profile.parse::<ConnectionProfile>() else {
                tracing::warn!(%addr, profile, "counted connections of a kind that this version does not know");
                continue;
            };
            let counts = self.profiles.entry(profile).or_default();
            counts.totals.merge(&totals);
            let slices = &mut counts.slices;
            slices.resize_with(slices.len().max(slice + 1), Default::default);
            slices[slice].merge(&totals);
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let processes = self.processes.values().map(|(process, _)| process);
        let sum = |of: fn(&ObservedProcess) -> u64| processes.clone().map(of).sum();
        Progress {
            elapsed: self.last,
            answering: self.answering,
            client_handshakes: sum(|of| of.client_handshakes),
            server_handshakes: sum(|of| of.server_handshakes),
        }
    }

    pub(super) fn finish(
        self,
        started: OffsetDateTime,
        planned: Duration,
        interrupted: bool,
    ) -> Observation {
        let processes = self
            .processes
            .into_values()
            .map(|(process, _)| ObservedProcess {
                cpu_s: thousandths(process.cpu_s),
                handshake_cpu_s: thousandths(process.handshake_cpu_s),
                ..process
            });
        let requests = self.requests.into_iter();
        let requests = requests.filter(|(_, (count, _))| *count > 0.0);
        let mut issuance = self.issuance;
        issuance.slices.resize(SLICES, IssuanceTotals::default());
        Observation {
            started,
            ended: started + self.last,
            interrupted,
            planned,
            profiles: self.profiles,
            issuance,
            learning: self.learning,
            observed: Observed {
                elapsed_s: seconds(self.last),
                processes: processes.collect(),
                silent: self.silent.into_values().collect(),
                requests: requests.map(observed_requests).collect(),
            },
        }
    }
}

fn observed_requests((kind, (count, sum)): ([String; 4], (f64, f64))) -> ObservedRequests {
    let [side, service, operation, status] = kind;
    ObservedRequests {
        side,
        service,
        operation,
        status,
        count: count as u64,
        mean_ms: (sum / count * 1e6).round() / 1e3,
    }
}

/// Further digits are noise.
fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn seconds(time: Duration) -> f64 {
    thousandths(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use mtc_tls::handshake::HandshakeCost;
    use sbi::ledger::Ledger;

    use super::*;

    const PROFILE: &str = "mtc-landmark/ml-dsa-65/X25519MLKEM768";
    const BEGUN: f64 = 1_000_000.0;

    fn reading(handshakes: u64, started: f64) -> Reading {
        let ledger = Ledger::default();
        let profile = PROFILE.parse().expect("a profile");
        for _ in 0..handshakes {
            ledger.record_server(profile, &HandshakeCost::default());
        }
        let text = format!(
            "process_cpu_seconds_total {handshakes}\nprocess_start_time_seconds {started}\n\
             {REQUESTS}_sum{{side=\"server\",service=\"s\",operation=\"o\",status=\"200\"}} {}\n\
             {REQUESTS}_count{{side=\"server\",service=\"s\",operation=\"o\",status=\"200\"}} {handshakes}\n",
            handshakes as f64 * 0.002
        );
        let samples = Samples::parse(&text).expect("samples");
        Reading::of(ledger.snapshot(), &samples)
    }

    /// Processes by their ports; of none no answer.
    fn look(at: u64, seen: &[(u16, Option<Reading>)]) -> Look {
        let seen = seen.iter().map(|(port, reading)| Seen {
            nf: "smf".to_owned(),
            addr: ([127, 0, 0, 1], *port).into(),
            reading: reading.clone().ok_or_else(|| "refused".to_owned()),
        });
        Look {
            at: Duration::from_secs(at),
            unix: BEGUN + at as f64,
            seen: seen.collect(),
        }
    }

    fn observed(looks: Vec<Look>) -> Observation {
        let mut looks = looks.into_iter();
        let first = looks.next().expect("a look");
        let mut tally = Tally::begin(first).expect("somebody answers");
        looks
            .enumerate()
            .for_each(|(slice, look)| tally.add(slice, look));
        tally.finish(OffsetDateTime::UNIX_EPOCH, Duration::from_secs(20), false)
    }

    fn by_slice(observation: &Observation) -> Vec<u64> {
        let profile = PROFILE.parse().expect("a profile");
        let slices = observation.profiles[&profile].slices.iter();
        slices.map(|slice| slice.server.handshakes).collect()
    }

    #[test]
    fn what_was_counted_before_is_left_out_and_processes_are_added_up() {
        let before = BEGUN - 500.0;
        let at = |first, second| {
            [
                (1, Some(reading(first, before))),
                (2, Some(reading(second, before))),
            ]
        };
        let observation = observed(vec![
            look(0, &at(100, 7)),
            look(1, &at(103, 7)),
            look(2, &at(110, 8)),
        ]);
        assert_eq!(by_slice(&observation), [3, 8]);
        let Observed {
            processes,
            requests,
            elapsed_s,
            ..
        } = &observation.observed;
        assert_eq!(*elapsed_s, 2.0);
        let of = |process: &ObservedProcess| (process.server_handshakes, process.cpu_s);
        assert_eq!(
            [of(&processes[0]), of(&processes[1])],
            [(10, 10.0), (1, 1.0)]
        );
        assert_eq!((requests[0].count, requests[0].mean_ms), (11, 2.0));
    }

    #[test]
    fn a_process_that_was_started_again_is_counted_from_its_start() {
        let of = |handshakes, started| vec![(1, Some(reading(handshakes, started)))];
        let observation = observed(vec![
            look(0, &of(100, 5.0)),
            look(1, &of(104, 5.0)),
            look(2, &[(1, None)]),
            // It may have counted as much by now.
            look(3, &of(200, BEGUN + 2.0)),
            look(4, &of(201, BEGUN + 2.0)),
        ]);
        assert_eq!(by_slice(&observation), [4, 0, 200, 1]);
        let process = &observation.observed.processes[0];
        assert_eq!((process.restarts, process.until_s), (1, 4.0));
        assert_eq!(process.server_handshakes, 205);
    }

    #[test]
    fn counters_that_went_back_are_those_of_another_process_whatever_it_says_of_its_start() {
        let of = |handshakes| vec![(1, Some(reading(handshakes, 5.0)))];
        let observation = observed(vec![look(0, &of(100)), look(1, &of(3))]);
        assert_eq!(by_slice(&observation), [3]);
        assert_eq!(observation.observed.processes[0].restarts, 1);
    }

    #[test]
    fn who_comes_later_is_counted_whole_if_it_is_new_and_from_then_on_if_not() {
        let old = Some(reading(1, 5.0));
        let observation = observed(vec![
            look(0, &[(1, old.clone()), (2, None)]),
            look(
                6,
                &[
                    (1, old),
                    (2, Some(reading(50, 5.0))),
                    (3, Some(reading(20, BEGUN + 4.0))),
                ],
            ),
            look(7, &[(2, Some(reading(51, 5.0)))]),
        ]);
        assert_eq!(by_slice(&observation), [20, 1]);
        let Observed {
            processes, silent, ..
        } = &observation.observed;
        let spans: Vec<_> = processes.iter().map(|of| (of.from_s, of.until_s)).collect();
        assert_eq!(spans, [(0.0, 6.0), (6.0, 7.0), (4.0, 6.0)]);
        assert_eq!(*silent, []);
    }

    #[test]
    fn without_an_answer_there_is_no_observation_and_the_silent_are_named() {
        let error = Tally::begin(look(0, &[(1, None), (2, None)])).expect_err("nobody answers");
        assert_eq!(
            error.to_string(),
            "no process answers: smf 127.0.0.1:1: refused; smf 127.0.0.1:2: refused"
        );
        assert!(matches!(
            Tally::begin(look(0, &[])),
            Err(ObserveError::NoProcess)
        ));
    }
}
