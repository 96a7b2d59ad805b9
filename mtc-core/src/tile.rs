//! Paths of tiles (c2sp.org/tlog-tiles, with the entries of c2sp.org/mtc-tlog).
//!
//! ```text
//! tile/<L>/<N>[.p/<W>]           256 hashes of tree level 8 L, or W of them
//! tile/entries/<N>[.p/<W>]       256 entries, each with a uint16 length, or W of them
//! <N> = 1234067 is written x001/x234/067
//! ```

use alloc::string::ToString;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::decimal::parse_decimal;
use crate::id::TreeSize;

/// Hashes or entries in a full tile.
pub const TILE_WIDTH: u64 = 256;
/// Tree levels that one level of tiles spans.
pub const TILE_HEIGHT: u8 = 8;
/// Highest level of tiles: 2^48 entries need six levels, tlog-tiles allows up to 63.
pub const MAX_LEVEL: u8 = 63;

/// Tile numbers are written in groups of three digits.
const GROUP: u64 = 1000;

/// The text is not the path of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not the path of a tile")]
pub struct TilePathError;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes of tree level 8 times this.
    Hashes(u8),
    /// Log entries.
    Entries,
}

impl TileKind {
    /// How many hashes or entries of this kind there are in a tree of `size`: of hashes, one for each complete subtree of `256^level`
    /// entries.
    pub fn count_in(self, size: TreeSize) -> u64 {
        match self {
            Self::Hashes(level) => size
                .0
                .checked_shr(u32::from(TILE_HEIGHT) * u32::from(level))
                .unwrap_or(0),
            Self::Entries => size.0,
        }
    }
}

/// Names one tile.
///
/// ```
/// use mtc_core::tile::{TileKind, TilePath};
///
/// let path: TilePath = "tile/entries/x001/234.p/7".parse()?;
/// assert_eq!((path.kind, path.index, path.width), (TileKind::Entries, 1234, 7));
/// assert_eq!(path.to_string(), "tile/entries/x001/234.p/7");
/// # Ok::<(), mtc_core::tile::TilePathError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TilePath {
    /// What it holds.
    pub kind: TileKind,
    /// Its number at its level.
    pub index: u64,
    /// How many hashes or entries it holds: 1 to 256.
    pub width: u16,
}

impl TilePath {
    /// The tile that holds the hash or entry at `position` in a tree of `size`: full, or the partial one at the right edge. None if
    /// the position is not there.
    pub fn holding(kind: TileKind, position: u64, size: TreeSize) -> Option<Self> {
        let count = kind.count_in(size);
        if position >= count {
            return None;
        }
        let index = position / TILE_WIDTH;
        let width = (count - index * TILE_WIDTH).min(TILE_WIDTH) as u16;
        Some(Self { kind, index, width })
    }

    /// Whether it is not full.
    pub const fn is_partial(&self) -> bool {
        (self.width as u64) < TILE_WIDTH
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
        }
        let mut group = 1;
        while self.index / group >= GROUP {
            group *= GROUP;
        }
        while group > 1 {
            write!(f, "x{:03}/", self.index / group % GROUP)?;
            group /= GROUP;
        }
        write!(f, "{:03}", self.index % GROUP)?;
        if self.is_partial() {
            write!(f, ".p/{}", self.width)
        } else {
            Ok(())
        }
    }
}

impl FromStr for TilePath {
    type Err = TilePathError;

    fn from_str(text: &str) -> Result<Self, TilePathError> {
        let parse = || {
            let (kind, rest) = text.strip_prefix("tile/")?.split_once('/')?;
            let kind = if kind == "entries" {
                TileKind::Entries
            } else {
                TileKind::Hashes(
                    u8::try_from(parse_decimal(kind)?)
                        .ok()
                        .filter(|level| *level <= MAX_LEVEL)?,
                )
            };
            let (number, width) = match rest.split_once(".p/") {
                Some((number, width)) => (
                    number,
                    u16::try_from(parse_decimal(width)?)
                        .ok()
                        .filter(|width| (1..256).contains(width))?,
                ),
                None => (rest, TILE_WIDTH as u16),
            };
            let mut index = 0_u64;
            for group in number.split('/') {
                let digits = group.strip_prefix('x').unwrap_or(group);
                if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                index = index
                    .checked_mul(GROUP)?
                    .checked_add(digits.parse().ok()?)?;
            }
            Some(Self { kind, index, width })
        };
        // One path per tile: whatever does not print as it was read is not canonical.
        parse()
            .filter(|path: &Self| path.to_string() == text)
            .ok_or(TilePathError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_specification() {
        for (kind, index, width, text) in [
            (TileKind::Hashes(0), 1_234_067, 256, "tile/0/x001/x234/067"),
            (TileKind::Hashes(1), 0, 112, "tile/1/000.p/112"),
            (TileKind::Entries, 273, 256, "tile/entries/273"),
            (TileKind::Entries, 1000, 1, "tile/entries/x001/000.p/1"),
            (
                TileKind::Hashes(63),
                u64::MAX,
                256,
                "tile/63/x018/x446/x744/x073/x709/x551/615",
            ),
        ] {
            let path = TilePath { kind, index, width };
            assert_eq!(path.to_string(), text);
            assert_eq!(text.parse(), Ok(path));
        }
    }

    #[test]
    fn other_spellings_are_rejected() {
        for text in [
            "tile/0/67",
            "tile/0/x000/067",
            "tile/0/001/067",
            "tile/0/x067",
            "tile/00/067",
            "tile/64/067",
            "tile/0/067.p/0",
            "tile/0/067.p/256",
            "tile/0/067.p/01",
            "tile/0/067/",
            "tile/entry/067",
            "tile/0/../067",
            "/tile/0/067",
            "",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(text.parse::<TilePath>(), Err(TilePathError), "{text}");
        }
    }

    #[test]
    fn the_holding_tile_is_as_wide_as_the_log_allows() {
        let tile = |position, size| {
            TilePath::holding(TileKind::Entries, position, TreeSize(size))
                .map(|path| (path.index, path.width))
        };
        assert_eq!(tile(0, 1), Some((0, 1)));
        assert_eq!(tile(255, 256), Some((0, 256)));
        assert_eq!(tile(256, 300), Some((1, 44)));
        assert_eq!(tile(3, 300), Some((0, 256)));
        assert_eq!(tile(300, 300), None);
    }

    #[test]
    fn a_level_of_hashes_has_one_for_each_complete_subtree() {
        let size = TreeSize(70_000);
        let count = |level| TileKind::Hashes(level).count_in(size);
        assert_eq!(
            [0, 1, 2, 7, 8, MAX_LEVEL].map(count),
            [70_000, 273, 1, 0, 0, 0]
        );
        assert_eq!(TileKind::Entries.count_in(size), 70_000);
        let tile = TilePath::holding(TileKind::Hashes(1), 272, size);
        assert_eq!(tile.map(|path| (path.index, path.width)), Some((1, 17)));
        assert_eq!(TilePath::holding(TileKind::Hashes(1), 273, size), None);
    }
}
