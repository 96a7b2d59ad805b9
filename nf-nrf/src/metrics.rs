//! What the NRF and MTCA tells Prometheus beyond what every network function does.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use acme::ErrorKind;
use cmp::Failure;
use hyper::StatusCode;
use mtc_core::id::TreeSize;
use mtc_core::landmark::Landmark;
use mtc_core::revocation_list::RevocationList;
use mtc_log::{BatchStep, CaCheckpoint, Issuer, Observer, WitnessError, WitnessFault};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use sbi::metrics::{Registry, unix_now};
use sbi::model::{NfType, Tolerance};
use sbi::operation::ServiceOperation;

pub mod notifications;

use notifications::NotificationMetrics;

/// The metrics of the NRF. Clones share them.
#[derive(Clone)]
pub struct NrfMetrics(Arc<Inner>);

struct Inner {
    /// Where the length of the queue is read.
    issuer: Arc<OnceLock<Issuer>>,
    instances: IntGaugeVec,
    cleartext: IntGauge,
    claimed: IntGauge,
    tolerances: IntCounterVec,
    registration: Counts,
    update: Counts,
    discovery: Counts,
    enrolments: IntCounterVec,
    cmp_messages: IntCounterVec,
    acme_requests: IntCounterVec,
    token_checks: IntCounterVec,
    issued_tokens: IntCounterVec,
    denied_tokens: IntCounterVec,
    expired_renewals: IntCounterVec,
    issued: IntCounterVec,
    status_signed: IntCounterVec,
    issuance: Histogram,
    phases: HistogramVec,
    batch: Histogram,
    batches: IntCounterVec,
    entries: IntGauge,
    signed_entries: IntGauge,
    checkpoint_since: IntGauge,
    landmark: IntGauge,
    landmark_entries: IntGauge,
    landmark_since: IntGauge,
    landmark_expiry: IntGauge,
    revocation_number: IntGauge,
    revocation_failures: IntCounter,
    landmark_interval: IntGauge,
    inspected_entries: IntGauge,
    inspected_at: IntGauge,
    damaged: IntGauge,
    unopened: IntGauge,
    witness_requests: HistogramVec,
    witness_entries: IntGaugeVec,
    witness_since: IntGaugeVec,
    witness_failures: IntCounterVec,
    required_witnesses: IntGauge,
    notifications: NotificationMetrics,
}

/// Requests of one kind by outcome, as clause 5.10 of TS 28.552 counts them.
struct Counts {
    requests: IntCounter,
    successes: IntCounter,
    /// Discovery alone tells requesters that may not from requests that cannot be read.
    unauthorized: Option<IntCounter>,
    input: IntCounter,
    internal: IntCounter,
}

impl Counts {
    /// Without a status the requester gave up, which is no outcome that the clause has.
    fn count(&self, status: Option<StatusCode>) {
        self.requests.inc();
        match status {
            None => {}
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                if let Some(unauthorized) = &self.unauthorized {
                    unauthorized.inc();
                }
            }
            Some(status) if status.is_client_error() => self.input.inc(),
            Some(status) if status.is_server_error() => self.internal.inc(),
            Some(_) => self.successes.inc(),
        }
    }
}

impl NrfMetrics {
    /// Adds them to `registry`.
    #[expect(clippy::too_many_lines, reason = "a list of metrics")]
    pub fn new(registry: &Registry) -> Self {
        let issuer = Arc::<OnceLock<Issuer>>::default();
        let queue = issuer.clone();
        registry.read(
            "mtc_log_queue_entries",
            "Entries that wait for a batch.",
            move || queue.get().map_or(0, |issuer| issuer.waiting() as u64),
        );
        Self(Arc::new(Inner {
            issuer,
            instances: registry.gauges(
                "nf_registered_instances",
                "NF instances that are registered.",
                &[("nf_type", "NF type (TS 29.510), or `other`")],
            ),
            cleartext: registry.gauge(
                "nf_cleartext_listening",
                "1 if the NRF serves a registry in cleartext to whoever comes (`[cleartext]`), otherwise 0.",
            ),
            claimed: registry.gauge(
                "nf_cleartext_instances",
                "NF instances that are registered in cleartext, by whom no certificate says.",
            ),
            tolerances: registry.counters(
                "nf_profile_tolerances_total",
                "Deviations from the schema that were corrected in profiles sent by network functions.",
                &[("kind", "`null-member`, `integral-number` (such as `30.0`), `api-prefix-uri`")],
            ),
            registration: Counts {
                requests: registry.counter("NFS_RegReq_total", "NFRegister requests (TS 28.552 clause 5.10.1.1, NFS.RegReq)."),
                successes: registry
                    .counter("NFS_RegSucc_total", "Successful NFRegister requests (TS 28.552 clause 5.10.1.2, NFS.RegSucc)."),
                unauthorized: None,
                input: registry.counter(
                    "NFS_RegFailEncodeErr_total",
                    "NFRegister requests whose profile cannot be used (TS 28.552 clause 5.10.1.3, NFS.RegFailEncodeErr).",
                ),
                internal: registry.counter(
                    "NFS_RegFailNrfErr_total",
                    "NFRegister requests that failed within the NRF (TS 28.552 clause 5.10.1.4, NFS.RegFailNrfErr).",
                ),
            },
            update: Counts {
                requests: registry
                    .counter("NFS_UpdateReq_total", "NFUpdate requests, heartbeats included (TS 28.552 clause 5.10.2.1, NFS.UpdateReq)."),
                successes: registry
                    .counter("NFS_UpdateSucc_total", "Successful NFUpdate requests (TS 28.552 clause 5.10.2.2, NFS.UpdateSucc)."),
                unauthorized: None,
                input: registry.counter(
                    "NFS_UpdateFailEncodeErr_total",
                    "NFUpdate requests whose patch cannot be used (TS 28.552 clause 5.10.2.3, NFS.UpdateFailEncodeErr).",
                ),
                internal: registry.counter(
                    "NFS_UpdateFailNrfErr_total",
                    "NFUpdate requests that failed within the NRF (TS 28.552 clause 5.10.2.4, NFS.UpdateFailNrfErr).",
                ),
            },
            discovery: Counts {
                requests: registry.counter("NFS_DiscReq_total", "NFDiscover requests (TS 28.552 clause 5.10.3.1, NFS.DiscReq)."),
                successes: registry
                    .counter("NFS_DiscSucc_total", "Successful NFDiscover requests (TS 28.552 clause 5.10.3.2, NFS.DiscSucc)."),
                unauthorized: Some(registry.counter(
                    "NFS_DiscFailUnauth_total",
                    "NFDiscover requests that the requester may not make (TS 28.552 clause 5.10.3.3, NFS.DiscFailUnauth).",
                )),
                input: registry.counter(
                    "NFS_DiscFailInputErr_total",
                    "NFDiscover requests whose query cannot be used (TS 28.552 clause 5.10.3.4, NFS.DiscFailInputErr).",
                ),
                internal: registry.counter(
                    "NFS_DiscFailNrfErr_total",
                    "NFDiscover requests that failed within the NRF (TS 28.552 clause 5.10.3.5, NFS.DiscFailNrfErr).",
                ),
            },
            enrolments: registry.counters(
                "mtc_enrolments_total",
                "Certificate requests by other network functions.",
                &[("protocol", "`nnrf-cm`, `cmp`, `acme`"), ("result", "`ok`, `refused` (the request's fault), `failed`, `given-up` (nobody waited for the answer)")],
            ),
            cmp_messages: registry.counters(
                "mtc_cmp_messages_total",
                "CMP messages that were answered.",
                &[
                    ("body", "`ir`, `cr`, `kur`, `p10cr`, `rr`, `certConf`, `pollReq`, `genm`, `error`, `other`, or `unknown` if it is not known who sent it"),
                    ("result", "`ok`, `waiting` (to be polled for), or the PKIFailureInfo of RFC 9810, such as `badPOP`"),
                ],
            ),
            acme_requests: registry.counters(
                "mtc_acme_requests_total",
                "Signed ACME requests that were answered.",
                &[
                    ("resource", "`directory`, `new-nonce`, `new-account`, `account`, `orders`, `new-order`, `order`, `authorization`, `finalize`, `certificate`, `landmark-relative`, `revoke-cert`, `key-change`"),
                    ("result", "`ok`, `waiting` (there is no landmark yet), or the error type of RFC 8555, such as `badNonce`"),
                ],
            ),
            token_checks: registry.counters(
                "mtc_enrolment_token_checks_total",
                "Enrolment tokens, and service-account tokens of pods, that were checked.",
                &[("result", "`ok`, `pod` (a pod's, and good), `malformed`, `algorithm`, `signature`, `issuer`, `expired`, `used`, `repeated` (the same request again), `in-use` (while it is answered), `secret` (the MAC is not by the secret of this reference number); of pods also `key` (none of the cluster's), `no-keys` (they cannot be had), `audience`, `not-yet`, `account` (none that may enrol)")],
            ),
            issued_tokens: registry.counters(
                "nf_access_tokens_issued_total",
                "Access tokens issued.",
                &[("algorithm", "`ES256`, `ML-DSA-44`, `ML-DSA-65`")],
            ),
            denied_tokens: registry.counters(
                "nf_access_tokens_denied_total",
                "Requests for access tokens that were refused.",
                &[("error", "`invalid_request`, `invalid_client`, `unsupported_grant_type`, `invalid_scope`, `unauthorized_client` (RFC 6749)")],
            ),
            expired_renewals: registry.counters(
                "mtc_expired_renewals_total",
                "Renewals with a certificate that had expired.",
                &[("result", "`allowed`, `refused`")],
            ),
            status_signed: registry.counters(
                "mtc_x509_status_signed_total",
                "What the X.509 CAs have signed of certificates that were revoked.",
                &[("kind", "`crl` or `ocsp`")],
            ),
            issued: registry.counters(
                "mtc_certificates_issued_total",
                "Certificates issued, including the NRF's own.",
                &[("profile", "`mtc`, or an X.509 trust domain")],
            ),
            issuance: registry.time(
                "mtc_issuance_duration_seconds",
                "Time from a checked request to the archived Merkle Tree Certificate.",
            ),
            phases: registry.times(
                "mtc_issuance_phase_duration_seconds",
                "Time of the phases of issuance.",
                &[(
                    "phase",
                    "of an entry: `queue` (waiting for a batch), `certificate` (assembling), `archive`; of a batch: `append` (tiles durable, \
                     checkpoint signed), `witness` (all cosignatures), `publish`",
                )],
            ),
            batch: registry.sizes("mtc_log_batch_entries", "Entries that went into the log together."),
            batches: registry.counters(
                "mtc_log_batches_total",
                "Attempts to log, cosign and publish a batch; one that lacks cosignatures is retried with the next.",
                &[("result", "`ok`, `refused` (by the log), `uncosigned` (too few witnesses)")],
            ),
            entries: registry.gauge("mtc_log_entries", "Entries under the published checkpoint, which is cosigned."),
            signed_entries: registry.gauge("mtc_log_signed_entries", "Entries under the newest checkpoint that the CA has signed."),
            checkpoint_since: registry.gauge(
                "mtc_log_checkpoint_timestamp_seconds",
                "Unix time at which this process last published a checkpoint, or started with one.",
            ),
            landmark: registry.gauge("mtc_log_newest_landmark", "Number of the newest landmark; 0 for none."),
            landmark_entries: registry.gauge("mtc_log_landmark_entries", "Entries under the newest landmark."),
            landmark_since: registry.gauge(
                "mtc_log_landmark_timestamp_seconds",
                "Unix time at which this process last allocated a landmark, or started.",
            ),
            landmark_expiry: registry.gauge(
                "mtc_log_landmark_expiry_timestamp_seconds",
                "Unix time at which the newest landmark expires, by which relying parties can be compared: 0 for landmark 0.",
            ),
            revocation_number: registry.gauge("mtc_ca_revocation_list_number", "Number of the newest list of revoked serial numbers that this CA has published; 0 for none."),
            revocation_failures: registry.counter("mtc_ca_revocation_list_failures_total", "Attempts to publish a list of revoked serial numbers that failed."),
            landmark_interval: registry.gauge("mtc_log_landmark_interval_seconds", "Least time from a landmark to the next."),
            inspected_entries: registry.gauge(
                "mtc_log_inspected_entries",
                "Entries that the current or last pass over the log on disk has read and found to be as signed.",
            ),
            inspected_at: registry.gauge(
                "mtc_log_inspected_timestamp_seconds",
                "Unix time at which a pass over the whole log on disk last ended without finding damage; 0 for never.",
            ),
            damaged: registry.gauge(
                "mtc_log_damaged",
                "1 if the log on disk is not what was signed; nothing is issued any more.",
            ),
            unopened: registry.gauge(
                "mtc_log_unopened",
                "1 if the log could not be opened at the start; until a restart nothing is issued from it, and it is not served.",
            ),
            witness_requests: registry.times(
                "mtc_witness_request_duration_seconds",
                "Time of requests to witnesses.",
                &[
                    ("witness", "its cosigner ID"),
                    ("request", "`add-checkpoint`, `sign-subtree`, and to a mirror `add-entries`"),
                    ("result", "`ok`, `conflict` (it has another size), `refused`, `unreachable`"),
                ],
            ),
            witness_entries: registry.gauges(
                "mtc_witness_entries",
                "Entries under the checkpoint that the witness cosigned last, as far as the MTCA knows.",
                &[("witness", "its cosigner ID")],
            ),
            witness_since: registry.gauges(
                "mtc_witness_timestamp_seconds",
                "Unix time at which the witness last cosigned for this process; 0 for never. An idle log asks for nothing.",
                &[("witness", "its cosigner ID")],
            ),
            witness_failures: registry.counters(
                "mtc_witness_failures_total",
                "Times that a witness was asked and has not cosigned.",
                &[
                    ("witness", "its cosigner ID"),
                    (
                        "fault",
                        "`unreachable` (no answer), `late` (none before the next batch, while others had cosigned), `refused`, `invalid` (not \
                         its signature on what was asked)",
                    ),
                ],
            ),
            required_witnesses: registry.gauge(
                "mtc_log_required_witnesses",
                "Witnesses that must cosign before a checkpoint is published.",
            ),
            notifications: NotificationMetrics::new(registry),
        }))
    }

    /// Those of subscriptions.
    pub fn notifications(&self) -> NotificationMetrics {
        self.0.notifications.clone()
    }

    /// Counts a deviation that was put right.
    pub fn tolerated(&self, kind: Tolerance) {
        let counter = self.0.tolerances.with_label_values(&[kind.as_str()]);
        counter.inc();
    }

    /// Exports what an issuance log has before the first step of its sequencer.
    pub fn opened(&self, issuer: &Issuer, signed: &CaCheckpoint) {
        let metrics = &self.0;
        let published = issuer
            .published()
            .borrow()
            .as_ref()
            .map_or(TreeSize::EMPTY, CaCheckpoint::size);
        metrics.entries.set(gauge(published.0));
        metrics.signed_entries.set(gauge(signed.size().0));
        metrics.checkpoint_since.set(unix_now());
        // A process opens one log.
        metrics.issuer.get_or_init(|| issuer.clone());
    }

    /// So many witnesses must cosign.
    pub fn required_witnesses(&self, required: usize) {
        self.0.required_witnesses.set(gauge(required as u64));
    }

    /// What hears of the steps of the sequencer.
    pub fn observer(&self) -> Observer {
        let metrics = self.0.clone();
        Arc::new(move |step| metrics.observe(step))
    }

    /// A landmark is the newest one.
    pub fn newest_landmark(&self, landmark: &Landmark) {
        self.0.landmark.set(gauge(landmark.number.0));
        self.0.landmark_entries.set(gauge(landmark.tree_size.0));
        self.0.landmark_since.set(unix_now());
        self.0.landmark_expiry.set(gauge(landmark.expiry.0));
    }

    /// A list of revoked serial numbers was published.
    pub(crate) fn revocation_list(&self, list: &RevocationList) {
        self.0.revocation_number.set(gauge(list.number));
    }

    /// A list of revoked serial numbers could not be published.
    pub(crate) fn revocation_list_failed(&self) {
        self.0.revocation_failures.inc();
    }

    /// Landmarks are at least so far apart.
    pub fn landmark_interval(&self, interval: Duration) {
        self.0.landmark_interval.set(gauge(interval.as_secs()));
    }

    /// So many entries of the log have been read again, and are as they were signed.
    pub(crate) fn inspected(&self, entries: u64) {
        self.0.inspected_entries.set(gauge(entries));
    }

    /// All have.
    pub(crate) fn inspected_whole_log(&self) {
        self.0.inspected_at.set(unix_now());
    }

    /// What is on disk is not what was signed.
    pub(crate) fn damaged(&self) {
        self.0.damaged.set(1);
    }

    /// The log could not be opened.
    pub(crate) fn unopened(&self) {
        self.0.unopened.set(1);
    }

    /// A Merkle Tree Certificate was issued.
    pub fn issued_mtc(&self, assembling: Duration, archiving: Duration, whole: Duration) {
        self.0.phase("certificate", assembling);
        self.0.phase("archive", archiving);
        self.0.issuance.observe(whole.as_secs_f64());
    }

    /// A certificate was issued under a profile.
    pub fn issued(&self, profile: &str) {
        self.0.issued.with_label_values(&[profile]).inc();
    }

    /// A CRL (`crl`) or an OCSP response (`ocsp`) was signed.
    pub fn signed_status(&self, kind: &'static str) {
        self.0.status_signed.with_label_values(&[kind]).inc();
    }

    fn enrolled(&self, status: Option<StatusCode>) {
        let result = match status {
            None => "given-up",
            Some(status) if status.is_success() => "ok",
            Some(status) if status.is_client_error() => "refused",
            Some(_) => "failed",
        };
        self.count_enrolment("nnrf-cm", result);
    }

    /// A request by CMP has got its certificate, or has been refused.
    pub(crate) fn enrolled_by_cmp(&self, refused: Option<Failure>) {
        let result = match refused {
            None => "ok",
            Some(Failure::SystemFailure | Failure::SystemUnavail) => "failed",
            Some(_) => "refused",
        };
        self.count_enrolment("cmp", result);
    }

    fn count_enrolment(&self, protocol: &str, result: &str) {
        let counter = self.0.enrolments.with_label_values(&[protocol, result]);
        counter.inc();
    }

    /// A CMP message with this body was answered, with this result.
    pub(crate) fn answered_cmp(&self, body: &str, result: &str) {
        self.0.cmp_messages.with_label_values(&[body, result]).inc();
    }

    /// An order by ACME has got its certificate, or has been refused.
    pub(crate) fn enrolled_by_acme(&self, refused: Option<ErrorKind>) {
        let result = match refused {
            None => "ok",
            Some(ErrorKind::ServerInternal | ErrorKind::RateLimited) => "failed",
            Some(_) => "refused",
        };
        self.count_enrolment("acme", result);
    }

    /// A signed ACME request for this resource was answered, with this result.
    pub(crate) fn answered_acme(&self, resource: &str, result: &str) {
        let counter = &self.0.acme_requests;
        counter.with_label_values(&[resource, result]).inc();
    }

    /// An enrolment token was looked at: `ok`, `used`, or the check that it failed ([`TokenError::check`]).
    ///
    /// [`TokenError::check`]: crate::enrolment_token::TokenError::check
    pub fn checked_token(&self, result: &'static str) {
        self.0.token_checks.with_label_values(&[result]).inc();
    }

    /// An access token was issued, signed with this `alg`.
    pub fn issued_token(&self, algorithm: &'static str) {
        self.0.issued_tokens.with_label_values(&[algorithm]).inc();
    }

    /// A request for an access token was refused with this error code.
    pub fn denied_token(&self, error: &'static str) {
        self.0.denied_tokens.with_label_values(&[error]).inc();
    }

    /// Somebody asked for a renewal with a certificate that had expired.
    pub fn renewed_expired(&self, allowed: bool) {
        let result = if allowed { "allowed" } else { "refused" };
        self.0.expired_renewals.with_label_values(&[result]).inc();
    }

    /// A request was answered, or given up by the requester.
    pub fn answered(&self, operation: ServiceOperation, status: Option<StatusCode>) {
        let counts = match operation.operation {
            "NFRegister" => &self.0.registration,
            "NFUpdate" => &self.0.update,
            "NFDiscover" => &self.0.discovery,
            "Enrol" => return self.enrolled(status),
            _ => return,
        };
        counts.count(status);
    }

    /// So many instances of each type are registered.
    pub fn registered<'a>(&self, instances: impl Iterator<Item = (&'a NfType, usize)>) {
        const KNOWN: [&str; 4] = ["NRF", "SCP", "AMF", "SMF"];
        let mut counts = [0; KNOWN.len() + 1];
        for (nf_type, count) in instances {
            counts[KNOWN
                .iter()
                .position(|known| *known == nf_type.as_str())
                .unwrap_or(KNOWN.len())] += count;
        }
        for (nf_type, count) in KNOWN.into_iter().chain(["other"]).zip(counts) {
            let gauge = self.0.instances.with_label_values(&[nf_type]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// The registry is served in cleartext too.
    pub(crate) fn serves_cleartext(&self) {
        self.0.cleartext.set(1);
    }

    /// So many instances are registered in cleartext.
    pub(crate) fn claimed(&self, instances: usize) {
        self.0
            .claimed
            .set(i64::try_from(instances).unwrap_or(i64::MAX));
    }

    /// A witness was asked.
    pub(crate) fn asked_witness<T>(
        &self,
        witness: &str,
        request: &str,
        answer: &Result<T, WitnessError>,
        took: Duration,
    ) {
        let result = match answer {
            Ok(_) => "ok",
            Err(WitnessError::Conflict { .. }) => "conflict",
            Err(WitnessError::Unreachable(_) | WitnessError::TimedOut) => "unreachable",
            Err(_) => "refused",
        };
        self.0
            .witness_requests
            .with_label_values(&[witness, request, result])
            .observe(took.as_secs_f64());
    }
}

impl Inner {
    fn observe(&self, step: BatchStep<'_>) {
        match step {
            BatchStep::Taken { waited } => {
                self.batch.observe(waited.len() as f64);
                waited
                    .iter()
                    .for_each(|waited| self.phase("queue", *waited));
            }
            BatchStep::Signed { size, took } => {
                self.signed_entries.set(gauge(size.0));
                self.phase("append", took);
            }
            BatchStep::Refused => self.batches.with_label_values(&["refused"]).inc(),
            BatchStep::Cosigned { enough, took } => {
                self.phase("witness", took);
                if !enough {
                    self.batches.with_label_values(&["uncosigned"]).inc();
                }
            }
            BatchStep::Witness { id, size } => {
                let witness = id.to_string();
                self.has_cosigned(&witness, size);
                // Absent, a witness that never answers would be missed by what looks for old ones.
                self.witness_since.with_label_values(&[&witness]).set(0);
                for fault in WitnessFault::ALL {
                    self.witness_failures
                        .with_label_values(&[&witness, fault.as_str()]);
                }
            }
            BatchStep::WitnessCosigned { id, size } => {
                let witness = id.to_string();
                self.has_cosigned(&witness, size);
                self.witness_since
                    .with_label_values(&[&witness])
                    .set(unix_now());
            }
            BatchStep::WitnessFailed { id, fault } => self
                .witness_failures
                .with_label_values(&[&id.to_string(), fault.as_str()])
                .inc(),
            BatchStep::Published { size, took } => {
                self.batches.with_label_values(&["ok"]).inc();
                self.entries.set(gauge(size.0));
                self.checkpoint_since.set(unix_now());
                self.phase("publish", took);
            }
        }
    }

    fn has_cosigned(&self, witness: &str, size: TreeSize) {
        self.witness_entries
            .with_label_values(&[witness])
            .set(gauge(size.0));
    }

    fn phase(&self, phase: &str, took: Duration) {
        self.phases
            .with_label_values(&[phase])
            .observe(took.as_secs_f64());
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_outcome_as_ts_28_552_does() {
        let registry = Registry::default();
        let metrics = NrfMetrics::new(&registry);
        let of = |operation| ServiceOperation {
            service: "nnrf-nfm",
            operation,
        };
        for (operation, status) in [
            ("NFRegister", Some(StatusCode::CREATED)),
            ("NFRegister", Some(StatusCode::BAD_REQUEST)),
            ("NFRegister", Some(StatusCode::FORBIDDEN)),
            ("NFRegister", None),
            ("NFUpdate", Some(StatusCode::INTERNAL_SERVER_ERROR)),
            ("NFDiscover", Some(StatusCode::NOT_MODIFIED)),
            ("NFDiscover", Some(StatusCode::FORBIDDEN)),
            ("Enrol", Some(StatusCode::CREATED)),
            ("Enrol", Some(StatusCode::SERVICE_UNAVAILABLE)),
            ("Enrol", None),
            ("unknown", Some(StatusCode::OK)),
        ] {
            metrics.answered(of(operation), status);
        }
        let text = sbi::metrics::Exposition::Prometheus.encode(&registry.gather());
        for line in [
            "NFS_RegReq_total 4",
            "NFS_RegSucc_total 1",
            "NFS_RegFailEncodeErr_total 1",
            "NFS_RegFailNrfErr_total 0",
            "NFS_UpdateReq_total 1",
            "NFS_UpdateFailNrfErr_total 1",
            "NFS_DiscReq_total 2",
            "NFS_DiscSucc_total 1",
            "NFS_DiscFailUnauth_total 1",
            "mtc_enrolments_total{protocol=\"nnrf-cm\",result=\"ok\"} 1",
            "mtc_enrolments_total{protocol=\"nnrf-cm\",result=\"failed\"} 1",
            "mtc_enrolments_total{protocol=\"nnrf-cm\",result=\"given-up\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_steps_of_a_sequencer_are_told() {
        let registry = Registry::default();
        let observer = NrfMetrics::new(&registry).observer();
        let took = Duration::from_millis(4);
        observer(BatchStep::Taken {
            waited: &[took, took],
        });
        observer(BatchStep::Signed {
            size: TreeSize(7),
            took,
        });
        observer(BatchStep::Cosigned {
            enough: false,
            took,
        });
        observer(BatchStep::Cosigned { enough: true, took });
        observer(BatchStep::Published {
            size: TreeSize(7),
            took,
        });
        let [up, down] = ["32473.2", "32473.3"].map(|id| id.parse().expect("an ID"));
        for id in [up, down] {
            let size = TreeSize(3);
            observer(BatchStep::Witness { id, size });
        }
        observer(BatchStep::WitnessCosigned {
            id: up,
            size: TreeSize(7),
        });
        observer(BatchStep::WitnessFailed {
            id: down,
            fault: WitnessFault::Invalid,
        });
        let text = sbi::metrics::Exposition::Prometheus.encode(&registry.gather());
        for line in [
            "mtc_log_signed_entries 7",
            "mtc_log_entries 7",
            "mtc_log_batch_entries_sum 2",
            "mtc_log_batches_total{result=\"ok\"} 1",
            "mtc_log_batches_total{result=\"uncosigned\"} 1",
            "mtc_issuance_phase_duration_seconds_count{phase=\"queue\"} 2",
            "mtc_issuance_phase_duration_seconds_count{phase=\"witness\"} 2",
            "mtc_witness_entries{witness=\"32473.2\"} 7",
            "mtc_witness_entries{witness=\"32473.3\"} 3",
            "mtc_witness_timestamp_seconds{witness=\"32473.3\"} 0",
            "mtc_witness_failures_total{fault=\"invalid\",witness=\"32473.3\"} 1",
            "mtc_witness_failures_total{fault=\"late\",witness=\"32473.3\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
