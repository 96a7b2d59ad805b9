//! The events of a run as they happened.

use std::collections::BTreeMap;
use std::fmt;

use mtc_tls::key::X509Revocation;
use sbi::ledger::IssuanceTotals;
use serde::{Deserialize, Serialize};

use super::StartResult;
use crate::scenario::{Action, Event};

/// What happened during a run besides its operations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunHistory {
    /// One for each event of the scenario.
    pub events: Vec<EventRecord>,
    /// In the order of time.
    pub timeline: Vec<TimelinePoint>,
    /// What the NRF's CA issued.
    #[serde(default)]
    pub issuance: Issuance,
    /// Steps of the supervisor's wall clock in the measured part: with one, no figure is a measurement.
    #[serde(default)]
    pub clock_steps: Vec<ClockStep>,
    /// How the lab's instances enrolled and registered before the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartResult>,
}

/// A step of the wall clock, found by comparing it with the monotonic one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockStep {
    /// When it was noticed: seconds from the start of the measured part.
    pub at_s: f64,
    /// By how many seconds; negative if it was set back.
    pub by_s: f64,
}

impl fmt::Display for ClockStep {
    /// `the clock stepped by +3600 s at 12 s`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by, at) = (self.by_s.round(), self.at_s.round());
        write!(f, "the clock stepped by {by:+} s at {at} s")
    }
}

/// Certificates that the NRF's MTCA issued, and how long it took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuance {
    /// From the start of its process to the measured part.
    pub before: IssuanceTotals,
    /// In each slice of the measured part.
    pub slices: Vec<IssuanceTotals>,
}

/// One `[[event]]` of the scenario, as it happened. Times are in seconds from the start of the measured part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// What was done, in the scenario's word.
    #[serde(rename = "do")]
    pub action: String,
    /// To which network function.
    pub nf: String,
    /// How many instances re-enrolled or were revoked; `re-enrol` and `revoke` only.
    pub instances: Option<u16>,
    /// When it was to happen.
    pub planned_s: f64,
    /// When it began; none if the run ended before.
    pub began_s: Option<f64>,
    /// When what it had begun was over: the process gone, ready again, the instances registered again; none if the load
    /// ended before.
    pub ended_s: Option<f64>,
    /// What became of a revocation; `revoke` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<RevocationRecord>,
}

/// How a revocation got about. Times are in seconds from the start of the measured part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RevocationRecord {
    /// The number of the list of revoked serial numbers that has it; none if the instances had no Merkle Tree Certificates.
    pub number: Option<u64>,
    /// When all was carried out and the list published: `mtc5g revoke` would have returned.
    pub published_s: f64,
    /// When each network function's process had the list in force.
    pub in_force_s: BTreeMap<String, f64>,
    /// What became of the revoked instances in each variant, in the scenario's order.
    pub variants: Vec<RevokedInVariant>,
}

/// Until when revoked instances were accepted in a variant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RevokedInVariant {
    /// Its name.
    pub name: String,
    /// How peers learn there that a certificate was revoked: `ranges`, `crl`, `ocsp-stapled`, or `none`.
    pub revocation: String,
    /// When the last operation of a revoked instance ended that succeeded, for which others had accepted its certificate; in seconds from the
    /// start of the measured part.
    pub last_accepted_s: Option<f64>,
    /// Operations of revoked instances that ended after that, and failed.
    pub refused: u64,
    /// Operations of revoked instances that failed at all; absent in older files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
}

impl RevokedInVariant {
    /// Whether peers look there at what was revoked.
    pub fn is_looked_at(&self) -> bool {
        self.revocation != X509Revocation::None.as_str()
    }
}

impl EventRecord {
    /// From the revocation to the last operation for which a revoked instance was accepted, in seconds, in each variant; zero if there was none
    /// after.
    pub fn accepted_for_s(&self) -> impl Iterator<Item = (&RevokedInVariant, f64)> {
        let revoked = self.revocation.iter().zip(self.began_s);
        revoked.flat_map(|(revocation, began)| {
            let variants = revocation.variants.iter();
            variants.map(move |variant| {
                let last = variant.last_accepted_s.unwrap_or_default();
                (variant, (last - began).max(0.0))
            })
        })
    }

    /// An event that has not begun.
    pub fn planned(event: &Event) -> Self {
        Self {
            action: event.action.as_str().to_owned(),
            nf: event.nf.as_str().to_owned(),
            instances: match event.action {
                Action::ReEnrol { instances, .. } | Action::Revoke { instances } => Some(instances),
                _ => None,
            },
            planned_s: event.at.as_secs_f64(),
            began_s: None,
            ended_s: None,
            revocation: None,
        }
    }
}

/// How far the load was at one moment, over all variants. Counts are of the measured part and only grow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelinePoint {
    /// Seconds from the start of the measured part.
    pub at_s: f64,
    /// Operations that had ended, well or badly.
    pub done: u64,
    /// Those that had failed.
    pub errors: u64,
    /// Arrivals that had been dropped.
    pub dropped: u64,
    /// Operations under way.
    pub in_flight: usize,
}
