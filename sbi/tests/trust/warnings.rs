//! What a relying party warns of: once when something is wrong, not at each look.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use mtc_core::id::{LandmarkNumber, LogNumber};
use tracing::Level;
use tracing::subscriber::DefaultGuard;

use super::Scene;
use super::log::SIZE;

/// Warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<u8>>>);

impl Warnings {
    fn listen() -> (Self, DefaultGuard) {
        let warnings = Self::default();
        let written = warnings.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::WARN)
            .with_writer(move || written.clone())
            .finish();
        (warnings, tracing::subscriber::set_default(subscriber))
    }

    fn of(&self, message: &str) -> usize {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).matches(message).count()
    }
}

impl io::Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const DROPPED: &str = "dropped a landmark";
const IN_PART: &str = "the newest log was read only in part";

#[tokio::test]
async fn each_state_of_a_log_is_warned_of_once() {
    let (warnings, _listening) = Warnings::listen();
    let mut scene = Scene::new().await;
    // Landmark 2 does not verify, so that each look brings the one below it again.
    scene.show(3, SIZE);
    scene.change_tile("tile/0/001", |tile| tile[0] ^= 1);
    let second = LogNumber::new(2).expect("a log number");
    for times in 1..=2 {
        // Whether the CA has gone on with another log cannot be said.
        scene.server.show_in(second, "checkpoint", "no note");
        for _ in 0..3 {
            assert_eq!(scene.updated().await, LandmarkNumber(1));
            assert_eq!((warnings.of(DROPPED), warnings.of(IN_PART)), (1, times));
        }
        scene.server.hide_in(second, "checkpoint");
        assert_eq!(scene.updated().await, LandmarkNumber(1));
    }
    scene.show(3, SIZE);
    assert_eq!(scene.updated().await, LandmarkNumber(3));
    assert_eq!((warnings.of(DROPPED), warnings.of(IN_PART)), (1, 2));
}
