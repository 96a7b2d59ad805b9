//! Fixed values: object identifiers where the draft puts them, and the accumulated test vectors of its appendix, every
//! subtree, inclusion proof, consistency proof and cover of trees up to 130 leaves, condensed into one SHA-256 each.
//!
//! Source: draft-ietf-plants-merkle-tree-certs-07, "Accumulated Test Vectors"; leaf `i` is the single byte `i`. To remake:
//! print one ASCII line a case as each function below does and hash the lines.

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{CertificateFields, MtcProof, is_mtc};
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{EntryIndex, LogNumber, TreeSize};
use mtc_core::time::UnixTime;
use mtc_core::tree::{
    Hash, HashReader, MemoryTree, Subtree, consistency_proof, covering_subtrees,
    evaluate_inclusion, inclusion_proof, inclusion_proof_length, leaf_hash, subtree_hash,
    verify_consistency,
};
use mtc_core::{der, hex};
use sha2::{Digest, Sha256};

const LARGEST: u64 = 130;

fn tree(size: u64) -> MemoryTree {
    (0..size).map(|leaf| leaf_hash(&[leaf as u8])).collect()
}

fn spaced(hashes: &[Hash]) -> String {
    hashes
        .iter()
        .map(|hash| format!(" {}", hex::encode(hash)))
        .collect()
}

fn read<T>(result: Result<T, <MemoryTree as HashReader>::Error>) -> T {
    let Ok(value) = result;
    value
}

fn valid_subtrees(largest_end: u64) -> impl Iterator<Item = Subtree> {
    (0..=largest_end)
        .flat_map(|end| (0..=end).filter_map(move |start| Subtree::new(start, end).ok()))
}

#[test]
fn subtree_hashes() {
    let mut digest = Sha256::new();
    let tree = tree(LARGEST);
    for subtree in valid_subtrees(LARGEST) {
        digest.update(format!(
            "{subtree} {}\n",
            hex::encode(&read(subtree_hash(&tree, subtree)))
        ));
    }
    assert_eq!(
        hex::encode(&digest.finalize()),
        "b82806ad4265bb151c1119c0f4db437bb4d1a1f887b3a7fba1cd4ebf552e3e81"
    );
}

#[test]
fn inclusion_proofs() {
    let mut digest = Sha256::new();
    let tree = tree(LARGEST);
    for subtree in valid_subtrees(LARGEST) {
        let expected = read(subtree_hash(&tree, subtree));
        for index in subtree.start()..subtree.end() {
            let proof = read(inclusion_proof(&tree, EntryIndex(index), subtree));
            assert_eq!(
                proof.len(),
                inclusion_proof_length(EntryIndex(index), subtree)
            );
            assert_eq!(
                evaluate_inclusion(
                    EntryIndex(index),
                    subtree,
                    leaf_hash(&[index as u8]),
                    &proof
                ),
                Ok(expected)
            );
            digest.update(format!("{index} {subtree}{}\n", spaced(&proof)));
        }
    }
    assert_eq!(
        hex::encode(&digest.finalize()),
        "ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f"
    );
}

#[test]
fn consistency_proofs() {
    let mut digest = Sha256::new();
    for size in 0..=LARGEST {
        let tree = tree(size);
        for subtree in valid_subtrees(size) {
            let proof = read(consistency_proof(&tree, subtree, TreeSize(size)));
            let node = read(subtree_hash(&tree, subtree));
            assert_eq!(
                verify_consistency(subtree, TreeSize(size), &node, &tree.root(), &proof),
                Ok(())
            );
            digest.update(format!("{subtree} {size}{}\n", spaced(&proof)));
        }
    }
    assert_eq!(
        hex::encode(&digest.finalize()),
        "10fa99b37bf9bf9ffa26b412fbd98bd75363256d0b75d61bc4538b9c9c5a0a74"
    );
}

#[test]
fn covering_subtrees_of_every_interval() {
    let mut digest = Sha256::new();
    for end in 0..=LARGEST {
        for start in 0..=end {
            let [left, right] = covering_subtrees(start, end);
            digest.update(format!("{left} {right}\n"));
        }
    }
    assert_eq!(
        hex::encode(&digest.finalize()),
        "7fd9c8b926e9d2b5cf831560e8ce295a5ef97ad5c5ede4ea0dea28a8c8fc8bb0"
    );
}

/// DER of an OBJECT IDENTIFIER given in dotted decimal.
fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted
        .split('.')
        .map(|arc| arc.parse().expect("a number"))
        .collect();
    let mut contents = Vec::new();
    for arc in [&[arcs[0] * 40 + arcs[1]], &arcs[2..]].concat() {
        let groups = (0..10).rev().map(|group| (arc >> (7 * group)) & 0x7f);
        let mut groups: Vec<u8> = groups.map(|group| group as u8 | 0x80).collect();
        let leading = groups.iter().take_while(|group| **group == 0x80).count();
        groups.drain(..leading.min(9));
        *groups.last_mut().expect("one at least") &= 0x7f;
        contents.extend(groups);
    }
    der::element(der::OID, &[&contents])
}

/// AlgorithmIdentifier with the parameters omitted.
fn algorithm(dotted: &str) -> Vec<u8> {
    der::element(der::SEQUENCE, &[&oid(dotted)])
}

fn ca(algorithm: SignatureAlgorithm) -> Cosigner {
    let secret = SecretKey::generate(algorithm).expect("randomness");
    Cosigner {
        id: "32473.1".parse().expect("an ID"),
        key: secret.public_key().expect("a key"),
    }
}

/// A name of one attribute.
fn name(attribute_type: &str, value: &[u8]) -> Vec<u8> {
    let attribute = der::element(der::SEQUENCE, &[&oid(attribute_type), value]);
    der::element(der::SEQUENCE, &[&der::element(der::SET, &[&attribute])])
}

#[test]
fn certificates_have_the_fields_and_identifiers_of_the_draft() {
    let ca = ca(SignatureAlgorithm::Ed25519);
    let empty = der::element(der::SEQUENCE, &[]);
    let spki = ca.key.to_spki();
    let fields = CertificateFields {
        issuer: &ca.id,
        not_before: UnixTime(0),
        not_after: UnixTime(2_524_608_000),
        subject: &empty,
        spki: &spki,
        extensions: &empty,
    };
    let proof = MtcProof {
        extensions: vec![(7, vec![9])],
        subtree: Subtree::new(4, 6).expect("valid"),
        inclusion_proof: vec![[0xaa; 32]],
        signatures: Vec::new(),
    };
    let certificate = fields
        .certificate(
            LogNumber::new(2).expect("a log number"),
            EntryIndex(5),
            &proof,
        )
        .expect("within the limits");
    let mtc_proof = algorithm("1.3.6.1.5.5.7.6.67");
    let validity = [
        der::element(der::UTC_TIME, &[b"700101000000Z"]),
        der::element(der::GENERALIZED_TIME, &[b"20500101000000Z"]),
    ];
    let issuer = name("1.3.6.1.5.5.7.25.3", &[0x0d, 4, 0x81, 0xfd, 0x59, 1]);
    let tbs = der::element(
        der::SEQUENCE,
        &[
            &[0xa0, 3, 2, 1, 2],
            &[2, 7, 2, 0, 0, 0, 0, 0, 5],
            &mtc_proof,
            &issuer,
            &der::element(der::SEQUENCE, &[&validity.concat()]),
            &empty,
            &spki,
            &der::element(0xa3, &[&empty]),
        ],
    );
    let signature = [
        &[0][..],
        &[0, 5, 0, 7, 0, 1, 9],
        &[0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 6],
        &[0, 32],
        &[0xaa; 32],
        &[0, 0, 0],
    ]
    .concat();
    let signature = der::element(der::BIT_STRING, &[&signature]);
    assert_eq!(
        hex::encode(&certificate),
        hex::encode(&der::element(
            der::SEQUENCE,
            &[&tbs, &mtc_proof, &signature]
        ))
    );
    assert!(is_mtc(&certificate));
    let ed25519 = algorithm("1.3.101.112");
    let other = der::element(der::SEQUENCE, &[&tbs, &ed25519, &signature]);
    assert!(!is_mtc(&other) && !is_mtc(&tbs) && !is_mtc(b""));
}

#[test]
fn ca_certificates_have_the_fields_and_identifiers_of_the_draft() {
    for (key_algorithm, signature_algorithm) in [
        (SignatureAlgorithm::MlDsa44, "2.16.840.1.101.3.4.3.17"),
        (SignatureAlgorithm::MlDsa65, "2.16.840.1.101.3.4.3.18"),
        (SignatureAlgorithm::MlDsa87, "2.16.840.1.101.3.4.3.19"),
        (SignatureAlgorithm::Ed25519, "1.3.101.112"),
        (SignatureAlgorithm::EcdsaP256, "1.2.840.10045.4.3.2"),
        (SignatureAlgorithm::EcdsaP384, "1.2.840.10045.4.3.3"),
    ] {
        let cosigner = ca(key_algorithm);
        let spki = cosigner.key.to_spki();
        let certificate = CaCertificate {
            cosigner,
            min_serial: 1,
            max_serial: 0x80,
            prefix_url: Some("http://nrf".to_owned()),
        };
        let extension = |dotted: &str, critical: &[u8], value: &[u8]| {
            let value = der::element(der::OCTET_STRING, &[value]);
            der::element(der::SEQUENCE, &[&oid(dotted), critical, &value])
        };
        let critical = [1, 1, 0xff];
        let serials = der::element(
            der::SEQUENCE,
            &[&algorithm(signature_algorithm), &[2, 1, 1, 2, 2, 0, 0x80]],
        );
        let extensions = [
            extension("2.5.29.15", &critical, &[3, 2, 2, 4]),
            extension("2.5.29.19", &critical, &[0x30, 3, 1, 1, 0xff]),
            extension("1.3.6.1.5.5.7.1.38", &critical, &serials),
            extension("1.3.6.1.4.1.64829.2.1", &[], b"\x16\x0ahttp://nrf"),
        ];
        let unsigned = algorithm("1.3.6.1.5.5.7.6.36");
        let tbs = der::element(
            der::SEQUENCE,
            &[
                &[0xa0, 3, 2, 1, 2],
                &[2, 1, 1],
                &unsigned,
                &name("1.3.6.1.5.5.7.25.1", &[0x0c, 0]),
                &der::element(
                    der::SEQUENCE,
                    &[&UnixTime(0).to_der(), &UnixTime(1).to_der()],
                ),
                &name("1.3.6.1.5.5.7.25.3", &[0x0d, 4, 0x81, 0xfd, 0x59, 1]),
                &spki,
                &der::element(
                    0xa3,
                    &[&der::element(der::SEQUENCE, &[&extensions.concat()])],
                ),
            ],
        );
        let whole = der::element(der::SEQUENCE, &[&tbs, &unsigned, &[3, 1, 0]]);
        assert_eq!(
            hex::encode(&certificate.to_der(UnixTime(0), UnixTime(1))),
            hex::encode(&whole),
            "{key_algorithm}"
        );
    }
}

#[test]
fn public_keys_have_the_identifiers_of_their_algorithms() {
    let [ecdsa, p256, p384] = ["1.2.840.10045.2.1", "1.2.840.10045.3.1.7", "1.3.132.0.34"].map(oid);
    for (key_algorithm, identifier) in [
        (SignatureAlgorithm::Ed25519, oid("1.3.101.112")),
        (
            SignatureAlgorithm::EcdsaP256,
            [ecdsa.clone(), p256].concat(),
        ),
        (SignatureAlgorithm::EcdsaP384, [ecdsa, p384].concat()),
        (SignatureAlgorithm::MlDsa44, oid("2.16.840.1.101.3.4.3.17")),
        (SignatureAlgorithm::MlDsa65, oid("2.16.840.1.101.3.4.3.18")),
        (SignatureAlgorithm::MlDsa87, oid("2.16.840.1.101.3.4.3.19")),
    ] {
        let key = ca(key_algorithm).key;
        let bits = [&[0][..], key.raw()].concat();
        let spki = der::element(
            der::SEQUENCE,
            &[
                &der::element(der::SEQUENCE, &[&identifier]),
                &der::element(der::BIT_STRING, &[&bits]),
            ],
        );
        assert_eq!(
            hex::encode(&key.to_spki()),
            hex::encode(&spki),
            "{key_algorithm}"
        );
    }
}
