//! Streams of octets between the program and a peer, as they are.
//!
//! ```text
//!  program ── 16 KiB ──> TLS ──> peer      read only when the other side has taken what was read before
//!          <── 16 KiB ── TLS <──
//!  end of one direction ── close_notify or FIN ──> the other goes on
//! ```

use std::io;
use std::time::Duration;

use sbi::process::Stop;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::time::sleep;

use crate::metrics::Counted;
use crate::program::Stream;

/// What two sidecars speak that pass on octets, in ALPN: neither is to take the other's stream for HTTP.
pub(crate) const PROTOCOL: &[u8] = b"x-mtc5g-tcp";
/// Octets that are on their way in one direction.
const BUFFER: usize = 16 * 1024;
/// How long streams may go on after a stop.
const DRAIN: Duration = Duration::from_secs(4);
/// Passes octets between `program` and `peer` both ways until both have ended, one breaks off, or some time after a stop.
pub(crate) async fn pass(
    program: impl Stream,
    peer: impl Stream,
    counted: Counted,
    stop: Stop,
) -> io::Result<()> {
    let (from_program, to_program) = tokio::io::split(program);
    let (from_peer, to_peer) = tokio::io::split(peer);
    let both = async {
        tokio::try_join!(
            copy(from_program, to_peer, |octets| counted
                .to_peer
                .inc_by(octets)),
            copy(from_peer, to_program, |octets| counted
                .to_program
                .inc_by(octets)),
        )
    };
    let stopped = async {
        stop.wait().await;
        sleep(DRAIN).await;
    };
    tokio::select! {
        ended = both => ended.map(|_| ()),
        () = stopped => Ok(()),
    }
}

/// Passes octets one way until they end, and says so to the receiver.
async fn copy<R: AsyncRead, W: AsyncWrite>(
    mut from: ReadHalf<R>,
    mut to: WriteHalf<W>,
    count: impl Fn(u64),
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        // TLS keeps what it has not written yet.
        to.flush().await?;
        count(read as u64);
    }
}

#[cfg(test)]
mod tests {
    use sbi::metrics::Registry;
    use tokio::io::duplex;
    use tokio::time::Instant;

    use super::*;
    use crate::metrics::{Direction, SidecarMetrics};

    fn counted() -> Counted {
        SidecarMetrics::new(&Registry::default()).tunnel(Direction::Outbound)
    }

    #[tokio::test]
    async fn one_direction_ends_and_the_other_goes_on() {
        let (mut program, near) = duplex(64);
        let (far, mut peer) = duplex(64);
        let (_running, stop) = Stop::new();
        let passing = tokio::spawn(pass(near, far, counted(), stop));
        program.write_all(b"question").await.expect("is taken");
        program.shutdown().await.expect("ends");
        let mut question = String::new();
        let read = peer.read_to_string(&mut question).await;
        read.expect("an end");
        assert_eq!(question, "question");
        peer.write_all(b"answer").await.expect("is taken");
        drop(peer);
        let mut answer = String::new();
        let read = program.read_to_string(&mut answer).await;
        read.expect("an end");
        assert_eq!(answer, "answer");
        passing.await.expect("no panic").expect("a good end");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stop_what_goes_on_has_a_while() {
        let (_program, near) = duplex(64);
        let (far, _peer) = duplex(64);
        let (running, stop) = Stop::new();
        running.send_replace(true);
        let began = Instant::now();
        let passed = pass(near, far, counted(), stop).await;
        passed.expect("a good end");
        assert_eq!(began.elapsed(), DRAIN);
    }
}
