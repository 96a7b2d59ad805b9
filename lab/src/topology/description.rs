//! `lab.toml`, the description of a deployed lab.

use std::path::PathBuf;

use sbi::address::Address;
use sbi::config::NfConfig;
use serde::{Deserialize, Serialize};

/// `lab.toml`: what a generator or an operator must know of a deployed lab. Relative paths are relative to it; names may stand
/// for the addresses of several replicas.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LabDescription {
    /// Enrolment tokens for load generators.
    pub(super) tokens: PathBuf,
    /// Admin ports.
    pub(super) admin: AdminAddresses,
    /// Where load generators announce their admin ports ([`super::targets`]); nowhere without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) targets: Option<PathBuf>,
    /// What an AMF process of the lab has.
    pub(super) nf: NfConfig,
}

/// Admin ports of a deployed lab.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminAddresses {
    pub(super) nrf: Address,
    pub(super) scp: Address,
    pub(super) amf: Address,
    pub(super) smf: Address,
}
