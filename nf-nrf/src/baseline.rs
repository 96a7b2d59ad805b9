//! The X.509 baseline: the directly-signing CAs whose certificates MTC is compared with.
//!
//! ```text
//!  <ca signature>-direct:             root ─────────────────────────> leaf    sent: [leaf]
//!  <ca signature>-intermediate:       root ──> 1 ───────────────────> leaf    sent: [leaf, 1]
//!  <ca signature>-two-intermediates:  root ──> 1 ──────────> 2 ─────> leaf    sent: [leaf, 2, 1]
//! ```
//!
//! A leaf has the subject and the extensions of the NF's MTC leaf byte for byte, and authorityKeyIdentifier before
//! them, so that the variants differ in how a certificate is authenticated and in nothing else.
//!
//! Deviation: TS 33.310 asks for cRLDistributionPoints, which is left out where nobody looks at CRLs: it would only add bytes. The
//! profiles whose names end in `-crl` and `-ocsp` have it, and the latter authorityInfoAccess too; their CAs sign lists and
//! answers ([`BaselineCa::list`], [`BaselineCa::answer`]). The intermediates have neither, since where the NRF is is not known when they are made.
//!
//! The certificates are written here and not by rcgen, which takes neither a subject as DER nor the ML-DSA key of a
//! CSR.

use std::io;
use std::path::{Path, PathBuf};

use mtc_core::der;
use mtc_core::time::UnixTime;
use mtc_tls::identity::NfSubject;
use mtc_tls::key::{NfKey, NfKeyError, X509Profile, X509Revocation};
use mtc_tls::revocation::crl::List;
use mtc_tls::revocation::ocsp::{Answer, CertId};
use mtc_tls::revocation::{
    CRL_FILES, RevokedCertificate, crl_paths, distribution_point, responder, responder_path,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use zeroize::Zeroizing;

mod ca_certificate;
mod create;
mod write;

use self::ca_certificate::CaCertificate;
pub use self::create::{BaselinePem, CaPem, create};
use self::write::{Tbs, authority_key_identifier, random_serial};

/// File of the root's private key, in a profile's folder; read by the NRF only where the root issues leaves.
pub const ROOT_KEY_FILE: &str = "root.key";
/// File of the root certificate.
pub const ROOT_CERTIFICATE_FILE: &str = "root.crt";
/// Files of the intermediates' private keys, that of the root's intermediate first; the NRF reads the last one's only.
pub const INTERMEDIATE_KEY_FILES: [&str; 2] = ["intermediate.key", "intermediate-2.key"];
/// Files of the intermediate certificates, in the same order.
pub const INTERMEDIATE_CERTIFICATE_FILES: [&str; 2] = ["intermediate.crt", "intermediate-2.crt"];

/// Why a baseline CA cannot be made, loaded or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// A file of the CA cannot be read.
    #[error("X.509 CA {profile}: cannot read {}", path.display())]
    Read {
        /// The CA.
        profile: X509Profile,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A certificate file has no certificate, or one that is not a CA's.
    #[error("X.509 CA {profile}: {file} holds no usable CA certificate: {rule}")]
    Certificate {
        /// The CA.
        profile: X509Profile,
        /// The file's name.
        file: &'static str,
        /// What it lacks.
        rule: &'static str,
    },
    /// A key file holds no private key.
    #[error("X.509 CA {profile}: private key {}", path.display())]
    KeyFile {
        /// The CA.
        profile: X509Profile,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NfKeyError,
    },
    /// A private key cannot be made or used.
    #[error("X.509 CA {profile}: private key")]
    Key {
        /// The CA.
        profile: X509Profile,
        /// Why not.
        source: NfKeyError,
    },
    /// A file has no list of revoked certificates.
    #[error("X.509 CA {profile}: {file} holds no PEM section X509 CRL")]
    List {
        /// The CA.
        profile: X509Profile,
        /// The file's name.
        file: &'static str,
    },
    /// Key, certificates and profile are not of one CA.
    #[error("X.509 CA {profile}: {rule}")]
    Mismatch {
        /// The CA.
        profile: X509Profile,
        /// What does not fit together.
        rule: &'static str,
    },
    /// The operating system has no randomness for a serial number.
    #[error("X.509 CA {0}: no randomness for a serial number")]
    NoRandomness(X509Profile),
}

/// A baseline CA that is ready to issue leaves. Holds the issuing key, hence no `Debug`.
pub struct BaselineCa {
    profile: X509Profile,
    root: CertificateDer<'static>,
    root_name: Vec<u8>,
    /// From the issuer of leaves upwards, as they are sent.
    intermediates: Vec<CertificateDer<'static>>,
    key: NfKey,
    /// Subject of the certificate of `key`: the leaves' issuer.
    issuer_name: Vec<u8>,
    /// Its subjectKeyIdentifier.
    issuer_key_identifier: Vec<u8>,
    /// DER of the lists of the CAs above the issuer of leaves, the root's first.
    lists_above: Vec<Vec<u8>>,
    /// DER of the extensions by which leaves say where lists and answers are.
    pointers: Vec<u8>,
}

impl BaselineCa {
    /// Loads a CA from its folder: the root certificate, and key and certificate of whoever issues leaves.
    /// The keys of the CAs above that one are not read. Blocks on the disk.
    ///
    /// # Errors
    /// A file is missing, damaged, or belongs to another CA.
    pub fn load(folder: &Path, profile: X509Profile) -> Result<Self, BaselineError> {
        let read = |file: &'static str| {
            let path = folder.join(file);
            std::fs::read_to_string(&path).map_err(|source| BaselineError::Read {
                profile,
                path,
                source,
            })
        };
        let certificate = |file: &'static str| {
            CertificateDer::from_pem_slice(read(file)?.as_bytes()).map_err(|_| {
                BaselineError::Certificate {
                    profile,
                    file,
                    rule: "no PEM section CERTIFICATE",
                }
            })
        };
        let key = |file: &'static str| {
            NfKey::from_pem(&Zeroizing::new(read(file)?)).map_err(|source| BaselineError::KeyFile {
                profile,
                path: folder.join(file),
                source,
            })
        };
        let root = certificate(ROOT_CERTIFICATE_FILE)?;
        let count = usize::from(profile.intermediates.count());
        let intermediates = INTERMEDIATE_CERTIFICATE_FILES[..count]
            .iter()
            .map(|file| certificate(file))
            .collect::<Result<_, _>>()?;
        let key_file = INTERMEDIATE_KEY_FILES[..count]
            .last()
            .unwrap_or(&ROOT_KEY_FILE);
        let mut ca = Self::new(profile, root, intermediates, key(key_file)?)?;
        if profile.revocation != X509Revocation::None {
            for file in &CRL_FILES[..count] {
                let list = CertificateRevocationListDer::from_pem_slice(read(file)?.as_bytes())
                    .map_err(|_| BaselineError::List { profile, file })?;
                ca.lists_above.push(list.to_vec());
            }
        }
        Ok(ca)
    }

    /// Has leaves say that lists and answers are below this URL, if their profile has any.
    #[must_use]
    pub fn published_below(mut self, url: &str) -> Self {
        let issuers = crl_paths(self.profile).last().expect("there is the root");
        let list = distribution_point(&format!("{url}/{issuers}"));
        let answers = responder(&format!("{url}/{}", responder_path(self.profile)));
        self.pointers = match self.profile.revocation {
            X509Revocation::None => Vec::new(),
            X509Revocation::Crl => list,
            X509Revocation::OcspStapled => [list, answers].concat(),
        };
        self
    }

    fn new(
        profile: X509Profile,
        root: CertificateDer<'static>,
        mut intermediates: Vec<CertificateDer<'static>>,
        key: NfKey,
    ) -> Result<Self, BaselineError> {
        let mismatch = |rule| BaselineError::Mismatch { profile, rule };
        let read_ca = |der, file| {
            CaCertificate::parse(der).map_err(|rule| BaselineError::Certificate {
                profile,
                file,
                rule,
            })
        };
        let root_ca = read_ca(&root, ROOT_CERTIFICATE_FILE)?;
        let mut issuer = root_ca;
        for (der, file) in intermediates.iter().zip(INTERMEDIATE_CERTIFICATE_FILES) {
            let next = read_ca(der, file)?;
            if next.issuer != issuer.subject {
                return Err(mismatch(
                    "an intermediate was not issued by the CA above it",
                ));
            }
            issuer = next;
        }
        if issuer.spki != key.spki_der() {
            return Err(mismatch(
                "the private key is not the one in the issuing certificate",
            ));
        }
        if key.algorithm() != profile.ca_signature {
            return Err(mismatch(
                "the private key is not of the profile's algorithm",
            ));
        }
        let root_name = root_ca.subject.to_vec();
        let issuer_name = issuer.subject.to_vec();
        let issuer_key_identifier = issuer.key_identifier.to_vec();
        intermediates.reverse();
        Ok(Self {
            profile,
            root_name,
            issuer_name,
            issuer_key_identifier,
            root,
            intermediates,
            key,
            lists_above: Vec::new(),
            pointers: Vec::new(),
        })
    }

    /// The profile that this CA serves.
    pub const fn profile(&self) -> X509Profile {
        self.profile
    }

    /// The trust anchor. It is never sent in a handshake.
    pub const fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// DER of the Name of the CA that issues its leaves.
    pub fn issuer_name(&self) -> &[u8] {
        &self.issuer_name
    }

    /// What is sent with a leaf, from its issuer upwards and without the root.
    pub fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.intermediates
    }

    /// DER of the root's Name, by which a peer says that it trusts this CA.
    pub fn root_name(&self) -> &[u8] {
        &self.root_name
    }

    /// DER of the lists of the CAs above the issuer of leaves, the root's first; none where nobody asks for lists.
    pub fn lists_above(&self) -> &[Vec<u8>] {
        &self.lists_above
    }

    /// DER of the list of what the issuer of leaves has revoked, for `validity`, under a number that is greater than any before.
    ///
    /// # Errors
    /// [`BaselineError::Key`] if signing fails.
    pub fn list(
        &self,
        number: u64,
        (this_update, next_update): (UnixTime, UnixTime),
        revoked: &[RevokedCertificate],
    ) -> Result<Vec<u8>, BaselineError> {
        let list = List {
            issuer: &self.issuer_name,
            key_identifier: &self.issuer_key_identifier,
            number,
            this_update,
            next_update,
            revoked,
        };
        list.sign(&self.key).map_err(|source| self.failed(source))
    }

    /// DER of the OCSP response about a leaf, for `validity`.
    ///
    /// # Errors
    /// [`BaselineError::Key`] if signing fails.
    pub fn answer(
        &self,
        cert_id: &CertId,
        revoked: Option<&RevokedCertificate>,
        (this_update, next_update): (UnixTime, UnixTime),
    ) -> Result<Vec<u8>, BaselineError> {
        let answer = Answer {
            cert_id,
            revoked,
            this_update,
            next_update,
        };
        answer.sign(&self.key).map_err(|source| self.failed(source))
    }

    /// Whether this is a name for one of its leaves.
    pub fn is_issuer_in(&self, cert_id: &CertId) -> bool {
        CertId::new(&self.issuer_name, self.key.spki_der(), cert_id.serial())
            .is_ok_and(|own| own == *cert_id)
    }

    const fn failed(&self, source: NfKeyError) -> BaselineError {
        BaselineError::Key {
            profile: self.profile,
            source,
        }
    }

    /// Issues a leaf for the key in `spki`, a DER SubjectPublicKeyInfo whose holder has proved possession, and returns
    /// the chain to send: the leaf, then the intermediates upwards. Both ends of the validity are inclusive.
    ///
    /// # Errors
    /// [`BaselineError::Key`] or [`BaselineError::NoRandomness`] if signing or the serial number fails.
    pub fn issue(
        &self,
        spki: &[u8],
        subject: &NfSubject,
        not_before: UnixTime,
        not_after: UnixTime,
    ) -> Result<Vec<CertificateDer<'static>>, BaselineError> {
        let shared = subject.extensions_der();
        let shared = der::only(&shared, der::SEQUENCE).expect("extensions_der is one SEQUENCE");
        let tbs = Tbs {
            serial: random_serial().map_err(|_| BaselineError::NoRandomness(self.profile))?,
            issuer: &self.issuer_name,
            not_before,
            not_after,
            subject: &subject.name_der(),
            spki,
            extensions: &[
                &authority_key_identifier(&self.issuer_key_identifier),
                &self.pointers,
                shared,
            ],
        };
        let leaf = tbs.sign(&self.key).map_err(|source| self.failed(source))?;
        Ok(std::iter::once(leaf.into())
            .chain(self.intermediates.iter().cloned())
            .collect())
    }
}

#[cfg(test)]
mod tests;
