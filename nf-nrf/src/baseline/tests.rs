//! Chains as rustls sees them, and the profile that MTC leaves share.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::x509::{EndEntity, Role};
use mtc_tls::identity::NfIdentity;
use mtc_tls::key::{Intermediates, KeyAlgorithm};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{ServerName, UnixTime as RustlsTime};
use rustls::server::WebPkiClientVerifier;
use uuid::Uuid;

use super::*;

const NOW: UnixTime = UnixTime(1_800_000_000);
const END: UnixTime = UnixTime(1_800_003_600);
const FQDN: &str = "amf1.5gc.mnc001.mcc001.3gppnetwork.org";

fn subject() -> NfSubject {
    NfSubject::new(
        "DE",
        "5gc.mnc001.mcc001.3gppnetwork.org",
        Uuid::from_u128(1),
        &["AMF".to_owned()],
        &[FQDN.to_owned()],
    )
    .expect("subject is legal")
}

fn write(folder: &Path, pem: &BaselinePem) {
    let file =
        |name: &str, text: &str| fs::write(folder.join(name), text).expect("file is written");
    let [first, second] = INTERMEDIATE_KEY_FILES;
    let keys = [ROOT_KEY_FILE, first, second];
    let [first, second] = INTERMEDIATE_CERTIFICATE_FILES;
    let certificates = [ROOT_CERTIFICATE_FILE, first, second];
    let cas = std::iter::once(&pem.root).chain(&pem.intermediates);
    for (level, ca) in cas.enumerate() {
        file(keys[level], &ca.key);
        file(certificates[level], &ca.certificate);
        if let Some(crl) = &ca.crl {
            file(CRL_FILES[level], crl);
        }
    }
}

fn new_ca(profile: X509Profile) -> (tempfile::TempDir, BaselineCa) {
    let folder = tempfile::tempdir().expect("temporary folder");
    write(
        folder.path(),
        &create(profile, NOW, END).expect("CA is made"),
    );
    let ca = BaselineCa::load(folder.path(), profile).expect("CA is loaded");
    (folder, ca)
}

fn profiles() -> impl Iterator<Item = X509Profile> {
    KeyAlgorithm::ALL.into_iter().flat_map(|ca_signature| {
        Intermediates::ALL.map(|intermediates| X509Profile {
            ca_signature,
            intermediates,
            revocation: X509Revocation::None,
        })
    })
}

fn roots(ca: &BaselineCa) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots
        .add(ca.root().clone())
        .expect("root is a trust anchor");
    Arc::new(roots)
}

/// Both of rustls' own verifiers on a chain.
fn verify(
    ca: &BaselineCa,
    chain: &[CertificateDer<'static>],
    name: &str,
) -> Result<(), rustls::Error> {
    let now = RustlsTime::since_unix_epoch(Duration::from_secs(NOW.0));
    let provider = Arc::new(default_provider());
    let (leaf, intermediates) = chain.split_first().expect("a chain has a leaf");
    let name = ServerName::try_from(name.to_owned()).expect("a DNS name");
    let server =
        WebPkiServerVerifier::builder_with_provider(roots(ca), Arc::clone(&provider)).build();
    server
        .expect("verifier is built")
        .verify_server_cert(leaf, intermediates, &name, &[], now)?;
    let client = WebPkiClientVerifier::builder_with_provider(roots(ca), provider).build();
    client
        .expect("verifier is built")
        .verify_client_cert(leaf, intermediates, now)?;
    Ok(())
}

#[test]
fn rustls_verifies_every_profile_in_both_roles() {
    let leaf_key = NfKey::generate(KeyAlgorithm::MlDsa65).unwrap();
    for profile in profiles() {
        let (_folder, ca) = new_ca(profile);
        let chain = ca.issue(leaf_key.spki_der(), &subject(), NOW, END).unwrap();
        assert_eq!(
            chain.len(),
            1 + usize::from(profile.intermediates.count()),
            "{profile}"
        );
        assert_eq!(verify(&ca, &chain, FQDN), Ok(()), "{profile}");
        assert!(!chain.contains(ca.root()), "{profile}");
    }
}

// An intermediate was called "ml-dsa-65-intermediate intermediate".
#[test]
fn a_ca_is_called_by_its_profile_and_its_place() {
    let leaf_key = NfKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let (_folder, ca) = new_ca(X509Profile {
        ca_signature: KeyAlgorithm::Ed25519,
        intermediates: Intermediates::Two,
        revocation: X509Revocation::None,
    });
    let chain = ca.issue(leaf_key.spki_der(), &subject(), NOW, END).unwrap();
    let is_in = |der: &[u8], part: &str| {
        let name = format!("ed25519-two-intermediates {part}");
        der.windows(name.len()).any(|text| text == name.as_bytes())
    };
    for (der, names) in [
        (&chain[0], &["issuing CA 2"][..]),
        (&chain[1], &["issuing CA 2", "issuing CA 1"]),
        (&chain[2], &["issuing CA 1", "root"]),
    ] {
        assert!(names.iter().all(|part| is_in(der, part)), "{names:?}");
    }
}

#[test]
fn rustls_refuses_another_name_another_root_and_a_missing_intermediate() {
    let leaf_key = NfKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let profile = X509Profile {
        ca_signature: KeyAlgorithm::EcdsaP256,
        intermediates: Intermediates::One,
        revocation: X509Revocation::None,
    };
    let (_folder, ca) = new_ca(profile);
    let (_other_folder, other) = new_ca(profile);
    let chain = ca.issue(leaf_key.spki_der(), &subject(), NOW, END).unwrap();
    assert!(verify(&ca, &chain, "smf1.5gc.mnc001.mcc001.3gppnetwork.org").is_err());
    assert!(verify(&other, &chain, FQDN).is_err());
    assert!(verify(&ca, &chain[..1], FQDN).is_err());
}

#[test]
fn subject_and_extensions_are_those_of_the_mtc_leaf_after_the_authority_key_identifier() {
    let leaf_key = NfKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let (_folder, ca) = new_ca(X509Profile {
        ca_signature: KeyAlgorithm::Ed25519,
        intermediates: Intermediates::None,
        revocation: X509Revocation::None,
    });
    let chain = ca.issue(leaf_key.spki_der(), &subject(), NOW, END).unwrap();
    let mut tbs = der::Reader::new(
        der::Reader::new(der::only(&chain[0], der::SEQUENCE).unwrap())
            .element()
            .unwrap()
            .contents,
    );
    let fields: Vec<&[u8]> = std::iter::from_fn(|| tbs.element().ok())
        .map(|field| field.whole)
        .collect();

    let shared = subject().extensions_der();
    let shared = der::only(&shared, der::SEQUENCE).unwrap();
    let extensions = der::element(
        der::SEQUENCE,
        &[&authority_key_identifier(&ca.issuer_key_identifier), shared],
    );
    assert_eq!(fields[5], subject().name_der());
    assert_eq!(fields[6], leaf_key.spki_der());
    assert_eq!(fields[7], der::element(der::context(3), &[&extensions]));
}

#[test]
fn a_leaf_identifies_the_nf_and_serves_both_roles() {
    let leaf_key = NfKey::generate(KeyAlgorithm::MlDsa44).unwrap();
    let (_folder, ca) = new_ca(X509Profile {
        ca_signature: KeyAlgorithm::MlDsa44,
        intermediates: Intermediates::One,
        revocation: X509Revocation::None,
    });
    let chain = ca.issue(leaf_key.spki_der(), &subject(), NOW, END).unwrap();
    let identity = NfIdentity::from_certificate(&chain[0]).unwrap();
    assert_eq!(identity.instance_id, Uuid::from_u128(1));
    assert_eq!(identity.fqdns, [FQDN]);
    for role in [Role::Client, Role::Server] {
        let leaf = EndEntity::parse(&chain[0]).unwrap();
        assert_eq!(leaf.check_usage(NOW, Some(role)), Ok(()));
    }
}

#[test]
fn serial_numbers_differ() {
    let leaf_key = NfKey::generate(KeyAlgorithm::Ed25519).unwrap();
    let (_folder, ca) = new_ca(X509Profile {
        ca_signature: KeyAlgorithm::Ed25519,
        intermediates: Intermediates::None,
        revocation: X509Revocation::None,
    });
    let issue = || ca.issue(leaf_key.spki_der(), &subject(), NOW, END).unwrap();
    assert_ne!(issue(), issue());
}

#[test]
fn a_missing_file_is_named() {
    let profile = X509Profile {
        ca_signature: KeyAlgorithm::Ed25519,
        intermediates: Intermediates::One,
        revocation: X509Revocation::None,
    };
    let (folder, _) = new_ca(profile);
    fs::remove_file(folder.path().join(INTERMEDIATE_KEY_FILES[0])).unwrap();
    let error = BaselineCa::load(folder.path(), profile).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("ed25519-intermediate: cannot read"),
        "{error}"
    );
    assert!(
        error.to_string().ends_with(INTERMEDIATE_KEY_FILES[0]),
        "{error}"
    );
}

#[test]
fn the_key_of_a_root_above_an_intermediate_is_not_needed() {
    let profile = X509Profile {
        ca_signature: KeyAlgorithm::Ed25519,
        intermediates: Intermediates::One,
        revocation: X509Revocation::None,
    };
    let (folder, _) = new_ca(profile);
    fs::remove_file(folder.path().join(ROOT_KEY_FILE)).unwrap();
    assert!(BaselineCa::load(folder.path(), profile).is_ok());
}

#[test]
fn files_of_different_cas_are_refused() {
    let direct = X509Profile {
        ca_signature: KeyAlgorithm::Ed25519,
        intermediates: Intermediates::None,
        revocation: X509Revocation::None,
    };
    let (folder, _) = new_ca(direct);
    let other = create(direct, NOW, END).unwrap();

    fs::write(folder.path().join(ROOT_KEY_FILE), &other.root.key).unwrap();
    assert!(matches!(
        BaselineCa::load(folder.path(), direct),
        Err(BaselineError::Mismatch { .. })
    ));

    write(folder.path(), &other);
    let wrong_profile = X509Profile {
        ca_signature: KeyAlgorithm::MlDsa44,
        ..direct
    };
    assert!(matches!(
        BaselineCa::load(folder.path(), wrong_profile),
        Err(BaselineError::Mismatch { .. })
    ));

    fs::write(folder.path().join(ROOT_CERTIFICATE_FILE), "no certificate").unwrap();
    assert!(matches!(
        BaselineCa::load(folder.path(), direct),
        Err(BaselineError::Certificate { .. })
    ));
}

#[test]
fn a_leaf_is_no_ca_certificate() {
    let profile = X509Profile {
        ca_signature: KeyAlgorithm::Ed25519,
        intermediates: Intermediates::None,
        revocation: X509Revocation::None,
    };
    let (_folder, ca) = new_ca(profile);
    let chain = ca.issue(ca.key.spki_der(), &subject(), NOW, END).unwrap();
    assert_eq!(
        CaCertificate::parse(&chain[0]),
        Err("basicConstraints lacks cA")
    );
}

#[test]
fn a_certificate_of_version_1_with_extensions_is_no_ca_certificate() {
    let profile = X509Profile {
        ca_signature: KeyAlgorithm::Ed25519,
        intermediates: Intermediates::One,
        revocation: X509Revocation::None,
    };
    let (_folder, ca) = new_ca(profile);
    let chain = ca.issue(ca.key.spki_der(), &subject(), NOW, END).unwrap();
    let mut issuer = chain[1].to_vec();
    assert!(CaCertificate::parse(&issuer).is_ok());
    let version_3 = [0xa0, 3, 2, 1, 2];
    let at = issuer.windows(5).position(|octets| octets == version_3);
    issuer[at.unwrap() + 4] = 0;
    assert_eq!(
        CaCertificate::parse(&issuer),
        Err("not the DER of a certificate")
    );
}
