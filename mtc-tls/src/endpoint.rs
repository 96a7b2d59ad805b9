//! TLS configurations of what is published at a moment.
//!
//! TLS 1.3 only, ALPN `h2` unless an endpoint speaks another protocol. Every handshake is a full one, unless the connection profile wants tickets. A configuration is
//! made once for a set of credentials and a kind of connection and serves one handshake after the other (`pool`); what is
//! one connection's own sits on its `seat` meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mtc_core::cosign::{KeyError, PublicKey};
use mtc_core::id::TrustAnchorId;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime as TlsTime};
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::version::TLS13;
use rustls::{ClientConfig, DistinguishedName, KeyLog, NoKeyLog, ServerConfig};

use crate::anchor_bytes::AnchorBytes;
use crate::clock::Clock;
use crate::credentials::{Credential, CredentialSet, Receiver};
use crate::grease;
use crate::identity::{CertificateId, NfIdentity};
use crate::key::KeyAlgorithm;
use crate::notes::Notes;
use crate::peer::{ExpectedPeer, VerifiedPeer, VerifyError};
use crate::pool::{Pool, SLOTS, Slot};
use crate::presented::Presented;
use crate::profile::{ClientAuth, ConnectionProfile, Tickets, TrustDomain};
use crate::provider::{KeyExchange, provider, signature_scheme};
use crate::record::certificate_request_length;
use crate::resolver::{ClientResolver, ServerChoice, Service, choose_for_client};
use crate::resumption::{ServerKey, ServerSessions, Sessions};
use crate::seat::{Occupant, Seat};
use crate::signal::Signal;
use crate::trust_anchors::{self, TrustAnchors, TrustAnchorsError};
use crate::verifier::{PeerVerifier, Trust};
use crate::wishes;

/// HTTP/2, in ALPN: what an endpoint speaks unless it is told another protocol.
pub const HTTP2: &[u8] = b"h2";
/// HTTP/1.1, in ALPN.
pub const HTTP1: &[u8] = b"http/1.1";

/// A slot has one peer; rustls keeps a few tickets for each, of which one is used at a time.
const SESSIONS_OF_SLOT: usize = 1;

/// One handshake in so many is broken down into steps and asked for its TCP facts: each step adds a reading of the
/// thread's clock, which made verifications of MTCs 5 µs longer where it was measured, and a question about TCP facts takes several microseconds.
pub const SAMPLED_ONE_IN: u64 = 16;

/// Why a certificate that came in another way than in a handshake is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// There is none.
    #[error("no certificate")]
    Empty,
    /// Nothing of the trust domain is trusted here.
    #[error("the trust domain is not one of this endpoint")]
    Domain(#[source] rustls::Error),
    /// A handshake would have failed with it.
    #[error(transparent)]
    Refused(#[from] VerifyError),
    /// Its key is not one.
    #[error("the key of the certificate")]
    Key(#[from] KeyError),
}

/// One NF instance's side of TLS connections.
#[derive(Clone, Debug)]
pub struct Endpoint {
    credentials: Receiver,
    clock: Clock,
    /// The provider of a server, which accepts every group.
    any_group: Arc<CryptoProvider>,
    /// The code point of `trust_anchors`.
    trust_anchors: u16,
    /// Whether its clients offer all that they can, beside what a connection's profile says.
    offers_all: bool,
    /// Where a client is served that says nothing of what it trusts.
    fallback: TrustDomain,
    /// Whether it has Merkle Tree Certificates for mixed estates.
    upgraded: bool,
    /// The protocols of its connections, in ALPN, the best first.
    protocols: &'static [&'static [u8]],
    sampling: Sampling,
    /// Who is told the secrets of connections.
    key_log: Arc<dyn KeyLog>,
    /// Configurations of a kind that wait at most.
    slots: usize,
    pools: Arc<Pools>,
}

/// Which handshakes are sampled ([`SAMPLED_ONE_IN`]): those of an endpoint, or at a port that several share. It follows no pattern that load
/// could have, and is the same each time. Clones choose together.
#[derive(Clone, Debug, Default)]
pub struct Sampling(Arc<AtomicU64>);

impl Sampling {
    /// Notes for the next handshake.
    pub(crate) fn notes(&self) -> Arc<Notes> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Arc::new(Notes {
            sampled: scrambled(number).is_multiple_of(SAMPLED_ONE_IN),
            ..Notes::default()
        })
    }
}

/// A configuration, lent to one connection until its handshake is complete.
#[derive(Debug)]
pub(crate) struct Lease<K, C> {
    set: Arc<CredentialSet>,
    kind: K,
    slot: Slot<C>,
}

/// A client's: for one peer where sessions are resumed.
pub(crate) type ClientLease = Lease<ClientKey, ClientConfig>;
/// A server's.
pub(crate) type ServerLease = Lease<ServerKey, ServerConfig>;
type ClientKey = (ConnectionProfile, Option<ExpectedPeer>);

impl<K, C> Lease<K, C> {
    pub(crate) const fn config(&self) -> &Arc<C> {
        &self.slot.config
    }
}

impl ServerLease {
    /// What the connection is like as far as the server has chosen it.
    pub(crate) const fn key(&self) -> &ServerKey {
        &self.kind
    }
}

/// Configurations that wait for the next handshake.
#[derive(Debug)]
struct Pools {
    client: Pool<ClientKey, ClientConfig>,
    server: Pool<ServerKey, ServerConfig>,
    sessions: Sessions,
}

impl Pools {
    /// So many of a kind may wait.
    fn new(most: usize) -> Self {
        Self {
            client: Pool::new(most),
            server: Pool::new(most),
            sessions: Sessions::default(),
        }
    }
}

impl Endpoint {
    /// An endpoint that uses what `credentials` publishes.
    pub fn new(credentials: Receiver, clock: Clock) -> Self {
        Self {
            credentials,
            clock,
            any_group: provider(&KeyExchange::ALL),
            trust_anchors: trust_anchors::CODE_POINT,
            offers_all: false,
            fallback: TrustDomain::MtcStandalone,
            upgraded: true,
            protocols: &[HTTP2],
            sampling: Sampling::default(),
            key_log: Arc::new(NoKeyLog),
            slots: SLOTS,
            pools: Arc::new(Pools::new(SLOTS)),
        }
    }

    /// Makes a configuration for each handshake and keeps none, for endpoints of which there are many: one that waits takes as much memory
    /// as the certificates in it. Sessions are then resumed by servers only.
    #[must_use]
    pub fn keeping_no_configurations(self) -> Self {
        Self {
            slots: 0,
            pools: Arc::new(Pools::new(0)),
            ..self
        }
    }

    /// Writes the secrets of this endpoint's connections to `key_log`, so that a packet capture of them can be decrypted.
    /// By default they are written nowhere, whatever the environment says.
    #[must_use]
    pub fn with_key_log(self, key_log: Arc<dyn KeyLog>) -> Self {
        Self {
            key_log,
            // Configurations tell whom they were made to tell.
            pools: Arc::new(Pools::new(self.slots)),
            ..self
        }
    }

    /// An endpoint of the same instance whose clients offer every key exchange and every signature that can be verified, those of the
    /// connection's profile first: for connections that are not measured, to servers that have another key.
    #[must_use]
    pub fn offering_all(&self) -> Self {
        Self {
            offers_all: true,
            // Configurations offer what they were made to offer.
            pools: Arc::new(Pools::new(self.slots)),
            ..self.clone()
        }
    }

    /// An endpoint of the same instance that speaks `protocols`, as ALPN names them (RFC 7301), the first best, and no others. A peer that
    /// names no protocol is taken at its word; one that names others is refused.
    #[must_use]
    pub fn speaking(&self, protocols: &'static [&'static [u8]]) -> Self {
        Self {
            protocols,
            // Configurations name what they were made to name.
            pools: Arc::new(Pools::new(self.slots)),
            ..self.clone()
        }
    }

    /// Reads the extension `trust_anchors` at this code point, which IANA has yet to assign; by default at
    /// [`trust_anchors::CODE_POINT`].
    #[must_use]
    pub fn with_trust_anchors_at(self, code_point: u16) -> Self {
        Self {
            trust_anchors: code_point,
            ..self
        }
    }

    /// Serves clients that say nothing of what they trust in this domain; by default as those that know the MTCA's cosigners,
    /// which stands for every domain of the MTCA.
    #[must_use]
    pub fn with_fallback(self, fallback: TrustDomain) -> Self {
        Self { fallback, ..self }
    }

    /// In the domain of mixed estates, presents and trusts X.509 only, as a party does that is not upgraded. In all others it makes no
    /// difference.
    #[must_use]
    pub fn not_upgraded(self) -> Self {
        Self {
            upgraded: false,
            // Configurations show what they were made to show.
            pools: Arc::new(Pools::new(self.slots)),
            ..self
        }
    }

    /// A connection's domain as this party knows it.
    const fn known(&self, domain: TrustDomain) -> TrustDomain {
        if self.upgraded {
            domain
        } else {
            domain.not_upgraded()
        }
    }

    /// What a client says that it trusts by the extension `trust_anchors`, if the ClientHello in these records has it.
    pub(crate) fn trust_anchors(
        &self,
        records: &[u8],
    ) -> Result<Option<TrustAnchors>, TrustAnchorsError> {
        TrustAnchors::of_records(records, self.trust_anchors)
    }

    /// The clock of this endpoint.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// What is published now.
    pub fn credentials(&self) -> Arc<CredentialSet> {
        self.credentials.current()
    }

    /// Waits until this certificate is revoked, as the trust that is published says; for ever, if it never is.
    ///
    /// Dropping the future loses nothing.
    pub fn revoked(&self, certificate: CertificateId) -> impl Future<Output = ()> + Send + use<> {
        let mut credentials = self.credentials.clone();
        async move {
            let is_revoked = |set: &CredentialSet| set.is_revoked(&certificate);
            if !credentials.wait_for(is_revoked).await {
                std::future::pending().await
            }
        }
    }

    /// Whose certificate the first of `chain` is, DER, and its key: judged as a client's in a handshake of this domain, now.
    ///
    /// # Errors
    /// See [`JudgeError`].
    pub fn judge(
        &self,
        domain: TrustDomain,
        chain: &[Vec<u8>],
    ) -> Result<(NfIdentity, PublicKey), JudgeError> {
        let set = self.credentials.current();
        let chain: Vec<CertificateDer<'_>> = chain
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let (leaf, intermediates) = chain.split_first().ok_or(JudgeError::Empty)?;
        let seat = Arc::default();
        let verifier = verifier(&set, domain, Vec::new(), &self.any_group, &seat)
            .map_err(JudgeError::Domain)?;
        let now = Duration::from_secs(self.clock.now().0);
        let now = TlsTime::since_unix_epoch(now);
        let (peer, key) = verifier.judge_client(leaf, intermediates, now)?;
        Ok((peer.identity, PublicKey::from_spki(&key)?))
    }

    /// Notes for the next handshake.
    pub(crate) fn notes(&self) -> Arc<Notes> {
        self.sampling.notes()
    }

    /// A client's configuration for one connection, whose outcome appears in `notes`.
    ///
    /// Fails with the name of the trust domain if nothing of it is trusted here.
    pub(crate) fn client(
        &self,
        profile: ConnectionProfile,
        expected: ExpectedPeer,
        notes: &Arc<Notes>,
    ) -> Result<ClientLease, rustls::Error> {
        let set = self.credentials.current();
        let resumes = profile.tickets != Tickets::None;
        let kind = (profile, resumes.then(|| expected.clone()));
        let slot = match self.pools.client.take(&set, &kind, self.clock.now()) {
            Some(slot) => slot,
            None => self.new_client(&set, profile)?,
        };
        let _ = notes.anchors.set(slot.anchors);
        slot.seat.seat(Some(Occupant {
            notes: notes.clone(),
            expected: Some(Arc::new(expected)),
        }));
        Ok(Lease { set, kind, slot })
    }

    fn new_client(
        &self,
        set: &CredentialSet,
        profile: ConnectionProfile,
    ) -> Result<Slot<ClientConfig>, rustls::Error> {
        let mut groups = vec![profile.key_exchange];
        let mut keys = vec![profile.leaf_key];
        if let TrustDomain::X509(x509) | TrustDomain::MtcLandmarkOr(x509) = profile.domain {
            keys.push(x509.ca_signature);
        }
        if self.offers_all {
            groups.extend(KeyExchange::ALL);
            keys.extend(KeyAlgorithm::ALL);
        }
        let provider = provider(&each_once(groups));
        let schemes = each_once(keys).into_iter().map(signature_scheme).collect();
        let seat = Arc::new(Seat::default());
        let domain = self.known(profile.domain);
        let mut verifier = verifier(set, domain, schemes, &provider, &seat)?;
        let resolver = ClientResolver::new(set, profile, self.upgraded, &seat);
        verifier.hint = greased(verifier.hint, profile.grease, domain, set);
        let anchors = AnchorBytes::naming(&anchors(&verifier.hint, domain), &[]);
        let wishes = wishes::names(profile, self.upgraded, set.mtc_trust.ca()).map_err(long_id)?;
        if !wishes.is_empty() {
            let wishes = wishes
                .iter()
                .map(|name| DistinguishedName::from(name.to_name()));
            verifier.hint = verifier.hint.iter().cloned().chain(wishes).collect();
        }
        let resumption = match profile.tickets {
            Tickets::None => Resumption::disabled(),
            Tickets::Stateful | Tickets::Stateless => {
                Resumption::in_memory_sessions(SESSIONS_OF_SLOT)
            }
        };
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(self.clock))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        config.key_log = self.key_log.clone();
        config.resumption = resumption;
        Ok(Slot {
            config: Arc::new(config),
            seat,
            certificate_request: None,
            anchors,
            not_after: None,
        })
    }

    /// Ends a client's handshake with `peer`: configuration and sessions may be used for the next one.
    pub(crate) fn met(&self, lease: ClientLease, peer: &VerifiedPeer) {
        let Lease {
            set,
            kind,
            mut slot,
        } = lease;
        slot.not_after = kind.1.as_ref().map(|_| peer.identity.not_after);
        self.pools.client.put_back(&set, kind, slot);
    }

    /// A server's configuration for one connection, whose outcome appears in `notes`.
    ///
    /// Fails if no credential fits the client.
    pub(crate) fn server(
        &self,
        hello: &ClientHello<'_>,
        anchors: Option<&TrustAnchors>,
        client_auth: ClientAuth,
        notes: &Arc<Notes>,
    ) -> Result<ServerLease, rustls::Error> {
        let set = self.credentials.current();
        let ServerChoice {
            domain,
            signal,
            presented,
            downgrade,
        } = choose_for_client(&set, hello, anchors, self.service());
        let _ = notes.downgrade.set(downgrade);
        let (certificate, credential) = presented.ok_or_else(|| {
            let named_nobody = match (anchors, hello.certificate_authorities()) {
                (None, None) => ", which stands for a client that names no certificate_authorities (openssl: -requestCAfile)",
                _ => "",
            };
            rustls::Error::General(format!(
                "no credential of trust domain {domain}{named_nobody} with a key that the client can verify"
            ))
        })?;
        let names = hello.certificate_authorities().unwrap_or_default();
        let (names, ca) = (|| names.iter().map(AsRef::as_ref), set.mtc_trust.ca());
        let kind = ServerKey {
            domain,
            leaf_key: credential.leaf_key,
            kind: certificate,
            client_auth,
            tickets: wishes::tickets(names(), ca),
            tokens: wishes::tokens(names(), ca),
            via: wishes::via(names(), ca),
            grease: wishes::grease(names(), ca),
            signal,
        };
        let credential = credential.or_greased(kind.grease);
        let slot = match self.pools.server.take(&set, &kind, self.clock.now()) {
            Some(slot) => slot,
            None => self.new_server(&set, kind, credential)?,
        };
        let _ = notes.anchors.set(slot.anchors);
        if let Some(length) = slot.certificate_request {
            let _ = notes.certificate_request.set(length);
        }
        slot.seat.seat(Some(Occupant {
            notes: notes.clone(),
            expected: None,
        }));
        Ok(Lease { set, kind, slot })
    }

    const fn service(&self) -> Service {
        Service {
            fallback: self.fallback,
            upgraded: self.upgraded,
        }
    }

    fn new_server(
        &self,
        set: &Arc<CredentialSet>,
        kind: ServerKey,
        credential: &Credential,
    ) -> Result<Slot<ServerConfig>, rustls::Error> {
        let schemes = KeyAlgorithm::ALL.map(signature_scheme).to_vec();
        let seat = Arc::new(Seat::default());
        let domain = self.known(kind.domain);
        let verifier = verifier(set, domain, schemes, &self.any_group, &seat)?;
        let landmarks = set.mtc_trust.landmarks.as_ref();
        let verifier = PeerVerifier {
            mandatory: kind.client_auth == ClientAuth::Required,
            expired_within: kind.client_auth.expired_within(),
            // Who has not used the stand-in is not answered by it.
            hint: match (domain, kind.signal) {
                (TrustDomain::X509(_) | TrustDomain::MtcLandmarkOr(_), _)
                | (_, Signal::StandIn) => greased(verifier.hint, kind.grease, domain, set),
                _ => Arc::default(),
            },
            trust: verifier
                .trust
                .or_landmarks(landmarks.map(|landmarks| &landmarks.trust)),
            ..verifier
        };
        let anchors = AnchorBytes::naming(
            &anchors(&verifier.hint, domain),
            &set.anchors(kind.leaf_key),
        );
        let authorities = verifier.hint.iter().map(AsRef::as_ref);
        let certificate_request = certificate_request_length(&verifier.schemes, authorities);
        let presented = Presented::new(kind.kind, credential, &seat);
        let mut config =
            ServerConfig::builder_with_details(self.any_group.clone(), Arc::new(self.clock))
                .with_protocol_versions(&[&TLS13])?
                .with_client_cert_verifier(Arc::new(verifier))
                .with_cert_resolver(Arc::new(presented));
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        config.key_log = self.key_log.clone();
        let sessions = self.pools.sessions.of(set, kind)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = usize::from(sessions.is_some());
        match sessions {
            None => {}
            Some(ServerSessions::Stateful(storage)) => config.session_storage = storage,
            Some(ServerSessions::Stateless(ticketer)) => config.ticketer = ticketer,
        }
        Ok(Slot {
            config: Arc::new(config),
            seat,
            certificate_request: Some(certificate_request),
            anchors,
            not_after: None,
        })
    }

    /// Ends a server's handshake: its configuration may be used for the next one.
    pub(crate) fn served(&self, ServerLease { set, kind, slot }: ServerLease) {
        self.pools.server.put_back(&set, kind, slot);
    }
}

/// Without what has come before.
fn each_once<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    items.into_iter().fold(Vec::new(), |mut once, item| {
        if !once.contains(&item) {
            once.push(item);
        }
        once
    })
}

/// Names of what is trusted in `domain` and, if wanted, before them one of what nobody knows.
fn greased(
    hint: Arc<[DistinguishedName]>,
    wanted: bool,
    domain: TrustDomain,
    set: &CredentialSet,
) -> Arc<[DistinguishedName]> {
    if !wanted || matches!(domain, TrustDomain::X509(_)) {
        return hint;
    }
    let own = set.mtc.first().map(|own| own.standalone.leaf());
    let nobodys = grease::id(own.unwrap_or_default()).to_name();
    let names = std::iter::once(nobodys.into()).chain(hint.iter().cloned());
    names.collect()
}

/// The trust anchors of the MTCA that are named; X.509 roots have no IDs.
fn anchors(hint: &[DistinguishedName], domain: TrustDomain) -> Vec<TrustAnchorId> {
    if let TrustDomain::X509(_) = domain {
        return Vec::new();
    }
    let ids = hint
        .iter()
        .map(|name| TrustAnchorId::from_name(name.as_ref()));
    ids.flatten().collect()
}

fn long_id(error: mtc_core::id::IdError) -> rustls::Error {
    rustls::Error::General(format!("the CA's ID has no room below it: {error}"))
}

/// A verifier of peers in `domain`, which requires a certificate.
fn verifier(
    set: &CredentialSet,
    domain: TrustDomain,
    schemes: Vec<rustls::SignatureScheme>,
    provider: &CryptoProvider,
    seat: &Arc<Seat>,
) -> Result<PeerVerifier, rustls::Error> {
    let trust = &set.mtc_trust;
    let (trust, hint) = match (domain, &trust.landmarks) {
        (TrustDomain::MtcLandmark, Some(landmarks)) => {
            (Trust::mtc(landmarks.trust.clone()), landmarks.hint.clone())
        }
        (TrustDomain::MtcLandmark, None) | (TrustDomain::MtcStandalone, _) => (
            Trust::mtc(trust.cosigners.clone()),
            trust.cosigner_hint.clone(),
        ),
        (TrustDomain::MtcLandmarkStale, _) => (
            Trust::mtc(trust.cosigners.clone()),
            trust.stale_hint().map_err(long_id)?,
        ),
        (TrustDomain::MtcStandaloneCa, _) => (
            Trust::mtc(trust.ca_alone.clone()),
            trust.ca_alone_hint().map_err(long_id)?,
        ),
        (TrustDomain::MtcLandmarkOr(profile), _) => {
            let part = |domain| verifier(set, domain, Vec::new(), provider, seat);
            let mtc = part(TrustDomain::MtcLandmark)?;
            let x509 = part(TrustDomain::X509(profile))?;
            let trust = Trust::Either {
                mtc: Box::new(mtc.trust),
                x509: Box::new(x509.trust),
            };
            (trust, mtc.hint.iter().chain(&*x509.hint).cloned().collect())
        }
        (TrustDomain::X509(profile), _) => {
            let trust = set
                .x509_trust
                .iter()
                .find(|trust| trust.profile == profile)
                .ok_or_else(|| {
                    rustls::Error::General(format!(
                        "no X.509 root of profile {profile} is trusted here"
                    ))
                })?;
            (Trust::X509(trust.clone()), trust.hint.clone())
        }
    };
    let algorithms = provider.signature_verification_algorithms;
    Ok(PeerVerifier {
        trust,
        hint,
        schemes,
        algorithms,
        mandatory: true,
        expired_within: None,
        seat: seat.clone(),
    })
}

/// SplitMix64's finalizer: spreads consecutive numbers over all 64-bit numbers.
const fn scrambled(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use mtc_core::ca::CaCertificate;
    use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
    use mtc_core::verify::CaTrust;

    use super::*;
    use crate::credentials::{MtcTrust, Store};
    use crate::kind::CertificateKind;
    use crate::profile::{Tokens, Via};
    use crate::verification::Verification;

    fn store() -> Store {
        let key = SecretKey::generate(SignatureAlgorithm::Ed25519).expect("a key");
        let trust = CaTrust::ca_alone(&CaCertificate {
            cosigner: Cosigner {
                id: "32473.1".parse().expect("an ID"),
                key: key.public_key().expect("its public key"),
            },
            min_serial: 0,
            max_serial: u64::MAX,
            prefix_url: None,
        });
        Store::new(CredentialSet::new(MtcTrust::new(trust), Vec::new()))
    }

    fn lease(endpoint: &Endpoint, tickets: Tickets, fqdn: &str) -> ClientLease {
        let profile = ConnectionProfile {
            domain: TrustDomain::MtcStandalone,
            leaf_key: KeyAlgorithm::EcdsaP256,
            key_exchange: KeyExchange::X25519,
            tickets,
            tokens: Tokens::Es256,
            via: Via::Direct,
            grease: false,
        };
        let expected = ExpectedPeer {
            fqdn: fqdn.to_owned(),
            instance_id: None,
            nf_type: None,
        };
        let lease = endpoint.client(profile, expected, &endpoint.notes());
        lease.expect("a configuration")
    }

    fn give_back(endpoint: &Endpoint, lease: ClientLease) {
        let peer = VerifiedPeer {
            identity: NfIdentity {
                instance_id: uuid::Uuid::nil(),
                nf_types: Vec::new(),
                fqdns: Vec::new(),
                not_after: u64::MAX,
            },
            certificate: CertificateId::new(&[], &[]),
            expired: false,
            kind: CertificateKind::Standalone,
            verify: Duration::ZERO,
            verification: Verification::default(),
        };
        endpoint.met(lease, &peer);
    }

    #[test]
    fn a_configuration_is_made_once_and_serves_one_handshake_at_a_time() {
        let store = store();
        let endpoint = Endpoint::new(store.receiver(), Clock::default());
        let first = lease(&endpoint, Tickets::None, "a.test");
        let meanwhile = lease(&endpoint, Tickets::None, "a.test");
        let config = first.config().clone();
        assert!(!Arc::ptr_eq(&config, meanwhile.config()));
        let seat = first.slot.seat.clone();
        assert!(seat.occupant().is_ok());
        give_back(&endpoint, first);
        assert!(seat.occupant().is_err(), "nobody's turn");
        // Whoever is expected sits on the seat, so another peer has the same configuration; not where sessions are resumed.
        let again = lease(&endpoint, Tickets::None, "b.test");
        assert!(Arc::ptr_eq(&config, again.config()));
        let resuming = lease(&endpoint, Tickets::Stateful, "a.test");
        assert!(!Arc::ptr_eq(&config, resuming.config()));
        let resumed = resuming.config().clone();
        give_back(&endpoint, resuming);
        let elsewhere = lease(&endpoint, Tickets::Stateful, "b.test");
        assert!(!Arc::ptr_eq(&resumed, elsewhere.config()));
        let there = lease(&endpoint, Tickets::Stateful, "a.test");
        assert!(Arc::ptr_eq(&resumed, there.config()));
    }

    #[test]
    fn an_endpoint_that_keeps_nothing_makes_a_configuration_for_each_handshake() {
        let store = store();
        let endpoint =
            Endpoint::new(store.receiver(), Clock::default()).keeping_no_configurations();
        let first = lease(&endpoint, Tickets::None, "a.test");
        let config = Arc::downgrade(first.config());
        give_back(&endpoint, first);
        assert!(config.upgrade().is_none(), "it is gone");
        let logged = endpoint.with_key_log(Arc::new(NoKeyLog));
        let second = lease(&logged, Tickets::None, "a.test");
        let config = Arc::downgrade(second.config());
        give_back(&logged, second);
        assert!(config.upgrade().is_none(), "with a key log too");
    }

    #[test]
    fn a_new_set_and_another_key_log_have_configurations_of_their_own() {
        let store = store();
        let endpoint = Endpoint::new(store.receiver(), Clock::default());
        let before = lease(&endpoint, Tickets::None, "a.test");
        let config = before.config().clone();
        give_back(&endpoint, before);
        let logged = endpoint.clone().with_key_log(Arc::new(NoKeyLog));
        let other = lease(&logged, Tickets::None, "a.test");
        assert!(!Arc::ptr_eq(&config, other.config()));
        let kept = lease(&endpoint, Tickets::None, "a.test");
        assert!(Arc::ptr_eq(&config, kept.config()));
        store.update(|_| {});
        let after = lease(&endpoint, Tickets::None, "a.test");
        assert!(!Arc::ptr_eq(&config, after.config()));
        give_back(&endpoint, after);
        give_back(&endpoint, kept);
        let of_new_set = lease(&endpoint, Tickets::None, "a.test");
        assert!(
            !Arc::ptr_eq(&config, of_new_set.config()),
            "what was made for another set is not taken back"
        );
    }
}
