//! HTTPS as everybody's clients speak it: a certificate of an X.509 baseline, no client certificate, HTTP/1.1 or HTTP/2.
//!
//! ```text
//!  ClientHello ── signature_algorithms ──> of the X.509 credentials that are published: what the client can verify, P-256 first
//! ```
//!
//! Beside the SBI's [`crate::endpoint`], which chooses by trust anchors, wants certificates of clients and is measured. TLS 1.3 only.

use std::io;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::credentials::{Receiver, X509Credential};
use crate::key::{KeyAlgorithm, X509Profile};
use crate::provider::{KeyExchange, provider, signature_scheme};

/// The later in this order, the fewer clients can verify it.
const PREFERENCE: [KeyAlgorithm; 6] = [
    KeyAlgorithm::EcdsaP256,
    KeyAlgorithm::EcdsaP384,
    KeyAlgorithm::Ed25519,
    KeyAlgorithm::MlDsa44,
    KeyAlgorithm::MlDsa65,
    KeyAlgorithm::MlDsa87,
];

/// A server's side of HTTPS. Clones share its sessions.
#[derive(Clone)]
pub struct HttpsServer(TlsAcceptor);

impl HttpsServer {
    /// A server that shows the X.509 certificates that `credentials` publishes.
    pub fn new(credentials: Receiver) -> Self {
        let builder = ServerConfig::builder_with_provider(provider(&KeyExchange::ALL))
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has cipher suites of TLS 1.3");
        let mut config = builder
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver(credentials)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self(TlsAcceptor::from(Arc::new(config)))
    }

    /// Completes the handshake on an accepted TCP connection. Dropping the future closes the connection.
    ///
    /// # Errors
    /// The client is none, or cannot verify any of the certificates.
    pub async fn accept(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.accept(tcp).await
    }
}

#[derive(Debug)]
struct Resolver(Receiver);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.0.current();
        let chosen = choose(&set.x509, hello.signature_schemes())?;
        Some(chosen.credential.certified().clone())
    }
}

/// The credential that the most clients can verify, among those that this one says it can.
fn choose<'a>(
    credentials: &'a [X509Credential],
    schemes: &[SignatureScheme],
) -> Option<&'a X509Credential> {
    let algorithms = |own: &X509Credential| [own.profile.ca_signature, own.credential.leaf_key];
    let is_verified = |own: &&X509Credential| {
        let mut needed = algorithms(own).into_iter().map(signature_scheme);
        needed.all(|scheme| schemes.contains(&scheme))
    };
    credentials
        .iter()
        .filter(is_verified)
        .min_by_key(|own| rank(own.profile, own.credential.leaf_key))
}

/// The place of a certificate among those that a client can verify: the least is shown.
pub fn rank(profile: X509Profile, leaf_key: KeyAlgorithm) -> impl Ord {
    let place = |of: KeyAlgorithm| PREFERENCE.iter().position(|preferred| *preferred == of);
    [profile.ca_signature, leaf_key].map(place)
}

#[cfg(test)]
mod tests {
    use mtc_core::time::UnixTime;

    use super::*;
    use crate::credentials::Credential;
    use crate::key::{Intermediates, NfKey, X509Profile, X509Revocation};

    fn credential(ca_signature: KeyAlgorithm, leaf_key: KeyAlgorithm) -> X509Credential {
        let key = NfKey::generate(leaf_key).unwrap();
        let pair = rcgen::KeyPair::from_pem(&key.to_pem().unwrap()).unwrap();
        let wished = rcgen::CertificateParams::new(["nrf1.test".to_owned()]).unwrap();
        let certificate = wished.self_signed(&pair).unwrap().der().to_vec();
        X509Credential {
            profile: X509Profile {
                ca_signature,
                intermediates: Intermediates::One,
                revocation: X509Revocation::None,
            },
            credential: Credential::new(vec![certificate], &key, UnixTime(0)).unwrap(),
        }
    }

    #[test]
    fn a_client_is_shown_what_it_can_verify_and_p_256_first() {
        use KeyAlgorithm::{EcdsaP256, EcdsaP384, Ed25519, MlDsa65};
        let pairs = [
            (MlDsa65, EcdsaP256),
            (Ed25519, Ed25519),
            (EcdsaP256, EcdsaP384),
            (EcdsaP256, EcdsaP256),
        ];
        let credentials = pairs.map(|(ca, leaf)| credential(ca, leaf));
        let shown = |known: &[KeyAlgorithm]| {
            let schemes: Vec<_> = known.iter().copied().map(signature_scheme).collect();
            let chosen = choose(&credentials, &schemes)?;
            Some((chosen.profile.ca_signature, chosen.credential.leaf_key))
        };
        assert_eq!(shown(&KeyAlgorithm::ALL), Some((EcdsaP256, EcdsaP256)));
        assert_eq!(shown(&[Ed25519, MlDsa65]), Some((Ed25519, Ed25519)));
        assert_eq!(shown(&[MlDsa65, EcdsaP256]), Some((EcdsaP256, EcdsaP256)));
        assert_eq!(shown(&[EcdsaP384]), None);
        assert_eq!(shown(&[]), None);
    }
}
