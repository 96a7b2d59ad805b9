//! Objects and lists of the SBI as they are open to others: members that are not known here, lists that say something by being there.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Members without a field of their own: kept, and written out again.
pub(super) type Other = Map<String, Value>;

/// A list that is absent or has an element. An empty one must not pass for an absent one: no `allowedNfTypes` means everyone.
pub(super) fn listed<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Vec::deserialize(deserializer)?;
    if list.is_empty() {
        return Err(D::Error::custom("list has no element"));
    }
    Ok(list)
}

/// A map that is absent or has a member: as [`listed`], since an empty one would pass for no restriction.
pub(super) fn keyed<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let map = BTreeMap::deserialize(deserializer)?;
    if map.is_empty() {
        return Err(D::Error::custom("map has no member"));
    }
    Ok(map)
}
