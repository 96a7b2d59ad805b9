//! Peers that are plain rustls: they take any certificate, and show whatever names a test wants.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mtc_tls::key::NfKey;
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, server};

/// What a peer says that it trusts and can verify, whatever it then takes.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    pub(crate) names: Vec<DistinguishedName>,
    pub(crate) schemes: Vec<SignatureScheme>,
    pub(crate) alpn: &'static [u8],
    pub(crate) groups: Vec<&'static dyn SupportedKxGroup>,
}

impl Claims {
    /// These names, both schemes of the lab's leaf keys, and HTTP/2.
    pub(crate) fn names(names: &[Vec<u8>]) -> Self {
        Self {
            names: names.iter().cloned().map(DistinguishedName::from).collect(),
            schemes: vec![
                SignatureScheme::ECDSA_NISTP256_SHA256,
                SignatureScheme::ML_DSA_65,
            ],
            alpn: b"h2",
            groups: default_provider().kx_groups,
        }
    }

    /// Connects without a client certificate.
    pub(crate) async fn connect(self, addr: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        self.connect_by(addr, |config| config.with_no_client_auth())
            .await
    }

    /// Connects with this certificate and this key, whether or not they belong together.
    pub(crate) async fn connect_as(
        self,
        addr: SocketAddr,
        certificate: Vec<u8>,
        key: &NfKey,
    ) -> io::Result<TlsStream<TcpStream>> {
        let presenting = presenting(certificate, key);
        self.connect_by(addr, |config| config.with_client_cert_resolver(presenting))
            .await
    }

    async fn connect_by(
        self,
        addr: SocketAddr,
        client_auth: impl FnOnce(ConfigBuilder<ClientConfig, WantsClientCert>) -> ClientConfig,
    ) -> io::Result<TlsStream<TcpStream>> {
        let alpn = self.alpn.to_vec();
        let provider = CryptoProvider {
            kx_groups: self.groups.clone(),
            ..default_provider()
        };
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .expect("a provider of TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self));
        let mut config = client_auth(config);
        config.alpn_protocols = vec![alpn];
        let tcp = TcpStream::connect(addr).await?;
        let name = ServerName::try_from("smf.test").expect("a name");
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    }

    /// Accepts a connection with or without a client certificate and presents `certificate`, by this key whether or not it
    /// is the certificate's.
    pub(crate) async fn accept(
        self,
        tcp: TcpStream,
        certificate: Vec<u8>,
        key: &NfKey,
    ) -> io::Result<server::TlsStream<TcpStream>> {
        let alpn = self.alpn.to_vec();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("a provider of TLS 1.3")
            .with_client_cert_verifier(Arc::new(self))
            .with_cert_resolver(presenting(certificate, key));
        config.alpn_protocols = vec![alpn];
        TlsAcceptor::from(Arc::new(config)).accept(tcp).await
    }
}

fn presenting(certificate: Vec<u8>, key: &NfKey) -> Arc<SingleCertAndKey> {
    let key = key.tls_signing_key().expect("a key for TLS");
    let certified = CertifiedKey::new(vec![CertificateDer::from(certificate)], key);
    Arc::new(SingleCertAndKey::from(certified))
}

impl ServerCertVerifier for Claims {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("TLS 1.2 is not built in")
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        (!self.names.is_empty()).then_some(&self.names)
    }
}

impl ClientCertVerifier for Claims {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("TLS 1.2 is not built in")
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
