//! From a body to a type, or to the information elements that are at fault.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::{Cause, InvalidParam, Problem};

/// A JSON body of the SBI.
pub trait Document: DeserializeOwned {
    /// A smallest valid document as JSON. Its members are the mandatory ones, and it finds out which member of an invalid
    /// document is at fault: the one that spoils it when put in.
    const SMALLEST: &'static str;

    /// Rules that the types do not express.
    ///
    /// # Errors
    /// Every member that breaks one.
    fn check(&self) -> Result<(), Vec<InvalidParam>> {
        Ok(())
    }

    /// Reads and checks a body.
    ///
    /// # Errors
    /// `400` with the cause and the members at fault.
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let value = serde_json::from_slice(body)
            .map_err(|error| Problem::invalid_msg_format(format!("not JSON: {error}")))?;
        Self::from_value(value)
    }

    /// Reads and checks JSON that is already parsed.
    ///
    /// # Errors
    /// As [`Document::read`].
    fn from_value(value: Value) -> Result<Self, Problem> {
        let Value::Object(members) = &value else {
            return Err(Problem::invalid_msg_format("not a JSON object"));
        };
        match Self::deserialize(&value) {
            Ok(document) => match document.check() {
                Ok(()) => Ok(document),
                Err(params) => Err(incorrect(params, &smallest::<Self>())),
            },
            Err(error) => Err(diagnose::<Self>(members, &error)),
        }
    }
}

fn smallest<T: Document>() -> Map<String, Value> {
    serde_json::from_str(T::SMALLEST).expect("the smallest document is a JSON object")
}

/// Why `members` are not a `T`.
fn diagnose<T: Document>(members: &Map<String, Value>, error: &serde_json::Error) -> Problem {
    let smallest = smallest::<T>();
    let missing: Vec<_> = smallest
        .keys()
        .filter(|&mandatory| !members.contains_key(mandatory))
        .map(|mandatory| InvalidParam::new(pointer(mandatory), "missing"))
        .collect();
    if !missing.is_empty() {
        return Problem::invalid_params(Cause::MandatoryIeMissing, missing);
    }
    let wrong: Vec<_> = members
        .iter()
        .filter_map(|(member, value)| {
            let mut document = smallest.clone();
            document.insert(member.clone(), value.clone());
            let error = T::deserialize(&Value::Object(document)).err()?;
            Some(InvalidParam::new(pointer(member), error.to_string()))
        })
        .collect();
    if wrong.is_empty() {
        return Problem::invalid_msg_format(error.to_string());
    }
    incorrect(wrong, &smallest)
}

/// One wrong mandatory member makes the answer one about mandatory members.
fn incorrect(params: Vec<InvalidParam>, smallest: &Map<String, Value>) -> Problem {
    let mandatory = params
        .iter()
        .any(|wrong| smallest.keys().any(|member| pointer(member) == wrong.param));
    let cause = if mandatory {
        Cause::MandatoryIeIncorrect
    } else {
        Cause::OptionalIeIncorrect
    };
    Problem::invalid_params(cause, params)
}

/// The JSON Pointer of a member of the root (RFC 6901).
fn pointer(member: &str) -> String {
    format!("/{}", member.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use crate::model::NfProfile;

    use super::*;

    fn refusal(body: &str) -> (String, Vec<String>) {
        let details = *NfProfile::read(body.as_bytes()).expect_err(body).details;
        let params = details.invalid_params.into_iter().map(|p| p.param);
        (
            details.cause.expect("every refusal has a cause"),
            params.collect(),
        )
    }

    #[test]
    fn names_each_missing_member() {
        assert_eq!(
            refusal(r#"{"nfStatus":"REGISTERED"}"#),
            (
                "MANDATORY_IE_MISSING".to_owned(),
                vec!["/nfInstanceId".to_owned(), "/nfType".to_owned()]
            )
        );
    }

    #[test]
    fn names_the_wrong_member_and_whether_it_is_mandatory() {
        let with = |member: &str| {
            format!(
                r#"{{"nfInstanceId":"0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01","nfType":"AMF","fqdn":"a.bc",{member}}}"#
            )
        };
        assert_eq!(
            refusal(&with(r#""nfStatus":7"#)),
            (
                "MANDATORY_IE_INCORRECT".to_owned(),
                vec!["/nfStatus".to_owned()]
            )
        );
        assert_eq!(
            refusal(&with(r#""nfStatus":"REGISTERED","load":"high""#)),
            ("OPTIONAL_IE_INCORRECT".to_owned(), vec!["/load".to_owned()])
        );
    }

    #[test]
    fn what_is_no_object_is_a_format_error() {
        for body in ["", "[]", "{", "null", "\u{0}"] {
            assert_eq!(refusal(body).0, "INVALID_MSG_FORMAT", "{body}");
        }
    }
}
