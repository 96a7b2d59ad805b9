//! Where the configuration says that the issuance log is: in a folder, or in a bucket of an object store.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use sbi::config::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const SCHEME: &str = "s3://";

/// The place of log 1.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum LogLocation {
    /// A folder.
    Folder(PathBuf),
    /// What begins with a prefix in a bucket.
    Bucket {
        /// The bucket.
        bucket: String,
        /// What the names of the log's objects begin with.
        prefix: String,
    },
}

/// The text is neither the path of a folder nor `s3://bucket/prefix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not s3://BUCKET/PREFIX, of letters, digits, dots, hyphens and underscores, with single slashes between"
)]
pub struct LocationError;

impl From<PathBuf> for LogLocation {
    fn from(folder: PathBuf) -> Self {
        Self::Folder(folder)
    }
}

impl TryFrom<String> for LogLocation {
    type Error = LocationError;

    fn try_from(text: String) -> Result<Self, LocationError> {
        let Some(name) = text.strip_prefix(SCHEME) else {
            return Ok(Self::Folder(text.into()));
        };
        let is_plain = |part: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            part.bytes().all(allowed) && !part.bytes().all(|byte| byte == b'.')
        };
        let (bucket, prefix) = name.split_once('/').ok_or(LocationError)?;
        if !name.split('/').all(is_plain) {
            return Err(LocationError);
        }
        Ok(Self::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl From<LogLocation> for String {
    fn from(location: LogLocation) -> Self {
        location.to_string()
    }
}

impl fmt::Display for LogLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket { bucket, prefix } => write!(f, "{SCHEME}{bucket}/{prefix}"),
        }
    }
}

impl LogLocation {
    /// Makes a relative path relative to `folder`.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        if let Self::Folder(path) = self {
            *path = folder.join(&*path);
        }
    }
}

/// The object store of a log at `s3://`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectStoreConfig {
    /// URL of a server other than Amazon's; the bucket is the first segment of its paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether `endpoint` may be `http` at an address that is not this machine's. Whoever is in between can then show the NRF another log, and
    /// read all of it, though not the secret key.
    #[serde(default)]
    pub allow_http: bool,
    /// The region that requests are signed for [default: `AWS_REGION` of the environment, or `us-east-1`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// File of the access key: TOML with `access_key_id`, `secret_access_key` and, for keys that pass, `session_token`. Without it, the
    /// environment says who asks, as for Amazon's own tools: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a web identity, or the role of
    /// a container or machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<PathBuf>,
}

impl ObjectStoreConfig {
    /// Checks what the types cannot.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let rule = |rule: &str| ConfigError::Rule {
            key: "object_store.endpoint",
            rule: rule.to_owned(),
        };
        let Some(endpoint) = &self.endpoint else {
            return Ok(());
        };
        if endpoint.starts_with("https://") {
            return Ok(());
        }
        let Some(address) = endpoint.strip_prefix("http://") else {
            return Err(rule("must be an http or https URL"));
        };
        if self.allow_http || is_here(address) {
            return Ok(());
        }
        Err(rule(
            "is http at another machine: whoever is in between can show the NRF another log; if that is meant, set allow_http = true",
        ))
    }
}

/// Whether the authority of a URL is this machine.
fn is_here(address: &str) -> bool {
    let authority = address.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || ip.is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> Result<LogLocation, LocationError> {
        text.to_owned().try_into()
    }

    #[test]
    fn a_location_is_a_folder_or_a_prefix_in_a_bucket() {
        for folder in ["log", "/srv/log", "../log", "s3:/bucket/log", "S3://b/l"] {
            assert_eq!(location(folder), Ok(LogLocation::Folder(folder.into())));
        }
        for text in ["s3://bucket/log", "s3://a.b-c/labs/one/log_1"] {
            let bucket = location(text).unwrap();
            assert!(matches!(bucket, LogLocation::Bucket { .. }));
            assert_eq!(bucket.to_string(), text);
        }
        for text in [
            "s3://",
            "s3://bucket",
            "s3://bucket/",
            "s3:///log",
            "s3://bucket/log/",
            "s3://bucket//log",
            "s3://bucket/../log",
            "s3://bucket/a log",
            "s3://bucket/log?versions",
        ] {
            assert_eq!(location(text), Err(LocationError), "{text}");
        }
    }

    #[test]
    fn cleartext_leaves_this_machine_only_when_told_to() {
        let check = |endpoint: &str, allow_http| {
            ObjectStoreConfig {
                endpoint: Some(endpoint.to_owned()),
                allow_http,
                ..Default::default()
            }
            .check()
            .is_ok()
        };
        for here in [
            "http://127.0.0.1:9000",
            "http://localhost:9000/",
            "http://localhost",
            "http://[::1]:9000",
            "https://store.example",
        ] {
            assert!(check(here, false), "{here}");
        }
        for elsewhere in [
            "http://store.example:9000",
            "http://127.0.0.1.example",
            "http://10.0.0.1:9000",
            "http://localhost@store.example",
        ] {
            assert!(!check(elsewhere, false), "{elsewhere}");
            assert!(check(elsewhere, true), "{elsewhere}");
        }
        for url in ["store.example", "ftp://store.example", ""] {
            assert!(!check(url, true), "{url}");
        }
    }
}
