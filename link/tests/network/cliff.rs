//! The initial window's cliff: ten segments of 1,448 octets are answered in one round trip, one octet more in two.
//!
//! Times tell round trips here, with margins that a busy machine does not reach: an answer that takes one is told from one
//! that takes two at 1.65. What is tested is TCP's window over this link, not how fast anything is.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use link::{Host, LinkSettings, probe};

use crate::support::two_hosts;

const RTT: Duration = Duration::from_millis(20);
/// 10 segments, each an MTU of 1500 without 40 octets of headers and 12 of timestamps.
const INITIAL_WINDOW: usize = 14_480;
/// Answers of one size; the median is taken.
const ANSWERS: usize = 7;

#[test]
fn an_answer_beyond_the_initial_window_costs_another_round_trip() {
    let settings = LinkSettings::with_rtt(RTT);
    let name = "an_answer_beyond_the_initial_window_costs_another_round_trip";
    let Some(network) = two_hosts(name, &settings) else {
        return;
    };
    let tcp = probe::measure(&network).expect("measured").tcp;
    let [client, server] = network.hosts() else {
        panic!("two hosts");
    };
    let round_trips = |octets| {
        let taken = median_answer(client, server, octets).expect("answered");
        taken.as_secs_f64() / RTT.as_secs_f64()
    };
    let (within, beyond) = (round_trips(INITIAL_WINDOW), round_trips(14_700));
    let _ = writeln!(
        io::stderr(),
        "{}, initial window {} x {} octets, round trip {RTT:?}: {INITIAL_WINDOW} octets take {within:.2} round trips, \
         14700 take {beyond:.2}",
        tcp.congestion_control,
        tcp.initcwnd,
        tcp.mss
    );
    assert!((0.9..1.6).contains(&within), "{within} round trips");
    assert!((1.7..2.6).contains(&beyond), "{beyond} round trips");
}

#[test]
fn a_larger_initial_window_moves_the_cliff() {
    let settings = LinkSettings {
        initcwnd: 20,
        ..LinkSettings::with_rtt(RTT)
    };
    let Some(network) = two_hosts("a_larger_initial_window_moves_the_cliff", &settings) else {
        return;
    };
    let [client, server] = network.hosts() else {
        panic!("two hosts");
    };
    let taken = median_answer(client, server, 14_700).expect("answered");
    assert!(taken < RTT.mul_f64(1.6), "{taken:?}");
}

fn median_answer(client: &Host, server: &Host, octets: usize) -> io::Result<Duration> {
    let listener = server
        .namespace
        .run(|| TcpListener::bind((server.address, 0)))?;
    let addr = listener.local_addr()?;
    let mut taken = thread::scope(|scope| {
        scope.spawn(|| -> io::Result<()> {
            let answer = vec![0; octets];
            for _ in 0..ANSWERS {
                let (mut stream, _) = listener.accept()?;
                stream.read_exact(&mut [0])?;
                stream.write_all(&answer)?;
            }
            Ok(())
        });
        (0..ANSWERS)
            .map(|_| {
                // A connection of its own for each: the window grows with every acknowledgement.
                let mut stream = client.namespace.run(|| TcpStream::connect(addr))?;
                let asked = Instant::now();
                stream.write_all(&[1])?;
                stream.read_exact(&mut vec![0; octets])?;
                Ok(asked.elapsed())
            })
            .collect::<io::Result<Vec<_>>>()
    })?;
    taken.sort();
    Ok(taken[ANSWERS / 2])
}
