use std::time::Duration;

use super::*;
use crate::scenario::{Scenario, ScenarioFaults};

fn read(expect: &str, event: &str) -> Result<Expectation, Vec<String>> {
    let text = format!(
        r#"
[scenario]
name = "expecting"
[lab]
[[variant]]
name = "x509"
auth = "x509"
[[variant]]
name = "landmark"
auth = "mtc-landmark"
[load]
operation = "session"
stages = [{{ rate = 10, duration = "10s" }}]
{event}
{expect}
"#
    );
    match Scenario::parse(&text) {
        Ok(scenario) => Ok(scenario.expect),
        Err(ScenarioFaults(faults)) => Err(faults.iter().map(ToString::to_string).collect()),
    }
}

fn fault(expect: &str) -> String {
    let faults = read(expect, "").expect_err("a fault");
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.concat()
}

const KILL: &str = "[[event]]\nat = \"1s\"\ndo = \"kill\"\nnf = \"nrf\"";

#[test]
fn nothing_is_allowed_by_default() {
    assert_eq!(read("", ""), Ok(Expectation::default()));
    assert_eq!(
        read("[expect]", "").map(|expect| (expect.errors, expect.max_error_ratio)),
        Ok((ErrorsAllowed::Never, 0.0))
    );
}

#[test]
fn everything_can_be_said() {
    let text = r#"[expect]
errors = "during-events"
max_error_ratio = 0.25
recovery = "3s"
max_dropped_ratio = 0.1
[[expect.fallback]]
variant = "landmark"
min_share = 0.05
max_share = 0.6"#;
    let expected = Expectation {
        errors: ErrorsAllowed::DuringEvents,
        max_error_ratio: 0.25,
        recovery: Duration::from_secs(3),
        max_dropped_ratio: 0.1,
        revoked_within: None,
        fallback: vec![Fallback {
            variant: "landmark".to_owned(),
            min_share: 0.05,
            max_share: 0.6,
        }],
    };
    assert_eq!(read(text, KILL), Ok(expected));
}

#[test]
fn errors_during_events_need_an_event() {
    let told = fault("[expect]\nerrors = \"during-events\"");
    assert!(
        told.contains("expect.errors is \"during-events\", and the scenario has no [[event]]"),
        "{told}"
    );
}

#[test]
fn a_bound_on_errors_needs_errors_to_be_allowed() {
    let told = fault("[expect]\nmax_error_ratio = 0.05");
    assert!(
        told.contains("expect.max_error_ratio bounds errors, and `errors` allows none"),
        "{told}"
    );
    let told = fault("[expect]\nerrors = \"always\"\nrecovery = \"1s\"");
    assert!(
        told.contains("expect.recovery is for errors = \"during-events\" only"),
        "{told}"
    );
}

#[test]
fn only_a_landmark_variant_that_exists_can_fall_back() {
    let told = fault("[expect]\n[[expect.fallback]]\nvariant = \"landmrk\"");
    assert!(
        told.contains("but no [[variant]] has that name; there are x509, landmark"),
        "{told}"
    );
    let told = fault("[expect]\n[[expect.fallback]]\nvariant = \"x509\"");
    assert!(
        told.contains("only \"mtc-landmark\" has something to fall back to"),
        "{told}"
    );
}

#[test]
fn shares_are_shares() {
    let told = fault(
        "[expect]\n[[expect.fallback]]\nvariant = \"landmark\"\nmin_share = 0.5\nmax_share = 0.25",
    );
    assert!(
        told.contains("min_share is 0.5, above max_share, 0.25"),
        "{told}"
    );
    let told = fault("[expect]\nmax_dropped_ratio = 5");
    assert!(told.contains("must be from 0 to 1, is 5"), "{told}");
}
