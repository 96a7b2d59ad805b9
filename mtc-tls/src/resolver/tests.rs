use mtc_core::ca::CaCertificate;
use mtc_core::certificate::{CertificateFields, MtcProof};
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{EntryIndex, LogId};
use mtc_core::time::UnixTime;
use mtc_core::tree::Subtree;
use mtc_core::verify::CaTrust;
use mtc_core::wire::put_uint;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::ServerName;
use rustls::server::{Accepted, Acceptor};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;
use crate::credentials::{LandmarkCredential, MtcTrust, X509Credential};
use crate::key::{Intermediates, KeyAlgorithm, NfKey, X509Revocation};
use crate::provider::{KeyExchange, provider};
use crate::trust_anchors::CODE_POINT;

const LANDMARK: LandmarkNumber = LandmarkNumber(5);
const ROOT: X509Profile = X509Profile {
    ca_signature: KeyAlgorithm::EcdsaP256,
    intermediates: Intermediates::None,
    revocation: X509Revocation::None,
};

fn ca() -> TrustAnchorId {
    "32473.1".parse().expect("an ID")
}

/// A server with certificates of every kind, of one key; the proofs in them prove nothing, which is the client's to see.
fn set() -> CredentialSet {
    let key = NfKey::generate(KeyAlgorithm::EcdsaP256).expect("randomness");
    let fields = CertificateFields {
        issuer: &ca(),
        not_before: UnixTime(0),
        not_after: UnixTime(u64::from(u32::MAX)),
        subject: &[0x30, 0],
        spki: key.spki_der(),
        extensions: &[0x30, 0],
    };
    let proof = MtcProof {
        extensions: Vec::new(),
        subtree: Subtree::new(0, 1).expect("a subtree"),
        inclusion_proof: Vec::new(),
        signatures: Vec::new(),
    };
    let certificate = fields.certificate(LogNumber::FIRST, EntryIndex(0), &proof);
    let certificate = certificate.expect("a certificate");
    let credential = |chain| Credential::new(chain, &key, UnixTime(0)).expect("of the key");
    let mtc = credential(vec![certificate]);
    let landmark = LandmarkCredential {
        log_number: LogNumber::FIRST,
        landmark: LANDMARK,
        credential: mtc.clone(),
    };
    let cosigner = SecretKey::generate(SignatureAlgorithm::Ed25519).expect("randomness");
    let trust = CaTrust::ca_alone(&CaCertificate {
        cosigner: Cosigner {
            id: ca(),
            key: cosigner.public_key().expect("its public key"),
        },
        min_serial: 0,
        max_serial: u64::MAX,
        prefix_url: None,
    });
    let root = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let root = CertificateParams::default().self_signed(&root);
    let root = X509Trust::new(ROOT, root.expect("a root").der()).expect("a root");
    CredentialSet {
        mtc: vec![MtcCredential::new(mtc.clone(), Some(landmark))],
        x509: vec![X509Credential {
            profile: ROOT,
            credential: mtc,
        }],
        ..CredentialSet::new(MtcTrust::new(trust), vec![root])
    }
}

/// The first flight of a client that has no trust in anything.
fn hello() -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(provider(&[KeyExchange::X25519]))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("smf.test").expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut records = Vec::new();
    client.write_tls(&mut records).expect("written to memory");
    records
}

/// A ClientHello, one record, with one more extension.
fn with_extension(hello: &[u8], number: u16, data: &[u8]) -> Vec<u8> {
    const AFTER_RANDOM: usize = 5 + 4 + 2 + 32;
    let skip = |at: usize, prefix: usize| {
        let length = hello[at..at + prefix]
            .iter()
            .fold(0, |n, b| n << 8 | usize::from(*b));
        at + prefix + length
    };
    // The session ID, the cipher suites, the compression methods.
    let extensions = skip(skip(skip(AFTER_RANDOM, 1), 2), 1);
    let longer = |from: usize, prefix: usize| {
        let mut length = Vec::new();
        let rest = hello.len() - from - prefix + 4 + data.len();
        put_uint(&mut length, rest as u64, prefix);
        length
    };
    [
        &hello[..3],
        &longer(3, 2),
        &hello[5..6],
        &longer(6, 3),
        &hello[9..extensions],
        &longer(extensions, 2),
        &hello[extensions + 2..],
        &number.to_be_bytes(),
        &(data.len() as u16).to_be_bytes(),
        data,
    ]
    .concat()
}

fn read(records: &[u8]) -> (Accepted, Option<TrustAnchors>) {
    let mut acceptor = Acceptor::default();
    let mut rest = records;
    while !rest.is_empty() {
        acceptor.read_tls(&mut rest).expect("read from memory");
    }
    let accepted = acceptor.accept().map_err(|(error, _)| error);
    let accepted = accepted.expect("a ClientHello").expect("a whole one");
    let anchors = TrustAnchors::of_records(records, CODE_POINT).expect("well formed");
    (accepted, anchors)
}

/// What a client gets that names these identifiers by `trust_anchors` and these names by `certificate_authorities`.
fn served(
    set: &CredentialSet,
    ids: Option<&[&str]>,
    names: &[Vec<u8>],
    fallback: TrustDomain,
) -> (Signal, TrustDomain, CertificateKind) {
    const CERTIFICATE_AUTHORITIES: u16 = 47;
    let listed = |prefix: usize, items: &[Vec<u8>]| {
        let mut list = Vec::new();
        for item in items {
            put_uint(&mut list, item.len() as u64, prefix);
            list.extend_from_slice(item);
        }
        [&(list.len() as u16).to_be_bytes()[..], &list].concat()
    };
    let mut records = hello();
    if let Some(ids) = ids {
        let ids: Vec<_> = ids
            .iter()
            .map(|id| id.parse::<TrustAnchorId>().expect("an ID"))
            .map(|id| id.as_bytes().to_vec())
            .collect();
        records = with_extension(&records, CODE_POINT, &listed(1, &ids));
    }
    if !names.is_empty() {
        records = with_extension(&records, CERTIFICATE_AUTHORITIES, &listed(2, names));
    }
    let (accepted, anchors) = read(&records);
    let service = Service {
        fallback,
        upgraded: true,
    };
    let choice = choose_for_client(set, &accepted.client_hello(), anchors.as_ref(), service);
    let (kind, _) = choice.presented.expect("a key that the client can verify");
    (choice.signal, choice.domain, kind)
}

/// What a client gets that names these, from a server that is upgraded, and why it is no better.
fn downgraded(set: &CredentialSet, names: &[Vec<u8>]) -> (CertificateKind, Option<Downgrade>) {
    const CERTIFICATE_AUTHORITIES: u16 = 47;
    let mut list = Vec::new();
    for name in names {
        put_uint(&mut list, name.len() as u64, 2);
        list.extend_from_slice(name);
    }
    let data = [&(list.len() as u16).to_be_bytes()[..], &list].concat();
    let (accepted, _) = read(&with_extension(&hello(), CERTIFICATE_AUTHORITIES, &data));
    let service = Service {
        fallback: TrustDomain::MtcStandalone,
        upgraded: true,
    };
    let choice = choose_for_client(set, &accepted.client_hello(), None, service);
    let (kind, _) = choice.presented.expect("a key that the client can verify");
    (kind, choice.downgrade)
}

#[test]
fn names_that_were_lost_on_the_way_are_noticed() {
    use CertificateKind::{DirectlySigned, LandmarkRelative, Standalone};
    let set = set();
    let name = |id: &str| id.parse::<TrustAnchorId>().expect("an ID").to_name();
    let log = LogId::new(ca(), LogNumber::FIRST).expect("a log");
    let group = log.landmark_group(LANDMARK).expect("a group").to_name();
    let root = set.x509_trust[0].hint[0].as_ref().to_vec();
    let [upgraded, not_upgraded] = ["32473.1.8.1", "32473.1.8.2"].map(name);
    let foreign = name("32473.2");
    for (names, expected) in [
        (
            &[group, root.clone(), upgraded.clone()][..],
            (LandmarkRelative, None),
        ),
        (
            &[root.clone(), upgraded],
            (DirectlySigned, Some(Downgrade::NamesMissing)),
        ),
        (
            &[root.clone(), not_upgraded],
            (DirectlySigned, Some(Downgrade::PeerNotUpgraded)),
        ),
        (&[root], (DirectlySigned, None)),
        (&[foreign], (Standalone, Some(Downgrade::NothingNamed))),
    ] {
        assert_eq!(downgraded(&set, names), expected);
    }
}

#[test]
fn the_real_extension_decides_between_standalone_and_landmark_relative() {
    use CertificateKind::{LandmarkRelative, Standalone};
    use TrustDomain::{MtcLandmark, MtcLandmarkStale, MtcStandalone};
    let set = set();
    for (ids, domain, kind) in [
        (&["32473.1"][..], MtcStandalone, Standalone),
        (&["32473.1.2.1.4"], MtcLandmark, Standalone),
        (&["32473.1.2.1.5"], MtcLandmark, LandmarkRelative),
        (&["32473.1.2.1.9"], MtcLandmark, LandmarkRelative),
        (&["32473.1.2.1.0"], MtcLandmarkStale, Standalone),
        (&["32473.1.2.2.9"], MtcLandmark, Standalone),
        (
            &["32473.2", "32473.1", "32473.1.2.1.5"],
            MtcLandmark,
            LandmarkRelative,
        ),
    ] {
        let got = served(&set, Some(ids), &[], MtcStandalone);
        assert_eq!(got, (Signal::TrustAnchors, domain, kind), "{ids:?}");
    }
}

#[test]
fn the_real_extension_comes_before_the_stand_in_and_foreign_identifiers_after_it() {
    use CertificateKind::{DirectlySigned, LandmarkRelative, Standalone};
    use TrustDomain::{MtcLandmark, MtcStandalone, X509};
    let set = set();
    let log = LogId::new(ca(), LogNumber::FIRST).expect("a log");
    let group = log.landmark_group(LANDMARK).expect("a group").to_name();
    let root = set.x509_trust[0].hint[0].as_ref().to_vec();
    for (ids, names, expected) in [
        (
            Some(&["32473.1"][..]),
            &[group.clone(), root.clone()][..],
            (Signal::TrustAnchors, MtcStandalone, Standalone),
        ),
        (
            Some(&["32473.2"]),
            &[root],
            (Signal::CertificateAuthorities, X509(ROOT), DirectlySigned),
        ),
        (
            Some(&[]),
            &[group],
            (Signal::StandIn, MtcLandmark, LandmarkRelative),
        ),
    ] {
        assert_eq!(served(&set, ids, names, MtcStandalone), expected, "{ids:?}");
    }
}

#[test]
fn who_names_nothing_known_is_served_in_the_fallback() {
    use CertificateKind::{DirectlySigned, Standalone};
    let set = set();
    let foreign = "32473.2".parse::<TrustAnchorId>().expect("an ID").to_name();
    for (ids, names) in [
        (None, &[][..]),
        (Some(&["32473.2"][..]), &[]),
        (None, &[foreign]),
    ] {
        let x509 = TrustDomain::X509(ROOT);
        assert_eq!(
            served(&set, ids, names, x509),
            (Signal::Nothing, x509, DirectlySigned)
        );
        for fallback in TrustDomain::MTC {
            assert_eq!(
                served(&set, ids, names, fallback),
                (Signal::Nothing, TrustDomain::MtcStandalone, Standalone),
                "{fallback}"
            );
        }
    }
}
