//! How well this machine emulates links, as root: `cargo run --release -p link --example accuracy`
//!
//! The figures of `docs/method.md` come from here. Round-trip time and loss are those of [`link::probe`], throughput is one
//! TCP connection over a link without delay or bottleneck.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use link::{LinkSettings, Network, Rate, probe};

const ROUND_TRIPS_MS: [u64; 5] = [0, 1, 5, 20, 80];
const RATES_MBIT: [u64; 4] = [1, 10, 100, 500];
const OCTETS: usize = 200_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "rtt, configured -> ms measured: min, median, max; lateness of packets in us: median, 99 %"
    );
    for milliseconds in ROUND_TRIPS_MS {
        let settings = LinkSettings::with_rtt(Duration::from_millis(milliseconds));
        let network = Network::new(&["a", "b"], &settings, 1)?;
        let rtt = probe::measure(&network)?.rtt_ms;
        let carried = network.carried();
        println!(
            "{milliseconds} ms -> {:.3} {:.3} {:.3}; {:.0} {:.0}",
            rtt.min, rtt.p50, rtt.max, carried.late_us_p50, carried.late_us_p99
        );
    }
    println!("rate, configured -> Mbit/s measured");
    for megabits in RATES_MBIT {
        let settings = LinkSettings {
            rate: Some(Rate::bits_per_second(megabits * 1_000_000)),
            ..LinkSettings::with_rtt(Duration::from_millis(20))
        };
        let network = Network::new(&["a", "b"], &settings, 1)?;
        let rate = probe::measure(&network)?.rate_bits_per_second;
        println!("{megabits} Mbit/s -> {:.2}", rate.unwrap_or_default() / 1e6);
    }
    let network = Network::new(&["a", "b"], &LinkSettings::with_rtt(Duration::ZERO), 1)?;
    let seconds = transfer(&network)?.as_secs_f64();
    let packets = network.carried().delivered as f64 / seconds;
    println!(
        "one TCP connection without delay: {:.0} Mbit/s, {packets:.0} packets/s in both directions together",
        OCTETS as f64 * 8.0 / seconds / 1e6
    );
    Ok(())
}

fn transfer(network: &Network) -> io::Result<Duration> {
    let [from, to] = network.hosts() else {
        unreachable!("two hosts were asked for");
    };
    let listener = to.namespace.run(|| TcpListener::bind((to.address, 0)))?;
    let addr = listener.local_addr()?;
    let mut sending = from.namespace.run(|| TcpStream::connect(addr))?;
    let (mut receiving, _) = listener.accept()?;
    let start = Instant::now();
    thread::scope(|scope| {
        let sender = scope.spawn(move || sending.write_all(&vec![0; OCTETS]));
        let mut buffer = vec![0; 1 << 20];
        while receiving.read(&mut buffer)? > 0 {}
        sender.join().expect("sending does not panic")
    })?;
    Ok(start.elapsed())
}
