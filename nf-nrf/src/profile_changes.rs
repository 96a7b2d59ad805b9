//! What differs between two profiles, as a list of `ChangeItem` (TS 29.571 clause 5.2.4.5), and whether it matters to a
//! subscriber (`NotifCondition`, TS 29.510 clause 6.1.6.2.81).

use sbi::model::NotifCondition;
use serde_json::{Map, Value, json};

/// Most changes that are told one by one: the whole profile is then shorter, as a rule.
pub const MAX_CHANGES: usize = 64;
/// Members that change with heartbeats. Who wants to hear of them says so in `monitoredAttributes`.
const OF_HEARTBEATS: [&str; 2] = ["load", "loadTimeStamp"];

/// Changes of a profile, none of which is within another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileChanges(Vec<(String, Value)>);

impl ProfileChanges {
    /// What makes `after` of `before`. Objects are compared member by member, everything else as a whole.
    pub fn between(before: &Value, after: &Value) -> Self {
        let mut changes = Self::default();
        changes.compare(before, after, "");
        changes
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The items to send; none if they are more than [`MAX_CHANGES`].
    pub fn into_items(self) -> Option<Vec<Value>> {
        (self.0.len() <= MAX_CHANGES).then(|| self.0.into_iter().map(|(_, item)| item).collect())
    }

    /// Whether they matter to a subscriber with `condition`.
    pub fn matter(&self, condition: Option<&NotifCondition>) -> bool {
        let (monitored, unmonitored) = condition.map_or((&[][..], &[][..]), |condition| {
            (
                &condition.monitored_attributes[..],
                &condition.unmonitored_attributes[..],
            )
        });
        let mut paths = self.0.iter().map(|(path, _)| path.as_str());
        if monitored.is_empty() {
            paths.any(|path| {
                !is_of_heartbeats(path) && !unmonitored.iter().any(|of| is_within(path, of))
            })
        } else {
            paths.any(|path| {
                let mut monitored = monitored.iter();
                monitored.any(|of| is_within(path, of) || is_within(of, path))
            })
        }
    }

    fn compare(&mut self, before: &Value, after: &Value, at: &str) {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => self.members(before, after, at),
            _ if before == after => {}
            _ => self.push("REPLACE", at.to_owned(), Some(before), Some(after)),
        }
    }

    fn members(&mut self, before: &Map<String, Value>, after: &Map<String, Value>, at: &str) {
        for (member, value) in before {
            let path = below(at, member);
            match after.get(member) {
                Some(after) => self.compare(value, after, &path),
                None => self.push("REMOVE", path, Some(value), None),
            }
        }
        for (member, value) in after {
            if !before.contains_key(member) {
                self.push("ADD", below(at, member), None, Some(value));
            }
        }
    }

    fn push(&mut self, op: &str, path: String, before: Option<&Value>, after: Option<&Value>) {
        let mut item = json!({"op": op, "path": path});
        for (member, value) in [("origValue", before), ("newValue", after)] {
            if let Some(value) = value {
                item[member] = value.clone();
            }
        }
        self.0.push((path, item));
    }
}

/// Whether a subscriber with `condition` wants to hear of changes of an instance's load that come alone, as with most heartbeats:
/// it names the load, or something that has it.
pub fn monitors_load(condition: &NotifCondition) -> bool {
    let mut monitored = condition.monitored_attributes.iter();
    monitored.any(|of| {
        let mut changing = OF_HEARTBEATS.iter();
        changing.any(|member| is_within(&below("", member), of))
    })
}

/// The JSON Pointer of a member of the object at `at`.
fn below(at: &str, member: &str) -> String {
    format!("{at}/{}", member.replace('~', "~0").replace('/', "~1"))
}

/// Whether `path` is `of`, or leads to something in it.
fn is_within(path: &str, of: &str) -> bool {
    path.strip_prefix(of)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `path` leads to the load of an instance or of a service.
fn is_of_heartbeats(path: &str) -> bool {
    let tokens: Vec<_> = path.split('/').skip(1).collect();
    match tokens.as_slice() {
        [member] | ["nfServiceList" | "nfServices", _, member] => OF_HEARTBEATS.contains(member),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sbi::json_patch;
    use sbi::model::PatchItem;

    use super::*;

    fn condition(members: Value) -> NotifCondition {
        serde_json::from_value(members).expect("a condition")
    }

    #[test]
    fn changes_are_told_member_by_member() {
        let before = json!({"a": 1, "b": {"c": [1], "d/e": 2}, "f": 3});
        let after = json!({"a": 1, "b": {"c": [1, 2], "g~": 4}, "h": {"i": 5}});
        let items = ProfileChanges::between(&before, &after).into_items();
        assert_eq!(
            items.unwrap(),
            [
                json!({"op": "REPLACE", "path": "/b/c", "origValue": [1], "newValue": [1, 2]}),
                json!({"op": "REMOVE", "path": "/b/d~1e", "origValue": 2}),
                json!({"op": "ADD", "path": "/b/g~0", "newValue": 4}),
                json!({"op": "REMOVE", "path": "/f", "origValue": 3}),
                json!({"op": "ADD", "path": "/h", "newValue": {"i": 5}}),
            ]
        );
    }

    #[test]
    fn the_subscriber_says_which_changes_matter() {
        let changed = |path: &str| ProfileChanges(vec![(path.to_owned(), Value::Null)]);
        let monitored = condition(json!({"monitoredAttributes": ["/amfInfo/taiList", "/load"]}));
        let unmonitored = condition(json!({"unmonitoredAttributes": ["/amfInfo"]}));
        for (path, by_default, when_monitored, when_unmonitored) in [
            ("/load", false, true, false),
            ("/nfServiceList/a/load", false, false, false),
            ("/nfStatus", true, false, true),
            ("/amfInfo", true, true, false),
            ("/amfInfo/taiList", true, true, false),
            ("/amfInfo/taiListOther", true, false, false),
            ("/amfInfoList", true, false, true),
        ] {
            let changes = changed(path);
            assert_eq!(changes.matter(None), by_default, "{path}");
            assert_eq!(changes.matter(Some(&monitored)), when_monitored, "{path}");
            assert_eq!(
                changes.matter(Some(&unmonitored)),
                when_unmonitored,
                "{path}"
            );
        }
        assert!(!ProfileChanges::default().matter(None));
    }

    #[test]
    fn who_names_the_load_wants_to_hear_of_it_alone() {
        for (members, expected) in [
            (json!({"monitoredAttributes": ["/nfStatus", "/load"]}), true),
            (json!({"monitoredAttributes": ["/loadTimeStamp"]}), true),
            (
                json!({"monitoredAttributes": ["/nfServiceList/a/load"]}),
                false,
            ),
            (json!({"monitoredAttributes": ["/locality"]}), false),
            (json!({"unmonitoredAttributes": ["/locality"]}), false),
            (json!({}), false),
        ] {
            assert_eq!(
                monitors_load(&condition(members.clone())),
                expected,
                "{members}"
            );
        }
    }

    #[test]
    fn too_many_changes_are_not_told_one_by_one() {
        let after = |n: usize| Value::Object((0..n).map(|n| (n.to_string(), json!(n))).collect());
        let items = |n| ProfileChanges::between(&json!({}), &after(n)).into_items();
        assert_eq!(items(MAX_CHANGES).unwrap().len(), MAX_CHANGES);
        assert_eq!(items(MAX_CHANGES + 1), None);
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<u8>().prop_map(Value::from), Just(json!([1]))];
        let value = leaf.prop_recursive(3, 16, 4, |inner| {
            prop::collection::hash_map("[ab/~]{1,2}", inner, 0..4)
                .prop_map(|members| members.into_iter().collect::<Value>())
        });
        prop::collection::hash_map("[ab/~]{1,2}", value, 0..4)
            .prop_map(|members| members.into_iter().collect())
    }

    proptest! {
        #[test]
        fn changes_lead_from_one_to_the_other(before in document(), after in document()) {
            let patch: Vec<PatchItem> = ProfileChanges::between(&before, &after)
                .0
                .into_iter()
                .map(|(_, item)| {
                    let op = item["op"].as_str().expect("an operation").to_lowercase();
                    let mut operation = json!({"op": op, "path": item["path"]});
                    if let Some(value) = item.get("newValue") {
                        operation["value"] = value.clone();
                    }
                    serde_json::from_value(operation).expect("an operation of a patch")
                })
                .collect();
            prop_assert_eq!(json_patch::apply(&before, &patch).expect("it applies"), after);
        }
    }
}
