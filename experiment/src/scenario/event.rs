//! `[[event]]`: what happens to the network functions while the load goes on.
//!
//! ```text
//!            kill, stop              start                    a process: up ──> down ──> up
//!  running ────────────> down ────────────────> running       restart is stop and start in one
//!        revoke                                               instances: accepted ──> refused by everybody
//!        pause-landmarks          resume-landmarks            a process's trust in landmarks: fresh ──> stale ──> fresh
//! ```
//!
//! Events are read in the order of the file and checked in the order of their times: what is down cannot be stopped, and
//! what runs cannot be started.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Nf;
use super::SMF_INSTANCES;
use super::reader::{Reader, Table, choice, integer, span_of_time};

const KEYS: &[&str] = &["at", "do", "nf", "instances", "over"];
const MAX_EVENTS: usize = 100;
const AT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(86_400);

/// One `[[event]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `at`: from the start of the measured part.
    pub at: Duration,
    /// `do`: what is done.
    pub action: Action,
    /// `nf`: to which network function's process.
    pub nf: Nf,
}

/// What an event does to a process or its instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `kill`: ends the process at once (SIGKILL).
    Kill,
    /// `stop`: has the process finish what is in progress, deregister and end.
    Stop,
    /// `start`: starts a process that was killed or stopped, on its old files.
    Start,
    /// `restart`: stops the process and starts it again.
    Restart,
    /// `pause-landmarks`: the process gets no new landmarks; those that it trusts still expire.
    PauseLandmarks,
    /// `resume-landmarks`: it gets them again.
    ResumeLandmarks,
    /// `re-enrol`: instances get new keys and certificates and register again, as if each had been replaced.
    ReEnrol {
        /// `instances`: how many, default all. The next such event goes on after the last of these.
        instances: u16,
        /// `over`: the time over which they are spread evenly; default zero, all at once.
        over: Duration,
    },
    /// `revoke`: the certificates of instances are revoked, as by `mtc5g revoke`. They go on trying.
    Revoke {
        /// `instances`: how many, the first of the configuration; default 1.
        instances: u16,
    },
}

impl Action {
    /// The word in scenarios and results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::PauseLandmarks => "pause-landmarks",
            Self::ResumeLandmarks => "resume-landmarks",
            Self::ReEnrol { .. } => RE_ENROL,
            Self::Revoke { .. } => REVOKE,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const RE_ENROL: &str = "re-enrol";
const REVOKE: &str = "revoke";
/// `None` stands for [`Action::ReEnrol`], which has keys of its own; so has [`Action::Revoke`], which stands here with their defaults.
const ACTIONS: [(&str, Option<Action>); 8] = [
    (Action::Kill.as_str(), Some(Action::Kill)),
    (Action::Stop.as_str(), Some(Action::Stop)),
    (Action::Start.as_str(), Some(Action::Start)),
    (Action::Restart.as_str(), Some(Action::Restart)),
    (
        Action::PauseLandmarks.as_str(),
        Some(Action::PauseLandmarks),
    ),
    (
        Action::ResumeLandmarks.as_str(),
        Some(Action::ResumeLandmarks),
    ),
    (RE_ENROL, None),
    (REVOKE, Some(Action::Revoke { instances: 1 })),
];

/// Reads the events of a scenario whose measured part has `length`; `instances_of` tells how many instances an NF has.
pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Table<'_>,
    length: Option<Duration>,
    instances_of: impl Fn(Nf) -> Option<u16>,
) -> Option<Vec<Event>> {
    if !root.has("event") {
        return Some(Vec::new());
    }
    let tables = reader.sections(root, "event", 0..=MAX_EVENTS, KEYS)?;
    let read: Vec<Option<Event>> = tables
        .iter()
        .map(|table| read_event(reader, table, length, &instances_of))
        .collect();
    check_sequence(reader, &tables, &read);
    read.into_iter().collect()
}

fn read_event(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    length: Option<Duration>,
    instances_of: &impl Fn(Nf) -> Option<u16>,
) -> Option<Event> {
    let at = reader.required(table, "at", span_of_time(AT));
    if let (Some(at), Some(length)) = (at, length)
        && at >= length
    {
        let rule = format!(
            "is not before the end of the load: its stages take {}",
            super::duration::describe(length)
        );
        reader.fault_at(table, "at", rule, None);
    }
    let action = reader.required(table, "do", choice(&ACTIONS));
    let nf = reader.required(table, "nf", choice(&Nf::ALL.map(|nf| (nf.as_str(), nf))));
    if let (Some(Some(action)), Some(nf)) = (action, nf) {
        check_target(reader, table, action, nf, instances_of(nf));
    }
    let action = match action? {
        Some(Action::Revoke { .. }) => read_revocation(reader, table, nf, instances_of)?,
        Some(action) => {
            for key in ["instances", "over"] {
                reader.refuse(table, key, "is for do = \"re-enrol\" only");
            }
            action
        }
        None => read_re_enrolment(reader, table, nf, instances_of)?,
    };
    Some(Event {
        at: at?,
        action,
        nf: nf?,
    })
}

fn check_target(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    action: Action,
    nf: Nf,
    instances: Option<u16>,
) {
    let moves_landmarks = matches!(action, Action::PauseLandmarks | Action::ResumeLandmarks);
    let revokes = matches!(action, Action::Revoke { .. });
    match nf {
        Nf::Amf if !moves_landmarks && !revokes => {
            let rule = format!(
                "is \"amf\", whose process generates the load: a {action} would end the run"
            );
            let hint =
                "use \"smf\", \"scp\" or \"nrf\", or do = \"re-enrol\", which works for AMFs";
            reader.fault_at(table, "nf", rule, Some(hint.into()));
        }
        Nf::Nrf if moves_landmarks => {
            let rule = "is \"nrf\", which makes the landmarks";
            let hint = "name an NF that receives them: \"amf\", \"smf\" or \"scp\"";
            reader.fault_at(table, "nf", rule, Some(hint.into()));
        }
        Nf::Distributor if moves_landmarks => {
            let rule = "is the distributor, which takes no such order";
            let hint = "use do = \"kill\" and do = \"start\"";
            reader.fault_at(table, "nf", rule, Some(hint.into()));
        }
        Nf::Witness(_) if moves_landmarks => {
            let rule = "is a witness, which trusts no landmarks";
            let hint = "name an NF that receives them: \"amf\", \"smf\" or \"scp\"";
            reader.fault_at(table, "nf", rule, Some(hint.into()));
        }
        _ => {}
    }
    if instances == Some(0) {
        let rule = format!("is {:?}, of which this lab has none", nf.as_str());
        let hint = match nf {
            Nf::Distributor => "set distribution = \"node\" in [lab]",
            Nf::Witness(_) => "set witnesses in [lab], of which \"scp\" is the first",
            _ => "use operation = \"registration\", or set ausf, udm or pcf in [lab]",
        };
        reader.fault_at(table, "nf", rule, Some(hint.into()));
    }
}

fn read_re_enrolment(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    nf: Option<Nf>,
    instances_of: impl Fn(Nf) -> Option<u16>,
) -> Option<Action> {
    if nf == Some(Nf::Nrf) {
        let rule = "is \"nrf\", which certifies itself when it starts";
        let hint = "use do = \"restart\"";
        reader.fault_at(table, "nf", rule, Some(hint.into()));
        return None;
    }
    if let Some(Nf::Witness(_) | Nf::Distributor) = nf {
        let rule = "is a witness or the distributor, which has no certificate";
        reader.fault_at(table, "nf", rule, None);
        return None;
    }
    let all = nf.and_then(instances_of).filter(|all| *all > 0);
    let at_most = all.map_or(*SMF_INSTANCES.end(), u64::from);
    let instances = reader.optional(table, "instances", at_most, integer(1..=at_most));
    let over = reader.optional(table, "over", Duration::ZERO, span_of_time(AT));
    Some(Action::ReEnrol {
        instances: u16::try_from(instances?).expect("SMF_INSTANCES fits in u16"),
        over: over?,
    })
}

fn read_revocation(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    nf: Option<Nf>,
    instances_of: impl Fn(Nf) -> Option<u16>,
) -> Option<Action> {
    reader.refuse(table, "over", "is for do = \"re-enrol\" only");
    if let Some(other) = nf.filter(|nf| *nf != Nf::Amf) {
        let rule = format!(
            "is {:?}: only of AMFs does the load show when one was accepted last",
            other.as_str()
        );
        reader.fault_at(table, "nf", rule, Some("use \"amf\"".into()));
        return None;
    }
    let all = nf.and_then(instances_of).filter(|all| *all > 0);
    let at_most = all.map_or(*SMF_INSTANCES.end(), u64::from);
    let instances = reader.optional(table, "instances", 1, integer(1..=at_most));
    Some(Action::Revoke {
        instances: u16::try_from(instances?).expect("SMF_INSTANCES fits in u16"),
    })
}

/// Follows the state of each process through its events in the order of time.
fn check_sequence(reader: &mut Reader<'_>, tables: &[Table<'_>], read: &[Option<Event>]) {
    let mut in_time: Vec<(usize, &Event)> = read
        .iter()
        .enumerate()
        .filter_map(|(position, event)| Some((position, event.as_ref()?)))
        .collect();
    in_time.sort_by_key(|(_, event)| event.at);
    for nf in Nf::ALL {
        let (mut is_up, mut is_paused) = (true, false);
        for (position, event) in in_time.iter().filter(|(_, event)| event.nf == nf) {
            let (table, nf, action) = (&tables[*position], nf.as_str(), event.action);
            let wrong = match action {
                Action::Start => {
                    is_up.then(|| format!("start: {nf} is already running at that time"))
                }
                Action::ResumeLandmarks if !is_paused => Some(format!(
                    "resume-landmarks: nothing has paused those of {nf} before"
                )),
                _ => (!is_up).then(|| format!("{action}: {nf} is down at that time")),
            };
            if let Some(rule) = wrong {
                let rule = format!("cannot {rule}");
                let hint =
                    "events are in the order of their `at`, whatever their order in the file";
                reader.fault_at(table, "do", rule, Some(hint.into()));
            }
            match action {
                Action::Kill | Action::Stop => (is_up, is_paused) = (false, false),
                Action::Start | Action::Restart => (is_up, is_paused) = (true, false),
                Action::PauseLandmarks => is_paused = true,
                Action::ResumeLandmarks => is_paused = false,
                Action::ReEnrol { .. } | Action::Revoke { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
