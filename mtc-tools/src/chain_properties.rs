//! The certificate properties of a chain ([`mtc_core::properties`]): what they have to be, and whether they can be those of a certificate.

use mtc_core::certificate::{Certificate, CertificateError, is_mtc};
use mtc_core::id::{IdError, LandmarkNumber, LogId, TrustAnchorId};
use mtc_core::properties::CertificateProperties;
use thiserror::Error;

/// Why a certificate does not say what its properties are.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnknownProperties {
    /// It does not name its trust anchor's ID.
    #[error(
        "a directly-signed certificate does not say which trust anchor ID its root has; give it"
    )]
    DirectlySigned,
    /// It does not say of which landmark it is.
    #[error(
        "a landmark-relative certificate does not say of which landmark it is; give its number"
    )]
    Landmark,
    /// A landmark was given for a certificate that has none.
    #[error("a standalone certificate has no landmark")]
    Standalone,
    /// It cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Its issuer, or the landmark, has no ID.
    #[error(transparent)]
    Id(#[from] IdError),
}

/// The properties of a Merkle Tree Certificate, which of a landmark-relative one depend on its landmark (Section 8 of the draft).
///
/// # Errors
/// See [`UnknownProperties`].
pub fn properties(
    leaf: &[u8],
    landmark: Option<LandmarkNumber>,
) -> Result<CertificateProperties, UnknownProperties> {
    if !is_mtc(leaf) {
        return Err(UnknownProperties::DirectlySigned);
    }
    let certificate = Certificate::parse(leaf)?;
    let ca = TrustAnchorId::from_name(certificate.issuer)?;
    match (certificate.is_landmark_relative(), landmark) {
        (false, None) => Ok(CertificateProperties::standalone(&ca)),
        (false, Some(_)) => Err(UnknownProperties::Standalone),
        (true, None) => Err(UnknownProperties::Landmark),
        (true, Some(landmark)) => {
            let (log, _) = certificate.entry()?;
            let log = LogId::new(ca, log)?;
            Ok(CertificateProperties::landmark_relative(&log, landmark)?)
        }
    }
}

/// What is wrong with these properties for a chain that begins with `leaf`, as far as that tells.
pub fn contradiction(properties: &CertificateProperties, leaf: &[u8]) -> Option<String> {
    let stated = properties.trust_anchor_id?;
    let certificate = Certificate::parse(leaf).ok()?;
    let ca = TrustAnchorId::from_name(certificate.issuer).ok()?;
    if !certificate.is_landmark_relative() {
        return (stated != ca).then(|| {
            format!("trust anchor {stated}, and not {ca}, which issued this standalone certificate")
        });
    }
    let (log, _) = certificate.entry().ok()?;
    let log = LogId::new(ca, log).ok()?;
    let landmark = stated.components().last().map(LandmarkNumber)?;
    let is_of_log = log.landmark(landmark).as_ref() == Ok(&stated);
    (!is_of_log).then(|| {
        format!(
            "trust anchor {stated}, which is no landmark of log {} of {ca}",
            log.number()
        )
    })
}
