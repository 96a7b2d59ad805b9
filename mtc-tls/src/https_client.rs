//! HTTP/2 over TLS to one server of others, whose CA is pinned: a program that can speak nothing else.
//!
//! ```text
//!  ca.crt ──> who may be there ─┐
//!  client.crt, client.key ──────┴─> HttpsClient ── connect ──> stream
//! ```
//!
//! Beside the connections of network functions ([`crate::endpoint`]), which choose by trust anchors and are measured. TLS 1.3 only.

use std::io;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::endpoint::HTTP2;
use crate::provider::{KeyExchange, provider};

/// Why there can be no client.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpsClientError {
    /// The server's name is none.
    #[error("the server's name")]
    Name(#[from] InvalidDnsNameError),
    /// The CA's certificates cannot be read.
    #[error("the CA's certificate is not PEM")]
    Ca(#[source] pem::Error),
    /// There is no certificate of a CA.
    #[error("the CA's file has no certificate")]
    NoCa,
    /// The client's certificates cannot be read.
    #[error("the client's certificate is not PEM")]
    Certificate(#[source] pem::Error),
    /// The client's key cannot be read.
    #[error("the client's key is not PEM")]
    Key(#[source] pem::Error),
    /// A certificate or key cannot be used.
    #[error("certificates and key")]
    Unusable(#[from] rustls::Error),
}

/// A client of one server. Clones share its configuration.
#[derive(Clone)]
pub struct HttpsClient {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl HttpsClient {
    /// A client of the server `name`, an FQDN or an IP address, whose certificate one of the CAs in `ca` (PEM) has issued. It shows
    /// `identity`, a chain and its key (PEM both), if it is asked who it is.
    ///
    /// # Errors
    /// See [`HttpsClientError`].
    pub fn new(
        name: &str,
        ca: &[u8],
        identity: Option<(&[u8], &[u8])>,
    ) -> Result<Self, HttpsClientError> {
        let name = ServerName::try_from(name.to_owned())?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca) {
            roots.add(certificate.map_err(HttpsClientError::Ca)?)?;
        }
        if roots.is_empty() {
            return Err(HttpsClientError::NoCa);
        }
        let builder = ClientConfig::builder_with_provider(provider(&KeyExchange::ALL))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots);
        let mut config = showing(builder, identity)?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }

    /// A client of the same server that speaks this protocol in place of HTTP/2, as ALPN names it.
    #[must_use]
    pub fn speaking(&self, protocol: &[u8]) -> Self {
        let mut config = ClientConfig::clone(self.connector.config());
        config.alpn_protocols = vec![protocol.to_vec()];
        Self {
            connector: TlsConnector::from(Arc::new(config)),
            name: self.name.clone(),
        }
    }

    /// Completes the handshake on a connection to the server. Dropping the future closes it.
    ///
    /// # Errors
    /// The server is another, or refuses.
    pub async fn connect<IO>(&self, io: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector.connect(self.name.clone(), io).await
    }
}

fn showing(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    identity: Option<(&[u8], &[u8])>,
) -> Result<ClientConfig, HttpsClientError> {
    let Some((chain, key)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(HttpsClientError::Certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(HttpsClientError::Key)?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::server::WebPkiClientVerifier;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A CA, and a leaf that it has issued, with its key.
    struct Issued {
        ca: String,
        leaf: rcgen::Certificate,
        key: rcgen::KeyPair,
    }

    fn issued(name: &str) -> Issued {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(params, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        Issued {
            ca: ca.pem(),
            leaf: leaf.signed_by(&key, &issuer).unwrap(),
            key,
        }
    }

    fn server(own: &Issued, clients: &Issued) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(clients.ca.as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let provider = provider(&KeyExchange::ALL);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .unwrap();
        let key = PrivateKeyDer::from_pem_slice(own.key.serialize_pem().as_bytes()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![own.leaf.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![HTTP2.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Whether both sides are content.
    async fn met(client: &HttpsClient, server: &TlsAcceptor) -> [bool; 2] {
        let (one, other) = tokio::io::duplex(64 * 1024);
        let (connected, accepted) = tokio::join!(client.connect(one), server.accept(other));
        [connected.is_ok(), accepted.is_ok()]
    }

    #[tokio::test]
    async fn the_server_is_the_one_of_the_pinned_ca_and_sees_who_the_client_is() {
        let (program, proxy) = (issued("127.0.0.1"), issued("front-proxy-client"));
        let server = server(&program, &proxy);
        let (chain, key) = (proxy.leaf.pem(), proxy.key.serialize_pem());
        let identity = Some((chain.as_bytes(), key.as_bytes()));
        let client = |name, ca: &Issued, identity| {
            HttpsClient::new(name, ca.ca.as_bytes(), identity).unwrap()
        };
        let good = client("127.0.0.1", &program, identity);
        assert_eq!(met(&good, &server).await, [true, true]);
        let elsewhere = client("127.0.0.2", &program, identity);
        assert_eq!(met(&elsewhere, &server).await, [false, false]);
        let other_ca = client("127.0.0.1", &proxy, identity);
        assert_eq!(met(&other_ca, &server).await, [false, false]);
        // A client of TLS 1.3 is done before it hears that.
        let nobody = client("127.0.0.1", &program, None);
        assert!(!met(&nobody, &server).await[1]);
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let own = issued("127.0.0.1");
        let new =
            |name: &str, ca: &str, identity| HttpsClient::new(name, ca.as_bytes(), identity).err();
        assert!(matches!(
            new("a b", &own.ca, None),
            Some(HttpsClientError::Name(_))
        ));
        assert!(matches!(new("a", "", None), Some(HttpsClientError::NoCa)));
        let chain = own.leaf.pem();
        let no_key = Some((chain.as_bytes(), &b""[..]));
        assert!(matches!(
            new("a", &own.ca, no_key),
            Some(HttpsClientError::Key(_))
        ));
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let other_key = Some((chain.as_bytes(), other.as_bytes()));
        assert!(matches!(
            new("a", &own.ca, other_key),
            Some(HttpsClientError::Unusable(_))
        ));
    }
}
