//! Cosigners of every algorithm, as the CA and as a witness: what they signed counts and nothing near it.

use mtc_core::cosign::{Cosignature, CosignedMessage, Cosigner, SignatureAlgorithm};
use mtc_core::id::{LogId, LogNumber, TreeSize, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, Subtree};
use mtc_core::verify::{Basis, CaTrust, CosignerGroup, PolicyError, Rejection};

use crate::{CA, trust_in};
use test_support::mtca::{Mtca, Signer};
use test_support::parts::Parts;

const WITNESS: &str = "32473.9";

/// The certificate of a log whose CA's cosignatures are beyond doubt when the witness is asked about.
struct Scene {
    mtca: Mtca,
    whole: Subtree,
    hash: Hash,
}

impl Scene {
    fn new() -> Self {
        let mtca = crate::log_of(1, 5);
        let whole = Subtree::whole(TreeSize(5));
        let hash = mtca.hash(whole);
        Self { mtca, whole, hash }
    }

    fn message<'a>(&'a self, cosigner: &'a TrustAnchorId) -> CosignedMessage<'a> {
        CosignedMessage {
            cosigner,
            log: &self.mtca.log,
            timestamp: UnixTime(0),
            subtree: self.whole,
            hash: &self.hash,
        }
    }

    fn certificate(&self, cosignatures: &[&Cosignature]) -> Vec<u8> {
        let mut parts = Parts::of(&self.mtca.certificate(3, self.whole, &[]));
        parts.cosignatures = cosignatures
            .iter()
            .map(|one| (one.cosigner_id.as_bytes().to_vec(), one.signature.clone()))
            .collect();
        parts
            .cosignatures
            .sort_by_key(|(id, _)| (id.len(), id.clone()));
        parts.encode()
    }
}

/// A cosigner in one of its two roles, the trust that asks for its cosignature, and what is said when that is no good.
struct Role {
    signer: Signer,
    trust: CaTrust,
    /// Cosignature of the CA, when the cosigner is a witness.
    of_the_ca: Option<Cosignature>,
}

impl Role {
    fn both(scene: &Scene, algorithm: SignatureAlgorithm) -> [Self; 2] {
        let ca = Signer::new(CA, algorithm);
        let witness = Signer::new(WITNESS, algorithm);
        let of_the_ca = scene
            .mtca
            .ca
            .sign(&scene.message(&scene.mtca.ca.cosigner.id));
        [
            Self {
                trust: trust_in(&ca),
                signer: ca,
                of_the_ca: None,
            },
            Self {
                trust: requiring(&scene.mtca.ca, &witness.cosigner),
                signer: witness,
                of_the_ca: Some(of_the_ca),
            },
        ]
    }

    fn id(&self) -> &TrustAnchorId {
        &self.signer.cosigner.id
    }

    fn verdict(
        &self,
        scene: &Scene,
        cosignature: Option<&Cosignature>,
    ) -> Result<Basis, Rejection> {
        let cosignatures: Vec<_> = self.of_the_ca.iter().chain(cosignature).collect();
        let accepted = self
            .trust
            .verify_issuance(&scene.certificate(&cosignatures))?;
        Ok(accepted.basis)
    }

    fn invalid(&self) -> Rejection {
        match self.of_the_ca {
            None => PolicyError::Invalid(*self.id()),
            Some(_) => PolicyError::Quorum {
                required: 1,
                valid: 0,
                missing: Vec::new(),
                invalid: vec![*self.id()],
            },
        }
        .into()
    }

    fn missing(&self) -> Rejection {
        match self.of_the_ca {
            None => PolicyError::NoCaCosignature(*self.id()),
            Some(_) => PolicyError::Quorum {
                required: 1,
                valid: 0,
                missing: vec![*self.id()],
                invalid: Vec::new(),
            },
        }
        .into()
    }
}

fn requiring(ca: &Signer, witness: &Cosigner) -> CaTrust {
    let group = CosignerGroup::new(vec![witness.clone()], 1).expect("one of one");
    trust_in(ca).require(group).expect("not the CA")
}

fn every_role(test: impl Fn(&Scene, &Role, SignatureAlgorithm)) {
    let scene = Scene::new();
    for algorithm in SignatureAlgorithm::ALL {
        for role in Role::both(&scene, algorithm) {
            test(&scene, &role, algorithm);
        }
    }
}

#[test]
fn what_a_cosigner_signed_is_accepted_and_needed() {
    every_role(|scene, role, algorithm| {
        let cosignature = role.signer.sign(&scene.message(role.id()));
        assert_eq!(
            role.verdict(scene, Some(&cosignature)),
            Ok(Basis::Cosignatures),
            "{algorithm}"
        );
        assert_eq!(
            role.verdict(scene, None),
            Err(role.missing()),
            "{algorithm}"
        );
    });
}

#[test]
fn a_message_that_differs_in_one_field_is_not_what_was_signed() {
    let log = |ca: &str, number| {
        let ca: TrustAnchorId = ca.parse().expect("an ID");
        LogId::new(ca, LogNumber::new(number).expect("a log number")).expect("short")
    };
    let (other_log, other_ca_log) = (log(CA, 2), log("32473.2", 1));
    let other_id: TrustAnchorId = "32473.8".parse().expect("an ID");
    every_role(|scene, role, algorithm| {
        let right = scene.message(role.id());
        let subtree = |start, end| Subtree::new(start, end).expect("valid");
        let other_hash = [0xab; 32];
        let wrong = [
            (
                "cosigner",
                CosignedMessage {
                    cosigner: &other_id,
                    ..right
                },
            ),
            (
                "log number",
                CosignedMessage {
                    log: &other_log,
                    ..right
                },
            ),
            (
                "log's CA",
                CosignedMessage {
                    log: &other_ca_log,
                    ..right
                },
            ),
            (
                "timestamp",
                CosignedMessage {
                    timestamp: UnixTime(1),
                    ..right
                },
            ),
            (
                "end",
                CosignedMessage {
                    subtree: subtree(0, 4),
                    ..right
                },
            ),
            (
                "start",
                CosignedMessage {
                    subtree: subtree(4, 5),
                    ..right
                },
            ),
            (
                "hash",
                CosignedMessage {
                    hash: &other_hash,
                    ..right
                },
            ),
        ];
        for (field, message) in wrong {
            let cosignature = Cosignature {
                cosigner_id: *role.id(),
                ..role.signer.sign(&message)
            };
            assert_eq!(
                role.verdict(scene, Some(&cosignature)),
                Err(role.invalid()),
                "{field}, {algorithm}"
            );
        }
    });
}

#[test]
fn a_signature_by_another_key_or_algorithm_under_the_same_id_is_invalid() {
    let scene = Scene::new();
    let by_algorithm = SignatureAlgorithm::ALL.map(|algorithm| Role::both(&scene, algorithm));
    for roles in &by_algorithm {
        for others in &by_algorithm {
            for (role, other) in roles.iter().zip(others) {
                let same = role.signer.cosigner.key == other.signer.cosigner.key;
                let cosignature = other.signer.sign(&scene.message(role.id()));
                let verdict = role.verdict(&scene, Some(&cosignature));
                let expected = if same {
                    Ok(Basis::Cosignatures)
                } else {
                    Err(role.invalid())
                };
                assert_eq!(
                    verdict, expected,
                    "{:?} for {:?}",
                    other.signer.cosigner, role.signer.cosigner
                );
            }
        }
    }
}

#[test]
fn another_key_of_the_same_algorithm_does_not_verify() {
    let scene = Scene::new();
    for algorithm in SignatureAlgorithm::ALL {
        let stranger = Signer::new("32473.77", algorithm);
        for role in Role::both(&scene, algorithm) {
            let cosignature = stranger.sign(&scene.message(role.id()));
            let verdict = role.verdict(&scene, Some(&cosignature));
            assert_eq!(verdict, Err(role.invalid()), "{algorithm}");
        }
    }
}

#[test]
fn a_signature_of_another_length_is_invalid() {
    every_role(|scene, role, algorithm| {
        let right = role.signer.sign(&scene.message(role.id()));
        let whole = &right.signature;
        for (what, signature) in [
            ("none", Vec::new()),
            ("one byte", vec![0]),
            ("the last cut", whole[..whole.len() - 1].to_vec()),
            ("the first cut", whole[1..].to_vec()),
            ("one more", [whole, &[0][..]].concat()),
            ("one before", [&[0][..], whole].concat()),
            ("twice", [&whole[..], whole].concat()),
        ] {
            let cosignature = Cosignature {
                signature,
                ..right.clone()
            };
            assert_eq!(
                role.verdict(scene, Some(&cosignature)),
                Err(role.invalid()),
                "{what}, {algorithm}"
            );
        }
    });
}

#[test]
fn a_cosigner_that_nobody_named_is_ignored_whatever_it_signed() {
    let stranger = Signer::new("32473.10.1", SignatureAlgorithm::Ed25519);
    every_role(|scene, role, algorithm| {
        let cosignature = role.signer.sign(&scene.message(role.id()));
        let ignored = Cosignature {
            cosigner_id: stranger.cosigner.id,
            signature: vec![1, 2, 3],
        };
        let mut all: Vec<_> = role.of_the_ca.iter().collect();
        all.extend([&cosignature, &ignored]);
        let verdict = role.trust.verify_issuance(&scene.certificate(&all));
        assert!(verdict.is_ok(), "{algorithm}: {verdict:?}");
        all.remove(all.len() - 2);
        let verdict = role.trust.verify_issuance(&scene.certificate(&all));
        assert_eq!(verdict, Err(role.missing()), "{algorithm}");
    });
}
