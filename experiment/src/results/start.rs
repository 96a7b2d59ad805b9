//! The storm of registrations that the start of a lab is: how long each step took, and what of it was cryptography.

use std::collections::BTreeMap;

use sbi::ledger::{Measurements, StartStep, StartTotals, StepTotals};
use serde::{Deserialize, Serialize};

use super::Latency;
use super::rounding::{microseconds, to_hundredth, to_thousandth};
use crate::measure::Histogram;

/// How the process with the most instances started: enrolment, certificates, registration, before the load began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartResult {
    /// Which process: `smf`.
    pub nf: String,
    /// Its instances.
    pub instances: u64,
    /// From the first instance's key to the last one's registration, in seconds.
    pub elapsed_s: f64,
    /// The steps of an instance, and those of the NRF within the certificate, which others that started then are among.
    pub steps: BTreeMap<StartStep, StepResult>,
    /// Mean CPU time of a handshake without a client certificate, for enrolment, both sides together, in microseconds.
    pub enrolment_handshake_us: f64,
    /// Mean CPU time of a handshake with one, for registration, both sides together, in microseconds.
    pub registration_handshake_us: f64,
    /// CPU time of the cryptography of all instances at both ends, in seconds: the steps', and of each instance's certificates and
    /// registration one handshake. The cosignatures of checkpoints, of which a batch of instances shares a few, are not in it.
    pub cryptography_s: f64,
    /// What the start took on all processors of the machine, as a multiple of the cryptography.
    pub times_cryptography: Option<f64>,
}

/// How a step went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepResult {
    /// How often it was taken.
    pub count: u64,
    /// How long each took.
    pub ms: Option<Latency>,
    /// Mean CPU time of its cryptography, in microseconds; that of handshakes is not in it.
    pub cpu_us: f64,
}

impl StartResult {
    /// Made of what each process had counted when all were ready, by its name, on a machine with so many processors; none if
    /// none has started instances.
    pub fn of<'a>(
        processes: impl Iterator<Item = (&'a str, &'a Measurements)> + Clone,
        cores: usize,
    ) -> Option<Self> {
        let largest = processes.clone().max_by_key(|(_, of)| of.start.instances);
        let (nf, own) = largest.filter(|(_, own)| own.start.instances > 0)?;
        let own = &own.start;
        let mut nrf = StartTotals::default();
        let issuing = processes.filter(|(_, of)| of.issuance.certificates > 0);
        issuing.for_each(|(_, of)| nrf.merge(&of.start));
        let steps = |of: &StartTotals, wanted: &[StartStep]| {
            let steps = of.steps.iter().filter(|(step, _)| wanted.contains(step));
            steps
                .map(|(step, totals)| (*step, totals.clone()))
                .collect::<Vec<_>>()
        };
        let own_steps = [
            StartStep::Key,
            StartStep::Certificate,
            StartStep::Storage,
            StartStep::Registration,
        ];
        let mut taken = steps(own, &own_steps);
        taken.extend(steps(&nrf, &[StartStep::Request, StartStep::Checkpoint]));
        let count = |wanted| own.steps.get(&wanted).map_or(0, |totals| totals.count) as f64;
        let enrolment =
            own.handshakes.client_anonymous.mean_s() + nrf.handshakes.server_anonymous.mean_s();
        let registration =
            own.handshakes.client_mutual.mean_s() + nrf.handshakes.server_mutual.mean_s();
        // An instance shows its first certificate when it asks for others.
        let first = count(StartStep::Certificate).min(own.instances as f64);
        let mutual = count(StartStep::Registration) + count(StartStep::Certificate) - first;
        let cpu: f64 = taken
            .iter()
            .map(|(_, totals)| totals.cpu_ns as f64 / 1e9)
            .sum();
        let cryptography = cpu + first * enrolment + mutual * registration;
        let elapsed = own.elapsed_ns as f64 / 1e9;
        Some(Self {
            nf: nf.to_owned(),
            instances: own.instances,
            elapsed_s: to_thousandth(elapsed),
            steps: taken
                .into_iter()
                .map(|(step, totals)| (step, StepResult::of(&totals)))
                .collect(),
            enrolment_handshake_us: microseconds(enrolment * 1e9),
            registration_handshake_us: microseconds(registration * 1e9),
            cryptography_s: to_thousandth(cryptography),
            times_cryptography: (cryptography > 0.0)
                .then(|| to_hundredth(elapsed * cores as f64 / cryptography)),
        })
    }
}

impl StepResult {
    fn of(totals: &StepTotals) -> Self {
        Self {
            count: totals.count,
            ms: Latency::of(&Histogram::from(&totals.times)),
            cpu_us: microseconds(totals.cpu_ns as f64 / totals.count.max(1) as f64),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use sbi::ledger::{HandshakeSum, Ledger};

    use super::*;

    fn handshakes(count: u64, each: Duration) -> HandshakeSum {
        HandshakeSum {
            count,
            cpu_ns: count * each.as_nanos() as u64,
        }
    }

    /// A thousand SMFs and the NRF that registered them.
    pub(crate) fn storm() -> Option<StartResult> {
        let ms = Duration::from_millis;
        let smfs = Ledger::default();
        let nrf = Ledger::default();
        for _ in 0..1000 {
            smfs.record_step(StartStep::Key, ms(2), ms(1));
            smfs.record_step(StartStep::Certificate, ms(200), ms(0));
            smfs.record_step(StartStep::Storage, ms(4), ms(1));
            smfs.record_step(StartStep::Registration, ms(10), ms(0));
            nrf.record_step(StartStep::Request, ms(1), ms(1));
            nrf.record_step(StartStep::Checkpoint, ms(150), ms(0));
        }
        smfs.record_start(1000, Duration::from_secs(6));
        nrf.record_issuance(ms(150), ms(150));
        let (mut smfs, mut nrf) = (smfs.snapshot(), nrf.snapshot());
        smfs.start.handshakes.client_anonymous = handshakes(1000, ms(1));
        smfs.start.handshakes.client_mutual = handshakes(2000, ms(2));
        nrf.start.handshakes.server_anonymous = handshakes(1000, ms(1));
        nrf.start.handshakes.server_mutual = handshakes(2000, ms(2));
        StartResult::of([("nrf", &nrf), ("smf", &smfs)].into_iter(), 2)
    }

    #[test]
    fn cryptography_is_the_steps_and_two_handshakes_an_instance() {
        let storm = storm().expect("a start");
        assert_eq!((storm.nf.as_str(), storm.instances), ("smf", 1000));
        // Key, storage, request: 3 ms; enrolment 2 ms and registration 4 ms of both sides.
        assert_eq!(storm.cryptography_s, 9.0);
        assert_eq!(storm.elapsed_s, 6.0);
        assert_eq!(storm.times_cryptography, Some(1.33));
        assert_eq!(storm.steps.len(), 6);
        assert_eq!(storm.steps[&StartStep::Request].cpu_us, 1000.0);
        let certificate = storm.steps[&StartStep::Certificate].ms.expect("times");
        assert!((198.0..202.0).contains(&certificate.p50), "{certificate:?}");
    }

    #[test]
    fn processes_that_registered_nobody_have_no_start() {
        let nrf = Ledger::default().snapshot();
        assert_eq!(StartResult::of([("nrf", &nrf)].into_iter(), 2), None);
    }
}
