//! The answer of Nnrf_NFDiscovery (TS 29.510 clause 6.2.6.2.2).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::Document;
use super::open::Other;
use super::profile::NfProfile;
use super::tolerance::{self, Tolerated};

/// NF instances that match a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchResult {
    /// Seconds for which the consumer may use this result, at least 1.
    pub validity_period: u32,
    /// The instances, most preferred first; none is a valid result.
    pub nf_instances: Vec<NfProfile>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

impl Document for SearchResult {
    const SMALLEST: &'static str = r#"{"validityPeriod":1,"nfInstances":[]}"#;

    fn tolerate(document: &mut Value) -> Vec<Tolerated> {
        tolerance::tolerate(document)
    }
}
