//! What procedures of UEs (TS 23.502) need beyond one network function: the bodies that consumers and producers share, 5G-AKA, and
//! the way from a service to a connection.
//!
//! ```text
//!   consumer: AMF, SMF, AUSF                                         producer: AUSF, UDM, PCF
//!     producers ── discovered, for as long as validityPeriod says
//!        └─ sbi::selection ── which of them?
//!             └─ route ── straight there, or through an SCP
//!                  └─ pool, caller ── a connection, fresh or used before ──> authentication, subscriber_data, policy: what is said on it
//!                                                                        └─ aka: what UE, UDM, AUSF and SEAF derive
//! ```
//!
//! Out of scope: what the producers keep (`nf-peers`), and what the AMF and the SMF do with the answers.
//!
//! * [`producers`]: the producers of a service, cached
//! * [`route`]: the way to one of them
//! * [`known_scp`]: the SCP that requests come through
//! * [`pool`]: connections that are used more than once
//! * [`caller`]: one use of a connection, counted under its procedure
//! * [`authentication`]: Nausf_UEAuthentication and Nudm_UEAuthentication
//! * [`subscriber_data`]: Nudm_UEContextManagement and Nudm_SubscriberDataManagement
//! * [`policy`]: Npcf_AMPolicyControl and Npcf_SMPolicyControl
//! * [`aka`]: what 5G-AKA derives

pub mod aka;
pub mod authentication;
pub mod caller;
pub mod known_scp;
pub mod policy;
pub mod pool;
pub mod producers;
pub mod route;
pub mod subscriber_data;
