//! One direction of a connection, read record by record as the bytes pass.

use super::{DirectionBytes, MAX_FLIGHTS, MessageBytes, Protected};

/// `type(1) legacy_version(2) length(2)`.
const RECORD_HEADER: usize = 5;
/// Inner content type and tag: every cipher suite of TLS 1.3 here has a tag of 16 bytes.
const PROTECTION: u64 = 1 + 16;
/// Records that are remembered; a flight of the largest chain that TLS allows (16 MiB) is not expected, one of 1 MiB has 64.
const MAX_RECORDS: usize = 1024;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// `random` of a ServerHello that is a HelloRetryRequest: SHA-256 of its name (RFC 8446 Section 4.1.3).
pub(super) const HELLO_RETRY_REQUEST: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
/// `msg_type(1) length(3) legacy_version(2) random(32)`.
pub(super) const HELLO_START: usize = 1 + 3 + 2 + 32;

/// A record whose content cannot be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encrypted {
    /// Bytes of the direction up to the record's end.
    end: u64,
    /// Bytes of its content.
    content: u64,
}

/// What passed in one direction.
#[derive(Debug, Default)]
pub(crate) struct Direction {
    bytes: u64,
    header: [u8; RECORD_HEADER],
    header_filled: usize,
    /// What is missing of the current record's body.
    body_left: usize,
    message: ClearMessage,
    messages: MessageBytes,
    flight_ends: [u64; MAX_FLIGHTS],
    encrypted: Vec<Encrypted>,
    /// Something that no handshake has: the bytes cannot be attributed.
    foreign: bool,
}

impl Direction {
    /// Whether a record has begun whose content cannot be read.
    pub(crate) const fn encrypted_begun(&self) -> bool {
        !self.encrypted.is_empty() || self.header[0] == APPLICATION_DATA
    }

    pub(crate) fn encrypted(&self) -> &[Encrypted] {
        &self.encrypted
    }

    /// Takes the next bytes.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.foreign {
            bytes = if self.body_left == 0 {
                self.take_header(bytes)
            } else {
                self.take_body(bytes)
            };
        }
        self.bytes += bytes.len() as u64;
    }

    fn take_header<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let missing = &mut self.header[self.header_filled..];
        let (taken, rest) = bytes.split_at(missing.len().min(bytes.len()));
        missing[..taken.len()].copy_from_slice(taken);
        self.header_filled += taken.len();
        self.bytes += taken.len() as u64;
        if self.header_filled == RECORD_HEADER {
            let [_, _, _, high, low] = self.header;
            self.body_left = usize::from(u16::from_be_bytes([high, low]));
            // TLS 1.3 has no empty records but of application data, and those hold a content type and a tag.
            self.foreign |= self.body_left == 0;
        }
        rest
    }

    fn take_body<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(self.body_left.min(bytes.len()));
        self.body_left -= taken.len();
        self.bytes += taken.len() as u64;
        if self.header[0] == HANDSHAKE {
            self.take_clear(taken);
        }
        if self.body_left == 0 {
            self.end_record();
        }
        rest
    }

    fn take_clear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.foreign {
            let (complete, rest) = self.message.take(bytes);
            bytes = rest;
            match complete {
                None => {}
                Some(Clear::ClientHello(length)) => self.messages.client_hello += length,
                Some(Clear::ServerHello(length)) => self.messages.server_hello += length,
                Some(Clear::HelloRetryRequest(length)) => {
                    self.messages.hello_retry_request += length;
                }
                Some(Clear::Other) => self.foreign = true,
            }
        }
    }

    fn end_record(&mut self) {
        let [kind, _, _, high, low] = self.header;
        let length = u64::from(u16::from_be_bytes([high, low]));
        self.header_filled = 0;
        match kind {
            CHANGE_CIPHER_SPEC => self.messages.record_layer += RECORD_HEADER as u64 + length,
            HANDSHAKE => {
                self.messages.record_layer += RECORD_HEADER as u64;
                self.end_clear_flight();
            }
            APPLICATION_DATA if length >= PROTECTION && self.encrypted.len() < MAX_RECORDS => {
                self.encrypted.push(Encrypted {
                    end: self.bytes,
                    content: length - PROTECTION,
                });
            }
            _ => self.foreign = true,
        }
    }

    /// A ServerHello goes on in encrypted records; the other messages in the clear end a flight.
    fn end_clear_flight(&mut self) {
        let hello_alone = self.messages.server_hello == 0 && self.message.is_empty();
        let free = self.flight_ends.iter_mut().find(|end| **end == 0);
        match free {
            Some(free) if hello_alone => *free = self.bytes,
            _ => self.foreign |= hello_alone,
        }
    }

    /// A client's last flight is known whole, so it shows where the handshake ends.
    pub(crate) fn account_client(&self, known: &Protected) -> Option<DirectionBytes> {
        let mut content = 0;
        let count = self.encrypted.iter().position(|record| {
            content += record.content;
            content >= known.total()
        })? + 1;
        if content != known.total() || known.certificate_request.is_some() {
            return None;
        }
        let mut messages = self.messages;
        known.state(&mut messages);
        self.accounted(messages, count)
    }

    /// Of a server's flight everything but EncryptedExtensions is known.
    pub(crate) fn account_server(
        &self,
        known: &Protected,
        flight: usize,
    ) -> Option<DirectionBytes> {
        let (flight, tickets) = self.encrypted.split_at_checked(flight)?;
        let content =
            |records: &[Encrypted]| -> u64 { records.iter().map(|record| record.content).sum() };
        let mut messages = self.messages;
        known.state(&mut messages);
        // A message header and an empty list of extensions at least.
        messages.encrypted_extensions = content(flight)
            .checked_sub(known.total())
            .filter(|length| *length >= 6)?;
        let flight_end = flight.last()?.end;
        let mut accounted = self.accounted(messages, flight.len())?;
        let protection =
            |records: &[Encrypted]| records.len() as u64 * (RECORD_HEADER as u64 + PROTECTION);
        accounted.messages.new_session_ticket = content(tickets);
        accounted.messages.record_layer += protection(tickets);
        let whole = tickets.last().map_or(flight_end, |last| last.end);
        accounted.beyond = self.bytes - whole;
        (accounted.messages.total() == whole).then_some(accounted)
    }

    /// The handshake ends with encrypted record number `count`.
    fn accounted(&self, mut messages: MessageBytes, count: usize) -> Option<DirectionBytes> {
        let end = self.encrypted.get(count.checked_sub(1)?)?.end;
        messages.record_layer += count as u64 * (RECORD_HEADER as u64 + PROTECTION);
        let mut ends = self.flight_ends;
        *ends.iter_mut().find(|end| **end == 0)? = end;
        let mut flights = [0; MAX_FLIGHTS];
        let mut start = 0;
        for (flight, end) in flights.iter_mut().zip(ends).filter(|(_, end)| *end > 0) {
            *flight = end - start;
            start = end;
        }
        let whole = !self.foreign && messages.total() == end;
        whole.then_some(DirectionBytes {
            messages,
            flights,
            beyond: self.bytes - end,
        })
    }
}

/// A handshake message in the clear, as far as it has come.
#[derive(Debug)]
struct ClearMessage {
    start: [u8; HELLO_START],
    filled: usize,
    length: u64,
}

enum Clear {
    ClientHello(u64),
    HelloRetryRequest(u64),
    ServerHello(u64),
    Other,
}

impl Default for ClearMessage {
    fn default() -> Self {
        Self {
            start: [0; HELLO_START],
            filled: 0,
            length: 0,
        }
    }
}

impl ClearMessage {
    const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes bytes up to the message's end, and says what it was when it is there.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> (Option<Clear>, &'a [u8]) {
        let missing = HELLO_START - self.filled;
        if missing > 0 {
            let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
            self.start[self.filled..][..taken.len()].copy_from_slice(taken);
            self.filled += taken.len();
            self.length += taken.len() as u64;
            // A hello is longer than its start; anything shorter is none.
            let short = self.filled == HELLO_START && self.whole() <= HELLO_START as u64;
            return (short.then_some(Clear::Other), rest);
        }
        let left = self.whole() - self.length;
        let take = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (taken, rest) = bytes.split_at(take);
        self.length += taken.len() as u64;
        if self.length < self.whole() {
            return (None, rest);
        }
        let complete = self.kind();
        *self = Self::default();
        (Some(complete), rest)
    }

    fn whole(&self) -> u64 {
        let [_, high, middle, low, ..] = self.start;
        4 + u64::from(u32::from_be_bytes([0, high, middle, low]))
    }

    fn kind(&self) -> Clear {
        let length = self.whole();
        match self.start[0] {
            CLIENT_HELLO => Clear::ClientHello(length),
            SERVER_HELLO if self.start.ends_with(&HELLO_RETRY_REQUEST) => {
                Clear::HelloRetryRequest(length)
            }
            SERVER_HELLO => Clear::ServerHello(length),
            _ => Clear::Other,
        }
    }
}
