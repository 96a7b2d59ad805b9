//! Where the processes of a lab are: all on the loopback, or each on a host of its own.

use std::net::{Ipv4Addr, SocketAddr};

use link::{LinkError, LinkSettings, Network};

use experiment::scenario::Nf;

/// The address of each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    nrf: Ipv4Addr,
    scp: Ipv4Addr,
    amf: Ipv4Addr,
    smf: Ipv4Addr,
}

impl Addresses {
    /// One host, without links.
    pub const LOOPBACK: Self = Self {
        nrf: Ipv4Addr::LOCALHOST,
        scp: Ipv4Addr::LOCALHOST,
        amf: Ipv4Addr::LOCALHOST,
        smf: Ipv4Addr::LOCALHOST,
    };

    /// The hosts of a network that [`network`] made.
    ///
    /// # Panics
    /// The network has other hosts.
    pub fn of_hosts(network: &Network) -> Self {
        let of = |nf: Nf| {
            let host = network.host(nf.as_str());
            host.expect("a lab's network has a host for every NF")
                .address
        };
        Self {
            nrf: of(Nf::Nrf),
            scp: of(Nf::Scp),
            amf: of(Nf::Amf),
            smf: of(Nf::Smf),
        }
    }

    /// The address of one process.
    pub const fn of(&self, nf: Nf) -> Ipv4Addr {
        match nf {
            Nf::Nrf => self.nrf,
            Nf::Scp => self.scp,
            Nf::Amf => self.amf,
            Nf::Smf => self.smf,
        }
    }

    /// A port at a process's own address.
    pub(super) fn at(&self, nf: Nf, addr: SocketAddr) -> SocketAddr {
        SocketAddr::from((self.of(nf), addr.port()))
    }
}

/// A host for every NF's process, linked with each other. Blocks.
///
/// # Errors
/// See [`LinkError`].
pub fn network(settings: &LinkSettings, seed: u64) -> Result<Network, LinkError> {
    Network::new(&Nf::ALL.map(Nf::as_str), settings, seed)
}
