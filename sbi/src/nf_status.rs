//! Hearing of other NF instances from the NRF: a subscription that is kept up, and what it brings (TS 29.510 clauses 5.2.2.5 and
//! 5.2.2.6).
//!
//! ```text
//!   Watch::keep ── subscribe, renew at half time ──> NRF ── NFStatusNotify ──> notification
//!     `─ whenever it subscribes anew, or over another connection: something may have been missed
//! ```

use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::{ClientError, Connection};
use crate::model::{Document, NfType, NotificationData, SubscriptionData};
use crate::nnrf::Nrf;
use crate::problem::Problem;
use crate::response::JSON;
use crate::server::Request;

/// How long a subscription is to last: one of an NF that is gone ends soon.
const PERIOD: Duration = Duration::from_secs(600);
/// How often it is looked whether the connection is still open.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Pause before the next attempt after one that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// A notification, from a request to a callback of an NF. Only an NRF may send one.
///
/// # Errors
/// The problem to answer with.
pub fn notification(request: &Request) -> Result<NotificationData, Problem> {
    let is_nrf = request.peer.identity.as_ref().is_some_and(|identity| {
        let mut types = identity.nf_types.iter();
        types.any(|nf_type| nf_type == NfType::Nrf.as_str())
    });
    if !is_nrf {
        let detail = "only an NRF tells of NF instances";
        return Err(Problem::certificate_mismatch(detail));
    }
    request.require_media_type(JSON)?;
    NotificationData::read(&request.body)
}

/// A subscription to keep up.
pub struct Watch {
    /// Where.
    pub nrf: Nrf,
    /// To what.
    pub wanted: SubscriptionData,
    /// Tells how often it has begun to hear. What happened between two subscriptions, or waited in an NRF that has restarted since, has
    /// been told to nobody.
    pub subscribed: watch::Sender<u64>,
}

impl Watch {
    /// As [`Watch::keep`], from when it is known at which `callback` the NF is told, until the sender of that is dropped.
    pub async fn keep_at<F, E>(
        mut self,
        mut callback: watch::Receiver<Option<String>>,
        connect: impl Fn() -> F,
    ) where
        F: Future<Output = Result<Arc<Connection>, E>>,
        E: std::error::Error,
    {
        match callback.wait_for(Option::is_some).await {
            Ok(uri) => self.wanted.nf_status_notification_uri = uri.clone().unwrap_or_default(),
            Err(_) => return,
        }
        tokio::select! {
            () = self.keep(connect) => {}
            // It is set once, so this is its end.
            _ = callback.changed() => {}
        }
    }

    /// Keeps the subscription up, for ever, over connections that `connect` gives.
    ///
    /// Dropping the future leaves a subscription that ends when its time is over.
    pub async fn keep<F, E>(mut self, connect: impl Fn() -> F)
    where
        F: Future<Output = Result<Arc<Connection>, E>>,
        E: std::error::Error,
    {
        let mut kept: Option<String> = None;
        let mut last = None;
        loop {
            match connect().await {
                Ok(connection) => {
                    let is_another = last
                        .as_ref()
                        .is_none_or(|last| !Arc::ptr_eq(last, &connection));
                    let pause = self.renew(&connection, &mut kept, is_another).await;
                    last = Some(connection.clone());
                    while_open(&connection, pause).await;
                }
                Err(error) => {
                    tracing::debug!(error = %Causes(&error), "no connection to the NRF to subscribe over");
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Renews the subscription `kept`, or subscribes if there is none. Returns when to renew it.
    async fn renew(
        &mut self,
        connection: &Connection,
        kept: &mut Option<String>,
        is_another: bool,
    ) -> Duration {
        let had = kept.clone();
        match self.attempt(connection, kept).await {
            Ok(pause) => {
                if is_another || had != *kept {
                    self.subscribed.send_modify(|times| *times += 1);
                }
                pause
            }
            Err(error) => {
                tracing::info!(error = %Causes(&error), "the NRF took no subscription");
                RETRY_PAUSE
            }
        }
    }

    async fn attempt(
        &mut self,
        connection: &Connection,
        kept: &mut Option<String>,
    ) -> Result<Duration, ClientError> {
        let until = OffsetDateTime::now_utc() + PERIOD;
        // A time of this era can be written.
        let until = until.format(&Rfc3339).unwrap_or_default();
        if let Some(id) = kept {
            match self.nrf.renew(connection, id, until.clone()).await? {
                Some(until) => return Ok(half_way(&until)),
                None => *kept = None,
            }
        }
        self.wanted.validity_time = Some(until.clone());
        let answered = self.nrf.subscribe(connection, &self.wanted).await?;
        *kept = answered.subscription_id;
        Ok(half_way(
            answered.validity_time.as_deref().unwrap_or(&until),
        ))
    }
}

/// Waits for `pause`, but not much longer than the connection is open: an NRF that closes it may have restarted.
async fn while_open(connection: &Connection, pause: Duration) {
    let until = Instant::now() + pause;
    while !connection.is_closed() && Instant::now() < until {
        sleep_until(until.min(Instant::now() + LOOK_INTERVAL)).await;
    }
}

/// How long it is until half of the time to `until` is over, by the NRF's clock or ours: within what is sensible in any case.
fn half_way(until: &str) -> Duration {
    let left =
        OffsetDateTime::parse(until, &Rfc3339).map(|until| until - OffsetDateTime::now_utc());
    let left = left.ok().and_then(|left| Duration::try_from(left).ok());
    (left.unwrap_or(PERIOD) / 2).clamp(RETRY_PAUSE, PERIOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_renewed_when_half_of_it_is_over() {
        let until = |seconds: i64| {
            let until = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
            half_way(&until.format(&Rfc3339).unwrap())
        };
        assert!(until(200).abs_diff(Duration::from_secs(100)) < Duration::from_secs(30));
        assert_eq!(until(-200), PERIOD / 2);
        assert_eq!(until(1), RETRY_PAUSE);
        assert_eq!(until(86_400), PERIOD);
        assert_eq!(half_way("never"), PERIOD / 2);
    }
}
