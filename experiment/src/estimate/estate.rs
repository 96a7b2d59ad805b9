//! What an operator has: network functions, how often they connect, and how their certificates live.
//!
//! A file in TOML or JSON, one of the presets, or flags over either. Every value is checked against a range in which no formula overflows;
//! what is outside is named with its rule.

use std::ops::RangeInclusive;
use std::time::Duration;

use mtc_core::landmark::MAX_LANDMARKS;
use serde::{Deserialize, Serialize};

use crate::scenario::parse_duration;

/// Instances of one type; the internet has fewer servers.
const INSTANCES: RangeInclusive<u64> = 1..=1_000_000_000_000;
const GROUPS: usize = 1000;
const PEERS: RangeInclusive<f64> = 1.0..=1e9;
const RATE: RangeInclusive<f64> = 0.0..=1e9;
const REPLACEMENTS: RangeInclusive<f64> = 0.0..=1000.0;
const CERTIFICATES: RangeInclusive<f64> = 1.0..=100.0;
const WITNESSES: RangeInclusive<f64> = 0.0..=16.0;
const LIFETIME: RangeInclusive<f64> = 10.0..=10.0 * 365.0 * DAY;
const INTERVAL: RangeInclusive<f64> = 0.01..=365.0 * DAY;
const ROUND_TRIP: RangeInclusive<f64> = 0.0..=60.0;
const SEGMENT: RangeInclusive<u32> = 500..=65_535;
const WINDOW: RangeInclusive<u32> = 1..=1000;
/// The index of an entry has 48 bits (Section 5.1).
pub(super) const MAX_ENTRIES: u64 = 1 << 48;
/// Seconds.
pub(super) const DAY: f64 = 86_400.0;
const NAME: RangeInclusive<usize> = 1..=64;

/// A duration as text, such as `1.5h`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Time(Duration);

impl Time {
    /// In seconds.
    pub const fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }
}

impl From<Duration> for Time {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        crate::scenario::describe_duration(time.0)
    }
}

impl TryFrom<String> for Time {
    type Error = crate::scenario::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse_duration(&text).map(Self)
    }
}

/// Network functions of one type that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NfGroup {
    /// Their type, or any name.
    #[serde(rename = "type")]
    pub nf_type: String,
    /// Instances.
    pub count: u64,
    /// Handshakes that each begins in a second; or `peers` and `connection_lifetime`.
    pub handshakes_per_second: Option<f64>,
    /// Others to which each keeps a connection.
    pub peers: Option<f64>,
    /// After how long it opens such a connection anew.
    pub connection_lifetime: Option<Time>,
    /// Requests that each sends in a second, over all its connections.
    #[serde(default)]
    pub requests_per_second: f64,
}

impl NfGroup {
    /// Handshakes that each begins in a second.
    pub(super) fn handshake_rate(&self) -> f64 {
        match (
            self.handshakes_per_second,
            self.peers,
            self.connection_lifetime,
        ) {
            (Some(rate), _, _) => rate,
            (None, Some(peers), Some(lifetime)) => peers / lifetime.seconds(),
            _ => 0.0,
        }
    }
}

/// An estate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estate {
    /// What it is called.
    pub name: String,
    /// What its numbers assume, for the reader of the answer.
    #[serde(default)]
    pub assumptions: Vec<String>,
    /// Round-trip time between network functions.
    pub rtt: Time,
    /// Bytes of a TCP segment.
    #[serde(default = "ethernet")]
    pub mss: u32,
    /// Initial congestion window, in segments (RFC 6928).
    #[serde(default = "ten")]
    pub initial_window: u32,
    /// For how long a certificate is valid.
    pub certificate_lifetime: Time,
    /// Certificates that an instance has at a time.
    #[serde(default = "one")]
    pub certificates_per_instance: f64,
    /// Instances replaced in a day, of each one: new keys without the overlap that a renewal has.
    #[serde(default)]
    pub replacements_per_day: f64,
    /// Least time between two checkpoints.
    #[serde(default = "one_second")]
    pub checkpoint_interval: Time,
    /// Time between two landmarks.
    pub landmark_interval: Time,
    /// How often a relying party looks for new landmarks; default a tenth of `landmark_interval`.
    pub trust_interval: Option<Time>,
    /// Witnesses that must cosign.
    #[serde(default = "one")]
    pub witnesses: f64,
    /// Entries that the log has already.
    #[serde(default)]
    pub log_entries: u64,
    /// The network functions.
    pub nf: Vec<NfGroup>,
}

const fn ethernet() -> u32 {
    1448
}

const fn ten() -> u32 {
    10
}

const fn one() -> f64 {
    1.0
}

fn one_second() -> Time {
    Duration::from_secs(1).into()
}

/// What is wrong with an estate.
#[derive(Debug, thiserror::Error)]
pub enum EstateError {
    /// Not TOML of this form.
    #[error("not an estate in TOML")]
    Toml(#[from] toml::de::Error),
    /// Not JSON of this form.
    #[error("not an estate in JSON")]
    Json(#[from] serde_json::Error),
    /// A value outside its range.
    #[error("{key} must be {rule}, is {value}")]
    Value {
        /// Where.
        key: String,
        /// What is allowed.
        rule: String,
        /// What is there.
        value: String,
    },
    /// A group that says in no way, or in two, how often it connects.
    #[error(
        "nf[{0}] must have handshakes_per_second, or peers and connection_lifetime, and not both"
    )]
    Handshakes(usize),
    /// There are none.
    #[error("nf must have from 1 to {GROUPS} groups of network functions, has {0}")]
    Groups(usize),
    /// A certificate would have to outlive its landmark.
    #[error(
        "landmark_interval must be shorter than certificate_lifetime, or no certificate lives to see its landmark"
    )]
    LandmarkInterval,
    /// More landmarks than a published list has room for.
    #[error(
        "certificate_lifetime would keep {0:.0} landmarks active at once, of at most {max}: lengthen landmark_interval",
        max = MAX_LANDMARKS - 1
    )]
    Landmarks(f64),
    /// More entries than an index can name.
    #[error("the log would have more than 2^48 entries within a year")]
    Entries,
}

/// Estates that come with the command.
pub const PRESETS: [(&str, &str); 4] = [
    ("lab", include_str!("presets/lab.toml")),
    ("operator", include_str!("presets/operator.toml")),
    ("nation", include_str!("presets/nation.toml")),
    ("internet", include_str!("presets/internet.toml")),
];

impl Estate {
    /// Reads an estate, JSON if the text begins with a brace, else TOML.
    ///
    /// # Errors
    /// Not of this form, or a value outside its range.
    pub fn parse(text: &str) -> Result<Self, EstateError> {
        let estate: Self = if text.trim_start().starts_with('{') {
            serde_json::from_str(text)?
        } else {
            toml::from_str(text)?
        };
        estate.check()?;
        Ok(estate)
    }

    /// One of [`PRESETS`].
    pub fn preset(name: &str) -> Option<Self> {
        let (_, text) = PRESETS.iter().find(|(known, _)| *known == name)?;
        Some(Self::parse(text).expect("a test reads every preset"))
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The first that is outside its range.
    pub fn check(&self) -> Result<(), EstateError> {
        within("name", self.name.len(), &NAME, "characters")?;
        within("rtt", self.rtt.seconds(), &ROUND_TRIP, "s")?;
        within("mss", self.mss, &SEGMENT, "bytes")?;
        within("initial_window", self.initial_window, &WINDOW, "segments")?;
        let lifetime = self.certificate_lifetime.seconds();
        within("certificate_lifetime", lifetime, &LIFETIME, "s")?;
        let certificates = self.certificates_per_instance;
        within("certificates_per_instance", certificates, &CERTIFICATES, "")?;
        within(
            "replacements_per_day",
            self.replacements_per_day,
            &REPLACEMENTS,
            "",
        )?;
        let checkpoint = self.checkpoint_interval.seconds();
        within("checkpoint_interval", checkpoint, &INTERVAL, "s")?;
        let landmark = self.landmark_interval.seconds();
        within("landmark_interval", landmark, &INTERVAL, "s")?;
        within("trust_interval", self.trust_interval(), &INTERVAL, "s")?;
        within("witnesses", self.witnesses, &WITNESSES, "")?;
        within("log_entries", self.log_entries, &(0..=MAX_ENTRIES), "")?;
        if landmark >= lifetime {
            return Err(EstateError::LandmarkInterval);
        }
        if lifetime / landmark > (MAX_LANDMARKS - 1) as f64 {
            return Err(EstateError::Landmarks(lifetime / landmark));
        }
        if !(1..=GROUPS).contains(&self.nf.len()) {
            return Err(EstateError::Groups(self.nf.len()));
        }
        for (number, group) in self.nf.iter().enumerate() {
            group.check(number)?;
        }
        if self.log_entries as f64 + 365.0 * DAY * self.issued_per_second() > MAX_ENTRIES as f64 {
            return Err(EstateError::Entries);
        }
        Ok(())
    }

    /// Instances of all types.
    pub fn instances(&self) -> f64 {
        self.nf.iter().map(|group| group.count as f64).sum()
    }

    /// Handshakes in a second.
    pub fn handshakes_per_second(&self) -> f64 {
        let each = |group: &NfGroup| group.count as f64 * group.handshake_rate();
        self.nf.iter().map(each).sum()
    }

    /// Requests in a second.
    pub fn requests_per_second(&self) -> f64 {
        let each = |group: &NfGroup| group.count as f64 * group.requests_per_second;
        self.nf.iter().map(each).sum()
    }

    /// Certificates issued in a second: renewals at three quarters of the lifetime, and those of instances that are replaced.
    pub fn issued_per_second(&self) -> f64 {
        let certificates = self.instances() * self.certificates_per_instance;
        let renewals = 1.0 / (RENEWED_AFTER * self.certificate_lifetime.seconds());
        certificates * (renewals + self.replacements_per_day / DAY)
    }

    /// How often a relying party looks for new landmarks, in seconds.
    pub fn trust_interval(&self) -> f64 {
        let default = || self.landmark_interval.seconds() / 10.0;
        self.trust_interval.map_or_else(default, Time::seconds)
    }
}

/// Share of a lifetime after which a certificate is renewed.
pub(super) const RENEWED_AFTER: f64 = 0.75;

impl NfGroup {
    fn check(&self, number: usize) -> Result<(), EstateError> {
        let key = |name: &str| format!("nf[{number}].{name}");
        within(&key("type"), self.nf_type.len(), &NAME, "characters")?;
        within(&key("count"), self.count, &INSTANCES, "")?;
        if let Some(peers) = self.peers {
            within(&key("peers"), peers, &PEERS, "")?;
        }
        if let Some(lifetime) = self.connection_lifetime {
            let lifetime = lifetime.seconds();
            within(&key("connection_lifetime"), lifetime, &INTERVAL, "s")?;
        }
        let kept = (self.peers.is_some(), self.connection_lifetime.is_some());
        match (self.handshakes_per_second.is_some(), kept) {
            (true, (false, false)) | (false, (true, true)) => {}
            _ => return Err(EstateError::Handshakes(number)),
        }
        within(
            &key("handshakes_per_second"),
            self.handshake_rate(),
            &RATE,
            "",
        )?;
        let requests = self.requests_per_second;
        within(&key("requests_per_second"), requests, &RATE, "")
    }
}

/// NaN is in no range.
fn within<T: PartialOrd + std::fmt::Display>(
    key: &str,
    value: T,
    range: &RangeInclusive<T>,
    unit: &str,
) -> Result<(), EstateError> {
    if range.contains(&value) {
        return Ok(());
    }
    let rule = format!("from {} to {} {unit}", range.start(), range.end());
    Err(EstateError::Value {
        key: key.to_owned(),
        rule: rule.trim_end().to_owned(),
        value: value.to_string(),
    })
}

#[cfg(test)]
mod tests;
