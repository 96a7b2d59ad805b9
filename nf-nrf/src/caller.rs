//! Who calls a service of the registry, and what that lets it do.
//!
//! ```text
//!   SBI over mutual TLS    a certificate says who it is           Certified: its own instance, and what its type may
//!   SBI in cleartext       the request says so, and may lie       Claimed: any instance that was registered in cleartext too
//! ```
//!
//! The two have a registry each ([`crate::cleartext`]), so that nothing that is said in cleartext changes, or is shown to those
//! with certificates.

use std::sync::Arc;

use mtc_tls::identity::NfIdentity;
use sbi::model::NfInstanceId;
use sbi::problem::Problem;
use sbi::server::Request;

use crate::registry::SharedRegistry;

/// Whom a service takes requests from.
#[derive(Clone, Default)]
pub enum Callers {
    /// Those with a certificate.
    #[default]
    Certified,
    /// Those without: they are who they say they are, but nobody who is registered with a certificate.
    Claimed {
        /// The instances that are registered with a certificate.
        certified: Arc<SharedRegistry>,
    },
}

/// Who sent a request.
#[derive(Clone, Copy)]
pub enum Caller<'a> {
    /// The instance of a certificate.
    Certified(&'a NfIdentity),
    /// Anybody but `certified`.
    Claimed {
        /// The instances that are registered with a certificate.
        certified: &'a SharedRegistry,
    },
}

impl Callers {
    /// Who sent `request`.
    ///
    /// # Errors
    /// `403` without a certificate where one is needed.
    pub fn identify<'a>(&'a self, request: &'a Request) -> Result<Caller<'a>, Problem> {
        match self {
            Self::Claimed { certified } => Ok(Caller::Claimed { certified }),
            Self::Certified => {
                let identity = request.peer.identity.as_ref();
                identity.map(Caller::Certified).ok_or_else(|| {
                    Problem::certificate_mismatch(
                        "this service needs a client certificate of an NF instance",
                    )
                })
            }
        }
    }
}

impl<'a> Caller<'a> {
    /// The identity that a certificate proves; none if the caller only claims one.
    pub const fn identity(self) -> Option<&'a NfIdentity> {
        match self {
            Self::Certified(identity) => Some(identity),
            Self::Claimed { .. } => None,
        }
    }

    /// Whether the caller may act as the instance `id`: the one of its certificate, or, without one, any that nobody has
    /// registered with a certificate.
    ///
    /// # Errors
    /// `403`.
    pub fn require_own(self, id: NfInstanceId) -> Result<(), Problem> {
        match self {
            Self::Certified(identity) => {
                let certified = NfInstanceId::from(identity.instance_id);
                if certified == id {
                    return Ok(());
                }
                Err(Problem::certificate_mismatch(format!(
                    "certificate is of instance {certified}, path is of {id}"
                )))
            }
            Self::Claimed { certified } => {
                if certified.read(|registry| registry.get(id).is_none()) {
                    return Ok(());
                }
                Err(Problem::certificate_mismatch(format!(
                    "instance {id} is registered with a certificate, which cleartext requests lack"
                )))
            }
        }
    }
}
