use super::*;
use crate::rate::Rate;

fn settings() -> LinkSettings {
    LinkSettings {
        loss: 0.01,
        rate: Some(Rate::bits_per_second(100_000_000)),
        ..LinkSettings::with_rtt(Duration::from_millis(20))
    }
}

fn measured() -> Measured {
    Measured {
        rtt_ms: Quantiles::of(vec![20.1, 20.0, 22.0]).expect("three"),
        loss_sent: 10_000,
        loss_lost: 97,
        rate_bits_per_second: Some(99.0e6),
        tcp: TcpFacts {
            mss: 1448,
            initcwnd: 10,
            congestion_control: "cubic".to_owned(),
        },
    }
}

#[test]
fn a_link_as_asked_for_passes() {
    assert_eq!(measured().judge(&settings()), []);
}

#[test]
fn quantiles_are_of_sorted_values() {
    let rtt = measured().rtt_ms;
    assert_eq!(
        (rtt.count, rtt.min, rtt.p50, rtt.max),
        (3, 20.0, 20.1, 22.0)
    );
}

#[test]
fn each_property_is_judged_by_itself() {
    let off = |change: fn(&mut Measured)| {
        let mut changed = measured();
        change(&mut changed);
        let off = changed.judge(&settings());
        assert_eq!(off.len(), 1, "{off:?}");
        off[0].to_string()
    };
    assert_eq!(
        off(|m| m.rtt_ms.p50 = 21.6),
        "round-trip time is 21.600 ms, not 20.006 ± 1.500 ms"
    );
    assert!(off(|m| m.rtt_ms.p50 = 18.4).starts_with("round-trip time"));
    assert_eq!(
        off(|m| m.loss_lost = 150),
        "150 of 10000 packets were lost; with a loss of 0.01 it is 100.0 ± 44.8"
    );
    assert!(off(|m| m.loss_lost = 50).starts_with("50 of 10000"));
    assert_eq!(
        off(|m| m.rate_bits_per_second = Some(94.0e6)),
        "94000000 bit/s arrive, not 99000000 ± 5 %"
    );
    assert!(off(|m| m.rate_bits_per_second = None).starts_with("0 bit/s"));
    assert_eq!(
        off(|m| m.tcp.mss = 32_741),
        "the maximum segment size of a new TCP connection is 32741, not 1448 or 1460"
    );
    assert!(off(|m| m.tcp.initcwnd = 3).contains("initial congestion window"));
    assert!(off(|m| m.tcp.congestion_control = "bbr".to_owned()).contains("is bbr, not cubic"));
}

#[test]
fn a_link_without_loss_loses_nothing() {
    let lossless = LinkSettings {
        loss: 0.0,
        ..settings()
    };
    let mut measured = measured();
    measured.loss_lost = 0;
    assert_eq!(measured.judge(&lossless), []);
    measured.loss_lost = 1;
    assert_eq!(measured.judge(&lossless).len(), 1);
}

#[test]
fn jitter_and_the_bottleneck_widen_what_is_expected() {
    let settings = LinkSettings {
        jitter: Duration::from_millis(3),
        rate: Some(Rate::bits_per_second(64_000)),
        ..settings()
    };
    let mut measured = measured();
    measured.rate_bits_per_second = Some(64_000.0);
    // 36 octets take 4.5 ms each way.
    measured.rtt_ms.p50 = 29.0 + 4.9;
    assert_eq!(measured.judge(&settings), []);
    measured.rtt_ms.p50 = 29.0 + 5.1;
    assert_eq!(measured.judge(&settings).len(), 1);
}
