//! A trial that proves nothing says so. What the trials prove of the built `mtc5g` is seen by running them (`.ci/check-trials`).
//!
//! That these are tests of a program also makes `cargo test --workspace` build it.

use std::process::{Command, Output};

/// Does nothing, and ends with status 1.
const NO_CORE: &str = "/bin/false";

fn trials(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mtc5g-trials"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

#[test]
fn a_command_that_does_nothing_survives_no_trial() {
    for trial in ["kill", "io", "hostile", "flip"] {
        let ended = trials(&[trial, "--rounds", "1", "--command", NO_CORE]);
        let told = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(ended.status.code(), Some(1), "{trial}: {told}");
        assert!(told.contains("VIOLATION"), "{trial}: {told}");
        assert!(!told.contains("proven"), "{trial}: {told}");
    }
}

#[test]
fn what_cannot_be_tried_is_another_status_than_a_violation() {
    for (arguments, named) in [
        (
            &["kill", "--command", "/nowhere/mtc5g"][..],
            "/nowhere/mtc5g",
        ),
        (&["io", "--fault", "nrf:sleep:1:5"], "sleep"),
        (&["rest"], "rest"),
    ] {
        let ended = trials(arguments);
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(named), "{arguments:?}: {told}");
    }
}
