//! AMFs and SMFs that are pods of Kubernetes, and who they are by their service-account tokens.
//!
//! ```text
//!   init's own token ── of ──> Cluster ── nrf() ──────> [kubernetes] of nrf.toml: issuer, keys, accounts amf and smf
//!                                  └───── replica(nf) ─> [nf.replica.pod] of amf.toml and smf.toml
//!   SidecarAccount ── admitting() ──────────> another account of nrf.toml, for each
//! ```
//!
//! Paths and names are those of deploy/kubernetes; `.ci/check-kubernetes` compares them.

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;

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
/// What a sidecar is that is told no type.
const SIDECAR: &str = "SIDECAR";
/// The cluster's public keys.
const JWKS: &str = "https://kubernetes.default.svc/openid/v1/jwks";

/// The cluster that a lab is in, and its namespace there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    issuer: String,
    namespace: String,
    sidecars: Vec<SidecarAccount>,
}

/// A service account whose pods are programs of others with a sidecar, in whatever namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidecarAccount {
    namespace: String,
    name: String,
    fqdn: PodFqdn,
}

/// The text names no service account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no service account: write NAMESPACE/NAME, both in lower case, such as shop/web")]
pub struct NoAccount(String);

impl FromStr for SidecarAccount {
    type Err = NoAccount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || NoAccount(text.to_owned());
        let (namespace, name) = text.split_once('/').ok_or_else(fault)?;
        // A name may have dots, which would make it another's domain.
        if [namespace, name].iter().any(|label| label.contains('.')) {
            return Err(fault());
        }
        // The namespace is in it, since accounts of several may have one name.
        let fqdn = format!("{{pod}}.{name}.{namespace}.{HOME_DOMAIN}");
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            fqdn: fqdn.parse().map_err(|_| fault())?,
        })
    }
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
            sidecars: Vec::new(),
        })
    }

    /// The same, with an NRF that certifies the pods of these accounts too.
    #[must_use]
    pub fn admitting(self, sidecars: Vec<SidecarAccount>) -> Self {
        Self { sidecars, ..self }
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
            account: [account("amf", NfType::Amf), account("smf", NfType::Smf)]
                .into_iter()
                .chain(self.sidecars.iter().map(sidecar))
                .collect(),
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

fn sidecar(account: &SidecarAccount) -> AccountConfig {
    AccountConfig {
        namespace: account.namespace.clone(),
        name: account.name.clone(),
        nf_type: NfType::from(SIDECAR),
        fqdn: account.fqdn.clone(),
    }
}

/// What pods of `nf` are called: in a domain of their own, so that nobody who may make one can give it another's name.
fn fqdn(nf: &str) -> PodFqdn {
    let text = format!("{{pod}}.{nf}.{HOME_DOMAIN}");
    text.parse().expect("a domain of the home network")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_two_namespaces_do_not_share_a_domain() {
        let fqdn = |text: &str| {
            text.parse::<SidecarAccount>()
                .map(|of| String::from(of.fqdn))
        };
        assert_eq!(
            fqdn("shop/web").as_deref(),
            Ok("{pod}.web.shop.5gc.mnc001.mcc001.3gppnetwork.org")
        );
        assert_ne!(fqdn("shop/web"), fqdn("bank/web"));
        for wrong in [
            "web",
            "/web",
            "shop/",
            "shop/web.x",
            "Shop/web",
            "a/b/c",
            "shop/{pod}",
        ] {
            assert!(fqdn(wrong).is_err(), "{wrong}");
        }
    }
}
