//! Links between hosts on one machine, so that network functions of a lab see round trips, loss and a bottleneck.
//!
//! ```text
//!   host "amf" = network namespace           host "smf" = network namespace
//!   ┌───────────────────────────┐            ┌───────────────────────────┐
//!   │ process ─ kernel TCP      │            │      kernel TCP ─ process │
//!   │   10.77.0.1 on link0 (TUN)│            │ 10.77.0.2 on link0 (TUN)  │
//!   └─────────────┬─────────────┘            └─────────────┬─────────────┘
//!                 │ packets                                │
//!                 └──> Forwarder: one thread of this process ──> ...
//!                        Switch: a Lane for each ordered pair of hosts
//!                        Lane: queue ─> rate ─> loss ─> delay ± jitter
//! ```
//!
//! TCP is the kernel's own: congestion window, segments, acknowledgements and retransmissions are those of a real
//! connection. Only the path between two kernels' stacks is ours. The kernel's `netem` is not needed.
//!
//! [`lane`] and [`switch`] are pure: the clock is an argument and randomness comes from a seed. [`namespace`],
//! [`forwarder`] and [`network`] are a thin shell on Linux, which needs the privileges of an administrator. [`probe`]
//! measures a link as it is, because a link that was configured is not yet a link that was had.
//!
//! Nothing of a network has a name or a file: namespaces and devices are held by file descriptors and disappear with the
//! processes that hold them, however those end.

pub mod access;
pub mod forwarder;
pub mod lane;
pub mod namespace;
pub mod network;
pub mod probe;
pub mod random;
pub mod rate;
pub mod settings;
pub mod switch;

pub use access::{AccessError, AccessLink};
pub use network::{Host, LinkError, Network};
pub use probe::{Measured, OffTolerance};
pub use rate::Rate;
pub use settings::LinkSettings;
