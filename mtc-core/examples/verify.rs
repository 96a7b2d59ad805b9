//! A standalone certificate is issued and verified, and a landmark-relative one of the same entry: `cargo run -p mtc-core --example verify`.
//!
//! What a CA does is here too, in memory, so that there is something to verify; a log that survives a crash is `mtc-log`.

use std::error::Error;

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{Certificate, CertificateFields, MtcProof, with_proof};
use mtc_core::cosign::{CosignedMessage, Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::der;
use mtc_core::id::{EntryIndex, LogId, LogNumber, serial};
use mtc_core::time::UnixTime;
use mtc_core::tree::{MemoryTree, Subtree, inclusion_proof, leaf_hash};
use mtc_core::verify::{Basis, CosignerGroup, Policy, RelyingParty, TrustedSubtree};
use mtc_core::x509::{Role, extension};

fn main() -> Result<(), Box<dyn Error>> {
    let ca = "32473.1".parse()?;
    let log = LogId::new(ca, LogNumber::FIRST)?;

    // What is certified: a key, for a server. The empty name is a name; who it is stands in subjectAltName.
    let key = SecretKey::generate(SignatureAlgorithm::EcdsaP256)?;
    let spki = key.public_key()?.to_spki();
    let name = der::element(der::SEQUENCE, &[]);
    let key_usage = extension(&[0x55, 0x1d, 15], true, &[3, 2, 7, 0x80]); // digitalSignature
    let server_auth = [0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
    let ext_key_usage = extension(&[0x55, 0x1d, 37], false, &server_auth);
    let host = der::element(der::context_primitive(2), &[b"amf1.example.org"]);
    let host = der::element(der::SEQUENCE, &[&host]);
    let alternative_name = extension(&[0x55, 0x1d, 17], true, &host);
    let extensions = der::element(
        der::SEQUENCE,
        &[&key_usage, &ext_key_usage, &alternative_name],
    );
    let fields = CertificateFields {
        issuer: &ca,
        not_before: UnixTime(1_700_000_000),
        not_after: UnixTime(1_800_000_000),
        subject: &name,
        spki: &spki,
        extensions: &extensions,
    };

    // The log: our entry is number 2 of four.
    let index = 2;
    let entry = leaf_hash(&fields.log_entry()?.encode()?);
    let others = [&b"a"[..], b"b", b"c"].map(leaf_hash);
    let tree: MemoryTree = [others[0], others[1], entry, others[2]]
        .into_iter()
        .collect();
    let subtree = Subtree::whole(tree.size());
    let mut proof = MtcProof {
        extensions: Vec::new(),
        subtree,
        inclusion_proof: inclusion_proof(&tree, EntryIndex(index), subtree)?,
        signatures: Vec::new(),
    };

    // The CA and one witness sign the tree.
    let mut cosigners = Vec::new();
    for id in [ca, "32473.2".parse()?] {
        let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44)?;
        let message = CosignedMessage {
            cosigner: &id,
            log: &log,
            timestamp: UnixTime(0),
            subtree,
            hash: &tree.root(),
        };
        proof.signatures.push(message.sign(&secret)?);
        let key = secret.public_key()?;
        cosigners.push(Cosigner { id, key });
    }
    let standalone = fields.certificate(log.number(), EntryIndex(index), &proof)?;
    let without_signatures = MtcProof {
        signatures: Vec::new(),
        ..proof
    };
    let landmark_relative = with_proof(&standalone, &without_signatures)?;

    // A relying party that knows the CA's certificate and wants the witness as well.
    let [ca_cosigner, witness] = cosigners.as_slice() else {
        return Err("two cosigners".into());
    };
    let ca_certificate = CaCertificate {
        cosigner: ca_cosigner.clone(),
        min_serial: serial(log.number(), EntryIndex(0))?,
        max_serial: serial(log.number(), EntryIndex(1_000_000))?,
        prefix_url: None,
    };
    let policy = Policy::CaAnd(CosignerGroup::new(vec![witness.clone()], 1)?);
    let party = RelyingParty::new(&ca_certificate, policy)?;
    let now = UnixTime(1_750_000_000);
    let verify = |party: &RelyingParty, certificate: &[u8]| {
        party.verify_for(certificate, "amf1.example.org", Role::Server, now)
    };
    let verified = verify(&party, &standalone)?;
    println!(
        "standalone certificate of {} bytes: {:?}",
        standalone.len(),
        verified.basis
    );
    assert!(
        verify(&party, &landmark_relative).is_err(),
        "its subtree is no landmark yet"
    );

    // The same, with the tree as a landmark.
    let landmark = TrustedSubtree {
        log_number: log.number(),
        subtree,
        hash: tree.root(),
    };
    let party = party.with_trusted_subtrees([landmark]);
    let verified = verify(&party, &landmark_relative)?;
    println!(
        "landmark-relative certificate of {} bytes: {:?}",
        landmark_relative.len(),
        verified.basis
    );
    assert_eq!(verified.basis, Basis::TrustedSubtree);
    assert_eq!(
        Certificate::parse(&standalone)?.leaf_hash(),
        Certificate::parse(&landmark_relative)?.leaf_hash()
    );
    Ok(())
}
