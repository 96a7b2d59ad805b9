//! A packet capture of one port of the loopback interface, taken and decoded by tshark.
//!
//! ```text
//!  Capture::start ── "Capturing on", then a probe is seen ──> everything after it is in the file
//!  Capture::finish ── a last probe is seen ──> everything before it is in the file; tshark reads it again:
//!    streams   TCP payload, put in order by sequence number, what was sent twice counted once
//!    messages  lengths of the handshake messages, decrypted with a key log
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use mtc_core::hex;
use rustix::process::{Pid, Signal, kill_process};
use rustls::KeyLog;

/// Far more than a capture needs to begin, or to show a packet.
const PATIENCE: Duration = Duration::from_secs(30);
/// A probe may be sent before the capture looks, so it is sent again.
const PROBE_AGAIN: Duration = Duration::from_millis(200);

/// The secrets of connections, as `SSLKEYLOGFILE` has them.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<String>);

impl Keys {
    pub(crate) fn text(&self) -> String {
        self.0.lock().expect("no writer panicked").clone()
    }
}

impl KeyLog for Keys {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let mut text = self.0.lock().expect("no writer panicked");
        let _ = writeln!(
            text,
            "{label} {} {}",
            hex::encode(client_random),
            hex::encode(secret)
        );
    }
}

/// Who sent a segment, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ports {
    pub(crate) from: u16,
    pub(crate) to: u16,
}

impl Ports {
    /// The other direction.
    pub(crate) const fn back(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
        }
    }
}

/// A running tshark.
pub(crate) struct Capture {
    tshark: Child,
    shown: Receiver<String>,
    prober: UdpSocket,
    port: u16,
    folder: tempfile::TempDir,
}

impl Capture {
    /// A capture of everything that has to do with this port.
    ///
    /// None, with a plain word about it, where there is no tshark or it may not capture.
    pub(crate) fn start(port: u16) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let started = Command::new("tshark")
            .args(["-n", "-l", "-i", "lo", "-f", &format!("port {port}"), "-P"])
            .args(["-T", "fields", "-e", "udp.dstport", "-e", "data", "-w"])
            .arg(folder.path().join(FILE))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut tshark = match started {
            Ok(tshark) => tshark,
            Err(error) => return skipped(&error.to_string()),
        };
        let shown = lines(tshark.stdout.take().expect("a pipe"));
        let told = lines(tshark.stderr.take().expect("a pipe"));
        let mut complaint = String::new();
        loop {
            match told.recv_timeout(PATIENCE) {
                Ok(line) if line.contains("Capturing on") => break,
                Ok(line) => complaint.push_str(&line),
                Err(_) => return skipped(&complaint),
            }
        }
        let prober = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let mut capture = Self {
            tshark,
            shown,
            prober,
            port,
            folder,
        };
        if capture.probed(b"begin") {
            return Some(capture);
        }
        capture.tshark.wait().expect("tshark has ended");
        skipped(&told.iter().collect::<String>())
    }

    /// Ends the capture when all that has been sent so far is in it.
    pub(crate) fn finish(mut self) -> Recorded {
        assert!(self.probed(b"end"), "tshark ended before it was told to");
        let pid = Pid::from_child(&self.tshark);
        kill_process(pid, Signal::INT).expect("a process that runs");
        let status = self.tshark.wait().expect("a child");
        assert!(status.success(), "tshark: {status}");
        Recorded {
            folder: self.folder,
            port: self.port,
        }
    }

    /// Sends a packet until it is shown, or tshark has ended.
    fn probed(&self, content: &[u8]) -> bool {
        let wanted = format!("{}\t{}", self.port, hex::encode(content));
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            self.prober
                .send_to(content, (Ipv4Addr::LOCALHOST, self.port))
                .expect("loopback");
            let sent = Instant::now();
            while let Some(left) = PROBE_AGAIN.checked_sub(sent.elapsed()) {
                match self.shown.recv_timeout(left) {
                    Ok(line) if line == wanted => return true,
                    Ok(_) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return false,
                }
            }
        }
        panic!("tshark shows no packet for {PATIENCE:?}")
    }
}

const FILE: &str = "capture.pcapng";

fn skipped<T>(why: &str) -> Option<T> {
    println!("SKIPPED, nothing is shown: tshark does not capture on lo: {why}");
    None
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(from).lines().map_while(io::Result::ok);
        // Nobody listens any more when the capture is over.
        lines.map(|line| sender.send(line)).all(|sent| sent.is_ok())
    });
    receiver
}

/// A finished capture.
pub(crate) struct Recorded {
    folder: tempfile::TempDir,
    port: u16,
}

impl Recorded {
    /// TCP payload of each direction of each connection.
    pub(crate) fn streams(&self) -> BTreeMap<Ports, Vec<u8>> {
        let segments = self.read(&["tcp.seq", "tcp.payload"], "tcp.len > 0", &[]);
        let mut streams = BTreeMap::<Ports, BTreeMap<usize, Vec<u8>>>::new();
        for (ports, [sequence, payload]) in segments {
            // Sequence numbers count from the SYN, which has one itself.
            let at = sequence.parse::<usize>().expect("a number") - 1;
            let payload = bytes(&payload);
            let stream = streams.entry(ports).or_default();
            // Of two segments that begin at the same byte, the longer one.
            if stream.get(&at).is_none_or(|had| had.len() < payload.len()) {
                stream.insert(at, payload);
            }
        }
        streams
            .into_iter()
            .map(|(ports, segments)| (ports, in_order(segments)))
            .collect()
    }

    /// Type and length, its header included, of each handshake message that `keys` decrypt.
    pub(crate) fn messages(&self, keys: &str) -> BTreeMap<Ports, Vec<(u8, u64)>> {
        let file = self.folder.path().join("keys");
        std::fs::write(&file, keys).expect("a temporary folder");
        let options = [
            "-d".to_owned(),
            format!("tcp.port=={},tls", self.port),
            "-o".to_owned(),
            format!("tls.keylog_file:{}", file.display()),
        ];
        let fields = ["tls.handshake.type", "tls.handshake.length"];
        let mut messages = BTreeMap::<Ports, Vec<_>>::new();
        for (ports, [kinds, lengths]) in self.read(&fields, "tls.handshake", &options) {
            let numbers = |list: &str| -> Vec<u64> {
                let number = |text: &str| text.parse().expect("a number");
                list.split(',').map(number).collect()
            };
            let (kinds, lengths) = (numbers(&kinds), numbers(&lengths));
            assert_eq!(kinds.len(), lengths.len(), "{kinds:?} {lengths:?}");
            let read = kinds.into_iter().zip(lengths).map(|(kind, length)| {
                let kind = u8::try_from(kind).expect("one byte");
                (kind, MESSAGE_HEADER + length)
            });
            messages.entry(ports).or_default().extend(read);
        }
        messages
    }

    /// These fields of the packets that the filter lets through, in order of capture.
    fn read<const N: usize>(
        &self,
        fields: &[&str; N],
        filter: &str,
        options: &[String],
    ) -> Vec<(Ports, [String; N])> {
        let file: &Path = &self.folder.path().join(FILE);
        let mut command = Command::new("tshark");
        command.args(["-n", "-r"]).arg(file).args(options);
        command.args(["-Y", filter, "-T", "fields"]);
        command.args(["-e", "tcp.srcport", "-e", "tcp.dstport"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command.output().expect("tshark, which captured");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let row = |line: &str| {
            let mut cells = line.split('\t').map(str::to_owned);
            let mut next = || cells.next().unwrap_or_else(|| panic!("{line}"));
            let mut port = || next().parse().expect("a port");
            let (from, to) = (port(), port());
            (Ports { from, to }, std::array::from_fn(|_| next()))
        };
        text.lines().map(row).collect()
    }
}

/// `msg_type(1) length(3)`.
const MESSAGE_HEADER: u64 = 4;

/// Segments by where they begin, as one stream.
fn in_order(segments: BTreeMap<usize, Vec<u8>>) -> Vec<u8> {
    let mut stream = Vec::new();
    for (at, payload) in segments {
        assert!(
            at <= stream.len(),
            "{} bytes are missing",
            at - stream.len()
        );
        let known = (stream.len() - at).min(payload.len());
        assert_eq!(stream[at..at + known], payload[..known], "sent twice");
        stream.extend_from_slice(&payload[known..]);
    }
    stream
}

fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(&digits.replace(':', "")).expect("pairs of digits")
}

#[test]
fn segments_become_a_stream_whatever_was_sent_twice() {
    let segments = [(5, &b"fgh"[..]), (0, b"abc"), (2, b"cdef"), (3, b"de")];
    let segments = segments.map(|(at, payload)| (at, payload.to_vec()));
    assert_eq!(in_order(BTreeMap::from(segments)), b"abcdefgh");
    assert_eq!(bytes(&hex::encode(b"abc")), b"abc");
}
