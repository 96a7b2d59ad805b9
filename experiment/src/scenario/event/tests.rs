use std::time::Duration;

use super::*;
use crate::scenario::{Scenario, ScenarioFaults};

const HEAD: &str = r#"
[scenario]
name = "disturbed"
[lab]
smf = 4
[[variant]]
name = "only"
auth = "mtc-landmark"
[load]
operation = "session"
stages = [{ rate = 10, duration = "10s" }]
"#;

fn read(events: &[&str]) -> Result<Vec<Event>, Vec<String>> {
    let mut text = HEAD.to_owned();
    for event in events {
        text += "[[event]]\n";
        text += event;
        text.push('\n');
    }
    match Scenario::parse(&text) {
        Ok(scenario) => Ok(scenario.events),
        Err(ScenarioFaults(faults)) => Err(faults.iter().map(ToString::to_string).collect()),
    }
}

fn fault(events: &[&str]) -> String {
    let faults = read(events).expect_err("a fault");
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.concat()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn events_are_read_with_their_defaults() {
    let events = [
        "at = \"2s\"\ndo = \"re-enrol\"\nnf = \"smf\"",
        "at = \"1s\"\ndo = \"kill\"\nnf = \"nrf\"",
        "at = \"3s\"\ndo = \"start\"\nnf = \"nrf\"",
    ];
    let event = |at, action, nf| Event {
        at: seconds(at),
        action,
        nf,
    };
    let everybody_at_once = Action::ReEnrol {
        instances: 4,
        over: Duration::ZERO,
    };
    assert_eq!(
        read(&events),
        Ok(vec![
            event(2, everybody_at_once, Nf::Smf),
            event(1, Action::Kill, Nf::Nrf),
            event(3, Action::Start, Nf::Nrf),
        ])
    );
    assert_eq!(read(&[]), Ok(vec![]));
}

#[test]
fn the_load_generator_s_process_cannot_be_ended() {
    for action in ["kill", "stop", "restart"] {
        let told = fault(&[&format!("at = \"1s\"\ndo = \"{action}\"\nnf = \"amf\"")]);
        assert!(
            told.contains("event[0].nf is \"amf\", whose process generates the load"),
            "{told}"
        );
    }
    let borne = [
        "at = \"1s\"\ndo = \"re-enrol\"\nnf = \"amf\"",
        "at = \"1s\"\ndo = \"pause-landmarks\"\nnf = \"amf\"",
    ];
    assert!(read(&borne).is_ok());
}

#[test]
fn amf_instances_are_revoked_one_unless_it_is_said_and_no_others_are() {
    let event = |nf, more| format!("at = \"1s\"\ndo = \"revoke\"\nnf = \"{nf}\"\n{more}");
    let revoked = |read: Result<Vec<Event>, Vec<String>>| read.expect("no fault")[0].action;
    let one = Action::Revoke { instances: 1 };
    assert_eq!(revoked(read(&[&event("amf", "")])), one);
    let two = Action::Revoke { instances: 2 };
    assert_eq!(revoked(read(&[&event("amf", "instances = 2")])), two);
    let told = fault(&[&event("smf", "")]);
    assert!(told.contains("only of AMFs"), "{told}");
    for more in ["instances = 0", "instances = 3", "over = \"1s\""] {
        fault(&[&event("amf", more)]);
    }
}

#[test]
fn an_event_after_the_load_is_refused() {
    let at = |at| format!("at = \"{at}\"\ndo = \"kill\"\nnf = \"scp\"");
    let told = fault(&[&at("10s")]);
    assert!(
        told.contains("event[0].at is not before the end of the load: its stages take 10s"),
        "{told}"
    );
    assert!(read(&[&at("9999ms")]).is_ok());
}

#[test]
fn what_is_down_cannot_be_killed_and_what_runs_cannot_be_started() {
    let event = |at, action| format!("at = \"{at}s\"\ndo = \"{action}\"\nnf = \"scp\"");
    let told = fault(&[&event(1, "stop"), &event(2, "kill")]);
    assert!(
        told.contains("event[1].do cannot kill: scp is down at that time"),
        "{told}"
    );
    let told = fault(&[&event(2, "stop"), &event(1, "start")]);
    assert!(
        told.contains("event[1].do cannot start: scp is already running at that time")
            && told.contains("in the order of their `at`"),
        "{told}"
    );
    let told = fault(&[&event(1, "resume-landmarks")]);
    assert!(told.contains("nothing has paused those of scp"), "{told}");
    let whole = [
        event(1, "pause-landmarks"),
        event(2, "resume-landmarks"),
        event(3, "stop"),
        event(4, "start"),
        event(5, "restart"),
    ];
    assert!(read(&whole.each_ref().map(String::as_str)).is_ok());
}

#[test]
fn the_nrf_neither_lacks_landmarks_nor_enrols_again() {
    for action in ["pause-landmarks", "re-enrol"] {
        let told = fault(&[&format!("at = \"1s\"\ndo = \"{action}\"\nnf = \"nrf\"")]);
        assert!(told.contains("event[0].nf is \"nrf\", which"), "{told}");
    }
}

#[test]
fn keys_of_re_enrolment_are_refused_elsewhere_and_bounded() {
    let told = fault(&["at = \"1s\"\ndo = \"kill\"\nnf = \"smf\"\ninstances = 1"]);
    assert!(
        told.contains("event[0].instances is for do = \"re-enrol\" only"),
        "{told}"
    );
    let told = fault(&["at = \"1s\"\ndo = \"re-enrol\"\nnf = \"smf\"\ninstances = 5"]);
    assert!(
        told.contains("event[0].instances must be from 1 to 4, is 5"),
        "{told}"
    );
}

#[test]
fn a_misspelt_action_is_told_what_was_meant() {
    let told = fault(&["at = \"1s\"\ndo = \"re-enroll\"\nnf = \"smf\""]);
    assert!(told.contains("did you mean \"re-enrol\"?"), "{told}");
    let told = fault(&["at = \"1s\"\ndo = \"kil\"\nnf = \"smf\""]);
    assert!(told.contains("did you mean \"kill\"?"), "{told}");
}

#[test]
fn a_further_witness_can_be_killed_where_there_is_one_and_nothing_else() {
    let with_witnesses = |events: &[&str]| {
        let text = HEAD.replace("smf = 4", "smf = 4\nwitnesses = 3");
        let events = events.iter().map(|event| format!("[[event]]\n{event}\n"));
        let text = text + &events.collect::<String>();
        Scenario::parse(&text).map(|scenario| scenario.events)
    };
    let kill = "at = \"1s\"\ndo = \"kill\"\nnf = \"witness-3\"";
    let start = "at = \"2s\"\ndo = \"start\"\nnf = \"witness-3\"";
    let events = with_witnesses(&[kill, start]).expect("there are three witnesses");
    assert!(events.iter().all(|event| event.nf.as_str() == "witness-3"));

    let told = fault(&[kill]);
    assert!(told.contains("of which this lab has none"), "{told}");
    let fourth = kill.replace("witness-3", "witness-4");
    assert!(with_witnesses(&[&fourth]).is_err());
    for (action, why) in [
        ("re-enrol", "which has no certificate"),
        ("pause-landmarks", "which trusts no landmarks"),
    ] {
        let event = kill.replace("kill", action);
        let told = with_witnesses(&[&event]).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
}
