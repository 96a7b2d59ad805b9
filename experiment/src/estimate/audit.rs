//! What an inventory says of the certificates that there are: of `mtc5g audit --json`, how many leaves have keys of which algorithm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the inventory's form.
const FORMAT: u32 = 1;

/// Leaf certificates of an inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Leaf certificates, each counted once.
    pub leaf_certificates: u64,
    /// Those by the algorithm of their key.
    pub by_key_algorithm: BTreeMap<String, u64>,
}

/// No inventory.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Not JSON, or not of this form.
    #[error("not what mtc5g audit --json prints")]
    Json(#[from] serde_json::Error),
    /// Of another version.
    #[error("format must be {FORMAT}, is {0}")]
    Format(u32),
    /// Nothing to estimate.
    #[error("the inventory has no leaf certificate")]
    Empty,
}

/// The fields that are needed; an inventory has more.
#[derive(Deserialize)]
struct Document {
    format: u32,
    summary: Summary,
}

#[derive(Deserialize)]
struct Summary {
    by_key_algorithm: BTreeMap<String, Count>,
}

#[derive(Deserialize)]
struct Count {
    leaves: u64,
}

impl Audit {
    /// Reads the JSON of an inventory.
    ///
    /// # Errors
    /// It is no inventory, or has no leaf certificate.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        let Document { format, summary } = serde_json::from_str(text)?;
        if format != FORMAT {
            return Err(AuditError::Format(format));
        }
        let counts = summary.by_key_algorithm.into_iter();
        let leaves = counts.filter(|(_, count)| count.leaves > 0);
        let by_key_algorithm: BTreeMap<_, _> =
            leaves.map(|(name, count)| (name, count.leaves)).collect();
        let leaf_certificates = by_key_algorithm
            .values()
            .fold(0, |sum: u64, count| sum.saturating_add(*count));
        if leaf_certificates == 0 {
            return Err(AuditError::Empty);
        }
        Ok(Self {
            leaf_certificates,
            by_key_algorithm,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(counts: &str) -> Result<Audit, AuditError> {
        Audit::parse(&format!(
            r#"{{"format": 1, "made": "2026-11-29T12:00:00Z", "certificates": [],
                "summary": {{"certificates": 9, "by_key_algorithm": {{{counts}}}}}}}"#
        ))
    }

    #[test]
    fn leaves_count_by_algorithm_and_authorities_do_not() {
        let audit = parse(
            r#""ecdsa-p256": {"leaves": 2, "authorities": 1}, "rsa-2048": {"leaves": 3, "authorities": 0},
               "rsa-4096": {"leaves": 0, "authorities": 2}"#,
        );
        let audit = audit.unwrap();
        assert_eq!(audit.leaf_certificates, 5);
        assert_eq!(audit.by_key_algorithm["ecdsa-p256"], 2);
        assert!(!audit.by_key_algorithm.contains_key("rsa-4096"));
    }

    #[test]
    fn what_is_no_inventory_is_refused() {
        let negative = r#""rsa-2048": {"leaves": -1, "authorities": 0}"#;
        assert!(matches!(parse(negative), Err(AuditError::Json(_))));
        assert!(matches!(parse(""), Err(AuditError::Empty)));
        for text in ["", "[]", "{}", r#"{"format": 1}"#] {
            assert!(
                matches!(Audit::parse(text), Err(AuditError::Json(_))),
                "{text}"
            );
        }
        let later = r#"{"format": 2, "summary": {"by_key_algorithm": {}}}"#;
        assert!(matches!(Audit::parse(later), Err(AuditError::Format(2))));
        let most = u64::MAX;
        let many = parse(&format!(
            r#""a": {{"leaves": {most}}}, "b": {{"leaves": {most}}}"#
        ));
        assert_eq!(many.unwrap().leaf_certificates, most);
    }
}
