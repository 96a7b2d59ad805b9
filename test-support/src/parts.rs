//! A certificate taken to pieces, so that tests can change one and put the rest together again, well formed or not.
//!
//! Read and written here by itself, with nothing but the draft's structures (Sections 5.2.1 and 6.2): what mtc-core reads
//! and hashes is compared with it.

use mtc_core::der;
use mtc_core::tree::Hash;
use sha2::{Digest, Sha256};

/// A certificate. What is called DER has its tag and length, the rest is bare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// DER of `[0] EXPLICIT Version`, or nothing.
    pub version: Vec<u8>,
    /// Contents octets of the serial number.
    pub serial: Vec<u8>,
    /// DER of the signature algorithm inside.
    pub inner_algorithm: Vec<u8>,
    /// DER of the issuer.
    pub issuer: Vec<u8>,
    /// DER of the validity.
    pub validity: Vec<u8>,
    /// DER of the subject.
    pub subject: Vec<u8>,
    /// DER of the SubjectPublicKeyInfo's algorithm.
    pub key_algorithm: Vec<u8>,
    /// DER of what follows it in the SubjectPublicKeyInfo.
    pub key: Vec<u8>,
    /// DER of what follows the SubjectPublicKeyInfo.
    pub after_key: Vec<u8>,
    /// DER of the signature algorithm outside.
    pub outer_algorithm: Vec<u8>,
    /// First octet of the signature's BIT STRING.
    pub unused_bits: u8,
    /// The MTCProof's extensions.
    pub extensions: Vec<u8>,
    /// The MTCProof's start.
    pub start: u64,
    /// The MTCProof's end.
    pub end: u64,
    /// The MTCProof's hashes, concatenated.
    pub hashes: Vec<u8>,
    /// The MTCProof's cosigner IDs and signatures.
    pub cosignatures: Vec<(Vec<u8>, Vec<u8>)>,
    /// What follows in the signature's BIT STRING.
    pub after_proof: Vec<u8>,
}

impl Parts {
    /// The parts of a certificate that mtc-core issued.
    pub fn of(certificate: &[u8]) -> Self {
        let mut fields = der::Reader::new(der::only(certificate, der::SEQUENCE).expect("DER"));
        let mut tbs = der::Reader::new(fields.contents(der::SEQUENCE).expect("TBSCertificate"));
        let mut next = || tbs.element().expect("a field").whole.to_vec();
        let [
            version,
            serial,
            inner_algorithm,
            issuer,
            validity,
            subject,
            spki,
        ] = std::array::from_fn(|_| next());
        let mut spki = der::Reader::new(der::only(&spki, der::SEQUENCE).expect("SPKI"));
        let key_algorithm = spki.element().expect("algorithm").whole.to_vec();
        let outer_algorithm = fields.element().expect("algorithm").whole.to_vec();
        let [unused_bits, proof @ ..] = fields.contents(der::BIT_STRING).expect("signature") else {
            panic!("empty BIT STRING");
        };
        let mut proof = Cut(proof);
        let extensions = proof.vector(2);
        let (start, end) = (proof.uint(6), proof.uint(6));
        let hashes = proof.vector(2);
        let cosignatures = proof.vector(3);
        let mut cut = Cut(&cosignatures);
        let mut pairs = Vec::new();
        while !cut.0.is_empty() {
            pairs.push((cut.vector(1), cut.vector(2)));
        }
        Self {
            version,
            serial: der::only(&serial, der::INTEGER).expect("serial").to_vec(),
            inner_algorithm,
            issuer,
            validity,
            subject,
            key_algorithm,
            key: spki.rest().to_vec(),
            after_key: tbs.rest().to_vec(),
            outer_algorithm,
            unused_bits: *unused_bits,
            extensions,
            start,
            end,
            hashes,
            cosignatures: pairs,
            after_proof: proof.0.to_vec(),
        }
    }

    /// The certificate.
    pub fn encode(&self) -> Vec<u8> {
        let tbs = der::element(
            der::SEQUENCE,
            &[
                &self.version,
                &der::element(der::INTEGER, &[&self.serial]),
                &self.inner_algorithm,
                &self.issuer,
                &self.validity,
                &self.subject,
                &self.spki(),
                &self.after_key,
            ],
        );
        let proof = der::element(der::BIT_STRING, &[&[self.unused_bits], &self.proof()]);
        der::element(der::SEQUENCE, &[&tbs, &self.outer_algorithm, &proof])
    }

    /// The MTCProof and what follows it.
    pub fn proof(&self) -> Vec<u8> {
        let cosignatures: Vec<u8> = self
            .cosignatures
            .iter()
            .flat_map(|(id, signature)| [vector(id, 1), vector(signature, 2)].concat())
            .collect();
        [
            vector(&self.extensions, 2),
            self.start.to_be_bytes()[2..].to_vec(),
            self.end.to_be_bytes()[2..].to_vec(),
            vector(&self.hashes, 2),
            vector(&cosignatures, 3),
            self.after_proof.clone(),
        ]
        .concat()
    }

    /// The hash of the log entry, by building the entry (Section 5.2.1).
    pub fn leaf_hash(&self) -> Hash {
        let entry = [
            &vector(&self.extensions, 2)[..],
            &[0, 1],
            &self.version,
            &self.issuer,
            &self.validity,
            &self.subject,
            &self.key_algorithm,
            &[der::OCTET_STRING, 32],
            &Sha256::digest(self.spki()),
            &self.after_key,
        ]
        .concat();
        Sha256::digest([&[0][..], &entry].concat()).into()
    }

    /// Sets the serial number, in its one DER form.
    pub fn set_serial(&mut self, serial: u64) {
        let whole = der::unsigned_integer(serial);
        self.serial = der::only(&whole, der::INTEGER).expect("our own").to_vec();
    }

    fn spki(&self) -> Vec<u8> {
        der::element(der::SEQUENCE, &[&self.key_algorithm, &self.key])
    }
}

/// What is left of a structure to be read.
struct Cut<'a>(&'a [u8]);

impl Cut<'_> {
    fn uint(&mut self, width: usize) -> u64 {
        let (taken, rest) = self.0.split_at(width);
        self.0 = rest;
        taken
            .iter()
            .fold(0, |value, byte| (value << 8) | u64::from(*byte))
    }

    fn vector(&mut self, prefix_width: usize) -> Vec<u8> {
        let length = self.uint(prefix_width) as usize;
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }
}

/// A vector with its length prefix.
pub fn vector(contents: &[u8], prefix_width: usize) -> Vec<u8> {
    let length = (contents.len() as u64).to_be_bytes();
    [&length[8 - prefix_width..], contents].concat()
}
