//! The durable record of used enrolment tokens.
//!
//! ```text
//! <jti> SP <exp> LF      one line a token, appended and synced before its certificate is acknowledged
//! ```
//!
//! A crash can leave a torn last line. Its token was never acknowledged, so opening the record drops the line; anything
//! else that does not parse is an error, because a token that cannot be read cannot be refused.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mtc_core::time::UnixTime;
use sbi::enrolment_claims::EnrolmentClaims;
use uuid::Uuid;

use super::TokenError;

/// How long after its expiry a token stays recorded: a clock set back by less than this revives none.
const KEEP_EXPIRED: Duration = Duration::from_secs(7 * 86_400);

/// Why the record of used tokens cannot be opened or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsedTokensError {
    /// The file system refused.
    #[error("record of used enrolment tokens {}: cannot {operation}", path.display())]
    Io {
        /// The record.
        path: PathBuf,
        /// What was attempted.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A line, counted from 1, that this implementation did not write.
    #[error("record of used enrolment tokens {}: line {line} is not a token's UUID and expiry", path.display())]
    Line {
        /// The record.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
}

/// Which enrolment tokens are used or in use. Clones share one record; one process opens a file at a time.
///
/// Memory and file grow with the number of tokens that the authority mints, about 50 bytes each; tokens that expired
/// more than seven days ago are dropped when the record is opened.
#[derive(Clone)]
pub struct UsedTokens {
    record: Arc<Mutex<Record>>,
}

impl UsedTokens {
    /// Opens the record, or starts it if there is no such file. Blocks on the disk.
    ///
    /// # Errors
    /// The file system refuses, or a complete line is damaged.
    pub fn open(path: &Path, now: UnixTime) -> Result<Self, UsedTokensError> {
        let used = read(path, now)?;
        let file = rewrite(path, &used)?;
        let length = file
            .metadata()
            .map_err(io_error(path, "read its length"))?
            .len();
        let record = Record {
            path: path.to_owned(),
            file,
            length,
            used,
            in_flight: HashSet::new(),
        };
        Ok(Self {
            record: Arc::new(Mutex::new(record)),
        })
    }

    /// Claims the token for one certificate; no other reservation of it succeeds until this one is dropped unconsumed.
    ///
    /// # Errors
    /// [`TokenError::AlreadyUsed`].
    pub fn reserve(&self, claims: &EnrolmentClaims) -> Result<Reservation, TokenError> {
        let mut record = lock(&self.record);
        if record.used.contains_key(&claims.jti) || !record.in_flight.insert(claims.jti) {
            return Err(TokenError::AlreadyUsed(claims.jti));
        }
        Ok(Reservation {
            record: Arc::clone(&self.record),
            jti: claims.jti,
            expiry: UnixTime(claims.exp),
        })
    }
}

/// One token, held for one certificate. Dropping it frees the token unless it was consumed.
#[must_use = "dropping a reservation frees the token"]
pub struct Reservation {
    record: Arc<Mutex<Record>>,
    jti: Uuid,
    expiry: UnixTime,
}

impl Reservation {
    /// Records the token as used. When this returns, the record is on disk and the certificate may be acknowledged.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// The file system refuses. The token is then free again in this process; after a restart it may be used or free.
    pub fn consume(self) -> Result<(), UsedTokensError> {
        lock(&self.record).append(self.jti, self.expiry)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        lock(&self.record).in_flight.remove(&self.jti);
    }
}

struct Record {
    path: PathBuf,
    file: File,
    /// Bytes of acknowledged lines. What a failed append left behind them is overwritten by the next one.
    length: u64,
    used: HashMap<Uuid, UnixTime>,
    in_flight: HashSet<Uuid>,
}

impl Record {
    fn append(&mut self, jti: Uuid, expiry: UnixTime) -> Result<(), UsedTokensError> {
        let line = line(jti, expiry);
        self.file
            .set_len(self.length)
            .and_then(|()| self.file.write_all_at(line.as_bytes(), self.length))
            .and_then(|()| self.file.sync_data())
            .map_err(io_error(&self.path, "append"))?;
        self.length += line.len() as u64;
        self.used.insert(jti, expiry);
        Ok(())
    }
}

/// A panic while the lock was held leaves a record that is still true: `append` changes memory last, in single steps.
fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

fn line(jti: Uuid, expiry: UnixTime) -> String {
    format!("{jti} {}\n", expiry.0)
}

fn parse_line(line: &str) -> Option<(Uuid, UnixTime)> {
    let (jti, expiry) = line.split_once(' ')?;
    Some((Uuid::try_parse(jti).ok()?, UnixTime(expiry.parse().ok()?)))
}

fn read(path: &Path, now: UnixTime) -> Result<HashMap<Uuid, UnixTime>, UsedTokensError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(io_error(path, "read")(error)),
    };
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut used = HashMap::new();
    for (index, line) in complete.lines().enumerate() {
        let damaged = || UsedTokensError::Line {
            path: path.to_owned(),
            line: index + 1,
        };
        let (jti, expiry) = parse_line(line).ok_or_else(damaged)?;
        if expiry >= now.minus(KEEP_EXPIRED) {
            used.insert(jti, expiry);
        }
    }
    Ok(used)
}

/// Replaces the record by one with these tokens: a crash leaves the old file or the new one.
fn rewrite(path: &Path, used: &HashMap<Uuid, UnixTime>) -> Result<File, UsedTokensError> {
    let text: String = used
        .iter()
        .map(|(jti, expiry)| line(*jti, *expiry))
        .collect();
    let next = path.with_extension("next");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&next)
        .map_err(io_error(&next, "create"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(io_error(&next, "write"))?;
    fs::rename(&next, path).map_err(io_error(path, "replace"))?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error(folder, "sync"))?;
    Ok(file)
}

fn io_error(path: &Path, operation: &'static str) -> impl FnOnce(io::Error) -> UsedTokensError {
    let path = path.to_owned();
    move |source| UsedTokensError::Io {
        path,
        operation,
        source,
    }
}

#[cfg(test)]
mod tests {
    use sbi::enrolment_claims::ENROLMENT_ISSUER;

    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn claims(jti: u128, exp: u64) -> EnrolmentClaims {
        EnrolmentClaims {
            iss: ENROLMENT_ISSUER.to_owned(),
            sub: Uuid::from_u128(1),
            nf_type: "AMF".to_owned(),
            fqdn: vec![],
            exp,
            jti: Uuid::from_u128(jti),
        }
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("temporary folder"))
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("used-tokens")
        }

        fn open(&self, now: UnixTime) -> UsedTokens {
            UsedTokens::open(&self.path(), now).expect("record opens")
        }
    }

    fn is_used(tokens: &UsedTokens, jti: u128) -> bool {
        tokens.reserve(&claims(jti, NOW.0)).is_err()
    }

    #[test]
    fn a_consumed_token_stays_used_after_reopening() {
        let folder = Folder::new();
        let tokens = folder.open(NOW);
        tokens
            .reserve(&claims(1, NOW.0))
            .unwrap()
            .consume()
            .unwrap();
        assert!(is_used(&tokens, 1));
        drop(tokens);
        let tokens = folder.open(NOW);
        assert_eq!(
            tokens.reserve(&claims(1, NOW.0)).err(),
            Some(TokenError::AlreadyUsed(Uuid::from_u128(1)))
        );
        assert!(!is_used(&tokens, 2));
    }

    #[test]
    fn a_token_in_flight_is_used_until_its_reservation_is_dropped() {
        let tokens = Folder::new().open(NOW);
        let reservation = tokens.reserve(&claims(1, NOW.0)).unwrap();
        assert!(is_used(&tokens, 1));
        drop(reservation);
        assert!(!is_used(&tokens, 1));
    }

    #[test]
    fn a_reservation_that_was_not_consumed_leaves_no_trace_on_disk() {
        let folder = Folder::new();
        let reservation = folder.open(NOW).reserve(&claims(1, NOW.0)).unwrap();
        assert!(!is_used(&folder.open(NOW), 1));
        drop(reservation);
    }

    #[test]
    fn every_torn_last_line_is_dropped_and_the_lines_before_it_stay() {
        let folder = Folder::new();
        let complete = line(Uuid::from_u128(1), NOW);
        let torn = line(Uuid::from_u128(2), NOW);
        for end in 0..torn.len() {
            fs::write(folder.path(), format!("{complete}{}", &torn[..end])).unwrap();
            let tokens = folder.open(NOW);
            tokens
                .reserve(&claims(3, NOW.0))
                .unwrap()
                .consume()
                .unwrap();
            let reopened = folder.open(NOW);
            assert_eq!(
                [1, 2, 3].map(|jti| is_used(&reopened, jti)),
                [true, false, true],
                "cut at {end}"
            );
        }
    }

    #[test]
    fn a_damaged_complete_line_is_an_error_and_the_file_is_left_alone() {
        let folder = Folder::new();
        let text = format!(
            "{}rubbish\n{}",
            line(Uuid::from_u128(1), NOW),
            line(Uuid::from_u128(2), NOW)
        );
        fs::write(folder.path(), &text).unwrap();
        let error = UsedTokens::open(&folder.path(), NOW).err().unwrap();
        assert!(
            matches!(error, UsedTokensError::Line { line: 2, .. }),
            "{error}"
        );
        assert_eq!(fs::read_to_string(folder.path()).unwrap(), text);
    }

    #[test]
    fn tokens_are_pruned_a_week_after_they_expired() {
        let folder = Folder::new();
        folder
            .open(NOW)
            .reserve(&claims(1, NOW.0))
            .unwrap()
            .consume()
            .unwrap();
        assert!(is_used(&folder.open(NOW.plus(KEEP_EXPIRED)), 1));
        assert!(!is_used(
            &folder.open(UnixTime(NOW.0 + 1).plus(KEEP_EXPIRED)),
            1
        ));
    }

    #[test]
    fn of_many_racing_requests_one_gets_the_token() {
        let tokens = Folder::new().open(NOW);
        let won: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        tokens
                            .reserve(&claims(1, NOW.0))
                            .map(|held| held.consume())
                            .is_ok()
                    })
                })
                .collect();
            racers
                .into_iter()
                .map(|racer| usize::from(racer.join().expect("no panic")))
                .sum()
        });
        assert_eq!(won, 1);
    }
}
