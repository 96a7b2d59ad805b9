use super::*;
use crate::scenario::{Scenario, ScenarioFaults};

fn text(load: &str) -> String {
    format!(
        "[scenario]\nname = \"load\"\n[lab]\n[[variant]]\nname = \"only\"\nauth = \"mtc-landmark\"\n[load]\n{load}"
    )
}

fn told(ScenarioFaults(faults): ScenarioFaults) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

fn parse(load: &str) -> Result<LoadPlan, Vec<String>> {
    let scenario = Scenario::parse(&text(load)).map_err(told)?;
    Ok(scenario.load)
}

fn fault(load: &str) -> String {
    let faults = parse(load).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

const STAGE: &str = "stages = [{ rate = 10, duration = \"1s\" }]\n";

#[test]
fn a_plan_has_its_defaults() {
    let plan = parse(&format!("operation = \"handshake\"\n{STAGE}")).unwrap();
    let expected = LoadPlan::steady(OperationKind::Handshake, 10.0, Duration::from_secs(1));
    assert_eq!(plan, expected);
    assert_eq!(plan.max_lateness, Duration::from_millis(1));
}

#[test]
fn a_stage_may_ramp() {
    let plan = parse(
        "operation = \"session\"\nstages = [{ rate = 10, to = 100, duration = \"20s\" }, { rate = 100, duration = \"1s\" }]",
    )
    .unwrap();
    let rates: Vec<(f64, f64)> = plan.stages.iter().map(|s| (s.rate, s.to)).collect();
    assert_eq!(rates, [(10.0, 100.0), (100.0, 100.0)]);
}

#[test]
fn a_ramp_counts_its_arrivals() {
    let fault =
        fault("operation = \"session\"\nstages = [{ rate = 10, to = 100000, duration = \"1h\" }]");
    assert!(
        fault.contains("load.stages make 180018000 arrivals"),
        "{fault}"
    );
}

#[test]
fn rates_may_be_lowered_and_not_those_of_a_closed_loop() {
    let text = format!("operation = \"handshake\"\nadapt_rate = true\n{STAGE}");
    let plan = parse(&text).unwrap();
    assert!(plan.adapt_rate);
    let lower = plan.clone().at_rate(0.5);
    assert_eq!((lower.stages[0].rate, lower.stages[0].to), (5.0, 5.0));
    assert_eq!(lower.measured(), plan.measured());
    let closed = fault(
        "operation = \"handshake\"\nadapt_rate = true\narrivals = \"closed\"\nstages = [{ duration = \"5s\" }]",
    );
    assert!(
        closed.contains("load.adapt_rate has no meaning with arrivals = \"closed\""),
        "{closed}"
    );
}

#[test]
fn a_closed_loop_has_workers_and_no_rate() {
    let plan = parse(
        "operation = \"discover\"\narrivals = \"closed\"\nworkers = 3\nstages = [{ duration = \"5s\" }]",
    )
    .unwrap();
    assert_eq!(plan.arrivals, ArrivalProcess::Closed { workers: 3 });
    let with_rate = fault(&format!(
        "operation = \"discover\"\narrivals = \"closed\"\n{STAGE}"
    ));
    assert!(
        with_rate.contains("load.stages[0].rate has no meaning with arrivals = \"closed\""),
        "{with_rate}"
    );
    let open = fault(&format!("operation = \"discover\"\nworkers = 3\n{STAGE}"));
    assert!(
        open.contains("load.workers is for arrivals = \"closed\" only"),
        "{open}"
    );
}

#[test]
fn a_mix_has_weights_of_known_operations() {
    let plan = parse(&format!(
        "operation = \"mix\"\nmix = {{ session = 1, discover = 10, register = 0 }}\n{STAGE}"
    ))
    .unwrap();
    let share = |operation, weight| Share { operation, weight };
    let expected = Workload::Mix(vec![
        share(OperationKind::Discover, 10),
        share(OperationKind::Session, 1),
    ]);
    assert_eq!(plan.operation, expected);
    assert_eq!(plan.operation.as_str(), "mix");
    let empty = fault(&format!(
        "operation = \"mix\"\nmix = {{ session = 0 }}\n{STAGE}"
    ));
    assert!(empty.contains("load.mix has no operation"), "{empty}");
    let unknown = parse(&format!(
        "operation = \"mix\"\nmix = {{ sesion = 1, session = 1 }}\n{STAGE}"
    ));
    assert!(
        unknown.unwrap_err()[0].contains("load.mix.sesion is not a known key"),
        "suggests the right one"
    );
    let without = fault(&format!("operation = \"mix\"\n{STAGE}"));
    assert!(without.contains("load.mix is missing"), "{without}");
    let alone = fault(&format!(
        "operation = \"session\"\nmix = {{ session = 1 }}\n{STAGE}"
    ));
    assert!(
        alone.contains("load.mix is for operation = \"mix\" only"),
        "{alone}"
    );
}

#[test]
fn sessions_with_and_without_udm_and_pcf_are_not_mixed() {
    let both = fault(&format!(
        "operation = \"mix\"\nmix = {{ session = 1, pdu-session = 1 }}\n{STAGE}"
    ));
    assert!(
        both.contains("load.mix has both session and pdu-session"),
        "{both}"
    );
}

#[test]
fn connections_are_a_word_or_a_number_of_uses() {
    let of = |connections: &str| {
        parse(&format!(
            "operation = \"discover\"\nconnections = {connections}\n{STAGE}"
        ))
        .map(|plan| plan.connections)
    };
    assert_eq!(of("\"fresh\""), Ok(Connections::Fresh));
    assert_eq!(of("{ reused = 10 }"), Ok(Connections::Reused(10)));
    for wrong in [
        "{ reused = 0 }",
        "{ used = 1 }",
        "{ reused = 1, fresh = 2 }",
        "\"reused\"",
        "\"resumed\"",
        "7",
    ] {
        let faults = of(wrong).unwrap_err();
        assert!(
            faults[0].contains("load.connections"),
            "{wrong}: {faults:?}"
        );
    }
    let handshakes = fault(&format!(
        "operation = \"handshake\"\nconnections = {{ reused = 2 }}\n{STAGE}"
    ));
    assert!(
        handshakes.contains("cannot be reused by operation = \"handshake\""),
        "{handshakes}"
    );
}

#[test]
fn a_plan_survives_the_way_to_the_generator() {
    for load in [
        format!("operation = \"mix\"\nmix = {{ session = 1, discover = 2 }}\n{STAGE}"),
        "operation = \"register\"\narrivals = \"closed\"\nconnections = { reused = 3 }\nstages = [{ duration = \"1s\" }]"
            .to_owned(),
    ] {
        let plan = parse(&load).unwrap();
        let sent = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<LoadPlan>(&sent).unwrap(), plan);
    }
}

#[test]
fn what_has_producers_may_go_through_the_scp_and_nothing_else_may() {
    let via = |load: &str, via: &str| {
        let text = text(&format!("{load}\nvia = {via}\n{STAGE}"));
        let ways = |scenario: Scenario| scenario.variants.iter().map(|of| of.via).collect();
        Scenario::parse(&text).map(ways).map_err(told)
    };
    let session = "operation = \"session\"";
    for way in Via::ALL {
        assert_eq!(via(session, &format!("\"{way}\"")), Ok(vec![way]));
    }
    let mix = "operation = \"mix\"\nmix = { registration = 1, pdu-session = 2 }";
    let all = "[\"direct\", \"scp-c\", \"scp-d\"]";
    assert_eq!(via(mix, all), Ok(Via::ALL.to_vec()));
    let discover = "operation = \"discover\"";
    assert_eq!(via(discover, "\"direct\""), Ok(vec![Via::Direct]));
    for (load, wrong, fault) in [
        (discover, "\"scp-c\"", "is for operations session,"),
        (
            "operation = \"mix\"\nmix = { discover = 1, pdu-session = 2 }",
            all,
            "is for operations session,",
        ),
        (session, "\"scp\"", "is not a known value"),
        (session, "[]", "has no way"),
        (session, "[\"scp-c\", \"scp-c\"]", "has scp-c twice"),
    ] {
        let faults = via(load, wrong).unwrap_err();
        assert!(
            faults.len() == 1 && faults[0].contains(fault),
            "{load} {wrong}: {faults:?}"
        );
    }
}
