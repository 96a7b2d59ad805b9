//! A log entry in a line, for people and programs.

use std::fmt;

use mtc_core::causes::Causes;
use mtc_core::entry::{EntryBody, MtcLogEntry};
use mtc_core::id::EntryIndex;
use serde::Serialize;

use mtc_core::oid;
use mtc_core::x509::{GeneralName, LogEntry, alternative_names, distinguished_name, key_algorithm};

/// What a log entry states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntrySummary {
    /// Its index.
    pub index: EntryIndex,
    /// What it states.
    #[serde(flatten)]
    pub statement: Statement,
}

/// What an entry states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Statement {
    /// A certificate's contents.
    Certificate {
        /// The subject's distinguished name.
        subject: String,
        /// Subject alternative names.
        alternative_names: Vec<GeneralName>,
        /// Algorithm of the subject's key.
        key_algorithm: String,
        /// First second of validity.
        not_before: String,
        /// Last second of validity.
        not_after: String,
    },
    /// Nothing.
    Null,
    /// It is not of the form of an entry.
    Malformed {
        /// What is wrong.
        error: String,
    },
}

impl EntrySummary {
    /// Reads an entry's bytes.
    pub fn of(index: EntryIndex, bytes: &[u8]) -> Self {
        let statement =
            Statement::read(bytes).unwrap_or_else(|error| Statement::Malformed { error });
        Self { index, statement }
    }
}

impl Statement {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let entry = MtcLogEntry::decode(bytes).map_err(|error| Causes(&error).to_string())?;
        let EntryBody::TbsCert(contents) = &entry.body else {
            return Ok(Self::Null);
        };
        let LogEntry {
            statement,
            key_algorithm: identifier,
        } = LogEntry::parse(contents).map_err(|error| Causes(&error).to_string())?;
        let names = statement.extension(oid::SUBJECT_ALT_NAME);
        let names = names.map(|names| alternative_names(names.value));
        Ok(Self::Certificate {
            subject: distinguished_name(statement.subject).map_err(|error| error.to_string())?,
            alternative_names: names
                .transpose()
                .map_err(|error| error.to_string())?
                .unwrap_or_default(),
            key_algorithm: key_algorithm(identifier.contents),
            not_before: statement.validity[0].clone(),
            not_after: statement.validity[1].clone(),
        })
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate {
                subject,
                alternative_names,
                key_algorithm,
                not_before,
                not_after,
            } => {
                write!(f, "{subject}")?;
                for name in alternative_names {
                    match name {
                        // Escaped already, and its commas part attributes.
                        GeneralName::Directory(_) => write!(f, ", {name}")?,
                        _ => write!(f, ", {}", in_list(&name.to_string()))?,
                    }
                }
                write!(f, ", {key_algorithm}, {not_before} to {not_after}")
            }
            Self::Null => f.write_str("null entry"),
            Self::Malformed { error } => write!(f, "malformed: {error}"),
        }
    }
}

/// A name in a list with commas, so that one cannot look like two.
fn in_list(name: &str) -> String {
    name.replace('\\', "\\\\").replace(',', "\\,")
}

impl fmt::Display for EntrySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {}", self.index, self.statement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_does_not_look_like_two() {
        let statement = Statement::Certificate {
            subject: "CN=a".to_owned(),
            alternative_names: vec![GeneralName::Dns("b, DNS:c\\".to_owned())],
            key_algorithm: "ed25519".to_owned(),
            not_before: "1".to_owned(),
            not_after: "2".to_owned(),
        };
        assert_eq!(
            statement.to_string(),
            r"CN=a, DNS:b\, DNS:c\\, ed25519, 1 to 2"
        );
    }

    #[test]
    fn null_and_malformed_entries_are_told_as_such() {
        let null = MtcLogEntry::NULL.encode().unwrap();
        assert_eq!(
            EntrySummary::of(EntryIndex(7), &null).to_string(),
            "entry 7: null entry"
        );
        assert_eq!(
            EntrySummary::of(EntryIndex(8), &[0, 0, 0, 9]).to_string(),
            "entry 8: malformed: unknown entry type 9"
        );
        assert_eq!(
            EntrySummary::of(EntryIndex(9), &[0, 0, 0, 1, 5]).to_string(),
            "entry 9: malformed: issuer is malformed: expected tag 0x30, found 0x05"
        );
    }
}
