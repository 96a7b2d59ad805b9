//! From a body to a type, or to the information elements that are at fault.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::shape::{Fault, Nested, Shape, below};
use super::tolerance::Tolerated;
use crate::problem::{Cause, InvalidParam, Problem};

/// A JSON body of the SBI.
pub trait Document: DeserializeOwned {
    /// A smallest valid document as JSON. Its members are the mandatory ones, and it finds out which member of an invalid
    /// document is at fault: the one that spoils it when put in.
    const SMALLEST: &'static str;

    /// Its members that hold objects, for finding the fault within them.
    const MEMBERS: &'static [(&'static str, Nested)] = &[];

    /// Puts right what real peers send against the schema, before it is read.
    fn tolerate(_document: &mut Value) -> Vec<Tolerated> {
        Vec::new()
    }

    /// Conditional members that are missing although their condition is met.
    fn missing(&self) -> Vec<InvalidParam> {
        Vec::new()
    }

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
        Self::read_tolerantly(body).map(|(document, _)| document)
    }

    /// Reads and checks a body, and says what was put right in it.
    ///
    /// # Errors
    /// As [`Document::read`].
    fn read_tolerantly(body: &[u8]) -> Result<(Self, Vec<Tolerated>), Problem> {
        let value = serde_json::from_slice(body)
            .map_err(|error| Problem::invalid_msg_format(format!("not JSON: {error}")))?;
        Self::from_value_tolerantly(value)
    }

    /// Reads and checks JSON that is already parsed.
    ///
    /// # Errors
    /// As [`Document::read`].
    fn from_value(value: Value) -> Result<Self, Problem> {
        Self::from_value_tolerantly(value).map(|(document, _)| document)
    }

    /// Reads and checks JSON that is already parsed, and says what was put right in it.
    ///
    /// # Errors
    /// As [`Document::read`].
    fn from_value_tolerantly(mut value: Value) -> Result<(Self, Vec<Tolerated>), Problem> {
        if !value.is_object() {
            return Err(Problem::invalid_msg_format("not a JSON object"));
        }
        let tolerated = Self::tolerate(&mut value);
        let shape = Shape::of::<Self>(Self::SMALLEST, Self::MEMBERS);
        let document =
            Self::deserialize(&value).map_err(|error| diagnose(shape, &value, &error))?;
        let missing = document.missing();
        if !missing.is_empty() {
            return Err(Problem::invalid_params(Cause::MandatoryIeMissing, missing));
        }
        match document.check() {
            Ok(()) => Ok((document, tolerated)),
            Err(params) => Err(incorrect(params, shape)),
        }
    }
}

/// Why `document` is not of `shape`.
fn diagnose(shape: Shape, document: &Value, error: &serde_json::Error) -> Problem {
    let faults = shape.faults(document, "");
    if faults.is_empty() {
        return Problem::invalid_msg_format(error.to_string());
    }
    let param = |fault: Fault| InvalidParam::new(fault.pointer, fault.reason);
    let (missing, wrong): (Vec<_>, Vec<_>) = faults.into_iter().partition(|f| f.is_missing);
    if missing.is_empty() {
        incorrect(wrong.into_iter().map(param).collect(), shape)
    } else {
        let missing = missing.into_iter().map(param).collect();
        Problem::invalid_params(Cause::MandatoryIeMissing, missing)
    }
}

/// One wrong mandatory member makes the answer one about mandatory members.
fn incorrect(params: Vec<InvalidParam>, shape: Shape) -> Problem {
    let mandatory: Vec<_> = shape.smallest().keys().map(|m| below("", m)).collect();
    let is_in = |param: &str, member: &String| {
        let rest = param.strip_prefix(member.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_mandatory = params
        .iter()
        .any(|wrong| mandatory.iter().any(|member| is_in(&wrong.param, member)));
    let cause = if is_mandatory {
        Cause::MandatoryIeIncorrect
    } else {
        Cause::OptionalIeIncorrect
    };
    Problem::invalid_params(cause, params)
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
