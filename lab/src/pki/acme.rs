//! What an NF instance needs for its account of ACME: an external account, which is a key identifier and the MAC key that goes with it.

use std::path::Path;
use std::time::Duration;

use mtc_core::time::UnixTime;
use nf_nrf::enrolment_token::SharedSecrets;
use sbi::enrolment_claims::{ACME_ISSUER, EnrolmentClaims};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::error::PkiError;
use super::tokens::{authority, claims, instance_of, read, sign};

/// An external account, good for one account of ACME.
pub struct ExternalAccount {
    /// Goes over the wire for the NRF to read.
    pub key_id: Zeroizing<String>,
    /// Base64url. Whoever has it can make the account.
    pub mac_key: Zeroizing<String>,
    /// The names that the account may order certificates for.
    pub fqdns: Vec<String>,
}

/// Mints an external account for an instance of the lab in `folder`. Blocks on the disk.
///
/// # Errors
/// The lab has no such instance, no authority, or no key for external accounts.
pub fn mint_acme(
    folder: &Path,
    instance_id: Uuid,
    lifetime: Duration,
    now: UnixTime,
) -> Result<ExternalAccount, PkiError> {
    let path = folder.join("enrolment/acme.key");
    let key = Zeroizing::new(read(path.clone())?);
    let secrets =
        SharedSecrets::new(&key).map_err(|source| PkiError::SharedKey { path, source })?;
    let instance = instance_of(folder, instance_id)?;
    loop {
        let claims = EnrolmentClaims {
            iss: ACME_ISSUER.to_owned(),
            ..claims(&instance, now.plus(lifetime))
        };
        let mac_key = secrets.mac_key_text(claims.jti);
        // One in 64 would begin like an option, and clients take it for one.
        if !mac_key.starts_with('-') {
            return Ok(ExternalAccount {
                key_id: sign(&claims, &authority(folder)?)?,
                mac_key,
                fqdns: claims.fqdn,
            });
        }
    }
}
