//! What tests of several crates, or several test programs of one, share.
//!
//! ```text
//!   mtca         a Merkle Tree CA in memory, with its witnesses
//!   parts        a certificate taken to pieces
//!   respelt      other spellings of the same DER, numbers and base64
//!   sparse_tree  a tree too large to hold
//!
//!   feature storage:
//!   log_world         a CA, a witness, and what a log of theirs should look like
//!   storage_contract  what every storage of a log keeps
//!
//!   feature sbi:
//!   nf           instances without a certificate, configuration files
//!   body         bodies that end, do not end, or break off
//!   cluster      a Kubernetes cluster, as far as it signs tokens of pods
//!   collector    a collector of traces
//!   detour       a way for clients of others to a name that has no address
//!   transcript   exchanges as text that reads as documentation
//!
//!   feature lab:
//!   command      the built mtc5g command as its user runs it
//!   run          a scenario run to its end
//!   terminal     a terminal for commands that ask what they write to
//!   ports        ports for processes that must know them before they start
//!   distributor  a distributor of landmarks beside that lab
//!   test_lab     a small lab whose processes the test supervises
//!   test_nf      a network function of the test's own in that lab
//!   log_copy     its issuance log as anybody reads it
//!   issued_log   a log in a folder, without a lab
//! ```
//!
//! Nothing here returns an error: what goes wrong fails the test that it serves.

#[cfg(feature = "sbi")]
pub mod body;
#[cfg(feature = "sbi")]
pub mod cluster;
#[cfg(feature = "sbi")]
pub mod collector;
#[cfg(feature = "lab")]
pub mod command;
#[cfg(feature = "sbi")]
pub mod detour;
#[cfg(feature = "lab")]
pub mod distributor;
#[cfg(feature = "lab")]
pub mod issued_log;
#[cfg(feature = "lab")]
pub mod log_copy;
#[cfg(feature = "storage")]
pub mod log_world;
pub mod mtca;
#[cfg(feature = "sbi")]
pub mod nf;
pub mod parts;
#[cfg(feature = "lab")]
pub mod ports;
pub mod respelt;
#[cfg(feature = "lab")]
pub mod run;
pub mod sparse_tree;
#[cfg(feature = "storage")]
pub mod storage_contract;
#[cfg(feature = "lab")]
pub mod terminal;
#[cfg(feature = "lab")]
pub mod test_lab;
#[cfg(feature = "lab")]
pub mod test_nf;
#[cfg(feature = "sbi")]
pub mod transcript;
