//! The roots of the X.509 credentials that a process wants.

use std::path::Path;

use mtc_tls::credentials::X509Trust;
use mtc_tls::key::X509Profile;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::NfError;
use crate::config::{Wanted, x509_profiles};

/// Roots of the wanted X.509 credentials, in the folder of baselines: `<folder>/<profile>/root.crt`. Blocks on the disk.
///
/// # Errors
/// There is no folder, a file cannot be read, or what is in it cannot be a root.
pub fn x509_trust(folder: Option<&Path>, wanted: &[Wanted]) -> Result<Vec<X509Trust>, NfError> {
    let folder = folder.unwrap_or_else(|| Path::new(""));
    x509_profiles(wanted)
        .into_iter()
        .map(|profile| load_root(profile, &folder.join(profile.to_string()).join("root.crt")))
        .collect()
}

/// Trust in the root certificate in a PEM file. Blocks on the disk.
fn load_root(profile: X509Profile, path: &Path) -> Result<X509Trust, NfError> {
    let failed = |source| NfError::X509Root {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.into()))?;
    let root =
        CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| failed(error.into()))?;
    Ok(X509Trust::new(profile, &root)?)
}
