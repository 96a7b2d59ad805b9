//! Decisions about sets of a log with four landmarks, of which the CA has signed everything.

use std::time::Duration;

use mtc_core::ca::CaCertificate;
use mtc_core::id::TreeSize;
use mtc_core::tree::{
    MemoryTree, Subtree, consistency_proof, covering_subtrees, leaf_hash, subtree_hash,
};
use sbi::trust::{Base64Hash, SetLog, SetSubtree};
use tempfile::TempDir;
use test_support::log_world::{NOW, World};

use super::*;

/// Entries that landmarks 0 to 4 cover.
const SIZES: [u64; 5] = [0, 5, 8, 13, 20];
/// Landmark 1 expires so long after [`NOW`], and each later one an hour after the one before.
const LIFETIME: Duration = Duration::from_secs(4 * 3600);
const HOUR: u64 = 3600;

pub(crate) struct Scene {
    world: World,
    tree: MemoryTree,
    pub(crate) sets: Sets,
    pub(crate) folder: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// A folder without a set, and more keys of the configuration.
    fn with(more: &str) -> Self {
        let (world, folder) = (World::new(), tempfile::tempdir().expect("a folder"));
        let config = format!(
            "admin = '127.0.0.1:0'\ntrust = ''\nlog = '127.0.0.1:1'\nfolder = '{}'\nstate = ''\n{more}",
            folder.path().display()
        );
        let ca = CaCertificate {
            cosigner: world.ca(),
            min_serial: 1,
            max_serial: u64::MAX,
            prefix_url: None,
        };
        let config = toml::from_str(&config).expect("a configuration");
        Self {
            sets: Sets::new(config, CaTrust::ca_alone(&ca)),
            tree: { 0..SIZES[4] }
                .map(|entry| leaf_hash(&entry.to_be_bytes()))
                .collect(),
            world,
            folder,
        }
    }

    /// What a look at the log finds at a time when it shows this newest landmark.
    pub(crate) fn verified(&self, newest: usize, at: UnixTime) -> TrustedSet {
        let expiry = |landmark: usize| NOW.plus(LIFETIME).0 + landmark as u64 * HOUR;
        let is_active = |landmark: &usize| expiry(*landmark) > at.0;
        let mut document = format!("{newest}\n");
        for landmark in (1..=newest).rev().filter(is_active) {
            document += &format!("{} {}\n", SIZES[landmark], expiry(landmark));
        }
        let oldest = (1..=newest).find(is_active).unwrap_or(newest + 1) - 1;
        document += &format!(
            "{} {}\n",
            SIZES[oldest],
            if oldest == 0 { 0 } else { expiry(oldest) }
        );
        let size = TreeSize(SIZES[newest]);
        let Ok(root) = subtree_hash(&self.tree, Subtree::whole(size));
        let note = self.world.signed_note(size.0, root);
        let active = (1..=newest).filter(is_active);
        let subtrees = active.flat_map(|landmark| {
            covering_subtrees(SIZES[landmark - 1], SIZES[landmark])
                .into_iter()
                .filter(|subtree| !subtree.is_empty())
        });
        let proven = subtrees.map(|subtree| {
            let Ok(hash) = subtree_hash(&self.tree, subtree);
            let Ok(proof) = consistency_proof(&self.tree, subtree, size);
            SetSubtree {
                start: subtree.start(),
                end: subtree.end(),
                hash: Base64Hash(hash),
                proof: proof.into_iter().map(Base64Hash).collect(),
            }
        });
        TrustedSet {
            number: 0,
            made: at.0,
            pin: None,
            newest_log: 1,
            revoked: None,
            logs: vec![SetLog {
                number: 1,
                verified: at.0,
                landmarks: document,
                checkpoint: String::from_utf8(note).expect("text"),
                subtrees: proven.collect(),
            }],
        }
    }

    /// Publishes what a look finds, if it is to be, and returns the current set.
    pub(crate) fn look(&self, newest: usize, at: u64) -> TrustedSet {
        self.look_with(newest, None, at)
    }

    fn look_with(&self, newest: usize, revoked: Option<&str>, at: u64) -> TrustedSet {
        let now = UnixTime(NOW.0 + at);
        let (due, revoked) = (self.verified(newest, now), revoked.map(str::to_owned));
        let advanced = self.sets.advance(None, Some(due), revoked, now);
        let (current, _) = advanced.expect("the folder");
        current.expect("a set")
    }

    pub(crate) fn current(&self) -> TrustedSet {
        let sets = LockedSets::lock(self.folder.path()).expect("the folder");
        sets.current().expect("a set")
    }

    fn numbers(&self) -> Vec<u64> {
        let sets = LockedSets::lock(self.folder.path()).expect("the folder");
        sets.numbers().expect("the folder")
    }
}

pub(crate) fn landmark(set: &TrustedSet) -> &str {
    newest_landmark(&set.logs[0])
}

pub(crate) fn at(seconds: u64) -> UnixTime {
    UnixTime(NOW.0 + seconds)
}

#[test]
fn the_first_set_is_what_is_due_and_until_then_there_is_none() {
    let scene = Scene::new();
    let none = scene.sets.advance(None, None, Some("list".to_owned()), NOW);
    assert_eq!(none.expect("the folder"), (None, false));
    assert_eq!(scene.sets.in_force(NOW).expect("the folder"), None);
    let first = scene.look_with(2, Some("list"), 0);
    assert_eq!((first.number, first.made), (NOW.0, NOW.0));
    assert_eq!(first.revoked.as_deref(), Some("list"));
    assert_eq!(scene.current(), first);
}

#[test]
fn the_same_landmarks_again_are_no_other_set() {
    let scene = Scene::new();
    let first = scene.look(2, 0);
    let again = scene
        .sets
        .advance(None, Some(scene.verified(2, at(60))), None, at(60));
    assert_eq!(again.expect("the folder"), (Some(first), false));
    assert_eq!(scene.numbers(), [NOW.0]);
}

#[test]
fn newer_landmarks_are_another_set_and_the_one_before_is_kept() {
    let scene = Scene::new();
    let first = scene.look(1, 0);
    let second = scene.look(2, 60);
    assert_eq!((landmark(&second), second.number), ("2", NOW.0 + 60));
    assert_eq!(scene.numbers(), [first.number, second.number]);
}

#[test]
fn numbers_grow_when_the_clock_does_not() {
    let scene = Scene::new();
    assert_eq!(scene.look(1, 60).number, NOW.0 + 60);
    assert_eq!(scene.look(2, 60).number, NOW.0 + 61);
    assert_eq!(scene.look(3, 0).number, NOW.0 + 62);
}

#[test]
fn a_file_with_a_number_of_the_future_does_not_lead_others_there() {
    let scene = Scene::new();
    std::fs::write(scene.folder.path().join("set-9999999999"), "").expect("written");
    assert_eq!(scene.look(1, 60).number, NOW.0 + 60);
}

#[test]
fn landmarks_do_not_go_back_unless_those_that_are_published_have_expired() {
    let scene = Scene::new();
    let newer = scene.look(2, 0);
    assert_eq!(scene.look(1, 60), newer);
    // Landmark 2 has expired then, and a log that was lost begins anew.
    let later = at(LIFETIME.as_secs() + 2 * HOUR);
    let due = TrustedSet {
        logs: Vec::new(),
        ..scene.verified(2, later)
    };
    let advanced = scene.sets.advance(None, Some(due), None, later);
    let (current, is_new) = advanced.expect("the folder");
    assert!(is_new);
    assert_eq!(current.expect("a set").logs, []);
}

#[test]
fn what_is_revoked_is_published_without_other_landmarks_and_never_taken_back() {
    let scene = Scene::new();
    scene.look(2, 0);
    let listed = scene.look_with(2, Some("list 1"), 60);
    assert_eq!(listed.revoked.as_deref(), Some("list 1"));
    assert_eq!(scene.numbers(), [listed.number], "nobody goes back to less");
    assert_eq!(scene.look(2, 120), listed, "who has lost the list keeps it");
    let advanced = scene
        .sets
        .advance(None, None, Some("list 2".to_owned()), at(180));
    let (current, _) = advanced.expect("the folder");
    assert_eq!(current.expect("a set").revoked.as_deref(), Some("list 2"));
}

#[test]
fn a_rollback_brings_older_landmarks_with_the_newest_list_and_stays() {
    let scene = Scene::new();
    scene.look_with(1, Some("list 1"), 0);
    let good = scene.look_with(2, Some("list 1"), 60);
    let bad = scene.look_with(3, Some("list 2"), 120);
    let back = scene.sets.roll_back(None, at(180)).expect("there is one");
    assert_eq!((landmark(&back), back.number), ("2", NOW.0 + 180));
    assert_eq!(back.revoked.as_deref(), Some("list 2"));
    let pin = Pin {
        set: good.number,
        since: NOW.0 + 180,
        rolled_back_from: Some(bad.number),
    };
    assert_eq!(back.pin, Some(pin));
    assert_eq!(scene.current(), back);

    let newer = scene.look_with(4, Some("list 3"), 240);
    assert_eq!(landmark(&newer), "2", "it is pinned");
    assert_eq!(newer.revoked.as_deref(), Some("list 3"));
    assert_eq!(newer.pin, back.pin);

    let further = scene.sets.roll_back(None, at(300)).expect("there is one");
    assert_eq!(landmark(&further), "1");
    assert_eq!(further.revoked.as_deref(), Some("list 3"));
    let kept = [NOW.0, good.number, bad.number, further.number];
    assert_eq!(
        scene.numbers(),
        kept,
        "what was ordered is not gone back to"
    );
    let none = scene.sets.roll_back(None, at(360));
    assert!(matches!(none, Err(OrderError::NoneOlder(_))), "{none:?}");

    let free = scene.sets.unpin(at(420)).expect("it was pinned");
    assert_eq!((landmark(&free), &free.pin), ("1", &None));
    assert_eq!(landmark(&scene.look(4, 480)), "4");
}

#[test]
fn a_rollback_after_unpin_goes_further_back_and_not_to_what_was_gone_back_from() {
    let scene = Scene::new();
    for (landmark, at) in [(1, 0), (2, 60), (3, 120)] {
        scene.look(landmark, at);
    }
    for (expected, from) in [("2", 180), ("1", 300)] {
        let back = scene.sets.roll_back(None, at(from)).expect("there is one");
        assert_eq!(landmark(&back), expected);
        scene.sets.unpin(at(from + 60)).expect("it was pinned");
    }
    let none = scene.sets.roll_back(None, at(420));
    assert!(matches!(none, Err(OrderError::NoneOlder(_))), "{none:?}");
}

#[test]
fn what_a_crash_has_left_of_an_order_or_of_the_same_landmarks_is_passed_over() {
    let scene = Scene::new();
    let first = scene.look(1, 0);
    let current = scene.look(3, 120);
    let same = TrustedSet {
        number: current.number - 1,
        ..current.clone()
    };
    let pin = Pin {
        set: first.number,
        since: first.made,
        rolled_back_from: None,
    };
    let ordered = TrustedSet {
        number: current.number - 2,
        pin: Some(pin),
        ..scene.verified(2, at(60))
    };
    for left in [same, ordered] {
        let file = scene.folder.path().join(format!("set-{}", left.number));
        std::fs::write(file, left.encode()).expect("written");
    }
    let back = scene.sets.roll_back(None, at(180)).expect("there is one");
    assert_eq!(landmark(&back), "1");
}

#[test]
fn a_set_may_be_named_to_go_back_to() {
    let scene = Scene::new();
    let first = scene.look(1, 0);
    scene.look(2, 60);
    scene.look(3, 120);
    let back = scene.sets.roll_back(Some(first.number), at(180));
    assert_eq!(landmark(&back.expect("it is kept")), "1");
    let absent = scene.sets.roll_back(Some(7), at(180));
    assert!(matches!(absent, Err(OrderError::Folder(error)) if error.is_absence()));
}

#[test]
fn nothing_is_ordered_that_is_expired_or_older_than_allowed() {
    let scene = Scene::with("rollback_seconds = 14400\nkeep = 3");
    let first = scene.look(1, 0);
    scene.look(2, 60);
    let expiry = LIFETIME.as_secs() + HOUR;
    let unchanged = scene.current();
    let too_old = scene.sets.roll_back(None, at(14_401));
    let Err(OrderError::TooOld { number, age, limit }) = too_old else {
        panic!("{too_old:?}");
    };
    assert_eq!((number, age, limit), (first.number, 14_401, 14_400));
    for order in [Sets::roll_back, Sets::pin] {
        let expired = order(&scene.sets, Some(first.number), at(expiry));
        assert!(
            matches!(expired, Err(OrderError::Expired(number)) if number == first.number),
            "{expired:?}"
        );
    }
    assert_eq!(scene.current(), unchanged);
    assert!(scene.sets.roll_back(None, at(14_400)).is_ok());
}

#[test]
fn nothing_is_ordered_that_no_relying_party_would_take() {
    let scene = Scene::new();
    let mut first = scene.look(1, 0);
    let second = scene.look(2, 60);
    first.logs[0].subtrees[0].hash = Base64Hash([7; 32]);
    let file = scene.folder.path().join(format!("set-{}", first.number));
    std::fs::write(&file, first.encode()).expect("written");
    let refused = scene.sets.roll_back(None, at(120));
    assert!(
        matches!(refused, Err(OrderError::Refused { .. })),
        "{refused:?}"
    );
    std::fs::write(&file, "half").expect("written");
    let none = scene.sets.roll_back(None, at(120));
    assert!(matches!(none, Err(OrderError::NoneOlder(_))), "{none:?}");
    assert_eq!(scene.current(), second);
    let status = scene.sets.status(at(120)).expect("the folder");
    assert_eq!(status.current, Some(second.number));
    let refused = status.sets.iter().map(|set| set.refused.is_some());
    assert!(refused.eq([true, false]), "{status:?}");
}

#[test]
fn a_pin_ends_when_all_of_its_landmarks_have_expired() {
    let scene = Scene::new();
    scene.look(1, 0);
    scene.look(2, 60);
    scene.sets.roll_back(None, at(120)).expect("there is one");
    let expiry = LIFETIME.as_secs() + HOUR;
    assert_eq!(landmark(&scene.look(3, expiry - 1)), "1");
    let freed = scene.look(3, expiry);
    assert_eq!((landmark(&freed), &freed.pin), ("3", &None));
}

#[test]
fn the_current_set_is_pinned_unless_another_is_named() {
    let scene = Scene::new();
    let first = scene.look(1, 0);
    let second = scene.look(2, 60);
    let not_pinned = scene.sets.unpin(at(60));
    assert!(matches!(not_pinned, Err(OrderError::NotPinned(number)) if number == second.number));
    let pinned = scene.sets.pin(None, at(120)).expect("it is good");
    assert_eq!(landmark(&pinned), "2");
    let pin = pinned.pin.expect("a pin");
    assert_eq!((pin.set, pin.rolled_back_from), (second.number, None));
    assert_eq!(landmark(&scene.look(3, 180)), "2");
    let older = scene.sets.pin(Some(first.number), at(240));
    let older = older.expect("it is good");
    assert_eq!(landmark(&older), "1");
    // Whatever the order was called.
    assert_eq!(rolled_back_from(&older), Some(pinned.number));
}

fn rolled_back_from(set: &TrustedSet) -> Option<u64> {
    set.pin.as_ref()?.rolled_back_from
}

#[test]
fn an_order_says_what_was_taken_back_until_nothing_is() {
    let scene = Scene::new();
    for (landmark, at) in [(1, 0), (2, 60), (3, 120), (4, 180)] {
        scene.look(landmark, at);
    }
    let [first, second, third, fourth] = scene.numbers()[..] else {
        panic!("four sets");
    };
    let ordered = |order: fn(&Sets, Option<u64>, UnixTime) -> _, set, seconds| {
        let made: Result<TrustedSet, OrderError> = order(&scene.sets, set, at(seconds));
        rolled_back_from(&made.expect("it is kept"))
    };
    assert_eq!(ordered(Sets::roll_back, Some(third), 240), Some(fourth));
    assert_eq!(ordered(Sets::pin, None, 250), Some(fourth), "no newer ones");
    assert_eq!(ordered(Sets::roll_back, Some(first), 260), Some(fourth));
    assert_eq!(ordered(Sets::pin, Some(second), 270), Some(fourth));
    assert_eq!(ordered(Sets::pin, Some(fourth), 280), None);
}

#[test]
fn an_order_outlives_the_set_that_it_stands_in() {
    let scene = Scene::new();
    scene.look(1, 0);
    scene.look(2, 60);
    let ordered = scene.sets.roll_back(None, at(120)).expect("there is one");
    let current = scene.folder.path().join("current");
    let file = scene.folder.path().join(format!("set-{}", ordered.number));
    let advance = |last: Option<&TrustedSet>, seconds| {
        let due = scene.verified(3, at(seconds));
        let advanced = scene.sets.advance(last, Some(due), None, at(seconds));
        let (set, is_new) = advanced.expect("the folder");
        assert!(is_new);
        set.expect("a set")
    };
    // What is in its place is no set: the file of the set is there.
    std::fs::remove_file(&current).expect("a link");
    std::fs::write(&current, "half").expect("written");
    let mended = advance(None, 180);
    assert_eq!((landmark(&mended), &mended.pin), ("1", &ordered.pin));
    assert_eq!(mended.number, NOW.0 + 180);
    assert!(!file.exists(), "it was replaced");
    // The file is damaged too, or all is gone: the process remembers.
    let file = scene.folder.path().join(format!("set-{}", mended.number));
    std::fs::write(&file, "half").expect("written");
    let mended = advance(Some(&mended), 240);
    assert_eq!((landmark(&mended), &mended.pin), ("1", &ordered.pin));
    for entry in std::fs::read_dir(scene.folder.path()).expect("a folder") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("a file");
    }
    let mended = advance(Some(&mended), 300);
    assert_eq!((landmark(&mended), &mended.pin), ("1", &ordered.pin));
    assert_eq!(scene.current(), mended);
    // An order that was taken back stays so.
    let free = scene.sets.unpin(at(360)).expect("it was pinned");
    std::fs::write(&current, "half").expect("written through the link");
    std::fs::remove_file(&current).expect("a link");
    let newer = advance(Some(&free), 420);
    assert_eq!((landmark(&newer), &newer.pin), ("3", &None));
}

#[test]
fn what_is_lost_is_written_again_without_a_look() {
    let scene = Scene::new();
    let first = scene.look(2, 0);
    std::fs::remove_file(scene.folder.path().join("current")).expect("a link");
    let advanced = scene.sets.advance(None, None, None, at(60));
    let (again, is_new) = advanced.expect("the folder");
    assert!(is_new);
    let again = again.expect("a set");
    assert_eq!((again.number, &again.logs), (NOW.0 + 60, &first.logs));
}

// Readers refuse what is not yet, and the one after was one later still.
#[test]
fn a_set_of_the_future_is_written_anew_with_a_number_of_now_and_its_pin() {
    let scene = Scene::new();
    scene.look(1, 0);
    let ahead = scene.look(2, HOUR);
    let pinned = scene.sets.pin(None, at(HOUR + 60)).expect("it is good");
    assert!(pinned.number > ahead.number);
    let mended = scene.look(3, 120);
    assert_eq!((mended.number, mended.made), (NOW.0 + 120, NOW.0 + 120));
    assert_eq!((landmark(&mended), &mended.pin), ("2", &pinned.pin));
    assert_eq!(scene.look(3, 180), mended, "once");
}

#[test]
fn as_many_sets_are_kept_as_the_configuration_says() {
    let scene = Scene::with("keep = 2");
    let numbers: Vec<_> = (1..=4)
        .map(|landmark| scene.look(landmark, 60 * landmark as u64).number)
        .collect();
    assert_eq!(scene.numbers(), numbers[2..]);
}

#[test]
fn a_current_set_that_is_damaged_or_unsigned_is_written_anew() {
    let scene = Scene::new();
    let mut unsigned = scene.look(2, 0);
    unsigned.logs[0].subtrees[0].hash = Base64Hash([7; 32]);
    for (bad, at) in [(b"half".to_vec(), 60), (unsigned.encode(), 120)] {
        let current = scene.folder.path().join("current");
        std::fs::remove_file(&current).expect("a link");
        std::fs::write(&current, bad).expect("written");
        let mended = scene.look(2, at);
        assert_eq!(mended.number, NOW.0 + at);
        assert_eq!(scene.current(), mended);
    }
}
