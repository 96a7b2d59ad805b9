//! The network functions of a lab, by name.

/// A network function of the lab, as a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nf {
    /// NRF and MTCA.
    Nrf,
    /// SCP, the witness.
    Scp,
    /// AMFs, which generate the load.
    Amf,
    /// SMFs.
    Smf,
    /// AUSFs, UDMs and PCFs; only in a lab whose operations need them.
    Peers,
}

impl Nf {
    /// Every NF, in the order in which they are stopped.
    pub const ALL: [Self; 5] = [Self::Amf, Self::Smf, Self::Peers, Self::Scp, Self::Nrf];

    /// Subcommand and file name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nrf => "nrf",
            Self::Scp => "scp",
            Self::Amf => "amf",
            Self::Smf => "smf",
            Self::Peers => "peers",
        }
    }
}
