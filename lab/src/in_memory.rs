//! Handshakes of the lab's variants without sockets, load or a second thread: what the same TLS costs at best.
//!
//! ```text
//! VARIANTS ──> Fixture: an AMF and an SMF, certified as the lab certifies them ──> mtc_tls::memory::handshake
//!                                                                                   └─> HandshakeCosts: medians over rounds
//! ```
//!
//! Variants take turns, a handshake each, so that a slow spell of the machine falls on all of them.

use std::time::Duration;

use mtc_tls::handshake::HandshakeError;
use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use mtc_tls::kind::CertificateKind;
use mtc_tls::memory::{InMemory, handshake};
use mtc_tls::profile::TrustDomain;
use serde::Serialize;
use thiserror::Error;

mod fixture;

pub use self::fixture::{Fixture, FixtureError, Sizes};

/// A way to authenticate both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// As `scenarios/article.toml` names it.
    pub name: &'static str,
    /// Who vouches for the keys.
    pub domain: TrustDomain,
    /// The keys of both ends.
    pub leaf_key: KeyAlgorithm,
}

/// The variants of `scenarios/article.toml` that have a hybrid key exchange, X.509 with Ed25519, and the strongest rival of Merkle
/// Tree Certificates: X.509 without an intermediate.
pub const VARIANTS: [Variant; 13] = [
    x509("x509-ed25519", KeyAlgorithm::Ed25519, Intermediates::One),
    x509(
        "x509-p256-hybrid",
        KeyAlgorithm::EcdsaP256,
        Intermediates::One,
    ),
    x509("x509-mldsa44", KeyAlgorithm::MlDsa44, Intermediates::One),
    x509("x509-mldsa65", KeyAlgorithm::MlDsa65, Intermediates::One),
    x509("x509-mldsa87", KeyAlgorithm::MlDsa87, Intermediates::One),
    x509(
        "x509-mldsa65-direct",
        KeyAlgorithm::MlDsa65,
        Intermediates::None,
    ),
    standalone("standalone-p256", KeyAlgorithm::EcdsaP256),
    standalone("standalone-mldsa44", KeyAlgorithm::MlDsa44),
    standalone("standalone-mldsa65", KeyAlgorithm::MlDsa65),
    landmark("landmark-p256", KeyAlgorithm::EcdsaP256),
    landmark("landmark-mldsa44", KeyAlgorithm::MlDsa44),
    landmark("landmark-mldsa65", KeyAlgorithm::MlDsa65),
    landmark("landmark-mldsa87", KeyAlgorithm::MlDsa87),
];

/// An X.509 variant with one algorithm throughout.
const fn x509(
    name: &'static str,
    algorithm: KeyAlgorithm,
    intermediates: Intermediates,
) -> Variant {
    Variant {
        name,
        domain: TrustDomain::X509(X509Profile {
            ca_signature: algorithm,
            intermediates,
            revocation: X509Revocation::None,
        }),
        leaf_key: algorithm,
    }
}

const fn standalone(name: &'static str, leaf_key: KeyAlgorithm) -> Variant {
    Variant {
        name,
        domain: TrustDomain::MtcStandalone,
        leaf_key,
    }
}

const fn landmark(name: &'static str, leaf_key: KeyAlgorithm) -> Variant {
    Variant {
        name,
        domain: TrustDomain::MtcLandmark,
        leaf_key,
    }
}

/// Why there are no figures.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InMemoryError {
    /// What is to be measured could not be made.
    #[error("{variant}: credentials")]
    Fixture {
        /// The variant's name.
        variant: &'static str,
        /// Why not.
        source: FixtureError,
    },
    /// There was no handshake, which is a defect.
    #[error("{variant}: handshake")]
    Handshake {
        /// The variant's name.
        variant: &'static str,
        /// Why not.
        source: HandshakeError,
    },
    /// Another kind of certificate was served than the variant asks for, which is a defect.
    #[error("{variant}: {served} was served")]
    Kind {
        /// The variant's name.
        variant: &'static str,
        /// What was served.
        served: CertificateKind,
    },
}

/// What a handshake of a variant costs: medians.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HandshakeCosts {
    /// The variant's name.
    pub name: &'static str,
    /// Of the server's certificate.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// TLS record bytes from the client.
    pub client_bytes: u64,
    /// TLS record bytes from the server.
    pub server_bytes: u64,
    /// Microseconds until the handshake is complete on both sides, in one thread.
    pub us: f64,
    /// CPU time of both sides, microseconds.
    pub cpu_us: f64,
    /// CPU time of the client.
    pub client_cpu_us: f64,
    /// CPU time of the server.
    pub server_cpu_us: f64,
    /// CPU time of the client for verifying the server's certificate, in `client_cpu_us`.
    pub verify_us: f64,
    /// Handshakes a second and core, both sides: what `cpu_us` allows.
    pub per_core_second: f64,
}

/// Measures all variants, so many handshakes of each; `progress` is told after each round.
///
/// # Errors
/// Credentials could not be made, or a handshake is not what the variant asks for.
pub fn measure(
    rounds: usize,
    mut progress: impl FnMut(usize),
) -> Result<Vec<HandshakeCosts>, InMemoryError> {
    let fixtures = VARIANTS
        .into_iter()
        .map(|variant| {
            Fixture::new(&variant).map_err(|source| InMemoryError::Fixture {
                variant: variant.name,
                source,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut samples = vec![Vec::with_capacity(rounds); VARIANTS.len()];
    for round in 0..rounds {
        for ((variant, fixture), samples) in VARIANTS.iter().zip(&fixtures).zip(&mut samples) {
            samples.push(meet(variant, fixture)?);
        }
        progress(round + 1);
    }
    let figures = VARIANTS.iter().zip(&fixtures).zip(&samples);
    Ok(figures
        .map(|((variant, fixture), samples)| HandshakeCosts::of(variant, fixture.sizes, samples))
        .collect())
}

fn meet(variant: &Variant, fixture: &Fixture) -> Result<InMemory, InMemoryError> {
    let Fixture {
        client,
        server,
        profile,
        expected,
        ..
    } = fixture;
    let met = handshake(client, server, *profile, expected.clone());
    let met = met.map_err(|source| InMemoryError::Handshake {
        variant: variant.name,
        source,
    })?;
    for served in [met.client.received, met.server.received] {
        if served != variant.domain.kind() {
            return Err(InMemoryError::Kind {
                variant: variant.name,
                served,
            });
        }
    }
    Ok(met)
}

impl HandshakeCosts {
    fn of(variant: &Variant, sizes: Sizes, samples: &[InMemory]) -> Self {
        let us = |time: fn(&InMemory) -> Duration| {
            median(samples, time).unwrap_or_default().as_secs_f64() * 1e6
        };
        let bytes = |of: fn(&InMemory) -> u64| median(samples, of).unwrap_or_default();
        let cpu_us = us(|met| met.client.cpu + met.server.cpu);
        Self {
            name: variant.name,
            sizes,
            client_bytes: bytes(|met| met.client.bytes_sent),
            server_bytes: bytes(|met| met.server.bytes_sent),
            us: us(|met| met.elapsed),
            cpu_us,
            client_cpu_us: us(|met| met.client.cpu),
            server_cpu_us: us(|met| met.server.cpu),
            verify_us: us(|met| met.client.verify),
            per_core_second: 1e6 / cpu_us,
        }
    }
}

fn median<T: Ord + Copy>(samples: &[InMemory], of: fn(&InMemory) -> T) -> Option<T> {
    let mut values: Vec<T> = samples.iter().map(of).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_has_its_figures_and_sizes_are_those_of_the_algorithms() {
        let mut rounds = 0;
        let figures = measure(3, |round| rounds = round).expect("figures");
        assert_eq!(rounds, 3);
        let of = |name: &str| {
            let mut all = figures.iter();
            all.find(|figures| figures.name == name).expect("a variant")
        };
        // FIPS 204, table 2; a signature of ECDSA is DER, and varies.
        for (name, public_key, signature) in [
            ("x509-ed25519", 32, 64),
            ("x509-mldsa44", 1312, 2420),
            ("x509-mldsa65", 1952, 3309),
            ("x509-mldsa87", 2592, 4627),
        ] {
            let sizes = of(name).sizes;
            assert_eq!((sizes.public_key, sizes.signature), (public_key, signature));
        }
        // An MTCProof: extensions, start, end, ten hashes behind their length, no cosignatures behind theirs.
        assert_eq!(
            of("landmark-p256").sizes.signature,
            2 + 6 + 6 + 2 + 10 * 32 + 3
        );
        let landmark = of("landmark-mldsa65");
        let direct = of("x509-mldsa65-direct");
        assert!(landmark.server_bytes + 2000 < direct.server_bytes);
        assert!(direct.server_bytes + 5000 < of("x509-mldsa65").server_bytes);
        for figures in &figures {
            assert!(figures.us > 0.0 && figures.per_core_second.is_finite());
            assert!(figures.client_bytes > figures.sizes.chain);
        }
    }
}
