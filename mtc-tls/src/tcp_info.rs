//! What the kernel knows about a TCP connection: round-trip time, segment size, window, retransmissions.
//!
//! ```text
//!  sock_diag (netlink):  inet_diag_req_v2 { 4-tuple } ──> inet_diag_msg, INET_DIAG_INFO = struct tcp_info, INET_DIAG_CONG
//! ```
//!
//! `getsockopt(TCP_INFO)` has no safe wrapper in Rust, and this workspace forbids `unsafe`. sock_diag answers the same
//! question with bytes: one request names the connection, the kernel looks it up in its hash table and answers with the
//! same `struct tcp_info`. That takes three system calls, so callers ask about one connection in many. Linux only; the
//! question is asked in the network namespace of the calling thread.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};
use tokio::net::TcpStream;

/// Facts about one connection at one moment, from this side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round-trip time (`tcpi_rtt`).
    pub rtt: Duration,
    /// Shortest round-trip time so far (`tcpi_min_rtt`).
    pub min_rtt: Duration,
    /// Bytes of payload in the largest segment that this side sends (`tcpi_snd_mss`).
    pub mss: u32,
    /// Congestion window in segments (`tcpi_snd_cwnd`).
    pub congestion_window: u32,
    /// Segments that this side sent again (`tcpi_total_retrans`).
    pub retransmissions: u32,
    /// Segments sent, those without payload included (`tcpi_segs_out`).
    pub segments_sent: u32,
    /// Segments received, those without payload included (`tcpi_segs_in`).
    pub segments_received: u32,
    /// Segments with payload sent (`tcpi_data_segs_out`).
    pub data_segments_sent: u32,
    /// Segments with payload received (`tcpi_data_segs_in`).
    pub data_segments_received: u32,
    /// Bytes of payload sent, retransmissions included (`tcpi_bytes_sent`); 0 on kernels before 4.19.
    pub bytes_sent: u64,
    /// Bytes of payload sent again (`tcpi_bytes_retrans`).
    pub bytes_retransmitted: u64,
    /// Bytes of payload received (`tcpi_bytes_received`).
    pub bytes_received: u64,
    /// Congestion control algorithm, e.g. `cubic`.
    pub congestion_control: String,
}

impl TcpInfo {
    /// Facts about an established connection, as its local end sees it.
    ///
    /// # Errors
    /// The connection is gone, or the kernel does not answer such questions (`CONFIG_INET_TCP_DIAG`, a sandbox).
    pub fn of(stream: &TcpStream) -> io::Result<Self> {
        Self::between(stream.local_addr()?, stream.peer_addr()?)
    }

    /// What the kernel says of the connection between these two addresses in the calling thread's network namespace.
    ///
    /// # Errors
    /// As [`Self::of`]; and addresses of two families.
    pub fn between(local: SocketAddr, peer: SocketAddr) -> io::Result<Self> {
        let request = request(local, peer)?;
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )?;
        rustix::net::send(&socket, &request, SendFlags::empty())?;
        let mut answer = [0; MAX_ANSWER];
        let (length, _) = rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
        parse(&answer[..length.min(MAX_ANSWER)])
    }

    /// Bytes that fit into the congestion window: right after connecting, the initial window.
    pub fn window_bytes(&self) -> u64 {
        u64::from(self.congestion_window) * u64::from(self.mss)
    }
}

/// An answer is some 500 bytes; attributes of newer kernels may come on top.
const MAX_ANSWER: usize = 4096;

/// `nlmsg_len(4) nlmsg_type(2) nlmsg_flags(2) nlmsg_seq(4) nlmsg_pid(4)`, in the machine's byte order.
const MESSAGE_HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;

/// `family(1) protocol(1) ext(1) pad(1) states(4)`, then the socket's ID of 48 bytes.
const REQUEST: usize = 56;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// Asked for as bits: `1 << (attribute - 1)`.
const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_CONG: u16 = 4;
const WANTED: u8 = 1 << (INET_DIAG_INFO - 1) | 1 << (INET_DIAG_CONG - 1);
/// `inet_diag_msg`: `family state timer retrans`, the socket's ID of 48 bytes, five numbers.
const DIAG_MESSAGE: usize = 72;
/// `rta_len(2) rta_type(2)`; the data is padded to a multiple of four.
const ATTRIBUTE_HEADER: usize = 4;

fn request(local: SocketAddr, peer: SocketAddr) -> io::Result<Vec<u8>> {
    let (family, from, to) = match (local.ip(), peer.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            (AF_INET, padded(&from.octets()), padded(&to.octets()))
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => (AF_INET6, from.octets(), to.octets()),
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "addresses of two families",
            ));
        }
    };
    let length = MESSAGE_HEADER + REQUEST;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend((length as u32).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, IPPROTO_TCP, WANTED, 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    // inet_diag_sockid: ports and addresses in network order, any interface, no cookie.
    bytes.extend(local.port().to_be_bytes());
    bytes.extend(peer.port().to_be_bytes());
    bytes.extend(from);
    bytes.extend(to);
    bytes.extend([0; 4]);
    bytes.extend([0xff; 8]);
    Ok(bytes)
}

fn padded(octets: &[u8; 4]) -> [u8; 16] {
    let mut padded = [0; 16];
    padded[..4].copy_from_slice(octets);
    padded
}

fn parse(answer: &[u8]) -> io::Result<TcpInfo> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "malformed sock_diag answer");
    let header = Fields(answer.get(..MESSAGE_HEADER).ok_or_else(malformed)?);
    let body = &answer[MESSAGE_HEADER..];
    match header.u16(4) {
        SOCK_DIAG_BY_FAMILY => {}
        NLMSG_ERROR => return Err(error(body)),
        _ => return Err(malformed()),
    }
    let mut attributes = body.get(DIAG_MESSAGE..).ok_or_else(malformed)?;
    let mut info = None;
    let mut congestion_control = String::new();
    while attributes.len() >= ATTRIBUTE_HEADER {
        let header = Fields(attributes);
        let length = usize::from(header.u16(0));
        let data = attributes
            .get(ATTRIBUTE_HEADER..length)
            .ok_or_else(malformed)?;
        match header.u16(2) {
            INET_DIAG_INFO => info = Some(tcp_info(Fields(data))),
            INET_DIAG_CONG => {
                let name = data.split(|byte| *byte == 0).next().unwrap_or_default();
                congestion_control = String::from_utf8_lossy(name).into_owned();
            }
            _ => {}
        }
        attributes = attributes
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(TcpInfo {
        congestion_control,
        ..info.ok_or_else(malformed)?
    })
}

/// `nlmsgerr`: a negative error number, then the request.
fn error(body: &[u8]) -> io::Error {
    let number = Fields(body).u32(0) as i32;
    io::Error::from_raw_os_error(number.wrapping_neg())
}

/// Offsets are those of `struct tcp_info` in linux/tcp.h, which only ever grows at its end.
fn tcp_info(fields: Fields<'_>) -> TcpInfo {
    let microseconds = |at| Duration::from_micros(u64::from(fields.u32(at)));
    TcpInfo {
        mss: fields.u32(16),
        rtt: microseconds(68),
        congestion_window: fields.u32(80),
        retransmissions: fields.u32(100),
        bytes_received: fields.u64(128),
        segments_sent: fields.u32(136),
        segments_received: fields.u32(140),
        min_rtt: microseconds(148),
        data_segments_received: fields.u32(152),
        data_segments_sent: fields.u32(156),
        bytes_sent: fields.u64(200),
        bytes_retransmitted: fields.u64(208),
        congestion_control: String::new(),
    }
}

/// Numbers in the machine's byte order; what an older kernel does not have is 0.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u16(self, at: usize) -> u16 {
        self.array(at).map_or(0, u16::from_ne_bytes)
    }

    fn u32(self, at: usize) -> u32 {
        self.array(at).map_or(0, u32::from_ne_bytes)
    }

    fn u64(self, at: usize) -> u64 {
        self.array(at).map_or(0, u64::from_ne_bytes)
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at + N)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn connection(listen: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(listen).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(addr), listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn the_kernel_tells_what_each_end_sent_and_received() {
        for listen in ["127.0.0.1:0", "[::1]:0"] {
            let (mut client, mut server) = connection(listen).await;
            client.write_all(&[7; 1000]).await.unwrap();
            server.read_exact(&mut [0; 1000]).await.unwrap();
            server.write_all(&[7; 300]).await.unwrap();
            client.read_exact(&mut [0; 300]).await.unwrap();
            let (client, server) = (TcpInfo::of(&client).unwrap(), TcpInfo::of(&server).unwrap());
            assert_eq!(
                (client.bytes_sent, client.bytes_received),
                (1000, 300),
                "{listen}"
            );
            assert_eq!(
                (server.bytes_sent, server.bytes_received),
                (300, 1000),
                "{listen}"
            );
            for info in [client, server] {
                assert!(info.mss >= 536 && info.congestion_window > 0, "{info:?}");
                assert!(
                    info.rtt > Duration::ZERO && info.min_rtt <= info.rtt,
                    "{info:?}"
                );
                assert_eq!(
                    (info.data_segments_sent, info.retransmissions),
                    (1, 0),
                    "{info:?}"
                );
                assert!(!info.congestion_control.is_empty());
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_not_there_is_an_error() {
        let (client, _server) = connection("127.0.0.1:0").await;
        let local = client.local_addr().unwrap();
        let error = TcpInfo::between(local, "127.0.0.1:1".parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let error = TcpInfo::between(local, "[::1]:1".parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn answers_that_are_cut_short_are_refused() {
        let mut answer = vec![0; MESSAGE_HEADER + DIAG_MESSAGE];
        answer[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        assert!(parse(&answer).is_err(), "no tcp_info");
        answer.extend([0; 104]);
        let attribute = MESSAGE_HEADER + DIAG_MESSAGE;
        answer[attribute..][..4]
            .copy_from_slice(&[104_u16.to_ne_bytes(), INET_DIAG_INFO.to_ne_bytes()].concat());
        assert_eq!(parse(&answer).unwrap(), TcpInfo::default());
        for end in 0..answer.len() {
            assert!(parse(&answer[..end]).is_err(), "cut at {end}");
        }
        // An attribute without a length would be read for ever.
        answer[attribute..][..2].fill(0);
        assert!(parse(&answer).is_err());
    }
}
