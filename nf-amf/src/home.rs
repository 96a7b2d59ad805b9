//! The producers that an AMF's procedures need, each service's discovered for itself.

use procedures::producers::Producers;
use sbi::model::{NfType, ServiceName};

/// The producers that an AMF knows.
pub(crate) struct Home {
    pub(crate) ausfs: Producers,
    /// UDMs, for which AMF serves a UE.
    pub(crate) contexts: Producers,
    /// UDMs, for what a subscriber may.
    pub(crate) data: Producers,
    pub(crate) policies: Producers,
    pub(crate) smfs: Producers,
}

impl Default for Home {
    fn default() -> Self {
        Self {
            ausfs: Producers::new(NfType::Ausf, ServiceName::NausfAuth),
            contexts: Producers::new(NfType::Udm, ServiceName::NudmUecm),
            data: Producers::new(NfType::Udm, ServiceName::NudmSdm),
            policies: Producers::new(NfType::Pcf, ServiceName::NpcfAmPolicyControl),
            smfs: Producers::new(NfType::Smf, ServiceName::NsmfPdusession),
        }
    }
}
