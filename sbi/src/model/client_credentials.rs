//! The claims of a client credentials assertion (TS 33.501 clause 13.3.8.1, TS 29.500 clause 5.2.3.2.11).

use serde::{Deserialize, Serialize};

use super::name::{NfInstanceId, NfType};
use super::open::listed;

/// By which an NF says who it is to whoever its request reaches through others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCredentialsAssertion {
    /// The NF itself.
    pub sub: NfInstanceId,
    /// When it was signed, Unix time.
    pub iat: u64,
    /// It is good before this second, Unix time.
    pub exp: u64,
    /// Types of the NFs that it is for, at least one.
    #[serde(deserialize_with = "listed")]
    pub aud: Vec<NfType>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_assertion_is_for_one_type_at_least() {
        let mut json = json!({"sub": "5b1d9a77-0000-4000-8000-000000000002", "iat": 1_800_000_000_u64,
            "exp": 1_800_000_300_u64, "aud": ["SMF", "NRF"]});
        let read: ClientCredentialsAssertion = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(read.aud, [NfType::Smf, NfType::Nrf]);
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
        json["aud"] = json!([]);
        assert!(serde_json::from_value::<ClientCredentialsAssertion>(json).is_err());
    }
}
