//! Sessions that later handshakes resume, on both sides of an endpoint.
//!
//! ```text
//!  client   sessions are kept by the configuration of their handshake (`pool`), one peer and profile each
//!  server   (domain, leaf key, kind served, client auth, tickets) ─> a cache of sessions, or a key for tickets
//! ```
//!
//! A session carries no certificate, so who the peer is comes from the chain of the first handshake, which both sides keep;
//! whether it is still valid, and not revoked, is looked at again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mtc_core::certificate::Certificate;
use mtc_core::time::UnixTime;
use mtc_core::verify::Rejection;
use mtc_core::x509::{EndEntity, Role, UsageError};
use rustls::pki_types::CertificateDer;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};

use crate::credentials::CredentialSet;
use crate::identity::{AltNames, CertificateId, IdentityError, NfIdentity};
use crate::key::KeyAlgorithm;
use crate::kind::CertificateKind;
use crate::peer::{ExpectedPeer, VerifiedPeer, VerifyError};
use crate::pool::{Kept, lock};
use crate::profile::{ClientAuth, Tickets, Tokens, TrustDomain, Via};
use crate::revocation::StatusError;
use crate::signal::Signal;

/// Sessions that a server keeps for each kind of connection.
const SESSIONS: usize = 4096;
/// What is the same for all connections that a configuration of a server is made for, and for a session and its resumption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerKey {
    pub(crate) domain: TrustDomain,
    pub(crate) leaf_key: KeyAlgorithm,
    pub(crate) kind: CertificateKind,
    pub(crate) client_auth: ClientAuth,
    pub(crate) tickets: Tickets,
    pub(crate) tokens: Tokens,
    pub(crate) via: Via,
    pub(crate) grease: bool,
    pub(crate) signal: Signal,
}

/// How a server finds a session again.
#[derive(Clone, Debug)]
pub(crate) enum ServerSessions {
    /// It has kept it.
    Stateful(Arc<dyn StoresServerSessions>),
    /// The client gives it back, encrypted.
    Stateless(Arc<dyn ProducesTickets>),
}

/// The sessions of an endpoint's connections as a server.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<Kept<HashMap<ServerKey, ServerSessions>>>);

impl Sessions {
    /// How a server keeps sessions of connections of this kind.
    ///
    /// # Errors
    /// No key for tickets can be made.
    pub(crate) fn of(
        &self,
        set: &Arc<CredentialSet>,
        key: ServerKey,
    ) -> Result<Option<ServerSessions>, rustls::Error> {
        let mut kept = lock(&self.0);
        let known = kept.of(set);
        if let Some(sessions) = known.get(&key) {
            return Ok(Some(sessions.clone()));
        }
        let made = match key.tickets {
            Tickets::None => return Ok(None),
            Tickets::Stateful => ServerSessions::Stateful(ServerSessionMemoryCache::new(SESSIONS)),
            Tickets::Stateless => {
                ServerSessions::Stateless(rustls::crypto::aws_lc_rs::Ticketer::new()?)
            }
        };
        known.insert(key, made.clone());
        Ok(Some(made))
    }
}

/// The peer of a resumed session, by the chain that it showed when the session began.
///
/// # Errors
/// The certificate may not be used any more, or is not the peer that is wanted.
pub(crate) fn resumed_peer(
    chain: &[CertificateDer<'_>],
    role: Role,
    expected: Option<&ExpectedPeer>,
    now: UnixTime,
    domain: TrustDomain,
    set: &CredentialSet,
) -> Result<Option<VerifiedPeer>, VerifyError> {
    let Some(leaf) = chain.first() else {
        return Ok(None);
    };
    let mtc;
    let (leaf, kind) = match domain {
        TrustDomain::X509(_) => (EndEntity::parse(leaf), CertificateKind::DirectlySigned),
        TrustDomain::MtcLandmarkOr(_) if Certificate::parse(leaf).is_err() => {
            (EndEntity::parse(leaf), CertificateKind::DirectlySigned)
        }
        _ => {
            mtc = Certificate::parse(leaf).map_err(Rejection::from)?;
            let kind = CertificateKind::of_mtc(&mtc);
            (EndEntity::of_mtc(&mtc), kind)
        }
    };
    let leaf = leaf.map_err(UsageError::from)?;
    leaf.check_usage(now, Some(role))?;
    let certificate = CertificateId::of(&leaf);
    if set.is_revoked(&certificate) {
        return Err(match (kind, certificate.small_serial()) {
            (CertificateKind::DirectlySigned, _) | (_, None) => StatusError::Revoked.into(),
            (_, Some(serial)) => Rejection::Revoked(serial).into(),
        });
    }
    let names = AltNames::of(&leaf).map_err(IdentityError::from)?;
    let identity = NfIdentity::of(&leaf, names)?;
    if let Some(expected) = expected {
        expected.check(&identity)?;
    }
    Ok(Some(VerifiedPeer {
        identity,
        certificate,
        expired: false,
        kind,
        verify: std::time::Duration::ZERO,
        verification: crate::verification::Verification::default(),
    }))
}
