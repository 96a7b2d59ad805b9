//! Paths of tiles: what is accepted prints as it was read, keeps the bounds of tlog-tiles, and reaches nothing but tiles.

use mtc_core::id::TreeSize;
use mtc_core::tile::{MAX_LEVEL, TILE_HEIGHT, TILE_WIDTH, TileKind, TilePath};
use mtc_log::Object;

use crate::Verdict;

/// Reads the path of a tile, as a log is asked for one.
///
/// # Panics
/// An invariant does not hold.
pub fn tile_path(data: &[u8]) -> Verdict {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let object = Object::served_at(text);
    let Ok(path) = text.parse::<TilePath>() else {
        match object {
            None => {}
            Some(Object::Checkpoint) => assert_eq!(text, "checkpoint"),
            Some(Object::Landmarks) => assert_eq!(text, "landmarks"),
            Some(Object::Revoked) => assert_eq!(text, "revoked"),
            Some(other) => panic!("{text:?} reaches {other}"),
        }
        return Verdict::Refused;
    };
    assert_eq!(path.to_string(), text);
    assert!((1..=TILE_WIDTH).contains(&path.width.into()));
    assert_eq!(path.is_partial(), text.contains(".p/"));
    if let TileKind::Hashes(level) = path.kind {
        assert!(level <= MAX_LEVEL);
    }
    assert!(
        !text.contains("..") && !text.contains("//") && !text.starts_with('/'),
        "{text:?} leaves its folder"
    );
    let object = object.expect("tiles are served");
    assert_eq!(object, Object::Tile(path));
    assert_eq!(object.to_string(), format!("log/{text}"));
    check_holding(path);
    Verdict::Accepted
}

/// The last position of the tile is in it, and the first beyond it is not, in a log that ends with it; where no log is so large, none is.
fn check_holding(path: TilePath) {
    let Some(start) = path.index.checked_mul(TILE_WIDTH) else {
        return;
    };
    let Some(end) = start.checked_add(path.width.into()) else {
        return;
    };
    let height = match path.kind {
        TileKind::Entries => 0,
        TileKind::Hashes(level) => u32::from(level) * u32::from(TILE_HEIGHT),
    };
    let entries_below = 1_u64.checked_shl(height);
    let Some(size) = entries_below.and_then(|below| below.checked_mul(end)) else {
        let largest = TreeSize(u64::MAX);
        assert_eq!(TilePath::holding(path.kind, end - 1, largest), None);
        return;
    };
    let holding = |position| TilePath::holding(path.kind, position, TreeSize(size));
    assert_eq!(holding(start), Some(path));
    assert_eq!(holding(end - 1), Some(path));
    assert_eq!(holding(end), None);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let indices = [0, 7, 999, 1000, 1_234_067, u64::MAX];
    let tiles = indices.into_iter().flat_map(|index| {
        [
            (TileKind::Hashes(0), 256),
            (TileKind::Hashes(63), 1),
            (TileKind::Entries, 255),
        ]
        .map(|(kind, width)| TilePath { kind, index, width })
    });
    tiles.map(|tile| tile.to_string().into_bytes()).collect()
}
