//! `3gpp-Sbi-Lci` and `3gpp-Sbi-Oci`: how loaded a producer is, and how many requests less it wants (TS 29.500 clauses 5.2.3.2, 6.3
//! and 6.4).
//!
//! ```text
//!  3gpp-Sbi-Lci: Timestamp: "Tue, 04 Feb 2020 08:49:37 GMT"; Load-Metric: 25%; NF-Instance: <uuid>
//!  3gpp-Sbi-Oci: Timestamp: "..."; Period-of-Validity: 75s; Overload-Reduction-Metric: 50%; NF-Instance: <uuid>
//! ```
//!
//! Each header is a list, and a message may have it several times. What is said of anything but a whole NF instance (a set, a service, an
//! SCP, a slice of what the instance serves) is read over.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::HeaderName;
use time::OffsetDateTime;

use super::{HeaderError, InvalidValue, SenderTimestamp};
use crate::model::NfInstanceId;

/// How loaded somebody is.
pub const LCI: HeaderName = HeaderName::from_static("3gpp-sbi-lci");
/// How many requests less somebody wants.
pub const OCI: HeaderName = HeaderName::from_static("3gpp-sbi-oci");

/// Elements of one message that are read: a producer has one for itself and one for each of its services.
const MAX_ELEMENTS: usize = 16;

/// What a message says of the load of an NF instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadControl {
    /// When it was so. A newer one replaces an older one.
    pub timestamp: OffsetDateTime,
    /// In percent.
    pub load: u8,
    /// Whose it is.
    pub instance: NfInstanceId,
}

/// What a message says of the overload of an NF instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadControl {
    /// When it was so. A newer one replaces an older one.
    pub timestamp: OffsetDateTime,
    /// How long it applies.
    pub validity: Duration,
    /// The share of requests that shall not be sent, in percent; 0 ends the overload.
    pub reduction: u8,
    /// Whose it is.
    pub instance: NfInstanceId,
}

impl LoadControl {
    /// What `headers` say of whole instances.
    ///
    /// # Errors
    /// An element breaks the grammar, or there are more than 16.
    pub fn read_all(headers: &HeaderMap) -> Result<Vec<Self>, HeaderError> {
        read(headers, &LCI, "a list of load control information", |of| {
            let load = percent(of.required("Load-Metric")?)?;
            let control = |(timestamp, instance)| Self {
                timestamp,
                load,
                instance,
            };
            Ok(of.of_instance()?.map(control))
        })
    }
}

impl OverloadControl {
    /// What `headers` say of whole instances.
    ///
    /// # Errors
    /// An element breaks the grammar, or there are more than 16.
    pub fn read_all(headers: &HeaderMap) -> Result<Vec<Self>, HeaderError> {
        read(
            headers,
            &OCI,
            "a list of overload control information",
            |of| {
                let validity = of.required("Period-of-Validity")?;
                let validity = number(validity.strip_suffix('s').ok_or(InvalidValue)?)?;
                let reduction = percent(of.required("Overload-Reduction-Metric")?)?;
                let control = |(timestamp, instance)| Self {
                    timestamp,
                    validity: Duration::from_secs(validity.into()),
                    reduction,
                    instance,
                };
                Ok(of.of_instance()?.map(control))
            },
        )
    }
}

/// What `take` makes of each element of the header `name`; none of what it does not know.
fn read<T>(
    headers: &HeaderMap,
    name: &HeaderName,
    grammar: &'static str,
    take: impl Fn(&Element<'_>) -> Result<Option<T>, InvalidValue>,
) -> Result<Vec<T>, HeaderError> {
    let read = || {
        let mut taken = Vec::new();
        let mut count = 0;
        for value in headers.get_all(name) {
            for text in split(value.to_str().map_err(|_| InvalidValue)?, ',')? {
                count += 1;
                if count > MAX_ELEMENTS {
                    return Err(InvalidValue);
                }
                taken.extend(take(&Element::read(text)?)?);
            }
        }
        Ok(taken)
    };
    read().map_err(|InvalidValue| HeaderError {
        name: name.clone(),
        grammar,
    })
}

/// Named values, `Name: value; Name: value`.
struct Element<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Element<'a> {
    fn read(text: &'a str) -> Result<Self, InvalidValue> {
        let parts = split(text, ';')?.into_iter();
        let named = parts.map(|part| {
            let (name, value) = part.split_once(':').ok_or(InvalidValue)?;
            Ok((name.trim(), value.trim()))
        });
        named.collect::<Result<_, _>>().map(Self)
    }

    /// The value `name`, if it is there once.
    fn value(&self, name: &str) -> Option<&'a str> {
        let mut named = self.0.iter().filter(|(other, _)| *other == name);
        let (_, value) = named.next()?;
        named.next().is_none().then_some(value)
    }

    fn required(&self, name: &str) -> Result<&'a str, InvalidValue> {
        self.value(name).ok_or(InvalidValue)
    }

    /// When it was so and which instance it is about; none if it is about something else.
    fn of_instance(&self) -> Result<Option<(OffsetDateTime, NfInstanceId)>, InvalidValue> {
        let timestamp = self.required("Timestamp")?;
        let timestamp = timestamp
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let SenderTimestamp(timestamp) = timestamp.ok_or(InvalidValue)?.parse()?;
        let is_part = self.value("S-NSSAI").is_some() || self.value("DNN").is_some();
        let Some(instance) = self.value("NF-Instance").filter(|_| !is_part) else {
            return Ok(None);
        };
        let instance = instance.parse().map_err(|_| InvalidValue)?;
        Ok(Some((timestamp, instance)))
    }
}

/// `text` at each `separator` that stands in no quotes.
fn split(text: &str, separator: char) -> Result<Vec<&str>, InvalidValue> {
    let mut is_quoted = false;
    let parts = text.split(|c: char| {
        is_quoted ^= c == '"';
        c == separator && !is_quoted
    });
    let parts: Vec<&str> = parts.map(str::trim).collect();
    (!is_quoted).then_some(parts).ok_or(InvalidValue)
}

fn percent(text: &str) -> Result<u8, InvalidValue> {
    let number = number(text.strip_suffix('%').ok_or(InvalidValue)?)?;
    u8::try_from(number)
        .ok()
        .filter(|percent| *percent <= 100)
        .ok_or(InvalidValue)
}

fn number(text: &str) -> Result<u32, InvalidValue> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some(()).ok_or(InvalidValue)?;
    text.parse().map_err(|_| InvalidValue)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    const ID: &str = "5b1d9a77-7d24-4b8f-9c61-2f4f0d9e1a01";
    const AT: &str = r#"Timestamp: "Tue, 04 Feb 2020 08:49:37 GMT""#;

    fn headers(name: &HeaderName, values: &[String]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::try_from(value).expect("a value"));
        }
        headers
    }

    fn load(value: String) -> Result<Vec<LoadControl>, HeaderError> {
        LoadControl::read_all(&headers(&LCI, &[value]))
    }

    #[test]
    fn the_load_of_an_instance_is_read_wherever_in_the_list_it_stands() {
        let others = [
            format!(
                "{AT}; Load-Metric: 9%; SCP-FQDN: scp1.example.org, {AT}; Load-Metric: 25%; NF-Instance: {ID}"
            ),
            format!(
                "{AT}; Load-Metric: 100%; NF-Instance: {ID}; S-NSSAI: 1; DNN: a; Relative-Capacity: 20%"
            ),
        ];
        let read = LoadControl::read_all(&headers(&LCI, &others)).unwrap();
        let [control] = read[..] else {
            panic!("one of an instance: {read:?}")
        };
        assert_eq!(control.timestamp.unix_timestamp(), 1_580_806_177);
        assert_eq!(
            (control.load, control.instance.to_string()),
            (25, ID.to_owned())
        );
        assert_eq!(LoadControl::read_all(&HeaderMap::new()), Ok(Vec::new()));
    }

    #[test]
    fn an_overload_says_how_much_less_and_for_how_long() {
        let value = format!(
            "{AT}; Period-of-Validity: 75s; Overload-Reduction-Metric: 50%; NF-Instance: {ID}"
        );
        let read = OverloadControl::read_all(&headers(&OCI, &[value])).unwrap();
        let [control] = read[..] else {
            panic!("one: {read:?}")
        };
        assert_eq!(
            (control.reduction, control.validity),
            (50, Duration::from_secs(75))
        );
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        for bad in [
            String::new(),
            format!("{AT}; NF-Instance: {ID}"),
            format!("{AT}; Load-Metric: 101%; NF-Instance: {ID}"),
            format!("{AT}; Load-Metric: +1%; NF-Instance: {ID}"),
            format!("{AT}; Load-Metric: 1; NF-Instance: {ID}"),
            format!("{AT}; Load-Metric: 1%; Load-Metric: 2%; NF-Instance: {ID}"),
            format!("{AT}; Load-Metric: 1%; NF-Instance: x"),
            format!("Timestamp: \"now\"; Load-Metric: 1%; NF-Instance: {ID}"),
            format!(
                "Timestamp: \"Tue, 04 Feb 2020 08:49:37 GMT; Load-Metric: 1%; NF-Instance: {ID}"
            ),
        ] {
            assert!(load(bad.clone()).is_err(), "{bad}");
        }
        let one = format!("{AT}; Load-Metric: 1%; NF-Instance: {ID}");
        assert!(load(vec![&*one; MAX_ELEMENTS].join(",")).is_ok());
        assert!(load(vec![&*one; MAX_ELEMENTS + 1].join(",")).is_err());
    }
}
