//! JSON Patch (RFC 6902): all operations or none.
//!
//! Strict as the RFC has it: `replace` and `remove` need their target, `add` needs its parent, array indices have no leading
//! zeros, `-` is the place after the last element and only `add` can use it. Work and memory are bounded: a few `copy`
//! operations could otherwise double a document at each step. Its values and its octets both are, since a document of one long
//! string doubles as well; and a copy is refused before it is made.

use std::io::{self, Write};

use serde_json::Value;

use crate::model::{PatchItem, PatchOperation};

/// Most operations in a patch. A heartbeat has two, a complete change of a profile some dozens.
pub const MAX_OPERATIONS: usize = 128;
/// Most values (members and elements at all levels) a patched document may have; a large profile has a few thousand.
pub const MAX_VALUES: usize = 65_536;
/// Most octets of a patched document as JSON: as many as the body of a PUT, which could have brought it, may have
/// ([`crate::server::MAX_BODY`]).
pub const MAX_OCTETS: usize = 256 * 1024;
/// Deepest nesting of a patched document: what `serde_json` reads.
pub const MAX_DEPTH: usize = 127;

/// Why a patch was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operation {index} at {path:?}: {rule}")]
pub struct PatchError {
    /// Which operation, from 0.
    pub index: usize,
    /// Its path.
    pub path: String,
    /// What it breaks.
    pub rule: PatchRule,
}

/// What a patch operation can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchRule {
    /// Not a JSON Pointer (RFC 6901).
    #[error("path is not a JSON Pointer")]
    Pointer,
    /// The target, its parent, or the source does not exist.
    #[error("no such value")]
    Absent,
    /// `value` is needed.
    #[error("value is missing")]
    NoValue,
    /// `from` is needed.
    #[error("from is missing")]
    NoFrom,
    /// A value cannot move into itself.
    #[error("from is a proper prefix of path")]
    IntoItself,
    /// A `test` failed.
    #[error("value is not the expected one")]
    TestFailed,
    /// More than [`MAX_OPERATIONS`], [`MAX_VALUES`], [`MAX_OCTETS`] or [`MAX_DEPTH`].
    #[error("patch or its result is too large")]
    TooLarge,
}

/// `document` after all operations of `patch`.
///
/// # Errors
/// The first operation that fails, and why.
pub fn apply(document: &Value, patch: &[PatchItem]) -> Result<Value, PatchError> {
    let mut result = document.clone();
    for (index, item) in patch.iter().enumerate() {
        let applied = if index < MAX_OPERATIONS {
            apply_one(&mut result, item)
        } else {
            Err(PatchRule::TooLarge)
        };
        applied.map_err(|rule| PatchError {
            index,
            path: item.path.clone(),
            rule,
        })?;
    }
    Ok(result)
}

fn apply_one(document: &mut Value, item: &PatchItem) -> Result<(), PatchRule> {
    let path = tokens(&item.path)?;
    let value = || item.value.clone().ok_or(PatchRule::NoValue);
    let from = || tokens(item.from.as_deref().ok_or(PatchRule::NoFrom)?);
    match item.op {
        PatchOperation::Add => add(document, &path, value()?)?,
        PatchOperation::Remove => drop(remove(document, &path)?),
        PatchOperation::Replace => *find_mut(document, &path)? = value()?,
        PatchOperation::Copy => {
            let from = from()?;
            let source = Size::of(find_mut(document, &from)?)?;
            Size::of(document)?.and(source)?;
            let copy = find_mut(document, &from)?.clone();
            add(document, &path, copy)?;
        }
        PatchOperation::Move => {
            let from = from()?;
            if path.len() > from.len() && path.starts_with(&from) {
                return Err(PatchRule::IntoItself);
            }
            let moved = remove(document, &from)?;
            add(document, &path, moved)?;
        }
        PatchOperation::Test => {
            if *find_mut(document, &path)? != value()? {
                return Err(PatchRule::TestFailed);
            }
        }
    }
    Size::of(document)?.and(Size::default()).map(drop)
}

/// The size of a value. What is added at once is bounded by the patch itself or, if it is a copy, by the document.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    values: usize,
    octets: usize,
}

impl Size {
    fn of(value: &Value) -> Result<Self, PatchRule> {
        Ok(Self {
            values: count_values(value, MAX_DEPTH).ok_or(PatchRule::TooLarge)?,
            octets: octets(value),
        })
    }

    /// Both together, if they are within the bounds.
    fn and(self, other: Self) -> Result<Self, PatchRule> {
        let values = self.values.saturating_add(other.values);
        let octets = self.octets.saturating_add(other.octets);
        if values <= MAX_VALUES && octets <= MAX_OCTETS {
            Ok(Self { values, octets })
        } else {
            Err(PatchRule::TooLarge)
        }
    }
}

/// How many octets `document` has as JSON, without writing it anywhere.
pub fn octets(document: &impl serde::Serialize) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting does not fail, and a document has string keys; what could not be written would count as too large.
    serde_json::to_writer(&mut count, document).map_or(usize::MAX, |()| count.0)
}

/// The reference tokens of a JSON Pointer, unescaped.
fn tokens(pointer: &str) -> Result<Vec<String>, PatchRule> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let pointer = pointer.strip_prefix('/').ok_or(PatchRule::Pointer)?;
    pointer.split('/').map(unescape).collect()
}

fn unescape(token: &str) -> Result<String, PatchRule> {
    let mut parts = token.split('~');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push(match part.bytes().next() {
            Some(b'0') => '~',
            Some(b'1') => '/',
            _ => return Err(PatchRule::Pointer),
        });
        text.push_str(&part[1..]);
    }
    Ok(text)
}

fn find_mut<'a>(document: &'a mut Value, path: &[String]) -> Result<&'a mut Value, PatchRule> {
    path.iter().try_fold(document, |value, token| {
        match value {
            Value::Object(members) => members.get_mut(token),
            Value::Array(elements) => index(token).and_then(|i| elements.get_mut(i)),
            _ => None,
        }
        .ok_or(PatchRule::Absent)
    })
}

fn add(document: &mut Value, path: &[String], value: Value) -> Result<(), PatchRule> {
    let Some((last, parent)) = path.split_last() else {
        *document = value;
        return Ok(());
    };
    match find_mut(document, parent)? {
        Value::Object(members) => {
            members.insert(last.clone(), value);
        }
        Value::Array(elements) => {
            let at = if last == "-" {
                elements.len()
            } else {
                index(last).ok_or(PatchRule::Absent)?
            };
            if at > elements.len() {
                return Err(PatchRule::Absent);
            }
            elements.insert(at, value);
        }
        _ => return Err(PatchRule::Absent),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &[String]) -> Result<Value, PatchRule> {
    let Some((last, parent)) = path.split_last() else {
        return Ok(document.take());
    };
    match find_mut(document, parent)? {
        Value::Object(members) => members.remove(last),
        Value::Array(elements) => index(last)
            .filter(|&i| i < elements.len())
            .map(|i| elements.remove(i)),
        _ => None,
    }
    .ok_or(PatchRule::Absent)
}

/// An array index: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|b| b.is_ascii_digit());
    if !digits || (token.len() > 1 && token.starts_with('0')) {
        return None;
    }
    token.parse().ok()
}

/// How many values there are in `value`, or `None` if they are nested deeper than `depth`.
fn count_values(value: &Value, depth: usize) -> Option<usize> {
    let children: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Object(members) => Box::new(members.values()),
        Value::Array(elements) => Box::new(elements.iter()),
        _ => return Some(1),
    };
    let below = depth.checked_sub(1)?;
    children.into_iter().try_fold(1, |sum: usize, child| {
        sum.checked_add(count_values(child, below)?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn patch(document: Value, operations: Value) -> Result<Value, PatchError> {
        let operations: Vec<PatchItem> = serde_json::from_value(operations).expect("operations");
        apply(&document, &operations)
    }

    fn rule(document: Value, operations: Value) -> (usize, PatchRule) {
        let error = patch(document, operations).expect_err("the patch fails");
        (error.index, error.rule)
    }

    /// Examples of RFC 6902 appendix A.
    #[test]
    fn does_what_the_rfc_shows() {
        for (document, operations, result) in [
            (
                json!({"foo": "bar"}),
                json!([{"op": "add", "path": "/baz", "value": "qux"}]),
                json!({"baz": "qux", "foo": "bar"}),
            ),
            (
                json!({"foo": ["bar", "baz"]}),
                json!([{"op": "add", "path": "/foo/1", "value": "qux"}]),
                json!({"foo": ["bar", "qux", "baz"]}),
            ),
            (
                json!({"foo": ["bar"]}),
                json!([{"op": "add", "path": "/foo/-", "value": ["abc"]}]),
                json!({"foo": ["bar", ["abc"]]}),
            ),
            (
                json!({"foo": ["bar", "qux", "baz"]}),
                json!([{"op": "remove", "path": "/foo/1"}]),
                json!({"foo": ["bar", "baz"]}),
            ),
            (
                json!({"baz": "qux"}),
                json!([{"op": "replace", "path": "/baz", "value": null}]),
                json!({"baz": null}),
            ),
            (
                json!({"foo": {"bar": 1}, "qux": {}}),
                json!([{"op": "move", "from": "/foo/bar", "path": "/qux/x"}]),
                json!({"foo": {}, "qux": {"x": 1}}),
            ),
            (
                json!({"foo": [1, 2, 3, 4]}),
                json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
                json!({"foo": [1, 3, 4, 2]}),
            ),
            (
                json!({"a": {"b": 1}}),
                json!([{"op": "copy", "from": "/a", "path": "/c"}]),
                json!({"a": {"b": 1}, "c": {"b": 1}}),
            ),
            (
                json!({"/": 9, "~1": 10}),
                json!([{"op": "test", "path": "/~01", "value": 10}]),
                json!({"/": 9, "~1": 10}),
            ),
            (
                json!({"a/b": 1}),
                json!([{"op": "replace", "path": "/a~1b", "value": 2}]),
                json!({"a/b": 2}),
            ),
        ] {
            assert_eq!(patch(document, operations), Ok(result));
        }
    }

    #[test]
    fn tells_which_operation_failed_and_why() {
        let document = json!({"a": [1], "s": "x"});
        for (operations, expected) in [
            (
                json!([{"op": "replace", "path": "/load", "value": 1}]),
                (0, PatchRule::Absent),
            ),
            (
                json!([{"op": "add", "path": "/b", "value": 1}, {"op": "remove", "path": "/c"}]),
                (1, PatchRule::Absent),
            ),
            (
                json!([{"op": "add", "path": "/a/2", "value": 1}]),
                (0, PatchRule::Absent),
            ),
            (
                json!([{"op": "add", "path": "/a/01", "value": 1}]),
                (0, PatchRule::Absent),
            ),
            (
                json!([{"op": "replace", "path": "/a/-", "value": 1}]),
                (0, PatchRule::Absent),
            ),
            (
                json!([{"op": "add", "path": "/s/x", "value": 1}]),
                (0, PatchRule::Absent),
            ),
            (
                json!([{"op": "add", "path": "b", "value": 1}]),
                (0, PatchRule::Pointer),
            ),
            (
                json!([{"op": "remove", "path": "/~2"}]),
                (0, PatchRule::Pointer),
            ),
            (
                json!([{"op": "add", "path": "/b"}]),
                (0, PatchRule::NoValue),
            ),
            (
                json!([{"op": "move", "path": "/b"}]),
                (0, PatchRule::NoFrom),
            ),
            (
                json!([{"op": "move", "from": "/a", "path": "/a/0"}]),
                (0, PatchRule::IntoItself),
            ),
            (
                json!([{"op": "test", "path": "/s", "value": "y"}]),
                (0, PatchRule::TestFailed),
            ),
        ] {
            assert_eq!(rule(document.clone(), operations), expected);
        }
    }

    #[test]
    fn copies_cannot_blow_up_a_document() {
        let double = json!({"op": "copy", "from": "", "path": "/x"});
        let operations = Value::Array(vec![double; MAX_OPERATIONS]);
        assert_eq!(
            rule(json!({"y": [1, 2]}), operations).1,
            PatchRule::TooLarge
        );
        let widen = json!({"op": "copy", "from": "/0", "path": "/-"});
        let operations = Value::Array(vec![widen; MAX_OPERATIONS]);
        assert_eq!(
            rule(json!([vec![0; 1024]]), operations).1,
            PatchRule::TooLarge
        );
    }

    /// Not many values, but long ones: it is the octets that double.
    #[test]
    fn copies_of_long_values_are_refused_before_they_are_made() {
        let document = json!({"vendor": {"text": "x".repeat(200_000)}});
        let double = json!({"op": "copy", "from": "/vendor", "path": "/vendor/more"});
        for copies in [1, 14] {
            let operations = Value::Array(vec![double.clone(); copies]);
            assert_eq!(
                rule(document.clone(), operations),
                (0, PatchRule::TooLarge),
                "{copies} copies"
            );
        }
        let escaped = json!({"a": "\u{1}".repeat(MAX_OCTETS / 6)});
        let add = json!([{"op": "add", "path": "/b", "value": 1}]);
        assert_eq!(rule(escaped, add).1, PatchRule::TooLarge);
        let within = json!({"a": "x".repeat(MAX_OCTETS / 2 - 100)});
        let copy = json!([{"op": "copy", "from": "/a", "path": "/b"}]);
        assert!(patch(within, copy).is_ok());
    }

    #[test]
    fn operations_are_bounded() {
        let add = json!({"op": "add", "path": "/a", "value": 1});
        assert!(patch(json!({}), Value::Array(vec![add.clone(); MAX_OPERATIONS])).is_ok());
        let operations = Value::Array(vec![add; MAX_OPERATIONS + 1]);
        assert_eq!(
            rule(json!({}), operations),
            (MAX_OPERATIONS, PatchRule::TooLarge)
        );
    }

    fn operation() -> impl Strategy<Value = PatchItem> {
        let pointer = "(/(a|b|0|1|-|~0|~2)){0,3}|x";
        let op = prop::sample::select(vec!["add", "copy", "move", "remove", "replace", "test"]);
        (op, pointer, pointer, 0..4).prop_map(|(op, path, from, value)| {
            serde_json::from_value(json!({"op": op, "path": path, "from": from, "value": [value]}))
                .expect("generated operation")
        })
    }

    proptest! {
        #[test]
        fn one_failing_operation_fails_the_whole_patch(
            mut patch in prop::collection::vec(operation(), 0..6),
            at in any::<prop::sample::Index>(),
        ) {
            let document = json!({"a": [1, {"b": 2}], "b": {"a": null}, "0": "x"});
            patch.insert(at.index(patch.len() + 1), PatchItem::replace("/absent", 1));
            prop_assert!(apply(&document, &patch).is_err());
        }
    }
}
