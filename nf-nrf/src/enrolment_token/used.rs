//! The durable record of used enrolment tokens.
//!
//! ```text
//! <count> SP <check> LF                                       head, twice: written in turns after each sync
//! <jti> SP <exp> SP <serial> SP <request> SP <check> LF       one line a token, appended and synced before its certificate is
//!                                                             acknowledged; those that come while others are synced, together
//! ```
//!
//! A token that is not in the record can be used again, so what is missing must not go unnoticed: each check is over its
//! line and the line's number, and the count says how many lines there are at least. A line is synced before it is counted;
//! what a crash leaves is therefore more lines than are counted, or a torn last line, whose token was never acknowledged
//! and which is dropped, or one torn head beside the other. Anything else is damage, and an error.
//!
//! `serial` (or `kept`, for an answer in [`crate::answers`]) and `request` (a SHA-256) say which certificate was issued for which
//! request: whoever repeats the request, because the answer was lost, gets that certificate again.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mtc_core::hex;
use mtc_core::time::UnixTime;
use sbi::checksum::sha256;
use sbi::durable::Rounds;
use sbi::enrolment_claims::EnrolmentClaims;
use uuid::Uuid;

use super::TokenError;

/// How long after its expiry a token stays recorded: a clock set back by less than this revives none.
const KEEP_EXPIRED: Duration = Duration::from_secs(7 * 86_400);

/// What an operator can do about a damaged record.
const ADVICE: &str = "restore it from a backup that is not older than the last enrolment; or, once every token that was ever minted \
                      has expired (a day after the last mtc5g init or token), or if it does not matter that one is used twice, \
                      begin a new record with --forget-used-tokens";

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
    /// There is none, though there is a log.
    #[error(
        "record of used enrolment tokens {} is missing beside an issuance log that has entries: without it used tokens would be accepted again; {ADVICE}",
        path.display()
    )]
    Missing {
        /// The record.
        path: PathBuf,
    },
    /// It does not begin as this implementation begins it, or has less than that.
    #[error("record of used enrolment tokens {} is damaged: its head cannot be read; {ADVICE}", path.display())]
    Head {
        /// The record.
        path: PathBuf,
    },
    /// A line, counted from 1 behind the head, that this implementation did not write there.
    #[error("record of used enrolment tokens {} is damaged in line {line} after its head; {ADVICE}", path.display())]
    Line {
        /// The record.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// Lines are missing at the end.
    #[error("record of used enrolment tokens {} is damaged: it has {found} tokens, its head says {counted}; {ADVICE}", path.display())]
    Cut {
        /// The record.
        path: PathBuf,
        /// Tokens that are there.
        found: u64,
        /// Tokens that were recorded.
        counted: u64,
    },
}

/// Which enrolment tokens are used or in use. Clones share one record; one process opens a file at a time.
///
/// Memory and file grow with the number of tokens that the authority mints, about 160 bytes each; tokens that expired
/// more than seven days ago are dropped when the record is opened.
#[derive(Clone)]
pub struct UsedTokens(Arc<Shared>);

struct Shared {
    /// Never locked while the disk is waited for: requests look here.
    tokens: Mutex<Tokens>,
    record: Mutex<Record>,
    /// Tokens that are recorded together.
    appends: Rounds<(Uuid, Used), UsedTokensError>,
}

#[derive(Default)]
struct Tokens {
    used: HashMap<Uuid, Used>,
    /// By token, for which request.
    in_flight: HashMap<Uuid, RequestDigest>,
}

impl UsedTokens {
    /// Begins an empty record if there is no such file: before there is a log. Blocks on the disk.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn begin(path: &Path) -> Result<(), UsedTokensError> {
        if path
            .try_exists()
            .map_err(io_error(path, "find out whether it exists"))?
        {
            return Ok(());
        }
        rewrite(path, &HashMap::new()).map(drop)
    }

    /// Begins an empty record in place of what there is, which is kept beside it, `.forgotten`. Blocks on the disk.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn forget(path: &Path) -> Result<(), UsedTokensError> {
        match fs::rename(path, path.with_extension("forgotten")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error(path, "rename")(error))
            }
            _ => Self::begin(path),
        }
    }

    /// Opens the record. Blocks on the disk.
    ///
    /// # Errors
    /// The file system refuses, or the record is missing or damaged.
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
            count: used.len() as u64,
            newer_head: 0,
        };
        let tokens = Tokens {
            used,
            in_flight: HashMap::new(),
        };
        Ok(Self(Arc::new(Shared {
            tokens: Mutex::new(tokens),
            record: Mutex::new(record),
            appends: Rounds::default(),
        })))
    }

    /// Claims the token for one certificate, which `request` (a digest) asks for; no other reservation of it succeeds until
    /// this one is dropped unconsumed. A repeated request is told which certificate it got.
    ///
    /// # Errors
    /// [`TokenError::AlreadyUsed`], and [`TokenError::InUse`] for the request that is just being answered.
    pub fn reserve(
        &self,
        claims: &EnrolmentClaims,
        request: RequestDigest,
    ) -> Result<Reserved, TokenError> {
        let mut tokens = lock(&self.0.tokens);
        if let Some(used) = tokens.used.get(&claims.jti) {
            return match used.issued {
                Some((answer, of)) if of == request => Ok(Reserved::Again(answer)),
                _ => Err(TokenError::AlreadyUsed(claims.jti)),
            };
        }
        match tokens.in_flight.get(&claims.jti) {
            Some(of) if *of == request => return Err(TokenError::InUse(claims.jti)),
            Some(_) => return Err(TokenError::AlreadyUsed(claims.jti)),
            None => {}
        }
        tokens.in_flight.insert(claims.jti, request);
        Ok(Reserved::New(Reservation {
            shared: Arc::clone(&self.0),
            jti: claims.jti,
            expiry: UnixTime(claims.exp),
            request,
        }))
    }
}

/// SHA-256 of what was asked for with a token.
pub type RequestDigest = [u8; 32];

/// What a token is good for now.
pub enum Reserved {
    /// A certificate.
    New(Reservation),
    /// The certificate that was issued for the same request.
    Again(Answer),
}

/// Where the certificate is that a token was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is the Merkle Tree Certificate with this serial number.
    Serial(u64),
    /// It is kept under the token's `jti`, among the [`crate::answers`].
    Kept,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(serial) => serial.fmt(f),
            Self::Kept => f.write_str("kept"),
        }
    }
}

/// One token, held for one certificate. Dropping it frees the token unless it was consumed.
#[must_use = "dropping a reservation frees the token"]
pub struct Reservation {
    shared: Arc<Shared>,
    jti: Uuid,
    expiry: UnixTime,
    request: RequestDigest,
}

impl Reservation {
    /// The token's `jti`.
    pub const fn jti(&self) -> Uuid {
        self.jti
    }

    /// Records the token as used, for this answer. When this returns, the record is on disk and the certificate may be
    /// acknowledged. Blocks on the disk.
    ///
    /// # Errors
    /// The file system refuses, perhaps for a token that was recorded at the same time. The token is then free again in this process; after a
    /// restart it may be used or free.
    pub fn consume(self, answer: Answer) -> Result<(), Arc<UsedTokensError>> {
        let used = Used {
            expiry: self.expiry,
            issued: Some((answer, self.request)),
        };
        let shared = &self.shared;
        let append = |tokens: &[_]| shared.append(tokens);
        shared.appends.join((self.jti, used), append)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        lock(&self.shared.tokens).in_flight.remove(&self.jti);
    }
}

struct Record {
    path: PathBuf,
    file: File,
    /// Bytes of acknowledged lines. What a failed append left behind them is overwritten by the next one.
    length: u64,
    /// Acknowledged lines.
    count: u64,
    /// Which of the two heads was written last.
    newer_head: u64,
}

/// What a token was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Used {
    expiry: UnixTime,
    /// For which answer to which request; older versions did not record X.509 certificates.
    issued: Option<(Answer, RequestDigest)>,
}

impl Shared {
    /// Blocks on the disk.
    fn append(&self, tokens: &[(Uuid, Used)]) -> Result<(), UsedTokensError> {
        let mut record = lock(&self.record);
        record.append(tokens)?;
        lock(&self.tokens).used.extend(tokens.iter().copied());
        record.count_in()
    }
}

impl Record {
    fn append(&mut self, tokens: &[(Uuid, Used)]) -> Result<(), UsedTokensError> {
        let numbered = tokens.iter().zip(self.count + 1..);
        let lines = numbered.map(|((jti, used), number)| line(number, *jti, used));
        let lines: String = lines.collect();
        self.file
            .set_len(self.length)
            .and_then(|()| self.file.write_all_at(lines.as_bytes(), self.length))
            .and_then(|()| self.file.sync_data())
            .map_err(io_error(&self.path, "append"))?;
        self.length += lines.len() as u64;
        self.count += tokens.len() as u64;
        Ok(())
    }

    /// Not synced: it may say too little after a crash of the machine, never too much. The other head stays whole.
    fn count_in(&mut self) -> Result<(), UsedTokensError> {
        self.newer_head = 1 - self.newer_head;
        let at = self.newer_head * HEAD as u64;
        self.file
            .write_all_at(head(self.count).as_bytes(), at)
            .map_err(io_error(&self.path, "count in"))
    }
}

/// A panic while a lock was held leaves a record that is still true: [`Record::append`] changes memory last, in single steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Octets of one of the two heads: 20 digits, a space, the check, a line feed.
const HEAD: usize = 20 + 1 + CHECK + 1;
/// Hexadecimal digits of a check, the first 64 bits of a SHA-256: against damage, not against who can write the file.
const CHECK: usize = 16;

fn check(text: &str) -> String {
    let mut check = sha256(text.as_bytes());
    check.truncate(CHECK);
    check
}

fn head(count: u64) -> String {
    let count = format!("{count:020}");
    let check = check(&count);
    format!("{count} {check}\n")
}

fn parse_head(octets: &[u8]) -> Option<u64> {
    let count = std::str::from_utf8(octets).ok()?.get(..20)?.parse().ok()?;
    (head(count).as_bytes() == octets).then_some(count)
}

fn line(number: u64, jti: Uuid, used: &Used) -> String {
    let Used { expiry, issued } = used;
    let issued = match issued {
        Some((answer, request)) => format!("{answer} {}", hex::encode(request)),
        None => "- -".to_owned(),
    };
    let line = format!("{jti} {} {issued}", expiry.0);
    let check = check(&format!("{number} {line}"));
    format!("{line} {check}\n")
}

/// What `text`, without its line feed, says as the line of that number; nothing if that is not what was written.
fn parse_line(number: u64, text: &str) -> Option<(Uuid, Used)> {
    let mut parts = text.split(' ');
    let jti = Uuid::try_parse(parts.next()?).ok()?;
    let expiry = UnixTime(parts.next()?.parse().ok()?);
    let issued = match (parts.next()?, parts.next()?) {
        ("-", "-") => None,
        ("kept", request) => Some((Answer::Kept, parse_digest(request)?)),
        (serial, request) => Some((Answer::Serial(serial.parse().ok()?), parse_digest(request)?)),
    };
    let used = Used { expiry, issued };
    (line(number, jti, &used).trim_end() == text).then_some((jti, used))
}

fn parse_digest(text: &str) -> Option<RequestDigest> {
    hex::decode(text)?.try_into().ok()
}

/// A line as an older version of this program wrote it, without head and checks.
fn parse_old_line(line: &str) -> Option<(Uuid, Used)> {
    let (jti, expiry) = line.split_once(' ')?;
    let used = Used {
        expiry: UnixTime(expiry.parse().ok()?),
        issued: None,
    };
    Some((Uuid::try_parse(jti).ok()?, used))
}

fn read(path: &Path, now: UnixTime) -> Result<HashMap<Uuid, Used>, UsedTokensError> {
    let octets = match fs::read(path) {
        Ok(octets) => octets,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(UsedTokensError::Missing {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(io_error(path, "read")(error)),
    };
    let lines = match read_old(&octets) {
        Some(lines) => {
            tracing::warn!(path = %path.display(), "the record of used tokens has the format of an older version, without checksums: adding them");
            lines
        }
        None => read_lines(path, &octets)?,
    };
    let kept = lines
        .into_iter()
        .filter(|(_, used)| used.expiry >= now.minus(KEEP_EXPIRED));
    Ok(kept.collect())
}

/// The lines of a record of an older version, if it is one; an empty file is none, for nothing says that it was.
fn read_old(octets: &[u8]) -> Option<Vec<(Uuid, Used)>> {
    let text = std::str::from_utf8(octets).ok()?;
    let complete = &text[..text.rfind('\n')?];
    complete.lines().map(parse_old_line).collect()
}

fn read_lines(path: &Path, octets: &[u8]) -> Result<Vec<(Uuid, Used)>, UsedTokensError> {
    let no_head = || UsedTokensError::Head {
        path: path.to_owned(),
    };
    let (heads, lines) = octets.split_at_checked(2 * HEAD).ok_or_else(no_head)?;
    let heads = [&heads[..HEAD], &heads[HEAD..]].map(parse_head);
    if heads.contains(&None) {
        tracing::warn!(path = %path.display(), "one of the two heads of the record of used tokens is damaged, using the other");
    }
    let counted = heads.into_iter().flatten().max().ok_or_else(no_head)?;
    let mut used = Vec::new();
    for (text, number) in lines.split_inclusive(|octet| *octet == b'\n').zip(1..) {
        let Some(text) = text.strip_suffix(b"\n") else {
            // Torn, and nothing after it.
            break;
        };
        let parsed = std::str::from_utf8(text)
            .ok()
            .and_then(|text| parse_line(number, text));
        used.push(parsed.ok_or_else(|| UsedTokensError::Line {
            path: path.to_owned(),
            line: used.len() + 1,
        })?);
    }
    let found = used.len() as u64;
    if found < counted {
        return Err(UsedTokensError::Cut {
            path: path.to_owned(),
            found,
            counted,
        });
    }
    Ok(used)
}

/// Replaces the record by one with these tokens: a crash leaves the old file or the new one.
fn rewrite(path: &Path, used: &HashMap<Uuid, Used>) -> Result<File, UsedTokensError> {
    let heads = [head(used.len() as u64), head(used.len() as u64)];
    let lines = used.iter().zip(1..);
    let lines = lines.map(|((jti, used), number)| line(number, *jti, used));
    let text: String = heads.into_iter().chain(lines).collect();
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
            UsedTokens::begin(&self.path()).expect("record begins");
            UsedTokens::open(&self.path(), now).expect("record opens")
        }
    }

    fn reserve(tokens: &UsedTokens, jti: u128) -> Reservation {
        match tokens.reserve(&claims(jti, NOW.0), [0; 32]) {
            Ok(Reserved::New(reservation)) => reservation,
            _ => panic!("token {jti} is used"),
        }
    }

    const NONE: Used = Used {
        expiry: NOW,
        issued: None,
    };

    fn is_used(tokens: &UsedTokens, jti: u128) -> bool {
        tokens.reserve(&claims(jti, NOW.0), [1; 32]).is_err()
    }

    #[test]
    fn a_consumed_token_stays_used_after_reopening() {
        let folder = Folder::new();
        let tokens = folder.open(NOW);
        reserve(&tokens, 1).consume(Answer::Kept).unwrap();
        assert!(is_used(&tokens, 1));
        drop(tokens);
        let tokens = folder.open(NOW);
        assert_eq!(
            tokens.reserve(&claims(1, NOW.0), [1; 32]).err(),
            Some(TokenError::AlreadyUsed(Uuid::from_u128(1)))
        );
        assert!(!is_used(&tokens, 2));
    }

    #[test]
    fn a_token_in_flight_is_used_until_its_reservation_is_dropped() {
        let tokens = Folder::new().open(NOW);
        let reservation = reserve(&tokens, 1);
        assert!(is_used(&tokens, 1));
        drop(reservation);
        assert!(!is_used(&tokens, 1));
    }

    #[test]
    fn a_reservation_that_was_not_consumed_leaves_no_trace_on_disk() {
        let folder = Folder::new();
        let reservation = reserve(&folder.open(NOW), 1);
        assert!(!is_used(&folder.open(NOW), 1));
        drop(reservation);
    }

    #[test]
    fn tokens_that_are_used_at_once_are_all_recorded() {
        let folder = Folder::new();
        let tokens = folder.open(NOW);
        std::thread::scope(|scope| {
            for jti in 1..=40 {
                let held = reserve(&tokens, jti);
                scope.spawn(move || held.consume(Answer::Serial(7)).unwrap());
            }
        });
        assert!((1..=40).all(|jti| is_used(&tokens, jti)));
        let reopened = folder.open(NOW);
        assert!((1..=40).all(|jti| is_used(&reopened, jti)));
        assert!(!is_used(&reopened, 41));
    }

    #[test]
    fn every_torn_last_line_is_dropped_and_the_lines_before_it_stay() {
        let folder = Folder::new();
        let complete = line(1, Uuid::from_u128(1), &NONE);
        let torn = line(2, Uuid::from_u128(2), &NONE);
        let heads = head(1).repeat(2);
        for end in 0..torn.len() {
            fs::write(folder.path(), format!("{heads}{complete}{}", &torn[..end])).unwrap();
            let tokens = folder.open(NOW);
            reserve(&tokens, 3).consume(Answer::Kept).unwrap();
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
            "{}{}rubbish\n{}",
            head(3).repeat(2),
            line(1, Uuid::from_u128(1), &NONE),
            line(3, Uuid::from_u128(2), &NONE)
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
        reserve(&folder.open(NOW), 1).consume(Answer::Kept).unwrap();
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
                            .reserve(&claims(1, NOW.0), [0; 32])
                            .is_ok_and(|held| match held {
                                Reserved::New(held) => held.consume(Answer::Kept).is_ok(),
                                Reserved::Again(_) => false,
                            })
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

    /// A record of five tokens, and where it is.
    fn five() -> (Folder, Vec<u8>) {
        let folder = Folder::new();
        let tokens = folder.open(NOW);
        for jti in 1..=5 {
            reserve(&tokens, jti).consume(Answer::Serial(7)).unwrap();
        }
        let octets = fs::read(folder.path()).unwrap();
        (folder, octets)
    }

    fn all_are_used(folder: &Folder) -> bool {
        let opened = UsedTokens::open(&folder.path(), NOW);
        opened.is_ok_and(|tokens| {
            (1..=5).all(|jti| tokens.reserve(&claims(jti, NOW.0), [1; 32]).is_err())
        })
    }

    #[test]
    fn no_used_token_comes_back_when_the_record_is_missing_or_cut_anywhere() {
        let (folder, octets) = five();
        assert!(all_are_used(&folder));
        for end in 0..octets.len() {
            fs::write(folder.path(), &octets[..end]).unwrap();
            let error = UsedTokens::open(&folder.path(), NOW).err();
            let error = error.unwrap_or_else(|| panic!("opened, cut at {end}"));
            assert!(
                error.to_string().contains("--forget-used-tokens"),
                "{error}"
            );
        }
        fs::remove_file(folder.path()).unwrap();
        let missing = UsedTokens::open(&folder.path(), NOW).err().unwrap();
        assert!(matches!(missing, UsedTokensError::Missing { .. }));
    }

    #[test]
    fn no_used_token_comes_back_by_a_flipped_bit() {
        let (folder, octets) = five();
        for at in 0..octets.len() {
            // A damaged head leaves a record that opens, which syncs it: one bit of each octet will do.
            let bits = if at < 2 * HEAD {
                at % 8..at % 8 + 1
            } else {
                0..8
            };
            for bit in bits {
                let mut flipped = octets.clone();
                flipped[at] ^= 1 << bit;
                fs::write(folder.path(), &flipped).unwrap();
                let refused = UsedTokens::open(&folder.path(), NOW).is_err();
                // Of two heads one suffices.
                assert!(
                    refused || at < 2 * HEAD && all_are_used(&folder),
                    "{at}.{bit}"
                );
            }
        }
    }

    #[test]
    fn a_head_that_was_lost_with_the_power_counts_less_and_nothing_is_lost() {
        let (folder, octets) = five();
        let heads = [head(4), head(3)].concat();
        fs::write(
            folder.path(),
            [heads.as_bytes(), &octets[2 * HEAD..]].concat(),
        )
        .unwrap();
        assert!(all_are_used(&folder));
    }

    #[test]
    fn a_repeated_request_is_told_its_certificate_and_another_is_refused() {
        let (folder, _) = five();
        for tokens in [folder.open(NOW), folder.open(NOW)] {
            let again = tokens.reserve(&claims(1, NOW.0), [0; 32]);
            assert!(matches!(again, Ok(Reserved::Again(Answer::Serial(7)))));
            assert!(tokens.reserve(&claims(1, NOW.0), [1; 32]).is_err());
        }
        let tokens = folder.open(NOW);
        let _held = reserve(&tokens, 6);
        assert!(matches!(
            tokens.reserve(&claims(6, NOW.0), [0; 32]).err(),
            Some(TokenError::InUse(_))
        ));
    }

    #[test]
    fn a_record_of_an_older_version_is_taken_over_and_an_empty_file_is_none() {
        let folder = Folder::new();
        let old = format!("{} {}\n", Uuid::from_u128(1), NOW.0);
        fs::write(folder.path(), old).unwrap();
        assert!(is_used(&folder.open(NOW), 1));
        assert!(is_used(&folder.open(NOW), 1));
        UsedTokens::forget(&folder.path()).unwrap();
        assert!(!is_used(&folder.open(NOW), 1));
    }
}
