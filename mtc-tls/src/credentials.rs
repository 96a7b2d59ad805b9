//! What an NF instance presents and trusts, published by one writer and read at every handshake.
//!
//! ```text
//! enrolment, renewal, trust update ──> Store ──(atomic swap)──> Receiver ──> Endpoint, once per connection
//! ```
//!
//! A published [`CredentialSet`] never changes: a connection that has taken one is unaffected by the next.

use std::fmt;
use std::sync::{Arc, OnceLock};

use mtc_core::certificate::{self, Certificate, MtcProof};
use mtc_core::id::{IdError, LandmarkNumber, LogId, LogNumber, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_core::verify::{Accepted, CaTrust, Rejection, RevokedRanges, TrustedSubtree};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{DistinguishedName, RootCertStore};
use thiserror::Error;
use tokio::sync::watch;

use crate::grease;
use crate::hints::MtcAnchor;
use crate::identity::CertificateId;
use crate::key::{KeyAlgorithm, NfKey, NfKeyError, X509Profile, X509Revocation};
use crate::provider::{KeyExchange, provider};
use crate::revocation::RevokedSerials;
use crate::revocation::crl::CrlError;

/// Why a credential or a trust anchor cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The key cannot be used for TLS.
    #[error("the private key cannot be used for TLS")]
    Key(#[from] NfKeyError),
    /// The certificate is not the key's.
    #[error("the certificate does not belong to this key")]
    KeyMismatch(#[source] rustls::Error),
    /// A root certificate cannot be used.
    #[error("root certificate of {profile}")]
    Root {
        /// Whose root it is.
        profile: X509Profile,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// CRLs cannot be used.
    #[error("CRLs of {profile}")]
    Lists {
        /// Whose they are.
        profile: X509Profile,
        /// What is wrong with them.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A landmark's ID exceeds its bound.
    #[error("landmark {0} has no trust anchor ID")]
    LandmarkId(LandmarkNumber),
}

/// A certificate chain and its key.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The algorithm of the leaf key.
    pub leaf_key: KeyAlgorithm,
    /// Last second of the leaf's validity.
    pub not_after: UnixTime,
    certified: Arc<CertifiedKey>,
    /// With a cosignature that nobody knows, from when somebody wants it.
    greased: Arc<OnceLock<Self>>,
}

impl Credential {
    /// A chain, leaf first and without the root, with the leaf's key.
    ///
    /// # Errors
    /// The key is not the leaf's, or not one for TLS.
    pub fn new(
        chain: Vec<Vec<u8>>,
        key: &NfKey,
        not_after: UnixTime,
    ) -> Result<Self, CredentialError> {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        let certified = CertifiedKey::new(chain, key.tls_signing_key()?);
        certified
            .keys_match()
            .map_err(CredentialError::KeyMismatch)?;
        Ok(Self {
            leaf_key: key.algorithm(),
            not_after,
            certified: Arc::new(certified),
            greased: Arc::default(),
        })
    }

    /// A credential of the same key with another certificate for it, which shares the key in memory.
    ///
    /// # Errors
    /// The certificate is another key's.
    pub fn of_same_key(&self, leaf: Vec<u8>) -> Result<Self, CredentialError> {
        let other = self.with_leaf(leaf);
        let checked = other.certified.keys_match();
        checked.map_err(CredentialError::KeyMismatch)?;
        Ok(other)
    }

    /// A credential of this key with another certificate.
    fn with_leaf(&self, leaf: Vec<u8>) -> Self {
        let key = self.certified.key.clone();
        Self {
            certified: Arc::new(CertifiedKey::new(vec![leaf.into()], key)),
            greased: Arc::default(),
            ..*self
        }
    }

    /// This credential with the OCSP response (DER) that servers staple to it.
    #[must_use]
    pub fn stapling(&self, response: Vec<u8>) -> Self {
        let mut certified = (*self.certified).clone();
        certified.ocsp = Some(response);
        Self {
            certified: Arc::new(certified),
            greased: Arc::default(),
            ..*self
        }
    }

    /// DER of the OCSP response that is stapled, if there is one.
    pub fn staple(&self) -> Option<&[u8]> {
        self.certified.ocsp.as_deref()
    }

    /// DER of the certificates, the leaf first, without the root.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.certified.cert.iter().map(AsRef::as_ref)
    }

    /// This credential or, for connections on which what nobody knows is sent, the one with a cosignature of nobody.
    pub(crate) fn or_greased(&self, grease: bool) -> &Self {
        if !grease {
            return self;
        }
        self.greased
            .get_or_init(|| match grease::certificate(self.leaf()) {
                Some(leaf) => self.with_leaf(leaf),
                // No Merkle Tree Certificate.
                None => Self {
                    greased: Arc::default(),
                    ..self.clone()
                },
            })
    }

    pub(crate) const fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// DER of the leaf certificate.
    pub fn leaf(&self) -> &[u8] {
        self.certified.cert.first().map_or(&[], AsRef::as_ref)
    }
}

/// An MTC credential: a standalone certificate, and the landmark-relative one once it exists.
#[derive(Clone, Debug)]
pub struct MtcCredential {
    /// The standalone certificate.
    pub standalone: Credential,
    /// The landmark-relative certificate of the same entry and key.
    pub landmark: Option<LandmarkCredential>,
    /// The standalone certificate without cosignatures of others than the CA, from when somebody wants it.
    ca_alone: Arc<OnceLock<Credential>>,
}

impl MtcCredential {
    /// A standalone certificate, and the landmark-relative one of the same entry if it is there already.
    pub fn new(standalone: Credential, landmark: Option<LandmarkCredential>) -> Self {
        Self {
            standalone,
            landmark,
            ca_alone: Arc::default(),
        }
    }

    /// What a party presents that knows no landmark.
    #[must_use]
    pub fn without_landmark(self) -> Self {
        Self {
            landmark: None,
            ..self
        }
    }

    /// For peers that want the CA's cosignature and no other.
    pub(crate) fn ca_alone(&self) -> &Credential {
        self.ca_alone.get_or_init(|| {
            match cosigned_by_ca_alone(self.standalone.leaf()) {
                Some(leaf) => self.standalone.with_leaf(leaf),
                // What cannot be read is presented as it is: whether to accept it is the peer's to say.
                None => self.standalone.clone(),
            }
        })
    }
}

/// A standalone certificate without cosignatures of others than its CA. Cosignatures stand beside what they sign, so
/// whoever has a certificate may leave some out (Section 6.2).
fn cosigned_by_ca_alone(certificate: &[u8]) -> Option<Vec<u8>> {
    let parsed = Certificate::parse(certificate).ok()?;
    let ca = TrustAnchorId::from_name(parsed.issuer).ok()?;
    let mut proof = MtcProof::from(parsed.proof);
    proof
        .signatures
        .retain(|cosignature| cosignature.cosigner_id == ca);
    certificate::with_proof(certificate, &proof).ok()
}

/// A landmark-relative certificate and the landmark that a peer must know for it.
#[derive(Clone, Debug)]
pub struct LandmarkCredential {
    /// The log.
    pub log_number: LogNumber,
    /// The landmark.
    pub landmark: LandmarkNumber,
    /// The certificate and its key.
    pub credential: Credential,
}

/// An X.509 baseline credential.
#[derive(Clone, Debug)]
pub struct X509Credential {
    /// Under which root and through how many intermediates.
    pub profile: X509Profile,
    /// The chain and its key.
    pub credential: Credential,
}

impl X509Credential {
    /// Whether `new` is what is presented in place of this one.
    fn is_replaced_by(&self, new: &Self) -> bool {
        self.profile == new.profile && self.credential.leaf_key == new.credential.leaf_key
    }
}

/// Trust in the MTCA: always its cosigners, and landmarks once some were verified.
#[derive(Clone)]
pub struct MtcTrust {
    pub(crate) cosigners: Arc<CaTrust>,
    pub(crate) cosigner_hint: Arc<[DistinguishedName]>,
    /// The CA's cosignature suffices.
    pub(crate) ca_alone: Arc<CaTrust>,
    pub(crate) landmarks: Option<LandmarkTrust>,
}

/// Trust in the landmarks of a log up to one, and in what is left of older logs'.
#[derive(Clone)]
pub(crate) struct LandmarkTrust {
    pub(crate) trust: Arc<CaTrust>,
    pub(crate) newest: (LogNumber, LandmarkNumber),
    pub(crate) hint: Arc<[DistinguishedName]>,
}

impl MtcTrust {
    /// Trust in the CA's cosigners, without a landmark.
    pub fn new(trust: CaTrust) -> Self {
        let cosigner_hint = [DistinguishedName::from(trust.id().to_name())].into();
        Self {
            ca_alone: Arc::new(trust.without_groups()),
            cosigners: Arc::new(trust),
            cosigner_hint,
            landmarks: None,
        }
    }

    /// Trusts the landmarks of `log` up to `newest`, whose subtrees were verified, in place of any earlier ones.
    ///
    /// Subtrees of other logs of the CA may be among them. Peers are not told of those: they are told one group a CA.
    ///
    /// # Errors
    /// The landmark group has no ID.
    pub fn with_landmarks(
        &self,
        log: &LogId,
        newest: LandmarkNumber,
        subtrees: impl IntoIterator<Item = TrustedSubtree>,
    ) -> Result<Self, CredentialError> {
        let group = log
            .landmark_group(newest)
            .map_err(|_| CredentialError::LandmarkId(newest))?;
        Ok(Self {
            landmarks: Some(LandmarkTrust {
                trust: Arc::new(self.cosigners.with_trusted_subtrees(subtrees)),
                newest: (log.number(), newest),
                hint: [DistinguishedName::from(group.to_name())].into(),
            }),
            ..self.clone()
        })
    }

    /// This trust with exactly these serial numbers revoked.
    #[must_use]
    pub fn with_revoked(&self, revoked: &RevokedRanges) -> Self {
        let with = |trust: &CaTrust| Arc::new(trust.with_revoked(revoked));
        Self {
            cosigners: with(&self.cosigners),
            ca_alone: with(&self.ca_alone),
            landmarks: self.landmarks.clone().map(|landmarks| LandmarkTrust {
                trust: with(&landmarks.trust),
                ..landmarks
            }),
            ..self.clone()
        }
    }

    /// The serial numbers that are revoked.
    pub fn revoked(&self) -> &RevokedRanges {
        self.cosigners.revoked()
    }

    /// Whether a certificate is this CA's and revoked.
    fn is_revoked(&self, certificate: &CertificateId) -> bool {
        let serial = certificate.small_serial();
        serial.is_some_and(|serial| self.revoked().contains(serial))
            && certificate.issuer() == self.cosigners.issuer_name()
    }

    /// Verifies that a standalone certificate was issued, as a peer that knows no landmark will
    /// ([`CaTrust::verify_issuance`]: not its time, names or usage).
    ///
    /// # Errors
    /// The first rule that the certificate breaks.
    pub fn verify_issuance(&self, certificate: &[u8]) -> Result<Accepted, Rejection> {
        self.cosigners.verify_issuance(certificate)
    }

    /// The CA.
    pub fn ca(&self) -> &TrustAnchorId {
        self.cosigners.id()
    }

    /// What a party says for which the CA's cosignature suffices.
    ///
    /// # Errors
    /// The CA's ID is too long for an ID below it.
    pub(crate) fn ca_alone_hint(&self) -> Result<Arc<[DistinguishedName]>, IdError> {
        let id = MtcAnchor::ca_alone(self.ca())?;
        Ok([DistinguishedName::from(id.to_name())].into())
    }

    /// What a party says that follows the newest log and knows its empty first landmark only.
    ///
    /// # Errors
    /// The CA's ID is too long for an ID below it.
    pub(crate) fn stale_hint(&self) -> Result<Arc<[DistinguishedName]>, IdError> {
        let log = self
            .newest_landmark()
            .map_or(LogNumber::FIRST, |(log, _)| log);
        let id = LogId::new(*self.ca(), log)?.landmark_group(LandmarkNumber(0))?;
        Ok([DistinguishedName::from(id.to_name())].into())
    }

    /// The newest landmark whose subtrees are trusted, behind the number of its log: what comes later is greater.
    pub fn newest_landmark(&self) -> Option<(LogNumber, LandmarkNumber)> {
        self.landmarks.as_ref().map(|landmarks| landmarks.newest)
    }

    /// How many subtrees are trusted.
    pub fn trusted_subtrees(&self) -> usize {
        self.landmarks
            .as_ref()
            .map_or(0, |landmarks| landmarks.trust.trusted_subtrees())
    }
}

impl fmt::Debug for MtcTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MtcTrust({}, newest landmark {:?})",
            self.ca(),
            self.newest_landmark()
        )
    }
}

/// Trust in one X.509 root.
#[derive(Clone, Debug)]
pub struct X509Trust {
    pub(crate) profile: X509Profile,
    pub(crate) hint: Arc<[DistinguishedName]>,
    pub(crate) root: CertificateDer<'static>,
    roots: Arc<RootCertStore>,
    pub(crate) servers: Arc<WebPkiServerVerifier>,
    pub(crate) clients: Arc<dyn ClientCertVerifier>,
    /// Whether these verify with lists of what is revoked, where their profile has any.
    pub(crate) has_lists: bool,
    /// What stands in the lists.
    pub(crate) revoked: RevokedSerials,
}

impl X509Trust {
    /// Whose root it is.
    pub const fn profile(&self) -> X509Profile {
        self.profile
    }

    /// Trust in the root certificate of a profile.
    ///
    /// # Errors
    /// Not a certificate that can be a root.
    pub fn new(profile: X509Profile, root: &[u8]) -> Result<Self, CredentialError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| CredentialError::Root {
            profile,
            source,
        };
        let root = CertificateDer::from(root.to_vec());
        let mut roots = RootCertStore::empty();
        roots
            .add(root.clone())
            .map_err(|error| failed(error.into()))?;
        let roots = Arc::new(roots);
        let provider = provider(&KeyExchange::ALL);
        Ok(Self {
            profile,
            hint: roots.subjects().into(),
            root,
            servers: WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
                .build()
                .map_err(|error| failed(error.into()))?,
            clients: WebPkiClientVerifier::builder_with_provider(roots.clone(), provider)
                .build()
                .map_err(|error| failed(error.into()))?,
            roots,
            has_lists: false,
            revoked: RevokedSerials::default(),
        })
    }

    /// The same trust in what stands in none of these CRLs (DER), one of each CA: a chain with a CA that has none is refused, and one with a
    /// CA whose CRL is stale. Servers that staple an OCSP response are judged by that, and refused if they stand in a list all the same; their
    /// CAs are judged by nothing.
    ///
    /// # Errors
    /// Not a CRL that webpki takes.
    pub fn with_lists(&self, lists: &[Vec<u8>]) -> Result<Self, CredentialError> {
        let profile = self.profile;
        let unreadable = |error: CrlError| CredentialError::Lists {
            profile,
            source: error.into(),
        };
        let revoked = RevokedSerials::of(lists).map_err(unreadable)?;
        let failed = |error: VerifierBuilderError| CredentialError::Lists {
            profile,
            source: error.into(),
        };
        let provider = provider(&KeyExchange::ALL);
        let lists = || {
            let lists = lists.iter().cloned();
            lists.map(CertificateRevocationListDer::from)
        };
        let servers =
            WebPkiServerVerifier::builder_with_provider(self.roots.clone(), provider.clone())
                .with_crls(lists())
                .enforce_revocation_expiration();
        let clients = WebPkiClientVerifier::builder_with_provider(self.roots.clone(), provider)
            .with_crls(lists())
            .enforce_revocation_expiration();
        let servers = match profile.revocation {
            X509Revocation::OcspStapled => self.servers.clone(),
            _ => servers.build().map_err(failed)?,
        };
        Ok(Self {
            servers,
            clients: clients.build().map_err(failed)?,
            has_lists: true,
            revoked,
            ..self.clone()
        })
    }

    /// DER of the root certificate.
    pub fn root(&self) -> &[u8] {
        &self.root
    }
}

/// All that an NF instance presents and trusts at one time.
#[derive(Clone, Debug)]
pub struct CredentialSet {
    /// Trust in the MTCA.
    pub mtc_trust: MtcTrust,
    /// Trust in X.509 roots, one a profile.
    pub x509_trust: Vec<X509Trust>,
    /// MTC credentials, one a leaf key algorithm.
    pub mtc: Vec<MtcCredential>,
    /// X.509 credentials, one a profile and leaf key algorithm.
    pub x509: Vec<X509Credential>,
    /// Those that are not presented yet, since their OCSP response is missing: the ones before them still are.
    pub unstapled: Vec<X509Credential>,
}

impl CredentialSet {
    /// A set that presents nothing yet: what an NF has before its enrolment.
    pub const fn new(mtc_trust: MtcTrust, x509_trust: Vec<X509Trust>) -> Self {
        Self {
            mtc_trust,
            x509_trust,
            mtc: Vec::new(),
            x509: Vec::new(),
            unstapled: Vec::new(),
        }
    }

    /// Presents these X.509 credentials from now on, each that needs an OCSP response when it has one: until then the one before it.
    pub fn present_x509(&mut self, credentials: Vec<X509Credential>) {
        let before = std::mem::take(&mut self.x509);
        self.unstapled.clear();
        for credential in credentials {
            if credential.profile.revocation != X509Revocation::OcspStapled
                || credential.credential.staple().is_some()
            {
                self.x509.push(credential);
                continue;
            }
            let mut before = before
                .iter()
                .filter(|before| before.is_replaced_by(&credential));
            match before.next() {
                Some(same) if same.credential.leaf() == credential.credential.leaf() => {
                    self.x509.push(same.clone());
                }
                other => {
                    self.x509.extend(other.cloned());
                    self.unstapled.push(credential);
                }
            }
        }
    }

    /// Staples an OCSP response (DER) to the certificate with this leaf, which is presented from now on. Of a certificate that is not there
    /// any more, nothing.
    pub fn staple(&mut self, leaf: &[u8], response: &[u8]) {
        let is_it = |own: &X509Credential| own.credential.leaf() == leaf;
        if let Some(position) = self.unstapled.iter().position(is_it) {
            let new = self.unstapled.swap_remove(position);
            self.x509.retain(|before| !before.is_replaced_by(&new));
            self.x509.push(new);
        }
        if let Some(own) = self.x509.iter_mut().find(|own| is_it(own)) {
            own.credential = own.credential.stapling(response.to_vec());
        }
    }

    /// Whether a certificate that was accepted once would not be any more, since it was revoked: by ranges, or by a CRL of an X.509 CA.
    pub fn is_revoked(&self, certificate: &CertificateId) -> bool {
        let mut roots = self.x509_trust.iter();
        self.mtc_trust.is_revoked(certificate)
            || roots.any(|root| root.revoked.contains(certificate))
    }

    /// The trust anchors of the Merkle Tree Certificates of a key, as `trust_anchors` would list them.
    pub(crate) fn anchors(&self, leaf_key: KeyAlgorithm) -> Vec<TrustAnchorId> {
        let mut own = self.mtc.iter();
        let Some(own) = own.find(|own| own.standalone.leaf_key == leaf_key) else {
            return Vec::new();
        };
        let ca = *self.mtc_trust.ca();
        let landmark = own.landmark.as_ref().and_then(|own| {
            let log = LogId::new(ca, own.log_number).ok()?;
            log.landmark(own.landmark).ok()
        });
        landmark.into_iter().chain([ca]).collect()
    }
}

/// The one writer of an NF instance's credentials.
#[derive(Debug)]
pub struct Store(watch::Sender<Arc<CredentialSet>>);

impl Store {
    /// A store that publishes `initial`.
    pub fn new(initial: CredentialSet) -> Self {
        Self(watch::Sender::new(Arc::new(initial)))
    }

    /// Publishes a changed set: connections from now on use it, existing ones keep what they have.
    pub fn update(&self, change: impl FnOnce(&mut CredentialSet)) {
        self.0.send_modify(|current| change(Arc::make_mut(current)));
    }

    /// What is published now.
    pub fn current(&self) -> Arc<CredentialSet> {
        self.0.borrow().clone()
    }

    /// A reader.
    pub fn receiver(&self) -> Receiver {
        Receiver(self.0.subscribe())
    }
}

/// Reads the credentials that are published.
#[derive(Clone, Debug)]
pub struct Receiver(watch::Receiver<Arc<CredentialSet>>);

impl Receiver {
    /// What is published now.
    pub fn current(&self) -> Arc<CredentialSet> {
        self.0.borrow().clone()
    }

    /// Waits until `condition` holds of what is published; false if the store is gone before that.
    ///
    /// Dropping the future loses nothing.
    pub async fn wait_for(&mut self, condition: impl Fn(&CredentialSet) -> bool) -> bool {
        self.0.wait_for(|set| condition(set)).await.is_ok()
    }
}
