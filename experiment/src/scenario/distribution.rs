//! `[lab] distribution`: how network functions learn of landmarks and of what is revoked.

use std::time::Duration;

/// The cadence at which a kubelet brings a changed ConfigMap to its pods: its sync period, `--sync-frequency`, by default.
const KUBELET: Duration = Duration::from_secs(60);

/// A way of distributing landmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Each process asks the log.
    Each,
    /// One process, the distributor, asks the log, and all others read what it writes.
    Node,
    /// As [`Self::Node`], but what it writes arrives as a ConfigMap does: late.
    ConfigMap,
}

impl Distribution {
    /// Every way, by its name.
    pub(super) const NAMED: [(&'static str, Self); 3] = [
        ("each", Self::Each),
        ("node", Self::Node),
        ("config-map", Self::ConfigMap),
    ];

    /// Whether there is a distributor.
    pub const fn has_distributor(self) -> bool {
        !matches!(self, Self::Each)
    }

    /// How long it takes at the most until a process looks, where `usual` is what it takes in other ways.
    pub const fn interval(self, usual: Duration) -> Duration {
        match self {
            Self::Each | Self::Node => usual,
            Self::ConfigMap => KUBELET,
        }
    }
}
