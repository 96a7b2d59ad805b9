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
        let smf = self.smf.map(|smf| LabValue {
            key: "smf",
            text: smf.to_string(),
            is_as_planned: planned.is_some_and(|planned| planned.smf == smf),
        });
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
        all.flatten().collect()
    }
}
