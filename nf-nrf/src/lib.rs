//! The NRF: where NF instances register and find each other (TS 29.510), and the Merkle Tree CA that certifies them.
//!
//! ```text
//!   management   PUT, PATCH, DELETE, GET nf-instances  --.
//!   discovery    GET nf-instances?target-nf-type=..      |--> registry: pure state, changes in order
//!   kept_registry missing heartbeats suspend and purge --'      `--> registry_files: the disk
//!   subscribing  POST, PATCH, DELETE subscriptions --> notifier: subscriptions, on disk <--' announce
//!                                                      `--> outbox --> courier --> subscribers
//!   bootstrapping GET bootstrapping: where the services are
//!   openapi      GET openapi.json: what those of them are that no 3GPP document has
//!   certificate_management POST certificates --> enrolment --> mtca (issuance log, landmarks) or baseline (X.509)
//!   kubernetes   which NF instance a pod is that shows its service-account token
//!   cmp_port     POST /.well-known/cmp --> enrolment, on a port of its own
//!   acme_port    POST /acme/... --> enrolment, over HTTPS on a port of its own
//!   access_token POST /oauth2/token: who may use which services of those that are registered
//!   services     all of them on the SBI port, counted
//!   cleartext    a registry apart for those without certificates, on a port of its own
//!   logs         which of the CA's issuance logs is current --> log_opening
//!   log_place    where they are stored: folders, or an object store
//!   log_api      GET checkpoint, landmarks, tiles: the issuance logs, public
//!   public_files GET /lab/...: what everybody may know of a deployed lab, on the same port
//! ```
//!
//! [`run`] is the process: everything from configuration to drain.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic where nobody reads: sbi::tell!, output.rs of lab

pub mod access_token;
pub mod acme_port;
pub mod allowed;
pub mod answers;
pub mod baseline;
pub mod bootstrapping;
pub mod callback;
pub mod caller;
pub mod certificate_management;
pub mod cleartext;
pub mod cmp_port;
pub mod condition;
pub mod config;
pub mod courier;
pub mod discovery;
pub mod enrolment;
pub mod enrolment_token;
pub mod etag;
pub mod files;
mod inspection;
pub mod kept_registry;
pub mod kubernetes;
pub mod log_api;
pub mod log_location;
pub mod log_opening;
pub mod log_place;
pub mod logs;
pub mod management;
pub mod metrics;
pub mod mtca;
pub mod notification;
pub mod notifier;
mod nrf;
pub mod offload;
pub mod openapi;
pub mod outbox;
mod own;
pub mod profile_changes;
pub mod public_files;
pub mod registry;
mod registry_files;
pub mod retired_log;
pub mod revocation;
pub mod revoked;
pub mod services;
pub mod state_lock;
pub mod subscribing;
pub mod subscription;
pub mod subscriptions;
pub mod witness_client;
pub mod witness_times;
pub mod x509_status;

pub use self::nrf::{NrfError, run};
