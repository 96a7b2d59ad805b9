//! JSON patches: what is applied has the result of a second reader, who finds values with `serde_json`'s JSON Pointers; what
//! is refused for what the document lacks, that reader cannot apply either; and the result keeps its bounds.
//!
//! ```text
//! {"document": <any value>, "patch": [<operation>, ...]}
//! ```

use sbi::json_patch::{self, MAX_DEPTH, MAX_OPERATIONS, MAX_VALUES, PatchRule};
use sbi::model::{PatchItem, PatchOperation};
use serde_json::Value;

use crate::Verdict;

/// Reads a document and a patch, and applies it.
///
/// # Panics
/// An invariant does not hold.
pub fn json_patch(data: &[u8]) -> Verdict {
    let Some((document, patch)) = input(data) else {
        return Verdict::Refused;
    };
    match json_patch::apply(&document, &patch) {
        Ok(result) => {
            assert!(patch.len() <= MAX_OPERATIONS);
            if !patch.is_empty() {
                let (values, depth) = measure(&result);
                assert!(values <= MAX_VALUES && depth <= MAX_DEPTH, "unbounded");
            }
            let mut expected = document;
            for item in &patch {
                apply(&mut expected, item).expect("the second reader can apply it, too");
            }
            assert_eq!(result, expected);
            Verdict::Accepted
        }
        Err(error) => {
            if matches!(error.rule, PatchRule::Absent | PatchRule::TestFailed) {
                let mut expected = document;
                let applied = patch[..=error.index]
                    .iter()
                    .try_for_each(|item| apply(&mut expected, item));
                assert_eq!(applied, None, "{error}");
            }
            Verdict::Refused
        }
    }
}

fn input(data: &[u8]) -> Option<(Value, Vec<PatchItem>)> {
    let mut input: Value = serde_json::from_slice(data).ok()?;
    let patch = serde_json::from_value(input.get_mut("patch")?.take()).ok()?;
    Some((input.get_mut("document")?.take(), patch))
}

/// Values of all levels, and levels of arrays and objects.
fn measure(value: &Value) -> (usize, usize) {
    let below: Vec<_> = match value {
        Value::Object(members) => members.values().map(measure).collect(),
        Value::Array(elements) => elements.iter().map(measure).collect(),
        _ => return (1, 0),
    };
    let values = below.iter().map(|(values, _)| values).sum::<usize>();
    let depth = below.iter().map(|(_, depth)| *depth).max();
    (1 + values, 1 + depth.unwrap_or(0))
}

/// One operation as RFC 6902 has it; none if it cannot be applied.
fn apply(document: &mut Value, item: &PatchItem) -> Option<()> {
    let value = || item.value.clone();
    let from = || item.from.as_deref();
    match item.op {
        PatchOperation::Add => put(document, &item.path, value()?),
        PatchOperation::Remove => take(document, &item.path).map(drop),
        PatchOperation::Replace => {
            *document.pointer_mut(&item.path)? = value()?;
            Some(())
        }
        PatchOperation::Copy => {
            let copied = document.pointer(from()?)?.clone();
            put(document, &item.path, copied)
        }
        PatchOperation::Move => {
            let moved = take(document, from()?)?;
            put(document, &item.path, moved)
        }
        PatchOperation::Test => (*document.pointer(&item.path)? == value()?).then_some(()),
    }
}

fn put(document: &mut Value, path: &str, value: Value) -> Option<()> {
    let Some((parent, name)) = path.rsplit_once('/') else {
        *document = value;
        return Some(());
    };
    match document.pointer_mut(parent)? {
        Value::Object(members) => {
            members.insert(unescaped(name), value);
        }
        Value::Array(elements) if name == "-" => elements.push(value),
        Value::Array(elements) => {
            let at = position(name).filter(|at| *at <= elements.len())?;
            elements.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

fn take(document: &mut Value, path: &str) -> Option<Value> {
    let Some((parent, name)) = path.rsplit_once('/') else {
        return Some(document.take());
    };
    document.pointer(path)?;
    match document.pointer_mut(parent)? {
        Value::Object(members) => members.remove(&unescaped(name)),
        Value::Array(elements) => Some(elements.remove(position(name)?)),
        _ => None,
    }
}

/// In this order, so that `~01` is `~1`.
fn unescaped(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

fn position(name: &str) -> Option<usize> {
    let position: usize = name.parse().ok()?;
    (position.to_string() == name).then_some(position)
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"document":{"nfStatus":"REGISTERED","load":3},"patch":[{"op":"replace","path":"/nfStatus","value":"SUSPENDED"},
            {"op":"test","path":"/load","value":3}]}"#,
        r#"{"document":{"a":[1,{"b":2}],"c~/":{"d":null}},"patch":[{"op":"add","path":"/a/1","value":[0]},
            {"op":"copy","from":"/c~0~1","path":"/e"},{"op":"move","from":"/a/2/b","path":"/a/-"},{"op":"remove","path":"/a/0"}]}"#,
        r#"{"document":[],"patch":[{"op":"add","path":"","value":{"x":[]}},{"op":"copy","from":"","path":"/x/0"}]}"#,
    ]
    .map(|input| input.as_bytes().to_vec())
    .into()
}
