//! What the NRF tells of AMFs: a subscription to all of them, and the news that have not been looked at yet.
//!
//! ```text
//!   NRF ── NFStatusNotify ──> hear ─┬─> what is remembered of the AMF is forgotten (serving_amf)
//!                                   `─> news ──> departure asks the NRF about that AMF at once
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sbi::model::{
    NfInstanceId, NfType, NotificationData, NotificationEventType as Event, SubscriptionData,
};
use sbi::nf_status::Watch;
use sbi::nnrf::Nrf;
use serde_json::{Map, json};
use tokio::sync::{Notify, watch};

use crate::serving_amf::ServingAmfs;

/// Where an SMF is notified, below its apiRoot.
pub const CALLBACK: &str = "/nsmf-callback/v1/nf-status";
/// Most AMFs of which there are news at a time. Those that have no place are asked about when it is their turn.
const MAX_NEWS: usize = 1024;

/// What an SMF hears of AMFs.
#[derive(Debug)]
pub struct AmfStatus {
    news: Mutex<HashMap<NfInstanceId, News>>,
    arrived: Notify,
    subscribed: watch::Sender<u64>,
}

/// What is new of an AMF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It has another profile.
    Changed,
    /// It is registered no longer.
    Gone,
}

impl Default for AmfStatus {
    fn default() -> Self {
        Self {
            news: Mutex::default(),
            arrived: Notify::new(),
            subscribed: watch::Sender::new(0),
        }
    }
}

impl AmfStatus {
    /// Takes in a notification.
    pub fn hear(&self, told: &NotificationData, amfs: &ServingAmfs) {
        let Some(amf) = told.instance_id() else {
            return;
        };
        amfs.forget(amf);
        let is_gone = told.event == Event::Deregistered;
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        if news.len() < MAX_NEWS || news.contains_key(&amf) {
            news.insert(amf, if is_gone { News::Gone } else { News::Changed });
            self.arrived.notify_one();
        }
    }

    /// Waits for news.
    ///
    /// Dropping the future loses none.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// The news since the last call.
    pub fn take(&self) -> HashMap<NfInstanceId, News> {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often the NRF has taken a subscription: news of the time before were told to nobody.
    pub fn subscribed(&self) -> watch::Receiver<u64> {
        self.subscribed.subscribe()
    }

    /// Keeps the subscription of an SMF up over the connection of `amfs` to `nrf`, once it is known where the SMF is called, until
    /// `callback` is closed.
    pub async fn keep(
        self: Arc<Self>,
        nrf: Nrf,
        amfs: Arc<ServingAmfs>,
        callback: watch::Receiver<Option<String>>,
    ) {
        let mut wanted = SubscriptionData::new("");
        wanted.req_nf_type = Some(NfType::Smf);
        wanted.subscr_cond = Some(Map::from_iter([(
            "nfType".to_owned(),
            json!(NfType::Amf.as_str()),
        )]));
        // A new AMF is asked for when it is needed.
        wanted.req_notif_events = vec![Event::ProfileChanged, Event::Deregistered];
        let watch = Watch {
            nrf,
            wanted,
            subscribed: self.subscribed.clone(),
        };
        watch.keep_at(callback, || amfs.connection()).await;
    }
}

#[cfg(test)]
mod tests {
    use sbi::model::Document;
    use test_support::nf::{closed_port, instance, nrf};

    use super::*;

    const AMF: &str = "0a3f5c1e-7d24-4b8f-9c61-2f4f0d9e1a01";

    fn told(event: &str) -> NotificationData {
        let uri = format!("https://nrf1.example.org/nnrf-nfm/v1/nf-instances/{AMF}");
        NotificationData::from_value(json!({"event": event, "nfInstanceUri": uri})).expect("valid")
    }

    #[tokio::test]
    async fn the_newest_news_of_an_amf_count() {
        let (_socket, closed) = closed_port();
        let smf = instance(
            NfType::Smf,
            "5b1d9a77-7d24-4b8f-9c61-2f4f0d9e1a01",
            "smf1.example.org",
        );
        let amfs = ServingAmfs::new(smf, nrf(closed));
        let status = AmfStatus::default();
        status.hear(&told("NF_PROFILE_CHANGED"), &amfs);
        status.hear(&told("NF_DEREGISTERED"), &amfs);
        status.arrived().await;
        let amf: NfInstanceId = AMF.parse().unwrap();
        assert_eq!(status.take(), HashMap::from([(amf, News::Gone)]));
        assert!(status.take().is_empty());
    }
}
