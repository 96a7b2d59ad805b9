//! Algorithm identifiers and public keys, by the names that people use.

use crate::cosign::SignatureAlgorithm;
use crate::der::{self, Reader};
use crate::oid::{self, EC_PUBLIC_KEY, P256, P384, P521, RSA_ENCRYPTION};

const RSA: &str = "rsa";

/// The signature algorithm that an AlgorithmIdentifier (DER) names, or its dotted OID.
pub fn signature_algorithm(identifier: &[u8]) -> String {
    let known = SignatureAlgorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm.signature_algorithm_identifier() == identifier);
    match known {
        // Signatures of these name the hash, and the curve is the key's.
        None | Some(SignatureAlgorithm::EcdsaP256 | SignatureAlgorithm::EcdsaP384) => {}
        Some(algorithm) => return algorithm.as_str().to_owned(),
    }
    let oid = der::only(identifier, der::SEQUENCE)
        .and_then(|contents| Reader::new(contents).contents(der::OID))
        .unwrap_or_default();
    oid::name(oid)
}

/// The algorithm of a key whose AlgorithmIdentifier has these contents octets: `ml-dsa-65`, `ecdsa-p256`, `rsa`, or a
/// dotted OID.
pub fn key_algorithm(identifier_contents: &[u8]) -> String {
    let identifier = der::element(der::SEQUENCE, &[identifier_contents]);
    let mut fields = Reader::new(identifier_contents);
    let oid = fields.contents(der::OID).unwrap_or_default();
    match oid {
        EC_PUBLIC_KEY => match fields.contents(der::OID).unwrap_or_default() {
            P256 => SignatureAlgorithm::EcdsaP256.as_str().to_owned(),
            P384 => SignatureAlgorithm::EcdsaP384.as_str().to_owned(),
            P521 => "ecdsa-p521".to_owned(),
            curve => format!("elliptic curve {}", oid::dotted(curve)),
        },
        RSA_ENCRYPTION => RSA.to_owned(),
        // Ed25519 and ML-DSA have one identifier for keys and signatures.
        _ => signature_algorithm(&identifier),
    }
}

/// What a SubjectPublicKeyInfo holds: the algorithm, and the key's length in bytes without the wrapping.
pub fn public_key(spki: &[u8]) -> Option<(String, usize)> {
    let mut fields = Reader::new(der::only(spki, der::SEQUENCE).ok()?);
    let identifier = fields.contents(der::SEQUENCE).ok()?;
    let key = der::whole_octets(fields.contents(der::BIT_STRING).ok()?).ok()?;
    let algorithm = key_algorithm(identifier);
    let algorithm = match rsa_bits(key) {
        Some(bits) if algorithm == RSA => format!("{RSA}-{bits}"),
        _ => algorithm,
    };
    Some((algorithm, key.len()))
}

/// Bits of the modulus of an `RSAPublicKey`.
fn rsa_bits(key: &[u8]) -> Option<u32> {
    let modulus = Reader::new(der::only(key, der::SEQUENCE).ok()?)
        .contents(der::INTEGER)
        .ok()?;
    let magnitude = modulus.strip_prefix(&[0]).unwrap_or(modulus);
    let first = magnitude.first()?;
    Some(8 * u32::try_from(magnitude.len()).ok()? - first.leading_zeros())
}

#[cfg(test)]
mod tests {
    use crate::cosign::SecretKey;

    use super::*;

    #[test]
    fn every_supported_key_has_its_configuration_name() {
        for algorithm in SignatureAlgorithm::ALL {
            let key = SecretKey::generate(algorithm)
                .unwrap()
                .public_key()
                .unwrap();
            let (name, length) = public_key(&key.to_spki()).unwrap();
            assert_eq!(
                (name.as_str(), length),
                (algorithm.as_str(), key.raw().len())
            );
            let identifier = algorithm.signature_algorithm_identifier();
            let signature = match algorithm {
                SignatureAlgorithm::EcdsaP256 => "ecdsa-with-SHA256",
                SignatureAlgorithm::EcdsaP384 => "ecdsa-with-SHA384",
                other => other.as_str(),
            };
            assert_eq!(signature_algorithm(&identifier), signature);
        }
    }

    #[test]
    fn unknown_algorithms_are_dotted() {
        let dsa = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
        assert_eq!(key_algorithm(&dsa), "1.2.840.10040.4.1");
        let brainpool = [
            &[6, 7][..],
            EC_PUBLIC_KEY,
            &[6, 9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7],
        ]
        .concat();
        assert_eq!(
            key_algorithm(&brainpool),
            "elliptic curve 1.3.36.3.3.2.8.1.1.7"
        );
        let rsa = [&[6, 9][..], RSA_ENCRYPTION, &[5, 0]].concat();
        assert_eq!(key_algorithm(&rsa), "rsa");
        let modulus = [&[0, 0x80][..], &[1; 255]].concat();
        let key = der::element(
            der::SEQUENCE,
            &[&der::element(der::INTEGER, &[&modulus]), &[2, 1, 3]],
        );
        let spki = der::element(
            der::SEQUENCE,
            &[
                &der::element(der::SEQUENCE, &[&rsa]),
                &der::bit_string(&key),
            ],
        );
        assert_eq!(public_key(&spki), Some(("rsa-2048".to_owned(), key.len())));
    }
}
