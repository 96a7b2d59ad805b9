//! Algorithms of keys and signatures: by which name people know them, and whether a quantum computer breaks them.
//!
//! Shor's algorithm breaks every key whose strength is factoring or a discrete logarithm: RSA, DSA, Diffie-Hellman, and all elliptic
//! curves. Lattices (ML-DSA, ML-KEM, Falcon) and hashes (SLH-DSA, LMS, XMSS, the inclusion proofs of Merkle Tree Certificates) it does not.

use mtc_core::der::{self, Reader};
use mtc_core::oid;
use mtc_core::x509;
use schemars::JsonSchema;
use serde::Serialize;

/// What a quantum computer does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Quantum {
    /// Shor's algorithm breaks it.
    Vulnerable,
    /// A post-quantum algorithm and one of today: breaking it takes both.
    Hybrid,
    /// No quantum algorithm is known that breaks it.
    Resistant,
    /// The algorithm is not known here, so nothing is said; conditions count it as vulnerable.
    Unknown,
    /// Nothing is signed, so there is nothing to break.
    Unsigned,
}

impl Quantum {
    /// Whether it has to be replaced, or at least looked at: [`Self::Vulnerable`] or [`Self::Unknown`].
    pub const fn is_exposed(self) -> bool {
        matches!(self, Self::Vulnerable | Self::Unknown)
    }

    /// The word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vulnerable => "vulnerable",
            Self::Hybrid => "hybrid",
            Self::Resistant => "resistant",
            Self::Unknown => "unknown",
            Self::Unsigned => "unsigned",
        }
    }
}

/// An algorithm of a key or of a signature.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Algorithm {
    /// Its name: `rsa-2048`, `ecdsa-p256`, `ml-dsa-65`, `sha256WithRSAEncryption`; the dotted OID if it has none here.
    pub name: String,
    /// Its object identifier, dotted; of elliptic curve keys that of the curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oid: Option<String>,
    /// What a quantum computer does to it.
    pub quantum: Quantum,
}

impl Algorithm {
    /// That of the key in a SubjectPublicKeyInfo (DER).
    pub fn of_key(spki: &[u8]) -> Self {
        let identifier = der::only(spki, der::SEQUENCE)
            .and_then(|contents| Reader::new(contents).contents(der::SEQUENCE))
            .unwrap_or_default();
        let mut fields = Reader::new(identifier);
        let oid = fields.contents(der::OID).unwrap_or_default();
        let curve = fields.contents(der::OID).unwrap_or_default();
        let is_curve = oid == oid::EC_PUBLIC_KEY && !curve.is_empty();
        let dotted = oid::dotted(if is_curve { curve } else { oid });
        let name = match x509::public_key(spki) {
            _ if is_curve => named_curve(&dotted),
            Some((name, _)) if name != dotted => Some(name),
            _ => None,
        };
        Self::known(name, dotted)
    }

    /// That of the key in a PKCS#8 document, whose AlgorithmIdentifier has these contents octets.
    pub(crate) fn of_identifier(contents: &[u8]) -> Self {
        let identifier = der::element(der::SEQUENCE, &[contents]);
        let empty = der::bit_string(&[]);
        Self::of_key(&der::element(der::SEQUENCE, &[&identifier, &empty]))
    }

    /// That of a signature, by its AlgorithmIdentifier (DER).
    pub fn of_signature(identifier: &[u8]) -> Self {
        let oid = der::only(identifier, der::SEQUENCE)
            .and_then(|contents| Reader::new(contents).contents(der::OID))
            .unwrap_or_default();
        let dotted = oid::dotted(oid);
        let name = Some(x509::signature_algorithm(identifier)).filter(|name| *name != dotted);
        Self::known(name, dotted)
    }

    /// A Merkle Tree Certificate's in place of a signature. `cosignatures` are the lengths of those in it, none if it has none.
    ///
    /// Which algorithms its cosigners use stands in the relying parties' configuration, not in the certificate; the length of a
    /// signature tells them apart: the longest of today's without RSA has 132 bytes (ECDSA with P-521), the shortest post-quantum one
    /// with a standard or a draft of one about 650 (Falcon-512).
    pub(crate) fn of_proof(cosignatures: &[usize]) -> Self {
        let quantum = match cosignatures.iter().max() {
            None => Quantum::Resistant,
            Some(longest) if *longest > MAX_CLASSICAL => Quantum::Resistant,
            Some(_) => Quantum::Vulnerable,
        };
        Self {
            name: "id-alg-mtcProof".to_owned(),
            oid: Some(oid::dotted(&[0x2b, 6, 1, 5, 5, 7, 6, 67])),
            quantum,
        }
    }

    fn known(name: Option<String>, dotted: String) -> Self {
        let more = MORE.iter().find(|(known, ..)| *known == dotted);
        let quantum = match (&name, more) {
            (_, Some((_, _, quantum))) => *quantum,
            (Some(name), None) => quantum_of(name),
            (None, None) => arc(&dotted).map_or(Quantum::Unknown, |(_, quantum)| quantum),
        };
        let name = name
            .or_else(|| more.map(|(_, name, _)| (*name).to_owned()))
            .or_else(|| arc(&dotted).map(|(name, _)| name))
            .unwrap_or_else(|| {
                if dotted.is_empty() {
                    "unknown".to_owned()
                } else {
                    dotted.clone()
                }
            });
        Self {
            name,
            oid: Some(dotted).filter(|dotted| !dotted.is_empty()),
            quantum,
        }
    }

    /// What is weak about it already today: a broken hash, or too short a key.
    pub(crate) fn weakness(&self) -> Option<String> {
        let name = self.name.to_ascii_lowercase();
        if name.contains("md5") || name.contains("md2") || name.contains("sha1") {
            return Some(format!(
                "signed with {}, whose hash is broken today",
                self.name
            ));
        }
        let bits: u32 = name.strip_prefix("rsa-")?.parse().ok()?;
        (bits < 2048).then(|| format!("an RSA key of {bits} bits is too short today"))
    }
}

/// Longest signature, in bytes, that is taken for one of today's elliptic curves.
const MAX_CLASSICAL: usize = 200;

/// Whether an algorithm that `mtc_core::x509` has a name for stands up to a quantum computer.
fn quantum_of(name: &str) -> Quantum {
    match name {
        "id-alg-unsigned" => Quantum::Unsigned,
        name if name.starts_with("ml-dsa-") => Quantum::Resistant,
        _ => Quantum::Vulnerable, // RSA, ECDSA, Ed25519
    }
}

fn named_curve(dotted: &str) -> Option<String> {
    let name = match dotted {
        "1.2.840.10045.3.1.7" => "ecdsa-p256",
        "1.3.132.0.34" => "ecdsa-p384",
        "1.3.132.0.35" => "ecdsa-p521",
        "1.3.132.0.33" => "ecdsa-p224",
        "1.2.840.10045.3.1.1" => "ecdsa-p192",
        "1.3.132.0.10" => "ecdsa-secp256k1",
        "1.3.36.3.3.2.8.1.1.7" => "ecdsa-brainpoolP256r1",
        "1.3.36.3.3.2.8.1.1.11" => "ecdsa-brainpoolP384r1",
        "1.3.36.3.3.2.8.1.1.13" => "ecdsa-brainpoolP512r1",
        "1.2.156.10197.1.301" => "sm2",
        curve => return Some(format!("elliptic curve {curve}")),
    };
    Some(name.to_owned())
}

/// Ranges of object identifiers that have one meaning.
fn arc(dotted: &str) -> Option<(String, Quantum)> {
    let (arc, last) = dotted.rsplit_once('.')?;
    let last: u64 = last.parse().ok()?;
    match (arc, last) {
        // draft-ietf-lamps-pq-composite-sigs: ML-DSA with RSA, ECDSA, Ed25519 or Ed448.
        ("1.3.6.1.5.5.7.6", 37..=54) => {
            Some((format!("composite ML-DSA ({dotted})"), Quantum::Hybrid))
        }
        // Earlier revisions of it.
        ("2.16.840.1.114027.80.8.1" | "2.16.840.1.114027.80.9.1", _) => {
            Some((format!("composite ML-DSA ({dotted})"), Quantum::Hybrid))
        }
        // FIPS 205, and with a hash before it.
        ("2.16.840.1.101.3.4.3", 20..=31) => {
            let set = SLH_DSA.get(usize::try_from(last).ok()? - 20)?;
            Some((format!("slh-dsa-{set}"), Quantum::Resistant))
        }
        ("2.16.840.1.101.3.4.3", 35..=46) => {
            let set = SLH_DSA.get(usize::try_from(last).ok()? - 35)?;
            Some((format!("hash-slh-dsa-{set}"), Quantum::Resistant))
        }
        _ => None,
    }
}

/// Parameter sets of FIPS 205, in the order of their object identifiers.
const SLH_DSA: [&str; 12] = [
    "sha2-128s",
    "sha2-128f",
    "sha2-192s",
    "sha2-192f",
    "sha2-256s",
    "sha2-256f",
    "shake-128s",
    "shake-128f",
    "shake-192s",
    "shake-192f",
    "shake-256s",
    "shake-256f",
];

/// What `mtc_core::x509` has no name for, and what its names do not say.
const MORE: &[(&str, &str, Quantum)] = &[
    ("1.3.6.1.5.5.7.6.36", "id-alg-unsigned", Quantum::Unsigned),
    ("1.3.101.110", "x25519", Quantum::Vulnerable),
    ("1.3.101.111", "x448", Quantum::Vulnerable),
    ("1.3.101.113", "ed448", Quantum::Vulnerable),
    ("1.2.840.10040.4.1", "dsa", Quantum::Vulnerable),
    ("1.2.840.10040.4.3", "dsa-with-sha1", Quantum::Vulnerable),
    (
        "2.16.840.1.101.3.4.3.2",
        "dsa-with-sha256",
        Quantum::Vulnerable,
    ),
    ("1.2.840.10046.2.1", "dh", Quantum::Vulnerable),
    (
        "1.2.840.113549.1.1.2",
        "md2WithRSAEncryption",
        Quantum::Vulnerable,
    ),
    (
        "1.2.840.113549.1.1.4",
        "md5WithRSAEncryption",
        Quantum::Vulnerable,
    ),
    (
        "1.2.840.113549.1.1.14",
        "sha224WithRSAEncryption",
        Quantum::Vulnerable,
    ),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1", Quantum::Vulnerable),
    (
        "1.2.840.10045.4.3.1",
        "ecdsa-with-SHA224",
        Quantum::Vulnerable,
    ),
    (
        "2.16.840.1.101.3.4.3.10",
        "ecdsa-with-SHA3-256",
        Quantum::Vulnerable,
    ),
    (
        "2.16.840.1.101.3.4.3.11",
        "ecdsa-with-SHA3-384",
        Quantum::Vulnerable,
    ),
    (
        "2.16.840.1.101.3.4.3.12",
        "ecdsa-with-SHA3-512",
        Quantum::Vulnerable,
    ),
    ("1.2.156.10197.1.501", "sm2-with-sm3", Quantum::Vulnerable),
    (
        "2.16.840.1.101.3.4.3.32",
        "hash-ml-dsa-44",
        Quantum::Resistant,
    ),
    (
        "2.16.840.1.101.3.4.3.33",
        "hash-ml-dsa-65",
        Quantum::Resistant,
    ),
    (
        "2.16.840.1.101.3.4.3.34",
        "hash-ml-dsa-87",
        Quantum::Resistant,
    ),
    ("2.16.840.1.101.3.4.4.1", "ml-kem-512", Quantum::Resistant),
    ("2.16.840.1.101.3.4.4.2", "ml-kem-768", Quantum::Resistant),
    ("2.16.840.1.101.3.4.4.3", "ml-kem-1024", Quantum::Resistant),
    ("1.2.840.113549.1.9.16.3.17", "hss-lms", Quantum::Resistant),
    ("1.3.6.1.5.5.7.6.34", "xmss", Quantum::Resistant),
    ("1.3.6.1.5.5.7.6.35", "xmssmt", Quantum::Resistant),
    ("1.3.9999.3.11", "falcon-512", Quantum::Resistant),
    ("1.3.9999.3.14", "falcon-1024", Quantum::Resistant),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn oid_of(dotted: &str) -> Vec<u8> {
        let mut parts = dotted.split('.').map(|part| part.parse::<u64>().unwrap());
        let first = parts.next().unwrap() * 40 + parts.next().unwrap();
        let mut octets = Vec::new();
        for value in std::iter::once(first).chain(parts) {
            let mut sevens = vec![(value & 0x7f) as u8];
            let mut rest = value >> 7;
            while rest > 0 {
                sevens.push((rest & 0x7f) as u8 | 0x80);
                rest >>= 7;
            }
            octets.extend(sevens.into_iter().rev());
        }
        der::element(der::OID, &[&octets])
    }

    fn signature(dotted: &str) -> Algorithm {
        Algorithm::of_signature(&der::element(der::SEQUENCE, &[&oid_of(dotted)]))
    }

    #[test]
    fn signatures_have_names_and_a_verdict() {
        for (dotted, name, quantum) in [
            (
                "1.2.840.113549.1.1.11",
                "sha256WithRSAEncryption",
                Quantum::Vulnerable,
            ),
            (
                "1.2.840.10045.4.3.2",
                "ecdsa-with-SHA256",
                Quantum::Vulnerable,
            ),
            ("1.3.101.112", "ed25519", Quantum::Vulnerable),
            ("1.3.101.113", "ed448", Quantum::Vulnerable),
            ("2.16.840.1.101.3.4.3.18", "ml-dsa-65", Quantum::Resistant),
            (
                "2.16.840.1.101.3.4.3.20",
                "slh-dsa-sha2-128s",
                Quantum::Resistant,
            ),
            (
                "2.16.840.1.101.3.4.3.31",
                "slh-dsa-shake-256f",
                Quantum::Resistant,
            ),
            (
                "1.3.6.1.5.5.7.6.40",
                "composite ML-DSA (1.3.6.1.5.5.7.6.40)",
                Quantum::Hybrid,
            ),
            ("1.3.6.1.5.5.7.6.36", "id-alg-unsigned", Quantum::Unsigned),
            ("1.2.3.4", "1.2.3.4", Quantum::Unknown),
        ] {
            let algorithm = signature(dotted);
            assert_eq!(
                (algorithm.name.as_str(), algorithm.quantum),
                (name, quantum),
                "{dotted}"
            );
            assert_eq!(algorithm.oid.as_deref(), Some(dotted));
        }
    }

    #[test]
    fn keys_have_names_and_a_verdict() {
        let key = |parts: &[&[u8]]| Algorithm::of_identifier(&parts.concat());
        let ec = oid_of("1.2.840.10045.2.1");
        for (algorithm, name, quantum) in [
            (
                key(&[&ec, &oid_of("1.2.840.10045.3.1.7")]),
                "ecdsa-p256",
                Quantum::Vulnerable,
            ),
            (
                key(&[&ec, &oid_of("1.3.36.3.3.2.8.1.1.7")]),
                "ecdsa-brainpoolP256r1",
                Quantum::Vulnerable,
            ),
            (
                key(&[&ec, &oid_of("1.3.132.0.5")]),
                "elliptic curve 1.3.132.0.5",
                Quantum::Vulnerable,
            ),
            (
                key(&[&oid_of("2.16.840.1.101.3.4.3.17")]),
                "ml-dsa-44",
                Quantum::Resistant,
            ),
            (
                key(&[&oid_of("2.16.840.1.101.3.4.4.2")]),
                "ml-kem-768",
                Quantum::Resistant,
            ),
            (
                key(&[&oid_of("1.2.840.113549.1.1.1"), &[5, 0]]),
                "rsa",
                Quantum::Vulnerable,
            ),
            (key(&[&[0xff]]), "unknown", Quantum::Unknown),
        ] {
            assert_eq!(
                (algorithm.name.as_str(), algorithm.quantum),
                (name, quantum)
            );
        }
    }

    #[test]
    fn a_proof_is_judged_by_the_cosignatures_in_it() {
        assert_eq!(Algorithm::of_proof(&[]).quantum, Quantum::Resistant);
        assert_eq!(Algorithm::of_proof(&[2420, 64]).quantum, Quantum::Resistant);
        assert_eq!(Algorithm::of_proof(&[64, 96]).quantum, Quantum::Vulnerable);
    }

    #[test]
    fn what_is_weak_today_is_told() {
        assert!(signature("1.2.840.113549.1.1.4").weakness().is_some());
        assert!(signature("1.2.840.113549.1.1.5").weakness().is_some());
        assert_eq!(signature("1.2.840.113549.1.1.11").weakness(), None);
        let rsa = |bits: u32| Algorithm {
            name: format!("rsa-{bits}"),
            oid: None,
            quantum: Quantum::Vulnerable,
        };
        assert!(rsa(1024).weakness().is_some());
        assert_eq!(rsa(2048).weakness(), None);
    }
}
