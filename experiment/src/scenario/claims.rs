//! `[scenario] claims`: which of a run's figures are to be a measurement.
//!
//! What spoils one kind of figure need not spoil another: an operation that starts late has a latency that says nothing, and
//! sends the same bytes. A run is invalid only where a kind of figure that its scenario claims is spoiled.

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::reader::{Refusal, choice, list};

/// A kind of figure, told apart from others by what makes it wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Bytes per handshake.
    Bytes,
    /// CPU time per handshake and per verification.
    Cpu,
    /// How long handshakes, operations and connecting took.
    Latency,
}

impl Measure {
    /// All of them: what a scenario claims that does not say what it claims.
    pub const ALL: [Self; 3] = [Self::Bytes, Self::Cpu, Self::Latency];

    /// The word in scenarios and results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Cpu => "cpu",
            Self::Latency => "latency",
        }
    }

    /// What figures of this kind are called in a sentence.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Cpu => "CPU times",
            Self::Latency => "latencies",
        }
    }
}

/// At least one measure, in the order of [`Measure::ALL`].
pub(super) fn claims(value: &DeValue<'_>) -> Result<Vec<Measure>, Refusal> {
    let named = Measure::ALL.map(|measure| (measure.as_str(), measure));
    let mut claims = list(value, |element| choice(&named)(element))?;
    claims.sort_unstable();
    claims.dedup();
    if claims.is_empty() {
        return Err(Refusal::new("claims nothing, so no run could be invalid")
            .hint("name at least one of \"bytes\", \"cpu\", \"latency\""));
    }
    Ok(claims)
}
