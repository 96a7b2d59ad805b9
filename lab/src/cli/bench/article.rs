//! The table of articles on post-quantum authentication, for this machine, and one article's values beside it.

use mtc_bench::suite;
use serde::Serialize;

use crate::in_memory;

/// The article that started this project, and what its values are.
const SOURCE: &str = "arXiv:2604.04191, \"Merkle Tree Certificate Post-Quantum PKI for Kubernetes and Cloud-Native 5G/B5G Core\" \
(2026-04-05), as its abstract states them: Intel i9-12900, Go crypto/tls";

/// The article's values beside this machine's.
#[derive(Serialize)]
pub(super) struct Article {
    source: &'static str,
    values: Vec<Value>,
}

#[derive(Serialize)]
struct Value {
    figure: &'static str,
    /// As the article words it; none if its abstract does not say.
    article: Option<&'static str>,
    /// On this machine.
    here: f64,
}

impl Article {
    pub(super) fn beside(
        figures: &suite::SuiteResults,
        handshakes: &[in_memory::HandshakeCosts],
    ) -> Self {
        let size = |algorithm: &str, of: fn(&suite::Sizes) -> usize| {
            figures
                .sizes
                .get(algorithm)
                .map_or(f64::NAN, |sizes| of(sizes) as f64)
        };
        let key = |algorithm| size(algorithm, |sizes| sizes.public_key);
        let signature = |algorithm| size(algorithm, |sizes| sizes.signature);
        let us = |name: &str| figures.ns.get(name).map_or(f64::NAN, |ns| ns / 1000.0);
        let of = |name: &str, of: fn(&in_memory::HandshakeCosts) -> f64| {
            let mut all = handshakes.iter();
            all.find(|figures| figures.name == name)
                .map_or(f64::NAN, of)
        };
        let bytes = |name| {
            of(name, |figures| {
                (figures.client_bytes + figures.server_bytes) as f64
            })
        };
        let time = |name| of(name, |figures| figures.us);
        let (ecdsa, landmark) = (us("ecdsa_p256_verify"), us("landmark_verify_p256_7"));
        let values = [
            (
                "ML-DSA-65 signature, bytes",
                Some("3,309"),
                signature("ml-dsa-65"),
            ),
            (
                "ML-DSA-65 public key, bytes",
                Some("1,952"),
                key("ml-dsa-65"),
            ),
            (
                "ML-DSA-65 signature / Ed25519 signature",
                Some("over 50"),
                signature("ml-dsa-65") / signature("ed25519"),
            ),
            (
                "ML-DSA-65 public key / Ed25519 public key",
                Some("over 50"),
                key("ml-dsa-65") / key("ed25519"),
            ),
            ("ECDSA P-256 verification, us", Some("24"), ecdsa),
            ("landmark verification, us", Some("under 2"), landmark),
            (
                "ECDSA P-256 / landmark verification",
                Some("12"),
                ecdsa / landmark,
            ),
            (
                "handshake time, landmark-p256 / x509-p256-hybrid",
                Some("no measurable impact"),
                time("landmark-p256") / time("x509-p256-hybrid"),
            ),
            (
                "handshake time, landmark-mldsa65 / x509-mldsa65",
                None,
                time("landmark-mldsa65") / time("x509-mldsa65"),
            ),
            (
                "bytes on the wire, x509-mldsa65",
                None,
                bytes("x509-mldsa65"),
            ),
            (
                "bytes on the wire, landmark-mldsa65",
                None,
                bytes("landmark-mldsa65"),
            ),
        ];
        let value = |(figure, article, here)| Value {
            figure,
            article,
            here,
        };
        Self {
            source: SOURCE,
            values: values.into_iter().map(value).collect(),
        }
    }

    pub(super) fn table(&self) -> String {
        let mut lines = vec![format!(
            "{:<50}{:>22}{:>14}",
            "the article's values", "article", "here"
        )];
        for value in &self.values {
            let here = match value.here {
                here if here.fract() == 0.0 => format!("{here:.0}"),
                here => format!("{here:.2}"),
            };
            lines.push(format!(
                "{:<50}{:>22}{here:>14}",
                value.figure,
                value.article.unwrap_or("not in its abstract")
            ));
        }
        lines.push(format!("article: {}", self.source));
        lines.push(String::new());
        lines.join("\n")
    }
}

/// Sizes, verification, bytes on the wire and handshake time of each variant; ratios are to the first one.
pub(super) fn handshakes(all: &[in_memory::HandshakeCosts]) -> String {
    let mut lines = vec![
        "Handshakes in memory: mutual TLS 1.3, X25519MLKEM768, both ends in one thread, no sockets. X.509 with one intermediate"
            .to_owned(),
        "(-direct: none), inclusion proofs of 10 hashes, verified subtrees remembered; a signature of an MTC is its proof."
            .to_owned(),
        format!(
            "{:<20}{:>7}{:>7}{:>8}{:>10}{:>9}{:>9}{:>8}{:>9}{:>8}{:>8}{:>8}{:>9}",
            "variant",
            "key B",
            "sig. B",
            "ratio",
            "verify us",
            "client B",
            "server B",
            "ratio",
            "time us",
            "CPU us",
            "client",
            "server",
            "/s, core"
        ),
    ];
    let Some(first) = all.first() else {
        return String::new();
    };
    let bytes = |figures: &in_memory::HandshakeCosts| figures.client_bytes + figures.server_bytes;
    for figures in all {
        let ratio = |of: u64, to: u64| of as f64 / to as f64;
        lines.push(format!(
            "{:<20}{:>7}{:>7}{:>7.2}x{:>10.1}{:>9}{:>9}{:>7.2}x{:>9.0}{:>8.0}{:>8.0}{:>8.0}{:>9.0}",
            figures.name,
            figures.sizes.public_key,
            figures.sizes.signature,
            ratio(figures.sizes.signature, first.sizes.signature),
            figures.verify_us,
            figures.client_bytes,
            figures.server_bytes,
            ratio(bytes(figures), bytes(first)),
            figures.us,
            figures.cpu_us,
            figures.client_cpu_us,
            figures.server_cpu_us,
            figures.per_core_second,
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests;
