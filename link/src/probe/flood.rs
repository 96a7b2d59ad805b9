//! More packets than a bottleneck passes: what comes out behind it is its rate.

use std::io;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use super::echo::socket;
use super::longest;
use crate::network::Host;
use crate::rate::Rate;
use crate::settings::LinkSettings;

/// Octets of the headers of IPv4 and UDP.
const HEADERS: usize = 28;
/// How long is sent; a slow bottleneck needs [`MIN_PACKETS`].
const FLOOD: Duration = Duration::from_millis(300);
const MIN_PACKETS: u32 = 40;
/// How much more than the rate is sent.
const EXCESS: f64 = 1.3;
/// Packets are sent in bursts so far apart: the sender has no finer clock.
const TICK: Duration = Duration::from_millis(1);
/// Silence after which nothing more is coming, beside what the link delays.
const SILENCE: Duration = Duration::from_millis(300);

/// Bits per second that arrive at `to`.
pub(super) fn rate(from: &Host, to: &Host, settings: &LinkSettings, rate: Rate) -> io::Result<f64> {
    let sink = socket(to)?;
    let source = socket(from)?;
    source.connect(sink.local_addr()?)?;
    sink.set_read_timeout(Some(
        longest(settings) + SILENCE + rate.time_of(2 * settings.mtu as usize),
    ))?;
    thread::scope(|scope| {
        let sending = scope.spawn(|| flood(&source, settings, rate));
        let arrived = arrivals(&sink);
        sending.join().expect("sending does not panic")?;
        arrived
    })
}

fn flood(socket: &UdpSocket, settings: &LinkSettings, rate: Rate) -> io::Result<()> {
    let packet = vec![0; settings.mtu as usize - HEADERS];
    let each = rate.time_of(settings.mtu as usize).div_f64(EXCESS);
    let lasting = FLOOD.max(each * MIN_PACKETS);
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < lasting {
        while each * sent < start.elapsed() {
            socket.send(&packet)?;
            sent += 1;
        }
        thread::sleep(TICK);
    }
    Ok(())
}

/// The rate from the first arrival to the last; the first packet is no part of it, because its own time is not seen.
fn arrivals(sink: &UdpSocket) -> io::Result<f64> {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let mut octets = 0;
    let mut span: Option<(Instant, Instant)> = None;
    loop {
        match sink.recv(&mut buffer) {
            Ok(length) => {
                let now = Instant::now();
                match &mut span {
                    None => span = Some((now, now)),
                    Some((_, last)) => {
                        *last = now;
                        octets += length + HEADERS;
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    let seconds = span.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
    Ok(if seconds > 0.0 {
        octets as f64 * 8.0 / seconds
    } else {
        0.0
    })
}
