//! The shared types of TS 29.5xx, as far as this project uses them.
//!
//! Three rules hold in all of them (TS 29.501 clause 5.3). An enumeration is open: a value this release does not know is kept
//! and forwarded. A profile is an open object: members without a field here stay in `other` and are written out again.
//! A list is absent or has an element: an empty `Vec` is an absent list, and an empty list on the wire is an error where it would
//! be mistaken for one.
//!
//! [`Document::read`] turns a body into one of these types, or says which information element is at fault.

mod access_token;
mod client_credentials;
mod communication;
mod discovery;
mod document;
mod endpoint;
mod features;
mod management;
mod name;
mod network;
mod open;
mod open_enum;
mod pdu_session;
mod profile;
mod profile_check;
mod profile_shape;
mod shape;
mod subscription;
mod tolerance;

pub use access_token::{AccessTokenClaims, AccessTokenErr, AccessTokenRsp, Audience};
pub use client_credentials::ClientCredentialsAssertion;
pub use communication::{
    N1MessageContainer, N1N2MessageTransferCause, N1N2MessageTransferReqData,
    N1N2MessageTransferRspData, N2InfoContainer, N2InfoContent, N2SmInformation,
};
pub use discovery::SearchResult;
pub use document::Document;
pub use endpoint::{Endpoint, EndpointError};
pub use features::{InvalidFeatures, SupportedFeatures};
pub use management::{HalLink, HalLinks, PatchItem, PatchOperation, UriList};
pub use name::{InvalidNfInstanceId, NfInstanceId, NfServiceStatus, NfStatus, NfType, ServiceName};
pub use network::{
    ExtSnssai, Guami, InvalidNetworkName, PlmnId, SdRange, Snssai, TacRange, Tai, TaiRange,
};
pub use pdu_session::{
    Ncgi, NrLocation, RefToBinaryData, RequestType, SmContextCreateData, SmContextCreateError,
    SmContextCreatedData, SmContextStatusNotification, SmContextUpdateData, SmContextUpdatedData,
    StatusInfo, UserLocation,
};
pub use profile::{
    AmfInfo, DnnSmfInfo, IpEndPoint, NfProfile, NfService, NfServiceVersion, ScpDomainInfo,
    ScpInfo, ServiceForm, SmfInfo, SnssaiSmfInfo,
};
pub use shape::{Nested, Shape};
pub use subscription::{
    ConditionEventType, NotifCondition, NotificationData, NotificationEventType,
    SubscriptionContext, SubscriptionData,
};
pub use tolerance::{Tolerance, Tolerated};
