use super::*;

const LONG: &str = r#"
[scenario]
name = "long"
shortest = "6s"
[lab]
[[variant]]
name = "only"
auth = "mtc-landmark"
[load]
operation = "session"
warmup = "2s"
stages = [{ rate = 10, duration = "40s" }, { rate = 20, duration = "20s" }]
[[event]]
at = "30s"
do = "re-enrol"
nf = "smf"
over = "10s"
"#;

#[test]
fn times_are_shortened_in_proportion_and_rates_stay() {
    let whole = Scenario::parse(LONG).unwrap();
    let short = whole.shortened();
    assert!(short.is_shortened && !whole.is_shortened);
    assert_eq!(short.load.measured(), Duration::from_secs(6));
    assert_eq!(short.load.warmup, SHORTEST_WARMUP);
    assert_eq!(short.events[0].at, Duration::from_secs(3));
    let Action::ReEnrol { over, .. } = short.events[0].action else {
        panic!("{:?}", short.events);
    };
    assert_eq!(over, Duration::from_secs(1));
    assert_eq!(short.text(), whole.text());
}

#[test]
fn what_is_short_already_is_only_marked() {
    let mut whole = Scenario::parse(LONG).unwrap();
    whole.shortest = Duration::from_secs(60);
    let short = whole.shortened();
    assert!(short.is_shortened);
    whole.load.max_lateness = MAX_LATENESS;
    assert_eq!((short.load, short.events), (whole.load, whole.events));
}

#[test]
fn lateness_is_allowed_only_where_it_would_be_a_fault_and_rates_stay() {
    let mut whole = Scenario::parse(LONG).unwrap();
    whole.load.adapt_rate = true;
    assert_eq!(whole.shortened().load.max_lateness, MAX_LATENESS);
    assert!(!whole.shortened().load.adapt_rate);
    whole.claims = vec![Measure::Bytes];
    let short = whole.shortened();
    assert_eq!(short.load.max_lateness, whole.load.max_lateness);
}
