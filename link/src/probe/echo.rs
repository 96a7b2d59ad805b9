//! Small packets that come back: round-trip time and loss.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use super::longest;
use crate::network::Host;
use crate::settings::LinkSettings;

/// Octets of a probe's IP packet: headers of IPv4 and UDP, and a sequence number.
pub(super) const PACKET: usize = 36;
/// Time that pings of one pair may take, and how many there are at most and at least.
const PINGING: Duration = Duration::from_secs(2);
const PINGS: std::ops::RangeInclusive<u128> = 5..=25;
/// Packets of a train, and the time between two of them: far from what the machine could carry.
const TRAIN: u32 = 500;
const SPACING: Duration = Duration::from_millis(1);
/// How long a train may take where a slow bottleneck spreads it out.
const TRAIN_TIME: Duration = Duration::from_secs(2);
/// What a busy machine may add to a ping's time before it is passed over: the others tell the same.
const PING_GRACE: Duration = Duration::from_millis(200);
/// And to a packet's of a train before it, and all behind it, count as lost. Spent once a train, where some are.
const TRAIN_GRACE: Duration = Duration::from_secs(2);

/// Packets of a pair, both directions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Train {
    /// How many were sent.
    pub(super) sent: u64,
    /// How many of them did not arrive.
    pub(super) lost: u64,
}

/// Round-trip times of pings that were answered, one after the other.
pub(super) fn pings(from: &Host, to: &Host, settings: &LinkSettings) -> io::Result<Vec<Duration>> {
    let wait = longest(settings) + PING_GRACE;
    let count = PINGING.as_nanos() / settings.rtt.as_nanos().max(1);
    let count = count.clamp(*PINGS.start(), *PINGS.end()) as u32;
    let (round_trips, _) = with_echo(from, to, |socket| {
        socket.set_read_timeout(Some(wait))?;
        let mut round_trips = Vec::new();
        for number in 0..count {
            let sent = Instant::now();
            socket.send(&number_of(number))?;
            if await_number(socket, number)? {
                round_trips.push(sent.elapsed());
            }
        }
        Ok(round_trips)
    })?;
    Ok(round_trips)
}

/// Counts which packets of a train get through.
pub(super) fn train(from: &Host, to: &Host, settings: &LinkSettings) -> io::Result<Train> {
    // At half of what the bottleneck passes, nothing waits long enough to be dropped.
    let spacing = settings
        .rate
        .map_or(SPACING, |rate| SPACING.max(rate.time_of(PACKET) * 2));
    let count = TRAIN.min((TRAIN_TIME.as_nanos() / spacing.as_nanos()) as u32);
    let (returned, echoed) = with_echo(from, to, |socket| {
        socket.set_read_timeout(Some(longest(settings) + TRAIN_GRACE))?;
        let sending = socket.try_clone()?;
        thread::scope(|scope| {
            let sender = scope.spawn(move || send_spaced(&sending, count, spacing));
            let mut returned = 0;
            // The time-out begins anew with each packet, so it ends only after the last one.
            while returned < count && receive(socket)?.is_some() {
                returned += 1;
            }
            sender.join().expect("sending does not panic")?;
            Ok(u64::from(returned))
        })
    })?;
    let sent = u64::from(count) + echoed;
    Ok(Train {
        sent,
        lost: sent - echoed.min(u64::from(count)) - returned.min(echoed),
    })
}

fn send_spaced(socket: &UdpSocket, count: u32, spacing: Duration) -> io::Result<()> {
    let start = Instant::now();
    for number in 0..count {
        thread::sleep((spacing * number).saturating_sub(start.elapsed()));
        socket.send(&number_of(number))?;
    }
    Ok(())
}

/// Runs `probe` with a socket of `from` whose peer at `to` echoes; also tells how many packets were echoed.
fn with_echo<T>(
    from: &Host,
    to: &Host,
    probe: impl FnOnce(&UdpSocket) -> io::Result<T>,
) -> io::Result<(T, u64)> {
    let echo = socket(to)?;
    let addr = echo.local_addr()?;
    // From the same host, so that the end is not lost.
    let end = socket(to)?;
    let prober = socket(from)?;
    prober.connect(addr)?;
    thread::scope(|scope| {
        let echoing = scope.spawn(move || echo_until_end(&echo, end_of(addr)));
        let probed = probe(&prober);
        end.send_to(&[], addr)?;
        let echoed = echoing.join().expect("echoing does not panic")?;
        Ok((probed?, echoed))
    })
}

/// A packet from the echo's own host is the end.
const fn end_of(addr: SocketAddr) -> std::net::IpAddr {
    addr.ip()
}

fn echo_until_end(socket: &UdpSocket, end: std::net::IpAddr) -> io::Result<u64> {
    let mut buffer = [0; PACKET];
    let mut echoed = 0;
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        if peer.ip() == end {
            return Ok(echoed);
        }
        socket.send_to(&buffer[..length], peer)?;
        echoed += 1;
    }
}

pub(super) fn socket(host: &Host) -> io::Result<UdpSocket> {
    host.namespace.run(|| UdpSocket::bind((host.address, 0)))
}

const fn number_of(number: u32) -> [u8; 8] {
    (number as u64).to_be_bytes()
}

/// Whether the echo with this number comes; older ones came too late and are passed over.
fn await_number(socket: &UdpSocket, number: u32) -> io::Result<bool> {
    while let Some(received) = receive(socket)? {
        if received == number_of(number) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The next packet; `None` when none comes in time.
fn receive(socket: &UdpSocket) -> io::Result<Option<[u8; 8]>> {
    let mut buffer = [0; 8];
    match socket.recv(&mut buffer) {
        Ok(_) => Ok(Some(buffer)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
