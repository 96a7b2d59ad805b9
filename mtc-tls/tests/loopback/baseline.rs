//! An X.509 CA of a baseline: a root, and the intermediates of its profile.

use mtc_core::der;
use mtc_core::x509::extension;
use mtc_tls::key::{NfKey, X509Profile};
use mtc_tls::revocation::RevokedCertificate;
use mtc_tls::revocation::crl::List;
use mtc_tls::revocation::ocsp::{Answer, CertId};

use crate::nf::{Leaf, Validity};

/// `[0] EXPLICIT Version` v3.
const VERSION_3: &[u8] = &[0xa0, 3, 2, 1, 2];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
/// KeyUsage: keyCertSign, cRLSign.
const KEY_CERT_AND_CRL_SIGN: &[u8] = &[3, 2, 1, 0x06];
/// Contents octets of the serial number of every certificate.
const SERIAL: &[u8] = &[1];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
/// BasicConstraints: cA TRUE.
const CA_TRUE: &[u8] = &[0x30, 3, 1, 1, 0xff];

pub(crate) struct Baseline {
    pub(crate) profile: X509Profile,
    /// DER of the root's name.
    pub(crate) name: Vec<u8>,
    pub(crate) root: Vec<u8>,
    /// The root first, the issuer of leaves last.
    issuers: Vec<Issuer>,
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
        let mut issuers = vec![root];
        let mut intermediates = Vec::new();
        for number in 0..profile.intermediates.count() {
            let below = new_issuer(&format!("intermediate {number}"));
            let above = issuers.last().expect("there is the root");
            intermediates.insert(0, above.issue(&of_ca(&below)));
            issuers.push(below);
        }
        Self {
            profile,
            name,
            root: root_certificate,
            issuers,
            intermediates,
        }
    }

    /// A certificate for the leaf and what stands between it and the root.
    pub(crate) fn chain(&self, leaf: &Leaf) -> Vec<Vec<u8>> {
        [self.issuer().issue(leaf)]
            .into_iter()
            .chain(self.intermediates.iter().cloned())
            .collect()
    }

    fn issuer(&self) -> &Issuer {
        self.issuers.last().expect("there is the root")
    }

    /// The lists of all CAs, the root's first, valid for these times; whether those of the root's intermediate and of leaves say that what
    /// they issued was revoked. Everything has the same serial number.
    pub(crate) fn lists(&self, validity: Validity, revoked: [bool; 2]) -> Vec<Vec<u8>> {
        let last = self.issuers.len() - 1;
        let signed = self.issuers.iter().enumerate().map(|(level, issuer)| {
            let is_revoked = revoked[usize::from(level == last)];
            let revoked = is_revoked.then(|| revocation(validity));
            let list = List {
                issuer: &issuer.name,
                key_identifier: &[7; 20],
                number: 1,
                this_update: validity.not_before,
                next_update: validity.not_after,
                revoked: revoked.as_slice(),
            };
            list.sign(&issuer.key).expect("a key that signs")
        });
        signed.collect()
    }

    /// What the issuer of leaves says of them.
    pub(crate) fn answer(&self, validity: Validity, is_revoked: bool) -> Vec<u8> {
        let issuer = self.issuer();
        let id = CertId::new(&issuer.name, issuer.key.spki_der(), SERIAL).expect("a key");
        let revoked = is_revoked.then(|| revocation(validity));
        let answer = Answer {
            cert_id: &id,
            revoked: revoked.as_ref(),
            this_update: validity.not_before,
            next_update: validity.not_after,
        };
        answer.sign(&issuer.key).expect("a key that signs")
    }
}

fn revocation(validity: Validity) -> RevokedCertificate {
    RevokedCertificate {
        serial: SERIAL.to_vec(),
        revoked_at: validity.not_before,
        reason: Some(1),
    }
}

impl Issuer {
    fn issue(&self, leaf: &Leaf) -> Vec<u8> {
        let algorithm = self.key.algorithm().signature_algorithm_identifier();
        let tbs = der::element(
            der::SEQUENCE,
            &[
                VERSION_3,
                &der::element(der::INTEGER, &[SERIAL]),
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
            &extension(KEY_USAGE, true, KEY_CERT_AND_CRL_SIGN),
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
