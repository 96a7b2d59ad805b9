//! `[lab] distribution`: how network functions learn of landmarks and of what is revoked.

use std::time::Duration;

/// The cadence at which a kubelet brings a changed ConfigMap to its pods: its sync period, `--sync-frequency`, by default.
const KUBELET: Duration = Duration::from_secs(60);

/// How often a process that looks on demand looks in any case, and so how long it takes at the most until it knows what is revoked.
const BACKSTOP: Duration = Duration::from_secs(60);

/// A way of distributing landmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Each process asks the log.
    Each,
    /// One process, the distributor, asks the log, and all others read what it writes.
    Node,
    /// As [`Self::Node`], but what it writes arrives as a ConfigMap does: late.
    ConfigMap,
    /// Each process asks the log when a peer shows it that it lacks a landmark, and else once a minute.
    OnDemand,
}

impl Distribution {
    /// Every way, by its name.
    pub(super) const NAMED: [(&'static str, Self); 4] = [
        ("each", Self::Each),
        ("node", Self::Node),
        ("config-map", Self::ConfigMap),
        ("on-demand", Self::OnDemand),
    ];

    /// Whether there is a distributor.
    pub const fn has_distributor(self) -> bool {
        matches!(self, Self::Node | Self::ConfigMap)
    }

    /// How long it takes at the most until a process looks, where `usual` is what it takes in other ways.
    pub const fn interval(self, usual: Duration) -> Duration {
        match self {
            Self::Each | Self::Node => usual,
            Self::ConfigMap => KUBELET,
            Self::OnDemand => BACKSTOP,
        }
    }

    /// The pause between looks on demand, if there are some, where `usual` is the time between looks in other ways.
    pub fn on_demand(self, usual: Duration) -> Option<Duration> {
        (self == Self::OnDemand).then_some(usual)
    }
}
