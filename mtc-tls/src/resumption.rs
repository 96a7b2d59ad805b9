//! Sessions that later handshakes resume, on both sides of an endpoint.
//!
//! ```text
//!  client   (profile, expected peer) ─> slots: a ClientConfig and its sessions, one handshake at a time
//!           slot: stable verifier, stable resolver ─ handing over to ─> those of this connection
//!  server   (domain, leaf key, kind served, client auth, tickets) ─> a cache of sessions, or a key for tickets
//!
//!  a new CredentialSet: everything is dropped. What was verified by other trust is not resumed.
//! ```
//!
//! rustls resumes only with the very verifier and resolver of the first handshake, which are objects of one connection here:
//! hence the slots. A session carries no certificate, so who the peer is comes from the chain of the first handshake, which
//! both sides keep; whether it is still valid is looked at again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mtc_core::certificate::Certificate;
use mtc_core::id::{IdError, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_core::verify::Rejection;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime as TlsTime};
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, SignatureScheme};

use crate::credentials::CredentialSet;
use crate::identity::{IdentityError, Leaf, Role, UsageError};
use crate::key::KeyAlgorithm;
use crate::kind::CertificateKind;
use crate::peer::{ExpectedPeer, VerifiedPeer, VerifyError};
use crate::profile::{ClientAuth, ConnectionProfile, Tickets, TrustDomain};
use crate::resolver::ClientResolver;
use crate::verifier::PeerVerifier;

/// Sessions that a server keeps for each kind of connection.
const SESSIONS: usize = 4096;
/// Slots of a client for each peer, which is how many handshakes with it may be under way and still leave a session.
const SLOTS: usize = 256;
/// Below a CA's ID, beside what relying parties say of their cosigners.
const TICKETS_BRANCH: u64 = 4;

/// The names by which clients ask for tickets, which are no anchors: `C.4.1` stateful, `C.4.2` stateless.
pub(crate) fn ticket_name(
    tickets: Tickets,
    ca: &TrustAnchorId,
) -> Result<Option<TrustAnchorId>, IdError> {
    let number = match tickets {
        Tickets::None => return Ok(None),
        Tickets::Stateful => 1,
        Tickets::Stateless => 2,
    };
    ca.child(&[TICKETS_BRANCH, number]).map(Some)
}

/// Which tickets a client asks for.
pub(crate) fn wanted_tickets<'a>(
    names: impl IntoIterator<Item = &'a [u8]>,
    ca: &TrustAnchorId,
) -> Tickets {
    let is = |tickets, name: &TrustAnchorId| {
        ticket_name(tickets, ca).is_ok_and(|wanted| wanted.as_ref() == Some(name))
    };
    names
        .into_iter()
        .filter_map(|name| TrustAnchorId::from_name(name).ok())
        .find_map(|name| {
            [Tickets::Stateful, Tickets::Stateless]
                .into_iter()
                .find(|tickets| is(*tickets, &name))
        })
        .unwrap_or_default()
}

/// The sessions of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    client: Mutex<Kept<HashMap<ClientKey, Vec<Slot>>>>,
    server: Mutex<Kept<HashMap<ServerKey, ServerSessions>>>,
}

/// Something that is good for one set of credentials.
#[derive(Debug, Default)]
struct Kept<T> {
    set: Option<Arc<CredentialSet>>,
    what: T,
}

impl<T: Default> Kept<T> {
    /// What is kept for `set`; what was kept for another is dropped.
    fn of(&mut self, set: &Arc<CredentialSet>) -> &mut T {
        if !self.set.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, set)) {
            self.set = Some(set.clone());
            self.what = T::default();
        }
        &mut self.what
    }
}

type ClientKey = (ConnectionProfile, ExpectedPeer);

/// What must be the same for a server to resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerKey {
    pub(crate) domain: TrustDomain,
    pub(crate) leaf_key: Option<KeyAlgorithm>,
    pub(crate) kind: CertificateKind,
    pub(crate) client_auth: ClientAuth,
    pub(crate) tickets: Tickets,
}

/// How a server finds a session again.
#[derive(Clone, Debug)]
pub(crate) enum ServerSessions {
    /// It has kept it.
    Stateful(Arc<dyn StoresServerSessions>),
    /// The client gives it back, encrypted.
    Stateless(Arc<dyn ProducesTickets>),
}

/// A client's configuration with the sessions that it may resume; nobody else has it meanwhile.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) config: Arc<ClientConfig>,
    relay: Arc<Relay>,
    /// Last second in which the peer's certificate of the sessions is valid.
    not_after: Option<u64>,
}

impl Slot {
    /// A slot whose configuration uses `relay`.
    pub(crate) const fn new(config: Arc<ClientConfig>, relay: Arc<Relay>) -> Self {
        Self {
            config,
            relay,
            not_after: None,
        }
    }

    /// Hands the next handshake to what verifies and presents for it.
    pub(crate) fn aim(&self, verifier: PeerVerifier, resolver: ClientResolver) {
        *lock(&self.relay.current) = Some((Arc::new(verifier), Arc::new(resolver)));
    }

    /// Notes whom the sessions are with.
    pub(crate) const fn met(&mut self, peer: &VerifiedPeer) {
        self.not_after = Some(peer.identity.not_after);
    }
}

impl Sessions {
    /// A slot for a connection, if one is free whose peer is still valid at `now`.
    pub(crate) fn take(
        &self,
        set: &Arc<CredentialSet>,
        key: &ClientKey,
        now: UnixTime,
    ) -> Option<Slot> {
        let mut kept = lock(&self.client);
        let slots = kept.of(set).get_mut(key)?;
        slots.retain(|slot| slot.not_after.is_none_or(|end| now.0 <= end));
        slots.pop()
    }

    /// Puts a slot back when its handshake is complete: what comes later over the connection does not need it.
    pub(crate) fn put_back(&self, set: &Arc<CredentialSet>, key: ClientKey, slot: Slot) {
        let mut kept = lock(&self.client);
        // A set that has come meanwhile keeps its own.
        if kept
            .set
            .as_ref()
            .is_some_and(|kept| !Arc::ptr_eq(kept, set))
        {
            return;
        }
        let slots = kept.of(set).entry(key).or_default();
        if slots.len() < SLOTS {
            slots.push(slot);
        }
    }

    /// How a server keeps sessions of connections of this kind.
    ///
    /// # Errors
    /// No key for tickets can be made.
    pub(crate) fn server(
        &self,
        set: &Arc<CredentialSet>,
        key: ServerKey,
    ) -> Result<Option<ServerSessions>, rustls::Error> {
        let mut kept = lock(&self.server);
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
) -> Result<Option<VerifiedPeer>, VerifyError> {
    let Some(leaf) = chain.first() else {
        return Ok(None);
    };
    let certificate;
    let (leaf, kind) = match domain {
        TrustDomain::X509(_) => (Leaf::parse(leaf), CertificateKind::DirectlySigned),
        _ => {
            certificate = Certificate::parse(leaf).map_err(Rejection::from)?;
            let kind = CertificateKind::of_mtc(&certificate);
            (Leaf::of_mtc(&certificate), kind)
        }
    };
    let leaf = leaf.map_err(UsageError::from)?;
    leaf.check_usage(now, role)?;
    let identity = leaf.identity(leaf.alt_names().map_err(IdentityError::from)?)?;
    if let Some(expected) = expected {
        expected.check(&identity)?;
    }
    Ok(Some(VerifiedPeer {
        identity,
        expired: false,
        kind,
        verify: std::time::Duration::ZERO,
        verification: crate::verification::Verification::default(),
    }))
}

/// No panic happens under these locks, and what is kept is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Verifier and resolver of a slot: what is the same for all its connections, and who acts for the current one.
#[derive(Debug)]
pub(crate) struct Relay {
    hint: Arc<[DistinguishedName]>,
    schemes: Vec<SignatureScheme>,
    has_certificate: bool,
    current: Mutex<Option<(Arc<PeerVerifier>, Arc<ClientResolver>)>>,
}

impl Relay {
    /// A relay to handshakes like the one of `verifier` and `resolver`.
    pub(crate) fn new(verifier: &PeerVerifier, resolver: &ClientResolver) -> Self {
        Self {
            hint: verifier.hint.clone(),
            schemes: verifier.schemes.clone(),
            has_certificate: resolver.has_certs(),
            current: Mutex::default(),
        }
    }

    fn verifier(&self) -> Result<Arc<PeerVerifier>, rustls::Error> {
        let current = lock(&self.current);
        let verifier = current.as_ref().map(|(verifier, _)| verifier.clone());
        verifier.ok_or_else(|| rustls::Error::General("nobody verifies this handshake".to_owned()))
    }
}

impl ServerCertVerifier for Relay {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: TlsTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = self.verifier()?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls12_signature(&*self.verifier()?, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls13_signature(&*self.verifier()?, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        Some(&self.hint)
    }
}

impl ResolvesClientCert for Relay {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let resolver = lock(&self.current)
            .as_ref()
            .map(|(_, resolver)| resolver.clone());
        resolver?.resolve(root_hint_subjects, sigschemes)
    }

    fn has_certs(&self) -> bool {
        self.has_certificate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_ask_for_tickets_by_name() {
        let ca: TrustAnchorId = "32473.1".parse().expect("an ID");
        for (name, tickets) in [
            ("32473.1.4.1", Tickets::Stateful),
            ("32473.1.4.2", Tickets::Stateless),
            ("32473.1.4.3", Tickets::None),
            ("32473.1", Tickets::None),
            ("32473.2.4.1", Tickets::None),
        ] {
            let id: TrustAnchorId = name.parse().expect("an ID");
            assert_eq!(wanted_tickets([&*id.to_name()], &ca), tickets, "{name}");
            assert_eq!(
                crate::hints::mtc_anchor([&*id.to_name()], &ca).is_some(),
                name == "32473.1"
            );
        }
    }
}
