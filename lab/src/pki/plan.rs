//! What a lab's PKI is made for.

use std::collections::HashSet;
use std::time::Duration;

use mtc_core::id::TrustAnchorId;
use mtc_tls::identity::NfSubject;
use mtc_tls::key::X509Profile;
use uuid::Uuid;

use super::error::PkiError;

/// Home domain of the lab's PLMN 001/01, the test network of TS 23.003.
pub const HOME_DOMAIN: &str = "5gc.mnc001.mcc001.3gppnetwork.org";
/// Deviation: country of the certificates' subjects, user-assigned in ISO 3166: a lab has none.
pub const COUNTRY: &str = "XX";

/// FQDN of the instance `number` of an NF type in the lab: `amf1.5gc.mnc001.mcc001.3gppnetwork.org`.
pub fn fqdn(nf_type: &str, number: u16) -> String {
    let host = nf_type.to_ascii_lowercase().replace('_', "-");
    format!("{host}{number}.{HOME_DOMAIN}")
}

/// What the PKI is made for.
#[derive(Clone, Debug)]
pub struct PkiPlan {
    /// Whether relying parties remember subtrees whose cosignatures they have verified.
    pub remember_subtrees: bool,
    /// The MTCA's trust anchor ID, `32473.1`.
    pub ca_id: TrustAnchorId,
    /// The witnesses' trust anchor IDs, `32473.2` and so on; the first is the SCP's.
    pub witnesses: Vec<TrustAnchorId>,
    /// How many of the witnesses relying parties ask for.
    pub required_witnesses: usize,
    /// Where the CA's logs will be served, if it is known already; stands in the CA certificate.
    pub prefix_url: Option<String>,
    /// The NF instances that may enrol.
    pub instances: Vec<PlannedInstance>,
    /// The X.509 baseline CAs.
    pub x509_profiles: Vec<X509Profile>,
    /// Lifetime of the CA certificates, of the MTCA's and the baselines'.
    pub ca_lifetime: Duration,
    /// Lifetime of the enrolment tokens.
    pub token_lifetime: Duration,
}

/// One NF instance of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedInstance {
    /// NF type as in TS 29.510, `AMF`.
    pub nf_type: String,
    /// nfInstanceId.
    pub instance_id: Uuid,
    /// The FQDN under which it will serve.
    pub fqdn: String,
}

impl PkiPlan {
    /// Refuses what the NRF would refuse to certify, and what would overwrite another's file.
    pub(super) fn check(&self) -> Result<(), PkiError> {
        if self.witnesses.contains(&self.ca_id) {
            return Err(PkiError::WitnessIsCa(self.ca_id));
        }
        if !(1..=self.witnesses.len()).contains(&self.required_witnesses) {
            return Err(PkiError::Quorum {
                required: self.required_witnesses,
                witnesses: self.witnesses.len(),
            });
        }
        let mut seen = HashSet::new();
        let mut unique = |name: String| {
            if seen.insert(name.clone()) {
                Ok(())
            } else {
                Err(PkiError::Duplicate(name))
            }
        };
        for PlannedInstance {
            nf_type,
            instance_id,
            fqdn,
        } in &self.instances
        {
            let subject = NfSubject::new(
                COUNTRY,
                HOME_DOMAIN,
                *instance_id,
                std::slice::from_ref(nf_type),
                std::slice::from_ref(fqdn),
            );
            subject.map_err(|source| PkiError::Instance {
                instance_id: *instance_id,
                source,
            })?;
            unique(instance_id.to_string())?;
            unique(fqdn.to_ascii_lowercase())?;
        }
        self.witnesses
            .iter()
            .try_for_each(|witness| unique(witness.to_string()))?;
        self.x509_profiles
            .iter()
            .try_for_each(|profile| unique(profile.to_string()))
    }
}
