//! Conditions for scripts: what must not be found, `--fail-on`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::model::{CertificateEntry, EndpointEntry, Inventory};

const DAYS_PER_WEEK: i64 = 7;

/// A text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "not a condition; known: quantum-vulnerable, expiring=30d (days, or 4w), open-key, incomplete"
)]
pub struct UnknownCondition;

/// What must not be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A certificate whose key or signature a quantum computer breaks, or a port whose key exchange it does.
    QuantumVulnerable,
    /// A certificate that expires within so many days, or has.
    Expiring(i64),
    /// A private key that others than its owner can use.
    OpenKey,
    /// Something that could not be read.
    Incomplete,
}

impl Condition {
    /// What there is of it, a line each.
    pub fn found(self, inventory: &Inventory) -> Vec<String> {
        let certificates = inventory.certificates.iter();
        match self {
            Self::QuantumVulnerable => {
                let certificates = certificates.filter(|entry| entry.quantum_vulnerable);
                let ports = inventory
                    .endpoints
                    .iter()
                    .filter(|port| port.is_vulnerable());
                certificates
                    .map(algorithms)
                    .chain(ports.map(key_exchange))
                    .collect()
            }
            Self::Expiring(days) => {
                let expiring = certificates.filter(|entry| entry.days_left < days);
                expiring
                    .map(|entry| format!("{}, until {}", named(entry), entry.not_after))
                    .collect()
            }
            Self::OpenKey => {
                let open = inventory.private_keys.iter().filter(|key| key.open);
                open.map(|key| {
                    format!(
                        "{}: mode {}",
                        key.place,
                        key.mode.as_deref().unwrap_or("unknown")
                    )
                })
                .collect()
            }
            Self::Incomplete => {
                let problems = inventory.problems.iter();
                problems
                    .map(|problem| format!("{}: {}", problem.place, problem.reason))
                    .collect()
            }
        }
    }
}

/// Where a certificate is, and whose.
fn named(entry: &CertificateEntry) -> String {
    let place = entry
        .places
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    format!("{place}: {}", entry.subject)
}

fn algorithms(entry: &CertificateEntry) -> String {
    format!(
        "{}, key {}, signature {}",
        named(entry),
        entry.key.name,
        entry.signature.name
    )
}

fn key_exchange(port: &EndpointEntry) -> String {
    let group = port
        .group
        .as_ref()
        .map(|group| group.name.as_str())
        .unwrap_or_default();
    format!("{}: key exchange {group}", port.address)
}

impl FromStr for Condition {
    type Err = UnknownCondition;

    fn from_str(text: &str) -> Result<Self, UnknownCondition> {
        match text {
            "quantum-vulnerable" => Ok(Self::QuantumVulnerable),
            "open-key" => Ok(Self::OpenKey),
            "incomplete" => Ok(Self::Incomplete),
            _ => {
                let span = text.strip_prefix("expiring=").ok_or(UnknownCondition)?;
                let (digits, days) = match (span.strip_suffix('d'), span.strip_suffix('w')) {
                    (Some(digits), _) => (digits, 1),
                    (_, Some(digits)) => (digits, DAYS_PER_WEEK),
                    _ => return Err(UnknownCondition),
                };
                let number: u32 = digits.parse().map_err(|_| UnknownCondition)?;
                Ok(Self::Expiring(i64::from(number) * days))
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QuantumVulnerable => f.write_str("quantum-vulnerable"),
            Self::Expiring(days) => write!(f, "expiring={days}d"),
            Self::OpenKey => f.write_str("open-key"),
            Self::Incomplete => f.write_str("incomplete"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_written() {
        for text in [
            "quantum-vulnerable",
            "expiring=30d",
            "open-key",
            "incomplete",
        ] {
            assert_eq!(text.parse::<Condition>().unwrap().to_string(), text);
        }
        assert_eq!("expiring=4w".parse(), Ok(Condition::Expiring(28)));
        for text in [
            "",
            "expiring",
            "expiring=30",
            "expiring=-1d",
            "expiring=d",
            "expiring=99999999999d",
            "vulnerable",
        ] {
            assert_eq!(text.parse::<Condition>(), Err(UnknownCondition), "{text}");
        }
    }
}
