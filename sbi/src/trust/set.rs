//! A trusted set: what a relying party needs to know of a CA's logs, in one file that one process writes for all of a node.
//!
//! ```text
//! mtc5g/trusted-set/v1 <SHA-256 of all that follows, in hexadecimal>
//! {"number": 1800000000, "made": 1800000000,      greater than that of any set before; when it was written, Unix time
//!  "pin": {..},                                   only while the operator keeps a set from being replaced
//!  "newest_log": 1,                               the newest that the writer follows, with landmarks or without
//!  "revoked": "mtc5g/revoked/v1\n..",             the CA's list as the log serves it, if there is one
//!  "logs": [{"number": 1, "verified": 1800000000,
//!            "landmarks": "7\n1131 ..",           the document of Section 6.4.3
//!            "checkpoint": "oid/..\n..",          signed, the one to which all of the next are proven consistent
//!            "subtrees": [{"start": 0, "end": 256, "hash": "<base64>", "proof": ["<base64>", ..]}, ..]}, ..]}
//! ```
//!
//! Nothing in it is believed: checkpoint and list are signed by the CA and its cosigners, and each subtree comes with its consistency
//! proof (Section 4.4). What the writer saves its readers is to fetch, and to compute proofs from tiles. The checksum is against damage.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mtc_core::checkpoint::parse_hash;
use mtc_core::id::{IdError, LogNumber};
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, Subtree};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::checksum::sha256;

/// First word of a set.
const FORMAT: &str = "mtc5g/trusted-set/v1";
/// Most octets of a set. 4096 landmarks of a log of 2^32 entries take some 12 MiB, and the longest list of revoked serial numbers half of one;
/// 169 landmarks of a million entries take 0.4 MiB.
pub const MAX_SET: usize = 16 << 20;

/// How far a writer's clock may be ahead of a reader's.
const MAX_AHEAD: Duration = Duration::from_secs(300);

/// Why a file is no set that could be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// Longer than [`MAX_SET`].
    #[error("longer than {MAX_SET} octets")]
    TooLong,
    /// The first line is another, as of a later version.
    #[error("does not begin with {FORMAT} and a checksum")]
    Format,
    /// Not what was written.
    #[error("its checksum is {expected} and should be {found}")]
    Checksum {
        /// What the first line says.
        expected: String,
        /// What the rest has.
        found: String,
    },
    /// Not the members that the version has.
    #[error("its members are not those of {FORMAT}")]
    Members(#[from] serde_json::Error),
    /// A log's number is none.
    #[error("a log's number")]
    Log(#[from] IdError),
    /// More logs than are ever followed at the same time.
    #[error("has more logs than are followed at the same time")]
    TooManyLogs,
    /// Logs must be in the order of their numbers.
    #[error("its logs are not in the order of their numbers, each once")]
    LogOrder,
    /// An older set than was taken before.
    #[error("went back from set {before} to {now}")]
    WentBack {
        /// The set that was taken last.
        before: u64,
        /// This one.
        now: u64,
    },
    /// Its landmarks are older than those of the set before, and no operator has said that they are to be.
    #[error("set {0} has older landmarks than the one before, and is not pinned")]
    OlderLandmarks(u64),
    /// Its number or the time at which it was made is that of a later time than now.
    #[error("set {number} was made at {made}, and one of the two is not yet")]
    Early {
        /// Its number.
        number: u64,
        /// When it says that it was made.
        made: UnixTime,
    },
}

/// What a relying party needs of the logs of one CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedSet {
    /// Greater than that of any set before: the Unix time at which it was made, or one more than the one before. So it grows too where
    /// all earlier ones were lost.
    pub number: u64,
    /// When it was made, Unix time.
    pub made: u64,
    /// Why it may have older landmarks than the set before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// The newest log that its writer follows. It may have no landmarks yet.
    pub newest_log: u64,
    /// The signed list of revoked serial numbers ([`mtc_core::revocation_list`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
    /// Logs with landmarks that are active, by number.
    pub logs: Vec<SetLog>,
}

/// The operator's word that these landmarks stay, whatever the logs show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Number of the set whose landmarks they are.
    pub set: u64,
    /// Since when, Unix time.
    pub since: u64,
    /// The set that it has replaced, where it is older than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_from: Option<u64>,
}

/// A log, as it was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetLog {
    /// The log's number.
    pub number: u64,
    /// When it was verified, Unix time: landmarks that had expired by then have no subtrees here.
    pub verified: u64,
    /// The landmarks document.
    pub landmarks: String,
    /// The signed checkpoint to which the subtrees are proven consistent.
    pub checkpoint: String,
    /// The subtrees of the active landmarks.
    pub subtrees: Vec<SetSubtree>,
}

/// A subtree of a landmark, with what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetSubtree {
    /// First entry.
    pub start: u64,
    /// The entry after the last.
    pub end: u64,
    /// Its hash.
    pub hash: Base64Hash,
    /// Consistency with the checkpoint (Section 4.4).
    pub proof: Vec<Base64Hash>,
}

/// A hash that is written in base64, as checkpoints have theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base64Hash(pub Hash);

impl TrustedSet {
    /// The octets of the file.
    pub fn encode(&self) -> Vec<u8> {
        let members = serde_json::to_string(self).expect("texts and numbers have a JSON form");
        let checksum = sha256(members.as_bytes());
        format!("{FORMAT} {checksum}\n{members}").into_bytes()
    }

    /// Reads a file. Whether what it says is true is not looked at.
    ///
    /// # Errors
    /// It is damaged, or of another version, or too long.
    pub fn parse(octets: &[u8]) -> Result<Self, SetError> {
        if octets.len() > MAX_SET {
            return Err(SetError::TooLong);
        }
        let sealed = octets
            .strip_prefix(FORMAT.as_bytes())
            .and_then(|rest| rest.strip_prefix(b" "))
            .ok_or(SetError::Format)?;
        let end = sealed.iter().position(|octet| *octet == b'\n');
        let (expected, members) = sealed.split_at(end.ok_or(SetError::Format)?);
        let members = &members[1..];
        let expected = std::str::from_utf8(expected).map_err(|_| SetError::Format)?;
        let found = sha256(members);
        if expected != found {
            let expected = expected.to_owned();
            return Err(SetError::Checksum { expected, found });
        }
        Ok(serde_json::from_slice(members)?)
    }

    /// The newest log that its writer follows.
    ///
    /// # Errors
    /// It is none.
    pub fn newest_log(&self) -> Result<LogNumber, SetError> {
        Ok(LogNumber::new(self.newest_log)?)
    }

    /// Whether its number or the time at which it was made is not yet, by more than clocks differ: then no reader takes it.
    pub fn is_early(&self, now: UnixTime) -> bool {
        is_early(self.number.max(self.made), now)
    }
}

/// Whether a set's number, or a time in it, is that of a later time than clocks that differ could have now.
pub(super) fn is_early(number: u64, now: UnixTime) -> bool {
    UnixTime(number) > now.plus(MAX_AHEAD)
}

impl SetLog {
    /// The subtree that is proven here, with its hash and proof.
    pub(super) fn proven(&self, subtree: Subtree) -> Option<(Hash, Vec<Hash>)> {
        let found = self
            .subtrees
            .iter()
            .find(|proven| (proven.start, proven.end) == (subtree.start(), subtree.end()))?;
        let proof = found.proof.iter().map(|Base64Hash(hash)| *hash).collect();
        Some((found.hash.0, proof))
    }
}

impl Serialize for Base64Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Base64Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let hash = parse_hash(&text);
        hash.map(Self)
            .ok_or_else(|| serde::de::Error::custom("not a hash in base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> TrustedSet {
        TrustedSet {
            number: 7,
            made: 5,
            pin: None,
            newest_log: 1,
            revoked: None,
            logs: vec![SetLog {
                number: 1,
                verified: 5,
                landmarks: "0\n0 0\n".to_owned(),
                checkpoint: String::new(),
                subtrees: vec![SetSubtree {
                    start: 0,
                    end: 4,
                    hash: Base64Hash([1; 32]),
                    proof: vec![Base64Hash([2; 32])],
                }],
            }],
        }
    }

    #[test]
    fn a_set_is_read_as_it_was_written() {
        assert_eq!(TrustedSet::parse(&set().encode()).expect("a set"), set());
    }

    #[test]
    fn any_flipped_bit_and_any_truncation_is_refused() {
        let octets = set().encode();
        for at in 0..octets.len() {
            assert!(TrustedSet::parse(&octets[..at]).is_err(), "{at}");
            let mut damaged = octets.clone();
            damaged[at] ^= 1;
            assert!(TrustedSet::parse(&damaged).is_err(), "{at}");
        }
    }

    #[test]
    fn what_is_no_set_is_refused_with_the_rule_that_it_breaks() {
        let sealed = |members: &str| {
            let checksum = sha256(members.as_bytes());
            TrustedSet::parse(format!("{FORMAT} {checksum}\n{members}").as_bytes())
        };
        assert!(matches!(sealed("{}"), Err(SetError::Members(_))));
        let unknown = r#"{"number":1,"made":1,"newest_log":1,"logs":[],"more":1}"#;
        assert!(matches!(sealed(unknown), Err(SetError::Members(_))));
        assert!(sealed(r#"{"number":1,"made":1,"newest_log":1,"logs":[]}"#).is_ok());
        let later = set().encode();
        let later = String::from_utf8(later).unwrap().replacen("/v1", "/v2", 1);
        let refused = TrustedSet::parse(later.as_bytes());
        assert!(matches!(refused, Err(SetError::Format)), "{refused:?}");
        let long = vec![b' '; MAX_SET + 1];
        assert!(matches!(TrustedSet::parse(&long), Err(SetError::TooLong)));
    }
}
