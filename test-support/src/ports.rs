//! Ports for processes that must know them before they start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

/// As many as `mtc5g init --port` and `mtc5g lab up --port` take.
const BLOCK: u16 = 8;
/// Below those that Linux gives to whoever asks for any port.
const RANGE: Range<u16> = 10_000..32_000;

/// The first of eight free ports in a row. No other caller in this process gets them; that of another process most likely
/// begins its search elsewhere.
pub fn eight_ports() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let blocks = RANGE.len() as u32 / u32::from(BLOCK);
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..blocks {
        let number = (start + u32::from(TAKEN.fetch_add(1, Ordering::Relaxed))) % blocks;
        let first = RANGE.start + number as u16 * BLOCK;
        if (first..first + BLOCK).all(|port| TcpListener::bind(localhost(port)).is_ok()) {
            return first;
        }
    }
    panic!("no eight free ports in a row in {RANGE:?}");
}

/// A port of 127.0.0.1.
pub const fn localhost(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
