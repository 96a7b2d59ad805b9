//! Procedures of UEs between processes: AMF, SMF, and a process of AUSF, UDM and PCF.

use std::collections::BTreeMap;
use std::time::Duration;

use experiment::measure::ClientTotals;
use experiment::scenario::{LoadPlan, Nf, OperationKind, Share, Workload};
use mtc_tls::profile::Via;
use sbi::ledger::{HopTotals, NfTotals, Procedure};
use test_support::test_lab::{LEAF_KEY, TestFolder, TestLab, small};

/// Requests and full handshakes of each hop of one procedure, over fresh connections.
const EXPECTED: [(Procedure, &str, u64, u64); 15] = [
    (Procedure::Registration, "AMF-AUSF", 2, 1),
    (Procedure::Registration, "AUSF-UDM", 2, 2),
    (Procedure::Registration, "AMF-UDM", 5, 2),
    (Procedure::Registration, "AMF-PCF", 1, 1),
    (Procedure::Deregistration, "AMF-PCF", 1, 1),
    (Procedure::Deregistration, "AMF-UDM", 2, 2),
    (Procedure::SessionEstablishment, "AMF-SMF", 2, 1),
    (Procedure::SessionEstablishment, "SMF-UDM", 2, 2),
    (Procedure::SessionEstablishment, "SMF-PCF", 1, 1),
    (Procedure::SessionEstablishment, "SMF-AMF", 1, 1),
    (Procedure::SessionModification, "AMF-SMF", 1, 1),
    (Procedure::SessionModification, "SMF-PCF", 1, 1),
    (Procedure::SessionRelease, "AMF-SMF", 1, 1),
    (Procedure::SessionRelease, "SMF-PCF", 1, 1),
    (Procedure::SessionRelease, "SMF-UDM", 1, 1),
];

fn profile() -> String {
    format!("mtc-standalone/{LEAF_KEY}/X25519MLKEM768")
}

/// Registrations and PDU sessions, for a second.
fn mix(rate: f64) -> LoadPlan {
    let share = |operation| Share {
        operation,
        weight: 1,
    };
    LoadPlan {
        operation: Workload::Mix(vec![
            share(OperationKind::Registration),
            share(OperationKind::PduSession),
        ]),
        ..LoadPlan::steady(OperationKind::Registration, rate, Duration::from_secs(1))
    }
}

/// Runs a load of one variant.
async fn run(lab: &mut TestLab, plan: LoadPlan) -> ClientTotals {
    run_as(lab, plan, profile()).await
}

async fn run_as(lab: &mut TestLab, plan: LoadPlan, profile: String) -> ClientTotals {
    lab.start_load_of(plan, vec![profile]).await;
    lab.load_result().await.variants.swap_remove(0)
}

/// What all processes have counted of a profile.
async fn counted(lab: &mut TestLab, profile: &str) -> NfTotals {
    let mut all = NfTotals::default();
    for nf in [Nf::Amf, Nf::Smf, Nf::Peers, Nf::Scp] {
        let measured = lab.topology.measurements(nf).await.expect("an admin port");
        if let Some(totals) = measured.profiles.get(profile) {
            all.merge(totals);
        }
    }
    all
}

/// How often each procedure was begun; none may have failed.
fn begun(totals: &ClientTotals) -> BTreeMap<Procedure, u64> {
    assert_eq!(totals.errors, [].into());
    let each = totals.procedures.iter().map(|(procedure, ended)| {
        assert_eq!(ended.attempts, ended.ok, "{procedure:?}");
        (*procedure, ended.attempts)
    });
    each.collect()
}

/// The errors of a load of one kind of operation.
async fn errors(lab: &mut TestLab, operation: OperationKind) -> Vec<String> {
    let plan = LoadPlan::steady(operation, 5.0, Duration::from_millis(400));
    run(lab, plan).await.errors.into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn procedures_are_counted_hop_by_hop_and_fail_with_their_cause() {
    let mut plan = small();
    (plan.lab.ausf, plan.lab.udm, plan.lab.pcf) = (1, 1, 1);
    let mut lab = TestLab::start(TestFolder::new(&plan)).await;

    let begun = begun(&run(&mut lab, mix(10.0)).await);
    let counted = counted(&mut lab, &profile()).await;
    let hops: BTreeMap<Procedure, _> = counted.procedures.iter().collect();
    for (procedure, hop, requests, handshakes) in EXPECTED {
        let totals: HopTotals = hops[&procedure][hop];
        let times = begun[&procedure];
        assert!(times > 0, "{procedure:?}");
        let found = (totals.requests, totals.full, totals.resumed + totals.reused);
        let expected = (requests * times, handshakes * times, 0);
        assert_eq!(found, expected, "{procedure:?} {hop} {times} times");
        assert!(
            totals.handshake_bytes > 10_000 * totals.full && totals.other_bytes > 0,
            "{totals:?}"
        );
    }
    // Of each of its services a producer is discovered once.
    assert_eq!(hops[&Procedure::Registration]["AMF-NRF"].requests, 4);

    lab.topology.kill(Nf::Peers).await.expect("it runs");
    let registration = errors(&mut lab, OperationKind::Registration).await;
    assert_eq!(
        registration,
        ["connect: authenticate: cannot connect: connection refused"]
    );
    let session = errors(&mut lab, OperationKind::PduSession).await;
    assert_eq!(session, ["http: create: status 504, PEER_NOT_RESPONDING"]);
    lab.topology.restart(Nf::Peers).await.expect("it starts");
    // What was known of each service's producers fails once, and is asked for again.
    let relearning = run(&mut lab, mix(10.0)).await;
    assert!(relearning.ok > 0, "{:?}", relearning.errors);
    let after = run(&mut lab, mix(10.0)).await;
    assert_eq!(after.errors, [].into());
}

/// What belongs together is at one of the two UDMs and PCFs each, whoever chose it.
#[tokio::test(flavor = "multi_thread")]
async fn through_the_scp_every_request_of_a_procedure_has_two_legs() {
    let mut plan = small();
    (plan.lab.ausf, plan.lab.udm, plan.lab.pcf) = (1, 2, 2);
    let mut lab = TestLab::start(TestFolder::new(&plan)).await;
    for via in [Via::ScpC, Via::ScpD] {
        let profile = format!("{}/{via}", profile());
        let begun = begun(&run_as(&mut lab, mix(5.0), profile.clone()).await);
        let counted = counted(&mut lab, &profile).await;
        let hops: BTreeMap<Procedure, _> = counted.procedures.iter().collect();
        let legs: BTreeMap<&str, &HopTotals> = counted.legs.iter().collect();
        let mut forwarded: BTreeMap<String, u64> = BTreeMap::new();
        for (procedure, hop, requests, handshakes) in EXPECTED {
            let (consumer, producer) = hop.split_once('-').expect("two types");
            let hop = format!("{consumer}-SCP-{producer}");
            let totals: HopTotals = hops[&procedure][&hop];
            let times = begun[&procedure];
            let expected = (requests * times, handshakes * times);
            let found = (totals.requests, totals.full);
            assert_eq!(found, expected, "{via} {procedure:?} {hop} {times} times");
            *forwarded.entry(format!("SCP-{producer}")).or_default() += totals.requests;
        }
        for (leg, requests) in forwarded {
            // The SCP keeps its connections to the two instances of a type at most.
            let totals = legs[leg.as_str()];
            assert_eq!(totals.requests, requests, "{via} {leg}");
            assert!(totals.handshakes() <= 2, "{via} {leg}: {totals:?}");
        }
        let direct = |hop: &String| !hop.contains("-SCP-") && !hop.ends_with("-NRF");
        let direct = hops
            .values()
            .flat_map(|hops| hops.keys())
            .find(|hop| direct(hop));
        assert_eq!(direct, None, "{via}");
    }
}
