//! Structured damage: what can be changed in a certificate, field by field, and what the two verifiers make of it when
//! they differ.

use mtc_core::der;
use mtc_core::id::TreeSize;
use mtc_core::tree::Subtree;
use mtc_core::verify::Rejection;

use crate::random::Random;
use test_support::mtca::{Mtca, Signer};
use test_support::parts::Parts;

/// One way of changing a certificate.
pub(crate) struct Damage {
    pub(crate) what: &'static str,
    pub(crate) change: fn(&mut Parts, &mut Random, &Surroundings<'_>),
    /// Where mtc-core rejects alone, and why that is right.
    pub(crate) rejected_by_us_alone: Option<Departure>,
}

/// Why mtc-core rejects what mtcs accepts.
pub(crate) struct Departure {
    pub(crate) reason: &'static str,
    /// How mtc-core must say it, as its errors are printed for debugging.
    pub(crate) ours: &'static str,
}

/// Where the certificate comes from: foreign parts are taken from here.
pub(crate) struct Surroundings<'a> {
    pub(crate) mtca: &'a Mtca,
    pub(crate) other_ca: &'a Mtca,
    pub(crate) index: u64,
    pub(crate) subtree: Subtree,
    /// Other keys under the IDs of the CA and the witnesses.
    pub(crate) impostors: &'a [Signer],
}

impl Departure {
    pub(crate) fn covers(&self, ours: &Rejection) -> bool {
        format!("{ours:?}") == self.ours
    }
}

const fn damage(
    what: &'static str,
    change: fn(&mut Parts, &mut Random, &Surroundings<'_>),
) -> Damage {
    Damage {
        what,
        change,
        rejected_by_us_alone: None,
    }
}

const fn departure(
    what: &'static str,
    change: fn(&mut Parts, &mut Random, &Surroundings<'_>),
    reason: &'static str,
    ours: &'static str,
) -> Damage {
    Damage {
        what,
        change,
        rejected_by_us_alone: Some(Departure { reason, ours }),
    }
}

const NOT_MTC: &str = "Malformed(NotMtc)";

/// Every way. Those with a reason are all the disagreements there are.
pub(crate) const ALL: &[Damage] = &[
    // The serial number.
    damage("another index", |parts, random, around| {
        let log = u64::from(around.mtca.log.number().get()) << 48;
        parts.set_serial(log | random.below(around.mtca.tree.size().0 + 2));
    }),
    damage("another log", |parts, random, around| {
        parts.set_serial(*random.pick(&[1, 2, 3, 65535]) << 48 | around.index);
    }),
    damage("log 0", |parts, _, around| {
        parts.set_serial(around.index.max(1));
    }),
    damage("serial 0", |parts, _, _| parts.set_serial(0)),
    damage("empty serial", |parts, _, _| parts.serial.clear()),
    damage("negative serial", |parts, _, _| {
        parts.serial = vec![0xff; 3];
    }),
    damage("serial above 64 bits", |parts, _, _| {
        parts.serial.resize(9, 0);
        parts.serial[0] = 1;
    }),
    damage("flipped bit in the serial", |parts, random, _| {
        random.flip(&mut parts.serial);
    }),
    departure(
        "padded serial",
        |parts, _, _| {
            if parts
                .serial
                .first()
                .is_some_and(|first| (1..0x80).contains(first))
            {
                parts.serial.insert(0, 0);
            }
        },
        "X.690 clause 8.3.2: the first nine bits of an INTEGER are not all zero",
        "Malformed(SerialRange)",
    ),
    // The interval.
    damage("another start", |parts, random, around| {
        parts.start = random.below(around.mtca.tree.size().0 + 2);
    }),
    damage("another end", |parts, random, around| {
        parts.end = random.below(around.mtca.tree.size().0 + 2);
    }),
    damage("start and end exchanged", |parts, _, _| {
        (parts.start, parts.end) = (parts.end, parts.start);
    }),
    damage("empty interval", |parts, _, _| parts.end = parts.start),
    damage("interval of the largest log", |parts, _, _| {
        (parts.start, parts.end) = (0, (1 << 48) - 1);
    }),
    damage("interval moved by its length", |parts, _, around| {
        let length = around.subtree.len().next_power_of_two();
        parts.start += length;
        parts.end += length;
    }),
    // The proof.
    damage("flipped bit in a hash", |parts, random, _| {
        random.flip(&mut parts.hashes);
    }),
    damage("first hash dropped", |parts, _, _| {
        parts.hashes.drain(..parts.hashes.len().min(32));
    }),
    damage("last hash dropped", |parts, _, _| {
        parts.hashes.truncate(parts.hashes.len().saturating_sub(32));
    }),
    damage("one hash more", |parts, random, _| {
        let place = random.position(parts.hashes.len() / 32 + 1) * 32;
        parts.hashes.splice(place..place, [0xab; 32]);
    }),
    damage("hashes reversed", |parts, _, _| {
        let (hashes, _) = parts.hashes.as_chunks::<32>();
        parts.hashes = hashes.iter().rev().flatten().copied().collect();
    }),
    damage("half a hash more", |parts, _, _| {
        parts.hashes.extend([0; 16]);
    }),
    damage("byte of a hash dropped", |parts, _, _| {
        parts.hashes.pop();
    }),
    // The cosignatures.
    damage("cosignature dropped", |parts, random, _| {
        if !parts.cosignatures.is_empty() {
            let place = random.position(parts.cosignatures.len());
            parts.cosignatures.remove(place);
        }
    }),
    damage("cosignatures dropped", |parts, _, _| {
        parts.cosignatures.clear()
    }),
    damage("cosignature twice", |parts, random, _| {
        if !parts.cosignatures.is_empty() {
            let place = random.position(parts.cosignatures.len());
            parts
                .cosignatures
                .insert(place, parts.cosignatures[place].clone());
        }
    }),
    damage("cosignatures reversed", |parts, _, _| {
        parts.cosignatures.reverse()
    }),
    damage("cosignatures of two exchanged", |parts, _, _| {
        if let [one, .., other] = &mut parts.cosignatures[..] {
            std::mem::swap(&mut one.1, &mut other.1);
        }
    }),
    damage("flipped bit in a cosignature", |parts, random, _| {
        if let Some((_, signature)) = cosignature(parts, random) {
            random.flip(signature);
        }
    }),
    damage("empty cosignature", |parts, random, _| {
        if let Some((_, signature)) = cosignature(parts, random) {
            signature.clear();
        }
    }),
    damage("cosignature cut", |parts, random, _| {
        if let Some((_, signature)) = cosignature(parts, random) {
            signature.pop();
        }
    }),
    damage("cosignature with a byte more", |parts, random, _| {
        if let Some((_, signature)) = cosignature(parts, random) {
            signature.push(0);
        }
    }),
    damage(
        "ECDSA cosignature in a longer DER form",
        |parts, random, _| {
            if let Some((_, signature)) = cosignature(parts, random)
                && ecdsa_integers(signature).is_some()
            {
                signature.insert(1, 0x81);
            }
        },
    ),
    damage(
        "ECDSA cosignature with a padded integer",
        |parts, random, _| {
            if let Some((_, signature)) = cosignature(parts, random)
                && let Some([r, s]) = ecdsa_integers(signature)
            {
                *signature = ecdsa(&[&[0], &r[..]].concat(), &s);
            }
        },
    ),
    damage("ECDSA cosignature with the other s", |parts, random, _| {
        if let Some((_, signature)) = cosignature(parts, random)
            && let Some([r, s]) = ecdsa_integers(signature)
        {
            *signature = ecdsa(&r, &negated(&s));
        }
    }),
    damage(
        "Ed25519 cosignature with the order added to S",
        |parts, random, _| {
            if let Some((_, signature)) = cosignature(parts, random)
                && signature.len() == 64
            {
                let mut carry = 0;
                for (byte, order) in signature[32..].iter_mut().zip(ED25519_ORDER) {
                    let sum = u16::from(*byte) + u16::from(order) + carry;
                    (*byte, carry) = (sum as u8, sum >> 8);
                }
            }
        },
    ),
    damage(
        "ML-DSA cosignature with a hint where there is none",
        |parts, random, _| {
            if let Some((_, signature)) = cosignature(parts, random)
                && let Some(rows) = ml_dsa_rows(signature.len())
            {
                // The last place for a hint, which is zero unless the signature has as many as it can.
                let place = signature.len() - rows - 1;
                signature[place] = signature[place].wrapping_add(1);
            }
        },
    ),
    damage("cosignature of an impostor", |parts, random, around| {
        let hash = around.mtca.hash(around.subtree);
        let signer = random.pick(around.impostors);
        let forged = signer.cosignature(&around.mtca.log, around.subtree, &hash);
        replace(parts, signer.cosigner.id.as_bytes(), forged.signature);
    }),
    damage(
        "the CA's cosignature of another subtree",
        |parts, random, around| {
            let subtree = Subtree::whole(TreeSize(random.below(around.mtca.tree.size().0) + 1));
            let hash = around.mtca.hash(subtree);
            let of_another = around.mtca.ca.cosignature(&around.mtca.log, subtree, &hash);
            replace(
                parts,
                of_another.cosigner_id.as_bytes(),
                of_another.signature,
            );
        },
    ),
    damage("the CA's cosignature of another log", |parts, _, around| {
        let hash = around.mtca.hash(around.subtree);
        let log = around.other_ca.log;
        let of_another = around.mtca.ca.cosignature(&log, around.subtree, &hash);
        replace(
            parts,
            of_another.cosigner_id.as_bytes(),
            of_another.signature,
        );
    }),
    damage("flipped bit in a cosigner's ID", |parts, random, _| {
        if let Some((id, _)) = cosignature(parts, random) {
            // Not the first byte, of which one bit makes a padded component.
            random.flip(id.get_mut(1..).unwrap_or_default());
            in_order(parts);
        }
    }),
    damage("a stranger's cosignature", |parts, _, _| {
        insert(parts, &[1])
    }),
    damage("cosignature of nobody", |parts, _, _| insert(parts, &[])),
    damage("cosignature by a cut ID", |parts, _, _| {
        insert(parts, &[0x81])
    }),
    damage("a stranger's cosignature out of order", |parts, _, _| {
        parts.cosignatures.push((vec![1], vec![2]));
    }),
    departure(
        "cosigner ID of 33 bytes",
        |parts, _, _| insert(parts, &[1; 33]),
        "Section 6.2: opaque cosigner_id<1..32>",
        "Malformed(Id(Length(33)))",
    ),
    departure(
        "cosigner ID with a padded component",
        |parts, _, _| insert(parts, &[0x80, 1]),
        "X.690 clause 8.20.2: components of a RELATIVE-OID are minimal",
        "Malformed(Id(Component))",
    ),
    departure(
        "cosigner ID with a component of 70 bits",
        |parts, _, _| {
            insert(
                parts,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            )
        },
        "components are bounded to 64 bits here, which fails closed (docs/spec-map.md)",
        "Malformed(Id(Component))",
    ),
    // Entry extensions.
    damage("flipped bit in the entry extensions", |parts, random, _| {
        random.flip(&mut parts.extensions);
    }),
    damage("entry extensions dropped", |parts, _, _| {
        parts.extensions.clear()
    }),
    damage("one entry extension more", |parts, random, _| {
        let last = [[0xff, 0xff, 0, 0], [0xff, 0xfe, 0, 0]];
        parts.extensions.extend(random.pick(&last));
    }),
    damage("entry extensions twice", |parts, _, _| {
        parts.extensions = parts.extensions.repeat(2);
    }),
    damage("entry extensions cut", |parts, _, _| {
        parts.extensions.pop();
    }),
    // What the certificate states.
    damage("version dropped", |parts, _, _| parts.version.clear()),
    damage("another version", |parts, random, _| {
        parts.version = vec![0xa0, 3, 2, 1, *random.pick(&[0, 1, 3])];
    }),
    damage("flipped bit in the issuer", |parts, random, _| {
        random.flip(&mut parts.issuer)
    }),
    damage("another issuer", |parts, _, around| {
        parts.issuer = around.other_ca.ca.cosigner.id.to_name();
    }),
    damage("flipped bit in the validity", |parts, random, _| {
        random.flip(&mut parts.validity)
    }),
    damage("flipped bit in the subject", |parts, random, _| {
        random.flip(&mut parts.subject)
    }),
    damage("flipped bit in the key's algorithm", |parts, random, _| {
        random.flip(&mut parts.key_algorithm);
    }),
    damage("parameters of the key's algorithm", |parts, _, _| {
        let contents = der::only(&parts.key_algorithm, der::SEQUENCE).unwrap_or(&[6, 0]);
        parts.key_algorithm = der::element(der::SEQUENCE, &[contents, &[der::NULL, 0]]);
    }),
    damage("flipped bit in the key", |parts, random, _| {
        random.flip(&mut parts.key)
    }),
    damage("byte behind the key", |parts, _, _| {
        parts.key.extend([der::NULL, 0])
    }),
    damage("flipped bit in the extensions", |parts, random, _| {
        random.flip(&mut parts.after_key);
    }),
    damage("extensions dropped", |parts, _, _| parts.after_key.clear()),
    damage("unique identifier", |parts, _, _| {
        parts.after_key.splice(..0, [0x81, 2, 0, 1]);
    }),
    damage("field behind the extensions", |parts, _, _| {
        parts.after_key.extend([der::NULL, 0]);
    }),
    // The algorithms and what holds the proof.
    damage("flipped bit in the inner algorithm", |parts, random, _| {
        random.flip(&mut parts.inner_algorithm);
    }),
    damage("flipped bit in the outer algorithm", |parts, random, _| {
        random.flip(&mut parts.outer_algorithm);
    }),
    damage("parameters of an algorithm", |parts, random, _| {
        let algorithm = either(parts, random);
        let contents = der::only(algorithm, der::SEQUENCE).unwrap_or(&[6, 0]);
        *algorithm = der::element(der::SEQUENCE, &[contents, &[der::NULL, 0]]);
    }),
    damage("algorithm of early experiments", |parts, random, _| {
        *either(parts, random) = vec![0x30, 12, 6, 10, 0x2b, 6, 1, 4, 1, 0x82, 0xda, 0x4b, 47, 0];
    }),
    departure(
        "padded component in an algorithm's OID",
        |parts, random, _| {
            let oid = [0x2b, 6, 1, 5, 5, 7, 0x80, 6, 67];
            *either(parts, random) =
                der::element(der::SEQUENCE, &[&der::element(der::OID, &[&oid])]);
        },
        "X.690 clause 8.19.2: components of an OBJECT IDENTIFIER are minimal",
        NOT_MTC,
    ),
    damage("unused bits", |parts, _, _| parts.unused_bits = 1),
    damage("byte behind the proof", |parts, _, _| {
        parts.after_proof.push(0)
    }),
];

/// One of the cosignatures, if there are any.
fn cosignature<'a>(
    parts: &'a mut Parts,
    random: &mut Random,
) -> Option<&'a mut (Vec<u8>, Vec<u8>)> {
    if parts.cosignatures.is_empty() {
        return None;
    }
    let place = random.position(parts.cosignatures.len());
    Some(&mut parts.cosignatures[place])
}

fn in_order(parts: &mut Parts) {
    parts
        .cosignatures
        .sort_by_key(|(id, _)| (id.len(), id.clone()));
}

/// Adds a cosignature that verifies with no key, at its place.
fn insert(parts: &mut Parts, id: &[u8]) {
    parts.cosignatures.push((id.to_vec(), vec![0xab; 3]));
    in_order(parts);
}

/// Sets a cosigner's signature, whether there was one or not.
fn replace(parts: &mut Parts, id: &[u8], signature: Vec<u8>) {
    parts.cosignatures.retain(|(other, _)| other != id);
    parts.cosignatures.push((id.to_vec(), signature));
    in_order(parts);
}

fn either<'a>(parts: &'a mut Parts, random: &mut Random) -> &'a mut Vec<u8> {
    if random.once_in(2) {
        &mut parts.inner_algorithm
    } else {
        &mut parts.outer_algorithm
    }
}

/// The order of the base point, little-endian (RFC 8032 section 5.1).
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// The order of P-256 (SEC 2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// The order of P-384 (SEC 2).
const P384_ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// The contents octets of r and s, if this is an ECDSA signature.
pub(crate) fn ecdsa_integers(signature: &[u8]) -> Option<[Vec<u8>; 2]> {
    let mut fields = der::Reader::new(der::only(signature, der::SEQUENCE).ok()?);
    let integers = [
        fields.contents(der::INTEGER).ok()?,
        fields.contents(der::INTEGER).ok()?,
    ];
    fields.finish().ok()?;
    integers
        .iter()
        .all(|integer| (25..50).contains(&integer.len()))
        .then(|| integers.map(<[u8]>::to_vec))
}

pub(crate) fn ecdsa(r: &[u8], s: &[u8]) -> Vec<u8> {
    let [r, s] = [r, s].map(|integer| der::element(der::INTEGER, &[integer]));
    der::element(der::SEQUENCE, &[&r, &s])
}

/// The group's order less s, which makes a signature of the same message.
pub(crate) fn negated(s: &[u8]) -> Vec<u8> {
    let order: &[u8] = if s.len() <= 33 {
        &P256_ORDER
    } else {
        &P384_ORDER
    };
    let mut borrow = 0;
    let mut difference: Vec<u8> = order
        .iter()
        .rev()
        .zip(s.iter().rev().chain(std::iter::repeat(&0)))
        .map(|(order, s)| {
            let left = i16::from(*order) - i16::from(*s) - borrow;
            borrow = i16::from(left < 0);
            left as u8
        })
        .collect();
    difference.push(0);
    difference.reverse();
    let padding = difference
        .windows(2)
        .take_while(|pair| pair[0] == 0 && pair[1] < 0x80)
        .count();
    difference.split_off(padding)
}

/// How many polynomials have hints, by the length of the signature (FIPS 204 table 2).
const fn ml_dsa_rows(signature_length: usize) -> Option<usize> {
    match signature_length {
        2420 => Some(4),
        3309 => Some(6),
        4627 => Some(8),
        _ => None,
    }
}
