//! Bodies of Nnrf_NFManagement other than the profile (TS 29.510 clause 6.1.6, TS 29.571 clause 5.2.4).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// One operation of a JSON patch (RFC 6902).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchItem {
    /// What to do.
    pub op: PatchOperation,
    /// Where: a JSON Pointer.
    pub path: String,
    /// Source of a copy or move: a JSON Pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What to add, replace with or test for. `Some(Null)` is the value `null`.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub value: Option<Value>,
}

impl PatchItem {
    /// Replaces the value at `path`, which must exist.
    pub fn replace(path: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            op: PatchOperation::Replace,
            path: path.into(),
            from: None,
            value: Some(value.into()),
        }
    }

    /// Adds or overwrites the member at `path`.
    pub fn add(path: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            op: PatchOperation::Add,
            ..Self::replace(path, value)
        }
    }
}

/// `null` as a value, where `Option` alone would take it for absence.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Operations of a JSON patch, in lower case here (ChangeItem has them in upper case).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatchOperation {
    /// Adds a member or inserts an element.
    Add,
    /// Copies a value from elsewhere.
    Copy,
    /// Moves a value from elsewhere.
    Move,
    /// Removes a value.
    Remove,
    /// Replaces a value.
    Replace,
    /// Fails the patch unless the value is the given one.
    Test,
}

/// A HAL list of URIs, `application/3gppHal+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UriList {
    /// The links.
    #[serde(rename = "_links")]
    pub links: HalLinks,
    /// How many there are in all, of which `item` may be one page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_item_count: Option<u64>,
}

/// The links of a [`UriList`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalLinks {
    /// The list itself.
    #[serde(rename = "self")]
    pub own: HalLink,
    /// Its elements. HAL allows a single object in place of a list of one.
    #[serde(
        default,
        deserialize_with = "one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub item: Vec<HalLink>,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalLink {
    /// Where it leads.
    pub href: String,
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HalLink>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(HalLink),
        Many(Vec<HalLink>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(link) => vec![link],
        OneOrMany::Many(links) => links,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_value_is_not_an_absent_one() {
        let null: PatchItem =
            serde_json::from_str(r#"{"op":"test","path":"/a","value":null}"#).unwrap();
        assert_eq!(null.value, Some(Value::Null));
        let absent: PatchItem = serde_json::from_str(r#"{"op":"remove","path":"/a"}"#).unwrap();
        assert_eq!(absent.value, None);
    }

    #[test]
    fn upper_case_operations_are_not_patch_operations() {
        assert!(
            serde_json::from_str::<PatchItem>(r#"{"op":"REPLACE","path":"/a","value":1}"#).is_err()
        );
    }

    #[test]
    fn item_may_be_a_single_object() {
        let list: UriList =
            serde_json::from_str(r#"{"_links":{"self":{"href":"a"},"item":{"href":"b"}}}"#)
                .unwrap();
        assert_eq!(
            list.links.item,
            [HalLink {
                href: "b".to_owned()
            }]
        );
    }
}
