//! An X.509 CA of a baseline: a root, and the intermediates of its profile.

use mtc_core::der;
use mtc_core::x509::extension;
use mtc_tls::key::{NfKey, X509Profile};

use crate::nf::{Leaf, Validity};

/// `[0] EXPLICIT Version` v3.
const VERSION_3: &[u8] = &[0xa0, 3, 2, 1, 2];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
/// KeyUsage: keyCertSign.
const KEY_CERT_SIGN: &[u8] = &[3, 2, 2, 0x04];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
/// BasicConstraints: cA TRUE.
const CA_TRUE: &[u8] = &[0x30, 3, 1, 1, 0xff];

pub(crate) struct Baseline {
    pub(crate) profile: X509Profile,
    /// DER of the root's name.
    pub(crate) name: Vec<u8>,
    pub(crate) root: Vec<u8>,
    issuer: Issuer,
    /// What goes between leaf and root, the issuer of leaves first.
    intermediates: Vec<Vec<u8>>,
}

struct Issuer {
    name: Vec<u8>,
    key: NfKey,
}

impl Baseline {
    pub(crate) fn new(profile: X509Profile, validity: Validity) -> Self {
        let new_issuer = |kind: &str| Issuer {
            name: common_name(&format!("{kind} of {profile}")),
            key: NfKey::generate(profile.ca_signature).expect("randomness"),
        };
        let of_ca = |issuer: &Issuer| Leaf {
            subject: issuer.name.clone(),
            spki: issuer.key.spki_der().to_vec(),
            extensions: ca_extensions(),
            validity,
        };
        let root = new_issuer("root");
        let (name, root_certificate) = (root.name.clone(), root.issue(&of_ca(&root)));
        let mut issuer = root;
        let mut intermediates = Vec::new();
        for number in 0..profile.intermediates.count() {
            let below = new_issuer(&format!("intermediate {number}"));
            intermediates.insert(0, issuer.issue(&of_ca(&below)));
            issuer = below;
        }
        Self {
            profile,
            name,
            root: root_certificate,
            issuer,
            intermediates,
        }
    }

    /// A certificate for the leaf and what stands between it and the root.
    pub(crate) fn chain(&self, leaf: &Leaf) -> Vec<Vec<u8>> {
        [self.issuer.issue(leaf)]
            .into_iter()
            .chain(self.intermediates.iter().cloned())
            .collect()
    }
}

impl Issuer {
    fn issue(&self, leaf: &Leaf) -> Vec<u8> {
        let algorithm = self.key.algorithm().signature_algorithm_identifier();
        let tbs = der::element(
            der::SEQUENCE,
            &[
                VERSION_3,
                &der::unsigned_integer(1),
                &algorithm,
                &self.name,
                &der::element(
                    der::SEQUENCE,
                    &[
                        &leaf.validity.not_before.to_der(),
                        &leaf.validity.not_after.to_der(),
                    ],
                ),
                &leaf.subject,
                &leaf.spki,
                &der::element(der::context(3), &[&leaf.extensions]),
            ],
        );
        let signature = self.key.sign(&tbs).expect("a key that signs");
        der::element(
            der::SEQUENCE,
            &[&tbs, &algorithm, &der::bit_string(&signature)],
        )
    }
}

fn ca_extensions() -> Vec<u8> {
    der::element(
        der::SEQUENCE,
        &[
            &extension(KEY_USAGE, true, KEY_CERT_SIGN),
            &extension(BASIC_CONSTRAINTS, true, CA_TRUE),
        ],
    )
}

/// DER of a name with one common name.
fn common_name(text: &str) -> Vec<u8> {
    let attribute = der::element(
        der::SEQUENCE,
        &[
            &der::element(der::OID, &[COMMON_NAME]),
            &der::element(der::UTF8_STRING, &[text.as_bytes()]),
        ],
    );
    der::element(der::SEQUENCE, &[&der::element(der::SET, &[&attribute])])
}
