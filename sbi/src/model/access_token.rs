//! Nnrf_AccessToken (TS 29.510 clause 5.4 and 6.3): the claims of a token, the answer that brings one, and the refusal.

use serde::{Deserialize, Serialize};

use super::name::{NfInstanceId, NfType, ServiceName};
use super::network::{PlmnId, Snssai};
use super::open::{Other, listed};

/// For whom a token is: every producer of a type, or those instances alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// NFs of a type.
    Type(NfType),
    /// Instances, at least one.
    #[serde(deserialize_with = "listed")]
    Instances(Vec<NfInstanceId>),
}

impl Audience {
    /// Whether the instance `id` of type `nf_type` is meant.
    pub fn includes(&self, id: NfInstanceId, nf_type: &NfType) -> bool {
        match self {
            Self::Type(wanted) => wanted == nf_type,
            Self::Instances(ids) => ids.contains(&id),
        }
    }
}

/// The claims of an access token (TS 29.510 clause 6.3.5.2.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessTokenClaims {
    /// The NRF.
    pub iss: NfInstanceId,
    /// The consumer.
    pub sub: NfInstanceId,
    /// The producers.
    pub aud: Audience,
    /// Names of services, and of finer scopes, with spaces between them.
    pub scope: String,
    /// The token is good before this second, Unix time.
    pub exp: u64,
    /// The consumer's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer_plmn_id: Option<PlmnId>,
    /// The producers' network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer_plmn_id: Option<PlmnId>,
    /// Slices of which a producer must serve one; none = any.
    #[serde(
        default,
        deserialize_with = "listed",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub producer_snssai_list: Vec<Snssai>,
    /// Members without a field here.
    #[serde(flatten)]
    pub other: Other,
}

/// What begins the name of a claim that says which producers may be asked.
const RESTRICTION: &str = "producer";

impl AccessTokenClaims {
    /// Whether the token is for the service, as a whole.
    pub fn permits(&self, service: &ServiceName) -> bool {
        self.scope.split(' ').any(|scope| scope == service.as_str())
    }

    /// A claim that restricts the producers to some, sets or slice instances for example, and that this project does not know.
    pub fn unknown_restriction(&self) -> Option<&str> {
        let mut names = self.other.keys();
        let found = names.find(|name| name.starts_with(RESTRICTION));
        found.map(String::as_str)
    }
}

/// The answer with a token (AccessTokenRsp).
#[derive(Clone, Serialize, Deserialize)]
pub struct AccessTokenRsp {
    /// The JWS.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// For how many seconds it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// Its scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// The refusal of a token (AccessTokenErr, RFC 6749 section 5.2): no ProblemDetails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenErr {
    /// `invalid_request`, `invalid_client`, `invalid_grant`, `unauthorized_client`, `unsupported_grant_type` or `invalid_scope`.
    pub error: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims() -> serde_json::Value {
        json!({"iss": "5b1d9a77-0000-4000-8000-000000000001", "sub": "5b1d9a77-0000-4000-8000-000000000002",
            "aud": "SMF", "scope": "nsmf-pdusession nsmf-event-exposure", "exp": 1_800_000_000_u64})
    }

    #[test]
    fn the_audience_is_a_type_or_instances() {
        let mut json = claims();
        let read: AccessTokenClaims = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
        assert!(read.aud.includes(read.iss, &NfType::Smf));
        assert!(!read.aud.includes(read.iss, &NfType::Amf));
        json["aud"] = json!(["5b1d9a77-0000-4000-8000-000000000001"]);
        let read: AccessTokenClaims = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), json);
        assert!(read.aud.includes(read.iss, &NfType::Smf));
        assert!(!read.aud.includes(read.sub, &NfType::Smf));
        json["aud"] = json!([]);
        assert!(serde_json::from_value::<AccessTokenClaims>(json).is_err());
    }

    #[test]
    fn a_scope_is_of_whole_names() {
        let read: AccessTokenClaims = serde_json::from_value(claims()).unwrap();
        assert!(read.permits(&ServiceName::NsmfPdusession));
        assert!(!read.permits(&ServiceName::from("nsmf")));
        assert!(!read.permits(&ServiceName::NamfComm));
    }

    #[test]
    fn restrictions_that_are_not_known_are_told() {
        let mut json = claims();
        json["vendor"] = json!(1);
        let read: AccessTokenClaims = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(read.unknown_restriction(), None);
        json["producerNfSetId"] = json!("set1");
        let read: AccessTokenClaims = serde_json::from_value(json).unwrap();
        assert_eq!(read.unknown_restriction(), Some("producerNfSetId"));
    }
}
