//! The issuance log of an estate: growth, landmarks, what relying parties hold and fetch (docs/estimate.md, "Log and landmarks").

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use mtc_core::id::TreeSize;
use mtc_core::landmark::MAX_LANDMARKS;
use mtc_core::tile::{TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath};
use mtc_core::tree::{
    HASH_SIZE, Hash, HashReader, Subtree, consistency_proof, covering_subtrees, subtree_hash,
};
use mtc_tls::key::KeyAlgorithm;
use mtc_tls::profile::TrustDomain;
use mtc_tls::provider::KeyExchange;
use serde::Serialize;

use super::estate::{DAY, Estate, MAX_ENTRIES, RENEWED_AFTER};
use super::sizes::{Bytes, COSIGNER_KEY, HASH, Proofs, signature};
use super::tree::mean_path;
use super::way::Way;

/// An entry in its bundle: what a certificate says, with a hash in place of the key, and its length.
const ENTRY: f64 = 346.0;
/// A trusted subtree: its interval and its hash.
const TRUSTED_SUBTREE: f64 = 8.0 + 8.0 + HASH;
/// Landmarks over which the length of a proof is averaged: consecutive ones differ with the bits of their sizes.
const SAMPLED_LANDMARKS: u64 = 64;
/// Subtrees that cover what a landmark or a batch adds.
const SUBTREES: f64 = 2.0;
/// Share of the old certificate's remaining time for which it is presented while the new one waits for its landmark.
const OVERLAP: f64 = 0.5;
/// A line of a landmarks document without the tree size: a space, an expiry of ten digits, the line's end.
const LANDMARK_LINE: f64 = 12.0;
/// A cosignature's line in a note beside its signature, which is in base64: dash, name, key ID, time.
const NOTE_LINE: f64 = 40.0;
/// Origin, size, root and the empty line of a note.
const NOTE_HEAD: f64 = 100.0;
/// Intervals between landmarks that are compared.
const INTERVALS: [u64; 7] = [60, 300, 900, 3600, 6 * 3600, 86_400, 7 * 86_400];

/// What the log of an estate will be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogEstimate {
    /// Certificates issued in a second.
    pub issued_per_second: f64,
    /// Entries that a day adds.
    pub entries_per_day: f64,
    /// Entries that a year adds.
    pub entries_per_year: f64,
    /// Bytes of entries and tiles that a day adds.
    pub bytes_per_day: f64,
    /// The same of a year.
    pub bytes_per_year: f64,
    /// Checkpoints in a second.
    pub checkpoints_per_second: f64,
    /// Cosignatures in a second, of CA and witnesses.
    pub cosignatures_per_second: f64,
    /// Hashes in the inclusion proof of a standalone certificate, the mean.
    pub standalone_hashes: f64,
    /// What the estate's own interval between landmarks makes of it.
    pub now: Cadence,
}

/// What an interval between landmarks makes of certificates and relying parties.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cadence {
    /// Seconds between landmarks.
    pub landmark_interval_s: f64,
    /// Entries between two landmarks.
    pub entries: f64,
    /// Hashes in the proof of a landmark-relative certificate, the mean.
    pub proof_hashes: f64,
    /// Share of certificates that are landmark-relative where they are presented.
    pub hit_share: f64,
    /// Bytes of a handshake with ML-DSA-65 keys in both directions, the mean over hits and misses.
    pub bytes_per_handshake: f64,
    /// Landmarks that are active at a time.
    pub active_landmarks: f64,
    /// Bytes of trusted subtrees that a relying party holds.
    pub state_bytes: f64,
    /// New landmarks that a relying party fetches in a day.
    pub fetches_per_day: f64,
    /// Bytes of them, and of the looks that find nothing new.
    pub fetched_bytes_per_day: f64,
}

impl LogEstimate {
    pub(super) fn of(estate: &Estate) -> Self {
        let issued = estate.issued_per_second();
        let checkpoint = estate.checkpoint_interval.seconds();
        let checkpoints = nonempty(issued, checkpoint);
        let batch = if checkpoints > 0.0 {
            issued / checkpoints
        } else {
            1.0
        };
        let standalone_hashes = mean_hashes(estate.log_entries, batch);
        let entries_per_day = issued * DAY;
        let bytes_per_day = entries_per_day * entry_bytes();
        Self {
            issued_per_second: issued,
            entries_per_day,
            entries_per_year: entries_per_day * 365.0,
            bytes_per_day,
            bytes_per_year: bytes_per_day * 365.0,
            checkpoints_per_second: checkpoints,
            cosignatures_per_second: checkpoints * (1.0 + estate.witnesses) * (1.0 + SUBTREES),
            standalone_hashes,
            now: Cadence::of(
                estate,
                standalone_hashes,
                estate.landmark_interval.seconds(),
            ),
        }
    }

    pub(super) fn proofs(&self, estate: &Estate) -> Proofs {
        Proofs {
            standalone_hashes: self.standalone_hashes,
            landmark_hashes: self.now.proof_hashes,
            witnesses: estate.witnesses,
        }
    }
}

/// Intervals of so many seconds in a second in which something is issued, at random times.
fn nonempty(issued_per_second: f64, interval: f64) -> f64 {
    -(-issued_per_second * interval).exp_m1() / interval
}

/// An entry in the log: in its bundle, and its hash in the tiles, of which each level has a 256th of the one below.
fn entry_bytes() -> f64 {
    let width = TILE_WIDTH as f64;
    ENTRY + HASH * width / (width - 1.0)
}

/// Mean hashes in the proofs to what covers so many entries at this place of the log.
fn mean_hashes(log_entries: u64, entries: f64) -> f64 {
    let step = (entries.round() as u64).clamp(1, MAX_ENTRIES);
    let of = |landmark: u64| {
        let start = log_entries.saturating_add(landmark.saturating_mul(step));
        mean_path(start, start.saturating_add(step))
    };
    (0..SAMPLED_LANDMARKS).map(of).sum::<f64>() / SAMPLED_LANDMARKS as f64
}

impl Cadence {
    /// Hit share and state with this interval between landmarks.
    fn of(estate: &Estate, standalone_hashes: f64, interval: f64) -> Self {
        let entries = estate.issued_per_second() * interval;
        // An interval in which nothing was issued has no landmark.
        let landmarks = nonempty(estate.issued_per_second(), interval);
        let active = (estate.certificate_lifetime.seconds() * landmarks).ceil() + 1.0;
        let fetches = DAY * landmarks;
        let size = estate.log_entries as f64 + entries;
        // What a relying party asks for each time, and what it asks for when there is a new landmark.
        let list = active * (digits(size) + LANDMARK_LINE);
        let new = checkpoint_bytes(estate.witnesses)
            + tile_bytes(estate.log_entries, entries, active - 1.0);
        let looks = (DAY / estate.trust_interval()).max(fetches);
        let proofs = Proofs {
            standalone_hashes,
            landmark_hashes: mean_hashes(estate.log_entries, entries),
            witnesses: estate.witnesses,
        };
        let hit_share = hit_share(estate, interval);
        Self {
            landmark_interval_s: interval,
            entries,
            proof_hashes: proofs.landmark_hashes,
            hit_share,
            bytes_per_handshake: mean_bytes(proofs, hit_share),
            active_landmarks: active,
            state_bytes: active * SUBTREES * TRUSTED_SUBTREE,
            fetches_per_day: fetches,
            fetched_bytes_per_day: looks * list + fetches * new,
        }
    }

    /// The usual intervals, as far as certificates outlive them and a list of landmarks has room.
    pub(super) fn others(estate: &Estate, standalone_hashes: f64) -> Vec<Self> {
        let lifetime = estate.certificate_lifetime.seconds();
        let fits = |interval: &f64| {
            *interval < lifetime && lifetime / interval <= (MAX_LANDMARKS - 1) as f64
        };
        let others = INTERVALS.map(|seconds| Duration::from_secs(seconds).as_secs_f64());
        let others = others.into_iter().filter(fits);
        others
            .map(|interval| Self::of(estate, standalone_hashes, interval))
            .collect()
    }
}

/// Bytes of a handshake with ML-DSA-65 keys, the mean over those with and without a landmark.
fn mean_bytes(proofs: Proofs, hit_share: f64) -> f64 {
    let bytes = |domain| {
        let way = Way {
            domain,
            leaf_key: KeyAlgorithm::MlDsa65,
            key_exchange: KeyExchange::X25519MlKem768,
            wishes: 0,
        };
        Bytes::of(way, proofs).both()
    };
    let [hit, missed] = [TrustDomain::MtcLandmark, TrustDomain::MtcLandmarkStale].map(bytes);
    hit_share * hit + (1.0 - hit_share) * missed
}

fn digits(number: f64) -> f64 {
    number.max(1.0).log10().floor() + 1.0
}

/// Share of certificates that are landmark-relative where they are presented.
///
/// Two kinds miss: those of replaced instances, until their landmark is there and known, half an interval and half a look in the mean;
/// and renewed ones whose landmark comes later than the old certificate may be presented.
fn hit_share(estate: &Estate, interval: f64) -> f64 {
    let lifetime = estate.certificate_lifetime.seconds();
    let known_after = interval / 2.0 + estate.trust_interval() / 2.0;
    let of_replaced = estate.replacements_per_day / DAY * known_after;
    let overlap = OVERLAP * (1.0 - RENEWED_AFTER) * lifetime;
    let beyond = (interval - overlap).max(0.0);
    // The wait for a landmark is anything up to the interval, evenly.
    let of_renewed = beyond * beyond / (2.0 * interval) / (RENEWED_AFTER * lifetime);
    (1.0 - of_replaced - of_renewed).clamp(0.0, 1.0)
}

fn checkpoint_bytes(witnesses: f64) -> f64 {
    NOTE_HEAD + (1.0 + witnesses) * (NOTE_LINE + signature(COSIGNER_KEY) * 4.0 / 3.0)
}

/// Bytes of the tiles that an update fetches where there is a new landmark: those that the subtrees of all active landmarks need, so many
/// entries each, and their proofs to the checkpoint, without the complete ones that the update before needed.
fn tile_bytes(log_entries: u64, entries: f64, active: f64) -> f64 {
    let step = (entries.round() as u64).clamp(1, MAX_ENTRIES);
    // Older landmarks need what was needed before.
    let landmarks = (active.round() as u64).clamp(1, SAMPLED_LANDMARKS);
    let first = log_entries.saturating_sub(step);
    let ends = (0..=landmarks + 1).map(|n| first.saturating_add(n.saturating_mul(step)));
    let ends: Vec<u64> = ends.map(|end| end.min(MAX_ENTRIES)).collect();
    let needed = |ends: &[u64]| {
        let tiles = NeededTiles::of(TreeSize(ends[ends.len() - 1]));
        for pair in ends.windows(2) {
            for subtree in covering_subtrees(pair[0], pair[1]) {
                tiles.prove(subtree);
            }
        }
        tiles.widths.into_inner()
    };
    let (before, mut now) = (needed(&ends[..ends.len() - 1]), needed(&ends[1..]));
    now.retain(|tile, width| {
        u64::from(*width) < TILE_WIDTH || before.get(tile).is_none_or(|before| before != width)
    });
    now.values().map(|width| f64::from(*width) * HASH).sum()
}

/// The tiles of a tree that computations ask for, whatever is in them.
struct NeededTiles {
    size: TreeSize,
    widths: RefCell<BTreeMap<(u8, u64), u16>>,
}

impl NeededTiles {
    fn of(size: TreeSize) -> Self {
        Self {
            size,
            widths: RefCell::default(),
        }
    }

    /// Asks for a subtree's hash and for its consistency proof.
    fn prove(&self, subtree: Subtree) {
        if !subtree.is_empty() {
            let Ok(_) = subtree_hash(self, subtree);
            let Ok(_) = consistency_proof(self, subtree, self.size);
        }
    }
}

impl HashReader for NeededTiles {
    type Error = Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let (tile_level, within) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let tile = TilePath::holding(TileKind::Hashes(tile_level), index << within, self.size);
        if let Some(tile) = tile {
            let mut widths = self.widths.borrow_mut();
            widths.insert((tile_level, tile.index), tile.width);
        }
        Ok([0; HASH_SIZE])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_landmark_takes_as_many_bytes_as_were_measured() {
        // docs/results/distribution: a log of a thousand entries and a few, one witness, landmarks of four entries, up to five of them active.
        const MEASURED: f64 = 14_607.0;
        let model =
            checkpoint_bytes(1.0) + tile_bytes(1000, 4.0, 5.0) + 5.0 * (4.0 + LANDMARK_LINE);
        assert!((model / MEASURED - 1.0).abs() < 0.02, "{model}");
    }

    #[test]
    fn tiles_are_counted_once_however_many_landmarks_need_them() {
        // All landmarks are in the partial tile at the edge, below one node of the level above.
        assert_eq!(tile_bytes(1000, 4.0, 5.0), (1020.0 - 768.0 + 3.0) * HASH);
        assert_eq!(tile_bytes(1000, 2.0, 10.0), tile_bytes(1000, 4.0, 5.0));
    }

    #[test]
    fn complete_tiles_are_counted_at_one_landmark_only() {
        // Of boundaries that are in tiles of their own, those at the edge are new, whatever lies behind them.
        let tiles = |landmarks: u16| {
            let behind = (1 << 20) - 1000 * u64::from(landmarks);
            tile_bytes(behind, 1000.0, landmarks.into()) / HASH / TILE_WIDTH as f64
        };
        assert_eq!(tiles(50), tiles(10));
        assert!((1.0..8.0).contains(&tiles(10)), "{}", tiles(10));
    }
}
