//! Witnesses and mirrors as the MTCA reaches them: c2sp.org/tlog-witness and tlog-mirror below the prefixes of their operators.

use std::time::{Duration, Instant};

use hyper::http::HeaderValue;
use mtc_core::cosign::Cosigner;
use mtc_core::id::{LogId, TreeSize, TrustAnchorId};
use mtc_log::{AddCheckpoint, CaCheckpoint, MirrorInfo, Uploaded, Witness, WitnessError};
use mtc_web::{Answer, Client, HttpError, Prefix};
use sbi::checksum::sha256;
use tokio::sync::OnceCell;

use crate::config::WitnessAddress;
use crate::metrics::NrfMetrics;

/// How long one answer may take; the sequencer's deadline covers retries.
const TIMEOUT: Duration = Duration::from_secs(5);
/// As before, for a mirror, which stores what it is sent before it answers.
const MIRROR_TIMEOUT: Duration = Duration::from_secs(30);
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// Characters of a refusal's body that are kept for the error.
const MAX_DETAIL: usize = 200;
/// Octets of an answer: signature lines, or a checkpoint.
const MAX_ANSWER: usize = 64 * 1024;

/// A witness below its prefixes.
pub struct HttpWitness {
    cosigner: Cosigner,
    submission: Client,
    /// Where it shows checkpoints, if not there too.
    monitoring: Option<Client>,
    /// Full once a witness has answered below the submission prefix.
    found: OnceCell<()>,
    metrics: Option<NrfMetrics>,
    is_mirror: bool,
}

impl HttpWitness {
    /// A witness that signs as `cosigner` at `address`.
    ///
    /// # Errors
    /// [`HttpError::Roots`], for `https` alone.
    pub fn new(cosigner: Cosigner, address: &WitnessAddress) -> Result<Self, HttpError> {
        let timeout = if address.mirror {
            MIRROR_TIMEOUT
        } else {
            TIMEOUT
        };
        let client = |prefix: &Prefix| Client::new(prefix.clone(), timeout);
        Ok(Self {
            cosigner,
            submission: client(&address.submission_prefix)?,
            monitoring: address.monitoring_prefix.as_ref().map(client).transpose()?,
            found: OnceCell::const_new(),
            metrics: None,
            is_mirror: address.mirror,
        })
    }

    /// Counts this witness's answers, and the time that they take, in `metrics`.
    #[must_use]
    pub fn counted_in(mut self, metrics: NrfMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Whose cosignatures it makes.
    pub const fn id(&self) -> TrustAnchorId {
        self.cosigner.id
    }

    /// The latest checkpoint of a log that the witness has cosigned, with the signature of the log's CA verified. None if
    /// it has cosigned none.
    ///
    /// # Errors
    /// It does not answer, or not with such a checkpoint, or there is no witness below its prefix.
    pub async fn latest(
        &self,
        log: &LogId,
        ca: &Cosigner,
    ) -> Result<Option<CaCheckpoint>, WitnessError> {
        let note = self.latest_checkpoint(log).await?;
        Ok(note
            .map(|note| CaCheckpoint::verify(&note, log, ca))
            .transpose()?)
    }

    /// The size of a checkpoint later than `own` that a mirror has been sent, if it has: it is the first to be sent one, and shows it when it has
    /// all of the entries. Before that it tells its size to who offers it another one; `own` changes nothing there. None for other witnesses.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn pending_after(
        &self,
        own: &CaCheckpoint,
    ) -> Result<Option<TreeSize>, WitnessError> {
        if !self.is_mirror {
            return Ok(None);
        }
        let offered = AddCheckpoint {
            old_size: own.size(),
            proof: Vec::new(),
            checkpoint: own.to_note(),
        };
        match self.add_checkpoint(offered.encode()).await {
            Err(WitnessError::Conflict { size }) => {
                Ok(Some(size).filter(|size| *size > own.size()))
            }
            answered => answered.map(|_| None),
        }
    }

    async fn fetch_latest(&self, log: &LogId) -> Result<Option<Vec<u8>>, WitnessError> {
        let object = format!("{}/checkpoint", sha256(log.origin().as_bytes()));
        let client = self.monitoring.as_ref().unwrap_or(&self.submission);
        let answer = client.get(&object, MAX_ANSWER).await.map_err(unreachable)?;
        match answer.status.as_u16() {
            200 => Ok(Some(answer.body.to_vec())),
            404 => {
                self.found.get_or_try_init(|| self.find()).await?;
                Ok(None)
            }
            status => Err(WitnessError::Refused {
                status,
                detail: "no checkpoint".to_owned(),
            }),
        }
    }

    /// A server that has nothing at all below the prefix says `404` as a witness does that has cosigned nothing of a log. A witness
    /// says of an empty request that it is malformed. It is asked once: many logs are looked for, most of which there are not yet.
    async fn find(&self) -> Result<(), WitnessError> {
        match self.post("add-checkpoint", vec![]).await {
            Err(WitnessError::Refused { status, .. }) if matches!(status, 404 | 405) => {
                let prefix = self.submission.prefix();
                Err(WitnessError::Refused {
                    status,
                    detail: format!(
                        "there is no add-checkpoint below {prefix}; is that its submission prefix?"
                    ),
                })
            }
            Err(error @ WitnessError::Unreachable(_)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn ask(&self, request: &str, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        let started = Instant::now();
        let answer = self.post(request, body).await;
        if let Some(metrics) = &self.metrics {
            let witness = self.cosigner.id.to_string();
            metrics.asked_witness(&witness, request, &answer, started.elapsed());
        }
        answer
    }

    async fn post(&self, request: &str, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        let answer = self.send(request, TEXT, body).await?;
        match answer.status.as_u16() {
            200 => Ok(answer.body.to_vec()),
            409 => match String::from_utf8_lossy(&answer.body)
                .trim_end_matches('\n')
                .parse()
            {
                Ok(size) => Err(WitnessError::Conflict {
                    size: TreeSize(size),
                }),
                Err(_) => Err(WitnessError::Refused {
                    status: 409,
                    detail: "conflict without a size".to_owned(),
                }),
            },
            _ => Err(refused(&answer)),
        }
    }

    async fn upload(&self, body: Vec<u8>) -> Result<Uploaded, WitnessError> {
        let answer = self.send("add-entries", BINARY, body).await?;
        match answer.status.as_u16() {
            200 => Ok(Uploaded::Mirrored(answer.body.to_vec())),
            202 | 409 => MirrorInfo::parse(&answer.body)
                .map(Uploaded::Partly)
                .ok_or_else(|| refused(&answer)),
            _ => Err(refused(&answer)),
        }
    }

    async fn send(
        &self,
        request: &str,
        content_type: HeaderValue,
        body: Vec<u8>,
    ) -> Result<Answer, WitnessError> {
        let sent = self
            .submission
            .post(request, content_type, body, MAX_ANSWER);
        sent.await.map_err(unreachable)
    }
}

fn refused(answer: &Answer) -> WitnessError {
    let text = String::from_utf8_lossy(&answer.body);
    WitnessError::Refused {
        status: answer.status.as_u16(),
        detail: text.trim().chars().take(MAX_DETAIL).collect(),
    }
}

fn unreachable(error: HttpError) -> WitnessError {
    WitnessError::Unreachable(Box::new(error))
}

impl Witness for HttpWitness {
    fn cosigner(&self) -> &Cosigner {
        &self.cosigner
    }

    async fn add_checkpoint(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        self.ask("add-checkpoint", body).await
    }

    async fn sign_subtree(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        self.ask("sign-subtree", body).await
    }

    fn is_mirror(&self) -> bool {
        self.is_mirror
    }

    async fn add_entries(&self, body: Vec<u8>) -> Result<Uploaded, WitnessError> {
        let started = Instant::now();
        let answer = self.upload(body).await;
        if let Some(metrics) = &self.metrics {
            let witness = self.cosigner.id.to_string();
            metrics.asked_witness(&witness, "add-entries", &answer, started.elapsed());
        }
        answer
    }

    async fn latest_checkpoint(&self, log: &LogId) -> Result<Option<Vec<u8>>, WitnessError> {
        self.fetch_latest(log).await
    }
}
