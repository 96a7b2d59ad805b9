//! TLS ports: one handshake, and what it shows of the server.
//!
//! ```text
//! ClientHello   TLS 1.2 and 1.3, every group and signature scheme that rustls has, hybrids first, server_name, ALPN h2 and http/1.1
//!      │
//!      └──> Observer notes the chain, how the server signed, and whether it asks for a certificate; it accepts everything
//! ```
//!
//! Nothing is sent over what is opened here and nothing that comes over it is read, so accepting every certificate gives nobody anything.
//! A server that chooses certificates by `trust_anchors` shows the one that it has for clients which name none.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mtc_core::causes::Causes;
use mtc_core::printable::printable;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, NamedGroup, ProtocolVersion,
    SignatureScheme,
};
use thiserror::Error;

use crate::algorithm::Quantum;
use crate::model::{EndpointEntry, Group};

/// How long a port may take, from the first packet to the end of the handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ports that are asked at the same time.
const AT_ONCE: usize = 16;
/// The port of an `https` URL that names none.
const HTTPS: u16 = 443;

/// A text names no port.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not HOST:PORT, [IPv6]:PORT or https://HOST")]
pub struct EndpointError;

/// A TLS port: `HOST:PORT`, `[IPv6]:PORT`, or a URL with `https`, of which the path does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: ServerName<'static>,
    port: u16,
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let authority = text
            .strip_prefix("https://")
            .map(|rest| rest.split(['/', '?', '#']).next().unwrap_or(rest));
        let (host, port) = match (authority, authority.unwrap_or(text).rsplit_once(':')) {
            // The last colon of an IPv6 address is none before a port.
            (Some(authority), Some((_, port))) if port.ends_with(']') => (authority, HTTPS),
            (_, Some((host, port))) => (host, port.parse().map_err(|_| EndpointError)?),
            (Some(authority), None) => (authority, HTTPS),
            (None, None) => return Err(EndpointError),
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let host = ServerName::try_from(bare.to_owned()).map_err(|_| EndpointError)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            ServerName::IpAddress(rustls::pki_types::IpAddr::V6(_)) => {
                write!(f, "[{}]:{}", self.host.to_str(), self.port)
            }
            host => write!(f, "{}:{}", host.to_str(), self.port),
        }
    }
}

/// Makes a handshake with each, in their order; what each shows, and its chain.
pub(crate) fn look_at(endpoints: &[Endpoint]) -> Vec<(EndpointEntry, Vec<Vec<u8>>)> {
    let mut seen = Vec::with_capacity(endpoints.len());
    for some in endpoints.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let threads: Vec<_> = some
                .iter()
                .map(|endpoint| scope.spawn(|| look(endpoint)))
                .collect();
            seen.extend(
                threads
                    .into_iter()
                    .map(|thread| thread.join().expect("nothing in it panics")),
            );
        });
    }
    seen
}

fn look(endpoint: &Endpoint) -> (EndpointEntry, Vec<Vec<u8>>) {
    let mut entry = EndpointEntry {
        address: endpoint.to_string(),
        peer: None,
        server_name: match &endpoint.host {
            ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
            _ => None,
        },
        version: None,
        cipher_suite: None,
        group: None,
        signature_scheme: None,
        application_protocol: None,
        asks_for_client_certificate: false,
        chain: Vec::new(),
        error: None,
    };
    let until = Instant::now() + PATIENCE;
    let stream = match connect(endpoint, until) {
        Ok(stream) => stream,
        Err(error) => {
            entry.error = Some(format!("cannot connect: {error}"));
            return (entry, Vec::new());
        }
    };
    entry.peer = stream.peer_addr().ok().map(|address| address.to_string());
    let observer = Arc::new(Observer::default());
    match handshake(endpoint, &observer, Deadline { stream, until }) {
        Ok((connection, result)) => {
            describe(&connection, &mut entry);
            entry.error = result.err().map(|error| failure(&error));
        }
        Err(error) => entry.error = Some(Causes(&error).to_string()),
    }
    let seen = std::mem::take(&mut *observer.0.lock().unwrap_or_else(PoisonError::into_inner));
    entry.signature_scheme = seen.scheme.map(scheme_name);
    entry.asks_for_client_certificate = seen.asked;
    (entry, seen.chain)
}

fn connect(endpoint: &Endpoint, until: Instant) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (endpoint.host.to_str().as_ref(), endpoint.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(until)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// How long there still is; an error if there is nothing left.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("took longer than {} seconds", PATIENCE.as_secs()),
        ));
    }
    Ok(left)
}

fn handshake(
    endpoint: &Endpoint,
    observer: &Arc<Observer>,
    mut stream: Deadline,
) -> Result<(ClientConnection, io::Result<()>), rustls::Error> {
    let provider = Arc::new(CryptoProvider {
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::SECP256R1MLKEM768,
            kx_group::X25519,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(observer.clone())
        .with_client_cert_resolver(observer.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    let mut connection = ClientConnection::new(Arc::new(config), endpoint.host.clone())?;
    let mut result = Ok(());
    while connection.is_handshaking() && result.is_ok() {
        result = connection.complete_io(&mut stream).map(|_| ());
    }
    connection.send_close_notify();
    let _ = connection.write_tls(&mut stream); // the peer may be gone
    Ok((connection, result))
}

fn describe(connection: &ClientConnection, entry: &mut EndpointEntry) {
    entry.version = connection.protocol_version().map(|version| match version {
        ProtocolVersion::TLSv1_2 => "TLS 1.2".to_owned(),
        ProtocolVersion::TLSv1_3 => "TLS 1.3".to_owned(),
        other => format!("{other:?}"),
    });
    entry.cipher_suite = connection.negotiated_cipher_suite().map(|suite| {
        let name = format!("{:?}", suite.suite());
        // rustls marks those of TLS 1.3, which the registry does not.
        name.strip_prefix("TLS13_")
            .map_or_else(|| name.clone(), |rest| format!("TLS_{rest}"))
    });
    entry.group = connection
        .negotiated_key_exchange_group()
        .map(|group| group_of(group.name()));
    entry.application_protocol = connection
        .alpn_protocol()
        .map(|name| printable(&String::from_utf8_lossy(name)));
}

fn group_of(group: NamedGroup) -> Group {
    let name = match group {
        NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768".to_owned(),
        NamedGroup::X25519 => "x25519".to_owned(),
        other => format!("{other:?}"),
    };
    let quantum = match group {
        NamedGroup::X25519MLKEM768 | NamedGroup::secp256r1MLKEM768 => Quantum::Hybrid,
        NamedGroup::MLKEM512 | NamedGroup::MLKEM768 | NamedGroup::MLKEM1024 => Quantum::Resistant,
        _ => Quantum::Vulnerable,
    };
    Group { name, quantum }
}

fn scheme_name(scheme: SignatureScheme) -> String {
    format!("{scheme:?}").to_ascii_lowercase()
}

/// What ended a handshake, for people.
fn failure(error: &io::Error) -> String {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::AlertReceived(alert)) => format!(
            "the server ended the handshake with the alert {alert:?}: it may want a client certificate, or what is not offered here \
             (TLS 1.1 and older, RSA key exchange, finite-field groups, CBC suites)"
        ),
        Some(rustls::Error::InvalidMessage(_)) => "does not answer with TLS".to_owned(),
        Some(error) => error.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server closed the connection during the handshake".to_owned()
        }
        None => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("took longer than {} seconds", PATIENCE.as_secs())
            }
            _ => error.to_string(),
        },
    }
}

/// A stream with a time by which everything must be done, however slowly the peer sends.
struct Deadline {
    stream: TcpStream,
    until: Instant,
}

impl Read for Deadline {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.until)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Deadline {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.until)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Notes what a server shows, and believes it.
#[derive(Debug, Default)]
struct Observer(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    chain: Vec<Vec<u8>>,
    scheme: Option<SignatureScheme>,
    asked: bool,
}

impl Observer {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn note_scheme(&self, signed: &DigitallySignedStruct) -> HandshakeSignatureValid {
        self.note(|seen| seen.scheme = Some(signed.scheme));
        HandshakeSignatureValid::assertion()
    }
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|der| der.to_vec())
            .collect();
        self.note(|seen| seen.chain = chain);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(self.note_scheme(signed))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(self.note_scheme(signed))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}

impl ResolvesClientCert for Observer {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.note(|seen| seen.asked = true);
        None
    }

    fn has_certs(&self) -> bool {
        true // so that it is asked
    }
}

/// Every scheme: none has to be verified.
const SCHEMES: [SignatureScheme; 16] = [
    SignatureScheme::ML_DSA_65,
    SignatureScheme::ML_DSA_44,
    SignatureScheme::ML_DSA_87,
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED448,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::ECDSA_SHA1_Legacy,
    SignatureScheme::RSA_PKCS1_SHA1,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_named_in_three_ways() {
        for (text, shown) in [
            ("amf1.example.org:8443", "amf1.example.org:8443"),
            ("127.0.0.1:443", "127.0.0.1:443"),
            ("[::1]:443", "[::1]:443"),
            ("https://example.org", "example.org:443"),
            ("https://example.org:8443/path?query", "example.org:8443"),
            ("https://[::1]/", "[::1]:443"),
        ] {
            assert_eq!(
                text.parse::<Endpoint>()
                    .map(|endpoint| endpoint.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
        for text in [
            "example.org",
            "a:b",
            "a:99999",
            ":443",
            "https://",
            "http://example.org:80x",
            "a b:443",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
