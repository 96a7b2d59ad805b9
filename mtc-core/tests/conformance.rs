//! `docs/conformance.md` names the tests of every rule: here is checked that they are there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Sections of the list; a section without rules would be an oversight.
const SECTIONS: usize = 12;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn list() -> String {
    fs::read_to_string(repository().join("docs/conformance.md")).expect("the list")
}

/// The cells of every line that states a rule.
fn rules(list: &str) -> Vec<Vec<String>> {
    list.lines()
        .filter(|line| line.starts_with("| S"))
        .map(|line| {
            // A bar within a cell is escaped.
            let cells = line.replace("\\|", "\u{0}");
            let cells = cells.trim_matches('|').split('|');
            cells
                .map(|cell| cell.trim().replace('\u{0}', "|"))
                .collect()
        })
        .collect()
}

/// The tests of a rule, as (file, function).
fn tests(cell: &str) -> Vec<(&str, &str)> {
    cell.split("<br>")
        .filter_map(|name| name.strip_prefix('`')?.strip_suffix('`')?.split_once("::"))
        .collect()
}

/// Why a function of a source file is no test that runs, if it is none.
fn fault(source: &str, name: &str) -> Option<&'static str> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let Some(place) = lines.iter().position(|line| {
        line.trim_start_matches("async ")
            .starts_with(&format!("fn {name}("))
    }) else {
        return Some("no such function");
    };
    let attributes: Vec<&str> = lines[..place]
        .iter()
        .rev()
        .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
        .copied()
        .collect();
    if attributes.iter().any(|line| line.starts_with("#[ignore")) {
        return Some("ignored");
    }
    let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    (!attributes.iter().any(is_test)).then_some("not a test")
}

#[test]
fn every_rule_names_tests_that_exist_or_says_why_it_has_none() {
    let list = list();
    let mut sources: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut faults = Vec::new();
    let rules = rules(&list);
    for cells in &rules {
        let [rule, says, from, covered] = &cells[..] else {
            panic!("not four cells: {cells:?}");
        };
        assert!(!says.is_empty() && !from.is_empty(), "{rule}");
        let tests = tests(covered);
        let reason = covered.strip_prefix("none: ");
        let named = covered.split("<br>").count();
        if tests.len() != named && reason.is_none_or(str::is_empty) {
            faults.push(format!("{rule}: neither tests nor a reason: {covered}"));
        }
        for (file, name) in tests {
            let path = repository().join(file);
            let source = sources
                .entry(file)
                .or_insert_with(|| fs::read_to_string(&path).ok());
            match source {
                None => faults.push(format!("{rule}: no file {file}")),
                Some(source) => faults.extend(
                    fault(source, name).map(|fault| format!("{rule}: {file}::{name}: {fault}")),
                ),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn rules_are_numbered_without_gaps() {
    let mut expected = (1, 1);
    for cells in rules(&list()) {
        let number = cells[0].strip_prefix('S').expect("a rule's number");
        let (section, rule) = number.split_once('.').expect("section and rule");
        let found = (
            section.parse().expect("a section"),
            rule.parse().expect("a rule"),
        );
        let next_section = (expected.0 + 1, 1);
        assert!(found == expected || found == next_section, "{number}");
        expected = (found.0, found.1 + 1);
    }
    assert_eq!(expected.0, SECTIONS);
}

#[test]
fn what_is_no_test_is_noticed() {
    let source = "#[test]\nfn a() {}\n\n#[test]\n#[ignore = \"slow\"]\nfn b() {}\n\nfn c() {}\n\n\
                  #[tokio::test]\n/// Why.\nasync fn d() {}\n";
    assert_eq!(fault(source, "a"), None);
    assert_eq!(fault(source, "b"), Some("ignored"));
    assert_eq!(fault(source, "c"), Some("not a test"));
    assert_eq!(fault(source, "d"), None);
    assert_eq!(fault(source, "e"), Some("no such function"));
}
