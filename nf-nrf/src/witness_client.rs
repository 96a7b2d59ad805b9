//! Witnesses as the MTCA reaches them: c2sp.org/tlog-witness over cleartext HTTP/2.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::http::HeaderValue;
use mtc_core::cosign::Cosigner;
use mtc_core::id::{LogId, TreeSize, TrustAnchorId};
use mtc_log::{CaCheckpoint, Witness, WitnessError};
use sbi::address::Address;
use sbi::checksum::sha256;
use sbi::client::{ClientError, Connection, Request};
use tokio::sync::Mutex;

use crate::metrics::NrfMetrics;

/// How long one answer may take; the sequencer's deadline covers retries.
const TIMEOUT: Duration = Duration::from_secs(5);
const BODY_TYPE: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Characters of a refusal's body that are kept for the error.
const MAX_DETAIL: usize = 200;

/// A witness at an address, over one connection that is kept.
pub struct HttpWitness {
    cosigner: Cosigner,
    address: Address,
    /// A tokio mutex: it is held while connecting, so that requests at the same time share the connection.
    connection: Mutex<Option<Arc<Connection>>>,
    metrics: Option<NrfMetrics>,
}

impl HttpWitness {
    /// A witness that signs as `cosigner` at `address`.
    pub fn new(cosigner: Cosigner, address: impl Into<Address>) -> Self {
        Self {
            cosigner,
            address: address.into(),
            connection: Mutex::const_new(None),
            metrics: None,
        }
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
    /// It does not answer, or not with such a checkpoint.
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

    async fn fetch_latest(&self, log: &LogId) -> Result<Option<Vec<u8>>, WitnessError> {
        let unreachable = |error: ClientError| WitnessError::Unreachable(Box::new(error));
        let path = format!("/{}/checkpoint", sha256(log.origin().as_bytes()));
        let request = Request::new(Method::GET, self.address.to_string(), path);
        let connection = self.connection().await.map_err(unreachable)?;
        let response = connection
            .send(request, TIMEOUT)
            .await
            .map_err(unreachable)?;
        match response.status.as_u16() {
            200 => Ok(Some(response.body.to_vec())),
            404 => Ok(None),
            status => Err(WitnessError::Refused {
                status,
                detail: "no checkpoint".to_owned(),
            }),
        }
    }

    /// The kept connection, or a new one.
    async fn connection(&self) -> Result<Arc<Connection>, ClientError> {
        let mut kept = self.connection.lock().await;
        if let Some(open) = kept.as_ref().filter(|open| !open.is_closed()) {
            return Ok(open.clone());
        }
        let opened =
            Arc::new(Connection::connect_cleartext(self.address.resolve().await?, TIMEOUT).await?);
        *kept = Some(opened.clone());
        Ok(opened)
    }

    async fn ask(&self, request: &str, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        let started = Instant::now();
        let answer = self.post(&format!("/{request}"), body).await;
        if let Some(metrics) = &self.metrics {
            let witness = self.cosigner.id.to_string();
            metrics.asked_witness(&witness, request, &answer, started.elapsed());
        }
        answer
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        let unreachable = |error: ClientError| WitnessError::Unreachable(Box::new(error));
        let request =
            Request::new(Method::POST, self.address.to_string(), path).body(BODY_TYPE, body);
        let connection = self.connection().await.map_err(unreachable)?;
        let response = connection
            .send(request, TIMEOUT)
            .await
            .map_err(unreachable)?;
        let status = response.status.as_u16();
        let text = String::from_utf8_lossy(&response.body);
        match status {
            200 => Ok(response.body.to_vec()),
            409 => match text.trim_end_matches('\n').parse() {
                Ok(size) => Err(WitnessError::Conflict {
                    size: TreeSize(size),
                }),
                Err(_) => Err(WitnessError::Refused {
                    status,
                    detail: "conflict without a size".to_owned(),
                }),
            },
            _ => Err(WitnessError::Refused {
                status,
                detail: text.trim().chars().take(MAX_DETAIL).collect(),
            }),
        }
    }
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

    async fn latest_checkpoint(&self, log: &LogId) -> Result<Option<Vec<u8>>, WitnessError> {
        self.fetch_latest(log).await
    }
}
