//! How the program is reached, over loopback or a Unix socket, in cleartext or, if it speaks nothing else, over TLS.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use mtc_tls::endpoint::HTTP1;
use mtc_tls::https_client::{HttpsClient, HttpsClientError};
use sbi::uri::Scheme;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::local_address::LocalAddress;

/// How long a connection to the program may take: it is on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a program speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/2 with prior knowledge, or HTTP/1.1; peers are spoken to in HTTP/2.
    #[default]
    Http,
    /// Octets as they are.
    Tcp,
}

/// Where the program listens, and what it speaks there: `http://127.0.0.1:8000`, `tcp+unix:/run/program.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProgramAddress {
    /// What it speaks.
    pub protocol: Protocol,
    /// Whether it speaks it over TLS.
    pub has_tls: bool,
    /// Whether its HTTP is 1.1, rather than 2 with prior knowledge.
    pub is_http1: bool,
    at: LocalAddress,
}

/// The text says not where a program is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither http://, http1://, https:// nor tcp:// with an address on loopback and a port, nor http+unix:, http1+unix: or tcp+unix: with a path"
)]
pub struct NotAProgram(String);

impl FromStr for ProgramAddress {
    type Err = NotAProgram;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || NotAProgram(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(fault)?;
        let loopback = || {
            let addr = rest
                .strip_prefix("//")?
                .trim_end_matches('/')
                .parse()
                .ok()?;
            Some(LocalAddress::Loopback(addr)).filter(LocalAddress::is_local)
        };
        let loopback = || loopback().ok_or_else(fault);
        let unix = || match rest {
            "" => Err(fault()),
            path => Ok(LocalAddress::Unix(path.into())),
        };
        let (protocol, at) = match scheme {
            "http" | "http1" | "https" => (Protocol::Http, loopback()?),
            "tcp" => (Protocol::Tcp, loopback()?),
            "http+unix" | "http1+unix" => (Protocol::Http, unix()?),
            "tcp+unix" => (Protocol::Tcp, unix()?),
            _ => return Err(fault()),
        };
        Ok(Self {
            protocol,
            has_tls: scheme == "https",
            is_http1: scheme.starts_with("http1"),
            at,
        })
    }
}

impl TryFrom<String> for ProgramAddress {
    type Error = NotAProgram;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ProgramAddress> for String {
    fn from(address: ProgramAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for ProgramAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            Protocol::Http if self.has_tls => "https",
            Protocol::Http if self.is_http1 => "http1",
            Protocol::Http => "http",
            Protocol::Tcp => "tcp",
        };
        match &self.at {
            LocalAddress::Loopback(addr) => write!(f, "{scheme}://{addr}"),
            LocalAddress::Unix(path) => write!(f, "{scheme}+unix:{}", path.display()),
        }
    }
}

/// A connection to the program, of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl ProgramAddress {
    /// Makes the path of a socket relative to `folder`.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        self.at.resolve(folder);
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.at {
            LocalAddress::Loopback(addr) => {
                let tcp = TcpStream::connect(addr).await?;
                tcp.set_nodelay(true)?;
                Box::new(tcp)
            }
            LocalAddress::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

/// The program.
pub(crate) struct Program {
    pub(crate) address: ProgramAddress,
    /// How TLS is spoken with it, if it is.
    tls: Option<HttpsClient>,
}

impl Program {
    /// The program at `address`, with this for TLS if it speaks that. Blocks on the disk.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub(crate) fn new(
        address: ProgramAddress,
        tls: Option<&ProgramTls>,
    ) -> Result<Self, ProgramTlsError> {
        let tls = tls.map(ProgramTls::client).transpose()?;
        Ok(Self { address, tls })
    }

    /// What requests to it name as their scheme.
    pub(crate) const fn scheme(&self) -> Scheme {
        if self.tls.is_some() {
            Scheme::Https
        } else {
            Scheme::Http
        }
    }

    /// Connects to it.
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        self.connect_with(self.tls.as_ref()).await
    }

    /// Connects to it to speak HTTP/1.1, whatever is spoken otherwise.
    pub(crate) async fn connect_in_http1(&self) -> io::Result<Box<dyn Stream>> {
        let tls = { self.tls.as_ref() }.map(|tls| tls.speaking(HTTP1));
        self.connect_with(tls.as_ref()).await
    }

    async fn connect_with(&self, tls: Option<&HttpsClient>) -> io::Result<Box<dyn Stream>> {
        let connecting = async {
            let stream = self.address.connect().await?;
            Ok::<Box<dyn Stream>, io::Error>(match tls {
                None => stream,
                Some(tls) => Box::new(tls.connect(stream).await?),
            })
        };
        let connected = timeout(CONNECT_TIMEOUT, connecting).await;
        connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// How TLS is spoken with a program that speaks nothing else.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProgramTls {
    /// File of the CA of its certificate, PEM; no other is trusted.
    pub ca: PathBuf,
    /// The name in its certificate, an FQDN or an IP address.
    pub name: String,
    /// File of the certificate that the sidecar shows it, PEM, as `--requestheader-client-ca-file` of kube-apiserver wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// File of that certificate's key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// Why TLS cannot be spoken with the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramTlsError {
    /// A file cannot be read.
    #[error("cannot read {} (inbound.tls)", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What is in the files cannot be used.
    #[error("inbound.tls")]
    Client(#[from] HttpsClientError),
}

impl ProgramTls {
    /// Makes paths relative to `folder`.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        let files = [
            Some(&mut self.ca),
            self.certificate.as_mut(),
            self.key.as_mut(),
        ];
        for file in files.into_iter().flatten() {
            *file = folder.join(&file);
        }
    }

    fn client(&self) -> Result<HttpsClient, ProgramTlsError> {
        let ca = read(&self.ca)?;
        let chain = self.certificate.as_deref().map(read).transpose()?;
        let key = self.key.as_deref().map(read).transpose()?;
        let identity = { chain.as_ref() }
            .zip(key.as_ref())
            .map(|(chain, key)| (&chain[..], &key[..]));
        Ok(HttpsClient::new(&self.name, &ca, identity)?)
    }
}

/// A file, which may be a key.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ProgramTlsError> {
    let read = std::fs::read(path).map(Zeroizing::new);
    read.map_err(|source| ProgramTlsError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_on_this_machine() {
        for text in [
            "http://127.0.0.1:8000",
            "https://127.0.0.1:6443",
            "tcp://[::1]:5432",
            "http1://127.0.0.1:8000",
            "http+unix:/run/program.sock",
            "http1+unix:/run/program.sock",
            "tcp+unix:run/program.sock",
        ] {
            let address: ProgramAddress = text.parse().expect("a program's");
            assert_eq!(address.to_string(), text);
        }
        for bad in [
            "http://10.0.0.1:8000",
            "http://127.0.0.1",
            "http:127.0.0.1:80",
            "https://10.0.0.1:80",
            "https+unix:/run/program.sock",
            "http2://127.0.0.1:80",
            "tcp+unix:",
            "127.0.0.1:80",
        ] {
            assert!(bad.parse::<ProgramAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_socket_is_beside_the_configuration() {
        let mut address: ProgramAddress = "tcp+unix:run/a.sock".parse().expect("a program's");
        address.resolve(Path::new("/etc/sidecar"));
        assert_eq!(address.to_string(), "tcp+unix:/etc/sidecar/run/a.sock");
    }
}
