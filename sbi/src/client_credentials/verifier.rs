//! Assertions as a producer or the NRF reads them: certificate and signature once each, however many requests carry it.

use std::sync::Arc;
use std::time::Duration;

use jose::Jws;
use mtc_core::time::UnixTime;
use mtc_tls::cpu;
use mtc_tls::endpoint::Endpoint;
use mtc_tls::profile::TrustDomain;

use super::AssertionRefusal;
use crate::known::{Digest, Known, digest_of};
use crate::model::{ClientCredentialsAssertion, NfInstanceId, NfType};

/// Assertions that are remembered, each some 200 octets: an instance hears from fewer consumers than this in the life of one.
const MAX_KNOWN: usize = 4096;
/// Longest time from `iat` to `exp` that is taken: who has the certificate no more is believed for so long at most.
const MAX_LIFETIME: u64 = 600;
/// Seconds by which two clocks may differ.
const LEEWAY: u64 = 5;

/// An assertion that is good.
#[derive(Clone, Debug)]
pub struct VerifiedAssertion {
    /// What it says.
    pub claims: Arc<ClientCredentialsAssertion>,
    /// CPU time that certificate and signature took; none if they had been verified before.
    pub cpu: Option<Duration>,
}

/// The assertions that were verified, by the domain in which their certificate is good.
pub(super) struct KnownAssertions(Known<(TrustDomain, Digest), ClientCredentialsAssertion>);

impl KnownAssertions {
    pub(super) fn new() -> Self {
        Self(Known::new(MAX_KNOWN))
    }

    pub(super) fn verify(
        &self,
        text: &str,
        domain: TrustDomain,
        own: &NfType,
        endpoint: &Endpoint,
    ) -> Result<VerifiedAssertion, AssertionRefusal> {
        let now = endpoint.clock().now();
        let name = (domain, digest_of(text));
        let verified = match self.0.get(&name, now) {
            Some(claims) => VerifiedAssertion { claims, cpu: None },
            None => {
                let started = cpu::thread_time();
                let (claims, not_after) = authenticate(text, domain, endpoint)?;
                let claims = Arc::new(claims);
                let end = UnixTime(claims.exp.min(not_after));
                self.0.remember(name, claims.clone(), end, now);
                let cpu = cpu::thread_time().saturating_sub(started);
                VerifiedAssertion {
                    claims,
                    cpu: Some(cpu),
                }
            }
        };
        require_current(&verified.claims, now)?;
        if !verified.claims.aud.contains(own) {
            return Err(AssertionRefusal::Audience);
        }
        Ok(verified)
    }
}

/// The claims of whoever the certificate names, and the last second of that.
fn authenticate(
    text: &str,
    domain: TrustDomain,
    endpoint: &Endpoint,
) -> Result<(ClientCredentialsAssertion, u64), AssertionRefusal> {
    let jws = Jws::parse(text)?;
    let (identity, key) = endpoint.judge(domain, &jws.header.chain)?;
    let claims: ClientCredentialsAssertion = jws.verify(&key)?.claims()?;
    let certified = NfInstanceId::from(identity.instance_id);
    if claims.sub != certified {
        return Err(AssertionRefusal::Subject {
            subject: claims.sub,
            certified,
        });
    }
    Ok((claims, identity.not_after))
}

fn require_current(
    claims: &ClientCredentialsAssertion,
    now: UnixTime,
) -> Result<(), AssertionRefusal> {
    let ClientCredentialsAssertion { iat, exp, .. } = *claims;
    let has_begun = iat <= now.0.saturating_add(LEEWAY);
    let has_ended = now.0 >= exp.saturating_add(LEEWAY);
    if has_begun && !has_ended && exp.saturating_sub(iat) <= MAX_LIFETIME {
        return Ok(());
    }
    Err(AssertionRefusal::Time {
        issued: UnixTime(iat),
        expires: UnixTime(exp),
        now,
    })
}
