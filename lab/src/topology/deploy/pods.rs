//! AMFs and SMFs that are pods of Kubernetes, and who they are by their service-account tokens.
//!
//! ```text
//!   init's own token ── of ──> Cluster ── nrf() ──────> [kubernetes] of nrf.toml: issuer, keys, accounts amf and smf
//!                                  └───── replica(nf) ─> [nf.replica.pod] of amf.toml and smf.toml
//! ```
//!
//! Paths and names are those of deploy/kubernetes; `.ci/check-kubernetes` compares them.

use std::net::SocketAddr;
use std::path::Path;

use nf_nrf::kubernetes::{AccountConfig, KeysLocation, KubernetesConfig};
use sbi::config::{PodConfig, ReplicaConfig};
use sbi::model::NfType;
use sbi::service_account::{AUDIENCE, PodError, PodFqdn, pod_of};

use crate::pki::HOME_DOMAIN;

/// Where a pod finds its token for the NRF.
const POD_TOKEN: &str = "/var/run/secrets/mtca/token";
/// Where the NRF finds its token for the API server, and the CA of that.
const NRF_TOKEN: &str = "/var/run/secrets/cluster/token";
const CLUSTER_CA: &str = "/var/run/secrets/cluster/ca.crt";
/// The cluster's public keys.
const JWKS: &str = "https://kubernetes.default.svc/openid/v1/jwks";

/// The cluster that a lab is in, and its namespace there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    issuer: String,
    namespace: String,
}

impl Cluster {
    /// That of the pod whose token is in this file. Blocks on the disk.
    ///
    /// # Errors
    /// It is no pod's token.
    pub fn of(token: &Path) -> Result<Self, PodError> {
        let pod = pod_of(token)?;
        Ok(Self {
            issuer: pod.issuer().to_owned(),
            namespace: pod.namespace().to_owned(),
        })
    }

    /// What the NRF is told: service accounts are called as the network functions that run as them.
    pub(super) fn nrf(&self) -> KubernetesConfig {
        let account = |nf: &str, nf_type| AccountConfig {
            namespace: self.namespace.clone(),
            name: nf.to_owned(),
            nf_type,
            fqdn: fqdn(nf),
        };
        KubernetesConfig {
            issuer: self.issuer.clone(),
            audience: AUDIENCE.to_owned(),
            jwks: KeysLocation::try_from(JWKS.to_owned()).expect("an https URL"),
            ca: Some(CLUSTER_CA.into()),
            bearer: Some(NRF_TOKEN.into()),
            account: vec![account("amf", NfType::Amf), account("smf", NfType::Smf)],
        }
    }

    /// What a replica of the network function `nf` is told.
    pub(super) fn replica(nf: &str, listen: SocketAddr) -> ReplicaConfig {
        ReplicaConfig {
            tokens: None,
            listen,
            pod: Some(PodConfig {
                token: POD_TOKEN.into(),
                fqdn: fqdn(nf),
            }),
        }
    }
}

/// What pods of `nf` are called: in a domain of their own, so that nobody who may make one can give it another's name.
fn fqdn(nf: &str) -> PodFqdn {
    let text = format!("{{pod}}.{nf}.{HOME_DOMAIN}");
    text.parse().expect("a domain of the home network")
}
