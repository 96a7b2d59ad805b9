//! Enrolment tokens: minted with the PKI, renewed, and minted for further instances.

use std::path::{Path, PathBuf};
use std::time::Duration;

use experiment::files::{self, WriteError};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mtc_core::time::UnixTime;
use mtc_tls::key::NfKey;
use nf_nrf::enrolment_token::TokenVerifier;
use sbi::enrolment_claims::{ENROLMENT_ISSUER, EnrolmentClaims};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::error::PkiError;
use super::folder::Folder;
use super::plan::PlannedInstance;

/// Replaces the enrolment token of an instance of the lab in `folder` by a new one for the same instance, for when the
/// old one is used or expired. Blocks on the disk.
///
/// # Errors
/// The lab has no such instance or no authority, or the disk refuses.
pub fn renew_token(
    folder: &Path,
    instance_id: Uuid,
    lifetime: Duration,
    now: UnixTime,
) -> Result<PathBuf, PkiError> {
    let instance = instance_of(folder, instance_id)?;
    mint_token(folder, &instance, lifetime, now)
}

/// Mints a token of the lab in `folder` for an instance, which need not be one of the lab's: a sidecar's. Blocks on the disk.
///
/// # Errors
/// The lab has no authority, or the disk refuses.
pub fn mint_token(
    folder: &Path,
    instance: &PlannedInstance,
    lifetime: Duration,
    now: UnixTime,
) -> Result<PathBuf, PkiError> {
    let authority = authority(folder)?;
    let path = folder.join("tokens").join(token_file(instance.instance_id));
    let token = sign(&claims(instance, now.plus(lifetime)), &authority)?;
    files::write_whole_as(&path, files::SECRET, token.as_bytes())
        .map_err(|WriteError { path, source }| PkiError::Write { path, source })?;
    Ok(path)
}

/// The instance that the token of a lab's instance is for, whether it has expired or not. Blocks on the disk.
pub(super) fn instance_of(folder: &Path, instance_id: Uuid) -> Result<PlannedInstance, PkiError> {
    let verifier = TokenVerifier::new(&read(folder.join("enrolment/authority.pub"))?)?;
    let path = folder.join("tokens").join(token_file(instance_id));
    // At the beginning of time none has.
    let claims = verifier
        .verify(read(path.clone())?.trim(), UnixTime(0))
        .map_err(|source| PkiError::OldToken { path, source })?;
    Ok(PlannedInstance {
        nf_type: claims.nf_type,
        instance_id,
        fqdn: claims.fqdn.into_iter().next().unwrap_or_default(),
    })
}

pub(super) fn read(path: PathBuf) -> Result<String, PkiError> {
    std::fs::read_to_string(&path).map_err(|source| PkiError::Read { path, source })
}

/// Mints tokens of the lab in `lab` for further instances, and puts them into `<into>/tokens`. Blocks on the disk.
///
/// # Errors
/// The lab has no authority, or the disk refuses.
pub fn mint_tokens(
    lab: &Path,
    into: &Path,
    instances: &[PlannedInstance],
    lifetime: Duration,
    now: UnixTime,
) -> Result<(), PkiError> {
    let authority = authority(lab)?;
    let tokens = Folder(into.to_owned()).private_folder("tokens")?;
    write_tokens(&tokens, instances, &authority, now.plus(lifetime))?;
    Ok(())
}

pub(super) fn write_tokens(
    folder: &Folder,
    instances: &[PlannedInstance],
    authority: &NfKey,
    expiry: UnixTime,
) -> Result<(), PkiError> {
    let write_token = |instance: &PlannedInstance| {
        let token = sign(&claims(instance, expiry), authority)?;
        folder.secret(&token_file(instance.instance_id), &token)?;
        Ok(())
    };
    instances.iter().try_for_each(write_token)
}

/// What a new token of an instance says.
pub(super) fn claims(instance: &PlannedInstance, expiry: UnixTime) -> EnrolmentClaims {
    EnrolmentClaims {
        iss: ENROLMENT_ISSUER.to_owned(),
        sub: instance.instance_id,
        nf_type: instance.nf_type.clone(),
        fqdn: vec![instance.fqdn.clone()],
        exp: expiry.0,
        jti: Uuid::new_v4(),
    }
}

pub(super) fn sign(
    claims: &EnrolmentClaims,
    authority: &NfKey,
) -> Result<Zeroizing<String>, PkiError> {
    let key = EncodingKey::from_ec_der(&authority.to_pkcs8()?);
    jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &key)
        .map(Zeroizing::new)
        .map_err(|source| PkiError::Token {
            instance_id: claims.sub,
            source,
        })
}

pub(super) fn token_file(instance_id: Uuid) -> String {
    format!("{instance_id}.jwt")
}

/// The enrolment authority of a lab.
pub(super) fn authority(lab: &Path) -> Result<NfKey, PkiError> {
    let path = lab.join("enrolment/authority.key");
    let pem = std::fs::read_to_string(&path)
        .map(Zeroizing::new)
        .map_err(|source| PkiError::Read {
            path: path.clone(),
            source,
        })?;
    NfKey::from_pem(&pem).map_err(|source| PkiError::KeyFile { path, source })
}
