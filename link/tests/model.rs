//! The link's model against what a link may do at all, whatever is offered to it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use link::lane::{Fate, Lane};
use link::switch::Switch;
use link::{LinkSettings, Rate};
use proptest::prelude::*;

const MAX_PACKET: usize = 1500;

prop_compose! {
    fn settings()(
        rtt in 0_u64..200_000,
        jitter in 0.0..=0.5,
        loss in 0.0..0.5,
        rate in proptest::option::of(64_000_u64..1_000_000_000),
        queue in 0_usize..50,
    ) -> LinkSettings {
        let rtt = Duration::from_micros(rtt);
        LinkSettings {
            jitter: rtt.mul_f64(jitter),
            loss,
            rate: rate.map(Rate::bits_per_second),
            queue,
            ..LinkSettings::with_rtt(rtt)
        }
    }
}

/// Packets: the time since the one before, and the size.
fn traffic() -> impl Strategy<Value = Vec<(Duration, usize)>> {
    let packet = (0_u64..3_000, 20..=MAX_PACKET);
    proptest::collection::vec(packet, 1..200).prop_map(|packets| {
        let mut now = Duration::ZERO;
        let at = packets.into_iter().map(|(gap, octets)| {
            now += Duration::from_micros(gap);
            (now, octets)
        });
        at.collect()
    })
}

proptest! {
    #[test]
    fn a_packet_is_never_early_and_never_overtakes(settings in settings(), traffic in traffic(), seed: u64) {
        let mut lane = Lane::new(settings.clone(), seed);
        let least = (settings.rtt / 2).saturating_sub(settings.jitter);
        let mut last = Duration::ZERO;
        for (now, octets) in traffic {
            if let Fate::Arrives(due) = lane.offer(now, octets) {
                let passing = settings.rate.map_or(Duration::ZERO, |rate| rate.time_of(octets));
                prop_assert!(due >= now + least + passing);
                prop_assert!(due >= last);
                last = due;
            }
        }
    }

    #[test]
    fn a_packet_waits_no_longer_than_the_queue_is(settings in settings(), traffic in traffic(), seed: u64) {
        let mut lane = Lane::new(settings.clone(), seed);
        let each = settings.rate.map_or(Duration::ZERO, |rate| rate.time_of(MAX_PACKET));
        let most = settings.rtt / 2 + settings.jitter + each * (settings.queue as u32 + 2);
        for (now, octets) in traffic {
            if let Fate::Arrives(due) = lane.offer(now, octets) {
                // A nanosecond for halves that are rounded.
                prop_assert!(due <= now + most + Duration::from_nanos(1));
            }
        }
    }

    #[test]
    fn no_more_passes_than_the_rate_allows(settings in settings(), traffic in traffic(), seed: u64) {
        let rate = Rate::bits_per_second(10_000_000);
        let settings = LinkSettings { rate: Some(rate), jitter: Duration::ZERO, ..settings };
        let mut lane = Lane::new(settings, seed);
        let arrivals: Vec<_> = traffic
            .into_iter()
            .filter_map(|(now, octets)| match lane.offer(now, octets) {
                Fate::Arrives(due) => Some((due, octets)),
                _ => None,
            })
            .collect();
        for first in 0..arrivals.len() {
            let mut octets = 0;
            for (due, more) in &arrivals[first + 1..] {
                octets += more;
                prop_assert!(*due - arrivals[first].0 >= rate.time_of(octets).saturating_sub(Duration::from_micros(1)));
            }
        }
    }

    #[test]
    fn without_loss_and_bottleneck_everything_arrives(settings in settings(), traffic in traffic(), seed: u64) {
        let mut lane = Lane::new(LinkSettings { loss: 0.0, rate: None, ..settings }, seed);
        for (now, octets) in traffic {
            prop_assert!(matches!(lane.offer(now, octets), Fate::Arrives(_)));
        }
    }

    #[test]
    fn a_switch_delivers_each_packet_once_to_its_destination_in_order(
        settings in settings(),
        traffic in proptest::collection::vec((0_u64..3_000, 0_usize..4, 0_u8..6), 1..200),
        seed: u64,
    ) {
        let addresses: Vec<_> = (1..=4).map(|host| Ipv4Addr::new(10, 77, 0, host)).collect();
        let mut switch = Switch::new(addresses, &settings, seed);
        let mut now = Duration::ZERO;
        let mut arrived: BTreeMap<(usize, usize), Vec<u32>> = BTreeMap::new();
        let mut take = |host: usize, packet: &[u8]| {
            let source = usize::from(packet[15]) - 1;
            let number = u32::from_be_bytes(packet[20..24].try_into().expect("four octets"));
            assert_eq!(usize::from(packet[19]) - 1, host);
            arrived.entry((source, host)).or_default().push(number);
        };
        for (number, (gap, source, destination)) in traffic.iter().enumerate() {
            now += Duration::from_micros(*gap);
            switch.deliver(now, |host, due, packet| {
                assert!(due <= now);
                take(host, packet);
            });
            switch.accept(*source, now, &packet(*source as u8 + 1, *destination, number as u32));
        }
        switch.deliver(now + Duration::from_secs(3600), |host, _, packet| take(host, packet));
        prop_assert_eq!(switch.next_due(), None);
        for numbers in arrived.values() {
            prop_assert!(numbers.is_sorted_by(|a, b| a < b));
        }
        let counts = switch.counts();
        prop_assert_eq!(counts.delivered, arrived.values().map(Vec::len).sum::<usize>() as u64);
        let strays = traffic
            .iter()
            .filter(|(_, source, to)| !(1..=4).contains(to) || usize::from(*to) == source + 1);
        prop_assert_eq!(counts.undeliverable, strays.count() as u64);
        prop_assert_eq!(
            counts.delivered + counts.lost + counts.overflowed + counts.undeliverable,
            traffic.len() as u64
        );
    }

    #[test]
    fn whatever_a_device_says_is_survived(noise in proptest::collection::vec(any::<u8>(), 0..64)) {
        let hosts = vec![Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)];
        let mut switch = Switch::new(hosts, &LinkSettings::with_rtt(Duration::ZERO), 1);
        switch.accept(0, Duration::ZERO, &noise);
    }
}

#[test]
fn loss_is_as_frequent_as_asked_for() {
    const PACKETS: u32 = 100_000;
    let settings = LinkSettings {
        loss: 0.01,
        ..LinkSettings::with_rtt(Duration::from_millis(1))
    };
    let mut lane = Lane::new(settings, 7);
    let lost = (0..PACKETS)
        .filter(|n| lane.offer(Duration::from_micros((*n).into()), 100) == Fate::Lost)
        .count();
    // Five standard deviations of 31.5.
    assert!((843..1157).contains(&lost), "{lost}");
}

#[test]
fn jitter_reaches_both_of_its_bounds() {
    let settings = LinkSettings {
        jitter: Duration::from_millis(4),
        ..LinkSettings::with_rtt(Duration::from_millis(20))
    };
    let mut lane = Lane::new(settings, 7);
    // Further apart than jitter can push them together.
    let delays: Vec<_> = (0..1000)
        .map(|n| Duration::from_millis(n * 20))
        .map(|now| match lane.offer(now, 100) {
            Fate::Arrives(due) => due - now,
            fate => panic!("{fate:?}"),
        })
        .collect();
    let least = delays.iter().min().expect("a thousand");
    let most = delays.iter().max().expect("a thousand");
    let around =
        |delay: &Duration, wanted: f64| (delay.as_secs_f64() * 1000.0 - wanted).abs() < 0.1;
    assert!(
        around(least, 6.0) && around(most, 14.0),
        "{least:?} {most:?}"
    );
}

fn packet(source: u8, destination: u8, number: u32) -> Vec<u8> {
    let mut packet = vec![0; 24];
    packet[0] = 0x45;
    packet[12..16].copy_from_slice(&[10, 77, 0, source]);
    packet[16..20].copy_from_slice(&[10, 77, 0, destination]);
    packet[20..].copy_from_slice(&number.to_be_bytes());
    packet
}
