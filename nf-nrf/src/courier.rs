//! Delivers what waits in the boxes: NFStatusNotify (TS 29.510 clause 5.2.2.6), the NRF as the client.
//!
//! ```text
//!   box ──> courier ── one request after the other, over one connection ──> subscriber
//!     2xx: next    404: the subscription ends    other 3xx, 4xx: refused, next
//!     429, 5xx, no answer: again, ever more slowly; given up after a few times, and then the subscriber is silent for a while
//! ```
//!
//! Each subscriber has a courier of its own while something waits for it, so a dead one delays nobody: those who wait for it to
//! answer are few (`MAX_AT_ONCE`) and do so for seconds.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_tls::peer::ExpectedPeer;
use sbi::client::{ClientError, Connection, Request};
use sbi::header::{Callback as CallbackHeader, UserAgent};
use sbi::instance::{CallError, Instance};
use sbi::model::NotificationData;
use sbi::uri::ApiRoot;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::callback::Reach;
use crate::metrics::notifications::Delivery;
use crate::notification::notification;
use crate::notifier::Notifier;
use crate::outbox::{BoxAddress, Queued};
use crate::registry::SharedRegistry;
use crate::subscription::Subscription;

/// How long a subscriber may take for a connection, and for an answer.
const CONNECT_TIME: Duration = Duration::from_secs(3);
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// Pauses between the attempts to deliver a notification: 13 seconds in all, in which a subscriber that restarts is back.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// How long a subscriber is left alone that did not answer any of them.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a connection is kept when there is nothing to tell: longer than changes are apart where there are some.
const IDLE: Duration = Duration::from_secs(30);
/// Most deliveries at a time. With all of them waiting for subscribers that are dead, the next waits for eight seconds.
const MAX_AT_ONCE: usize = 256;
/// Most connections that are kept while there is nothing to tell, of the file descriptors of the process.
const MAX_KEPT: usize = 512;

/// Opens connections to subscribers.
pub trait Dial: Send + Sync + 'static {
    /// A connection over which only the subscriber answers.
    fn dial(
        &self,
        subscription: &Subscription,
    ) -> impl Future<Output = Result<Connection, DialError>> + Send;
}

/// Why there is no connection to a subscriber.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// It has no address that the NRF connects to.
    #[error("the subscriber has no address that the NRF connects to")]
    NoAddress,
    /// It did not come about.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It did not come about in cleartext.
    #[error(transparent)]
    Cleartext(#[from] ClientError),
    /// It took too long.
    #[error("no connection within {CONNECT_TIME:?}")]
    Timeout,
}

/// Connections over mutual TLS, as the NRF's instance.
pub struct TlsDial {
    /// The NRF.
    pub instance: Arc<Instance>,
    /// Where the addresses of subscribers are.
    pub registry: Arc<SharedRegistry>,
    /// Which of them are called.
    pub reach: Reach,
}

impl Dial for TlsDial {
    async fn dial(&self, subscription: &Subscription) -> Result<Connection, DialError> {
        let (subscriber, callback) = (&subscription.subscriber, &subscription.callback);
        let stored = self
            .registry
            .read(|registry| registry.get(subscriber.id).cloned());
        let profile = stored.as_ref().map(|stored| stored.profile.as_ref());
        let address = callback.address(profile, subscriber.address, self.reach);
        let address = address.ok_or(DialError::NoAddress)?;
        let fqdn = callback
            .name()
            .or_else(|| subscriber.fqdns.first().map(String::as_str));
        let expected = ExpectedPeer {
            fqdn: fqdn.ok_or(DialError::NoAddress)?.to_owned(),
            instance_id: Some(subscriber.id.uuid()),
            nf_type: None,
        };
        let address = (address, callback.port()).into();
        let opened = self
            .instance
            .open_own_in(subscriber.domain, address, expected);
        let opened = timeout(CONNECT_TIME, opened).await;
        Ok(opened.map_err(|_| DialError::Timeout)??.connection)
    }
}

/// Connections in cleartext (HTTP/2 with prior knowledge), to those who subscribed in cleartext.
pub struct CleartextDial {
    /// Which addresses are called.
    pub reach: Reach,
}

impl Dial for CleartextDial {
    async fn dial(&self, subscription: &Subscription) -> Result<Connection, DialError> {
        let (callback, from) = (&subscription.callback, subscription.subscriber.address);
        let address = callback.address(None, from, self.reach);
        let address = address.ok_or(DialError::NoAddress)?;
        let address = (address, callback.port()).into();
        Ok(Connection::connect_cleartext(address, CONNECT_TIME).await?)
    }
}

/// All couriers.
pub struct Couriers<D> {
    notifier: Arc<Notifier>,
    nrf: ApiRoot,
    dial: D,
    at_once: Semaphore,
    kept: Semaphore,
}

/// What came of an attempt.
enum Attempt {
    Ended(Delivery),
    /// It is to be made again, for this reason.
    Again(String),
}

impl<D: Dial> Couriers<D> {
    /// Deliver what `notifier` has, as the NRF at `nrf`.
    pub fn new(notifier: Arc<Notifier>, nrf: ApiRoot, dial: D) -> Self {
        Self {
            notifier,
            nrf,
            dial,
            at_once: Semaphore::new(MAX_AT_ONCE),
            kept: Semaphore::new(MAX_KEPT),
        }
    }

    /// Delivers, for ever. Dropping the future stops all couriers at once.
    pub async fn run(self) {
        let couriers = Arc::new(self);
        let mut running = JoinSet::new();
        let mut boxes = HashMap::new();
        loop {
            let (address, arrived) = tokio::select! {
                new = couriers.notifier.outboxes.new_box() => new,
                Some(ended) = running.join_next_with_id() => match ended {
                    Ok((id, ())) => {
                        boxes.remove(&id);
                        continue;
                    }
                    Err(error) => {
                        let its_box = boxes.remove(&error.id());
                        let its_box: (BoxAddress, _) = its_box.expect("each courier has a box");
                        couriers.replace(&its_box.0, &error);
                        its_box
                    }
                },
            };
            let courier = couriers.clone().carry(address.clone(), arrived.clone());
            boxes.insert(running.spawn(courier).id(), (address, arrived));
        }
    }

    /// Says that the courier of a box has failed, and with it what it had taken out: the next one goes on behind that.
    fn replace(&self, address: &BoxAddress, error: &JoinError) {
        self.notifier.metrics().notified(None, Delivery::GivenUp);
        tracing::error!(
            %error, subscriber = %address.subscriber, authority = address.authority,
            "a courier has failed: the notification that it had is lost, and another one brings the rest"
        );
    }

    /// Empties a box, until nothing has come into it for a while.
    async fn carry(self: Arc<Self>, address: BoxAddress, arrived: Arc<Notify>) {
        let mut connection = None;
        loop {
            while let Some(queued) = self.notifier.outboxes.next(&address) {
                self.deliver(&address, &queued, &mut connection).await;
            }
            let place = self.kept.try_acquire();
            if place.is_err() {
                connection = None;
            }
            let is_idle = timeout(IDLE, arrived.notified()).await.is_err();
            if is_idle && self.notifier.outboxes.close(&address) {
                return;
            }
        }
    }

    async fn deliver(
        &self,
        address: &BoxAddress,
        queued: &Queued,
        connection: &mut Option<Connection>,
    ) {
        let subscription = &queued.subscription;
        let Some(told) = notification(subscription, &queued.change, &self.nrf) else {
            return;
        };
        let metrics = self.notifier.metrics();
        let mut reason = String::new();
        for pause in PAUSES.into_iter().map(Some).chain([None]) {
            if self.notifier.get(&subscription.id).is_none() {
                return;
            }
            match self.attempt(subscription, &told, connection).await {
                Attempt::Ended(delivery) => {
                    metrics.notified(Some(&told.event), delivery);
                    self.notifier.outboxes.set_silent(address, false);
                    if delivery == Delivery::Unknown {
                        self.end(subscription).await;
                    }
                    return;
                }
                Attempt::Again(why) => reason = why,
            }
            if let Some(pause) = pause {
                sleep(pause).await;
            }
        }
        metrics.notified(Some(&told.event), Delivery::GivenUp);
        tracing::warn!(
            subscription = subscription.id.as_str(), subscriber = %address.subscriber, authority = address.authority, error = reason,
            "a subscriber does not answer: a notification was given up"
        );
        let lost = self.notifier.outboxes.set_silent(address, true);
        self.notifier.lost(lost);
        sleep(SILENCE).await;
    }

    /// Sends a notification once, over the connection that there is or a new one.
    async fn attempt(
        &self,
        subscription: &Subscription,
        told: &NotificationData,
        connection: &mut Option<Connection>,
    ) -> Attempt {
        let place = self.at_once.acquire().await;
        let _place = place.expect("the semaphore is never closed");
        let open = match connection.take().filter(|open| !open.is_closed()) {
            Some(open) => open,
            None => match self.dial.dial(subscription).await {
                Ok(opened) => opened,
                Err(error) => return Attempt::Again(Causes(&error).to_string()),
            },
        };
        match open.call(request(subscription, told), ANSWER_TIME).await {
            Ok(_) => {
                *connection = Some(open);
                Attempt::Ended(Delivery::Ok)
            }
            Err(ClientError::Status { status, details }) => {
                *connection = Some(open);
                let answer = judge(status);
                if matches!(answer, Attempt::Ended(Delivery::Refused)) {
                    tracing::info!(subscriber = %subscription.subscriber.id, %status, %details, "a subscriber refused a notification");
                }
                answer
            }
            // Its fate is unknown: sent again, it is at worst told twice.
            Err(error) => Attempt::Again(Causes(&error).to_string()),
        }
    }

    /// The subscriber knows nothing of it any more.
    async fn end(&self, subscription: &Subscription) {
        let id = subscription.id.clone();
        tracing::info!(
            subscription = id.as_str(),
            "a subscription is unknown to its subscriber and ends"
        );
        let notifier = self.notifier.clone();
        // Off the runtime: it is removed from the disk. It fails only when the runtime ends.
        let _ = tokio::task::spawn_blocking(move || notifier.remove(&id)).await;
    }
}

/// Open5GS answers 400 to an NF_PROFILE_CHANGED: it has it, and a second time would change nothing.
fn judge(status: StatusCode) -> Attempt {
    match status {
        StatusCode::NOT_FOUND => Attempt::Ended(Delivery::Unknown),
        StatusCode::TOO_MANY_REQUESTS => Attempt::Again(status.to_string()),
        status if status.is_server_error() => Attempt::Again(status.to_string()),
        _ => Attempt::Ended(Delivery::Refused),
    }
}

fn request(subscription: &Subscription, told: &NotificationData) -> Request {
    let callback = &subscription.callback;
    let mut request = Request::new(Method::POST, callback.authority(), callback.path()).json(told);
    if let Ok(header) = CallbackHeader::new("Nnrf_NFManagement_NFStatusNotify") {
        request = request.header(&header);
    }
    if let Ok(agent) = "NRF".parse::<UserAgent>() {
        request = request.header(&agent);
    }
    request
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use mtc_core::time::UnixTime;
    use mtc_tls::clock::Clock;
    use sbi::metrics::{Metrics, Registry};
    use sbi::model::{NfProfile, NfType, SubscriptionData};
    use sbi::problem::Problem;
    use sbi::response::Response;
    use sbi::server::{self, Handler, Peer};
    use sbi::uri::Scheme;
    use tokio::sync::mpsc;
    use uuid::Uuid;

    use super::*;
    use crate::files::PrivateFolder;
    use crate::metrics::notifications::NotificationMetrics;
    use crate::registry::Change;
    use crate::subscription::{Subscriber, SubscriptionId};
    use crate::subscriptions::Bounds;

    /// A subscriber to which the first attempt to connect panics.
    struct PanicsOnce {
        has_panicked: AtomicBool,
        subscriber: Arc<Told>,
    }

    impl Dial for PanicsOnce {
        async fn dial(&self, _: &Subscription) -> Result<Connection, DialError> {
            let has_panicked = self.has_panicked.swap(true, Ordering::Relaxed);
            assert!(has_panicked, "a panic of the test's own");
            let (client, io) = tokio::io::duplex(64 * 1024);
            tokio::spawn(server::serve_connection(
                io,
                Arc::new(Peer::cleartext(([127, 0, 0, 1], 1).into())),
                self.subscriber.clone(),
                Metrics::new().requests,
                std::future::pending(),
            ));
            Ok(Connection::handshake(client, Scheme::Https).await?)
        }
    }

    struct Told(mpsc::UnboundedSender<NotificationData>);

    impl Handler for Told {
        async fn handle(&self, request: server::Request) -> Result<Response, Problem> {
            let told = serde_json::from_slice(&request.body).expect("a notification");
            self.0.send(told).expect("the test listens");
            Ok(Response::no_content())
        }
    }

    fn watching(notifier: &Notifier) -> Arc<Subscription> {
        let data = SubscriptionData::new("https://amf1.example.org:7777/cb");
        let subscriber = Subscriber {
            id: Uuid::from_u128(7).into(),
            nf_type: NfType::Amf,
            fqdns: Vec::new(),
            address: [127, 0, 0, 1].into(),
            domain: None,
        };
        let expires = UnixTime(notifier.now().0 + 60);
        let id = SubscriptionId::random();
        let subscription = Subscription::new(id, data, subscriber, expires).expect("valid");
        Arc::new(subscription)
    }

    fn registered(instance: u128) -> Change {
        let id = Uuid::from_u128(instance).into();
        let profile = NfProfile::new(id, NfType::Smf, "smf1.example.org");
        Change::Registered(Arc::new(profile))
    }

    /// Its box stayed, with nobody to empty it, and whatever came was put into it.
    #[tokio::test]
    async fn what_a_failed_courier_leaves_is_brought_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(folder.path().to_owned()).unwrap();
        let metrics = NotificationMetrics::new(&Registry::default());
        let notifier = Notifier::open(folder, Bounds::default(), Clock::default(), metrics);
        let notifier = Arc::new(notifier.unwrap());
        notifier.put(watching(&notifier)).unwrap();
        for instance in [1, 2] {
            notifier.announce(&registered(instance));
        }
        let (tell, mut told) = mpsc::unbounded_channel();
        let dial = PanicsOnce {
            has_panicked: AtomicBool::new(false),
            subscriber: Arc::new(Told(tell)),
        };
        let nrf = "https://nrf1.example.org:7777".parse().unwrap();
        let couriers = tokio::spawn(Couriers::new(notifier.clone(), nrf, dial).run());
        let second = timeout(ANSWER_TIME, told.recv()).await.unwrap().unwrap();
        let id = Uuid::from_u128(2).to_string();
        assert!(second.nf_instance_uri.ends_with(&id), "{second:?}");
        couriers.abort();
    }
}
