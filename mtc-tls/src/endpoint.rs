//! TLS configurations, made for each connection from what is published at that moment.
//!
//! TLS 1.3 only, ALPN `h2`. Every handshake is a full one, unless the connection profile wants tickets; then sessions are
//! resumed as `resumption` says, and configurations of clients live as long as their sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, DistinguishedName, KeyLog, NoKeyLog, ServerConfig};

use crate::clock::Clock;
use crate::credentials::{CredentialSet, Receiver};
use crate::key::KeyAlgorithm;
use crate::notes::{Notes, noted};
use crate::peer::{ExpectedPeer, VerifiedPeer};
use crate::profile::{ClientAuth, ConnectionProfile, Tickets, TrustDomain};
use crate::provider::{KeyExchange, provider, signature_scheme};
use crate::record::certificate_request_length;
use crate::resolver::{ClientResolver, ServerChoice, choose_for_client};
use crate::resumption::{
    Relay, ServerKey, ServerSessions, Sessions, Slot, ticket_name, wanted_tickets,
};
use crate::verifier::{PeerVerifier, Trust};

const ALPN_H2: &[u8] = b"h2";

/// A slot has one peer; rustls keeps a few tickets for each, of which one is used at a time.
const SESSIONS_OF_SLOT: usize = 1;

/// One handshake in so many is broken down into steps and asked for its TCP facts: each step adds a reading of the
/// thread's clock, which made verifications of MTCs 5 µs longer where it was measured, and a question about TCP facts takes several microseconds.
pub const SAMPLED_ONE_IN: u64 = 16;

/// One NF instance's side of TLS connections.
#[derive(Clone, Debug)]
pub struct Endpoint {
    credentials: Receiver,
    clock: Clock,
    /// The provider of a server, which accepts every group.
    any_group: Arc<CryptoProvider>,
    /// Handshakes begun, by which the sampled ones are chosen.
    begun: Arc<AtomicU64>,
    /// Who is told the secrets of connections.
    key_log: Arc<dyn KeyLog>,
    sessions: Arc<Sessions>,
}

/// A server's configuration for one connection.
pub(crate) struct ServerSetup {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) domain: TrustDomain,
    pub(crate) leaf_key: Option<KeyAlgorithm>,
    pub(crate) tickets: Tickets,
}

/// A client's configuration for one connection.
pub(crate) struct ClientSetup {
    pub(crate) config: Arc<ClientConfig>,
    /// What goes back when the handshake is complete; none where nothing is resumed.
    lease: Option<Lease>,
}

struct Lease {
    set: Arc<CredentialSet>,
    key: (ConnectionProfile, ExpectedPeer),
    slot: Slot,
}

impl Endpoint {
    /// An endpoint that uses what `credentials` publishes.
    pub fn new(credentials: Receiver, clock: Clock) -> Self {
        Self {
            credentials,
            clock,
            any_group: provider(&KeyExchange::ALL),
            begun: Arc::default(),
            key_log: Arc::new(NoKeyLog),
            sessions: Arc::default(),
        }
    }

    /// The same, which tells `key_log` the secrets of its connections, so that a packet capture of them can be read.
    /// By default nobody is told, whatever the environment says.
    #[must_use]
    pub fn with_key_log(self, key_log: Arc<dyn KeyLog>) -> Self {
        Self { key_log, ..self }
    }

    /// The clock of this endpoint.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// What is published now.
    pub fn credentials(&self) -> Arc<CredentialSet> {
        self.credentials.current()
    }

    /// Notes for the next handshake. Which are sampled follows no pattern that load could have, and is the same each time.
    pub(crate) fn notes(&self) -> Arc<Notes> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        Arc::new(Notes {
            sampled: scrambled(number).is_multiple_of(SAMPLED_ONE_IN),
            ..Notes::default()
        })
    }

    /// A client's configuration for one connection, whose outcome appears in `notes`.
    ///
    /// Fails with the name of the trust domain if nothing of it is trusted here.
    pub(crate) fn client(
        &self,
        profile: ConnectionProfile,
        expected: ExpectedPeer,
        notes: &Arc<Notes>,
    ) -> Result<ClientSetup, rustls::Error> {
        let set = self.credentials.current();
        let provider = provider(&[profile.key_exchange]);
        let mut schemes = vec![signature_scheme(profile.leaf_key)];
        if let TrustDomain::X509(x509) = profile.domain {
            let of_ca = signature_scheme(x509.ca_signature);
            if !schemes.contains(&of_ca) {
                schemes.push(of_ca);
            }
        }
        let mut verifier = PeerVerifier {
            expected: Some(expected.clone()),
            ..verifier(&set, profile.domain, schemes, &provider, notes.clone())?
        };
        let resolver = ClientResolver::new(&set, profile, notes.clone());
        let ticket_name = ticket_name(profile.tickets, set.mtc_trust.ca()).map_err(long_id)?;
        let Some(ticket_name) = ticket_name else {
            let mut config =
                self.client_config(provider, Arc::new(verifier), Arc::new(resolver))?;
            config.resumption = Resumption::disabled();
            return Ok(ClientSetup {
                config: Arc::new(config),
                lease: None,
            });
        };
        let hint = verifier.hint.iter().cloned();
        verifier.hint = hint
            .chain([DistinguishedName::from(ticket_name.to_name())])
            .collect();
        let key = (profile, expected);
        let slot = match self.sessions.take(&set, &key, self.clock.now()) {
            Some(slot) => slot,
            None => {
                let relay = Arc::new(Relay::new(&verifier, &resolver));
                let mut config = self.client_config(provider, relay.clone(), relay.clone())?;
                config.resumption = Resumption::in_memory_sessions(SESSIONS_OF_SLOT);
                Slot::new(Arc::new(config), relay)
            }
        };
        slot.aim(verifier, resolver);
        Ok(ClientSetup {
            config: slot.config.clone(),
            lease: Some(Lease { set, key, slot }),
        })
    }

    fn client_config(
        &self,
        provider: Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
        resolver: Arc<dyn ResolvesClientCert>,
    ) -> Result<ClientConfig, rustls::Error> {
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(self.clock))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(resolver);
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        config.key_log = self.key_log.clone();
        Ok(config)
    }

    /// Ends a client's handshake with `peer`: the sessions may be used for the next one.
    pub(crate) fn met(&self, setup: ClientSetup, peer: &VerifiedPeer) {
        if let Some(Lease { set, key, mut slot }) = setup.lease {
            slot.met(peer);
            self.sessions.put_back(&set, key, slot);
        }
    }

    /// A server's configuration for one connection, whose outcome appears in `notes`.
    ///
    /// Fails if no credential fits the client.
    pub(crate) fn server(
        &self,
        hello: &ClientHello<'_>,
        client_auth: ClientAuth,
        notes: &Arc<Notes>,
    ) -> Result<ServerSetup, rustls::Error> {
        let set = self.credentials.current();
        let ServerChoice { domain, presented } = choose_for_client(&set, hello);
        let presented = presented.ok_or_else(|| {
            rustls::Error::General(format!(
                "no credential of trust domain {domain} with a key that the client can verify"
            ))
        })?;
        let schemes = KeyAlgorithm::ALL.map(signature_scheme).to_vec();
        let verifier = PeerVerifier {
            mandatory: client_auth == ClientAuth::Required,
            expired_within: client_auth.expired_within(),
            ..verifier(&set, domain, schemes, &self.any_group, notes.clone())?
        };
        let authorities = verifier.hint.iter().map(AsRef::as_ref);
        let asked = certificate_request_length(&verifier.schemes, authorities);
        let _ = notes.certificate_request.set(asked);
        let _ = notes.presented.set(presented.kind);
        let leaf_key = presented.certified.key.public_key().and_then(|spki| {
            mtc_core::cosign::PublicKey::from_spki(&spki)
                .ok()
                .map(|key| key.algorithm())
        });
        let names = hello.certificate_authorities().unwrap_or_default();
        let tickets = wanted_tickets(names.iter().map(AsRef::as_ref), set.mtc_trust.ca());
        let sessions = self.sessions.server(
            &set,
            ServerKey {
                domain,
                leaf_key,
                kind: presented.kind,
                client_auth,
                tickets,
            },
        )?;
        let mut config =
            ServerConfig::builder_with_details(self.any_group.clone(), Arc::new(self.clock))
                .with_protocol_versions(&[&TLS13])?
                .with_client_cert_verifier(Arc::new(verifier))
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(noted(
                    &presented.certified,
                    notes,
                ))));
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        config.key_log = self.key_log.clone();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = usize::from(sessions.is_some());
        match sessions {
            None => {}
            Some(ServerSessions::Stateful(storage)) => config.session_storage = storage,
            Some(ServerSessions::Stateless(ticketer)) => config.ticketer = ticketer,
        }
        Ok(ServerSetup {
            config: Arc::new(config),
            domain,
            leaf_key,
            tickets,
        })
    }
}

fn long_id(error: mtc_core::id::IdError) -> rustls::Error {
    rustls::Error::General(format!("the CA's ID has no room below it: {error}"))
}

/// A verifier of peers in `domain`, for now without expectations and requiring a certificate.
fn verifier(
    set: &CredentialSet,
    domain: TrustDomain,
    schemes: Vec<rustls::SignatureScheme>,
    provider: &CryptoProvider,
    notes: Arc<Notes>,
) -> Result<PeerVerifier, rustls::Error> {
    let trust = &set.mtc_trust;
    let (trust, hint) = match (domain, &trust.landmarks) {
        (TrustDomain::MtcLandmark, Some(landmarks)) => {
            (Trust::Mtc(landmarks.trust.clone()), landmarks.hint.clone())
        }
        (TrustDomain::MtcLandmark, None) | (TrustDomain::MtcStandalone, _) => (
            Trust::Mtc(trust.cosigners.clone()),
            trust.cosigner_hint.clone(),
        ),
        (TrustDomain::MtcLandmarkStale, _) => (
            Trust::Mtc(trust.cosigners.clone()),
            trust.stale_hint().map_err(long_id)?,
        ),
        (TrustDomain::MtcStandaloneCa, _) => (
            Trust::Mtc(trust.ca_alone.clone()),
            trust.ca_alone_hint().map_err(long_id)?,
        ),
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
        expected: None,
        mandatory: true,
        expired_within: None,
        notes,
    })
}

/// SplitMix64's finalizer: spreads consecutive numbers over all 64-bit numbers.
const fn scrambled(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
