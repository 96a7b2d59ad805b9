//! Which member of a document is at fault, however deep: `serde` names only where the text ends, and loses its way in open
//! objects.
//!
//! A shape knows a smallest valid object. The members that spoil it when put in are at fault; if such a member has a shape of
//! its own, the fault is looked for in there.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What the value of a member is made of.
#[derive(Clone, Copy, Debug)]
pub enum Nested {
    /// One object.
    Object(&'static Shape),
    /// A list of objects.
    List(&'static Shape),
    /// A map from keys of the sender's choice to objects.
    Map(&'static Shape),
}

/// An object.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    smallest: &'static str,
    read: fn(&Value) -> Result<(), serde_json::Error>,
    members: &'static [(&'static str, Nested)],
}

/// What is wrong with a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where it is: a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// It is not there and has to be.
    pub is_missing: bool,
    /// The rule that it breaks.
    pub reason: String,
}

impl Shape {
    /// The shape of `T`, of which `smallest` is a smallest valid object, as JSON. Its members are the mandatory ones.
    pub const fn of<T: DeserializeOwned>(
        smallest: &'static str,
        members: &'static [(&'static str, Nested)],
    ) -> Self {
        Self {
            smallest,
            read: |value| T::deserialize(value).map(drop),
            members,
        }
    }

    /// The mandatory members, with values that are valid.
    pub(super) fn smallest(&self) -> Map<String, Value> {
        serde_json::from_str(self.smallest).expect("the smallest document is a JSON object")
    }

    /// What is wrong with `value`, which is at JSON Pointer `at`. Nothing, if none of its members alone is at fault.
    pub(super) fn faults(&self, value: &Value, at: &str) -> Vec<Fault> {
        let Value::Object(members) = value else {
            return vec![Fault {
                pointer: at.to_owned(),
                is_missing: false,
                reason: "is not an object".to_owned(),
            }];
        };
        let smallest = self.smallest();
        let missing: Vec<_> = smallest
            .keys()
            .filter(|&mandatory| !members.contains_key(mandatory))
            .map(|mandatory| Fault {
                pointer: below(at, mandatory),
                is_missing: true,
                reason: "missing".to_owned(),
            })
            .collect();
        if !missing.is_empty() {
            return missing;
        }
        let spoiled = members.iter().flat_map(|(member, value)| {
            let spoils = |value: &Value| {
                let mut document = smallest.clone();
                document.insert(member.clone(), value.clone());
                (self.read)(&Value::Object(document)).err()
            };
            self.faults_of(member, value, &below(at, member), spoils)
        });
        spoiled.collect()
    }

    fn faults_of(
        &self,
        member: &str,
        value: &Value,
        at: &str,
        spoils: impl Fn(&Value) -> Option<serde_json::Error>,
    ) -> Vec<Fault> {
        let Some(error) = spoils(value) else {
            return Vec::new();
        };
        let nested = self.members.iter().find(|(name, _)| *name == member);
        let inner: Vec<Fault> = match (nested.map(|(_, nested)| nested), value) {
            (Some(Nested::Object(shape)), _) => shape.faults(value, at),
            (Some(Nested::List(shape)), Value::Array(elements)) => elements
                .iter()
                .enumerate()
                .flat_map(|(index, element)| shape.faults(element, &format!("{at}/{index}")))
                .collect(),
            (Some(Nested::Map(shape)), Value::Object(members)) => members
                .iter()
                .flat_map(|(key, element)| shape.faults(element, &below(at, key)))
                .collect(),
            // Elements that are no objects: each is tried as the only one.
            (None, Value::Array(elements)) => elements
                .iter()
                .enumerate()
                .filter_map(|(index, element)| {
                    let error = spoils(&Value::Array(vec![element.clone()]))?;
                    Some(Fault {
                        pointer: format!("{at}/{index}"),
                        is_missing: false,
                        reason: error.to_string(),
                    })
                })
                .collect(),
            _ => Vec::new(),
        };
        if !inner.is_empty() {
            return inner;
        }
        vec![Fault {
            pointer: at.to_owned(),
            is_missing: false,
            reason: error.to_string(),
        }]
    }
}

/// The JSON Pointer of a member of the object at `at`.
pub(super) fn below(at: &str, member: &str) -> String {
    format!("{at}/{}", member.replace('~', "~0").replace('/', "~1"))
}
