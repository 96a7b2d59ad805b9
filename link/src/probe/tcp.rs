//! What the kernel says about a TCP connection over a link that has just been opened.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::network::Host;

/// A new connection at its server, which sends the large flight of a handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpFacts {
    /// Octets of payload in a full segment.
    pub mss: u32,
    /// Segments that may be sent before the first acknowledgement.
    pub initcwnd: u32,
    /// Name of the congestion control.
    pub congestion_control: String,
}

/// Opens a connection and asks the kernel.
pub(super) fn facts(from: &Host, to: &Host) -> io::Result<TcpFacts> {
    let listener = to.namespace.run(|| TcpListener::bind((to.address, 0)))?;
    let addr = listener.local_addr()?;
    let _client = from.namespace.run(|| TcpStream::connect(addr))?;
    let (_server, _) = listener.accept()?;
    let port = format!(":{}", addr.port());
    let output = to.namespace.run(|| {
        Command::new("ss")
            .args(["-Htin", "state", "established", "sport", "=", &port])
            .output()
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    read(&text).ok_or_else(|| io::Error::other(format!("ss shows nothing about it: {text:?}")))
}

/// Reads the information line of one socket: the congestion control's name, then `name:value` words.
fn read(text: &str) -> Option<TcpFacts> {
    let line = text.lines().find(|line| line.contains(" mss:"))?;
    let value = |name: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix(':')?.parse().ok())
    };
    Some(TcpFacts {
        mss: value("mss")?,
        initcwnd: value("cwnd")?,
        congestion_control: line
            .split_whitespace()
            .find(|word| !word.contains(':') && *word != "ts" && *word != "sack")?
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ss_prints() {
        let text = "0 0 10.77.0.2:4433 10.77.0.1:50000\n\t cubic wscale:7,7 rto:220 rtt:20.1/10 ato:40 mss:1448 pmtu:1500 \
                    rcvmss:536 advmss:1448 cwnd:10 segs_in:2 send 5.7Mbps\n";
        let facts = TcpFacts {
            mss: 1448,
            initcwnd: 10,
            congestion_control: "cubic".to_owned(),
        };
        assert_eq!(read(text), Some(facts));
        assert_eq!(read(""), None);
    }

    #[test]
    fn options_before_the_name_are_passed_over() {
        let text = "\t ts sack bbr wscale:7,7 mss:1448 cwnd:32";
        assert_eq!(read(text).expect("facts").congestion_control, "bbr");
    }
}
