//! How a certificate is authenticated.

use std::fmt;
use std::str::FromStr;

use mtc_core::certificate::Certificate;

/// How a certificate is authenticated; the vocabulary of results, logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertificateKind {
    /// Today's X.509: signed by a CA, possibly through intermediates (`x509`).
    DirectlySigned,
    /// A Merkle Tree Certificate with the cosignature of its CA and of others (`mtc-standalone`).
    Standalone,
    /// A Merkle Tree Certificate with a proof to a landmark subtree and no signature that counts (`mtc-landmark`).
    LandmarkRelative,
}

impl CertificateKind {
    /// Every kind, in the order in which tables list them.
    pub const ALL: [Self; 3] = [
        Self::DirectlySigned,
        Self::Standalone,
        Self::LandmarkRelative,
    ];

    /// The kind of a Merkle Tree Certificate.
    pub(crate) fn of_mtc(certificate: &Certificate<'_>) -> Self {
        if certificate.is_landmark_relative() {
            Self::LandmarkRelative
        } else {
            Self::Standalone
        }
    }

    /// The name used in scenarios, results and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DirectlySigned => "x509",
            Self::Standalone => "mtc-standalone",
            Self::LandmarkRelative => "mtc-landmark",
        }
    }
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not one of `x509`, `mtc-standalone`, `mtc-landmark`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown certificate kind {0:?}; known: x509, mtc-standalone, mtc-landmark")]
pub struct UnknownCertificateKind(pub String);

impl FromStr for CertificateKind {
    type Err = UnknownCertificateKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownCertificateKind(text.to_owned()))
    }
}
