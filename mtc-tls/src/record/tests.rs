//! Whatever the messages, the records and the reads: every byte has its part, and the parts are those that were sent.

use std::iter;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_assume, proptest};

use super::direction::{HELLO_RETRY_REQUEST, HELLO_START};
use super::{DirectionBytes, MessageBytes, Protected, Side, Watch};

const CLEAR: u64 = 5;
const ENCRYPTED: u64 = 5 + 1 + 16;
const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];

/// Lengths of messages, and where the records of encrypted ones are cut.
#[derive(Clone, Debug)]
struct Plan {
    client: MessageBytes,
    server: MessageBytes,
    cuts: Vec<u64>,
    /// Bytes per read or write.
    chunk: usize,
    /// Bytes of a request right behind the client's Finished.
    request: Option<u64>,
}

/// Legal lengths: hellos are longer than their fixed start, EncryptedExtensions has a list, however empty.
fn plans() -> impl Strategy<Value = Plan> {
    let client_hello = HELLO_START as u64 + 1..2000;
    let asked = option::of((12..400_u64, 8..30_000_u64, 70..5000_u64));
    let certified = (100..30_000_u64, 70..5000_u64);
    let rest = (
        vec(1..16_384_u64, 0..8),
        1..20_000_usize,
        option::of(1..500_u64),
    );
    let server = (HELLO_START as u64 + 1..1300, 6..100_u64, certified);
    (client_hello, option::of(60..100_u64), server, asked, rest).prop_flat_map(
        |(client_hello, retry, (server_hello, encrypted_extensions, shown), asked, rest)| {
            let (cuts, chunk, request) = rest;
            let (certificate_request, certificate, certificate_verify) = asked.unwrap_or_default();
            let client = MessageBytes {
                client_hello,
                certificate,
                certificate_verify,
                finished: 36,
                ..MessageBytes::default()
            };
            let server = MessageBytes {
                server_hello,
                hello_retry_request: retry.unwrap_or_default(),
                encrypted_extensions,
                certificate_request,
                certificate: shown.0,
                certificate_verify: shown.1,
                finished: 36,
                ..MessageBytes::default()
            };
            Just(Plan {
                client,
                server,
                cuts,
                chunk,
                request,
            })
        },
    )
}

/// What one side sends at a stretch, and how many of its bytes are record layer.
#[derive(Default)]
struct Flight {
    bytes: Vec<u8>,
    record_layer: u64,
}

impl Flight {
    fn change_cipher_spec(&mut self) {
        self.bytes.extend(CHANGE_CIPHER_SPEC);
        self.record_layer += CHANGE_CIPHER_SPEC.len() as u64;
    }

    /// A hello of this length, whose random is that of a HelloRetryRequest or not.
    fn hello(&mut self, kind: u8, length: u64, retry: bool) {
        let [.., high, low] = length.to_be_bytes();
        self.bytes.extend([22, 3, 3, high, low]);
        self.record_layer += CLEAR;
        let [.., a, b, c] = (length - 4).to_be_bytes();
        let start = [kind, a, b, c, 3, 3];
        let random = if retry { HELLO_RETRY_REQUEST } else { [7; 32] };
        let rest = usize::try_from(length).expect("short") - HELLO_START;
        self.bytes
            .extend([&start[..], &random, &vec![9; rest]].concat());
    }

    /// Content of this length in records cut where the plan says, then at what a record holds.
    fn encrypted(&mut self, mut content: u64, cuts: &[u64]) {
        let mut cuts = cuts.iter().copied();
        while content > 0 {
            let take = cuts.next().unwrap_or(1 << 14).min(content);
            let [.., high, low] = (take + 1 + 16).to_be_bytes();
            self.bytes.extend([23, 3, 3, high, low]);
            let body = usize::try_from(take).expect("short") + 1 + 16;
            self.bytes.extend(vec![5; body]);
            self.record_layer += ENCRYPTED;
            content -= take;
        }
    }
}

impl Plan {
    fn protected(of: &MessageBytes) -> Protected {
        let sent = |length: u64| (length > 0).then_some(length);
        Protected {
            certificate_status: sent(of.certificate_status),
            certificate_request: sent(of.certificate_request),
            certificate: sent(of.certificate),
            certificate_verify: sent(of.certificate_verify),
            finished: of.finished,
        }
    }

    /// Octets of content in the last record of the client's last flight.
    fn last_record_of_client(&self) -> u64 {
        let mut rest = Self::protected(&self.client).total();
        let records = self.cuts.iter().copied().chain(iter::repeat(1 << 14));
        for record in records {
            if rest <= record {
                break;
            }
            rest -= record;
        }
        rest
    }

    /// Who sends what, one after the other.
    fn flights(&self) -> Vec<(Side, Flight)> {
        let mut flights = Vec::new();
        let mut first = Flight::default();
        let retried = self.server.hello_retry_request > 0;
        // The second ClientHello is as long as it may be short.
        let second = if retried { HELLO_START as u64 + 1 } else { 0 };
        first.hello(1, self.client.client_hello, false);
        flights.push((Side::Client, first));
        if retried {
            let mut retry = Flight::default();
            retry.hello(2, self.server.hello_retry_request, true);
            flights.push((Side::Server, retry));
            let mut again = Flight::default();
            again.change_cipher_spec();
            again.hello(1, second, false);
            flights.push((Side::Client, again));
        }
        let mut server = Flight::default();
        server.hello(2, self.server.server_hello, false);
        server.change_cipher_spec();
        let protected = Self::protected(&self.server).total() + self.server.encrypted_extensions;
        server.encrypted(protected, &self.cuts);
        flights.push((Side::Server, server));
        let mut last = Flight::default();
        if !retried {
            last.change_cipher_spec();
        }
        last.encrypted(Self::protected(&self.client).total(), &self.cuts);
        flights.push((Side::Client, last));
        flights
    }

    /// What must be told about one side.
    fn expected(&self, side: Side, flights: &[(Side, Flight)], beyond: u64) -> DirectionBytes {
        let own = || flights.iter().filter(|(from, _)| *from == side);
        let mut messages = match side {
            Side::Client => self.client,
            Side::Server => self.server,
        };
        if side == Side::Client && self.server.hello_retry_request > 0 {
            messages.client_hello += HELLO_START as u64 + 1;
        }
        messages.record_layer = own().map(|(_, flight)| flight.record_layer).sum();
        let mut lengths = [0; super::MAX_FLIGHTS];
        for (length, (_, flight)) in lengths.iter_mut().zip(own()) {
            *length = flight.bytes.len() as u64;
        }
        DirectionBytes {
            messages,
            flights: lengths,
            beyond,
        }
    }
}

fn watched(side: Side, plan: &Plan, flights: &[(Side, Flight)], request: &[u8]) -> Watch {
    let mut watch = Watch::new(side);
    for (number, (from, flight)) in flights.iter().enumerate() {
        let mut bytes = flight.bytes.clone();
        if number + 1 == flights.len() {
            bytes.extend(request);
        }
        for chunk in bytes.chunks(plan.chunk) {
            if *from == side {
                watch.sent(chunk);
            } else {
                watch.received(chunk);
            }
        }
    }
    watch
}

proptest! {
    #[test]
    fn parts_are_those_that_were_sent_and_add_up_to_the_bytes_on_the_wire(
        plan in plans(),
        as_server in any::<bool>(),
    ) {
        let flights = plan.flights();
        let mut request = Flight::default();
        request.encrypted(plan.request.unwrap_or_default(), &[]);
        let side = if as_server { Side::Server } else { Side::Client };
        let watch = watched(side, &plan, &flights, &request.bytes);
        let account = watch
            .account(&Plan::protected(&plan.client), &Plan::protected(&plan.server))
            .expect("an account");
        let (client, server) = match side {
            Side::Client => (account.sent, account.received),
            Side::Server => (account.received, account.sent),
        };
        prop_assert_eq!(client, plan.expected(Side::Client, &flights, request.bytes.len() as u64));
        prop_assert_eq!(server, plan.expected(Side::Server, &flights, 0));
        let on_the_wire = |side: Side| -> u64 {
            let own = flights.iter().filter(|(from, _)| *from == side);
            own.map(|(_, flight)| flight.bytes.len() as u64).sum()
        };
        prop_assert_eq!(client.messages.total(), on_the_wire(Side::Client));
        prop_assert_eq!(server.messages.total(), on_the_wire(Side::Server));
    }

    #[test]
    fn a_client_whose_messages_are_longer_or_shorter_than_known_has_no_account(
        plan in plans(),
        longer in any::<bool>(),
    ) {
        let flights = plan.flights();
        let watch = watched(Side::Client, &plan, &flights, &[]);
        let mut client = Plan::protected(&plan.client);
        // Where the last record holds one octet, all records but that are an account of a message shorter by one.
        prop_assume!(longer || plan.last_record_of_client() > 1);
        client.finished = if longer { client.finished + 1 } else { client.finished - 1 };
        prop_assert_eq!(watch.account(&client, &Plan::protected(&plan.server)), None);
    }
}
