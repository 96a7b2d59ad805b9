use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use link::{LinkSettings, Rate, probe};

use crate::support::two_hosts;

fn rtt(milliseconds: u64) -> LinkSettings {
    LinkSettings::with_rtt(Duration::from_millis(milliseconds))
}

const ATTEMPTS: usize = 5;

#[test]
fn a_link_measures_as_it_was_asked_for() {
    let settings = LinkSettings {
        loss: 0.05,
        rate: Some(Rate::bits_per_second(20_000_000)),
        mtu: 1280,
        initcwnd: 4,
        congestion_control: "reno".to_owned(),
        ..rtt(40)
    };
    let Some(network) = two_hosts("a_link_measures_as_it_was_asked_for", &settings) else {
        return;
    };
    // As often as a run tries: a machine that was busy with something else delays packets, too.
    let mut measured = probe::measure(&network).expect("measured");
    for _ in 1..ATTEMPTS {
        if measured.judge(&settings).is_empty() {
            break;
        }
        measured = probe::measure(&network).expect("measured");
    }
    assert_eq!(measured.judge(&settings), [], "{measured:?}");
    // The same measurement of the same link refuses other links: it measures and does not repeat.
    let others = [
        rtt(80),
        LinkSettings {
            loss: 0.2,
            ..settings.clone()
        },
        LinkSettings {
            rate: Some(Rate::bits_per_second(30_000_000)),
            ..settings.clone()
        },
        LinkSettings {
            mtu: 1500,
            ..settings.clone()
        },
        LinkSettings {
            initcwnd: 10,
            ..settings
        },
    ];
    for other in others {
        assert_ne!(measured.judge(&other), [], "{measured:?} {other:?}");
    }
}

#[test]
fn tcp_brings_every_octet_over_a_link_that_loses_packets() {
    const OCTETS: usize = 300_000;
    let settings = LinkSettings {
        loss: 0.03,
        jitter: Duration::from_micros(500),
        ..rtt(2)
    };
    let Some(network) = two_hosts("tcp_brings_every_octet", &settings) else {
        return;
    };
    let [client, server] = network.hosts() else {
        panic!("two hosts");
    };
    let sent: Vec<u8> = (0..OCTETS).map(|n| (n % 251) as u8).collect();
    let listener = server
        .namespace
        .run(|| TcpListener::bind((server.address, 0)))
        .expect("listening");
    let addr = listener.local_addr().expect("bound");
    let received = thread::scope(|scope| {
        scope.spawn(|| -> io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            stream.write_all(&sent)?;
            stream.shutdown(Shutdown::Write)
        });
        let mut stream = client.namespace.run(|| TcpStream::connect(addr))?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received)?;
        Ok::<_, io::Error>(received)
    });
    assert!(received.expect("received") == sent);
    let carried = network.carried();
    assert!(carried.lost > 0, "{carried:?}");
    assert_eq!(carried.failed, 0, "{carried:?}");
}

#[test]
fn hosts_reach_each_other_and_nothing_else() {
    let Some(network) = two_hosts("hosts_reach_each_other_and_nothing_else", &rtt(1)) else {
        return;
    };
    let outside = TcpListener::bind("127.0.0.1:0").expect("listening");
    let addr = outside.local_addr().expect("bound");
    let [client, server] = network.hosts() else {
        panic!("two hosts");
    };
    let refused = client.namespace.run(|| TcpStream::connect(addr));
    assert_eq!(
        refused.expect_err("another loopback").kind(),
        io::ErrorKind::ConnectionRefused
    );
    let inside = server
        .namespace
        .run(|| TcpListener::bind((server.address, 0)))
        .expect("listening");
    let addr = inside.local_addr().expect("bound");
    client
        .namespace
        .run(|| TcpStream::connect(addr))
        .expect("connected");
    let unreachable = TcpStream::connect_timeout(&addr, Duration::from_millis(200));
    assert!(unreachable.is_err(), "this namespace is no host");
}

#[test]
fn a_congestion_control_that_the_kernel_lacks_is_refused_with_those_it_has() {
    let settings = LinkSettings {
        congestion_control: "carrier-pigeon".to_owned(),
        ..rtt(1)
    };
    let refused = link::Network::new(&["a", "b"], &settings, 1).expect_err("no such");
    let text = refused.to_string();
    assert!(
        text.contains("carrier-pigeon") && text.contains("reno"),
        "{text}"
    );
}
