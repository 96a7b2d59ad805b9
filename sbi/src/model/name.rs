//! What an NF and its services are called (TS 29.510 clause 6.1.6.3, TS 29.571 clause 5.3.2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::open_enum::open_enum;

open_enum! {
    /// The kind of a network function.
    NfType {
        /// Network Repository Function.
        Nrf = "NRF",
        /// Service Communication Proxy.
        Scp = "SCP",
        /// Access and Mobility Management Function.
        Amf = "AMF",
        /// Session Management Function.
        Smf = "SMF",
        /// Authentication Server Function.
        Ausf = "AUSF",
        /// Unified Data Management.
        Udm = "UDM",
        /// Policy Control Function.
        Pcf = "PCF",
    }
}

open_enum! {
    /// Whether an NF instance is operative and may be discovered.
    NfStatus {
        /// Operative and discoverable.
        Registered = "REGISTERED",
        /// Heartbeats are missing: not discoverable.
        Suspended = "SUSPENDED",
        /// Operative but draining: not discoverable.
        Undiscoverable = "UNDISCOVERABLE",
        /// Discoverable under conditions (Release 18); this project hides it.
        CanaryRelease = "CANARY_RELEASE",
    }
}

/// The status of one service of an instance; the values are those of [`NfStatus`].
pub type NfServiceStatus = NfStatus;

open_enum! {
    /// The name of an API, which is the first path segment of its URIs.
    ServiceName {
        /// NF management of the NRF.
        NnrfNfm = "nnrf-nfm",
        /// NF discovery of the NRF.
        NnrfDisc = "nnrf-disc",
        /// Access tokens of the NRF.
        NnrfOauth2 = "nnrf-oauth2",
        /// Certificate management of the NRF, this project's own.
        NnrfCm = "nnrf-cm",
        /// Communication service of the AMF.
        NamfComm = "namf-comm",
        /// PDU sessions of the SMF.
        NsmfPdusession = "nsmf-pdusession",
        /// UE authentication of the AUSF.
        NausfAuth = "nausf-auth",
        /// UE authentication of the UDM.
        NudmUeau = "nudm-ueau",
        /// UE context management of the UDM.
        NudmUecm = "nudm-uecm",
        /// Subscriber data management of the UDM.
        NudmSdm = "nudm-sdm",
        /// Access and mobility policies of the PCF.
        NpcfAmPolicyControl = "npcf-am-policy-control",
        /// Session policies of the PCF.
        NpcfSmpolicycontrol = "npcf-smpolicycontrol",
    }
}

/// Identifies one running NF instance: a UUID of any version, written in lower case and compared without regard to case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NfInstanceId(Uuid);

impl NfInstanceId {
    /// A fresh random identifier.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The UUID.
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for NfInstanceId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

/// Not a UUID in its hyphenated form of 36 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an NF instance id is a hyphenated UUID")]
pub struct InvalidNfInstanceId;

impl FromStr for NfInstanceId {
    type Err = InvalidNfInstanceId;

    fn from_str(text: &str) -> Result<Self, InvalidNfInstanceId> {
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(InvalidNfInstanceId);
        }
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| InvalidNfInstanceId)
    }
}

impl TryFrom<String> for NfInstanceId {
    type Error = InvalidNfInstanceId;

    fn try_from(text: String) -> Result<Self, InvalidNfInstanceId> {
        text.parse()
    }
}

impl From<NfInstanceId> for String {
    fn from(id: NfInstanceId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for NfInstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_hyphenated())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_are_forwarded() {
        for wire in [r#""AMF""#, r#""MB_SMF""#] {
            let nf_type: NfType = serde_json::from_str(wire).unwrap();
            assert_eq!(serde_json::to_string(&nf_type).unwrap(), wire);
        }
        assert_eq!(NfType::from("AMF"), NfType::Amf);
    }

    #[test]
    fn instance_ids_compare_without_case_and_are_written_in_lower_case() {
        let upper: NfInstanceId = "0A3F5C1E-7D24-4B8F-9C61-2F4F0D9E1A01".parse().unwrap();
        let lower = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01";
        assert_eq!(upper, lower.parse().unwrap());
        assert_eq!(upper.to_string(), lower);
    }

    #[test]
    fn version_1_uuids_are_instance_ids() {
        assert!(
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
                .parse::<NfInstanceId>()
                .is_ok()
        );
    }

    #[test]
    fn other_spellings_of_a_uuid_are_refused() {
        for text in [
            "",
            "0a3f5c1e7d244b8f9c612f4f0d9e1a01",
            "{0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a0}",
        ] {
            assert_eq!(text.parse::<NfInstanceId>(), Err(InvalidNfInstanceId));
        }
    }
}
