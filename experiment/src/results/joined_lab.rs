//! What a lab that was up before a run was: there the scenario's `[lab]` says nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scenario::LabPlan;

/// What a lab that was up before a run has said of itself; nothing of what it did not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinedLab {
    /// SMF instances.
    pub smf: Option<u16>,
    /// Lifetime of the certificates that it issues, in seconds.
    pub certificate_lifetime_s: Option<u64>,
    /// Least time between two checkpoints, in milliseconds.
    pub checkpoint_interval_ms: Option<u64>,
    /// Least time between two landmarks, in seconds.
    pub landmark_interval_s: Option<u64>,
    /// Whether its processes remember the subtrees whose cosignatures they have verified.
    pub remember_subtrees: Option<bool>,
    /// Witnesses of its log.
    pub witnesses: Option<u8>,
    /// How many of them must cosign.
    pub require: Option<u8>,
    /// Entries in its issuance log just before the load.
    pub log_entries: Option<u64>,
}

/// A value of the lab where the scenario's `[lab]` has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabValue {
    /// The key of `[lab]`.
    pub(crate) key: &'static str,
    /// As it would be written there.
    pub(crate) text: String,
    /// Whether it is what the scenario says.
    pub(crate) is_as_planned: bool,
}

impl JoinedLab {
    /// What the lab has where a scenario has `planned`, if that is known. The size of a log is no value of `preload`.
    pub(crate) fn values(&self, planned: Option<&LabPlan>) -> Vec<LabValue> {
        let time = |key, found: Option<Duration>, planned: Option<Duration>| {
            found.map(|found| LabValue {
                key,
                text: format!("{:?}", crate::scenario::describe_duration(found)),
                is_as_planned: planned == Some(found),
            })
        };
        let number = |key, found: Option<u16>, planned: Option<u16>| {
            found.map(|found| LabValue {
                key,
                text: found.to_string(),
                is_as_planned: planned == Some(found),
            })
        };
        let smf = number("smf", self.smf, planned.map(|planned| planned.smf));
        let witnesses = [
            number(
                "witnesses",
                self.witnesses.map(u16::from),
                planned.map(|planned| planned.witnesses.into()),
            ),
            number(
                "require",
                self.require.map(u16::from),
                planned.map(|planned| planned.require.into()),
            ),
        ];
        let remember = self.remember_subtrees.map(|remember| LabValue {
            key: "remember_subtrees",
            text: remember.to_string(),
            is_as_planned: planned.is_some_and(|planned| planned.remember_subtrees == remember),
        });
        let times = [
            time(
                "certificate_lifetime",
                self.certificate_lifetime_s.map(Duration::from_secs),
                planned.map(|planned| planned.certificate_lifetime),
            ),
            time(
                "checkpoint_interval",
                self.checkpoint_interval_ms.map(Duration::from_millis),
                planned.map(|planned| planned.checkpoint_interval),
            ),
            time(
                "landmark_interval",
                self.landmark_interval_s.map(Duration::from_secs),
                planned.map(|planned| planned.landmark_interval),
            ),
        ];
        let all = [smf].into_iter().chain(times).chain([remember]);
        all.chain(witnesses).flatten().collect()
    }
}
