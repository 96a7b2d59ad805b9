//! Metrics of subscriptions and of the notifications about NF instances.

use prometheus::{IntCounterVec, IntGauge};
use sbi::metrics::Registry;
use sbi::model::NotificationEventType;

/// The metrics of subscriptions. Clones share them.
#[derive(Clone)]
pub struct NotificationMetrics {
    subscriptions: IntGauge,
    queue: IntGauge,
    silent: IntGauge,
    notifications: IntCounterVec,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The subscriber has it.
    Ok,
    /// The subscriber has it and wants none of the kind.
    Refused,
    /// The subscriber knows nothing of the subscription, which has ended with that.
    Unknown,
    /// It did not answer, however often it was tried.
    GivenUp,
    /// There was no room to wait.
    Overflown,
}

impl Delivery {
    const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::GivenUp => "given-up",
            Self::Overflown => "overflown",
        }
    }
}

impl NotificationMetrics {
    /// Adds them to `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self {
            subscriptions: registry.gauge(
                "nf_subscriptions",
                "Subscriptions of other network functions to changes of NF instances.",
            ),
            queue: registry.gauge(
                "nf_notification_queue_entries",
                "Changes of which subscribers have not been told yet.",
            ),
            silent: registry.gauge(
                "nf_silent_subscribers",
                "Subscribers that have not answered a notification however often it was sent, and for which more wait.",
            ),
            notifications: registry.counters(
                "nf_notifications_total",
                "Notifications to subscribers (NFStatusNotify).",
                &[
                    ("event", "`NF_REGISTERED`, `NF_DEREGISTERED`, `NF_PROFILE_CHANGED`; `none` for one that overflowed before it was made"),
                    (
                        "result",
                        "`ok`, `refused` (another answer than 2xx), `unknown` (404: the subscription has ended with it), `given-up` \
                         (no answer, however often it was sent), `overflown` (the queue was full)",
                    ),
                ],
            ),
        }
    }

    /// So many subscriptions there are, so many notifications wait, and so many subscribers are silent.
    pub fn count(&self, subscriptions: usize, queued: usize, silent: usize) {
        for (gauge, value) in [
            (&self.subscriptions, subscriptions),
            (&self.queue, queued),
            (&self.silent, silent),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    /// A notification has ended.
    pub fn notified(&self, event: Option<&NotificationEventType>, delivery: Delivery) {
        let event = event.map_or("none", NotificationEventType::as_str);
        self.notifications
            .with_label_values(&[event, delivery.label()])
            .inc();
    }
}
