//! What the handshakes of a process cost, summed by connection profile: the server side of every measurement.
//!
//! ```text
//!  listener ── accepted ──> Ledger::record_server ─┐
//!  instance ── opened ────> Ledger::record_client ─┴─> snapshot ──> GET /measurements on the admin port
//! ```
//!
//! Everything here is a sum, so totals of many processes add up exactly and in any order.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mtc_core::id::{LandmarkNumber, LogNumber};
use mtc_tls::handshake::{HandshakeCost, HandshakeError};
use mtc_tls::key::X509Profile;
use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::{ConnectionProfile, TrustDomain};
use mtc_tls::record::Side;
use serde::{Deserialize, Serialize};

use crate::landmark_demand::LandmarkDemand;
use crate::metrics::Metrics;
use crate::model::NfType;

mod detail;
mod issuance;
mod learning;
mod leg;
mod named;
mod procedure;
mod start;
mod times;
mod tokens;
mod x509_status;

pub use detail::{
    HandshakeDetail, NegotiatedTotals, SampledTotals, TcpTotals, VerificationTotals, WireTotals,
};
pub use issuance::IssuanceTotals;
pub use learning::{LandmarkName, LandmarkTime, Learner, Learning, Look, LookTotals};
pub use leg::LegTotals;
pub use named::NamedCounts;
pub use procedure::{HopTotals, Hops, Procedure, ProcedureTotals};
pub use start::{HandshakeSum, StartHandshakes, StartStep, StartTotals, StepTotals};
pub use times::Times;
pub use tokens::TokenTotals;
pub use x509_status::X509StatusTotals;

/// Sums over the handshakes of one side (as client or as server).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandshakeTotals {
    /// Completed handshakes.
    pub handshakes: u64,
    /// Handshakes that were begun and failed; nothing of them is in the sums.
    pub failures: u64,
    /// Thread CPU time in nanoseconds, verification included.
    pub cpu_ns: u64,
    /// Thread CPU time spent verifying the peer's certificate, in nanoseconds.
    pub verify_ns: u64,
    /// TLS record bytes written until the handshake completed.
    pub bytes_sent: u64,
    /// TLS record bytes read until the handshake completed; a server may by then have read the client's first request.
    pub bytes_received: u64,
    /// Full handshakes by the kind of certificate this side presented.
    pub presented: KindCounts,
    /// Full handshakes by the kind of certificate the peer presented.
    pub received: KindCounts,
    /// Certificates that this side presented and that were worse than both ends could have had, by reason
    /// ([`Downgrade`](mtc_tls::downgrade::Downgrade)).
    #[serde(default, skip_serializing_if = "NamedCounts::is_empty")]
    pub downgrades: NamedCounts,
    /// What they consisted of.
    #[serde(default)]
    pub detail: HandshakeDetail,
}

impl HandshakeTotals {
    /// Counts a completed handshake.
    pub fn record(&mut self, cost: &HandshakeCost) {
        self.handshakes += 1;
        self.cpu_ns += nanoseconds(cost.cpu);
        self.verify_ns += nanoseconds(cost.verify);
        self.bytes_sent += cost.bytes_sent;
        self.bytes_received += cost.bytes_received;
        // A session that goes on shows no certificate, which is not the same as a peer that has none.
        if !cost.negotiated.resumed {
            self.presented.add(cost.presented, 1);
            self.received.add(cost.received, 1);
        }
        if let Some(downgrade) = cost.downgrade {
            self.downgrades.add(downgrade.as_str(), 1);
        }
        self.detail.record(cost);
    }

    /// Counts a handshake that failed.
    pub fn record_failure(&mut self, error: &HandshakeError) {
        self.failures += 1;
        self.detail.failures.add(&error.cause(), 1);
    }

    /// Adds the handshakes of another process.
    pub fn merge(&mut self, other: &Self) {
        self.combine(other, |mine, theirs| mine + theirs);
    }

    /// What was counted after `earlier`, an older state of the same counters: leaves out start-up and warm-up.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut later = self.clone();
        later.combine(earlier, u64::saturating_sub);
        later
    }

    /// The mean of one of the sums over the completed handshakes; none without any.
    pub fn mean(&self, sum: u64) -> Option<f64> {
        (self.handshakes > 0).then(|| sum as f64 / self.handshakes as f64)
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            handshakes,
            failures,
            cpu_ns,
            verify_ns,
            bytes_sent,
            bytes_received,
            presented,
            received,
            downgrades,
            detail,
        } = other;
        self.handshakes = with(self.handshakes, *handshakes);
        self.failures = with(self.failures, *failures);
        self.cpu_ns = with(self.cpu_ns, *cpu_ns);
        self.verify_ns = with(self.verify_ns, *verify_ns);
        self.bytes_sent = with(self.bytes_sent, *bytes_sent);
        self.bytes_received = with(self.bytes_received, *bytes_received);
        self.presented.combine(presented, with);
        self.received.combine(received, with);
        self.downgrades.combine(downgrades, with);
        self.detail.combine(detail, with);
    }
}

/// What network functions counted of one connection profile, in both roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NfTotals {
    /// Connections they opened.
    pub client: HandshakeTotals,
    /// Connections they accepted.
    pub server: HandshakeTotals,
    /// What they did as consumers in procedures of UEs; counted in `client` too.
    #[serde(default, skip_serializing_if = "ProcedureTotals::is_empty")]
    pub procedures: ProcedureTotals,
    /// What they sent through an SCP, and the SCP forwarded, by leg; counted in `client` too.
    #[serde(default, skip_serializing_if = "LegTotals::is_empty")]
    pub legs: LegTotals,
    /// Access tokens on connections they accepted.
    #[serde(default, skip_serializing_if = "TokenTotals::is_empty")]
    pub tokens: TokenTotals,
    /// What the processes that had such connections fetched to know which certificates of their X.509 profile were revoked, whatever the
    /// connections are for which they did.
    #[serde(default, skip_serializing_if = "X509StatusTotals::is_empty")]
    pub status: X509StatusTotals,
}

impl NfTotals {
    /// Adds what another process counted.
    pub fn merge(&mut self, other: &Self) {
        self.client.merge(&other.client);
        self.server.merge(&other.server);
        self.procedures
            .combine(&other.procedures, u64::saturating_add);
        self.legs.combine(&other.legs, u64::saturating_add);
        self.tokens
            .combine(&other.tokens, |mine, theirs| mine + theirs);
        self.status.merge(&other.status);
    }

    /// What was counted after `earlier`, see [`HandshakeTotals::since`].
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut procedures = self.procedures.clone();
        procedures.combine(&earlier.procedures, u64::saturating_sub);
        let mut legs = self.legs.clone();
        legs.combine(&earlier.legs, u64::saturating_sub);
        let mut tokens = self.tokens;
        tokens.combine(&earlier.tokens, u64::saturating_sub);
        Self {
            client: self.client.since(&earlier.client),
            server: self.server.since(&earlier.server),
            procedures,
            legs,
            tokens,
            status: self.status.since(&earlier.status),
        }
    }
}

/// Handshakes by certificate kind; kinds that did not occur are left out of the JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct KindCounts {
    /// [`CertificateKind::DirectlySigned`].
    #[serde(skip_serializing_if = "is_zero")]
    pub x509: u64,
    /// [`CertificateKind::Standalone`].
    #[serde(skip_serializing_if = "is_zero")]
    pub mtc_standalone: u64,
    /// [`CertificateKind::LandmarkRelative`].
    #[serde(skip_serializing_if = "is_zero")]
    pub mtc_landmark: u64,
    /// No certificate was presented.
    #[serde(skip_serializing_if = "is_zero")]
    pub none: u64,
}

impl KindCounts {
    /// Counts `count` handshakes of a kind.
    pub fn add(&mut self, kind: Option<CertificateKind>, count: u64) {
        *match kind {
            Some(CertificateKind::DirectlySigned) => &mut self.x509,
            Some(CertificateKind::Standalone) => &mut self.mtc_standalone,
            Some(CertificateKind::LandmarkRelative) => &mut self.mtc_landmark,
            None => &mut self.none,
        } += count;
    }

    /// Handshakes of a kind.
    pub fn of(&self, kind: CertificateKind) -> u64 {
        match kind {
            CertificateKind::DirectlySigned => self.x509,
            CertificateKind::Standalone => self.mtc_standalone,
            CertificateKind::LandmarkRelative => self.mtc_landmark,
        }
    }

    /// The kinds other than `expected` that occurred (`none` among them), with their counts.
    pub fn other_than(&self, expected: CertificateKind) -> Vec<(&'static str, u64)> {
        CertificateKind::ALL
            .into_iter()
            .filter(|kind| *kind != expected)
            .map(|kind| (kind.as_str(), self.of(kind)))
            .chain([("none", self.none)])
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        self.x509 = with(self.x509, other.x509);
        self.mtc_standalone = with(self.mtc_standalone, other.mtc_standalone);
        self.mtc_landmark = with(self.mtc_landmark, other.mtc_landmark);
        self.none = with(self.none, other.none);
    }
}

/// What a process reports: totals by connection profile in its text form, and handshakes that failed before a profile
/// was known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurements {
    /// By [`ConnectionProfile`].
    pub profiles: BTreeMap<String, NfTotals>,
    /// Accepted connections whose handshake failed.
    pub failed_accepts: u64,
    /// Failed accepts by class and cause, `class: cause`.
    #[serde(default)]
    pub failed_accepts_by_cause: NamedCounts,
    /// Certificates that this process issued.
    #[serde(default)]
    pub issuance: IssuanceTotals,
    /// How its instances got their certificates and registrations.
    #[serde(default, skip_serializing_if = "StartTotals::is_empty")]
    pub start: StartTotals,
    /// What it did to learn of landmarks and of what is revoked, since it began to; and of an NRF, when landmarks were published.
    #[serde(default, skip_serializing_if = "Learning::is_empty")]
    pub learning: Learning,
    /// Its Merkle Tree Certificates whose landmarks are not there yet, now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub without_landmark: u64,
}

impl Measurements {
    /// Adds what another process reports.
    pub fn merge(&mut self, other: &Self) {
        for (profile, totals) in &other.profiles {
            self.profiles
                .entry(profile.clone())
                .or_default()
                .merge(totals);
        }
        self.failed_accepts += other.failed_accepts;
        self.issuance.merge(&other.issuance);
        self.start.merge(&other.start);
        self.learning.merge(&other.learning);
        self.without_landmark += other.without_landmark;
        self.failed_accepts_by_cause
            .combine(&other.failed_accepts_by_cause, u64::saturating_add);
    }

    /// What was counted after `earlier`, see [`HandshakeTotals::since`]; how instances started is left out, which is told once, and what is so
    /// now stays.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let nothing = NfTotals::default();
        let profiles = self.profiles.iter().map(|(profile, totals)| {
            let before = earlier.profiles.get(profile).unwrap_or(&nothing);
            (profile.clone(), totals.since(before))
        });
        let mut by_cause = self.failed_accepts_by_cause.clone();
        by_cause.combine(&earlier.failed_accepts_by_cause, u64::saturating_sub);
        Self {
            profiles: profiles.collect(),
            failed_accepts: self.failed_accepts.saturating_sub(earlier.failed_accepts),
            failed_accepts_by_cause: by_cause,
            issuance: self.issuance.since(&earlier.issuance),
            start: StartTotals::default(),
            learning: self.learning.since(&earlier.learning),
            without_landmark: self.without_landmark,
        }
    }

    /// Whether something is less than in `earlier`: counters only go back when another process counts.
    pub fn is_less_than(&self, earlier: &Self) -> bool {
        let handshakes =
            |of: &NfTotals| [&of.client, &of.server].map(|side| (side.handshakes, side.failures));
        let nothing = NfTotals::default();
        let mut before = earlier.profiles.iter();
        self.failed_accepts < earlier.failed_accepts
            || before.any(|(profile, before)| {
                let now = handshakes(self.profiles.get(profile).unwrap_or(&nothing));
                let before = handshakes(before);
                now.iter()
                    .zip(before)
                    .any(|(now, before)| now.0 < before.0 || now.1 < before.1)
            })
    }
}

/// Counts the handshakes of a process, and tells its metrics of them.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Hears of the peers of those that succeeded.
    pub landmark_demand: LandmarkDemand,
    counts: Mutex<Counts>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Counts {
    profiles: BTreeMap<ConnectionProfile, NfTotals>,
    failed_accepts: u64,
    failed_accepts_by_cause: NamedCounts,
    issuance: IssuanceTotals,
    start: StartTotals,
    x509_status: BTreeMap<X509Profile, X509StatusTotals>,
    learner: Option<Learner>,
    published: Learning,
}

impl Counts {
    /// What the process does to learn of landmarks, from its first look on.
    fn learner(&mut self) -> &mut Learner {
        self.learner.get_or_insert_with(Learner::begin)
    }
}

impl Ledger {
    /// A ledger that tells `metrics` too.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            landmark_demand: LandmarkDemand::default(),
            counts: Mutex::default(),
            metrics,
        }
    }

    /// The metrics of the process.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Counts a connection that this process opened.
    pub fn record_client(&self, profile: ConnectionProfile, cost: &HandshakeCost) {
        self.metrics
            .handshakes
            .completed(Side::Client, Some(profile), cost);
        self.with(|counts| {
            counts.start.handshakes.record(Side::Client, cost);
            counts
                .profiles
                .entry(profile)
                .or_default()
                .client
                .record(cost)
        });
    }

    /// Counts a connection that this process accepted.
    pub fn record_server(&self, profile: ConnectionProfile, cost: &HandshakeCost) {
        self.metrics
            .handshakes
            .completed(Side::Server, Some(profile), cost);
        self.with(|counts| {
            counts.start.handshakes.record(Side::Server, cost);
            counts
                .profiles
                .entry(profile)
                .or_default()
                .server
                .record(cost)
        });
    }

    /// Counts the use of a connection in a procedure of a UE, by the consumer; `along` are the types of NFs from there to the
    /// producer, of which the first is at the other end of the connection.
    pub fn record_procedure(
        &self,
        profile: ConnectionProfile,
        procedure: Procedure,
        consumer: &NfType,
        along: &[NfType],
        used: &HopTotals,
    ) {
        self.with(|counts| {
            let totals = counts.profiles.entry(profile).or_default();
            totals.procedures.add(procedure, consumer, along, used);
        });
    }

    /// Counts the use of a connection for requests through an SCP, by whoever opened it: to the SCP, or the SCP itself.
    pub fn record_leg(
        &self,
        profile: ConnectionProfile,
        from: &NfType,
        to: &NfType,
        used: &HopTotals,
    ) {
        self.with(|counts| {
            let totals = counts.profiles.entry(profile).or_default();
            totals.legs.add(from, to, used);
        });
    }

    /// Counts a connection that this process tried to open in vain for so long.
    pub fn record_client_failure(
        &self,
        profile: ConnectionProfile,
        error: &HandshakeError,
        elapsed: Duration,
    ) {
        self.metrics
            .handshakes
            .failed(Side::Client, Some(profile), error, elapsed);
        self.with(|counts| {
            let totals = counts.profiles.entry(profile).or_default();
            totals.client.record_failure(error);
        });
    }

    /// Counts a connection whose handshake failed on the accepting side after so long.
    pub fn record_accept_failure(&self, error: &HandshakeError, elapsed: Duration) {
        self.metrics
            .handshakes
            .failed(Side::Server, None, error, elapsed);
        self.with(|counts| {
            counts.failed_accepts += 1;
            counts.failed_accepts_by_cause.add(&error.cause(), 1);
        });
    }

    /// Counts a request with a token of so many octets on a connection of this kind, and the verification of its signature if there
    /// was one. Connections that no scenario knows are not counted by kind.
    pub fn record_token(
        &self,
        profile: Option<ConnectionProfile>,
        octets: usize,
        verified: Option<Duration>,
    ) {
        self.with_tokens(profile, |tokens| tokens.record(octets, verified));
    }

    /// Counts the client credentials assertion of such a request, as [`Self::record_token`].
    pub fn record_assertion(
        &self,
        profile: Option<ConnectionProfile>,
        octets: usize,
        verified: Option<Duration>,
    ) {
        self.with_tokens(profile, |tokens| tokens.record_assertion(octets, verified));
    }

    /// Counts a request that was refused for its token, as [`Self::record_token`].
    pub fn record_refused_token(&self, profile: Option<ConnectionProfile>) {
        self.with_tokens(profile, |tokens| tokens.refused += 1);
    }

    /// Counts a token that this process made, as [`Self::record_token`].
    pub fn record_issued_token(
        &self,
        profile: Option<ConnectionProfile>,
        octets: usize,
        cpu: Duration,
    ) {
        self.with_tokens(profile, |tokens| tokens.record_issued(octets, cpu));
    }

    fn with_tokens(&self, profile: Option<ConnectionProfile>, act: impl FnOnce(&mut TokenTotals)) {
        if let Some(profile) = profile {
            self.with(|counts| act(&mut counts.profiles.entry(profile).or_default().tokens));
        }
    }

    /// Counts a certificate that this process issued, see [`IssuanceTotals`].
    pub fn record_issuance(&self, issue: Duration, checkpoint: Duration) {
        self.with(|counts| counts.issuance.record(issue, checkpoint));
    }

    /// Counts a CRL of so many octets that this process fetched.
    pub fn record_crl(&self, profile: X509Profile, octets: u64) {
        self.metrics.x509_status.fetched("crl", octets);
        self.with_status(profile, |status| status.record_crl(octets));
    }

    /// Counts an OCSP response that this process fetched, and its request: so many octets together.
    pub fn record_ocsp(&self, profile: X509Profile, octets: u64) {
        self.metrics.x509_status.fetched("ocsp", octets);
        self.with_status(profile, |status| status.record_response(octets));
    }

    fn with_status(&self, profile: X509Profile, act: impl FnOnce(&mut X509StatusTotals)) {
        self.with(|counts| act(counts.x509_status.entry(profile).or_default()));
    }

    /// Counts a look at the logs or into a folder of trusted sets: so many octets and so much CPU time.
    pub fn record_look(&self, look: Look, octets: u64, cpu: Duration) {
        self.metrics
            .trust_updates
            .with_label_values(&[look.as_str()])
            .inc();
        self.with(|counts| counts.learner().record(look, octets, cpu));
    }

    /// Notes which landmark is the newest one that this process trusts from now on. None changes nothing: one that has expired stays what was
    /// known last.
    pub fn record_newest_landmark(&self, newest: Option<(LogNumber, LandmarkNumber)>) {
        self.with(|counts| {
            let learner = counts.learner();
            if let Some(newest) = newest {
                learner.trusts(newest.into());
            }
        });
    }

    /// Notes that this process has published a landmark.
    pub fn record_published_landmark(&self, log: LogNumber, landmark: LandmarkNumber) {
        self.with(|counts| counts.published.publish((log, landmark).into()));
    }

    /// Counts a step of an instance's start or of its renewal, see [`StartStep`]: how long it took, and the CPU time of its
    /// cryptography outside handshakes.
    pub fn record_step(&self, step: StartStep, elapsed: Duration, cpu: Duration) {
        self.with(|counts| counts.start.record(step, elapsed, cpu));
    }

    /// Notes that so many instances of this process are registered, so long after the first one's start.
    pub fn record_start(&self, instances: usize, elapsed: Duration) {
        self.with(|counts| counts.start.finished(instances as u64, elapsed));
    }

    /// Everything counted so far.
    pub fn snapshot(&self) -> Measurements {
        self.with(|counts| Measurements {
            profiles: counts
                .profiles
                .iter()
                .map(|(profile, totals)| {
                    let status = match profile.domain {
                        TrustDomain::X509(x509) => counts.x509_status.get(&x509).copied(),
                        _ => None,
                    };
                    let totals = NfTotals {
                        status: status.unwrap_or_default(),
                        ..totals.clone()
                    };
                    (profile.to_string(), totals)
                })
                .collect(),
            failed_accepts: counts.failed_accepts,
            failed_accepts_by_cause: counts.failed_accepts_by_cause.clone(),
            issuance: counts.issuance,
            start: counts.start.clone(),
            learning: Learning {
                learners: counts.learner.iter().map(Learner::until_now).collect(),
                ..counts.published.clone()
            },
            without_landmark: u64::try_from(self.metrics.without_landmark.get()).unwrap_or(0),
        })
    }

    /// Sums have no state in between that a panic could leave broken.
    fn with<T>(&self, act: impl FnOnce(&mut Counts) -> T) -> T {
        act(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(kind: CertificateKind) -> HandshakeCost {
        HandshakeCost {
            tcp_connect: Duration::from_micros(40),
            elapsed: Duration::from_micros(900),
            cpu: Duration::from_micros(300),
            verify: Duration::from_micros(36),
            bytes_sent: 7400,
            bytes_received: 7200,
            presented: Some(kind),
            received: Some(kind),
            group: Some("X25519MLKEM768".to_owned()),
            ..HandshakeCost::default()
        }
    }

    #[test]
    fn totals_are_kept_by_profile_and_role() {
        let profile: ConnectionProfile = "mtc-landmark/ml-dsa-65/X25519".parse().unwrap();
        let ledger = Ledger::default();
        ledger.record_client(profile, &cost(CertificateKind::LandmarkRelative));
        ledger.record_server(profile, &cost(CertificateKind::Standalone));
        ledger.record_accept_failure(
            &HandshakeError::Timeout(Duration::from_secs(10)),
            Duration::from_secs(10),
        );
        let snapshot = ledger.snapshot();
        let totals = &snapshot.profiles["mtc-landmark/ml-dsa-65/X25519"];
        assert_eq!(
            (totals.client.handshakes, totals.client.cpu_ns),
            (1, 300_000)
        );
        assert_eq!(
            totals.client.received.of(CertificateKind::LandmarkRelative),
            1
        );
        assert_eq!(
            totals
                .server
                .received
                .other_than(CertificateKind::LandmarkRelative),
            [("mtc-standalone", 1)]
        );
        assert_eq!(snapshot.failed_accepts, 1);
        let causes: Vec<_> = snapshot.failed_accepts_by_cause.iter().collect();
        assert_eq!(causes, [("timeout: no handshake in time", 1)]);
        let sent = serde_json::to_string(&snapshot).unwrap();
        assert_eq!(
            serde_json::from_str::<Measurements>(&sent).unwrap(),
            snapshot
        );
    }

    #[test]
    fn what_a_process_reports_can_be_taken_from_a_later_report() {
        let profile: ConnectionProfile = "mtc-landmark/ml-dsa-65/X25519".parse().unwrap();
        let counted = |handshakes| {
            let ledger = Ledger::default();
            for _ in 0..handshakes {
                ledger.record_client(profile, &cost(CertificateKind::LandmarkRelative));
                let timeout = HandshakeError::Timeout(Duration::from_secs(10));
                ledger.record_accept_failure(&timeout, Duration::from_secs(10));
            }
            ledger.snapshot()
        };
        let [earlier, later] = [2, 5].map(counted);
        let mut between = counted(3);
        between.start = StartTotals::default();
        assert_eq!(later.since(&earlier), between);
        assert!(earlier.is_less_than(&later) && !later.is_less_than(&earlier));
        assert!(Measurements::default().is_less_than(&earlier));
    }

    #[test]
    fn a_missing_certificate_is_of_another_kind() {
        let mut kinds = KindCounts::default();
        kinds.add(None, 3);
        assert_eq!(
            kinds.other_than(CertificateKind::DirectlySigned),
            [("none", 3)]
        );
    }

    #[test]
    fn since_leaves_out_what_was_counted_before() {
        let mut earlier = HandshakeTotals::default();
        earlier.record(&cost(CertificateKind::DirectlySigned));
        let mut later = earlier.clone();
        later.record(&cost(CertificateKind::Standalone));
        let mut only = HandshakeTotals::default();
        only.record(&cost(CertificateKind::Standalone));
        assert_eq!(later.since(&earlier), only);
    }
}
