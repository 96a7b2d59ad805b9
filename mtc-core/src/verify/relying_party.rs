//! The relying party whole: who vouches for a certificate, when it is valid, whose it is and what it may be used for.

use thiserror::Error;

use super::policy::{Policy, PolicyError};
use super::revoked::RevokedRange;
use super::trust::CaTrust;
use super::trusted_subtree::TrustedSubtree;
use super::{Accepted, Rejection};
use crate::ca::CaCertificate;
use crate::certificate::Certificate;
use crate::time::UnixTime;
use crate::x509::{EndEntity, Role, UsageError};

/// Why a certificate is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unacceptable {
    /// The CA does not vouch for it, or is not trusted.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It must not be used so, whoever vouches for it.
    #[error(transparent)]
    Usage(#[from] UsageError),
}

/// A relying party of one CA (Section 7): the CA, the policy and, each time, name, role and time are arguments that cannot be
/// forgotten. The crate's README has a program. Clones share what [`CaTrust::remembering`] remembers.
#[derive(Clone, Debug)]
pub struct RelyingParty {
    trust: CaTrust,
}

impl RelyingParty {
    /// Trusts a CA as its certificate describes it, where the policy is met.
    ///
    /// # Errors
    /// The policy counts the CA as a cosigner of its own.
    pub fn new(ca: &CaCertificate, policy: Policy) -> Result<Self, PolicyError> {
        let trust = CaTrust::ca_alone(ca);
        let trust = match policy {
            Policy::CaAlone => trust,
            Policy::CaAnd(group) => trust.require(group)?,
        };
        Ok(Self { trust })
    }

    /// This relying party with exactly these trusted subtrees, such as those of the landmarks that it knows.
    #[must_use]
    pub fn with_trusted_subtrees(
        &self,
        subtrees: impl IntoIterator<Item = TrustedSubtree>,
    ) -> Self {
        Self {
            trust: self.trust.with_trusted_subtrees(subtrees),
        }
    }

    /// Accepts no certificate with these serial numbers any more.
    pub fn revoke(&mut self, range: RevokedRange) {
        self.trust.revoke(range);
    }

    /// Verifies the certificate of a peer that is called `name`, a host name, and acts as `role`, at the time `at`: the CA's
    /// procedure (Section 7.2), then validity, critical extensions, subjectAltName, keyUsage and extKeyUsage.
    ///
    /// # Errors
    /// The first rule that the certificate breaks.
    pub fn verify_for(
        &self,
        certificate: &[u8],
        name: &str,
        role: Role,
        at: UnixTime,
    ) -> Result<Accepted, Unacceptable> {
        let (accepted, end_entity) = self.issued(certificate)?;
        end_entity.check_usage(at, Some(role))?;
        end_entity.check_name(name)?;
        Ok(accepted)
    }

    /// Verifies a certificate as [`Self::verify_for`] does, for whoever looks at certificates and has no peer to compare with:
    /// its names are not judged, and it may leave open what it is for, so this must not decide about a connection.
    ///
    /// # Errors
    /// The first rule that the certificate breaks.
    pub fn verify_without_peer(
        &self,
        certificate: &[u8],
        at: UnixTime,
    ) -> Result<Accepted, Unacceptable> {
        let (accepted, end_entity) = self.issued(certificate)?;
        end_entity.check_usage(at, None)?;
        Ok(accepted)
    }

    /// What the CA says of a certificate, and what the certificate says of itself.
    fn issued<'a>(&self, certificate: &'a [u8]) -> Result<(Accepted, EndEntity<'a>), Unacceptable> {
        let certificate = Certificate::parse(certificate).map_err(Rejection::from)?;
        let accepted = self.trust.verify_issuance_observed(&certificate, &mut ())?;
        let end_entity = EndEntity::of_mtc(&certificate).map_err(UsageError::from)?;
        Ok((accepted, end_entity))
    }
}

impl From<CaTrust> for RelyingParty {
    /// A relying party with the policy, subtrees and revocation of this trust.
    fn from(trust: CaTrust) -> Self {
        Self { trust }
    }
}
