//! Where the processes of a lab are: all on the loopback, or each on a host of its own.

use std::net::{Ipv4Addr, SocketAddr};

use link::{LinkError, LinkSettings, Network};

use experiment::scenario::{FurtherWitness, LabPlan, MAX_WITNESSES, Nf};

/// The address of each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    nrf: Ipv4Addr,
    scp: Ipv4Addr,
    amf: Ipv4Addr,
    smf: Ipv4Addr,
    peers: Ipv4Addr,
    /// By number, from the second on.
    witnesses: [Ipv4Addr; FURTHER],
}

const FURTHER: usize = MAX_WITNESSES as usize - 1;

impl Addresses {
    /// One host, without links.
    pub const LOOPBACK: Self = Self {
        nrf: Ipv4Addr::LOCALHOST,
        scp: Ipv4Addr::LOCALHOST,
        amf: Ipv4Addr::LOCALHOST,
        smf: Ipv4Addr::LOCALHOST,
        peers: Ipv4Addr::LOCALHOST,
        witnesses: [Ipv4Addr::LOCALHOST; FURTHER],
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
        // Of those that not every lab has.
        let of_some = |nf: Nf| {
            let host = network.host(nf.as_str());
            host.map_or(Ipv4Addr::LOCALHOST, |host| host.address)
        };
        let mut witnesses = [Ipv4Addr::LOCALHOST; FURTHER];
        for (address, witness) in witnesses.iter_mut().zip(FurtherWitness::of(MAX_WITNESSES)) {
            *address = of_some(Nf::Witness(witness));
        }
        Self {
            nrf: of(Nf::Nrf),
            scp: of(Nf::Scp),
            amf: of(Nf::Amf),
            smf: of(Nf::Smf),
            peers: of_some(Nf::Peers),
            witnesses,
        }
    }

    /// The address of one process.
    pub const fn of(&self, nf: Nf) -> Ipv4Addr {
        match nf {
            Nf::Nrf => self.nrf,
            Nf::Scp => self.scp,
            Nf::Amf => self.amf,
            Nf::Smf => self.smf,
            Nf::Peers => self.peers,
            Nf::Distributor => Ipv4Addr::LOCALHOST, // it serves nobody but its admin port
            Nf::Witness(witness) => self.witnesses[witness.number() as usize - 2],
        }
    }

    /// A port at a process's own address.
    pub(super) fn at(&self, nf: Nf, addr: SocketAddr) -> SocketAddr {
        SocketAddr::from((self.of(nf), addr.port()))
    }
}

/// A host for every process of the lab, linked with each other. Blocks.
///
/// # Errors
/// See [`LinkError`].
pub fn network(settings: &LinkSettings, seed: u64, lab: &LabPlan) -> Result<Network, LinkError> {
    let hosts = Nf::ALL.into_iter().filter(|nf| lab.instances(*nf) > 0);
    let hosts: Vec<&str> = hosts.map(Nf::as_str).collect();
    Network::new(&hosts, settings, seed)
}
