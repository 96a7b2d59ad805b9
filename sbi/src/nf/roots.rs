//! The roots of the X.509 credentials that a process wants.

use std::path::Path;

use mtc_tls::credentials::X509Trust;
use mtc_tls::key::X509Profile;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::NfError;
use crate::config::{NfConfig, Wanted};

/// Roots of the wanted X.509 credentials. Blocks on the disk.
pub(super) fn x509_trust(config: &NfConfig, wanted: &[Wanted]) -> Result<Vec<X509Trust>, NfError> {
    let mut trust: Vec<X509Trust> = Vec::new();
    for wanted in wanted {
        let Wanted::X509(profile, _) = *wanted else {
            continue;
        };
        if trust.iter().any(|trust| trust.profile() == profile) {
            continue;
        }
        let path = config
            .x509
            .clone()
            .unwrap_or_default()
            .join(profile.to_string())
            .join("root.crt");
        trust.push(load_root(profile, &path)?);
    }
    Ok(trust)
}

/// Trust in the root certificate in a PEM file. Blocks on the disk.
///
/// # Errors
/// The file cannot be read, or what is in it cannot be a root.
pub fn load_root(profile: X509Profile, path: &Path) -> Result<X509Trust, NfError> {
    let failed = |source| NfError::X509Root {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.into()))?;
    let root =
        CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| failed(error.into()))?;
    Ok(X509Trust::new(profile, &root)?)
}
