//! Every error there is, and what makes it: a variant that nothing produces is dead, one that no test produces is a guess.
//!
//! The variants are read from the source, so that a new one fails [`every_variant_of_every_error_is_produced`] until
//! something here produces it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::time::Duration;

use mtc_core::ca::{CaCertificate, CaError};
use mtc_core::certificate::{Certificate, CertificateError, MtcProof};
use mtc_core::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use mtc_core::cosign::{Cosigner, KeyError, PublicKey, SecretKey, SignatureAlgorithm};
use mtc_core::der::{self, DerError};
use mtc_core::entry::{EntryBody, EntryError, MAX_ENTRY, MtcLogEntry};
use mtc_core::id::{EntryIndex, IdError, LogId, LogNumber, TreeSize, TrustAnchorId, serial};
use mtc_core::landmark::{LandmarkError, LandmarkSequence};
use mtc_core::note::{NoteError, NoteSignature, SignedNote};
use mtc_core::properties::{AnchorPattern, CertificateProperties, PatternError, PropertiesError};
use mtc_core::revocation_list::{MAX_RANGES, RevocationList, RevocationListError};
use mtc_core::time::UnixTime;
use mtc_core::tlog_proof::{MAX_PROOF, TlogProof, TlogProofError};
use mtc_core::tree::{ProofError, Subtree, evaluate_inclusion, verify_consistency};
use mtc_core::verify::{
    CaTrust, CosignerGroup, PolicyError, Rejection, RevokedRange, RevokedRanges,
};
use mtc_core::vkey::{self, VkeyError};
use mtc_core::wire::{self, Reader, WireError};
use mtc_core::x509::{EndEntity, Role, UsageError, X509Error, extension};

use crate::{CA, log_of, serial_of, subtrees, trust_in};
use test_support::mtca::{Mtca, Signer};
use test_support::parts::Parts;

/// What the crypto library would have to fail for.
const NOT_PRODUCIBLE: [(&str, &str); 3] = [
    ("KeyError", "Generation"),
    ("KeyError", "Signing"),
    ("RevocationListError", "Key"),
];

/// The enums that are errors of the public interface; [`mtc_core::tile::TilePathError`] is none, having no variants.
const ERRORS: [&str; 20] = [
    "CaError",
    "CertificateError",
    "CheckpointError",
    "DerError",
    "EntryError",
    "IdError",
    "KeyError",
    "LandmarkError",
    "NoteError",
    "PatternError",
    "PolicyError",
    "ProofError",
    "PropertiesError",
    "Rejection",
    "RevocationListError",
    "TlogProofError",
    "UsageError",
    "VkeyError",
    "WireError",
    "X509Error",
];

/// Which variants have been seen, as (enum, variant).
#[derive(Default)]
struct Seen(BTreeSet<(String, String)>);

impl Seen {
    /// Requires that something fails with exactly this error, and notes it under its enum's name.
    #[track_caller]
    fn fails<T: Debug, E: Debug + PartialEq>(&mut self, result: Result<T, E>, expected: E) {
        let error = result.expect_err("it should fail");
        assert_eq!(error, expected);
        let name = std::any::type_name::<E>()
            .rsplit("::")
            .next()
            .expect("a name");
        let shown = format!("{error:?}");
        let variant = shown.split([' ', '(', '{']).next().expect("a name");
        self.0.insert((name.to_owned(), variant.to_owned()));
    }
}

#[test]
fn every_variant_of_every_error_is_produced() {
    let mut seen = Seen::default();
    identifiers(&mut seen);
    structures(&mut seen);
    trees(&mut seen);
    certificates(&mut seen);
    policies(&mut seen);
    rejections(&mut seen);
    keys(&mut seen);
    landmarks(&mut seen);
    notes_and_checkpoints(&mut seen);
    verifier_keys(&mut seen);
    detached_proofs(&mut seen);
    revocation_lists(&mut seen);
    certificate_properties(&mut seen);
    ca_certificates(&mut seen);
    x509_certificates(&mut seen);

    let declared = declared_variants();
    let enums: BTreeSet<&str> = declared.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(enums, BTreeSet::from(ERRORS), "the errors of the interface");
    let not_producible =
        NOT_PRODUCIBLE.map(|(name, variant)| (name.to_owned(), variant.to_owned()));
    let expected: BTreeSet<_> = &declared - &BTreeSet::from(not_producible);
    let unseen: Vec<_> = expected.difference(&seen.0).collect();
    assert!(unseen.is_empty(), "nothing produces {unseen:?}");
    let unknown: Vec<_> = seen.0.difference(&declared).collect();
    assert!(unknown.is_empty(), "not declared: {unknown:?}");
}

/// A certificate with these extensions, valid from second 1000 to second 2000; `algorithm` stands inside tbsCertificate.
fn x509_certificate(algorithm: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let ed25519 = der::element(der::SEQUENCE, &[&[6, 3, 0x2b, 0x65, 0x70]]);
    let empty = der::element(der::SEQUENCE, &[]);
    let validity = [UnixTime(1000).to_der(), UnixTime(2000).to_der()].concat();
    let list = der::element(der::SEQUENCE, &[&extensions.concat()]);
    let tbs = [
        &[0xa0, 3, 2, 1, 2][..],
        &der::unsigned_integer(1),
        &der::element(der::SEQUENCE, &[algorithm]),
        &empty,
        &der::element(der::SEQUENCE, &[&validity]),
        &empty,
        &empty,
        &der::element(der::context(3), &[&list]),
    ]
    .concat();
    let tbs = der::element(der::SEQUENCE, &[&tbs]);
    der::element(der::SEQUENCE, &[&tbs, &ed25519, &der::bit_string(&[])])
}

fn x509_certificates(seen: &mut Seen) {
    const ED25519: &[u8] = &[6, 3, 0x2b, 0x65, 0x70];
    const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
    const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
    const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
    const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
    const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
    let parse = |der: &[u8]| EndEntity::parse(der).map(drop);
    let certificate = |extensions: &[Vec<u8>]| x509_certificate(ED25519, extensions);
    let malformed = parse(&[0x30, 1]).expect_err("a certificate is longer");
    let X509Error::Field { source, .. } = malformed else {
        panic!("{malformed:?}")
    };
    seen.fails(
        parse(&[0x30, 1]),
        X509Error::Field {
            field: "Certificate",
            source,
        },
    );
    let other = x509_certificate(&[6, 3, 0x2b, 0x65, 0x71], &[]);
    seen.fails(parse(&other), X509Error::AlgorithmMismatch);
    let usage = extension(KEY_USAGE, true, &[3, 2, 7, 0x80]);
    seen.fails(
        parse(&certificate(&[usage.clone(), usage])),
        X509Error::DuplicateExtension("keyUsage".to_owned()),
    );
    let many: Vec<_> = (0..65)
        .map(|arc| extension(&[0x2a, 3, arc], false, &[5, 0]))
        .collect();
    seen.fails(parse(&certificate(&many)), X509Error::TooManyExtensions);

    let check = |extensions: &[Vec<u8>], now: u64| {
        let der = certificate(extensions);
        EndEntity::parse(&der)?.check_usage(UnixTime(now), None)
    };
    let (not_before, not_after) = (UnixTime(1000), UnixTime(2000));
    let now = UnixTime(999);
    seen.fails(check(&[], 999), UsageError::NotYetValid { not_before, now });
    let now = UnixTime(2001);
    seen.fails(check(&[], 2001), UsageError::Expired { not_after, now });
    let ca = extension(BASIC_CONSTRAINTS, true, &[0x30, 3, 1, 1, 0xff]);
    seen.fails(check(&[ca], 1500), UsageError::CaCertificate);
    let usage = extension(KEY_USAGE, true, &[3, 2, 1, 6]);
    seen.fails(check(&[usage], 1500), UsageError::KeyUsage);
    let for_a_server = |extensions: &[Vec<u8>]| {
        let der = certificate(extensions);
        EndEntity::parse(&der)?.check_name("a.example")
    };
    let wanted = "a.example".to_owned();
    let names = String::new();
    seen.fails(for_a_server(&[]), UsageError::Name { wanted, names });
    let name = extension(SUBJECT_ALT_NAME, true, b"\x30\x0b\x82\x09a.example");
    assert_eq!(for_a_server(&[name]), Ok(()));
    let unknown = extension(NAME_CONSTRAINTS, true, &[0x30, 0]);
    let name = "nameConstraints".to_owned();
    seen.fails(
        check(&[unknown], 1500),
        UsageError::UnknownCriticalExtension(name),
    );
    let der = certificate(&[]);
    let as_client =
        EndEntity::parse(&der).map(|leaf| leaf.check_usage(UnixTime(1500), Some(Role::Client)));
    seen.fails(as_client.expect("a certificate"), UsageError::KeyUsage);
    let mail = extension(
        EXT_KEY_USAGE,
        false,
        &[0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 4],
    );
    seen.fails(
        check(&[mail], 1500),
        UsageError::ExtendedKeyUsage("clientAuth and serverAuth"),
    );
    let broken = check(&[extension(KEY_USAGE, true, &[5, 0])], 1500);
    let Err(UsageError::Malformed(X509Error::Field {
        field: "keyUsage",
        source,
    })) = broken.clone()
    else {
        panic!("{broken:?}")
    };
    let field = "keyUsage";
    seen.fails(
        broken,
        UsageError::Malformed(X509Error::Field { field, source }),
    );
    let mut version_1 = certificate(&[]);
    let version = version_1
        .windows(5)
        .position(|part| part == [0xa0, 3, 2, 1, 2]);
    version_1[version.expect("v3") + 4] = 0;
    seen.fails(parse(&version_1), X509Error::Version);
}

/// Every variant of every `pub enum ...Error`, and of `Rejection`, in the source.
fn declared_variants() -> BTreeSet<(String, String)> {
    let mut variants = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the source") {
            let path = entry.expect("the source").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(&path).expect("text");
            let mut of = None;
            for line in source.lines() {
                if let Some(declaration) = line.strip_prefix("pub enum ") {
                    let name = declaration.trim_end_matches(" {");
                    of = (name.ends_with("Error") || name == "Rejection").then(|| name.to_owned());
                } else if line == "}" {
                    of = None;
                } else if let (Some(name), Some(variant)) = (&of, line.strip_prefix("    "))
                    && variant.starts_with(|first: char| first.is_ascii_uppercase())
                {
                    let end = variant.find([' ', '(', ',']).expect("a punctuated variant");
                    variants.insert((name.clone(), variant[..end].to_owned()));
                }
            }
        }
    }
    variants
}

fn id(text: &str) -> TrustAnchorId {
    text.parse().expect("a trust anchor ID")
}

fn identifiers(seen: &mut Seen) {
    seen.fails(
        "1..2".parse::<TrustAnchorId>(),
        IdError::NotDotted("1..2".to_owned()),
    );
    seen.fails(TrustAnchorId::from_bytes(&[]), IdError::Length(0));
    seen.fails(id("1").child(&[1; 32]), IdError::Length(33));
    seen.fails(TrustAnchorId::from_bytes(&[0x80, 1]), IdError::Component);
    seen.fails(TrustAnchorId::from_name(&[0x30, 0]), IdError::NotAName);
    seen.fails(LogNumber::new(0), IdError::LogNumber(0));
    seen.fails(
        LogId::from_origin("oid/1.3.6.1.4.1.1.2"),
        IdError::NotALog(id("1.2")),
    );
    seen.fails(
        serial(LogNumber::FIRST, EntryIndex(1 << 48)),
        IdError::EntryIndex(EntryIndex(1 << 48)),
    );
}

fn structures(seen: &mut Seen) {
    let vector = |bytes| Reader::new(bytes).vector(2);
    seen.fails(vector(&[0, 2, 1]), WireError::Truncated);
    seen.fails(Reader::new(&[1]).finish(), WireError::TrailingBytes(1));
    seen.fails(
        wire::put_vector(&mut Vec::new(), &[0; 256], 1, "a name"),
        WireError::TooLong("a name"),
    );

    seen.fails(der::only(&[2, 2, 1], der::INTEGER), DerError::Truncated);
    seen.fails(
        der::only(&[2, 1, 1], der::SEQUENCE),
        DerError::UnexpectedTag {
            expected: der::SEQUENCE,
            found: der::INTEGER,
        },
    );
    seen.fails(
        der::only(&[2, 0x81, 1, 1], der::INTEGER),
        DerError::NotDistinguished,
    );
    seen.fails(
        der::only(&[2, 1, 1, 0], der::INTEGER),
        DerError::TrailingBytes(1),
    );
    seen.fails(
        der::unsigned(&[0x80]),
        DerError::InvalidValue("INTEGER: negative"),
    );

    let entry = |extensions, contents| MtcLogEntry {
        extensions,
        body: EntryBody::TbsCert(contents),
    };
    seen.fails(
        MtcLogEntry::decode(&[0]),
        EntryError::Wire(WireError::Truncated),
    );
    seen.fails(
        entry(vec![(2, vec![]), (1, vec![])], vec![]).encode(),
        EntryError::ExtensionOrder {
            previous: 2,
            found: 1,
        },
    );
    seen.fails(
        MtcLogEntry::decode(&[0, 0, 0, 2]),
        EntryError::UnknownType(2),
    );
    seen.fails(
        entry(vec![], vec![0; MAX_ENTRY - 3]).encode(),
        EntryError::TooLong(MAX_ENTRY + 1),
    );
}

fn trees(seen: &mut Seen) {
    let whole = Subtree::whole(TreeSize(5));
    let hash = [0; 32];
    seen.fails(
        Subtree::new(2, 5),
        ProofError::InvalidSubtree { start: 2, end: 5 },
    );
    seen.fails(
        evaluate_inclusion(EntryIndex(5), whole, hash, &[]),
        ProofError::IndexOutside {
            index: EntryIndex(5),
            start: 0,
            end: 5,
        },
    );
    seen.fails(
        evaluate_inclusion(EntryIndex(4), whole, hash, &[]),
        ProofError::WrongLength,
    );
    seen.fails(
        verify_consistency(whole, TreeSize(4), &hash, &hash, &[]),
        ProofError::BeyondTree {
            end: 5,
            tree_size: TreeSize(4),
        },
    );
    seen.fails(
        verify_consistency(whole, TreeSize(5), &hash, &[1; 32], &[]),
        ProofError::HashMismatch,
    );
}

/// A certificate with something changed, read again.
fn reading(change: impl FnOnce(&mut Parts)) -> Result<u64, CertificateError> {
    let mtca = log_of(1, 3);
    let mut parts = Parts::of(&mtca.standalone(1, 0, &[&mtca.ca]));
    change(&mut parts);
    Certificate::parse(&parts.encode()).map(|certificate| certificate.serial)
}

/// An AlgorithmIdentifier without parameters.
fn algorithm(oid: &[u8]) -> Vec<u8> {
    der::element(der::SEQUENCE, &[&der::element(der::OID, &[oid])])
}

fn certificates(seen: &mut Seen) {
    assert!(reading(|_| {}).is_ok());
    seen.fails(
        Certificate::parse(&[]).map(|_| ()),
        CertificateError::Der(DerError::Truncated),
    );
    let ed25519 = algorithm(&[0x2b, 0x65, 0x70]);
    let early = algorithm(&[0x2b, 6, 1, 4, 1, 0x82, 0xda, 0x4b, 47, 0]);
    seen.fails(
        reading(|parts| parts.outer_algorithm = ed25519.clone()),
        CertificateError::NotMtc,
    );
    seen.fails(
        reading(|parts| parts.inner_algorithm = ed25519),
        CertificateError::NotMtc,
    );
    seen.fails(
        reading(|parts| parts.outer_algorithm = early.clone()),
        CertificateError::Experimental,
    );
    seen.fails(
        reading(|parts| parts.inner_algorithm = early),
        CertificateError::Experimental,
    );
    seen.fails(
        reading(|parts| parts.version = vec![0xa0, 3, 2, 1, 1]),
        CertificateError::Version,
    );
    seen.fails(
        reading(|parts| parts.set_serial(0)),
        CertificateError::SerialRange,
    );
    seen.fails(
        reading(|parts| parts.cosignatures[0].0 = vec![0x80, 1]),
        CertificateError::Id(IdError::Component),
    );
    seen.fails(
        reading(|parts| parts.after_proof = vec![0]),
        CertificateError::Proof(WireError::TrailingBytes(1)),
    );
    seen.fails(
        reading(|parts| parts.extensions = [[0, 7, 0, 0], [0, 7, 0, 0]].concat()),
        CertificateError::Extensions(EntryError::ExtensionOrder {
            previous: 7,
            found: 7,
        }),
    );
    seen.fails(
        reading(|parts| (parts.start, parts.end) = (1, 3)),
        CertificateError::Subtree(ProofError::InvalidSubtree { start: 1, end: 3 }),
    );
    seen.fails(reading(|parts| parts.hashes.push(0)), {
        let hashes = Parts::of(&log_of(1, 3).standalone(1, 0, &[])).hashes.len();
        CertificateError::HashLength(hashes + 1)
    });
    seen.fails(
        reading(|parts| parts.cosignatures.push(parts.cosignatures[0].clone())),
        CertificateError::CosignerOrder(id(CA)),
    );
    // Issuing has the same bounds.
    let proof = MtcProof {
        extensions: Vec::new(),
        subtree: Subtree::whole(TreeSize(1)),
        inclusion_proof: vec![[0; 32]; 2048],
        signatures: Vec::new(),
    };
    seen.fails(
        proof.encode(),
        CertificateError::Proof(WireError::TooLong("inclusion proof")),
    );
}

fn policies(seen: &mut Seen) {
    let [ca, witness] =
        [CA, "32473.9"].map(|id| Signer::new(id, SignatureAlgorithm::Ed25519).cosigner);
    let group = |members: &[&Cosigner], required| {
        CosignerGroup::new(members.iter().map(|one| (*one).clone()).collect(), required)
    };
    seen.fails(
        group(&[&witness], 0),
        PolicyError::Group {
            required: 0,
            members: 1,
        },
    );
    seen.fails(
        group(&[&witness], 2),
        PolicyError::Group {
            required: 2,
            members: 1,
        },
    );
    seen.fails(
        group(&[&witness, &witness], 1),
        PolicyError::Member(witness.id),
    );
    let of_the_ca = group(&[&ca], 1).expect("one of one");
    let trust = trust_in(&Signer::new(CA, SignatureAlgorithm::Ed25519));
    seen.fails(
        trust.clone().require(of_the_ca).map(|_| ()),
        PolicyError::Member(ca.id),
    );

    let quorum = group(&[&witness], 1).expect("one of one");
    let mtca = log_of(1, 3);
    let trust = trust.require(quorum).expect("not the CA");
    let verdict = |change: &dyn Fn(&mut Parts)| {
        let mut parts = Parts::of(&mtca.standalone(1, 0, &[&mtca.ca]));
        change(&mut parts);
        match trust.verify_issuance(&parts.encode()) {
            Err(Rejection::Policy(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    };
    let no_cosignatures = verdict(&|parts| parts.cosignatures.clear());
    seen.fails::<(), _>(no_cosignatures, PolicyError::NoCaCosignature(ca.id));
    let damaged = verdict(&|parts| parts.cosignatures[0].1[9] ^= 1);
    seen.fails::<(), _>(damaged, PolicyError::Invalid(ca.id));
    seen.fails::<(), _>(
        verdict(&|_| {}),
        PolicyError::Quorum {
            required: 1,
            valid: 0,
            missing: vec![witness.id],
            invalid: vec![],
        },
    );
}

fn rejections(seen: &mut Seen) {
    let mtca = log_of(1, 3);
    let whole = Subtree::whole(TreeSize(3));
    let certificate = mtca.certificate(1, whole, &[]);
    let changed = |change: &dyn Fn(&mut Parts)| {
        let mut parts = Parts::of(&certificate);
        change(&mut parts);
        parts.encode()
    };
    let mut trust = trust_in(&mtca.ca).with_trusted_subtrees([mtca.trusted(whole)]);
    assert!(trust.verify_issuance(&certificate).is_ok());
    seen.fails(
        trust.verify_issuance(&changed(&|parts| parts.unused_bits = 1)),
        Rejection::Malformed(DerError::InvalidValue("BIT STRING: unused bits").into()),
    );
    let other_ca = Mtca::new("32473.2", 1, SignatureAlgorithm::Ed25519, &[]);
    seen.fails(
        trust_in(&other_ca.ca).verify_issuance(&certificate),
        Rejection::UnknownIssuer(other_ca.ca.cosigner.id),
    );
    seen.fails(
        trust.verify_issuance(&changed(&|parts| parts.set_serial(1))),
        Rejection::Serial(IdError::LogNumber(0)),
    );
    seen.fails(
        trust.verify_issuance(&changed(&|parts| parts.hashes.clear())),
        Rejection::Inclusion(ProofError::WrongLength),
    );
    seen.fails(
        trust.verify_issuance(&changed(&|parts| parts.hashes[0] ^= 1)),
        Rejection::TrustedSubtreeMismatch(whole),
    );
    let other = subtrees(3)
        .find(|subtree| *subtree != whole)
        .expect("a smaller one");
    let elsewhere = trust.with_trusted_subtrees([mtca.trusted(other)]);
    seen.fails(
        elsewhere.verify_issuance(&certificate),
        Rejection::Policy(PolicyError::NoCaCosignature(mtca.ca.cosigner.id)),
    );
    let serial = serial_of(&mtca, 1);
    trust.revoke(RevokedRange {
        first: serial,
        last: serial,
    });
    seen.fails(
        trust.verify_issuance(&certificate),
        Rejection::Revoked(serial),
    );
    let narrow = CaTrust::ca_alone(&CaCertificate {
        cosigner: mtca.ca.cosigner,
        min_serial: 1,
        max_serial: 2,
        prefix_url: None,
    });
    seen.fails(
        narrow.verify_issuance(&certificate),
        Rejection::OutsideRange {
            serial,
            first: 1,
            last: 2,
        },
    );
}

fn keys(seen: &mut Seen) {
    let ed25519 = SignatureAlgorithm::Ed25519;
    seen.fails(
        "rsa".parse::<SignatureAlgorithm>(),
        KeyError::UnknownName("rsa".to_owned()),
    );
    seen.fails(
        PublicKey::from_spki(&[]),
        KeyError::Der(DerError::Truncated),
    );
    let unknown = der::element(
        der::SEQUENCE,
        &[&algorithm(&[0x2a]), &der::bit_string(&[1])],
    );
    seen.fails(
        PublicKey::from_spki(&unknown),
        KeyError::UnsupportedAlgorithm,
    );
    seen.fails(
        PublicKey::from_raw(ed25519, &[0; 31]),
        KeyError::Malformed(ed25519),
    );
    seen.fails(
        SecretKey::from_pkcs8(ed25519, &[]).map(|_| ()),
        KeyError::Malformed(ed25519),
    );
}

fn landmarks(seen: &mut Seen) {
    let (hour, now) = (Duration::from_secs(3600), UnixTime(1_000_000));
    let mut sequence = LandmarkSequence::new();
    seen.fails(
        sequence.allocate(TreeSize::EMPTY, now, hour, hour),
        LandmarkError::NotGrown(TreeSize::EMPTY),
    );
    sequence
        .allocate(TreeSize(5), now, hour, hour)
        .expect("grown");
    seen.fails(
        sequence.allocate(TreeSize(6), now, hour, hour),
        LandmarkError::TooEarly(now.plus(hour)),
    );
    for (document, error) in [
        ("1\n5 2000000\n0 0", LandmarkError::Malformed(1)),
        (
            "2\n5 2000000\n6 2000000\n0 0\n",
            LandmarkError::SizeOrder(3),
        ),
        (
            "2\n6 2000000\n5 2000001\n0 0\n",
            LandmarkError::ExpiryOrder(3),
        ),
        ("1\n0 2000000\n0 0\n", LandmarkError::Zero(2)),
        ("0\n0 0\n0 0\n", LandmarkError::TooMany),
        ("2\n6 2000000\n5 2000000\n", LandmarkError::NoExpired),
    ] {
        seen.fails(LandmarkSequence::parse(document, now), error);
    }
}

fn notes_and_checkpoints(seen: &mut Seen) {
    let line = NoteSignature {
        name: "a".to_owned(),
        key_id: [0; 4],
        signature: vec![1],
    };
    let note = |text: &str, lines: usize| SignedNote {
        text: text.to_owned(),
        signatures: vec![line.clone(); lines],
    };
    let parse = |text: String| SignedNote::parse(text.as_bytes());
    seen.fails(parse("\t".to_owned()), NoteError::NotText);
    seen.fails(parse("text\n".to_owned()), NoteError::NoSignatureBlock);
    seen.fails(
        parse("text\n\n- a AAAAAAE=\n".to_owned()),
        NoteError::Signature(1),
    );
    seen.fails(
        parse(note("text\n", 65).encode()),
        NoteError::TooManySignatures,
    );

    let cosigner = |algorithm| {
        let signer = Signer::new(CA, algorithm);
        let secret = SecretKey::generate(algorithm).expect("randomness");
        (signer.cosigner, secret)
    };
    let (ca, _) = cosigner(SignatureAlgorithm::MlDsa44);
    let (ed25519, ed25519_secret) = cosigner(SignatureAlgorithm::Ed25519);
    let log = Mtca::new(CA, 1, SignatureAlgorithm::Ed25519, &[]).log;
    let other_log = Mtca::new(CA, 2, SignatureAlgorithm::Ed25519, &[]).log;
    let checkpoint = Checkpoint {
        origin: log.origin(),
        size: TreeSize(5),
        root: [7; 32],
    };
    let bytes = note(&checkpoint.to_text(), 1).encode().into_bytes();
    let signed = SignedCheckpoint::parse(&bytes, &log).expect("well formed");
    seen.fails(
        SignedCheckpoint::parse(&[], &log),
        CheckpointError::Note(NoteError::NoSignatureBlock),
    );
    seen.fails(
        SignedCheckpoint::parse(&bytes, &other_log),
        CheckpointError::Origin {
            expected: other_log.origin(),
            found: log.origin(),
        },
    );
    seen.fails(
        Checkpoint::parse("a\nb\n"),
        CheckpointError::Text("not three lines"),
    );
    seen.fails(signed.verify(&log, &ca), CheckpointError::NotSigned(ca.id));
    seen.fails(
        signed.verify(&log, &ed25519),
        CheckpointError::UnsupportedKey(SignatureAlgorithm::Ed25519),
    );
    seen.fails(
        checkpoint.cosign(&log, &ca.id, &ed25519_secret, UnixTime(1)),
        CheckpointError::UnsupportedKey(SignatureAlgorithm::Ed25519),
    );
    let (signer, secret) = cosigner(SignatureAlgorithm::MlDsa44);
    let signer = Cosigner {
        key: secret.public_key().expect("a key"),
        ..signer
    };
    let mut line = checkpoint
        .cosign(&log, &signer.id, &secret, UnixTime(1))
        .expect("a key that signs");
    line.signature.truncate(20);
    let damaged = SignedCheckpoint {
        note: SignedNote {
            signatures: vec![line],
            ..signed.note
        },
        ..signed
    };
    seen.fails(
        damaged.verify(&log, &signer),
        CheckpointError::BadSignature(signer.id),
    );
    // What the library refuses is told as it is; see `NOT_PRODUCIBLE`.
    let from_library = CheckpointError::from(KeyError::Signing(SignatureAlgorithm::MlDsa44));
    seen.fails::<(), _>(
        Err(from_library),
        CheckpointError::Key(KeyError::Signing(SignatureAlgorithm::MlDsa44)),
    );
}

fn ca_certificates(seen: &mut Seen) {
    let certificate = CaCertificate {
        cosigner: Signer::new(CA, SignatureAlgorithm::Ed25519).cosigner,
        min_serial: 1,
        max_serial: 2,
        prefix_url: None,
    };
    let der = certificate.to_der(UnixTime(0), UnixTime(1));
    let edited = |from: &[u8], to: &[u8]| {
        let place = der.windows(from.len()).rposition(|window| window == from);
        let place = place.expect("a part of it");
        CaCertificate::parse(&[&der[..place], to, &der[place + from.len()..]].concat())
    };
    assert_eq!(CaCertificate::parse(&der), Ok(certificate));
    seen.fails(CaCertificate::parse(&[]), CaError::Der(DerError::Truncated));
    seen.fails(
        CaCertificate::parse(b"-----BEGIN CERTIFICATE-----"),
        CaError::Pem,
    );
    // The type of the subject's one attribute; the last arc but one octet of id-rdna-trustAnchorID.
    let attribute = [7, 25, 3, 0x0d];
    seen.fails(
        edited(&attribute, &[7, 25, 4, 0x0d]),
        CaError::Subject(IdError::NotAName),
    );
    seen.fails(
        edited(
            &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3],
            &[0x30, 5, 6, 3, 0x2b, 0x65, 0x71, 3],
        ),
        CaError::Key(KeyError::UnsupportedAlgorithm),
    );
    let key_usage = extension(&[0x55, 0x1d, 15], true, &[3, 2, 2, 4]);
    let other_usage = extension(&[0x55, 0x1d, 15], true, &[3, 2, 1, 2]);
    seen.fails(
        edited(&key_usage, &other_usage),
        CaError::Profile("keyUsage lacks keyCertSign"),
    );
}

fn verifier_keys(seen: &mut Seen) {
    let cosigner = Signer::new(CA, SignatureAlgorithm::MlDsa44).cosigner;
    let good = vkey::encode(&cosigner).expect("of ML-DSA-44");
    let (name, rest) = good.split_once('+').expect("three fields");
    let (key_id, key) = rest.split_once('+').expect("three fields");
    seen.fails(vkey::parse(name), VkeyError::Form);
    let source = TrustAnchorId::from_signed_text_name("scp").expect_err("no ID");
    let named = VkeyError::Name {
        name: "scp".to_owned(),
        source,
    };
    seen.fails(vkey::parse(&format!("scp+{key_id}+{key}")), named);
    seen.fails(
        vkey::parse(&format!("{name}+{key_id}+AQ==")),
        VkeyError::Type(1),
    );
    let short = PublicKey::from_raw(SignatureAlgorithm::MlDsa44, &[]).expect_err("no key");
    seen.fails(
        vkey::parse(&format!("{name}+{key_id}+Bg==")),
        VkeyError::Key(short),
    );
    seen.fails(
        vkey::parse(&format!("{name}+00000000+{key}")),
        VkeyError::KeyId,
    );
}

fn detached_proofs(seen: &mut Seen) {
    const HEADER: &str = "c2sp.org/tlog-proof@v1\n";
    let hash = format!("{}=\n", "A".repeat(43));
    let mut fails = |text: &str, error| seen.fails(TlogProof::parse(text.as_bytes()), error);
    fails("\n\n", TlogProofError::Header);
    fails(HEADER, TlogProofError::NoCheckpoint);
    fails(
        &format!("{HEADER}extra ?\nindex 0\n\n"),
        TlogProofError::Extra,
    );
    fails(&format!("{HEADER}index\n\n"), TlogProofError::Index);
    fails(
        &format!("{HEADER}index 0\nAA==\n\n"),
        TlogProofError::Hash(1),
    );
    let many = format!("{HEADER}index 0\n{}\n", hash.repeat(64));
    fails(&many, TlogProofError::TooManyHashes);
    fails(&"a".repeat(MAX_PROOF + 1), TlogProofError::NotText);
}

fn revocation_lists(seen: &mut Seen) {
    let key = SecretKey::generate(SignatureAlgorithm::Ed25519).expect("randomness");
    let ca = Cosigner {
        id: CA.parse().expect("an ID"),
        key: key.public_key().expect("a key"),
    };
    let list = RevocationList {
        ca: ca.id,
        number: 1,
        issued: UnixTime(1),
        next: UnixTime(2),
        ranges: RevokedRanges::default(),
    };
    let note = list.sign(&key).expect("it signs");
    let mut fails = |note: &str, expected| {
        seen.fails(RevocationList::verify(note.as_bytes(), &ca), expected);
    };
    fails("", RevocationListError::Note(NoteError::NoSignatureBlock));
    let changed = note.replace("\n1 2\n", "\n1 3\n");
    fails(&changed, RevocationListError::BadSignature(ca.id));
    let renamed = note.replace("\u{2014} oid", "\u{2014} x");
    fails(&renamed, RevocationListError::NotSigned(ca.id));
    let apart = (0..=MAX_RANGES as u64).map(|at| RevokedRange {
        first: 2 * at,
        last: 2 * at,
    });
    let too_many = RevocationList {
        ranges: apart.collect(),
        ..list
    };
    seen.fails(too_many.sign(&key), RevocationListError::TooMany);
    let line = RevocationListError::Line {
        line: 1,
        rule: "is not mtc5g/revoked/v1",
    };
    seen.fails(RevocationList::parse("x\n", ca.id), line);
    let other = "32473.99".parse().expect("an ID");
    let other_ca = RevocationListError::OtherCa {
        expected: "oid/1.3.6.1.4.1.32473.99".to_owned(),
        found: ca.id.signed_text_name(),
    };
    seen.fails(RevocationList::parse(&list.to_text(), other), other_ca);
}

fn certificate_properties(seen: &mut Seen) {
    let list = |properties: &[(u8, &[u8])]| {
        let property =
            |(kind, data): &(u8, &[u8])| [&[0, *kind, 0, data.len() as u8], *data].concat();
        let all: Vec<u8> = properties.iter().flat_map(property).collect();
        [&[0, all.len() as u8], all.as_slice()].concat()
    };
    let mut fails = |bytes: &[u8], error| seen.fails(CertificateProperties::parse(bytes), error);
    let short = Reader::new(&[]).vector(2).expect_err("nothing is there");
    fails(&[], PropertiesError::Form(short));
    fails(&list(&[(2, &[]), (2, &[])]), PropertiesError::Order(2));
    let no_id = TrustAnchorId::from_bytes(&[]).expect_err("no ID");
    fails(&list(&[(0, &[])]), PropertiesError::TrustAnchorId(no_id));
    fails(&list(&[(1, &[0, 0])]), PropertiesError::NoGroups);
    fails(
        &list(&[(1, &[0, 1, 0])]),
        PropertiesError::Group(PatternError::Empty),
    );
    fails(&list(&[(2, &[7])]), PropertiesError::Negotiation(1));
    seen.fails(AnchorPattern::from_bytes(&[]), PatternError::Empty);
    seen.fails(AnchorPattern::from_bytes(&[1]), PatternError::Pairs);
    seen.fails(AnchorPattern::from_bytes(&[0x81]), PatternError::Component);
}
