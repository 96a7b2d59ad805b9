//! Procedures of UEs between processes: AMF, SMF, and a process of AUSF, UDM and PCF.

use std::collections::BTreeMap;
use std::time::Duration;

use experiment::measure::ClientTotals;
use experiment::scenario::{LoadPlan, Nf, OperationKind, Share, Workload};
use sbi::ledger::{HopTotals, Procedure, ProcedureTotals};
use test_support::test_lab::{LEAF_KEY, TestFolder, TestLab, small};

/// Requests and full handshakes of each hop of one procedure, over fresh connections.
const EXPECTED: [(Procedure, &str, u64, u64); 14] = [
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
    (Procedure::SessionRelease, "SMF-PCF", 1, 1),
    (Procedure::SessionRelease, "SMF-UDM", 1, 1),
];

fn profile() -> String {
    format!("mtc-standalone/{LEAF_KEY}/X25519MLKEM768")
}

fn mix() -> LoadPlan {
    let share = |operation| Share {
        operation,
        weight: 1,
    };
    LoadPlan {
        operation: Workload::Mix(vec![
            share(OperationKind::Registration),
            share(OperationKind::PduSession),
        ]),
        ..LoadPlan::steady(OperationKind::Registration, 10.0, Duration::from_secs(1))
    }
}

/// Runs a load of one variant.
async fn run(lab: &mut TestLab, plan: LoadPlan) -> ClientTotals {
    lab.start_load_of(plan, vec![profile()]).await;
    lab.load_result().await.variants.swap_remove(0)
}

/// What all processes have counted of procedures.
async fn counted(lab: &mut TestLab) -> ProcedureTotals {
    let mut all = ProcedureTotals::default();
    for nf in [Nf::Amf, Nf::Smf, Nf::Peers] {
        let measured = lab.topology.measurements(nf).await.expect("an admin port");
        if let Some(totals) = measured.profiles.get(&profile()) {
            all.combine(&totals.procedures, u64::saturating_add);
        }
    }
    all
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

    let totals = run(&mut lab, mix()).await;
    assert_eq!(totals.errors, [].into());
    let begun: BTreeMap<Procedure, u64> = totals
        .procedures
        .iter()
        .map(|(procedure, ended)| {
            assert_eq!(ended.attempts, ended.ok, "{procedure:?}");
            (*procedure, ended.attempts)
        })
        .collect();
    let counted = counted(&mut lab).await;
    let hops: BTreeMap<Procedure, _> = counted.iter().collect();
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
    let relearning = run(&mut lab, mix()).await;
    assert!(relearning.ok > 0, "{:?}", relearning.errors);
    let after = run(&mut lab, mix()).await;
    assert_eq!(after.errors, [].into());
}
