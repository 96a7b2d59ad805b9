use std::collections::BTreeMap;

use super::{Article, handshakes};
use crate::in_memory::{HandshakeCosts, Sizes};

fn figures(name: &'static str, signature: u64, server_bytes: u64, us: f64) -> HandshakeCosts {
    HandshakeCosts {
        name,
        sizes: Sizes {
            public_key: 32,
            signature,
            chain: 500,
        },
        client_bytes: 1000,
        server_bytes,
        us,
        cpu_us: us,
        client_cpu_us: us / 2.0,
        server_cpu_us: us / 2.0,
        verify_us: 10.0,
        per_core_second: 1e6 / us,
    }
}

fn suite() -> mtc_bench::suite::SuiteResults {
    let sizes = |public_key, signature| mtc_bench::suite::Sizes {
        public_key,
        signature,
    };
    mtc_bench::suite::SuiteResults {
        sizes: BTreeMap::from([("ed25519", sizes(32, 64)), ("ml-dsa-65", sizes(1952, 3309))]),
        certificate_bytes: BTreeMap::new(),
        sha256_blocks: BTreeMap::new(),
        ns: BTreeMap::from([
            ("ecdsa_p256_verify".to_owned(), 48_000.0),
            ("landmark_verify_p256_7".to_owned(), 1600.0),
        ]),
        per_second: BTreeMap::new(),
        per_second_wall: BTreeMap::new(),
        ratios: BTreeMap::new(),
    }
}

/// The words of the line that begins with `start`, behind it.
fn cells<'a>(table: &'a str, start: &str) -> Vec<&'a str> {
    let line = table.lines().find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("{start} in {table}"))
        .split_whitespace()
        .collect()
}

#[test]
fn handshakes_are_related_to_the_first_variant() {
    let table = handshakes(&[
        figures("x509-ed25519", 64, 1000, 400.0),
        figures("landmark-p256", 320, 2000, 500.0),
    ]);
    assert_eq!(
        cells(&table, "x509-ed25519"),
        [
            "32", "64", "1.00x", "10.0", "1000", "1000", "1.00x", "400", "400", "200", "200",
            "2500"
        ]
    );
    assert_eq!(
        cells(&table, "landmark-p256"),
        [
            "32", "320", "5.00x", "10.0", "1000", "2000", "1.50x", "500", "500", "250", "250",
            "2000"
        ]
    );
}

#[test]
fn the_articles_values_stand_beside_this_machines_as_table_and_as_json() {
    let article = Article::beside(
        &suite(),
        &[
            figures("x509-p256-hybrid", 70, 1000, 400.0),
            figures("landmark-p256", 320, 2000, 300.0),
            figures("x509-mldsa65", 3309, 16_000, 800.0),
            figures("landmark-mldsa65", 320, 7000, 600.0),
        ],
    );
    let table = article.table();
    assert_eq!(
        cells(&table, "ML-DSA-65 signature, bytes"),
        ["3,309", "3309"]
    );
    assert_eq!(cells(&table, "ECDSA P-256 verification, us"), ["24", "48"]);
    assert_eq!(
        cells(&table, "landmark verification, us"),
        ["under", "2", "1.60"]
    );
    assert_eq!(
        cells(&table, "ECDSA P-256 / landmark verification"),
        ["12", "30"]
    );
    assert_eq!(
        cells(&table, "handshake time, landmark-p256 / x509-p256-hybrid"),
        ["no", "measurable", "impact", "0.75"]
    );
    assert_eq!(
        cells(&table, "bytes on the wire, landmark-mldsa65"),
        ["not", "in", "its", "abstract", "8000"]
    );

    let json = serde_json::to_value(&article).expect("JSON");
    assert!(
        json["source"]
            .as_str()
            .is_some_and(|source| source.contains("2604.04191"))
    );
    let value = &json["values"][2];
    assert_eq!(value["figure"], "ML-DSA-65 signature / Ed25519 signature");
    assert_eq!(value["article"], "over 50");
    assert_eq!(value["here"], 3309.0 / 64.0);
    assert!(json["values"][10]["article"].is_null());
}
