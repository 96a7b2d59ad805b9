//! A handshake as a network function of a lab would have it, with a server that need not be of the lab.
//!
//! ```text
//! LAB/trust.toml, the log's landmarks ──> what is trusted ─┐
//! LAB/state/.../<nfInstanceId>.json ────> what is shown ───┴─> Endpoint ──> handshake ──> who is there, and how that was verified
//! ```

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use mtc_tls::clock::Clock;
use mtc_tls::credentials::{CredentialSet, MtcTrust, Store};
use mtc_tls::endpoint::Endpoint;
use mtc_tls::handshake::{self, Connected, HandshakeError};
use mtc_tls::key::{X509Profile, X509Revocation};
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::{ConnectionProfile, TrustDomain};
use mtc_web::Prefix;
use sbi::config::Wanted;
use sbi::nf::NfError;
use sbi::trust::{TrustError, TrustUpdater};
use sbi::trust_file::{TrustFile, TrustFileError};
use sbi::vault::RestoreError;
use sbi::x509_status::{FetchError, current_trust};
use thiserror::Error;

use super::{Identity, IdentityError};

/// How long the handshake, and reading the log, may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why there was no handshake.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No such network function.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What it has stored cannot be used.
    #[error("the stored credentials")]
    Restore(#[from] RestoreError),
    /// Whom it trusts cannot be read.
    #[error(transparent)]
    TrustFile(#[from] TrustFileError),
    /// A root cannot be read.
    #[error(transparent)]
    Root(#[from] NfError),
    /// The log's landmarks cannot be read, which the profile needs.
    #[error("the landmarks of the lab's log; is the lab up?")]
    Landmarks(#[from] TrustError),
    /// The CRLs cannot be had, which the profile needs.
    #[error("the CRLs of the lab's CAs; is the lab up?")]
    Lists(#[from] FetchError),
    /// The CA's certificate does not say where the log is.
    #[error("the CA certificate of the lab has no URL of its logs, and {0} needs what is there")]
    NoLog(TrustDomain),
    /// The handshake failed.
    #[error("no handshake")]
    Handshake(#[from] HandshakeError),
}

/// A handshake with the server `name` at `addr`, in which the network function `wanted` of the lab in `lab` (`amf1`, its FQDN or its instance
/// id) shows and trusts what it would there. Nothing is sent afterwards.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(
    lab: &Path,
    wanted: &str,
    addr: SocketAddr,
    name: &str,
    profile: ConnectionProfile,
) -> Result<Connected, ConnectError> {
    let identity = Identity::find(lab, wanted)?;
    let clock = Clock::default();
    let mut set = CredentialSet::new(mtc_trust(lab, profile, clock).await?, Vec::new());
    let mut roots = Vec::new();
    for credential in &identity.stored.credentials {
        match credential.profile.strip_prefix("x509-") {
            None => set.mtc.push(credential.mtc()?),
            Some(name) => {
                let x509: X509Profile = name.parse().map_err(RestoreError::from)?;
                roots.push(Wanted::X509(x509, profile.leaf_key));
                set.x509.push(credential.x509(x509)?);
            }
        }
    }
    set.x509_trust = sbi::nf::x509_trust(Some(&lab.join("x509")), &roots)?;
    if let TrustDomain::X509(x509) = profile.domain
        && x509.revocation != X509Revocation::None
    {
        let file = TrustFile::load(&lab.join("trust.toml"))?;
        let trust = current_trust(log_of(&file, profile.domain)?, &set, x509, clock).await?;
        set.x509_trust.retain(|root| root.profile() != x509);
        set.x509_trust.push(trust);
    }
    let endpoint = Endpoint::new(Store::new(set).receiver(), clock);
    let expected = ExpectedPeer {
        fqdn: name.to_owned(),
        instance_id: None,
        nf_type: None,
    };
    Ok(handshake::connect(addr, &endpoint, profile, expected, TIMEOUT).await?)
}

/// Whom network functions of the lab trust, with the log's landmarks where the profile wants them.
async fn mtc_trust(
    lab: &Path,
    profile: ConnectionProfile,
    clock: Clock,
) -> Result<MtcTrust, ConnectError> {
    let file = TrustFile::load(&lab.join("trust.toml"))?;
    if !matches!(
        profile.domain,
        TrustDomain::MtcLandmark | TrustDomain::MtcLandmarkOr(_)
    ) {
        return Ok(MtcTrust::new(file.trust));
    }
    let prefix = log_of(&file, profile.domain)?;
    let mut updater = TrustUpdater::new(prefix, file.logs, file.trust)?;
    updater.update(clock.now()).await?;
    Ok(updater.trust().clone())
}

/// Where the lab's log is, and what else is served beside it.
fn log_of(file: &TrustFile, domain: TrustDomain) -> Result<Prefix, ConnectError> {
    let prefix = file.certificate.prefix_url.as_deref();
    let prefix = prefix.and_then(|url| url.parse().ok());
    prefix.ok_or(ConnectError::NoLog(domain))
}
