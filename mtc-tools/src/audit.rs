//! The audit of a whole log: every hash is computed again from the entries and compared with what the log serves.
//!
//! ```text
//! entries  e0 .. e255 | e256 ..          parse each; leaf hashes
//! level 0  [h0 .. h255] [h256 ..]        compare with tile/0/...; a full row gives one hash of the next level
//! level 1  [n0 ..]                       compare with tile/1/...
//! root     of what is left at the right edge, compare with the checkpoint
//! ```
//!
//! Memory is bounded by a window of bundles and one row of 256 hashes a level, whatever the size of the log. An audit goes
//! on after a fault, so that it can tell which part of a damaged log is good.

use mtc_core::causes::Causes;
use mtc_core::entry::{EntryBody, MtcLogEntry};
use mtc_core::id::{EntryIndex, LandmarkNumber, TreeSize, TrustAnchorId};
use mtc_core::landmark::LandmarkSubtrees;
use mtc_core::tile::{TILE_WIDTH, TileKind, TilePath};
use mtc_core::time::UnixTime;
use mtc_core::tree::{self, HASH_SIZE, Hash, leaf_hash, node_hash};
use mtc_core::wire;
use mtc_log::MAX_LOG_SIZE;
use serde::Serialize;

use crate::public_log::{LandmarksError, Observed, PublicLog, ReadError};
use mtc_core::x509::LogEntry;

/// Bundles read at a time, with their tiles: enough to keep a server busy. A bundle has 90 kB with entries of NFs, and 16 MiB
/// at the most.
const WINDOW: u64 = 8;
/// Findings that are told one by one; of the others the number is.
const MAX_FINDINGS: usize = 100;
/// Findings after which an audit ends: a checkpoint can claim any size, and what is not there takes no space.
const TOO_MANY_FINDINGS: u64 = 10_000;

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Entries that state a certificate's contents.
    pub certificates: u64,
    /// Entries that state nothing.
    pub null_entries: u64,
    /// Number of the latest landmark; none if the log publishes no landmarks.
    pub latest_landmark: Option<LandmarkNumber>,
    /// Landmarks that have not expired.
    pub active_landmarks: usize,
    /// What is wrong with the log; what is too much is counted below.
    pub findings: Vec<String>,
    /// How many more findings there are.
    pub findings_omitted: u64,
}

impl Audit {
    /// Whether nothing is wrong.
    pub const fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, finding: String) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.findings_omitted += 1;
        }
    }
}

/// Audits the tree of a checkpoint and the landmarks. `progress` is told how many entries are done.
///
/// The landmarks have to be read before the checkpoint: a log in operation may publish new ones meanwhile.
///
/// ```
/// use mtc_tools::audit::audit;
/// use mtc_tools::public_log::PublicLog;
/// # use std::sync::Arc;
/// # use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
/// # use mtc_core::entry::MtcLogEntry;
/// # use mtc_core::id::{LogId, LogNumber};
/// # use mtc_core::time::UnixTime;
/// # use mtc_log::{CosigningKey, DirectoryStorage, IssuanceLog};
/// # let folder = tempfile::tempdir()?;
/// # let storage = Arc::new(DirectoryStorage::create(folder.path().join("log"))?);
/// # let served = storage.served_directory().display().to_string();
/// # let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44)?;
/// # let key = CosigningKey::new("32473.1".parse()?, secret)?;
/// # let id = LogId::new("32473.1".parse()?, LogNumber::FIRST)?;
/// # let now = UnixTime(1_800_000_000);
/// # let mut writer = IssuanceLog::create(storage, id, key, now)?;
/// # let batch = writer.append(&[MtcLogEntry::NULL.encode()?], now)?;
/// # writer.publish(&batch.checkpoint.to_note())?;
/// # let runtime = tokio::runtime::Runtime::new()?;
///
/// let log = PublicLog::at(&served, runtime.handle().clone())?;
/// let observed = log.checkpoint()?;
/// let found = audit(&log, &observed, Ok(None), now, |_| {})?;
/// assert!(found.is_sound());
///
/// std::fs::write(format!("{served}/tile/entries/000.p/1"), "not a bundle")?;
/// let found = audit(&log, &observed, Ok(None), now, |_| {})?;
/// assert!(found.findings[0].starts_with("tile/entries/000.p/1 is malformed"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The log cannot be read, which says nothing about it. What is missing or wrong is a finding.
pub fn audit(
    log: &PublicLog,
    observed: &Observed,
    landmarks: Result<Option<Vec<LandmarkSubtrees>>, LandmarksError>,
    now: UnixTime,
    progress: impl FnMut(u64),
) -> Result<Audit, ReadError> {
    let mut auditor = Auditor {
        log,
        observed,
        landmarks: Vec::new(),
        rows: Vec::new(),
        substituted: false,
        audit: Audit::default(),
    };
    auditor.check_landmarks(landmarks, now)?;
    if auditor.check_entries(progress)? {
        auditor.check_right_edge()?;
    }
    Ok(auditor.audit)
}

/// A hash that was computed again.
#[derive(Clone, Copy)]
struct Computed {
    hash: Hash,
    /// Something below it has been found wrong, so that it differs from what is stored for a known reason.
    tainted: bool,
}

/// The hashes of one level that have no full tile yet.
#[derive(Default)]
struct Row {
    /// Tiles of this level that are complete.
    tiles: u64,
    hashes: Vec<Computed>,
}

struct Auditor<'a> {
    log: &'a PublicLog,
    observed: &'a Observed,
    /// With their expiries, oldest first; those whose predecessor is published too.
    landmarks: Vec<LandmarkSubtrees>,
    rows: Vec<Row>,
    /// Stored hashes stand in for entries that could not be read.
    substituted: bool,
    audit: Audit,
}

impl Auditor<'_> {
    const fn size(&self) -> TreeSize {
        self.observed.checkpoint.size
    }

    fn check_landmarks(
        &mut self,
        landmarks: Result<Option<Vec<LandmarkSubtrees>>, LandmarksError>,
        now: UnixTime,
    ) -> Result<(), ReadError> {
        let landmarks = match landmarks {
            Ok(None) => return Ok(()),
            Ok(Some(landmarks)) => landmarks,
            Err(LandmarksError::Read(error)) => return Err(error),
            Err(error) => {
                self.audit.find(Causes(&error).to_string());
                return Ok(());
            }
        };
        let latest = landmarks.last().map(|last| last.landmark);
        self.audit.latest_landmark = Some(latest.map_or(LandmarkNumber(0), |latest| latest.number));
        self.audit.active_landmarks = landmarks
            .iter()
            .filter(|pair| pair.landmark.expiry > now)
            .count();
        let size = self.size();
        if let Some(latest) = latest.filter(|latest| latest.tree_size > size) {
            self.audit.find(format!(
                "landmark {} is at tree size {}, beyond the checkpoint's {size}",
                latest.number, latest.tree_size
            ));
        }
        self.landmarks = landmarks;
        Ok(())
    }

    /// Whether it came to the end.
    fn check_entries(&mut self, mut progress: impl FnMut(u64)) -> Result<bool, ReadError> {
        if self.size() > MAX_LOG_SIZE {
            self.audit.find(format!(
                "the checkpoint says {} entries, more than the {MAX_LOG_SIZE} that a log can have",
                self.size()
            ));
            return Ok(false);
        }
        let bundles = self.size().0.div_ceil(TILE_WIDTH);
        for first in (0..bundles).step_by(WINDOW as usize) {
            let numbers = first..bundles.min(first + WINDOW);
            let paths: Vec<TilePath> = [TileKind::Entries, TileKind::Hashes(0)]
                .into_iter()
                .flat_map(|kind| numbers.clone().map(move |number| (kind, number)))
                .filter_map(|(kind, number)| self.path(kind, number))
                .collect();
            let mut read = self.log.tiles(&paths);
            let tiles = read.split_off(read.len() / 2);
            for ((number, bundle), tile) in numbers.clone().zip(read).zip(tiles) {
                self.check_bundle(number, bundle, tile)?;
            }
            let done = self.size().0.min(numbers.end * TILE_WIDTH);
            progress(done);
            if self.audit.findings_omitted > TOO_MANY_FINDINGS {
                self.audit.findings.push(format!(
                    "the audit stopped after entry {}: too many faults",
                    done - 1
                ));
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The path of a tile or bundle of the checkpoint's tree.
    fn path(&self, kind: TileKind, number: u64) -> Option<TilePath> {
        TilePath::holding(kind, number * TILE_WIDTH, self.size())
    }

    fn check_bundle(
        &mut self,
        number: u64,
        bundle: Result<Option<Vec<u8>>, ReadError>,
        tile: Result<Option<Vec<u8>>, ReadError>,
    ) -> Result<(), ReadError> {
        let width = (self.size().0 - number * TILE_WIDTH).min(TILE_WIDTH) as usize;
        let name = |kind| {
            self.path(kind, number)
                .map(|path| path.to_string())
                .unwrap_or_default()
        };
        let (bundle_name, tile_name) = (name(TileKind::Entries), name(TileKind::Hashes(0)));
        let stored = self.read_tile(&tile_name, tile, width)?;
        let (bundle, what) = match bundle {
            Ok(Some(bundle)) => (bundle, "is malformed"),
            Ok(None) => (Vec::new(), "is missing"),
            Err(ReadError::TooLong { .. }) => (Vec::new(), "is longer than a bundle can be"),
            Err(error) => return Err(error),
        };
        let Some(entries) = split_bundle(&bundle, width) else {
            self.audit.find(format!(
                "{bundle_name} {what}: entries {} to {} cannot be checked",
                number * TILE_WIDTH,
                number * TILE_WIDTH + width as u64 - 1
            ));
            self.substituted = true;
            // The stored hashes, if there are any, let the rest of the log be checked all the same.
            let hashes = stored.unwrap_or_else(|| vec![[0; HASH_SIZE]; width]);
            return self.extend(hashes.into_iter().map(|hash| Computed {
                hash,
                tainted: true,
            }));
        };
        let hashes: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let mut computed = Vec::with_capacity(width);
        for (position, (entry, hash)) in entries.iter().zip(&hashes).enumerate() {
            let index = EntryIndex(number * TILE_WIDTH + position as u64);
            self.check_entry(index, entry);
            let differs = stored
                .as_ref()
                .is_some_and(|stored| stored[position] != *hash);
            if differs {
                self.audit.find(format!(
                    "entry {index} in {bundle_name} does not hash to what {tile_name} says"
                ));
            }
            computed.push(Computed {
                hash: *hash,
                tainted: differs,
            });
        }
        self.extend(computed.into_iter())
    }

    /// The hashes of a stored tile; what is wrong with it is a finding.
    fn read_tile(
        &mut self,
        name: &str,
        read: Result<Option<Vec<u8>>, ReadError>,
        width: usize,
    ) -> Result<Option<Vec<Hash>>, ReadError> {
        let fault = match read {
            Ok(Some(bytes)) => match bytes.as_chunks::<HASH_SIZE>() {
                (hashes, []) if hashes.len() == width => return Ok(Some(hashes.to_vec())),
                _ => {
                    let expected = width * HASH_SIZE;
                    format!("is malformed: {} bytes instead of {expected}", bytes.len())
                }
            },
            Ok(None) => "is missing".to_owned(),
            Err(ReadError::TooLong { limit, .. }) => {
                format!("is malformed: more than {limit} bytes")
            }
            Err(error) => return Err(error),
        };
        self.audit.find(format!("{name} {fault}"));
        Ok(None)
    }

    /// Appends leaf hashes, whose own tile has been compared already.
    fn extend(&mut self, leaves: impl Iterator<Item = Computed>) -> Result<(), ReadError> {
        for leaf in leaves {
            self.push(0, leaf)?;
        }
        Ok(())
    }

    /// Appends a hash to a level; a row that it completes is compared with its tile and gives a hash of the next level.
    fn push(&mut self, level: u8, computed: Computed) -> Result<(), ReadError> {
        let position = usize::from(level);
        if self.rows.len() == position {
            self.rows.push(Row::default());
        }
        self.rows[position].hashes.push(computed);
        if self.rows[position].hashes.len() < TILE_WIDTH as usize {
            return Ok(());
        }
        let number = self.rows[position].tiles;
        let full = std::mem::take(&mut self.rows[position].hashes);
        self.rows[position].tiles += 1;
        let tainted = self.compare(level, number, &full)?;
        let hashes: Vec<Hash> = full.iter().map(|computed| computed.hash).collect();
        self.push(
            level + 1,
            Computed {
                hash: root_of(&hashes),
                tainted,
            },
        )
    }

    /// Compares hashes above the leaves with their stored tile. Whether anything in or below the tile is wrong.
    fn compare(&mut self, level: u8, number: u64, row: &[Computed]) -> Result<bool, ReadError> {
        let mut tainted = row.iter().any(|computed| computed.tainted);
        if level == 0 {
            return Ok(tainted);
        }
        let Some(path) = self.path(TileKind::Hashes(level), number) else {
            return Ok(tainted);
        };
        let name = path.to_string();
        let read = self.log.tile(path);
        let Some(stored) = self.read_tile(&name, read, row.len())? else {
            return Ok(tainted);
        };
        for (position, (computed, stored)) in row.iter().zip(&stored).enumerate() {
            if computed.hash != *stored && !computed.tainted {
                let tile = number * TILE_WIDTH + position as u64;
                self.audit.find(format!(
                    "hash {position} in {name} is not that of tile {tile} on level {}",
                    level - 1
                ));
                tainted = true;
            }
        }
        Ok(tainted)
    }

    /// Compares the partial tiles above the leaves, and the root with the checkpoint's.
    fn check_right_edge(&mut self) -> Result<(), ReadError> {
        let mut right: Option<Computed> = None;
        let rows = std::mem::take(&mut self.rows);
        for (level, row) in (0..).zip(&rows) {
            let mut tainted = false;
            if !row.hashes.is_empty() {
                tainted = self.compare(level, row.tiles, &row.hashes)?;
            }
            let hashes: Vec<Hash> = row
                .hashes
                .iter()
                .chain(&right)
                .map(|computed| computed.hash)
                .collect();
            if !hashes.is_empty() {
                right = Some(Computed {
                    hash: root_of(&hashes),
                    tainted: tainted || right.is_some_and(|right| right.tainted),
                });
            }
        }
        let root = right.map_or_else(tree::empty_hash, |right| right.hash);
        if root != self.observed.checkpoint.root {
            self.audit.find(
                "the entries do not hash to the checkpoint's root: entries or checkpoint are not what was signed"
                    .to_owned(),
            );
        } else if self.substituted {
            self.audit.find(
                "with stored hashes in place of what is missing, the hashes lead to the checkpoint's root"
                    .to_owned(),
            );
        } else if !self.audit.is_sound() {
            self.audit.find(
                "nevertheless the entries hash to the checkpoint's root: they are as signed, and only what is named above is damaged"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn check_entry(&mut self, index: EntryIndex, bytes: &[u8]) {
        let entry = match MtcLogEntry::decode(bytes) {
            Ok(entry) => entry,
            Err(error) => {
                return self
                    .audit
                    .find(format!("entry {index} is none: {}", Causes(&error)));
            }
        };
        let EntryBody::TbsCert(contents) = &entry.body else {
            self.audit.null_entries += 1;
            return;
        };
        self.audit.certificates += 1;
        let statement = match LogEntry::parse(contents) {
            Ok(LogEntry { statement, .. }) => statement,
            Err(error) => {
                return self
                    .audit
                    .find(format!("entry {index} is malformed: {}", Causes(&error)));
            }
        };
        let ca = self.observed.log.ca();
        match TrustAnchorId::from_name(statement.issuer) {
            Ok(issuer) if issuer == *ca => {}
            _ => self
                .audit
                .find(format!("entry {index} names another issuer than CA {ca}")),
        }
        if let Some(landmark) = self.landmark_of(index)
            && statement.not_after > landmark.landmark.expiry
        {
            self.audit.find(format!(
                "entry {index} is valid until {}, after the expiry {} of its landmark {}",
                statement.not_after, landmark.landmark.expiry, landmark.landmark.number
            ));
        }
    }

    /// The lowest landmark above an entry, as far as it is published.
    fn landmark_of(&self, index: EntryIndex) -> Option<&LandmarkSubtrees> {
        let position = self
            .landmarks
            .partition_point(|pair| !pair.landmark.tree_size.holds(index));
        let found = self.landmarks.get(position)?;
        // Below the first published landmark there may have been others, which have expired.
        (position > 0 || found.holding(index).is_some()).then_some(found)
    }
}

/// The root of the tree over complete subtrees of one size, the last of which may be smaller.
fn root_of(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => tree::empty_hash(),
        [one] => *one,
        more => {
            let split = 1 << (more.len() - 1).ilog2();
            let (left, right) = more.split_at(split);
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// The entries of a bundle, exactly `width`.
fn split_bundle(bytes: &[u8], width: usize) -> Option<Vec<&[u8]>> {
    let mut reader = wire::Reader::new(bytes);
    let mut entries = Vec::with_capacity(width);
    while !reader.is_empty() {
        if entries.len() == width {
            return None;
        }
        entries.push(reader.vector(2).ok()?);
    }
    (entries.len() == width).then_some(entries)
}

#[cfg(test)]
mod tests {
    use mtc_core::tree::MemoryTree;

    use super::*;

    #[test]
    fn the_root_of_a_row_is_that_of_its_tree() {
        let leaves: Vec<Hash> = (0..=255_u8).map(|octet| leaf_hash(&[octet])).collect();
        for count in [0, 1, 2, 3, 100, 255, 256] {
            let expected: MemoryTree = leaves[..count].iter().copied().collect();
            assert_eq!(root_of(&leaves[..count]), expected.root(), "{count}");
        }
    }

    #[test]
    fn a_bundle_has_exactly_its_entries() {
        let bytes = [0, 1, b'a', 0, 0];
        assert_eq!(split_bundle(&bytes, 2), Some(vec![&b"a"[..], b""]));
        assert_eq!(split_bundle(&bytes, 1), None);
        assert_eq!(split_bundle(&bytes, 3), None);
        assert_eq!(split_bundle(&bytes[..4], 2), None);
        // Two bytes for an entry were 16 of memory, for as many as a hostile bundle had.
        let endless = vec![0; 1 << 20];
        assert_eq!(split_bundle(&endless, 256), None);
    }
}
