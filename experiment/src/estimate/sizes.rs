//! Bytes of a full mutual handshake, from the lengths of its parts (docs/estimate.md, "Bytes").
//!
//! ```text
//!  client  ClientHello ............ 197 + names + key share      server  ServerHello ...... 90 + key share
//!          Certificate, CertificateVerify, Finished                      EncryptedExtensions, CertificateRequest
//!          record layer                                                  Certificate, CertificateVerify, Finished, record layer
//! ```

use mtc_tls::key::KeyAlgorithm;
use mtc_tls::profile::TrustDomain;
use mtc_tls::provider::KeyExchange;

use super::way::Way;

/// The algorithm of the MTCA's and the witnesses' cosignatures.
pub(super) const COSIGNER_KEY: KeyAlgorithm = KeyAlgorithm::MlDsa44;
/// A hash of an inclusion proof.
pub(super) const HASH: f64 = 32.0;
/// A cosignature beside its signature: the cosigner's ID of four bytes, and both lengths.
const COSIGNATURE_HEAD: f64 = 7.0;
/// A Merkle Tree Certificate without key, proof hashes and cosignatures: names, extensions and lengths of a network function of the lab.
pub(super) const MTC_ENVELOPE: f64 = 358.0;
/// The same of a directly-signed one, without key and signature.
const LEAF_ENVELOPE: f64 = 395.0;
/// The same of an intermediate.
const INTERMEDIATE_ENVELOPE: f64 = 300.0;
/// ClientHello without key share and names, with a server name as the lab's are.
const CLIENT_HELLO: f64 = 197.0;
const SERVER_HELLO: f64 = 90.0;
const ENCRYPTED_EXTENSIONS: f64 = 19.0;
/// CertificateRequest without names.
const CERTIFICATE_REQUEST: f64 = 25.0;
/// Message header, context and length of the list.
const CERTIFICATE_HEAD: f64 = 8.0;
/// Length and extensions of each certificate in the list.
const CERTIFICATE_ENTRY: f64 = 5.0;
/// Message header, scheme and length.
const CERTIFICATE_VERIFY_HEAD: f64 = 8.0;
/// With SHA-384.
const FINISHED: f64 = 52.0;
/// Header of the first record, and ChangeCipherSpec.
const PLAIN_RECORDS: f64 = 11.0;
/// Header, inner content type and tag.
const RECORD: f64 = 22.0;
const RECORD_CONTENTS: f64 = 16_384.0;
/// A wish in ClientHello.
const WISH: f64 = 26.0;

/// Bytes of a public key as a certificate has it (SubjectPublicKeyInfo).
pub(super) const fn spki(algorithm: KeyAlgorithm) -> f64 {
    match algorithm {
        KeyAlgorithm::Ed25519 => 44.0,
        KeyAlgorithm::EcdsaP256 => 91.0,
        KeyAlgorithm::EcdsaP384 => 120.0,
        KeyAlgorithm::MlDsa44 => 1334.0,
        KeyAlgorithm::MlDsa65 => 1974.0,
        KeyAlgorithm::MlDsa87 => 2614.0,
    }
}

/// Bytes of a signature; of ECDSA the mean.
pub(super) const fn signature(algorithm: KeyAlgorithm) -> f64 {
    match algorithm {
        KeyAlgorithm::Ed25519 => 64.0,
        KeyAlgorithm::EcdsaP256 => 71.0,
        KeyAlgorithm::EcdsaP384 => 103.0,
        KeyAlgorithm::MlDsa44 => 2420.0,
        KeyAlgorithm::MlDsa65 => 3309.0,
        KeyAlgorithm::MlDsa87 => 4627.0,
    }
}

/// Of a group: the client's share and the server's.
const fn shares(group: KeyExchange) -> (f64, f64) {
    match group {
        KeyExchange::X25519 => (32.0, 32.0),
        KeyExchange::SecP256r1 => (65.0, 65.0),
        KeyExchange::X25519MlKem768 => (32.0 + 1184.0, 32.0 + 1088.0),
        KeyExchange::SecP256r1MlKem768 => (65.0 + 1184.0, 65.0 + 1088.0),
    }
}

/// Names in `certificate_authorities`, with their lengths.
const fn names(domain: TrustDomain) -> f64 {
    match domain {
        TrustDomain::X509(_) => 48.0,
        TrustDomain::MtcStandalone => 30.0,
        TrustDomain::MtcStandaloneCa => 32.0,
        TrustDomain::MtcLandmark
        | TrustDomain::MtcLandmarkStale
        | TrustDomain::MtcLandmarkOr(_) => 33.0,
    }
}

/// What a log and its cosigners make of a certificate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Proofs {
    /// Hashes of a standalone certificate's inclusion proof, the mean.
    pub(super) standalone_hashes: f64,
    /// The same of a landmark-relative one.
    pub(super) landmark_hashes: f64,
    /// Witnesses whose cosignatures standalone certificates carry, beside the CA's.
    pub(super) witnesses: f64,
}

impl Proofs {
    /// Hashes and cosignatures on a certificate of this domain.
    pub(super) const fn on(self, domain: TrustDomain) -> (f64, f64) {
        match domain {
            TrustDomain::X509(_) => (0.0, 0.0),
            TrustDomain::MtcLandmark | TrustDomain::MtcLandmarkOr(_) => (self.landmark_hashes, 0.0),
            TrustDomain::MtcStandalone | TrustDomain::MtcLandmarkStale => {
                (self.standalone_hashes, 1.0 + self.witnesses)
            }
            TrustDomain::MtcStandaloneCa => (self.standalone_hashes, 1.0),
        }
    }
}

/// Bytes of TLS records until a handshake is complete.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bytes {
    /// From the client.
    pub(super) client: f64,
    /// From the server: one flight.
    pub(super) server: f64,
    /// The client's second flight, which its first request follows.
    pub(super) client_flight: f64,
}

impl Bytes {
    /// Of a full handshake.
    pub(super) fn of(way: Way, proofs: Proofs) -> Self {
        let certificate = certificate_message(way, proofs);
        let verify = CERTIFICATE_VERIFY_HEAD + signature(way.leaf_key);
        let (client_share, server_share) = shares(way.key_exchange);
        let names = names(way.domain);
        let hello = CLIENT_HELLO + client_share + names + f64::from(way.wishes) * WISH;
        let shown = certificate + verify + FINISHED;
        let request = ENCRYPTED_EXTENSIONS + CERTIFICATE_REQUEST + names;
        let client_flight = shown + records(shown);
        Self {
            client: hello + PLAIN_RECORDS + client_flight,
            server: SERVER_HELLO
                + server_share
                + PLAIN_RECORDS
                + request
                + shown
                + records(request + shown),
            client_flight,
        }
    }

    /// In both directions.
    pub(super) fn both(self) -> f64 {
        self.client + self.server
    }
}

/// What records add to the encrypted part of a flight.
fn records(contents: f64) -> f64 {
    RECORD * (contents / RECORD_CONTENTS).ceil()
}

fn certificate_message(way: Way, proofs: Proofs) -> f64 {
    let leaf = spki(way.leaf_key);
    CERTIFICATE_HEAD
        + match way.domain {
            TrustDomain::X509(profile) => {
                let signed = signature(profile.ca_signature);
                let intermediate = INTERMEDIATE_ENVELOPE + spki(profile.ca_signature) + signed;
                let chain = f64::from(profile.intermediates.count());
                CERTIFICATE_ENTRY
                    + LEAF_ENVELOPE
                    + leaf
                    + signed
                    + chain * (CERTIFICATE_ENTRY + intermediate)
            }
            domain => {
                let (hashes, cosignatures) = proofs.on(domain);
                CERTIFICATE_ENTRY
                    + MTC_ENVELOPE
                    + leaf
                    + hashes * HASH
                    + cosignatures * (COSIGNATURE_HEAD + signature(COSIGNER_KEY))
            }
        }
}

#[cfg(test)]
mod tests {
    use mtc_tls::key::NfKey;

    use super::*;

    #[test]
    fn keys_and_signatures_are_as_long_as_real_ones() {
        for algorithm in KeyAlgorithm::ALL {
            let key = NfKey::generate(algorithm).unwrap();
            assert_eq!(spki(algorithm), key.spki_der().len() as f64, "{algorithm}");
            let length = key.sign(b"message").unwrap().len() as f64;
            // ECDSA's integers lose a byte now and then.
            assert!((signature(algorithm) - length).abs() <= 4.0, "{algorithm}");
        }
    }
}
