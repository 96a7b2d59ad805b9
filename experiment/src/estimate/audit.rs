//! What an inventory says of the certificates that there are: the fields of `mtc5g audit --json` that an estimate needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Leaf certificates of an inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Leaf certificates.
    pub leaf_certificates: u64,
    /// Those by the algorithm of their key.
    pub by_algorithm: BTreeMap<String, u64>,
}

/// No inventory.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Not JSON.
    #[error("not an inventory in JSON")]
    Json(#[from] serde_json::Error),
    /// No certificates.
    #[error(
        "no inventory of mtc5g audit: it must have certificates, a list of objects with algorithm and, of CAs, ca = true"
    )]
    Form,
    /// Nothing to estimate.
    #[error("the inventory has no leaf certificate")]
    Empty,
}

impl Audit {
    /// Reads the JSON of an inventory.
    ///
    /// # Errors
    /// It is no inventory, or has no leaf certificate.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        let document: Value = serde_json::from_str(text)?;
        let certificates = document.get("certificates").and_then(Value::as_array);
        let mut by_algorithm = BTreeMap::new();
        for certificate in certificates.ok_or(AuditError::Form)? {
            let algorithm = ["key_algorithm", "algorithm"]
                .into_iter()
                .find_map(|key| certificate.get(key)?.as_str());
            let algorithm = algorithm.ok_or(AuditError::Form)?;
            let is_ca = ["ca", "is_ca"]
                .into_iter()
                .any(|key| certificate.get(key).and_then(Value::as_bool) == Some(true));
            if !is_ca {
                *by_algorithm.entry(algorithm.to_owned()).or_default() += 1;
            }
        }
        let leaf_certificates = by_algorithm.values().sum();
        if leaf_certificates == 0 {
            return Err(AuditError::Empty);
        }
        Ok(Self {
            leaf_certificates,
            by_algorithm,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_count_by_algorithm_and_cas_do_not() {
        let audit = Audit::parse(
            r#"{"certificates": [{"algorithm": "ecdsa-p256"}, {"algorithm": "ecdsa-p256", "ca": false},
                {"algorithm": "rsa-2048"}, {"algorithm": "rsa-4096", "ca": true}]}"#,
        )
        .unwrap();
        assert_eq!(audit.leaf_certificates, 3);
        assert_eq!(audit.by_algorithm["ecdsa-p256"], 2);
        assert!(!audit.by_algorithm.contains_key("rsa-4096"));
    }

    #[test]
    fn what_is_no_inventory_is_refused() {
        for text in ["", "[]", "{}", r#"{"certificates": [{}]}"#] {
            assert!(Audit::parse(text).is_err(), "{text}");
        }
        let none = Audit::parse(r#"{"certificates": []}"#).unwrap_err();
        assert!(matches!(none, AuditError::Empty));
    }
}
