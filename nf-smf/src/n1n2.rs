//! Namf_Communication N1N2 message transfer, the consumer (TS 29.518 clause 5.2.2.3): what an SM context brings about.
//!
//! ```text
//!  201 to the AMF ── Transfer ──> find the AMF ──> fresh mTLS connection, in the profile of the request ──> POST ──> close
//!                                                  to the AMF, or to the SCP that the request came through
//! ```
//!
//! Each transfer has a place, and the places are as many as there may be transfers under way; an SM context for which none is
//! free is refused. So nothing is queued, and no accepted session is left without its transfer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::Method;
use hyper::http::HeaderValue;
use mtc_core::causes::Causes;
use procedures::caller::Came;
use sbi::client::{ClientError, Request};
use sbi::header::UserAgent;
use sbi::instance::{CallError, Instance, Opened};
use sbi::ledger::{HopTotals, Procedure};
use sbi::model::{
    Endpoint, N1MessageContainer, N1N2MessageTransferReqData, N2InfoContainer, N2InfoContent,
    N2SmInformation, NfInstanceId, NfType, RefToBinaryData, Snssai,
};
use sbi::multipart::{Multipart, NAS, NGAP};
use sbi::uri;
use serde_json::Map;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::serving_amf::{FindError, ServingAmfs};
use crate::sm_context::{PduSession, SmContextRef};

/// How long a transfer may take, from finding the AMF to its answer.
const TRANSFER_TIME: Duration = Duration::from_secs(10);
/// How long the AMF may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How long a goodbye may take.
const CLOSE_TIME: Duration = Duration::from_secs(1);
/// Content-Ids of the two binary parts.
const N1_PART: &str = "n1-sm";
const N2_PART: &str = "n2-sm";
/// Octets of a PDU session establishment accept with a QoS rule, session AMBR, address and DNN.
const N1_ACCEPT_LENGTH: usize = 56;
/// Octets of a PDU session resource setup request transfer with a tunnel and a QoS flow.
const N2_SETUP_LENGTH: usize = 52;

/// A transfer to carry out.
#[derive(Debug)]
pub struct Transfer {
    /// The SM context that brings it about.
    pub context: SmContextRef,
    /// The PDU session.
    pub session: PduSession,
    /// Its slice.
    pub slice: Snssai,
    /// The AMF.
    pub amf: NfInstanceId,
    /// How the AMF's own request came. If it came through an SCP the transfer goes through it too, to this AMF, which is the form of
    /// model C.
    pub came: Came,
    /// Its place among those under way.
    pub place: OwnedSemaphorePermit,
}

/// What became of transfers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferCounts {
    /// An AMF took them.
    pub delivered: u64,
    /// No AMF took them.
    pub failed: u64,
}

/// Why no AMF took a transfer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// It is not known where the AMF is.
    #[error("AMF not found")]
    Find(#[from] FindError),
    /// There is no connection to it.
    #[error("no connection to the AMF")]
    Connect(#[source] CallError),
    /// It did not answer, or refused.
    #[error("the AMF did not accept the transfer")]
    Refused(#[from] ClientError),
    /// All of it took too long.
    #[error("the transfer did not finish within {TRANSFER_TIME:?}")]
    Timeout,
}

/// Carries out transfers on behalf of an SMF instance.
pub struct Transfers {
    instance: Arc<Instance>,
    amfs: Arc<ServingAmfs>,
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl Transfers {
    /// None yet; AMFs are called as `instance`.
    pub fn new(instance: Arc<Instance>, amfs: Arc<ServingAmfs>) -> Self {
        Self {
            instance,
            amfs,
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// What became of the transfers so far.
    pub fn counts(&self) -> TransferCounts {
        TransferCounts {
            delivered: self.delivered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// Carries out `transfer`; logs and counts what becomes of it.
    pub async fn carry_out(&self, transfer: Transfer) {
        let delivery = timeout(TRANSFER_TIME, self.deliver(&transfer));
        match delivery.await.unwrap_or(Err(TransferError::Timeout)) {
            Ok(()) => self.delivered.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                let PduSession { supi, id } = &transfer.session;
                tracing::warn!(
                    smf = %self.instance.fqdn, amf = %transfer.amf, supi, pdu_session_id = id,
                    error = %Causes(&error), "N1N2 transfer failed"
                );
                self.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }

    async fn deliver(&self, transfer: &Transfer) -> Result<(), TransferError> {
        let amf = self.amfs.find(transfer.amf).await?;
        let Came { profile, scp } = transfer.came;
        let offer = self.instance.offer_after(profile);
        let profile = offer.profile();
        let scp = match scp {
            Some(id) => Some(self.amfs.scp(id).await?),
            None => None,
        };
        let mut request = transfer.request(&amf.endpoint);
        let (addr, expected) = match &scp {
            Some(scp) => {
                let root = amf.endpoint.root().map_err(|_| ClientError::Target {
                    authority: request.authority.clone(),
                    path: request.path.clone(),
                })?;
                request = scp.towards(request, &root);
                (scp.addr, scp.expected())
            }
            None => (amf.addr, amf.expected()),
        };
        let opened = self.instance.open(addr, offer, expected);
        let connection = opened.await.map_err(|error| {
            match &scp {
                Some(scp) => self.amfs.forget_scp(scp.id),
                None => self.amfs.forget(amf.id),
            }
            TransferError::Connect(error)
        })?;
        let Opened {
            connection, cost, ..
        } = connection;
        if let Ok(agent) = UserAgent::new(&self.instance.nf_type, &self.instance.fqdn) {
            request = request.header(&agent);
        }
        // Every 2xx will do: 200 says that the UE is connected, 202 that it is being paged.
        let answer = connection.call(request, ANSWER_TIME).await;
        let usage = connection.usage();
        // An AMF that does not say goodbye has taken the transfer all the same.
        let _ = timeout(CLOSE_TIME, connection.close()).await;
        let used = HopTotals::of(usage.now(), Some(&cost));
        let (ledger, own_type) = (self.instance.ledger(), &self.instance.nf_type);
        let along: &[NfType] = match &scp {
            Some(_) => &[NfType::Scp, NfType::Amf],
            None => &[NfType::Amf],
        };
        let procedure = Procedure::SessionEstablishment;
        ledger.record_procedure(profile, procedure, own_type, along, &used);
        if scp.is_some() {
            ledger.record_leg(profile, own_type, &NfType::Scp, &used);
        }
        Ok(answer.map(drop)?)
    }
}

impl Transfer {
    /// The request to the AMF at `endpoint`; the SUPI is the `ueContextId`.
    fn request(&self, endpoint: &Endpoint) -> Request {
        let path = format!(
            "{}/namf-comm/v1/ue-contexts/{}/n1-n2-messages",
            endpoint.api_prefix,
            uri::encode(&self.session.supi)
        );
        let (content_type, body) = self.message().encode();
        let content_type =
            HeaderValue::try_from(content_type).expect("a multipart content type is visible ASCII");
        Request::new(Method::POST, endpoint.authority(), path).body(content_type, body)
    }

    fn message(&self) -> Multipart {
        Multipart::json(&self.document())
            .attach(NAS, N1_PART, nas_accept(self.session.id))
            .attach(NGAP, N2_PART, vec![0; N2_SETUP_LENGTH])
    }

    fn document(&self) -> N1N2MessageTransferReqData {
        let id = self.session.id;
        N1N2MessageTransferReqData {
            pdu_session_id: Some(id),
            n1_message_container: Some(N1MessageContainer {
                n1_message_class: "SM".to_owned(),
                n1_message_content: RefToBinaryData::new(N1_PART),
                other: Map::new(),
            }),
            n2_info_container: Some(N2InfoContainer {
                n2_information_class: "SM".to_owned(),
                sm_info: Some(N2SmInformation {
                    pdu_session_id: id,
                    s_nssai: Some(self.slice.clone()),
                    n2_info_content: Some(N2InfoContent {
                        ngap_ie_type: Some("PDU_RES_SETUP_REQ".to_owned()),
                        ngap_data: RefToBinaryData::new(N2_PART),
                        other: Map::new(),
                    }),
                    other: Map::new(),
                }),
                other: Map::new(),
            }),
            other: Map::new(),
        }
    }
}

/// A PDU session establishment accept: the header of TS 24.501 clause 8.3.2 (5GSM, session, PTI 1, message type, IPv4 and SSC
/// mode 1), then zeros up to a usual length.
fn nas_accept(pdu_session_id: u8) -> Vec<u8> {
    let mut message = vec![0x2e, pdu_session_id, 0x01, 0xc2, 0x11];
    message.resize(N1_ACCEPT_LENGTH, 0);
    message
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hyper::header::CONTENT_TYPE;
    use sbi::model::Document;
    use sbi::uri::Scheme;
    use tokio::sync::Semaphore;
    use uuid::Uuid;

    use super::*;

    fn transfer() -> Transfer {
        let places = Arc::new(Semaphore::new(1));
        Transfer {
            context: SmContextRef(Uuid::from_u128(7)),
            session: PduSession {
                supi: "imsi-001010000000001".to_owned(),
                id: 5,
            },
            slice: Snssai::new(1, Some("010203")).expect("hex digits"),
            amf: Uuid::from_u128(1).into(),
            came: Came::default(),
            place: places.try_acquire_owned().expect("a free place"),
        }
    }

    #[test]
    fn the_request_is_addressed_by_name_port_prefix_and_supi() {
        let request = transfer().request(&Endpoint {
            scheme: Scheme::Https,
            server_name: "amf1.example.org".to_owned(),
            addr: None,
            port: 7777,
            api_prefix: "/core".to_owned(),
        });
        assert_eq!(request.method, Method::POST);
        assert_eq!(request.authority, "amf1.example.org:7777");
        assert_eq!(
            request.path,
            "/core/namf-comm/v1/ue-contexts/imsi-001010000000001/n1-n2-messages"
        );
        let content_type = request.headers[CONTENT_TYPE].to_str().unwrap();
        assert_eq!(content_type, "multipart/related; boundary=b1");
        assert!(Multipart::parse(content_type, &request.body).is_ok());
    }

    #[test]
    fn both_parts_are_there_under_the_ids_of_the_json() {
        let message = transfer().message();
        let data = N1N2MessageTransferReqData::read(&message.root().body).unwrap();
        let n1 = data.n1_message_container.unwrap().n1_message_content;
        let n1 = message.part(&n1.content_id).unwrap();
        assert_eq!((n1.content_type.as_str(), n1.body.len()), (NAS, 56));
        assert_eq!(n1.body[..4], [0x2e, 5, 1, 0xc2]);
        let sm_info = data.n2_info_container.unwrap().sm_info.unwrap();
        assert_eq!(sm_info.pdu_session_id, 5);
        let n2 = sm_info.n2_info_content.unwrap().ngap_data;
        let n2 = message.part(&n2.content_id).unwrap();
        assert_eq!((n2.content_type.as_str(), n2.body.len()), (NGAP, 52));
    }
}
