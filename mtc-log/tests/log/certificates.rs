//! Certificates that relying parties accept, from a log of any size and entries of any kind.

use std::sync::Arc;
use std::time::Duration;

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{Certificate, CertificateError, CertificateFields, ProofParts};
use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_core::der;
use mtc_core::entry::MtcLogEntry;
use mtc_core::id::{EntryIndex, LogId, TreeSize, TrustAnchorId};
use mtc_core::tree::{Subtree, leaf_hash};
use mtc_core::verify::{CaTrust, Rejection};
use mtc_log::{
    AppendError, Certified, CertifyError, IssueError, Issuer, MAX_LOG_SIZE, Sequencer,
    SequencerConfig, Storage, Witness, WitnessError,
};

use crate::largest::NullLog;
use test_support::log_world::{NOW, World, id};

use crate::storage::MemoryStorage;

/// Who asks for a certificate.
struct Subject {
    name: Vec<u8>,
    spki: Vec<u8>,
    extensions: Vec<u8>,
}

impl Subject {
    fn new() -> Self {
        let key = SecretKey::generate(SignatureAlgorithm::Ed25519)
            .and_then(|key| key.public_key())
            .expect("a new key");
        Self {
            name: der::element(der::SEQUENCE, &[]),
            spki: key.to_spki(),
            extensions: der::element(der::SEQUENCE, &[]),
        }
    }

    fn fields<'a>(&'a self, issuer: &'a TrustAnchorId) -> CertificateFields<'a> {
        CertificateFields {
            issuer,
            not_before: NOW,
            not_after: NOW.plus(Duration::from_secs(86_400)),
            subject: &self.name,
            spki: &self.spki,
            extensions: &self.extensions,
        }
    }
}

/// A relying party that is content with the CA's cosignature.
fn relying_party(world: &World) -> CaTrust {
    CaTrust::ca_alone(&CaCertificate {
        cosigner: world.ca(),
        min_serial: 1,
        max_serial: u64::MAX,
        prefix_url: None,
    })
}

/// No witness: the logs here need none.
enum Nobody {}

impl Witness for Nobody {
    fn cosigner(&self) -> &mtc_core::cosign::Cosigner {
        match *self {}
    }

    async fn add_checkpoint(&self, _body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        match *self {}
    }

    async fn sign_subtree(&self, _body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        match *self {}
    }

    async fn latest_checkpoint(&self, _log: &LogId) -> Result<Option<Vec<u8>>, WitnessError> {
        match *self {}
    }
}

/// Starts the sequencer of the log in `storage`.
fn start<S: Storage>(world: &World, storage: &Arc<S>) -> Issuer {
    let log = world.open(storage).expect("a sound log");
    let config = SequencerConfig {
        queue: 100,
        min_interval: Duration::ZERO,
        required_witnesses: 0,
        witness_deadline: Duration::from_secs(5),
    };
    let (issuer, sequencer) =
        Sequencer::<Nobody>::new(log, [], config, Arc::new(|| NOW)).expect("a sane configuration");
    tokio::spawn(sequencer.run());
    issuer
}

#[tokio::test]
async fn certificates_are_issued_from_their_fields_and_accepted() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    world.create(&storage);
    let issuer = start(&world, &storage);
    let trust = relying_party(&world);
    for index in 0..3 {
        let subject = Subject::new();
        let fields = subject.fields(world.log.ca());
        let certified = issuer.certify(&fields).await.unwrap();
        assert_eq!(
            (certified.index, certified.tree_size),
            (EntryIndex(index), TreeSize(index + 1))
        );
        assert_eq!(
            trust.verify_issuance(&certified.certificate).unwrap().index,
            EntryIndex(index)
        );
        let logged = issuer
            .published_tree()
            .unwrap()
            .unwrap()
            .entry(EntryIndex(index))
            .unwrap();
        assert_eq!(logged, fields.log_entry().unwrap().encode().unwrap());
        let parsed = Certificate::parse(&certified.certificate).unwrap();
        assert_eq!(parsed.leaf_hash(), leaf_hash(&logged));
    }
}

#[tokio::test]
async fn what_makes_no_certificate_is_not_logged() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    world.create(&storage);
    let issuer = start(&world, &storage);
    let (subject, foreign) = (Subject::new(), id("32473.2"));
    let certified = issuer.certify(&subject.fields(&foreign)).await;
    assert!(matches!(
        certified,
        Err(CertifyError::ForeignIssuer { issuer, .. }) if issuer == foreign
    ));
    let keyless = Subject {
        spki: der::element(der::OCTET_STRING, &[]),
        ..subject
    };
    let certified = issuer.certify(&keyless.fields(world.log.ca())).await;
    assert!(matches!(
        certified,
        Err(CertifyError::Certificate(CertificateError::Der(_)))
    ));
    assert_eq!(
        world.open(&storage).unwrap().signed().size(),
        TreeSize::EMPTY
    );
}

#[tokio::test]
async fn the_last_serial_number_of_a_log_is_issued_and_none_after_it() {
    let world = World::new();
    let issuer = start(&world, &NullLog::new(&world, MAX_LOG_SIZE.0 - 1));
    let subject = Subject::new();
    let fields = subject.fields(world.log.ca());
    let Certified {
        index, certificate, ..
    } = issuer.certify(&fields).await.unwrap();
    assert_eq!(index, EntryIndex(MAX_LOG_SIZE.0 - 1));
    let accepted = relying_party(&world).verify_issuance(&certificate).unwrap();
    assert_eq!(accepted.index, EntryIndex(MAX_LOG_SIZE.0 - 1));
    let Err(CertifyError::Issue(IssueError::Refused(refused))) = issuer.certify(&fields).await
    else {
        panic!("a certificate beyond the last serial number");
    };
    assert!(matches!(*refused, AppendError::Full { size: MAX_LOG_SIZE }));
}

#[test]
fn entries_with_extensions_and_null_entries_go_through_the_log() {
    let (world, storage) = (World::new(), Arc::new(MemoryStorage::default()));
    let mut log = world.create(&storage);
    let subject = Subject::new();
    let prepared = subject.fields(world.log.ca()).prepare().unwrap();
    let entry = MtcLogEntry {
        extensions: vec![(1, vec![]), (0x1234, vec![7; 300])],
        ..prepared.log_entry()
    };
    let logged = [MtcLogEntry::NULL, entry.clone(), MtcLogEntry::NULL];
    let encoded = logged.each_ref().map(|entry| entry.encode().unwrap());
    log.append(&encoded, NOW).unwrap();
    let reader = world.open(&storage).unwrap().reader().unwrap();
    for (index, entry) in (0..).zip(&logged) {
        assert_eq!(
            MtcLogEntry::decode(&reader.entry(EntryIndex(index)).unwrap()).as_ref(),
            Ok(entry)
        );
    }
    let subtree = Subtree::whole(TreeSize(3));
    let (_, cosignature) = log.cosign_subtree(subtree).unwrap();
    let inclusion_proof = reader.inclusion_proof(EntryIndex(1), subtree).unwrap();
    let certificate = |extensions: &[(u16, Vec<u8>)]| {
        let proof = ProofParts {
            extensions,
            subtree,
            inclusion_proof: &inclusion_proof,
            signatures: std::slice::from_ref(&cosignature),
        };
        prepared
            .certificate(world.log.number(), EntryIndex(1), proof)
            .unwrap()
    };
    let trust = relying_party(&world);
    assert_eq!(
        trust
            .verify_issuance(&certificate(&entry.extensions))
            .unwrap()
            .index,
        EntryIndex(1)
    );
    // The extensions are part of what is proven.
    for other in [&[][..], &entry.extensions[..1]] {
        assert!(matches!(
            trust.verify_issuance(&certificate(other)),
            Err(Rejection::Policy(_))
        ));
    }
}
