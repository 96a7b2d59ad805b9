//! The link of one host that has a network already, such as a container: whatever it sends to its neighbours is late.
//!
//! ```text
//!   process ─ kernel TCP ──> link0 (TUN) ──> Lane: queue ─> rate ─> loss ─> delay ± jitter ──> raw socket ──> eth0 ──> neighbours
//!                 ^                                                                                            │
//!                 └──────────────────────── what comes from them is not touched <──────────────────────────────┘
//! ```
//!
//! Where both ends of a connection have such a link, its round-trip time is that of the settings: each delays by half of it.
//!
//! `link0` gets the host's own address with a prefix that is one bit longer than that of the device to the neighbours, so the
//! kernel prefers it; the raw socket is bound to that device, so what it sends takes the other route. Neighbours in the other
//! half of the network are reached without the link: a container engine gives addresses from the low end. The path's MTU,
//! initial window and congestion control stay the host's.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tappers::linux::Tun;
use tappers::{AddAddressV4, DeviceState, Interface};

use crate::forwarder::{take_precedence, wait};
use crate::lane::{Fate, Lane};
use crate::settings::LinkSettings;

/// The device that sends are routed through.
const DEVICE: &str = "link0";
/// Of the namespace of the thread that reads it.
const ROUTES: &str = "/proc/thread-self/net/route";
/// IPPROTO_RAW: what is sent has its IP header.
const WHOLE_PACKETS: i32 = 255;
const MAX_PACKET: usize = 65_535;
/// Packets taken before the due ones are looked at again.
const BATCH: usize = 32;
/// Where an IPv4 header has the destination.
const DESTINATION: std::ops::Range<usize> = 16..20;
/// Longest prefix of a network in which a longer one still has room for a neighbour.
const LONGEST_PREFIX: u8 = 30;

/// Why a host has no link.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// There is no such device, or it reaches no neighbours.
    #[error("{device} has no IPv4 network; name the device that reaches the others (--device)")]
    NoNetwork {
        /// The device.
        device: String,
    },
    /// The system refuses one of the steps.
    #[error(
        "cannot {doing}; a link needs root with the capabilities NET_ADMIN and NET_RAW, and the device /dev/net/tun"
    )]
    System {
        /// The step.
        doing: &'static str,
        /// What it says.
        source: io::Error,
    },
}

fn system(doing: &'static str) -> impl Fn(io::Error) -> AccessError {
    move |source| AccessError::System { doing, source }
}

/// A link for everything that this host sends to its neighbours, until it is dropped.
#[derive(Debug)]
pub struct AccessLink {
    alive: Option<io::PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl AccessLink {
    /// Puts a link between this host and the neighbours that `device` reaches.
    ///
    /// # Errors
    /// [`AccessError`], with what to do about it.
    pub fn start(device: &str, settings: &LinkSettings, seed: u64) -> Result<Self, AccessError> {
        let routes = std::fs::read_to_string(ROUTES).map_err(system("read the routes"))?;
        let (network, prefix) = network_of(&routes, device)
            .filter(|(_, prefix)| *prefix <= LONGEST_PREFIX)
            .ok_or_else(|| AccessError::NoNetwork {
                device: device.to_owned(),
            })?;
        let own = own_address(network).map_err(system("read this host's address"))?;
        let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(WHOLE_PACKETS)))
            .and_then(|raw| {
                raw.bind_device(Some(device.as_bytes()))?;
                raw.set_nonblocking(true)?;
                Ok(raw)
            })
            .map_err(system("open a raw socket"))?;
        let tun = Interface::new(DEVICE)
            .and_then(Tun::new_named)
            .map_err(system("open a TUN device"))?;
        let mut address = AddAddressV4::new(own);
        address.set_netmask(prefix + 1);
        tun.set_nonblocking(true)
            .and_then(|()| tun.set_mtu(mtu(device, settings)))
            .and_then(|()| tun.add_addr(address))
            .and_then(|()| tun.set_state(DeviceState::Up))
            .map_err(system("configure the TUN device"))?;
        let (end, alive) = io::pipe().map_err(system("open a pipe"))?;
        let path = Path {
            tun,
            raw,
            end,
            lane: Lane::new(settings.clone(), seed),
            epoch: Instant::now(),
            waiting: VecDeque::new(),
        };
        let thread = thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || path.carry())
            .map_err(system("start the thread that carries packets"))?;
        Ok(Self {
            alive: Some(alive),
            thread: Some(thread),
        })
    }
}

impl Drop for AccessLink {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed by it.
            let _ = thread.join();
        }
    }
}

/// Octets of the largest packet: what the device carries, where that is less than the link is to.
fn mtu(device: &str, settings: &LinkSettings) -> usize {
    let link = settings.mtu as usize;
    let carried = std::fs::read_to_string(format!("/sys/class/net/{device}/mtu"));
    let carried = carried.ok().and_then(|mtu| mtu.trim().parse().ok());
    carried.map_or(link, |carried: usize| carried.min(link))
}

/// Address and prefix length of the network that a device is connected to, from the text of that file: addresses in
/// hexadecimal and the host's byte order.
fn network_of(routes: &str, device: &str) -> Option<(Ipv4Addr, u8)> {
    routes.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [name, destination, gateway, _, _, _, _, mask, ..] = fields.as_slice() else {
            return None;
        };
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let mask = number(mask)?;
        let is_connected = *name == device && number(gateway)? == 0 && mask != 0;
        let network = Ipv4Addr::from(number(destination)?.to_ne_bytes());
        let prefix = u8::try_from(mask.count_ones()).ok()?;
        is_connected.then_some((network, prefix))
    })
}

/// The address that this host has in a network. Nothing is sent.
fn own_address(network: Ipv4Addr) -> io::Result<Ipv4Addr> {
    let neighbour = Ipv4Addr::from(u32::from(network) + 1);
    let socket = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(SocketAddrV4::new(neighbour, 9))?;
    match socket.local_addr()?.ip() {
        std::net::IpAddr::V4(own) => Ok(own),
        std::net::IpAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

/// What the thread owns.
struct Path {
    tun: Tun,
    raw: Socket,
    end: io::PipeReader,
    lane: Lane,
    epoch: Instant,
    /// Packets on their way, in the order in which they are due.
    waiting: VecDeque<(Duration, Vec<u8>)>,
}

impl Path {
    fn carry(mut self) {
        take_precedence();
        let mut packet = vec![0; MAX_PACKET];
        loop {
            let left = self
                .waiting
                .front()
                .map(|(due, _)| due.saturating_sub(self.epoch.elapsed()));
            let mut watched = [
                PollFd::from_borrowed_fd(self.tun.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.end.as_fd(), PollFlags::IN),
            ];
            if let Err(error) = wait(&mut watched, left) {
                tracing::error!(%error, "the link cannot wait for packets, stopping");
                return;
            }
            if !watched[1].revents().is_empty() {
                return;
            }
            self.take(&mut packet);
            self.send_due();
        }
    }

    fn take(&mut self, packet: &mut [u8]) {
        for _ in 0..BATCH {
            let Ok(octets) = self.tun.recv(packet) else {
                return;
            };
            if let Fate::Arrives(due) = self.lane.offer(self.epoch.elapsed(), octets) {
                self.waiting.push_back((due, packet[..octets].to_vec()));
            }
        }
    }

    fn send_due(&mut self) {
        let now = self.epoch.elapsed();
        while self.waiting.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, packet)) = self.waiting.pop_front() else {
                return;
            };
            let Some(destination) = destination(&packet) else {
                continue;
            };
            let to = SockAddr::from(SocketAddrV4::new(destination, 0));
            if let Err(error) = self.raw.send_to(&packet, &to) {
                // As a network does: what cannot be carried is lost, and TCP notices.
                tracing::debug!(%destination, %error, "a packet was not sent");
            }
        }
    }
}

/// Where an IPv4 packet is to go.
fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let is_v4 = packet.first().is_some_and(|first| first >> 4 == 4);
    let octets: [u8; 4] = packet.get(DESTINATION)?.try_into().ok()?;
    is_v4.then_some(Ipv4Addr::from(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_of_a_device_is_in_the_routes() {
        // As Linux on a little-endian machine prints it.
        let word = |octets: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(octets));
        let routes = format!(
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
             eth0\t00000000\t{}\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
             eth0\t{}\t00000000\t0001\t0\t0\t0\t{}\t0\t0\t0\n",
            word([172, 18, 0, 1]),
            word([172, 18, 0, 0]),
            word([255, 255, 0, 0]),
        );
        assert_eq!(
            network_of(&routes, "eth0"),
            Some((Ipv4Addr::new(172, 18, 0, 0), 16))
        );
        assert_eq!(network_of(&routes, "eth1"), None);
        assert_eq!(network_of("", "eth0"), None);
    }

    #[test]
    fn a_packet_of_another_protocol_goes_nowhere() {
        let mut packet = vec![0; 20];
        packet[0] = 0x45;
        packet[16..].copy_from_slice(&[10, 0, 0, 7]);
        assert_eq!(destination(&packet), Some(Ipv4Addr::new(10, 0, 0, 7)));
        packet[0] = 0x60;
        assert_eq!(destination(&packet), None);
        assert_eq!(destination(&packet[..19]), None);
    }
}
