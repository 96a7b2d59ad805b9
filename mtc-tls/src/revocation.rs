//! What X.509 CAs say of certificates that they have revoked: lists, and answers about one certificate.
//!
//! ```text
//!  CA (the NRF)                                               relying party (an NF)
//!  crl::List ──sign──> CRL ──────────HTTP───────────────────> crl::Crl ──verify, newer?──> webpki, at each handshake
//!  ocsp::Answer ──sign──> OCSP response ──HTTP──> holder ──stapled in TLS──> ocsp::Response ──check, at each handshake
//! ```
//!
//! Both are written by the CA itself: what revokes is online anyway, and a delegated responder would send its certificate with every
//! response. Whether a certificate stands in a CRL is for webpki to say in a handshake; here a CRL is read as far as whoever fetches it has
//! to, for its number, its times and its signature, and for the serial numbers in it, so that it ends what began before ([`RevokedSerials`]).

pub mod crl;
pub mod ocsp;

use std::collections::BTreeSet;
use std::sync::Arc;

use mtc_core::der;
use mtc_core::oid;
use mtc_core::time::UnixTime;
use mtc_core::x509::extension;

use self::crl::{Crl, CrlError};
use crate::identity::CertificateId;
use crate::key::X509Profile;

/// The CRLs of the CAs of a profile, that of the root first, as they are called where they are served and stored.
pub const CRL_FILES: [&str; 3] = ["root.crl", "intermediate.crl", "intermediate-2.crl"];

/// Where the CRLs of a profile are served, below the prefix of the CA's logs: that of the root first, that of the issuer of leaves last.
pub fn crl_paths(profile: X509Profile) -> impl Iterator<Item = String> {
    let cas = 1 + usize::from(profile.intermediates.count());
    let files = CRL_FILES.into_iter().take(cas);
    files.map(move |file| format!("x509/{profile}/{file}"))
}

/// Where the OCSP responder of a profile answers, below the prefix of the CA's logs.
pub fn responder_path(profile: X509Profile) -> String {
    format!("x509/{profile}/ocsp")
}

/// A certificate that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCertificate {
    /// Contents octets of its serial number.
    pub serial: Vec<u8>,
    /// Since when.
    pub revoked_at: UnixTime,
    /// `CRLReason` (RFC 5280 section 5.3.1), if one was given.
    pub reason: Option<u8>,
}

/// What stands in the CRLs of the CAs of a profile. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct RevokedSerials(Arc<[RevokedByIssuer]>);

/// What stands in the CRL of one CA.
#[derive(Debug)]
struct RevokedByIssuer {
    /// DER of the Name.
    issuer: Box<[u8]>,
    /// Contents octets.
    serials: BTreeSet<Box<[u8]>>,
}

impl RevokedSerials {
    /// What stands in these CRLs (DER).
    ///
    /// # Errors
    /// One cannot be read.
    pub fn of(lists: &[Vec<u8>]) -> Result<Self, CrlError> {
        let read = lists.iter().map(|list| {
            let list = Crl::parse(list)?;
            let serials = list.serials()?.into_iter().map(Box::from);
            Ok(RevokedByIssuer {
                issuer: list.issuer.into(),
                serials: serials.collect(),
            })
        });
        Ok(Self(read.collect::<Result<_, _>>()?))
    }

    /// Whether a certificate stands in one of them.
    pub fn contains(&self, certificate: &CertificateId) -> bool {
        let mut lists = self.0.iter();
        lists.any(|of| {
            *of.issuer == *certificate.issuer() && of.serials.contains(certificate.serial())
        })
    }
}

/// Why a staple is not what its server needs. What is wrong with a CRL says webpki, as for every chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// No CRL of the CA has been fetched yet.
    #[error("no CRL of the CA is known here")]
    NoCrl,
    /// It stands in the CRL of its CA: as a session began it did not, or its server staples a response from before.
    #[error("the certificate was revoked, as the CRL of its CA says")]
    Revoked,
    /// The server stapled nothing.
    #[error("the server stapled no OCSP response")]
    NotStapled,
    /// The certificate that issued the server's cannot be read.
    #[error("the certificate of the issuer cannot be read")]
    Issuer,
    /// The response does not say that the certificate is good.
    #[error("the stapled OCSP response")]
    Ocsp(#[from] ocsp::OcspError),
}

/// The `cRLDistributionPoints` extension of certificates whose CA's list is at `url`.
///
/// ```text
/// CRLDistributionPoints ::= SEQUENCE OF SEQUENCE { distributionPoint [0] { fullName [0] { uniformResourceIdentifier [6] } } }
/// ```
pub fn distribution_point(url: &str) -> Vec<u8> {
    let name = der::element(der::context_primitive(6), &[url.as_bytes()]);
    let full_name = der::element(der::context(0), &[&name]);
    let point = der::element(
        der::SEQUENCE,
        &[&der::element(der::context(0), &[&full_name])],
    );
    extension(
        oid::CRL_DISTRIBUTION_POINTS,
        false,
        &der::element(der::SEQUENCE, &[&point]),
    )
}

/// The `authorityInfoAccess` extension of certificates about which the OCSP responder at `url` answers.
///
/// ```text
/// AuthorityInfoAccessSyntax ::= SEQUENCE OF SEQUENCE { accessMethod id-ad-ocsp, uniformResourceIdentifier [6] }
/// ```
pub fn responder(url: &str) -> Vec<u8> {
    let access = der::element(
        der::SEQUENCE,
        &[
            &der::element(der::OID, &[oid::AD_OCSP]),
            &der::element(der::context_primitive(6), &[url.as_bytes()]),
        ],
    );
    extension(
        oid::AUTHORITY_INFO_ACCESS,
        false,
        &der::element(der::SEQUENCE, &[&access]),
    )
}
