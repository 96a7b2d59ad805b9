//! Trusted sets: who reads them trusts what their writer has verified, and nothing that does not verify again.

use mtc_core::id::LandmarkNumber;
use mtc_core::revocation_list::RevocationList;
use mtc_core::time::UnixTime;
use mtc_core::verify::PolicyError;
use mtc_tls::kind::CertificateKind;
use sbi::trust::{
    Base64Hash, LockedSets, Pin, RevocationError, SetError, SetFolderError, TrustError,
    TrustUpdater, TrustedSet, verify_set,
};
use tempfile::TempDir;

use crate::log::{CERTIFIED, LIFETIME_SECONDS, SIZE, Signer};
use crate::{Log, Scene};

/// A node: one process that asks the log, and one that reads what the first has written.
struct Node {
    /// Of the reader, whose updater asks nobody.
    scene: Scene,
    writer: TrustUpdater,
    folder: TempDir,
    number: u64,
}

impl Node {
    /// A writer that trusts the landmarks up to `newest`, and a reader that has read nothing yet.
    async fn writing(newest: usize) -> Self {
        let mut scene = Scene::trusting(newest).await;
        let folder = tempfile::tempdir().expect("a folder");
        let mut reader = TrustUpdater::reading(folder.path(), scene.log.policy());
        std::mem::swap(&mut scene.updater, &mut reader);
        scene.server.asked();
        Self {
            number: scene.log.now.0,
            scene,
            writer: reader,
            folder,
        }
    }

    /// As [`Self::writing`], and the reader trusts them too.
    async fn trusting(newest: usize) -> Self {
        let mut node = Self::writing(newest).await;
        let set = node.set();
        node.publish(&set);
        assert_eq!(node.scene.updated().await, LandmarkNumber(newest as u64));
        node
    }

    /// The writer's next set.
    fn set(&mut self) -> TrustedSet {
        self.number += 1;
        let set = self.writer.to_set(self.number, self.scene.log.now);
        set.expect("all is verified")
    }

    fn locked(&self) -> LockedSets {
        LockedSets::lock(self.folder.path()).expect("nobody else has it")
    }

    fn publish(&self, set: &TrustedSet) {
        self.locked().publish(set).expect("it has room");
    }

    /// What the reader makes of a set that is published.
    async fn refused(&mut self, set: &TrustedSet) -> TrustError {
        self.publish(set);
        self.scene.refused().await
    }
}

fn set_error(error: TrustError) -> SetError {
    match error {
        TrustError::Set(refused) => refused,
        other => panic!("{other}"),
    }
}

fn list(log: &Log, number: u64) -> String {
    let list = RevocationList {
        ca: log.ca.id(),
        number,
        issued: UnixTime(1_000),
        next: UnixTime(2_000),
        ranges: std::iter::empty().collect(),
    };
    list.sign(log.ca.secret()).expect("few ranges")
}

#[tokio::test]
async fn what_a_set_shows_is_trusted_and_the_log_is_not_asked() {
    let mut node = Node::trusting(3).await;
    node.scene.assert_trusted(3).await;
    assert!(node.scene.update().await.expect("the same").is_none());
    assert_eq!(node.scene.server.asked(), [""; 0]);
    let taken = node.scene.updater.taken_set().expect("it reads sets");
    assert_eq!(taken.number, node.number);
    assert_eq!(node.writer.taken_set(), None);
}

#[tokio::test]
async fn a_reader_waits_for_its_first_set() {
    let mut node = Node::writing(2).await;
    let absent = node.scene.refused().await;
    let TrustError::SetFolder(absent) = absent else {
        panic!("{absent}");
    };
    assert!(absent.is_absence(), "{absent}");
    let set = node.set();
    node.publish(&set);
    node.scene.updated().await;
    node.scene.assert_trusted(2).await;
}

#[tokio::test]
async fn a_newer_set_replaces_the_one_before_without_its_landmarks_being_lost() {
    let mut node = Node::trusting(1).await;
    node.scene.show(3, SIZE);
    node.writer
        .update(node.scene.log.now)
        .await
        .expect("honest");
    let set = node.set();
    node.publish(&set);
    assert_eq!(node.scene.updated().await, LandmarkNumber(3));
    node.scene.assert_trusted(3).await;
}

#[tokio::test]
async fn a_copy_of_the_current_set_will_do() {
    let mut node = Node::writing(2).await;
    let set = node.set();
    std::fs::write(node.folder.path().join("current"), set.encode()).expect("written");
    node.scene.updated().await;
    node.scene.assert_trusted(2).await;
}

#[tokio::test]
async fn a_set_of_a_checkpoint_that_lacks_a_cosignature_is_refused() {
    let mut node = Node::trusting(2).await;
    let mut set = node.set();
    let log = &node.scene.log;
    let note = log.checkpoint(SIZE, &[&log.ca]);
    set.logs[0].checkpoint = String::from_utf8(note.to_vec()).expect("text");
    let refused = node.refused(&set).await;
    let is_policy = matches!(refused, TrustError::Policy(PolicyError::Quorum { .. }));
    assert!(is_policy, "{refused}");
    node.scene.assert_trusted(2).await;
}

#[tokio::test]
async fn a_subtree_with_another_hash_or_without_proof_is_refused_with_all_of_its_set() {
    let mut node = Node::trusting(2).await;
    let set = node.set();
    for part in 0..set.logs[0].subtrees.len() {
        let mut poisoned = set.clone();
        poisoned.logs[0].subtrees[part].hash = Base64Hash([7; 32]);
        let refused = node.refused(&poisoned).await;
        let is_inconsistent = matches!(refused, TrustError::Inconsistent { .. });
        assert!(is_inconsistent, "{refused}");
        let mut poisoned = set.clone();
        poisoned.logs[0].subtrees.remove(part);
        let refused = node.refused(&poisoned).await;
        assert!(matches!(refused, TrustError::Unproven { .. }), "{refused}");
    }
    node.scene.assert_trusted(2).await;
    node.publish(&set);
    assert!(node.scene.update().await.expect("honest").is_none());
}

#[tokio::test]
async fn a_set_of_another_ca_is_refused() {
    let mut node = Node::trusting(2).await;
    let mut other = Node::writing(3).await;
    let mut set = other.set();
    set.number = node.number + 1;
    node.refused(&set).await;
    node.scene.assert_trusted(2).await;
}

#[tokio::test]
async fn an_older_set_is_refused() {
    let mut node = Node::trusting(2).await;
    let mut set = node.set();
    set.number -= 2;
    let refused = set_error(node.refused(&set).await);
    assert!(matches!(refused, SetError::WentBack { .. }), "{refused}");
}

#[tokio::test]
async fn older_landmarks_are_taken_only_when_the_operator_has_pinned_them() {
    let mut node = Node::trusting(1).await;
    let good = node.set();
    node.scene.show(3, SIZE);
    node.writer
        .update(node.scene.log.now)
        .await
        .expect("honest");
    let bad = node.set();
    node.publish(&bad);
    node.scene.updated().await;
    node.scene.assert_trusted(3).await;

    let mut back = good.clone();
    back.number = bad.number + 1;
    let refused = set_error(node.refused(&back).await);
    assert!(matches!(refused, SetError::OlderLandmarks(_)), "{refused}");
    node.scene.assert_trusted(3).await;

    back.number += 1;
    back.pin = Some(Pin {
        set: good.number,
        since: node.scene.log.now.0,
        rolled_back_from: Some(bad.number),
    });
    node.publish(&back);
    assert_eq!(node.scene.updated().await, LandmarkNumber(1));
    node.scene.assert_trusted(1).await;
}

#[tokio::test]
async fn a_number_or_a_time_that_is_not_yet_is_refused() {
    let mut node = Node::trusting(2).await;
    let set = node.set();
    let later = node.scene.log.now.0 + 3600;
    for (number, made) in [(later, set.made), (set.number, later)] {
        let early = TrustedSet {
            number,
            made,
            ..set.clone()
        };
        let refused = set_error(node.refused(&early).await);
        assert!(matches!(refused, SetError::Early { .. }), "{refused}");
    }
    node.publish(&set);
    assert!(node.scene.update().await.expect("honest").is_none());
}

// After a clock that was an hour ahead had been set right, every set was refused for an hour.
#[tokio::test]
async fn a_number_that_was_taken_while_the_clock_was_ahead_keeps_no_set_from_being_taken() {
    let mut node = Node::writing(2).await;
    let right = node.scene.log.now;
    let mut ahead = node.set();
    (ahead.number, ahead.made) = (right.0 + 3600, right.0 + 3600);
    node.scene.log.now = UnixTime(ahead.made);
    node.publish(&ahead);
    node.scene.updated().await;
    node.scene.log.now = right;
    let refused = set_error(node.refused(&ahead).await);
    assert!(matches!(refused, SetError::Early { .. }), "{refused}");

    let set = node.set();
    node.publish(&set);
    assert!(node.scene.update().await.expect("honest").is_none());
    let taken = |node: &Node| node.scene.updater.taken_set().expect("it reads sets");
    assert_eq!(taken(&node).number, set.number);
    // From then on numbers bind again.
    let mut older = set.clone();
    older.number -= 1;
    let refused = set_error(node.refused(&older).await);
    assert!(matches!(refused, SetError::WentBack { .. }), "{refused}");
}

#[tokio::test]
async fn what_is_revoked_never_goes_back_not_even_with_a_pin() {
    let mut node = Node::trusting(2).await;
    let mut set = node.set();
    set.revoked = Some(list(&node.scene.log, 2));
    node.publish(&set);
    assert!(node.scene.update().await.expect("honest").is_some());
    let in_force = |node: &Node| node.scene.updater.revocation_list().map(|list| list.number);
    assert_eq!(in_force(&node), Some(2));

    for older in [Some(list(&node.scene.log, 1)), None] {
        let mut back = node.set();
        back.revoked = older;
        back.pin = Some(Pin {
            set: set.number,
            since: back.made,
            rolled_back_from: None,
        });
        let refused = node.refused(&back).await;
        let TrustError::Revocation(refused) = refused else {
            panic!("{refused}");
        };
        let is_older = matches!(
            refused,
            RevocationError::WentBack { .. } | RevocationError::Gone(2)
        );
        assert!(is_older, "{refused}");
        assert_eq!(in_force(&node), Some(2));
    }
}

#[tokio::test]
async fn a_list_that_the_ca_has_not_signed_is_refused_and_the_landmarks_are_taken() {
    let mut node = Node::writing(2).await;
    let mut set = node.set();
    let forged = Signer::new("32473.1");
    let list = RevocationList {
        ca: forged.id(),
        number: 9,
        issued: UnixTime(1_000),
        next: UnixTime(2_000),
        ranges: std::iter::empty().collect(),
    };
    set.revoked = Some(list.sign(forged.secret()).expect("few ranges"));
    node.publish(&set);
    node.scene.updated().await;
    node.scene.assert_trusted(2).await;
    assert_eq!(node.scene.updater.revocation_list(), None);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_read_again_when_it_is_whole() {
    let mut node = Node::trusting(1).await;
    node.scene.show(2, 550);
    node.writer
        .update(node.scene.log.now)
        .await
        .expect("honest");
    let set = node.set();
    let current = node.folder.path().join("current");
    std::fs::remove_file(&current).expect("a link");
    let octets = set.encode();
    std::fs::write(&current, &octets[..octets.len() / 2]).expect("written");
    let refused = node.scene.refused().await;
    let TrustError::SetFolder(SetFolderError::Set { source, .. }) = refused else {
        panic!("{refused}");
    };
    assert!(matches!(source, SetError::Checksum { .. }), "{source}");
    node.scene.assert_trusted(1).await;
    std::fs::write(&current, &octets).expect("written");
    assert_eq!(node.scene.updated().await, LandmarkNumber(2));
}

#[tokio::test]
async fn landmarks_of_a_set_expire_without_another_set() {
    let mut node = Node::trusting(2).await;
    let later = UnixTime(node.scene.log.now.0 + LIFETIME_SECONDS + 2);
    let trust = node.scene.updater.expire(later).expect("no fault");
    assert_eq!(trust.expect("other trust").newest_landmark(), None);
    let set = node.set();
    let expiry = verify_set(&set, &node.scene.log.policy(), node.scene.log.now);
    assert!(expiry.expect("a good set") <= Some(later));
    let kind = node.scene.handshake(CERTIFIED[0]).await;
    assert_eq!(kind, CertificateKind::Standalone);
}

#[tokio::test]
async fn sets_are_kept_by_number_until_they_are_removed() {
    let mut node = Node::writing(2).await;
    let (first, second) = (node.set(), node.set());
    node.publish(&first);
    node.publish(&second);
    let locked = node.locked();
    assert_eq!(
        locked.numbers().expect("a folder"),
        [first.number, second.number]
    );
    assert_eq!(locked.current().expect("a set"), second);
    assert_eq!(locked.set(first.number).expect("a set"), first);
    locked.remove(first.number).expect("it is there");
    let gone = locked.set(first.number).expect_err("it was removed");
    assert!(gone.is_absence(), "{gone}");
}
