//! What an NF instance needs for its enrolment by CMP: a reference number and the secret that goes with it.

use std::path::Path;
use std::time::Duration;

use mtc_core::time::UnixTime;
use nf_nrf::enrolment_token::SharedSecrets;
use sbi::enrolment_claims::{CMP_ISSUER, EnrolmentClaims};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::error::PkiError;
use super::tokens::{authority, claims, instance_of, read, sign};

/// A reference number and its secret, good for one certificate.
pub struct CmpEnrolment {
    /// Goes over the wire for everybody to read.
    pub reference: Zeroizing<String>,
    /// Whoever has it can enrol as the instance.
    pub secret: Zeroizing<String>,
}

/// Mints what an instance of the lab in `folder` enrols with by CMP. Blocks on the disk.
///
/// # Errors
/// The lab has no such instance, no authority, or no key for such secrets.
pub fn mint_cmp(
    folder: &Path,
    instance_id: Uuid,
    lifetime: Duration,
    now: UnixTime,
) -> Result<CmpEnrolment, PkiError> {
    let path = folder.join("enrolment/cmp.key");
    let key = Zeroizing::new(read(path.clone())?);
    let secrets =
        SharedSecrets::new(&key).map_err(|source| PkiError::SharedKey { path, source })?;
    let claims = EnrolmentClaims {
        iss: CMP_ISSUER.to_owned(),
        ..claims(&instance_of(folder, instance_id)?, now.plus(lifetime))
    };
    Ok(CmpEnrolment {
        reference: sign(&claims, &authority(folder)?)?,
        secret: secrets.of(claims.jti),
    })
}
