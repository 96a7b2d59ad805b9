//! Where program and sidecar reach each other: on loopback, or through a Unix socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A place on this machine, as where the sidecar listens for the program: `127.0.0.1:8001`, `unix:/run/mtc5g/out.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum LocalAddress {
    /// A port.
    Loopback(SocketAddr),
    /// The file of a socket.
    Unix(PathBuf),
}

/// The text says not where to listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address with a port nor unix: with a path")]
pub struct NotALocalAddress(String);

impl LocalAddress {
    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Loopback(addr) => addr.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Makes the path of a socket relative to `folder`.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        if let Self::Unix(path) = self {
            *path = folder.join(&path);
        }
    }
}

impl FromStr for LocalAddress {
    type Err = NotALocalAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = |_| NotALocalAddress(text.to_owned());
        match text.strip_prefix("unix:") {
            Some("") => Err(fault(())),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Loopback).map_err(|_| fault(())),
        }
    }
}

impl TryFrom<String> for LocalAddress {
    type Error = NotALocalAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LocalAddress> for String {
    fn from(address: LocalAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Who may connect to a socket, as the three octal digits of chmod(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SocketMode(u32);

/// The text is no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not three octal digits, such as 660")]
pub struct NotAMode(String);

impl SocketMode {
    /// As the system takes it.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// The sidecar's own user.
impl Default for SocketMode {
    fn default() -> Self {
        Self(0o600)
    }
}

impl TryFrom<String> for SocketMode {
    type Error = NotAMode;

    fn try_from(text: String) -> Result<Self, NotAMode> {
        let is_mode = text.len() == 3 && text.bytes().all(|digit| digit.is_ascii_digit());
        let bits = is_mode
            .then(|| u32::from_str_radix(&text, 8).ok())
            .flatten();
        bits.map(Self).ok_or(NotAMode(text))
    }
}

impl From<SocketMode> for String {
    fn from(mode: SocketMode) -> Self {
        format!("{:03o}", mode.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_listen_is_a_port_or_a_socket() {
        for text in [
            "127.0.0.1:8001",
            "[::1]:8001",
            "unix:/run/mtc5g/out.sock",
            "unix:out.sock",
        ] {
            let address: LocalAddress = text.parse().expect("a place");
            assert_eq!(address.to_string(), text);
            assert!(address.is_local(), "{text}");
        }
        for bad in ["127.0.0.1", "unix:", "/run/out.sock", "localhost:8001"] {
            assert!(bad.parse::<LocalAddress>().is_err(), "{bad}");
        }
        let everybody: LocalAddress = "0.0.0.0:8001".parse().expect("a place");
        assert!(!everybody.is_local());
    }

    #[test]
    fn a_socket_is_beside_the_configuration() {
        let mut address: LocalAddress = "unix:run/a.sock".parse().expect("a place");
        address.resolve(Path::new("/etc/sidecar"));
        assert_eq!(address.to_string(), "unix:/etc/sidecar/run/a.sock");
    }

    #[test]
    fn a_mode_has_three_octal_digits() {
        let mode = SocketMode::try_from("660".to_owned()).expect("a mode");
        assert_eq!((mode.bits(), String::from(mode)), (0o660, "660".to_owned()));
        assert_eq!(SocketMode::default().bits(), 0o600);
        for bad in ["", "66", "0660", "668", "+66", "rw-"] {
            assert!(SocketMode::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
