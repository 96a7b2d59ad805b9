//! The CA goes on with another log: what of the old one is trusted, for how long, and how the new one is found.

use std::time::Duration;

use mtc_core::id::{LandmarkNumber, LogNumber};
use mtc_core::time::UnixTime;
use mtc_tls::kind::CertificateKind;
use sbi::trust::{LOOK_AHEAD, TrustError};

use super::Scene;
use super::log::{CERTIFIED, LIFETIME_SECONDS, Log, SIZE, Signer};

fn number(number: u64) -> LogNumber {
    LogNumber::new(number).expect("a log number")
}

impl Scene {
    /// Shows another log's landmarks up to `newest`, and its tree.
    fn show_log(&self, log: &Log, newest: usize) {
        self.show_log_signed(log, newest, &[&log.ca, &log.witness]);
    }

    fn show_log_signed(&self, log: &Log, newest: usize, signers: &[&Signer]) {
        let show = |name: &str, bytes: Vec<u8>| self.server.show_in(log.id.number(), name, bytes);
        show("landmarks", log.landmarks(newest).into_bytes());
        show("checkpoint", log.checkpoint(SIZE, signers));
        for (path, bytes) in log.tiles(SIZE) {
            show(&path.to_string(), bytes);
        }
    }

    fn newest(&self) -> Option<(u64, u64)> {
        let newest = self.updater.trust().newest_landmark();
        newest.map(|(log, landmark)| (log.get().into(), landmark.0))
    }

    /// Shows the CA's second log, which has the landmarks up to `newest`, to a relying party with two landmarks of the first.
    async fn switched(newest: usize) -> (Self, Log) {
        let mut scene = Self::trusting(2).await;
        let second = scene.log.sibling(2);
        scene.show_log(&second, newest);
        scene.update().await.expect("honest logs");
        (scene, second)
    }
}

#[tokio::test]
async fn until_the_new_log_has_landmarks_those_of_the_old_one_serve() {
    let (scene, second) = Scene::switched(0).await;
    assert!(
        scene.updater.has_caught_up((number(1), LandmarkNumber(99))),
        "log 2 is known"
    );
    assert!(!scene.updater.has_caught_up((number(2), LandmarkNumber(1))));
    scene.assert_trusted(2).await;
    assert_eq!(
        scene.handshake_in(&second, CERTIFIED[0]).await,
        CertificateKind::Standalone
    );
}

#[tokio::test]
async fn certificates_of_both_logs_are_accepted_and_fall_back_to_standalone_in_the_old_one() {
    let (scene, second) = Scene::switched(1).await;
    assert_eq!(scene.newest(), Some((2, 1)));
    assert_eq!(scene.updater.trust().trusted_subtrees(), 2 * 2 + 2);
    assert!(scene.updater.has_caught_up((number(2), LandmarkNumber(1))));
    for (log, index, expected) in [
        (&second, CERTIFIED[0], CertificateKind::LandmarkRelative),
        (&second, CERTIFIED[1], CertificateKind::Standalone),
        (&scene.log, CERTIFIED[0], CertificateKind::Standalone),
        (&scene.log, CERTIFIED[2], CertificateKind::Standalone),
    ] {
        assert_eq!(scene.handshake_in(log, index).await, expected);
    }
}

#[tokio::test]
async fn what_is_trusted_of_the_old_log_stays_until_it_expires_even_if_it_is_lost() {
    let (mut scene, second) = Scene::switched(3).await;
    scene.server.lose(number(1));
    // Its landmark 1 expires at LIFETIME_SECONDS + 1, and so does that of the second log.
    for (after, newest, subtrees) in [
        (0, Some((2, 3)), 4 + 6),
        (1, Some((2, 3)), 2 + 4),
        (2, Some((2, 3)), 2),
        (3, None, 0),
    ] {
        let now = scene
            .log
            .now
            .plus(Duration::from_secs(LIFETIME_SECONDS + after));
        scene
            .updater
            .update(now)
            .await
            .expect("the second log is honest");
        assert_eq!(scene.newest(), newest, "{after}");
        assert_eq!(
            scene.updater.trust().trusted_subtrees(),
            subtrees,
            "{after}"
        );
    }
    assert_eq!(
        scene.handshake_in(&second, CERTIFIED[0]).await,
        CertificateKind::Standalone
    );
}

#[tokio::test]
async fn a_lost_old_log_is_no_error_and_is_not_asked_for_ever() {
    let (mut scene, _) = Scene::switched(3).await;
    scene.server.lose(number(1));
    assert!(
        scene
            .update()
            .await
            .expect("the second log is honest")
            .is_none()
    );
    let later = UnixTime(scene.log.now.0 + LIFETIME_SECONDS + 2);
    scene.updater.update(later).await.expect("expired");
    scene.server.asked();
    scene.updater.update(later).await.expect("unchanged");
    assert_eq!(
        scene.server.asked(),
        ["/2/landmarks", "/3/checkpoint"],
        "log 1 has nothing any more"
    );
}

#[tokio::test]
async fn a_next_log_without_the_witness_is_refused() {
    let mut scene = Scene::trusting(2).await;
    let second = scene.log.sibling(2);
    for signers in [&[&*second.ca][..], &[&*second.witness], &[]] {
        scene.show_log_signed(&second, 3, signers);
        let error = scene.refused().await;
        assert!(
            matches!(error, TrustError::Checkpoint(_) | TrustError::Policy(_)),
            "{error:?}"
        );
        assert!(!scene.updater.has_caught_up((number(1), LandmarkNumber(3))));
        scene.assert_trusted(2).await;
    }
    // The old log is followed as before.
    scene.show(3, SIZE);
    assert_eq!(scene.updated().await, LandmarkNumber(3));
}

#[tokio::test]
async fn another_ca_s_log_is_not_the_next_one() {
    let mut scene = Scene::trusting(1).await;
    let foreign = Log::new().sibling(2);
    scene.show_log(&foreign, 1);
    let error = scene.refused().await;
    assert!(matches!(error, TrustError::Checkpoint(_)), "{error:?}");
    scene.assert_trusted(1).await;
}

#[tokio::test]
async fn logs_that_are_gone_are_passed_over() {
    let mut scene = Scene::trusting(1).await;
    let fourth = scene.log.sibling(4);
    scene.server.lose(number(2));
    scene.server.lose(number(3));
    scene.show_log(&fourth, 2);
    scene
        .update()
        .await
        .expect("an honest log")
        .expect("new trust");
    assert_eq!(scene.newest(), Some((4, 2)));
}

#[tokio::test]
async fn a_server_that_says_that_all_logs_are_gone_is_asked_a_bounded_number_of_times() {
    let mut scene = Scene::trusting(1).await;
    for gone in 2..2 + 2 * LOOK_AHEAD {
        scene.server.lose(number(gone));
    }
    scene.server.asked();
    assert!(scene.update().await.expect("log 1 is honest").is_none());
    assert_eq!(scene.server.asked().len() as u64, 1 + LOOK_AHEAD);
    scene.assert_trusted(1).await;
}

#[tokio::test]
async fn a_party_that_was_away_finds_the_newest_of_many_logs() {
    let mut scene = Scene::new().await;
    scene.show(1, SIZE);
    for next in 2..=4 {
        let log = scene.log.sibling(next);
        scene.show_log(&log, 1);
    }
    scene
        .update()
        .await
        .expect("honest logs")
        .expect("new trust");
    assert_eq!(scene.newest(), Some((4, 1)));
    assert_eq!(scene.updater.trust().trusted_subtrees(), 4 * 2);
}

// The landmarks of a log that was found were once trusted only when there was another one.
#[tokio::test]
async fn what_was_found_is_trusted_though_the_log_after_it_is_refused() {
    let mut scene = Scene::trusting(1).await;
    let (second, third) = (scene.log.sibling(2), scene.log.sibling(3));
    scene.show_log(&second, 2);
    scene.show_log_signed(&third, 2, &[&third.ca]);
    scene
        .update()
        .await
        .expect("an honest second log")
        .expect("new trust");
    assert_eq!(scene.newest(), Some((2, 2)));
    scene.refused().await;
    assert_eq!(scene.newest(), Some((2, 2)));
}
