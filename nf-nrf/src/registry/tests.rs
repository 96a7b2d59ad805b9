use proptest::prelude::*;
use sbi::model::NfType;
use serde_json::json;
use uuid::Uuid;

use super::*;

const INTERVAL: Duration = Duration::from_secs(10);
const MARGIN: Duration = Duration::from_secs(2);
const GRACE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(1);

fn profile() -> NfProfile {
    let id = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01"
        .parse()
        .expect("test id");
    NfProfile {
        load: Some(0),
        ..NfProfile::new(id, NfType::Amf, "amf1.example.org")
    }
}

/// A registry with [`profile`] in it, registered at the returned time.
fn registry() -> (Registry, NfInstanceId, Instant) {
    let now = Instant::now();
    let mut registry = Registry::new(Settings {
        heartbeat_range: 5..=30,
        ..Settings::default()
    });
    let (stored, is_new) = registry.register(profile(), now).expect("there is room");
    assert!(is_new);
    let changes = registry.take_changes();
    assert!(matches!(&changes[..], [Change::Registered(profile)] if *profile == stored.profile));
    (registry, stored.profile.nf_instance_id, now)
}

fn patch(
    registry: &mut Registry,
    operations: serde_json::Value,
    now: Instant,
) -> Result<(Stored, bool), ReviseError> {
    let operations: Vec<PatchItem> = serde_json::from_value(operations).expect("operations");
    let draft = registry
        .basis(profile().nf_instance_id)
        .revise(&operations)?;
    let committed = registry.commit(draft, now).expect("nobody else is there");
    Ok((committed.stored, committed.is_overridden))
}

fn heartbeat(load: u8) -> serde_json::Value {
    json!([{"op": "replace", "path": "/nfStatus", "value": "REGISTERED"}, {"op": "replace", "path": "/load", "value": load}])
}

fn status(registry: &Registry) -> Option<NfStatus> {
    let stored = registry.get(profile().nf_instance_id)?;
    Some(stored.profile.nf_status.clone())
}

#[test]
fn the_nrf_decides_the_heartbeat_timer() {
    let (mut registry, id, now) = registry();
    assert_eq!(registry.get(id).unwrap().profile.heart_beat_timer, Some(10));
    for (proposed, decided) in [(1, 5), (20, 20), (4000, 30)] {
        let proposal = NfProfile {
            heart_beat_timer: Some(proposed),
            ..profile()
        };
        let (stored, _) = registry.register(proposal, now).unwrap();
        assert_eq!(stored.profile.heart_beat_timer, Some(decided));
    }
}

#[test]
fn a_heartbeat_restarts_the_timer_without_a_change() {
    let (mut registry, id, start) = registry();
    let etag = registry.get(id).unwrap().etag.clone();
    let late = start + INTERVAL;
    let (stored, is_overridden) = patch(&mut registry, heartbeat(17), late).unwrap();
    assert_eq!(stored.profile.load, Some(17));
    assert_eq!(stored.etag, etag);
    assert!(!is_overridden);
    assert_eq!(registry.next_expiry(), Some(late + INTERVAL + MARGIN));
    assert_eq!(registry.take_changes(), []);
}

#[test]
fn another_load_is_a_change_once_somebody_asks_for_it() {
    let (mut registry, id, now) = registry();
    let before = registry.get(id).unwrap().profile.clone();
    patch(&mut registry, heartbeat(7), now).unwrap();
    assert_eq!(registry.take_changes(), []);
    registry.tell_load();
    patch(&mut registry, heartbeat(7), now).unwrap();
    assert_eq!(registry.take_changes(), []);
    patch(&mut registry, heartbeat(8), now).unwrap();
    let [
        Change::LoadChanged {
            before: seven,
            after,
        },
    ] = &registry.take_changes()[..]
    else {
        panic!("one change");
    };
    assert_eq!((seven.load, after.load), (Some(7), Some(8)));
    assert_ne!(before.load, after.load);
}

#[test]
fn missing_heartbeats_suspend_then_purge() {
    let (mut registry, id, start) = registry();
    let suspended_at = start + INTERVAL + MARGIN;
    registry.expire(suspended_at - TICK);
    assert_eq!(status(&registry), Some(NfStatus::Registered));
    registry.expire(suspended_at);
    assert_eq!(status(&registry), Some(NfStatus::Suspended));
    assert!(matches!(
        &registry.take_changes()[..],
        [Change::ProfileChanged { before, after }]
            if before.nf_status == NfStatus::Registered && after.nf_status == NfStatus::Suspended
    ));
    registry.expire(suspended_at + GRACE - TICK);
    assert_eq!(status(&registry), Some(NfStatus::Suspended));
    registry.expire(suspended_at + GRACE);
    assert!(matches!(
        &registry.take_changes()[..],
        [Change::Deregistered(last)] if last.nf_instance_id == id && last.nf_status == NfStatus::Suspended
    ));
    let gone = patch(&mut registry, heartbeat(0), suspended_at + GRACE);
    assert!(matches!(gone, Err(ReviseError::UnknownInstance)));
}

/// The deadlines are a list of their own, which must not know of a record what is not so any more.
#[test]
fn only_the_latest_deadline_of_an_instance_counts() {
    let (mut registry, id, start) = registry();
    let other = NfProfile::new(Uuid::from_u128(2).into(), NfType::Smf, "smf1.example.org");
    let other_id = other.nf_instance_id;
    registry.register(other, start + TICK).unwrap();
    let patience = INTERVAL + MARGIN;
    assert_eq!(registry.next_expiry(), Some(start + patience));
    patch(&mut registry, heartbeat(1), start + INTERVAL).unwrap();
    assert_eq!(registry.next_expiry(), Some(start + TICK + patience));
    assert_eq!(registry.late(start + TICK + patience), [other_id]);
    // Twice at the same time.
    patch(&mut registry, heartbeat(2), start + INTERVAL).unwrap();
    assert_eq!(registry.late(start + INTERVAL + patience), [other_id, id]);
    registry.expire(start + TICK + patience);
    assert_eq!(registry.next_expiry(), Some(start + INTERVAL + patience));
    registry.deregister(id);
    let purged = start + TICK + patience + GRACE;
    assert_eq!(registry.next_expiry(), Some(purged));
    registry.expire(purged);
    assert_eq!(registry.next_expiry(), None);
    assert!(registry.is_empty());
}

#[test]
fn instances_are_counted_by_type_and_listed_by_the_page() {
    let (mut registry, amf, start) = registry();
    let smf = |number: u128| NfInstanceId::from(Uuid::from_u128(number));
    for number in [3, 1, 2] {
        let profile = NfProfile::new(smf(number), NfType::Smf, "smf1.example.org");
        registry.register(profile, start).unwrap();
    }
    let counts = |registry: &Registry| {
        let mut counts: Vec<_> = registry.counts().map(|(t, n)| (t.to_string(), n)).collect();
        counts.sort();
        counts
    };
    let counted = |nf_type: &str, count| (nf_type.to_owned(), count);
    assert_eq!(counts(&registry), [counted("AMF", 1), counted("SMF", 3)]);
    let of_smf = Some(&NfType::Smf);
    assert_eq!(registry.page(of_smf, 0, 2), (3, vec![smf(1), smf(2)]));
    assert_eq!(registry.page(of_smf, 2, 2), (3, vec![smf(3)]));
    assert_eq!(registry.page(None, 2, 9), (4, vec![smf(3), amf]));
    assert_eq!(registry.page(Some(&NfType::Udm), 0, 9), (0, vec![]));
    registry.deregister(amf);
    assert_eq!(counts(&registry), [counted("SMF", 3)]);
    assert_eq!(registry.len(), 3);
}

#[test]
fn without_grace_missing_heartbeats_purge_at_once() {
    let now = Instant::now();
    let settings = Settings {
        suspend_grace: Duration::ZERO,
        ..Settings::default()
    };
    let mut registry = Registry::restore(settings, [profile()], now);
    registry.expire(now + INTERVAL + MARGIN);
    assert!(matches!(
        &registry.take_changes()[..],
        [Change::Deregistered(last)] if last.nf_status == NfStatus::Registered
    ));
}

#[test]
fn a_heartbeat_brings_a_suspended_instance_back() {
    let (mut registry, id, start) = registry();
    let etag = registry.get(id).unwrap().etag.clone();
    let late = start + INTERVAL + MARGIN;
    registry.expire(late);
    assert_ne!(registry.get(id).unwrap().etag, etag);
    patch(&mut registry, heartbeat(0), late).unwrap();
    assert_eq!(status(&registry), Some(NfStatus::Registered));
    assert_eq!(registry.get(id).unwrap().etag, etag);
    assert_eq!(registry.take_changes().len(), 2);
}

#[test]
fn a_put_over_an_instance_replaces_it_whole() {
    let (mut registry, id, now) = registry();
    let before = registry.get(id).unwrap().profile.clone();
    let replacement = NfProfile {
        load: None,
        locality: Some("zone-b".to_owned()),
        ..profile()
    };
    let (stored, is_new) = registry.register(replacement, now).unwrap();
    assert!(!is_new);
    assert_eq!(stored.profile.load, None);
    assert_eq!(
        registry.take_changes(),
        [Change::ProfileChanged {
            before,
            after: stored.profile
        }]
    );
    let (_, is_new) = registry
        .register(registry.get(id).unwrap().profile.as_ref().clone(), now)
        .unwrap();
    assert!(!is_new);
    assert_eq!(registry.take_changes(), []);
}

#[test]
fn exchange_indicators_are_not_stored() {
    let (mut registry, _, now) = registry();
    let profile = NfProfile {
        nf_profile_changes_support_ind: Some(true),
        ..profile()
    };
    let (stored, _) = registry.register(profile, now).unwrap();
    assert_eq!(stored.profile.nf_profile_changes_support_ind, None);
}

#[test]
fn id_and_type_cannot_be_patched() {
    let (mut registry, _, now) = registry();
    let mut other_type = serde_json::to_value(profile()).unwrap();
    other_type["nfType"] = json!("SMF");
    for (operation, path) in [
        (
            json!({"op": "replace", "path": "/nfType", "value": "SMF"}),
            NF_TYPE,
        ),
        (
            json!({"op": "remove", "path": "/nfInstanceId"}),
            INSTANCE_ID,
        ),
        (
            json!({"op": "move", "from": "/nfType", "path": "/x"}),
            NF_TYPE,
        ),
        (
            json!({"op": "replace", "path": "", "value": other_type}),
            NF_TYPE,
        ),
    ] {
        let refused = patch(&mut registry, json!([operation]), now);
        assert!(
            matches!(refused, Err(ReviseError::Immutable { path: at }) if at == path),
            "{operation}"
        );
    }
    assert!(
        patch(
            &mut registry,
            json!([{"op": "test", "path": "/nfType", "value": "AMF"}]),
            now
        )
        .is_ok()
    );
}

#[test]
fn a_patch_may_not_make_a_profile_invalid() {
    let (mut registry, _, now) = registry();
    let refused = patch(
        &mut registry,
        json!([{"op": "remove", "path": "/fqdn"}]),
        now,
    );
    assert!(matches!(refused, Err(ReviseError::Invalid(_))));
    let refused = patch(
        &mut registry,
        json!([{"op": "replace", "path": "/priority", "value": 1}]),
        now,
    );
    assert!(matches!(refused, Err(ReviseError::Patch(_))));
}

#[test]
fn a_patched_timer_is_overridden_and_reported() {
    let (mut registry, _, now) = registry();
    let timer = |seconds| json!([{"op": "replace", "path": "/heartBeatTimer", "value": seconds}]);
    let (stored, is_overridden) = patch(&mut registry, timer(3), now).unwrap();
    assert_eq!(
        (stored.profile.heart_beat_timer, is_overridden),
        (Some(5), true)
    );
    let (stored, is_overridden) = patch(&mut registry, timer(6), now).unwrap();
    assert_eq!(
        (stored.profile.heart_beat_timer, is_overridden),
        (Some(6), false)
    );
}

#[test]
fn instances_are_bounded() {
    let settings = Settings {
        max_instances: 1,
        ..Settings::default()
    };
    let now = Instant::now();
    let mut registry = Registry::restore(settings, [profile()], now);
    let other = NfProfile {
        nf_instance_id: NfInstanceId::random(),
        ..profile()
    };
    assert_eq!(
        registry.register(other, now).unwrap_err(),
        RegistryFull { max_instances: 1 }.into()
    );
    assert!(registry.register(profile(), now).is_ok());
}

#[test]
fn a_restored_registry_gives_everyone_time_and_has_the_same_validators() {
    let (registry, id, now) = registry();
    let persisted = registry.profiles().map(|profile| profile.as_ref().clone());
    let later = now + Duration::from_secs(3600);
    let mut restored = Registry::restore(Settings::clone(&registry.settings), persisted, later);
    assert_eq!(
        restored.get(id).unwrap().etag,
        registry.get(id).unwrap().etag
    );
    assert_eq!(restored.next_expiry(), Some(later + INTERVAL + MARGIN));
    assert_eq!(restored.take_changes(), []);
}

#[test]
fn shared_changes_arrive_in_order() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let on_change: ChangeSink = Box::new(move |change| {
        sink.lock()
            .expect("test sink")
            .push(matches!(change, Change::Registered(_)));
    });
    let shared = SharedRegistry::new(Registry::new(Settings::default()), on_change);
    shared
        .update(|registry| registry.register(profile(), Instant::now()))
        .unwrap();
    shared.update(|registry| registry.deregister(profile().nf_instance_id));
    assert_eq!(*seen.lock().unwrap(), [true, false]);
}

#[test]
fn what_was_worked_out_from_an_older_profile_is_worked_out_anew() {
    let shared = SharedRegistry::new(Registry::new(Settings::default()), Box::new(|_| {}));
    let (id, now) = (profile().nf_instance_id, Instant::now());
    shared
        .update(|registry| registry.register(profile(), now))
        .unwrap();
    let attempts = std::cell::Cell::new(0_u8);
    let committed = shared.store(id, now, |basis| {
        attempts.set(attempts.get() + 1);
        if attempts.get() == 1 {
            let moved = NfProfile {
                locality: Some("zone-b".to_owned()),
                ..profile()
            };
            shared
                .update(|registry| registry.register(moved, now))
                .unwrap();
        }
        let patch: Vec<PatchItem> =
            serde_json::from_value(heartbeat(9)).expect("a heartbeat is a patch");
        Ok::<_, CommitError>(basis.revise(&patch).expect("a heartbeat is accepted"))
    });
    let profile = committed.unwrap().stored.profile;
    assert_eq!(attempts.get(), 2);
    assert_eq!(profile.locality.as_deref(), Some("zone-b"));
    assert_eq!(profile.load, Some(9));
}

/// Whoever persists may be slow: others look at the registry meanwhile.
#[test]
fn the_registry_is_not_locked_while_changes_are_handed_on() {
    let (handing_on, is_handing_on) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let on_change: ChangeSink = Box::new(move |_| {
        handing_on.send(()).expect("the test waits");
        let may_go_on = may_go_on.lock().expect("one sink");
        may_go_on.recv().expect("the test lets it go on");
    });
    let shared = SharedRegistry::new(Registry::new(Settings::default()), on_change);
    std::thread::scope(|scope| {
        scope.spawn(|| shared.update(|registry| registry.register(profile(), Instant::now())));
        is_handing_on.recv().unwrap();
        assert_eq!(shared.read(|registry| registry.profiles().count()), 1);
        go_on.send(()).unwrap();
    });
}

#[test]
fn a_stored_profile_is_bounded() {
    let (mut registry, id, now) = registry();
    let before = registry.get(id).unwrap().profile.clone();
    let mut large = profile();
    large
        .other
        .insert("vendor".to_owned(), "x".repeat(MAX_PROFILE).into());
    assert!(matches!(
        registry.register(large, now),
        Err(RegisterError::TooLarge(_))
    ));
    assert_eq!(registry.get(id).unwrap().profile, before);
}

proptest! {
    #[test]
    fn a_refused_patch_leaves_the_profile_as_it_was(
        paths in prop::collection::vec(prop::sample::select(vec![
            "/load", "/nfStatus", "/priority", "/fqdn", "/nfServices", "/x", "/x/y", "", "/nfType", "/heartBeatTimer",
        ]), 1..6),
        op in prop::sample::select(vec!["add", "replace", "remove"]),
        value in prop::sample::select(vec![json!(1), json!("REGISTERED"), json!(null), json!([]), json!({"y": 200})]),
    ) {
        let (mut registry, id, now) = registry();
        let before = registry.get(id).expect("registered").profile.clone();
        let operations = paths.iter().map(|path| json!({"op": op, "path": path, "value": value})).collect();
        if patch(&mut registry, operations, now).is_err() {
            prop_assert_eq!(&registry.get(id).expect("still registered").profile, &before);
            prop_assert_eq!(registry.take_changes(), []);
        } else {
            prop_assert!(registry.get(id).expect("still registered").profile.check().is_ok());
        }
    }
}
