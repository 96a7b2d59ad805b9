//! What it takes to know which X.509 certificates were revoked.

use super::{Finding, Tone};
use crate::report::numbers::whole;
use crate::results::{Results, VariantResult};

/// A sentence for each variant that fetched CRLs or OCSP responses, or whose servers stapled some.
pub(super) fn revocation(results: &Results) -> Vec<Finding> {
    results.variants.iter().filter_map(of_variant).collect()
}

fn of_variant(variant: &VariantResult) -> Option<Finding> {
    let status = variant.status.as_ref()?;
    let mut parts = Vec::new();
    if status.crls > 0 {
        let mean = whole(status.crl_bytes);
        parts.push(format!("{} CRLs of {mean} bytes", status.crls));
    }
    if status.responses > 0 {
        let mean = whole(status.response_bytes);
        parts.push(format!(
            "{} OCSP responses of {mean} bytes with their requests",
            status.responses
        ));
    }
    let fetched = if parts.is_empty() {
        "nothing was fetched meanwhile".to_owned()
    } else {
        format!("network functions fetched {}", parts.join(" and "))
    };
    let stapled = status.stapled_bytes.map_or_else(String::new, |_| {
        let mean = whole(status.stapled_bytes);
        format!("; a server staples {mean} bytes in each handshake")
    });
    let text = format!(
        "{}: {fetched} to know what was revoked{stapled}.",
        variant.name
    );
    Some(Finding {
        tone: Tone::Even,
        text,
    })
}
