//! A process of so many instances that they share its port and keep no connection: sessions with them, and their renewal.

use sbi::ledger::StartStep;
use test_support::run::{Run, passing};

/// More SMFs than keep connections of their own.
const SMFS: u64 = 260;
const SCENARIO: &str = r#"
[scenario]
name = "many"
[lab]
amf = 1
smf = 260
landmark_interval = "1s"
[[variant]]
name = "standalone"
auth = "mtc-standalone"
[load]
operation = "session"
warmup = "1s"
stages = [{ rate = 10, duration = "6s" }]
max_lateness = "60s"
[[event]]
at = "500ms"
do = "re-enrol"
nf = "smf"
instances = 2
"#;

#[tokio::test]
async fn many_instances_at_one_port_are_registered_called_and_renewed() {
    let Run { ended, results, .. } = passing(SCENARIO, &[]).await;
    let variant = &results.variants[0];
    assert_eq!(variant.ok, 60);
    assert!(variant.errors.is_empty(), "{:?}", variant.errors);
    assert!(
        results.events[0].ended_s.is_some(),
        "both were renewed from what the vault has: {:?}",
        results.events
    );
    let start = results.start.expect("a lab of its own");
    assert_eq!((start.nf.as_str(), start.instances), ("smf", SMFS));
    for step in [
        StartStep::Key,
        StartStep::Certificate,
        StartStep::Storage,
        StartStep::Registration,
    ] {
        assert_eq!(start.steps[&step].count, SMFS, "{step:?}");
    }
    // Those of the AMF and the SCP are among them.
    assert!(start.steps[&StartStep::Request].count > SMFS);
    assert!(start.steps[&StartStep::Checkpoint].count > SMFS);
    assert!(start.cryptography_s > 0.0 && start.times_cryptography.is_some());
    assert!(
        ended.stdout.contains("REGISTRATION STORM"),
        "{}",
        ended.stdout
    );
}
