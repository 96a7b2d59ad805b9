//! Checkpoints, the notes that carry them and the cosignatures on them, byte by byte (c2sp.org/signed-note,
//! tlog-checkpoint, tlog-cosignature).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mtc_core::checkpoint::{
    Checkpoint, CheckpointError, SignedCheckpoint, sign_subtree_line, verify_subtree_line,
};
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{LogId, LogNumber, TreeSize, TrustAnchorId};
use mtc_core::note::{MAX_NOTE, MAX_SIGNATURES, NoteError, NoteSignature, SignedNote};
use mtc_core::time::UnixTime;
use mtc_core::tree::Subtree;
use sha2::{Digest, Sha256};

const WITNESS: &str = "oid/1.3.6.1.4.1.32473.9";
const ORIGIN: &str = "oid/1.3.6.1.4.1.32473.1.0.1";
const WHEN: UnixTime = UnixTime(1_795_305_600);

/// A log's checkpoint and somebody who cosigns it.
struct Scene {
    log: LogId,
    secret: SecretKey,
    witness: Cosigner,
    checkpoint: Checkpoint,
}

impl Scene {
    fn new() -> Self {
        let ca = "32473.1".parse().expect("an ID");
        let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
        let witness = Cosigner {
            id: "32473.9".parse().expect("an ID"),
            key: secret.public_key().expect("a key"),
        };
        Self {
            log: LogId::new(ca, LogNumber::FIRST).expect("short"),
            secret,
            witness,
            checkpoint: Checkpoint {
                origin: ORIGIN.to_owned(),
                size: TreeSize(1027),
                root: [0xab; 32],
            },
        }
    }

    fn line(&self) -> NoteSignature {
        let Self {
            log,
            secret,
            witness,
            checkpoint,
        } = self;
        checkpoint
            .cosign(log, &witness.id, secret, WHEN)
            .expect("a key that signs")
    }

    fn verify(&self, signatures: Vec<NoteSignature>) -> Result<UnixTime, CheckpointError> {
        let note = SignedNote {
            text: self.checkpoint.to_text(),
            signatures,
        };
        let signed = SignedCheckpoint::parse(note.encode().as_bytes(), &self.log)?;
        signed.verify(&self.log, &self.witness)
    }
}

/// The CosignedMessage of Section 5.3, written out.
fn message(timestamp: u64, start: u64, end: u64, hash: [u8; 32]) -> Vec<u8> {
    [
        b"subtree/v1\n\0",
        &[WITNESS.len() as u8][..],
        WITNESS.as_bytes(),
        &timestamp.to_be_bytes(),
        &[ORIGIN.len() as u8],
        ORIGIN.as_bytes(),
        &start.to_be_bytes(),
        &end.to_be_bytes(),
        &hash,
    ]
    .concat()
}

#[test]
fn a_cosigned_checkpoint_is_laid_out_as_c2sp_says() {
    let scene = Scene::new();
    let line = scene.line();
    let note = SignedNote {
        text: scene.checkpoint.to_text(),
        signatures: vec![line.clone()],
    }
    .encode();
    let signed = STANDARD.encode([&line.key_id[..], &line.signature].concat());
    let root = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=";
    assert_eq!(
        note,
        format!("{ORIGIN}\n1027\n{root}\n\n\u{2014} {WITNESS} {signed}\n")
    );
    let key_id = Sha256::new()
        .chain_update(WITNESS)
        .chain_update(b"\n\x06")
        .chain_update(scene.witness.key.raw())
        .finalize();
    assert_eq!(line.key_id, key_id[..4]);
    assert_eq!(line.signature.len(), 8 + 2420);
    let (timestamp, signature) = line.signature.split_at(8);
    assert_eq!(timestamp, WHEN.0.to_be_bytes());
    let message = message(WHEN.0, 0, 1027, [0xab; 32]);
    assert!(scene.witness.key.verifies(&message, signature));
    assert_eq!(scene.verify(vec![line]), Ok(WHEN));
}

#[test]
fn a_subtree_line_has_timestamp_0_and_is_the_cosignature_of_certificates() {
    let Scene {
        log,
        secret,
        witness,
        ..
    } = Scene::new();
    let subtree = Subtree::new(1024, 1027).expect("valid");
    let hash = [7; 32];
    let line = sign_subtree_line(&log, &witness.id, &secret, UnixTime(0), subtree, &hash);
    let line = line.expect("a key that signs");
    assert_eq!(line.signature[..8], [0; 8]);
    assert!(
        witness
            .key
            .verifies(&message(0, 1024, 1027, hash), &line.signature[8..])
    );
    let verify = |subtree, hash| {
        let lines = [line.clone()];
        verify_subtree_line(&lines, &witness, &log, subtree, hash).map(|(time, _)| time)
    };
    assert_eq!(verify(subtree, &hash), Ok(UnixTime(0)));
    let bad = Err(CheckpointError::BadSignature(witness.id));
    assert_eq!(verify(Subtree::new(1024, 1026).expect("valid"), &hash), bad);
    assert_eq!(verify(subtree, &[8; 32]), bad);
}

#[test]
fn lines_of_others_are_ignored_and_one_that_claims_to_be_known_must_verify() {
    let scene = Scene::new();
    let line = scene.line();
    let id = scene.witness.id;
    let of_another_name = NoteSignature {
        name: "oid/1.3.6.1.4.1.32473.10".to_owned(),
        ..line.clone()
    };
    let mut of_another_key = line.clone();
    of_another_key.key_id[3] ^= 1;
    let nothing_known = vec![of_another_name.clone(), of_another_key.clone()];
    assert_eq!(
        scene.verify(nothing_known),
        Err(CheckpointError::NotSigned(id))
    );
    let among_others = vec![of_another_name, line.clone(), of_another_key];
    assert_eq!(scene.verify(among_others), Ok(WHEN));

    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut damaged = line.clone();
        change(&mut damaged.signature);
        damaged
    };
    for bad in [
        damaged(&|signature| signature[7] ^= 1),
        damaged(&|signature| signature[8] ^= 1),
        damaged(&|signature| signature[2427] ^= 1),
        damaged(&|signature| signature.truncate(8)),
        damaged(&|signature| signature.truncate(7)),
        damaged(&|signature| signature.push(0)),
    ] {
        let expected = Err(CheckpointError::BadSignature(id));
        assert_eq!(scene.verify(vec![bad.clone()]), expected);
        assert_eq!(scene.verify(vec![line.clone(), bad.clone()]), expected);
        assert_eq!(scene.verify(vec![bad, line.clone()]), expected);
    }
}

#[test]
fn a_cosignature_of_one_checkpoint_is_none_of_another() {
    let mut scene = Scene::new();
    let line = scene.line();
    let bad = Err(CheckpointError::BadSignature(scene.witness.id));
    scene.checkpoint.size.0 += 1;
    assert_eq!(scene.verify(vec![line.clone()]), bad);
    scene.checkpoint.size.0 -= 1;
    scene.checkpoint.root[31] ^= 1;
    assert_eq!(scene.verify(vec![line.clone()]), bad);
    scene.checkpoint.root[31] ^= 1;
    assert_eq!(scene.verify(vec![line]), Ok(WHEN));
}

#[test]
fn checkpoint_cosignatures_are_ml_dsa_44() {
    let scene = Scene::new();
    let line = scene.line();
    for algorithm in SignatureAlgorithm::ALL {
        if algorithm == SignatureAlgorithm::MlDsa44 {
            continue;
        }
        let secret = SecretKey::generate(algorithm).expect("randomness");
        let other = Cosigner {
            id: scene.witness.id,
            key: secret.public_key().expect("a key"),
        };
        let unsupported = CheckpointError::UnsupportedKey(algorithm);
        let signed = scene
            .checkpoint
            .cosign(&scene.log, &other.id, &secret, WHEN);
        assert_eq!(signed, Err(unsupported.clone()));
        let note = SignedNote {
            text: scene.checkpoint.to_text(),
            signatures: vec![line.clone()],
        };
        let signed = SignedCheckpoint::parse(note.encode().as_bytes(), &scene.log);
        let verdict = signed.expect("well formed").verify(&scene.log, &other);
        assert_eq!(verdict, Err(unsupported));
    }
}

#[test]
fn notes_are_bounded() {
    let line = NoteSignature {
        name: "a".to_owned(),
        key_id: [0; 4],
        signature: vec![1],
    };
    let note = |text: String, lines| SignedNote {
        text,
        signatures: vec![line.clone(); lines],
    };
    let parse = |note: &SignedNote| SignedNote::parse(note.encode().as_bytes());
    let most = note("text\n".to_owned(), MAX_SIGNATURES);
    assert_eq!(parse(&most), Ok(most));
    let more = note("text\n".to_owned(), MAX_SIGNATURES + 1);
    assert_eq!(parse(&more), Err(NoteError::TooManySignatures));
    let around = note("\n".to_owned(), 1).encode().len();
    let longest = note("a".repeat(MAX_NOTE - around) + "\n", 1);
    assert_eq!(longest.encode().len(), MAX_NOTE);
    assert!(parse(&longest).is_ok());
    let longer = note("a".repeat(MAX_NOTE - around + 1) + "\n", 1);
    assert_eq!(parse(&longer), Err(NoteError::NotText));
}

/// The names in signed text follow from the IDs; an ID reads back from its name.
#[test]
fn names_in_signed_text_are_absolute() {
    let id: TrustAnchorId = "32473.9".parse().expect("an ID");
    assert_eq!(id.signed_text_name(), WITNESS);
    assert_eq!(TrustAnchorId::from_signed_text_name(WITNESS), Ok(id));
    assert_eq!(Scene::new().log.origin(), ORIGIN);
}
