//! A network function: its names, its keys, and what a certificate says about it.

use mtc_core::der;
use mtc_core::time::UnixTime;
use mtc_core::x509::{Extension, extension};
use mtc_tls::identity::NfSubject;
use mtc_tls::key::{KeyAlgorithm, NfKey};
use mtc_tls::peer::ExpectedPeer;
use uuid::Uuid;

/// The algorithms of which every NF has a key: all but one, of which a peer can ask in vain.
pub(crate) const LEAF_KEYS: [KeyAlgorithm; 5] = [
    KeyAlgorithm::Ed25519,
    KeyAlgorithm::EcdsaP256,
    KeyAlgorithm::MlDsa44,
    KeyAlgorithm::MlDsa65,
    KeyAlgorithm::MlDsa87,
];

const HOME_DOMAIN: &str = "5gc.mnc001.mcc001.3gppnetwork.org";
const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];
/// `SEQUENCE OF` nothing but id-kp-serverAuth.
const SERVER_AUTH_ONLY: &[u8] = &[0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];

/// First and last second of a certificate's validity.
#[derive(Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
}

/// What an issuer certifies, whichever way it does.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) extensions: Vec<u8>,
    pub(crate) validity: Validity,
}

impl Leaf {
    /// A certificate for servers alone: without clientAuth in extKeyUsage.
    pub(crate) fn for_servers_only(self) -> Self {
        let mut rest =
            der::Reader::new(der::only(&self.extensions, der::SEQUENCE).expect("extensions"));
        let mut changed = Vec::new();
        while !rest.is_empty() {
            let Extension {
                oid,
                critical,
                value,
            } = Extension::read(&mut rest).expect("an extension");
            let value = if oid == EXT_KEY_USAGE {
                SERVER_AUTH_ONLY
            } else {
                value
            };
            changed.extend(extension(oid, critical, value));
        }
        Self {
            extensions: der::element(der::SEQUENCE, &[&changed]),
            ..self
        }
    }
}

/// One NF instance with keys of some algorithms.
pub(crate) struct Nf {
    nf_type: &'static str,
    subject: NfSubject,
    keys: Vec<NfKey>,
}

impl Nf {
    /// One with a key of each of these algorithms.
    pub(crate) fn with_keys(nf_type: &'static str, algorithms: &[KeyAlgorithm]) -> Self {
        let fqdn = format!("{}1.{HOME_DOMAIN}", nf_type.to_lowercase());
        let subject = NfSubject::new(
            "DE",
            HOME_DOMAIN,
            Uuid::new_v4(),
            &[nf_type.to_owned()],
            &[fqdn],
        );
        Self {
            nf_type,
            subject: subject.expect("a legal subject"),
            keys: algorithms
                .iter()
                .map(|algorithm| NfKey::generate(*algorithm).expect("randomness"))
                .collect(),
        }
    }

    pub(crate) const fn instance_id(&self) -> Uuid {
        self.subject.instance_id()
    }

    pub(crate) fn key(&self, algorithm: KeyAlgorithm) -> &NfKey {
        self.keys
            .iter()
            .find(|key| key.algorithm() == algorithm)
            .expect("a key of each of its algorithms")
    }

    /// What this NF's certificates for its key of this algorithm say.
    pub(crate) fn leaf(&self, algorithm: KeyAlgorithm, validity: Validity) -> Leaf {
        Leaf {
            subject: self.subject.name_der(),
            spki: self.key(algorithm).spki_der().to_vec(),
            extensions: self.subject.extensions_der(),
            validity,
        }
    }

    /// What a caller who wants this NF expects.
    pub(crate) fn expected(&self) -> ExpectedPeer {
        ExpectedPeer {
            fqdn: self.subject.fqdns()[0].clone(),
            instance_id: Some(self.instance_id()),
            nf_type: Some(self.nf_type.to_owned()),
        }
    }
}
