//! What a handshake over TCP takes beside the TLS that it takes in memory, layer by layer, in one thread.
//!
//! `cargo bench -p mtc-bench --bench loopback [-- <layer> <handshakes>]`; with a layer's number that layer alone, for a profiler.
//!
//! ```text
//! 1 in memory, nobody judged    3 the bytes alone over TCP           4 TLS over TCP, nobody judged, nothing measured
//! 2 in memory, as in the lab                                         5 as in the lab: judged, counted, watched
//! ```
//!
//! Landmark-relative certificates, ML-DSA-65 keys. Layers take turns, a batch each; a figure is the median batch of both sides'
//! CPU time for each handshake.

use std::error::Error;
use std::time::Duration;

use mtc_bench::handshake::Meeting;
use mtc_tls::cpu::thread_time;
use mtc_tls::handshake::{accept, connect};
use mtc_tls::memory::handshake;
use mtc_tls::profile::ClientAuth;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const BATCH: usize = 50;
const ROUNDS: usize = 41;
const TIMEOUT: Duration = Duration::from_secs(10);
const LAYERS: [&str; 5] = [
    "in memory, nobody judged",
    "in memory, as in the lab",
    "the bytes alone over TCP",
    "TLS over TCP, nobody judged, nothing measured",
    "TLS over TCP, as in the lab",
];
/// Bytes of ClientHello, which is the client's first flight.
const HELLO: usize = 1400;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Place {
    meeting: Meeting,
    listener: TcpListener,
    runtime: Runtime,
    /// Bytes that client and server send.
    bytes: [usize; 2],
    /// CPU time that the two sides of the lab's handshakes told of themselves.
    told: Duration,
}

impl Place {
    fn new() -> Outcome<Self> {
        let meeting = Meeting::new()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            bytes: meeting
                .meet_unjudged()?
                .map(|side| side.bytes_sent as usize),
            listener: runtime.block_on(TcpListener::bind("127.0.0.1:0"))?,
            meeting,
            runtime,
            told: Duration::ZERO,
        })
    }

    fn layer(&mut self, layer: usize) -> Outcome<()> {
        let Self {
            meeting,
            listener,
            runtime,
            bytes,
            told,
        } = self;
        match layer {
            1 => drop(meeting.meet_unjudged()?),
            2 => {
                let expected = meeting.expected.clone();
                handshake(&meeting.amf, &meeting.smf, meeting.profile, expected)?;
            }
            3 => runtime.block_on(exchange(listener, *bytes))?,
            4 => runtime.block_on(plain(meeting, listener))?,
            _ => *told += runtime.block_on(measured(meeting, listener))?,
        }
        Ok(())
    }

    fn batch(&mut self, layer: usize, handshakes: usize) -> Outcome<Duration> {
        let started = thread_time();
        for _ in 0..handshakes {
            self.layer(layer)?;
        }
        Ok(thread_time().saturating_sub(started) / handshakes as u32)
    }
}

async fn exchange(listener: &TcpListener, [client, server]: [usize; 2]) -> Outcome<()> {
    let addr = listener.local_addr()?;
    let calling = async {
        let mut tcp = TcpStream::connect(addr).await?;
        tcp.set_nodelay(true)?;
        let mut bytes = vec![0; client.max(server)];
        tcp.write_all(&bytes[..HELLO]).await?;
        tcp.read_exact(&mut bytes[..server]).await?;
        tcp.write_all(&bytes[..client - HELLO]).await
    };
    let serving = async {
        let (mut tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let mut bytes = vec![0; client.max(server)];
        tcp.read_exact(&mut bytes[..HELLO]).await?;
        tcp.write_all(&bytes[..server]).await?;
        tcp.read_exact(&mut bytes[..client - HELLO]).await
    };
    let (called, served) = tokio::join!(calling, serving);
    called?;
    served?;
    Ok(())
}

async fn plain(meeting: &Meeting, listener: &TcpListener) -> Outcome<()> {
    let (client, server) = meeting.unjudged();
    let addr = listener.local_addr()?;
    let name = ServerName::try_from(meeting.expected.fqdn.clone())?;
    let calling = async {
        let tcp = TcpStream::connect(addr).await?;
        tcp.set_nodelay(true)?;
        TlsConnector::from(client.clone()).connect(name, tcp).await
    };
    let serving = async {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        TlsAcceptor::from(server.clone()).accept(tcp).await
    };
    let (called, served) = tokio::join!(calling, serving);
    called?;
    served?;
    Ok(())
}

/// As in the lab; what the two sides tell that they took.
async fn measured(meeting: &Meeting, listener: &TcpListener) -> Outcome<Duration> {
    let calling = connect(
        listener.local_addr()?,
        &meeting.amf,
        meeting.profile,
        meeting.expected.clone(),
        TIMEOUT,
    );
    let serving = async {
        let (tcp, _) = listener.accept().await?;
        let accepted = accept(tcp, &meeting.smf, ClientAuth::Required, TIMEOUT).await?;
        Ok::<_, Box<dyn Error>>(accepted)
    };
    let (called, served) = tokio::join!(calling, serving);
    Ok(called?.cost.cpu + served?.cost.cpu)
}

fn main() -> Outcome<()> {
    let mut place = Place::new()?;
    let numbers: Vec<usize> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    if let [layer, handshakes] = *numbers {
        println!("{:?} each", place.batch(layer, handshakes)?);
        return Ok(());
    }
    let mut batches = [const { Vec::new() }; LAYERS.len()];
    let mut told = Vec::new();
    let mut readings = Vec::new();
    for _ in 0..ROUNDS {
        for (place_of, batches) in batches.iter_mut().enumerate() {
            place.told = Duration::ZERO;
            batches.push(place.batch(place_of + 1, BATCH)?);
        }
        told.push(place.told / BATCH as u32);
        let started = thread_time();
        for _ in 0..BATCH - 1 {
            std::hint::black_box(thread_time());
        }
        readings.push(thread_time().saturating_sub(started) / BATCH as u32);
    }
    for (name, batches) in LAYERS.iter().zip(&mut batches) {
        println!("{name:<48}{:>8.1} us", median(batches));
    }
    println!(
        "{:<48}{:>8.1} us",
        "  of it told by the two sides",
        median(&mut told)
    );
    println!(
        "{:<48}{:>8.2} us",
        "a reading of the thread's clock",
        median(&mut readings)
    );
    Ok(())
}

/// In microseconds.
fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}
