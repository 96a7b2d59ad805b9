//! What `RelyingParty` asks beyond the draft's procedure: policy, time, name, role.

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{CertificateFields, MtcProof};
use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::der;
use mtc_core::id::{EntryIndex, LogId, LogNumber, TreeSize};
use mtc_core::time::UnixTime;
use mtc_core::tree::{MemoryTree, Subtree, leaf_hash};
use mtc_core::verify::{
    Basis, CaTrust, CosignerGroup, Policy, PolicyError, Rejection, RelyingParty, RevokedRange,
    TrustedSubtree, Unacceptable,
};
use mtc_core::x509::{Role, UsageError, extension};

use test_support::mtca::{NOT_AFTER, NOT_BEFORE, Signer};

const HOST: &str = "amf1.example.org";
const KEY_USAGE: (&[u8], &[u8]) = (&[0x55, 0x1d, 15], &[3, 2, 7, 0x80]);
const SERVER_AUTH: (&[u8], &[u8]) = (
    &[0x55, 0x1d, 37],
    &[0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1],
);

struct Scene {
    ca: Signer,
    witness: Signer,
    certificate: Vec<u8>,
    trusted: TrustedSubtree,
}

impl Scene {
    /// The only certificate of a log, for [`HOST`] and with these further extensions, cosigned by the CA and, or not, a witness.
    fn new(extensions: &[(&[u8], &[u8])], witnessed: bool) -> Self {
        let [ca, witness] =
            ["32473.1", "32473.2"].map(|id| Signer::new(id, SignatureAlgorithm::Ed25519));
        let log = LogId::new(ca.cosigner.id, LogNumber::FIRST).expect("short");
        let host = der::element(der::context_primitive(2), &[HOST.as_bytes()]);
        let mut list = extension(
            &[0x55, 0x1d, 17],
            true,
            &der::element(der::SEQUENCE, &[&host]),
        );
        for (oid, value) in extensions {
            list.extend(extension(oid, true, value));
        }
        let fields = CertificateFields {
            issuer: &ca.cosigner.id,
            not_before: NOT_BEFORE,
            not_after: NOT_AFTER,
            subject: &der::element(der::SEQUENCE, &[]),
            spki: &witness.cosigner.key.to_spki(),
            extensions: &der::element(der::SEQUENCE, &[&list]),
        };
        let entry = leaf_hash(
            &fields
                .log_entry()
                .and_then(|entry| Ok(entry.encode()?))
                .expect("an entry"),
        );
        let tree: MemoryTree = [entry].into_iter().collect();
        let subtree = Subtree::whole(TreeSize(1));
        let signers = if witnessed {
            &[&ca, &witness][..]
        } else {
            &[&ca]
        };
        let proof = MtcProof {
            extensions: Vec::new(),
            subtree,
            inclusion_proof: Vec::new(),
            signatures: signers
                .iter()
                .map(|signer| signer.cosignature(&log, subtree, &tree.root()))
                .collect(),
        };
        Self {
            certificate: fields
                .certificate(log.number(), EntryIndex(0), &proof)
                .expect("a certificate"),
            trusted: TrustedSubtree {
                log_number: log.number(),
                subtree,
                hash: tree.root(),
            },
            ca,
            witness,
        }
    }

    fn ca_certificate(&self) -> CaCertificate {
        CaCertificate {
            cosigner: self.ca.cosigner.clone(),
            min_serial: 1 << 48,
            max_serial: (1 << 48) + 9,
            prefix_url: None,
        }
    }

    fn party(&self) -> RelyingParty {
        let witnesses =
            CosignerGroup::new(vec![self.witness.cosigner.clone()], 1).expect("one of one");
        RelyingParty::new(&self.ca_certificate(), Policy::CaAnd(witnesses)).expect("not the CA")
    }

    fn verdict(&self, host: &str, role: Role, at: UnixTime) -> Result<Basis, Unacceptable> {
        let accepted = self.party().verify_for(&self.certificate, host, role, at)?;
        Ok(accepted.basis)
    }
}

#[test]
fn time_name_and_role_are_all_asked() {
    let scene = Scene::new(&[KEY_USAGE, SERVER_AUTH], true);
    for host in [HOST, "AMF1.example.ORG", "amf1.example.org."] {
        let verdict = scene.verdict(host, Role::Server, NOT_AFTER);
        assert_eq!(verdict, Ok(Basis::Cosignatures), "{host}");
    }
    let late = UnixTime(NOT_AFTER.0 + 1);
    assert_eq!(
        scene.verdict(HOST, Role::Server, late),
        Err(Unacceptable::Usage(UsageError::Expired {
            not_after: NOT_AFTER,
            now: late
        }))
    );
    assert_eq!(
        scene.verdict("smf1.example.org", Role::Server, NOT_BEFORE),
        Err(Unacceptable::Usage(UsageError::Name {
            wanted: "smf1.example.org".to_owned(),
            names: HOST.to_owned(),
        }))
    );
    assert_eq!(
        scene.verdict(HOST, Role::Client, NOT_BEFORE),
        Err(Unacceptable::Usage(UsageError::ExtendedKeyUsage(
            "clientAuth"
        )))
    );
    // The bare procedure asks for none of that, and its name says so.
    let bare = CaTrust::ca_alone(&scene.ca_certificate());
    assert!(bare.verify_issuance(&scene.certificate).is_ok());
}

#[test]
fn a_peers_certificate_states_its_usages() {
    for (extensions, error) in [
        (&[SERVER_AUTH][..], UsageError::KeyUsage),
        (&[KEY_USAGE], UsageError::ExtendedKeyUsage("serverAuth")),
    ] {
        let verdict = Scene::new(extensions, true).verdict(HOST, Role::Server, NOT_BEFORE);
        assert_eq!(verdict, Err(Unacceptable::Usage(error)));
    }
}

#[test]
fn the_policy_counts_unless_the_subtree_is_trusted() {
    let scene = Scene::new(&[KEY_USAGE, SERVER_AUTH], false);
    let verdict = scene.verdict(HOST, Role::Server, NOT_BEFORE);
    assert!(
        matches!(
            verdict,
            Err(Unacceptable::Rejected(Rejection::Policy(
                PolicyError::Quorum { required: 1, .. }
            )))
        ),
        "{verdict:?}"
    );
    let verify = |party: &RelyingParty| {
        let verified = party.verify_for(&scene.certificate, HOST, Role::Server, NOT_BEFORE);
        verified.map(|accepted| accepted.basis)
    };
    let alone = RelyingParty::new(&scene.ca_certificate(), Policy::CaAlone).unwrap();
    assert_eq!(verify(&alone), Ok(Basis::Cosignatures));
    let mut landmark = scene.party().with_trusted_subtrees([scene.trusted]);
    assert_eq!(verify(&landmark), Ok(Basis::TrustedSubtree));
    landmark.revoke(RevokedRange {
        first: 1 << 48,
        last: 1 << 48,
    });
    assert_eq!(
        verify(&landmark),
        Err(Unacceptable::Rejected(Rejection::Revoked(1 << 48)))
    );
    let own = CosignerGroup::new(vec![scene.ca.cosigner.clone()], 1).unwrap();
    assert_eq!(
        RelyingParty::new(&scene.ca_certificate(), Policy::CaAnd(own)).unwrap_err(),
        PolicyError::Member(scene.ca.cosigner.id)
    );
}
