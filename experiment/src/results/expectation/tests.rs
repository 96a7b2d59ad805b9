use std::time::Duration;

use super::*;
use crate::results::sample::quick;
use crate::results::{RevocationRecord, RevokedInVariant, RunHistory, TimelinePoint};
use crate::scenario::Expectation;

/// The NRF is killed at 2 s, started at 4 s and ready at 5 s.
fn nrf_crash() -> Vec<EventRecord> {
    let record = |action: Action, began_s, ended_s| EventRecord {
        action: action.as_str().to_owned(),
        nf: "nrf".to_owned(),
        instances: None,
        planned_s: began_s,
        began_s: Some(began_s),
        ended_s,
        revocation: None,
    };
    vec![
        record(Action::Kill, 2.0, Some(2.01)),
        record(Action::Start, 4.0, Some(5.0)),
    ]
}

/// One error in the second before each of these moments.
fn timeline(errors_at: &[u64]) -> Vec<TimelinePoint> {
    let errors = |at| errors_at.iter().filter(|error| **error <= at).count() as u64;
    let point = |at| TimelinePoint {
        at_s: at as f64,
        done: at * 60,
        errors: errors(at),
        dropped: 0,
        in_flight: 1,
    };
    (1..=10).map(point).collect()
}

fn crashed(errors_at: &[u64], expect: Expectation) -> Results {
    let mut results = quick();
    results.expect = expect;
    results.variants[0].errors = [("connect: refused".to_owned(), errors_at.len() as u64)].into();
    results.happened(RunHistory {
        events: nrf_crash(),
        timeline: timeline(errors_at),
        ..RunHistory::default()
    });
    results
}

fn during_events() -> Expectation {
    Expectation {
        errors: ErrorsAllowed::DuringEvents,
        max_error_ratio: 1.0,
        recovery: Duration::from_secs(1),
        ..Expectation::default()
    }
}

#[test]
fn a_revoked_instance_may_be_accepted_for_as_long_as_is_expected_and_must_be_refused_then() {
    let in_variant = |way: &str, last_accepted_s, refused| {
        let mut results = quick();
        results.expect.revoked_within = Some(Duration::from_secs(1));
        let event = EventRecord {
            action: "revoke".to_owned(),
            nf: "amf".to_owned(),
            instances: Some(1),
            planned_s: 2.0,
            began_s: Some(2.0),
            ended_s: Some(2.5),
            revocation: Some(RevocationRecord {
                variants: vec![RevokedInVariant {
                    name: "one".to_owned(),
                    revocation: way.to_owned(),
                    last_accepted_s,
                    refused,
                    failed: Some(refused),
                }],
                ..RevocationRecord::default()
            }),
        };
        results.happened(RunHistory {
            events: vec![event],
            ..RunHistory::default()
        });
        results.violations()
    };
    let revoked = |last_accepted_s, refused| in_variant("crl", last_accepted_s, refused);
    for good in [
        in_variant("none", Some(3.5), 0),
        revoked(Some(2.9), 3),
        revoked(Some(1.9), 3),
        revoked(None, 3),
    ] {
        assert_eq!(good, []);
    }
    for bad in [revoked(Some(3.5), 3), revoked(Some(2.9), 0)] {
        assert!(matches!(bad[..], [Violation::NotRevoked { .. }]), "{bad:?}");
    }
}

#[test]
fn errors_while_an_event_lasts_are_no_violation() {
    assert_eq!(crashed(&[3, 4, 5, 6], during_events()).violations(), []);
    assert_ne!(crashed(&[3], Expectation::default()).violations(), []);
}

#[test]
fn errors_outside_events_are_told_with_their_time() {
    for outside in [1, 2 + 1 + 5, 10] {
        let found = crashed(&[3, outside], during_events()).violations();
        let expected = Violation::ErrorsOutsideEvents {
            count: 1,
            at_s: outside,
        };
        assert_eq!(found, [expected]);
    }
}

#[test]
fn too_many_errors_are_a_violation_even_during_events() {
    let expect = |max_error_ratio| Expectation {
        max_error_ratio,
        ..during_events()
    };
    // 4 of 540 operations.
    assert_eq!(crashed(&[3, 3, 4, 4], expect(0.01)).violations(), []);
    let found = crashed(&[3, 3, 4, 4], expect(0.001)).violations();
    assert!(matches!(found[..], [Violation::Errors { count: 4, .. }]));
}

#[test]
fn an_event_that_is_not_over_is_a_violation() {
    let mut results = quick();
    let mut events = nrf_crash();
    events[1].ended_s = None;
    results.happened(RunHistory {
        events,
        timeline: Vec::new(),
        ..RunHistory::default()
    });
    assert_eq!(
        results.verdict.violations,
        ["the event at 4 s, start nrf, did not end"]
    );
}

#[test]
fn what_is_never_started_again_disturbs_to_the_end() {
    let mut results = crashed(&[9], during_events());
    results.events.truncate(1);
    assert_eq!(results.violations(), []);
}

#[test]
fn drops_are_allowed_up_to_their_ratio() {
    let expect = |max_dropped_ratio| Expectation {
        max_dropped_ratio,
        ..Expectation::default()
    };
    let mut results = quick();
    results.variants[1].dropped = 10;
    results.expect = expect(0.02);
    assert_eq!(results.violations(), []);
    results.expect = expect(0.01);
    assert!(matches!(
        results.violations()[..],
        [Violation::Dropped { count: 10, .. }]
    ));
}

#[test]
fn a_fallback_is_allowed_for_its_variant_and_expected_within_bounds() {
    let fallback = |variant: &str, min_share, max_share| Expectation {
        fallback: vec![Fallback {
            variant: variant.to_owned(),
            min_share,
            max_share,
        }],
        ..Expectation::default()
    };
    let mut results = quick();
    // 540 of 2160 + 2160 + 540 certificates.
    let received = &mut results.variants[4].totals.client.received;
    received.add(Some(CertificateKind::Standalone), 540);
    results.expect = fallback("mtc-landmark", 0.05, 0.5);
    assert_eq!(results.violations(), []);
    results.expect = fallback("mtc-landmark", 0.5, 0.9);
    assert!(matches!(
        results.violations()[..],
        [Violation::FallbackShare { .. }]
    ));
    results.expect = fallback("mtc-standalone", 0.0, 1.0);
    assert!(matches!(
        results.violations()[..],
        [Violation::OtherKind { .. }]
    ));
}
