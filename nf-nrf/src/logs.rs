//! Which of the CA's logs is current: written down, never guessed (Section 5.2).
//!
//! ```text
//!                state/issuance-logs.json          places
//! first start    -                                 -                 --create-log makes <log>
//! running        current 1, begun                  <log>
//! log 1 fails    the same                          <log>             every start fails and says what to do
//! retire log 1   current 2, not begun, 1 retired   <log>             durable before anything of log 2 exists
//!                the same                          <log>, <log>-2    a crash leaves this: log 2 is made or opened again
//! running        current 2, begun                  <log>, <log>-2    before anything of log 2 leaves the process
//! ```
//!
//! A log that cannot be opened is no reason to go on with the next one: its disk may be mounted in a minute. So a log is
//! retired only by an operator ([`LogStart::ContinueWith`]), or, if the configuration allows that, when signatures prove that
//! it cannot go on. A retired log is never opened for writing again: its record says so, a marker in its folder says so to
//! an NRF whose record was restored from an older copy, and so does the folder of the log that follows it.

use std::path::PathBuf;

use mtc_core::causes::Causes;
use mtc_core::id::{IdError, LogNumber};
use mtc_core::time::UnixTime;
use mtc_log::StorageError;
use sbi::trust::LOOK_AHEAD;
use serde::{Deserialize, Serialize};

use crate::files::{FileError, PrivateFolder};
use crate::log_place::LogPlace;

pub(crate) const RECORD: &str = "issuance-logs.json";
/// In the folder of a retired log.
const MARKER: &str = "retired";
/// The object that every log has from its first moment.
const FIRST_OBJECT: &str = "state/signed-checkpoint";
/// Characters of a reason that are kept.
const MAX_REASON: usize = 500;
/// How many retirements are told in full; older ones are counted by their numbers alone.
const MAX_RETIREMENTS: usize = 256;

/// How the NRF starts with its issuance log, as the operator chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogStart {
    /// Open the current log.
    #[default]
    Open,
    /// Create the CA's first log.
    Create,
    /// Create the CA's first log if there has been none, otherwise open the current one.
    CreateFirst,
    /// Retire the logs before this one and continue with it; if it is the current one already, open it.
    ContinueWith(LogNumber),
}

impl LogStart {
    /// Whether an existing log is opened as it is.
    pub const fn opens_what_there_is(self) -> bool {
        matches!(self, Self::Open | Self::CreateFirst)
    }
}

/// Why it is not known which log is current, or cannot be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogsError {
    /// The record, or a marker, cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record is not what was written.
    #[error(
        "{} is damaged: restore it, or write the actual state, {{\"current\":N,\"begun\":true}}, where N is the newest log that exists",
        path.display()
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The place of a log cannot be looked at.
    #[error(transparent)]
    Look(#[from] StorageError),
    /// The current log is marked as retired.
    #[error(
        "log {log} is current according to {}, but {} says that it has been retired: the record is missing or an older copy. \
         Restore the latest copy, or continue with the log that the marker names: --next-log N",
        record.display(), marker.display()
    )]
    Retired {
        /// The log.
        log: LogNumber,
        /// The record.
        record: PathBuf,
        /// The marker.
        marker: PathBuf,
    },
    /// A log after the current one exists.
    #[error(
        "log {log} is current according to {}, but there is log {later} in {place}: the record is missing or an older copy. Restore the \
         latest copy, or make log {later} the current one: --next-log {later}",
        record.display()
    )]
    Later {
        /// The log that would be current.
        log: LogNumber,
        /// The record.
        record: PathBuf,
        /// The log after it.
        later: LogNumber,
        /// Its place.
        place: LogPlace,
    },
    /// The wanted log is not one that can follow.
    #[error(
        "--next-log {wanted}: the current log is {current}, so the next one is {}, or up to {LOOK_AHEAD} further: relying parties look no further ahead",
        current.get().saturating_add(1)
    )]
    NotNext {
        /// What the operator wants.
        wanted: LogNumber,
        /// The current log.
        current: LogNumber,
    },
    /// There is no further number.
    #[error(
        "log {current} is the last that this CA can have: make a new CA with another trust anchor ID"
    )]
    Exhausted {
        /// The current log, 65535.
        current: LogNumber,
    },
}

/// The CA's logs on this machine.
#[derive(Clone, Debug)]
pub struct Logs {
    first: LogPlace,
    state: PrivateFolder,
    record: Record,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    current: u64,
    /// Whether the current log was created. Its folder being empty is a loss then, and not a beginning.
    begun: bool,
    /// For people: why the logs before the current one are no more extended.
    #[serde(default)]
    retired: Vec<Retirement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retirement {
    log: u64,
    at: u64,
    reason: String,
}

/// The logs that may follow a log of a CA.
pub fn after(log: LogNumber) -> impl Iterator<Item = LogNumber> {
    let number = u64::from(log.get());
    (number + 1..=number + LOOK_AHEAD).filter_map(|number| LogNumber::new(number).ok())
}

impl Logs {
    /// Reads which log is current. `first` is the configured place, `known` are the logs in the trust file, whose greatest is
    /// current where there is no record. Blocks on the disk.
    ///
    /// # Errors
    /// The record is damaged, or a place contradicts it.
    pub fn open(
        first: impl Into<LogPlace>,
        state: PrivateFolder,
        known: &[LogNumber],
    ) -> Result<Self, LogsError> {
        let record = match state.read(RECORD)? {
            Some(bytes) => Record::parse(&bytes).map_err(|source| LogsError::Record {
                path: state.path(RECORD),
                source,
            })?,
            None => Record {
                current: known.iter().max().map_or(1, |log| log.get().into()),
                begun: false,
                retired: Vec::new(),
            },
        };
        Ok(Self {
            first: first.into(),
            state,
            record,
        })
    }

    /// The current log: the only one that is ever extended.
    pub fn current(&self) -> LogNumber {
        LogNumber::new(self.record.current).expect("checked when the record was read or changed")
    }

    /// Whether the current log was created in earlier times, so that it must not be made anew.
    pub const fn is_begun(&self) -> bool {
        self.record.begun
    }

    /// Whether no log has been created on this machine, as far as record and places tell. Blocks on the disk.
    ///
    /// # Errors
    /// The place cannot be looked at.
    pub fn is_first(&self) -> Result<bool, LogsError> {
        let untouched = !self.record.begun && self.record.retired.is_empty();
        Ok(untouched && !self.place(self.current()).has(FIRST_OBJECT)?)
    }

    /// Whether the current log follows a retired one and still has to be created. Blocks on the disk.
    ///
    /// # Errors
    /// Its place cannot be looked at.
    pub fn is_to_be_created(&self) -> Result<bool, LogsError> {
        let follows = !self.record.begun && !self.record.retired.is_empty();
        Ok(follows && !self.place(self.current()).has(FIRST_OBJECT)?)
    }

    /// The logs before the current one, oldest first.
    pub fn retired(&self) -> impl Iterator<Item = LogNumber> {
        (1..self.record.current).filter_map(|number| LogNumber::new(number).ok())
    }

    /// The place of a log: the configured one for log 1, which labs have had from their beginning.
    pub fn place(&self, log: LogNumber) -> LogPlace {
        self.first.numbered(log)
    }

    /// Refuses to go on with a current log of which the places tell that it has been retired. Blocks on the disk.
    ///
    /// # Errors
    /// It has a marker, or a log that follows it exists.
    pub fn check(&self) -> Result<(), LogsError> {
        let log = self.current();
        let record = self.state.path(RECORD);
        let place = self.place(log);
        if place.has(MARKER)? {
            let marker = place.named(MARKER);
            return Err(LogsError::Retired {
                log,
                record,
                marker,
            });
        }
        for later in self.within_reach() {
            let place = self.place(later);
            if place.has(FIRST_OBJECT)? {
                return Err(LogsError::Later {
                    log,
                    record,
                    later,
                    place,
                });
            }
        }
        Ok(())
    }

    /// Records that the current log exists. Durable when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails; then nothing of the log may leave the process.
    pub fn begin(&mut self) -> Result<(), LogsError> {
        if self.record.begun {
            return Ok(());
        }
        self.write(Record {
            begun: true,
            ..self.record.clone()
        })
    }

    /// Makes `wanted` current, and retires what is before it. Durable when this returns. Does nothing if it is current: an
    /// option that stays in a service file is carried out once. Blocks on the disk.
    ///
    /// # Errors
    /// It is not after the current log, or too far after it; or the disk fails.
    pub fn continue_with(
        &mut self,
        wanted: LogNumber,
        reason: &str,
        now: UnixTime,
    ) -> Result<(), LogsError> {
        let current = self.current();
        if wanted == current {
            return Ok(());
        }
        if !self.within_reach().any(|next| next == wanted) {
            return Err(match self.within_reach().next() {
                Some(_) => LogsError::NotNext { wanted, current },
                None => LogsError::Exhausted { current },
            });
        }
        let mut retired = self.record.retired.clone();
        retired.push(Retirement {
            log: self.record.current,
            at: now.0,
            reason: reason.chars().take(MAX_REASON).collect(),
        });
        let surplus = retired.len().saturating_sub(MAX_RETIREMENTS);
        retired.drain(..surplus);
        self.write(Record {
            current: wanted.get().into(),
            begun: false,
            retired,
        })?;
        self.mark(current, wanted);
        Ok(())
    }

    /// Makes the next log current, as [`Self::continue_with`].
    ///
    /// # Errors
    /// There is none after 65535, or the disk fails.
    pub fn retire(&mut self, reason: &str, now: UnixTime) -> Result<(), LogsError> {
        let current = self.current();
        let next = self.within_reach().next();
        let next = next.ok_or(LogsError::Exhausted { current })?;
        self.continue_with(next, reason, now)
    }

    /// The logs that may follow the current one.
    pub fn within_reach(&self) -> impl Iterator<Item = LogNumber> {
        after(self.current())
    }

    fn write(&mut self, record: Record) -> Result<(), LogsError> {
        let bytes = serde_json::to_vec_pretty(&record).expect("numbers and text have a JSON form");
        self.state.write_durably(RECORD, &bytes)?;
        self.record = record;
        Ok(())
    }

    /// Leaves a marker in the folder of a retired log, if its disk still takes one: the record is what counts.
    fn mark(&self, retired: LogNumber, next: LogNumber) {
        let place = self.place(retired);
        let text = format!(
            "This log is retired and must never be extended; the CA went on with log {next}.\n"
        );
        if let Err(error) = place.write(MARKER, text) {
            tracing::warn!(error = %Causes(&error), "the retired log has no marker");
        }
    }
}

impl Record {
    fn parse(bytes: &[u8]) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let record: Self = serde_json::from_slice(bytes)?;
        LogNumber::new(record.current).map_err(|error: IdError| Box::new(error))?;
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn number(number: u64) -> LogNumber {
        LogNumber::new(number).expect("a log number")
    }

    /// The logs of a NRF whose files are in `folder`.
    fn open(folder: &TempDir) -> Result<Logs, LogsError> {
        let state = PrivateFolder::open(folder.path().join("state"))?;
        Logs::open(folder.path().join("log"), state, &[LogNumber::FIRST])
    }

    /// What creating a log leaves that others look at.
    fn create(logs: &Logs) {
        let state = logs.place(logs.current()).named("state");
        std::fs::create_dir_all(&state).expect("a new folder");
        std::fs::write(state.join("signed-checkpoint"), "").expect("written");
    }

    #[test]
    fn the_current_log_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut logs = open(&folder).unwrap();
        assert_eq!(
            (
                logs.current(),
                logs.is_begun(),
                logs.is_to_be_created().unwrap()
            ),
            (number(1), false, false)
        );
        create(&logs);
        logs.begin().unwrap();
        logs.retire("disk", NOW).unwrap();

        let mut logs = open(&folder).unwrap();
        assert_eq!(
            (
                logs.current(),
                logs.is_begun(),
                logs.is_to_be_created().unwrap()
            ),
            (number(2), false, true)
        );
        assert_eq!(logs.retired().collect::<Vec<_>>(), [number(1)]);
        for (log, name) in [(1, "log"), (2, "log-2")] {
            let place = logs.place(number(log)).to_string();
            assert_eq!(place, folder.path().join(name).display().to_string());
        }
        create(&logs);
        logs.begin().unwrap();

        let logs = open(&folder).unwrap();
        assert!(logs.is_begun() && !logs.is_to_be_created().unwrap());
        logs.check().unwrap();
        let record = std::fs::read_to_string(folder.path().join("state/issuance-logs.json"));
        assert!(record.unwrap().contains("\"reason\": \"disk\""));
    }

    #[test]
    fn an_option_is_carried_out_once_and_only_forwards() {
        let folder = tempfile::tempdir().unwrap();
        let mut logs = open(&folder).unwrap();
        for _ in 0..2 {
            logs.continue_with(number(3), "--next-log", NOW).unwrap();
            assert_eq!(logs.current(), number(3));
        }
        assert_eq!(logs.retired().collect::<Vec<_>>(), [number(1), number(2)]);
        for wanted in [1, 2, 3 + LOOK_AHEAD + 1, 65535] {
            let refused = logs.continue_with(number(wanted), "--next-log", NOW);
            assert!(
                matches!(refused, Err(LogsError::NotNext { .. })),
                "{refused:?}"
            );
        }
        assert_eq!(open(&folder).unwrap().current(), number(3));
    }

    #[test]
    fn the_last_number_has_no_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut logs = open(&folder).unwrap();
        logs.write(Record {
            current: 65535 - LOOK_AHEAD,
            begun: true,
            retired: Vec::new(),
        })
        .unwrap();
        logs.continue_with(number(65535), "--next-log", NOW)
            .unwrap();
        let error = logs.retire("full", NOW).unwrap_err();
        assert!(matches!(error, LogsError::Exhausted { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            "log 65535 is the last that this CA can have: make a new CA with another trust anchor ID"
        );
        let error = logs
            .continue_with(number(1), "--next-log", NOW)
            .unwrap_err();
        assert!(matches!(error, LogsError::Exhausted { .. }), "{error:?}");
        assert_eq!(open(&folder).unwrap().current(), number(65535));
    }

    #[test]
    fn an_older_record_does_not_revive_a_retired_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut logs = open(&folder).unwrap();
        create(&logs);
        logs.begin().unwrap();
        let record = folder.path().join("state/issuance-logs.json");
        let old = std::fs::read(&record).unwrap();
        logs.retire("disk", NOW).unwrap();
        std::fs::write(&record, old).unwrap();
        let error = open(&folder).unwrap().check().unwrap_err();
        assert!(matches!(error, LogsError::Retired { .. }), "{error:?}");

        // The same where the retired log's disk took no marker.
        std::fs::remove_file(folder.path().join("log/retired")).unwrap();
        open(&folder).unwrap().check().unwrap();
        create(&logs);
        for record_is_lost in [false, true] {
            if record_is_lost {
                std::fs::remove_file(&record).unwrap();
            }
            let error = open(&folder).unwrap().check().unwrap_err();
            assert!(
                matches!(&error, LogsError::Later { later, .. } if *later == number(2)),
                "{error:?}"
            );
        }
        // As the message advises.
        let mut logs = open(&folder).unwrap();
        logs.continue_with(number(2), "--next-log", NOW).unwrap();
        logs.check().unwrap();
        assert!(!logs.is_to_be_created().unwrap(), "it exists");
    }

    #[test]
    fn a_damaged_record_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut logs = open(&folder).unwrap();
        logs.begin().unwrap();
        let record = folder.path().join("state/issuance-logs.json");
        for damaged in ["", "{}", "{\"current\":0,\"begun\":true}", "{\"current\":2"] {
            std::fs::write(&record, damaged).unwrap();
            let error = open(&folder).unwrap_err();
            assert!(matches!(error, LogsError::Record { .. }), "{error:?}");
        }
        std::fs::write(&record, "{\"current\":2,\"begun\":true}").unwrap();
        assert_eq!(open(&folder).unwrap().current(), number(2));
    }
}
