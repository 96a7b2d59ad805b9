//! Connections of protocols that never ask whether the other end is still there.

use std::io;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// How long the other end of a silent connection is believed to be there before it is asked, from then on every so often, and so many times.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_PAUSE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_PROBES: u32 = 6;

/// Has the kernel find out that the host at the other end is gone, which nobody would notice who only listens.
///
/// # Errors
/// The connection has ended.
pub fn keep_alive(tcp: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(tcp, true)?;
    sockopt::set_tcp_keepidle(tcp, KEEP_ALIVE)?;
    sockopt::set_tcp_keepintvl(tcp, KEEP_ALIVE_PAUSE)?;
    sockopt::set_tcp_keepcnt(tcp, KEEP_ALIVE_PROBES)?;
    Ok(())
}
