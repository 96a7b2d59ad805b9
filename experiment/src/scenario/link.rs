//! `[link]`: the path between network functions. Without the table they meet on the loopback.

use std::ops::RangeInclusive;
use std::time::Duration;

use link::{LinkSettings, Rate};

use super::reader::{Reader, Refusal, Table, integer, number, span_of_time, text};

pub(super) const KEYS: &[&str] = &[
    "rtt",
    "jitter",
    "loss",
    "rate",
    "queue",
    "mtu",
    "initcwnd",
    "congestion_control",
];

/// Around the world and back is 300 ms; a geostationary satellite 600.
const RTT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(2);
/// With more, TCP does little but wait for its timers.
const LOSS: RangeInclusive<f64> = 0.0..=0.2;
/// What a program on a shared processor can be expected to carry, packet by packet.
const RATE: RangeInclusive<u64> = 64_000..=1_000_000_000;
const QUEUE: RangeInclusive<u64> = 1..=100_000;
/// What every IPv4 host must take (RFC 791), and jumbo frames.
const MTU: RangeInclusive<u64> = 576..=9000;
const INITCWND: RangeInclusive<u64> = 1..=200;
const MAX_NAME: usize = 16;

pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<LinkSettings> {
    let rtt = reader.required(table, "rtt", span_of_time(RTT));
    let plain = LinkSettings::with_rtt(rtt.unwrap_or_default());
    let jitter = reader.optional(table, "jitter", plain.jitter, span_of_time(RTT));
    let loss = reader.optional(table, "loss", plain.loss, number(LOSS));
    let rate = reader.optional(table, "rate", plain.rate, |value| rate(value).map(Some));
    let queue = reader.optional(table, "queue", plain.queue as u64, integer(QUEUE));
    let mtu = reader.optional(table, "mtu", plain.mtu.into(), integer(MTU));
    let initcwnd = reader.optional(table, "initcwnd", plain.initcwnd.into(), integer(INITCWND));
    let congestion_control = reader.optional(
        table,
        "congestion_control",
        plain.congestion_control,
        name_of_algorithm,
    );
    let settings = LinkSettings {
        rtt: rtt?,
        jitter: jitter?,
        loss: loss?,
        rate: rate?,
        queue: usize::try_from(queue?).expect("QUEUE fits in usize"),
        mtu: u32::try_from(mtu?).expect("MTU fits in u32"),
        initcwnd: u32::try_from(initcwnd?).expect("INITCWND fits in u32"),
        congestion_control: congestion_control?,
    };
    check(reader, table, &settings);
    Some(settings)
}

fn check(reader: &mut Reader<'_>, table: &Table<'_>, settings: &LinkSettings) {
    if settings.jitter > settings.rtt / 2 {
        let rule = "must be at most half of rtt, the delay of one direction";
        reader.fault_at(table, "jitter", rule, None);
    }
    if settings.rate.is_none() {
        let rule = "needs rate: without a bottleneck nothing waits";
        reader.refuse(table, "queue", rule);
    }
}

fn rate(value: &toml::de::DeValue<'_>) -> Result<Rate, Refusal> {
    let written = text(MAX_NAME)(value)?;
    let rate: Rate = written
        .parse()
        .map_err(|error: link::rate::RateError| Refusal::new(error.to_string()))?;
    if RATE.contains(&rate.as_bits_per_second()) {
        return Ok(rate);
    }
    let [least, most] = [RATE.start(), RATE.end()].map(|bits| Rate::bits_per_second(*bits));
    Err(Refusal::new(format!(
        "must be from {least} to {most}, is {written}"
    )))
}

/// The kernel has the last word; this keeps anything but a name out of a command line.
fn name_of_algorithm(value: &toml::de::DeValue<'_>) -> Result<String, Refusal> {
    super::reader::name(MAX_NAME)(value)
}

#[cfg(test)]
mod tests {
    use super::super::{Scenario, ScenarioFaults};
    use super::*;

    fn parse(link: &str) -> Result<Option<LinkSettings>, Vec<String>> {
        let text = format!(
            "[scenario]\nname = \"x\"\n[lab]\n[[variant]]\nname = \"only\"\nauth = \"mtc-landmark\"\n[load]\n\
             operation = \"handshake\"\nstages = [{{ rate = 10, duration = \"1s\" }}]\n{link}"
        );
        Scenario::parse(&text)
            .map(|scenario| scenario.link)
            .map_err(|ScenarioFaults(faults)| faults.iter().map(ToString::to_string).collect())
    }

    fn fault(link: &str) -> String {
        let faults = parse(link).expect_err(link);
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults[0].clone()
    }

    #[test]
    fn without_the_table_it_is_the_loopback() {
        assert_eq!(parse(""), Ok(None));
    }

    #[test]
    fn a_round_trip_time_is_enough() {
        let link = parse("[link]\nrtt = \"20ms\"").expect("valid");
        let expected = LinkSettings::with_rtt(Duration::from_millis(20));
        assert_eq!(link, Some(expected));
    }

    #[test]
    fn every_key_is_read() {
        let link = parse(
            "[link]\nrtt = \"80ms\"\njitter = \"5ms\"\nloss = 0.01\nrate = \"100Mbit\"\nqueue = 50\nmtu = 1400\n\
             initcwnd = 20\ncongestion_control = \"bbr\"",
        );
        let expected = LinkSettings {
            rtt: Duration::from_millis(80),
            jitter: Duration::from_millis(5),
            loss: 0.01,
            rate: Some(Rate::bits_per_second(100_000_000)),
            queue: 50,
            mtu: 1400,
            initcwnd: 20,
            congestion_control: "bbr".to_owned(),
        };
        assert_eq!(link, Ok(Some(expected)));
    }

    #[test]
    fn faults_name_the_key_and_the_rule() {
        for (link, expected) in [
            ("[link]\nmtu = 1500", "link.rtt is missing"),
            ("[link]\nrtt = \"3s\"", "link.rtt must be from"),
            (
                "[link]\nrtt = \"10ms\"\njitter = \"6ms\"",
                "link.jitter must be at most half of rtt",
            ),
            (
                "[link]\nrtt = \"10ms\"\nloss = 0.5",
                "link.loss must be from 0 to 0.2",
            ),
            (
                "[link]\nrtt = \"10ms\"\nrate = \"fast\"",
                "link.rate is \"fast\", which is not a rate",
            ),
            (
                "[link]\nrtt = \"10ms\"\nrate = \"40Gbit\"",
                "link.rate must be from 64kbit to 1Gbit",
            ),
            (
                "[link]\nrtt = \"10ms\"\nqueue = 10",
                "link.queue needs rate",
            ),
            (
                "[link]\nrtt = \"10ms\"\nmtu = 100",
                "link.mtu must be from 576 to 9000",
            ),
            (
                "[link]\nrtt = \"10ms\"\ncongestion_control = \"a b\"",
                "link.congestion_control is \"a b\"",
            ),
            (
                "[link]\nrtt = \"10ms\"\nlos = 0.1",
                "link.los is not a known key",
            ),
        ] {
            let fault = fault(link);
            assert!(fault.contains(expected), "{link}: {fault}");
        }
    }
}
