//! What a relying party makes of what a log shows it: trust that peers' certificates verify with, or the old trust.

mod log;
mod next_log;
mod revoked;
mod server;
mod sets;
mod warnings;

use std::time::Duration;

use mtc_core::checkpoint::CheckpointError;
use mtc_core::id::{LandmarkNumber, TreeSize};
use mtc_core::landmark::LandmarkError;
use mtc_core::tree::ProofError;
use mtc_core::verify::PolicyError;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{CredentialSet, MtcTrust, Store};
use mtc_tls::endpoint::Endpoint;
use mtc_tls::handshake::{self, HandshakeError};
use mtc_tls::key::KeyAlgorithm;
use mtc_tls::kind::CertificateKind;
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::{ClientAuth, ConnectionProfile, Tickets, Tokens, TrustDomain, Via};
use mtc_tls::provider::KeyExchange;
use mtc_web::HttpError;
use sbi::trust::{TrustError, TrustUpdater};
use tokio::net::TcpListener;

use log::{CERTIFIED, FQDN, Log, SIZE, Signer};
use server::Server;

const DEADLINE: Duration = Duration::from_secs(10);
const TILE: usize = 256 * 32;

/// A log, the server that shows it, and a relying party that looks.
struct Scene {
    log: Log,
    server: Server,
    updater: TrustUpdater,
}

impl Scene {
    /// A log of which nothing is shown yet.
    async fn new() -> Self {
        Self::at(Server::start().await)
    }

    fn at(server: Server) -> Self {
        let log = Log::new();
        Self {
            updater: TrustUpdater::new(server.addr, [log.id.number()], log.policy())
                .expect("a short ID"),
            log,
            server,
        }
    }

    /// A scene in which the relying party trusts everything up to landmark `newest`.
    async fn trusting(newest: usize) -> Self {
        let mut scene = Self::new().await;
        scene.show(newest, SIZE);
        scene.updated().await;
        scene.assert_trusted(newest).await;
        scene
    }

    /// Shows the landmarks up to `newest`, and the tree of the first `size` entries cosigned to policy.
    fn show(&self, newest: usize, size: u64) {
        self.server.show("landmarks", self.log.landmarks(newest));
        self.show_tree(size);
    }

    fn show_tree(&self, size: u64) {
        self.show_checkpoint(size, &[&self.log.ca, &self.log.witness]);
        for (path, bytes) in self.log.tiles(size) {
            self.server.show(path.to_string(), bytes);
        }
    }

    fn show_checkpoint(&self, size: u64, signers: &[&Signer]) {
        self.server
            .show("checkpoint", self.log.checkpoint(size, signers));
    }

    /// Shows a tile as `change` makes it.
    fn change_tile(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let tiles = self.log.tiles(SIZE);
        let tile = tiles.into_iter().find(|(path, _)| path.to_string() == name);
        let (_, mut bytes) = tile.expect("a tile of the log");
        change(&mut bytes);
        self.server.show(name, bytes);
    }

    async fn update(&mut self) -> Result<Option<MtcTrust>, TrustError> {
        self.updater.update(self.log.now).await
    }

    /// The number of the newest landmark of an update that must bring new trust.
    async fn updated(&mut self) -> LandmarkNumber {
        let trust = self.update().await.expect("an honest log");
        let trust = trust.expect("new trust");
        let newest = trust.newest_landmark();
        assert_eq!(newest, self.updater.trust().newest_landmark());
        let (log, landmark) = newest.expect("a landmark");
        assert_eq!(log, self.log.id.number());
        landmark
    }

    async fn refused(&mut self) -> TrustError {
        self.update().await.expect_err("a dishonest log")
    }

    /// Exactly the landmarks up to `newest` are trusted, as handshakes with an NF certified below each of them show.
    async fn assert_trusted(&self, newest: usize) {
        let trust = self.updater.trust();
        let number = (newest > 0).then_some((self.log.id.number(), LandmarkNumber(newest as u64)));
        assert_eq!(trust.newest_landmark(), number);
        assert_eq!(trust.trusted_subtrees(), 2 * newest);
        for (landmark, index) in CERTIFIED.into_iter().enumerate() {
            let expected = if landmark < newest {
                CertificateKind::LandmarkRelative
            } else {
                CertificateKind::Standalone
            };
            assert_eq!(self.handshake(index).await, expected, "entry {index}");
        }
    }

    /// The kind of certificate with which the NF of entry `index` convinces the relying party.
    async fn handshake(&self, index: u64) -> CertificateKind {
        self.handshake_in(&self.log, index).await
    }

    /// The kind of certificate in a handshake with the NF of entry `index` of `log`.
    async fn handshake_in(&self, log: &Log, index: u64) -> CertificateKind {
        let shook_hands = self.try_handshake_in(log, index).await;
        shook_hands.expect("a certificate that verifies")
    }

    /// As [`Self::handshake`], which may fail.
    async fn try_handshake(&self, index: u64) -> Result<CertificateKind, HandshakeError> {
        self.try_handshake_in(&self.log, index).await
    }

    async fn try_handshake_in(
        &self,
        log: &Log,
        index: u64,
    ) -> Result<CertificateKind, HandshakeError> {
        let nothing_known = MtcTrust::new(log.policy());
        let nf = CredentialSet {
            mtc: vec![log.credential(index)],
            ..CredentialSet::new(nothing_known, Vec::new())
        };
        let relying_party = CredentialSet::new(self.updater.trust().clone(), Vec::new());
        let profile = ConnectionProfile {
            domain: TrustDomain::MtcLandmark,
            leaf_key: KeyAlgorithm::EcdsaP256,
            key_exchange: KeyExchange::X25519,
            tickets: Tickets::None,
            tokens: Tokens::Es256,
            via: Via::Direct,
            grease: false,
        };
        let expected = ExpectedPeer {
            fqdn: FQDN.to_owned(),
            instance_id: None,
            nf_type: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let (nf, relying_party) = (endpoint(nf), endpoint(relying_party));
        let accept = async {
            let (tcp, _) = listener.accept().await.expect("a connection");
            handshake::accept(tcp, &nf, ClientAuth::Optional, DEADLINE).await
        };
        let connect = handshake::connect(addr, &relying_party, profile, expected, DEADLINE);
        let (accepted, connected) = tokio::join!(accept, connect);
        let connected = connected?;
        accepted.expect("a handshake");
        Ok(connected.peer.kind)
    }
}

fn endpoint(set: CredentialSet) -> Endpoint {
    Endpoint::new(Store::new(set).receiver(), Clock::default())
}

#[tokio::test]
async fn landmarks_are_trusted_once_they_are_verified() {
    let mut scene = Scene::new().await;
    scene.assert_trusted(0).await;
    scene.show(1, 256);
    assert_eq!(scene.updated().await, LandmarkNumber(1));
    scene.assert_trusted(1).await;
    scene.show(2, 550);
    assert_eq!(scene.updated().await, LandmarkNumber(2));
    scene.assert_trusted(2).await;
    scene.show(3, SIZE);
    assert_eq!(scene.updated().await, LandmarkNumber(3));
    scene.assert_trusted(3).await;
}

// It could not be read: the client spoke HTTP/2 only.
#[tokio::test]
async fn a_server_of_static_files_will_do() {
    let mut scene = Scene::at(Server::start_static().await);
    scene.show(2, 550);
    assert_eq!(scene.updated().await, LandmarkNumber(2));
    scene.show(3, SIZE);
    assert_eq!(scene.updated().await, LandmarkNumber(3));
    scene.assert_trusted(3).await;
    assert!(scene.update().await.expect("an honest log").is_none());
    let asked = scene.server.asked();
    assert_eq!(asked.last().map(String::as_str), Some("/2/checkpoint"));
}

#[tokio::test]
async fn each_object_is_fetched_once() {
    let mut scene = Scene::new().await;
    scene.show(3, SIZE);
    scene.updated().await;
    let mut asked = scene.server.asked();
    asked.sort_unstable();
    assert_eq!(
        asked,
        [
            "/1/checkpoint",
            "/1/landmarks",
            "/1/tile/0/000",
            "/1/tile/0/001",
            "/1/tile/0/002.p/188",
            "/1/tile/1/000.p/2",
            "/2/checkpoint",
        ]
    );
}

// All tiles of all active landmarks were fetched anew at each landmark.
#[tokio::test]
async fn complete_tiles_are_fetched_once_in_the_life_of_a_log() {
    let mut scene = Scene::new().await;
    scene.show(1, 550);
    scene.updated().await;
    scene.server.asked();
    scene.show(3, SIZE);
    assert_eq!(scene.updated().await, LandmarkNumber(3));
    let mut asked = scene.server.asked();
    asked.retain(|path| path.contains("tile"));
    asked.sort_unstable();
    let new = ["/1/tile/0/001", "/1/tile/0/002.p/188", "/1/tile/1/000.p/2"];
    assert_eq!(asked, new, "tile/0/000 is known");
    scene.assert_trusted(3).await;
}

#[tokio::test]
async fn unchanged_landmarks_change_nothing_and_cost_two_requests() {
    let mut scene = Scene::trusting(2).await;
    scene.server.asked();
    scene.show_checkpoint(600, &[]);
    assert!(scene.update().await.unwrap().is_none());
    assert_eq!(scene.server.asked(), ["/1/landmarks", "/2/checkpoint"]);
    scene.assert_trusted(2).await;
}

#[tokio::test]
async fn a_log_without_active_landmarks_changes_nothing() {
    let mut scene = Scene::new().await;
    scene.show(0, SIZE);
    assert!(scene.update().await.unwrap().is_none());
    scene.server.show("landmarks", "1\n256 1000\n0 0\n");
    assert!(scene.update().await.unwrap().is_none());
    scene.assert_trusted(0).await;
}

#[tokio::test]
async fn landmarks_that_go_back_are_refused() {
    let mut scene = Scene::trusting(2).await;
    scene.show(1, SIZE);
    let error = scene.refused().await;
    assert!(
        matches!(
            error,
            TrustError::WentBack {
                before: LandmarkNumber(2),
                now: LandmarkNumber(1)
            }
        ),
        "{error:?}"
    );
    scene.assert_trusted(2).await;
    scene.show(3, SIZE);
    assert_eq!(scene.updated().await, LandmarkNumber(3));
}

#[tokio::test]
async fn a_checkpoint_without_the_witness_is_refused() {
    let mut scene = Scene::trusting(1).await;
    scene.show(2, SIZE);
    let (ca, witness) = (scene.log.ca.id(), scene.log.witness.id());
    scene.show_checkpoint(SIZE, &[&scene.log.ca]);
    let error = scene.refused().await;
    let TrustError::Policy(PolicyError::Quorum {
        required: 1,
        valid: 0,
        missing,
        invalid,
    }) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((missing, invalid), (vec![witness], vec![]));
    scene.assert_trusted(1).await;

    scene.show_checkpoint(SIZE, &[&scene.log.witness]);
    let error = scene.refused().await;
    assert!(
        matches!(&error, TrustError::Checkpoint(CheckpointError::NotSigned(id)) if *id == ca),
        "{error:?}"
    );
    scene.assert_trusted(1).await;
}

#[tokio::test]
async fn a_key_under_the_witness_s_name_is_not_the_witness() {
    let mut scene = Scene::trusting(1).await;
    scene.show(2, SIZE);
    let impostor = Signer::new("32473.9");
    scene.show_checkpoint(SIZE, &[&scene.log.ca, &impostor]);
    let error = scene.refused().await;
    assert!(
        matches!(error, TrustError::Policy(PolicyError::Quorum { .. })),
        "{error:?}"
    );
    scene.assert_trusted(1).await;
}

#[tokio::test]
async fn cosignatures_of_another_checkpoint_are_refused() {
    let mut scene = Scene::trusting(1).await;
    scene.show(2, SIZE);
    let signers: [&Signer; 2] = [&scene.log.ca, &scene.log.witness];
    let cosigned = scene.log.checkpoint(SIZE, &signers);
    let claimed = String::from_utf8(cosigned).unwrap();
    let claimed = claimed.replacen("\n700\n", "\n699\n", 1);
    scene.server.show("checkpoint", claimed);
    let error = scene.refused().await;
    assert!(
        matches!(
            error,
            TrustError::Checkpoint(CheckpointError::BadSignature(_))
        ),
        "{error:?}"
    );
    scene.assert_trusted(1).await;
}

#[tokio::test]
async fn a_landmark_beyond_the_checkpoint_is_dropped_and_older_ones_stay() {
    for (size, newest) in [(256, 1), (299, 1), (300, 2), (599, 2), (600, 3)] {
        let mut scene = Scene::new().await;
        scene.show(3, size);
        assert_eq!(
            scene.updated().await,
            LandmarkNumber(newest),
            "checkpoint of {size}"
        );
        scene.assert_trusted(newest as usize).await;
    }
}

#[tokio::test]
async fn a_checkpoint_below_every_landmark_is_refused() {
    let mut scene = Scene::new().await;
    scene.show(3, 255);
    let error = scene.refused().await;
    assert!(
        matches!(
            error,
            TrustError::Inconsistent {
                landmark: LandmarkNumber(1),
                size: TreeSize(255),
                source: ProofError::BeyondTree {
                    end: 256,
                    tree_size: TreeSize(255)
                },
            }
        ),
        "{error:?}"
    );
    scene.assert_trusted(0).await;
}

#[tokio::test]
async fn a_landmark_that_is_valid_later_is_picked_up_on_the_next_look() {
    let mut scene = Scene::new().await;
    scene.show(3, 550);
    assert_eq!(scene.updated().await, LandmarkNumber(2));
    scene.show_tree(SIZE);
    assert_eq!(
        scene.updated().await,
        LandmarkNumber(3),
        "the landmarks document is the same"
    );
    scene.assert_trusted(3).await;
    assert!(scene.update().await.unwrap().is_none());
}

// A look at an old checkpoint, or a damaged tile, once replaced what was trusted by less.
#[tokio::test]
async fn what_was_verified_stays_trusted_when_it_cannot_be_verified_again() {
    let mut scene = Scene::trusting(2).await;
    scene.show(3, 280);
    let error = scene.refused().await;
    assert!(
        matches!(
            error,
            TrustError::WentBack {
                before: LandmarkNumber(2),
                now: LandmarkNumber(1)
            }
        ),
        "{error:?}"
    );
    scene.assert_trusted(2).await;

    scene.show_tree(SIZE);
    scene.change_tile("tile/0/001", |tile| tile[0] ^= 1);
    let error = scene.refused().await;
    assert!(
        matches!(
            error,
            TrustError::WentBack {
                before: LandmarkNumber(2),
                now: LandmarkNumber(1)
            }
        ),
        "{error:?}"
    );
    scene.assert_trusted(2).await;

    scene.show_tree(SIZE);
    assert_eq!(scene.updated().await, LandmarkNumber(3));
}

#[tokio::test]
async fn a_flipped_bit_in_a_tile_of_the_first_landmark_is_refused() {
    for (name, hashes) in [
        ("tile/0/000", &[0, 1, 127, 128, 255][..]),
        ("tile/0/002.p/188", &[0, 1, 127, 128, 187]),
        ("tile/1/000.p/2", &[1]),
    ] {
        let mut scene = Scene::new().await;
        scene.show(3, SIZE);
        for &hash in hashes {
            scene.change_tile(name, |tile| tile[32 * hash + 31] ^= 0x80);
            let error = scene.refused().await;
            assert!(
                matches!(
                    error,
                    TrustError::Inconsistent {
                        landmark: LandmarkNumber(1),
                        size: TreeSize(SIZE),
                        source: ProofError::HashMismatch,
                    }
                ),
                "{name} {hash}: {error:?}"
            );
            scene.assert_trusted(0).await;
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_tile_of_a_later_landmark_drops_it() {
    let inside = [0, 31, 32, 43, 44, 128, 255].map(|hash| ("tile/0/001", hash));
    // The hash of [0, 256), which the proofs of landmark 1 go around.
    let above = ("tile/1/000.p/2", 0);
    for (name, hash) in inside.into_iter().chain([above]) {
        let mut scene = Scene::new().await;
        scene.show(3, SIZE);
        scene.change_tile(name, |tile| tile[32 * hash] ^= 1);
        assert_eq!(scene.updated().await, LandmarkNumber(1), "{name} {hash}");
        scene.assert_trusted(1).await;
        scene.show_tree(SIZE);
        assert_eq!(scene.updated().await, LandmarkNumber(3), "{name} {hash}");
    }
}

#[tokio::test]
async fn a_tile_of_another_length_is_refused() {
    for length in [0, 1, TILE - 32, TILE - 1, TILE + 1, TILE + 32] {
        let mut scene = Scene::new().await;
        scene.show(3, SIZE);
        scene.change_tile("tile/0/000", |tile| tile.resize(length, 0));
        let error = scene.refused().await;
        assert!(
            matches!(&error, TrustError::Tile(path) if path.to_string() == "tile/0/000"),
            "{length}: {error:?}"
        );
        scene.assert_trusted(0).await;
    }
}

#[tokio::test]
async fn a_tile_of_another_length_drops_a_later_landmark() {
    let mut scene = Scene::new().await;
    scene.show(3, SIZE);
    scene.change_tile("tile/0/001", |tile| tile.truncate(TILE - 1));
    assert_eq!(scene.updated().await, LandmarkNumber(1));
    scene.assert_trusted(1).await;
}

#[tokio::test]
async fn an_object_that_the_log_does_not_show_is_named() {
    for name in ["landmarks", "checkpoint", "tile/0/000"] {
        let mut scene = Scene::new().await;
        scene.show(3, SIZE);
        scene.server.hide(name);
        let error = scene.refused().await;
        let TrustError::Fetch { url, source } = error else {
            panic!("{error:?}");
        };
        let (addr, number) = (scene.server.addr, scene.log.id.number());
        assert_eq!(url, format!("http://{addr}/{number}/{name}"));
        assert!(
            matches!(source, HttpError::Status(status) if status == 404),
            "{source:?}"
        );
        scene.assert_trusted(0).await;
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_reached_leaves_the_old_trust() {
    let mut scene = Scene::trusting(2).await;
    scene.server.stop().await;
    for _ in 0..2 {
        let error = scene.refused().await;
        assert!(
            matches!(&error, TrustError::Fetch { url, .. } if url.ends_with("/1/landmarks")),
            "{error:?}"
        );
    }
    scene.assert_trusted(2).await;
}

#[tokio::test]
async fn what_is_no_landmarks_document_is_refused() {
    let mut scene = Scene::trusting(1).await;
    scene.server.show("landmarks", [0xff, b'\n']);
    let error = scene.refused().await;
    assert!(matches!(error, TrustError::NotText), "{error:?}");
    for (document, expected) in [
        ("", LandmarkError::Malformed(1)),
        ("2\n", LandmarkError::Malformed(2)),
        (
            "2\n256 9999999999\n300 9999999999\n0 0\n",
            LandmarkError::SizeOrder(3),
        ),
        ("2\n300 9999999999\n", LandmarkError::NoExpired),
    ] {
        scene.server.show("landmarks", document);
        let error = scene.refused().await;
        assert!(
            matches!(&error, TrustError::Landmarks(found) if *found == expected),
            "{document:?}: {error:?}"
        );
    }
    scene.assert_trusted(1).await;
}

#[tokio::test]
async fn sizes_that_no_tree_has_are_beyond_the_checkpoint() {
    for size in [u64::MAX, 1 << 63, (1 << 48) + 1] {
        let mut scene = Scene::new().await;
        scene.show(1, SIZE);
        scene
            .server
            .show("landmarks", format!("1\n{size} {}\n0 0\n", u64::MAX));
        let error = scene.refused().await;
        assert!(
            matches!(
                error,
                TrustError::Inconsistent {
                    landmark: LandmarkNumber(1),
                    source: ProofError::BeyondTree { .. },
                    ..
                }
            ),
            "{size}: {error:?}"
        );
        scene.assert_trusted(0).await;
    }
}

#[tokio::test]
async fn the_checkpoint_of_another_log_is_refused() {
    let mut scene = Scene::trusting(1).await;
    scene.show(2, SIZE);
    let signers: [&Signer; 2] = [&scene.log.ca, &scene.log.witness];
    let own = String::from_utf8(scene.log.checkpoint(SIZE, &signers)).unwrap();
    scene
        .server
        .show("checkpoint", own.replacen(".0.1\n", ".0.2\n", 1));
    let error = scene.refused().await;
    assert!(
        matches!(
            error,
            TrustError::Checkpoint(CheckpointError::Origin { .. })
        ),
        "{error:?}"
    );
    scene.assert_trusted(1).await;
}
