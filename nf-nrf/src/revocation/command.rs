//! `POST /revocations` on the admin port: an operator's order, carried out when it is answered.
//!
//! ```text
//!  JWT ──> by the enrolment authority? ──> ranges ──> recorded (durable) ──> published ──> 200 { revoked, list }
//!                                              │                   └── not within a few seconds: list is absent
//!                                              └─ an X.509 certificate: 200, and in whatever CRL or OCSP response is asked for from now on
//! ```
//!
//! The admin port asks nobody who he is, so the order proves it: whoever can mint enrolment tokens may revoke.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_core::hex;
use mtc_core::id::split_serial;
use mtc_core::revocation_list::RevocationList;
use mtc_core::time::UnixTime;
use mtc_core::verify::RevokedRange;
use mtc_tls::identity::CertificateId;
use sbi::admin::Commands;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::Request;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

use super::order::{MAX_REASON, RevocationOrder, What};
use crate::enrolment::Enrolment;
use crate::revoked::RevokedError;

/// Where orders are taken.
pub const PATH: &str = "/revocations";
/// How long an order waits for the list that has it.
const PATIENCE: Duration = Duration::from_secs(10);

/// First and last serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranges {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl From<RevokedRange> for Ranges {
    fn from(RevokedRange { first, last }: RevokedRange) -> Self {
        Self { first, last }
    }
}

/// A list that relying parties can fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedList {
    /// Its number.
    pub number: u64,
    /// Unix time at which it was made.
    pub issued: u64,
    /// Unix time by which the next one is due.
    pub next: u64,
    /// All that is revoked.
    pub ranges: Vec<Ranges>,
}

impl From<&RevocationList> for PublishedList {
    fn from(list: &RevocationList) -> Self {
        Self {
            number: list.number,
            issued: list.issued.0,
            next: list.next.0,
            ranges: list.ranges.iter().map(Ranges::from).collect(),
        }
    }
}

/// What has become of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Serial numbers of the MTCA that are revoked by it, or were before; none for a certificate of another CA.
    pub revoked: Vec<Ranges>,
    /// The list that has them; absent if none could be published yet, and for a certificate of another CA, which is in no such list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<PublishedList>,
}

/// Carries out orders.
pub struct RevocationCommand {
    /// Who verifies them, and remembers.
    pub enrolment: Arc<Enrolment>,
    /// What was published; none without an issuance log.
    pub published: Option<watch::Receiver<Option<RevocationList>>>,
}

impl Commands for RevocationCommand {
    fn path(&self) -> &'static str {
        PATH
    }

    fn handle<'a>(
        &'a self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send + 'a>> {
        Box::pin(async move {
            if request.method != Method::POST {
                return Err(Problem::method_not_allowed("POST"));
            }
            let order = std::str::from_utf8(&request.body).unwrap_or_default();
            let answer = self.carry_out(order.trim()).await?;
            Ok(Response::json(StatusCode::OK, &answer))
        })
    }
}

impl RevocationCommand {
    async fn carry_out(&self, order: &str) -> Result<Answer, Problem> {
        let now = self.enrolment.clock.now();
        let order = self.enrolment.tokens.verify_order(order, now);
        let RevocationOrder { what, reason, .. } = order
            .map_err(|error| Problem::new(StatusCode::UNAUTHORIZED, Causes(&error).to_string()))?;
        if reason.is_some_and(|reason| reason > MAX_REASON) {
            let text = format!("not one of 0 to {MAX_REASON} (RFC 5280 section 5.3.1)");
            return Err(Problem::mandatory_ie_incorrect("/reason", text));
        }
        let ranges = match what {
            What::Serials { first, last } => {
                let range = RevokedRange { first, last };
                self.require_issued(range)?;
                vec![range]
            }
            What::Certificate {
                issuer,
                serial,
                not_after,
            } => {
                let id = hex::decode(&issuer).zip(hex::decode(&serial));
                let (issuer, serial) = id.ok_or_else(|| {
                    Problem::mandatory_ie_incorrect("/what/certificate", "not hexadecimal digits")
                })?;
                let id = CertificateId::new(&issuer, &serial);
                self.certificate(&id, UnixTime(not_after), reason).await?
            }
            What::Instance(instance) => self.of_instance(instance).await?,
        };
        let revoked = &self.enrolment.revoked;
        let recorded = revoked.revoke(ranges.iter().copied(), reason, now).await;
        recorded.map_err(problem)?;
        tracing::warn!(?ranges, reason, "revoked by order of the operator");
        Ok(Answer {
            list: self.published(&ranges).await,
            revoked: ranges.into_iter().map(Ranges::from).collect(),
        })
    }

    /// Refuses serial numbers that may still be given to somebody.
    fn require_issued(&self, range: RevokedRange) -> Result<(), Problem> {
        let refused = |reason: &str| {
            let reason = format!("{} to {}: {reason}", range.first, range.last);
            Err(Problem::mandatory_ie_incorrect("/what/serials", reason))
        };
        if range.first > range.last {
            return refused("ends before it begins");
        }
        let (Ok(_), Ok((log, index))) = (split_serial(range.first), split_serial(range.last))
        else {
            return refused("not of a log");
        };
        let Ok(mtca) = &self.enrolment.mtca else {
            return Ok(());
        };
        let current = mtca.log().number();
        if log > current || (log == current && !mtca.holds(index)) {
            return refused(
                "not all have been issued: those after the last entry would be revoked before anybody has them",
            );
        }
        Ok(())
    }

    /// The serial number of a certificate of the MTCA; one of another CA of this NRF is recorded.
    async fn certificate(
        &self,
        id: &CertificateId,
        not_after: UnixTime,
        reason: Option<u8>,
    ) -> Result<Vec<RevokedRange>, Problem> {
        let enrolment = &self.enrolment;
        if let Some(serial) = enrolment.revoked.serial(id) {
            let range = RevokedRange {
                first: serial,
                last: serial,
            };
            self.require_issued(range)?;
            return Ok(vec![range]);
        }
        let mut baselines = enrolment.baselines.iter();
        if !baselines.any(|baseline| baseline.issuer_name() == id.issuer()) {
            let reason = "the issuer is no CA of this NRF";
            return Err(Problem::mandatory_ie_incorrect("/what/certificate", reason));
        }
        let now = enrolment.clock.now();
        match enrolment.revoked.mark_id(id, not_after, reason, now).await {
            Ok(()) | Err(RevokedError::Already) => Ok(Vec::new()),
            Err(error) => Err(problem(error)),
        }
    }

    async fn of_instance(&self, instance: uuid::Uuid) -> Result<Vec<RevokedRange>, Problem> {
        let mtca = self.enrolment.mtca.as_ref().map_err(|unopened| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, unopened.to_string())
        })?;
        let serials = mtca.serials_of(instance).await.map_err(|error| {
            tracing::error!(error = %Causes(&error), "cannot read the certificates of an instance");
            Problem::system_failure()
        })?;
        if serials.is_empty() {
            return Err(Problem::not_found(format!(
                "NF instance {instance} has no Merkle Tree Certificate that has not expired"
            )));
        }
        let single = |serial| RevokedRange {
            first: serial,
            last: serial,
        };
        Ok(serials.into_iter().map(single).collect())
    }

    /// The first list that has these ranges, if there are some.
    async fn published(&self, ranges: &[RevokedRange]) -> Option<PublishedList> {
        if ranges.is_empty() {
            return None;
        }
        let mut published = self.published.clone()?;
        let has_all = |list: &Option<RevocationList>| {
            let list = list.as_ref();
            list.is_some_and(|list| ranges.iter().all(|range| list.ranges.covers(*range)))
        };
        let found = timeout(PATIENCE, published.wait_for(has_all)).await;
        let list = found.ok()?.ok()?.clone();
        list.as_ref().map(PublishedList::from)
    }
}

fn problem(error: RevokedError) -> Problem {
    match error {
        RevokedError::TooMany(_) => Problem::new(StatusCode::CONFLICT, error.to_string()),
        error => {
            tracing::error!(error = %Causes(&error), "cannot record a revocation");
            Problem::system_failure()
        }
    }
}
