//! `lab.toml`, the description of a deployed lab.

use std::path::PathBuf;

use experiment::scenario::Nf;
use nf_nrf::config::NrfConfig;
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
    /// What its NRF was configured to issue; unknown without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) issuance: Option<DescribedIssuance>,
    /// What an AMF process of the lab has.
    pub(super) nf: NfConfig,
}

/// What the NRF of a deployed lab was configured to issue, in the words of its configuration.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedIssuance {
    pub(super) certificate_lifetime_seconds: u64,
    pub(super) checkpoint_interval_ms: u64,
    pub(super) landmark_interval_seconds: u64,
}

impl DescribedIssuance {
    pub(super) const fn of(nrf: &NrfConfig) -> Self {
        Self {
            certificate_lifetime_seconds: nrf.certificate_lifetime_seconds,
            checkpoint_interval_ms: nrf.checkpoint_interval_ms,
            landmark_interval_seconds: nrf.landmark_interval_seconds,
        }
    }
}

/// Admin ports of a deployed lab.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminAddresses {
    pub(super) nrf: Address,
    pub(super) scp: Address,
    pub(super) amf: Address,
    pub(super) smf: Address,
    /// Of the process of AUSFs, UDMs and PCFs; none in a lab without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) peers: Option<Address>,
}

impl AdminAddresses {
    /// Those of the network functions that take part in a run of a load generator: AMFs of the lab itself do nothing then.
    pub(super) fn of_joined(self) -> Vec<(Nf, Address)> {
        let peers = self.peers.map(|peers| (Nf::Peers, peers));
        let others = [
            (Nf::Nrf, self.nrf),
            (Nf::Scp, self.scp),
            (Nf::Smf, self.smf),
        ];
        others.into_iter().chain(peers).collect()
    }
}
