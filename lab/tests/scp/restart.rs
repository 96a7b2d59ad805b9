//! An SCP that is killed while requests go through it.

use std::net::SocketAddr;
use std::time::Duration;

use experiment::scenario::{ArrivalProcess, LoadPlan, Nf, OperationKind};
use mtc_tls::profile::Via;
use sbi::trust_file::TrustFile;
use test_support::log_copy::LogCopy;
use test_support::test_lab::{LEAF_KEY, Metrics, TestFolder, TestLab, small};
use test_support::test_nf::{TestNf, der};

/// The witness's own count of the entries that it has cosigned.
const COSIGNED: &str = "mtc_witness_checkpoint_entries";
/// Sessions that are set up before anything happens, and again when all is well.
const ENOUGH: u64 = 10;

/// Waits until so many sessions more than `before` have been set up, and says how many there are.
async fn await_sessions(lab: &mut TestLab, before: u64) -> u64 {
    loop {
        let progress = lab.load_is_under_way().await;
        let good = progress.done - progress.errors;
        if good >= before + ENOUGH {
            return good;
        }
    }
}

async fn cosigned(lab: &mut TestLab) -> f64 {
    let admin = lab.topology.admin(Nf::Scp).expect("it was started");
    Metrics::read(admin).await.value(COSIGNED)
}

#[tokio::test]
async fn sessions_recover_from_a_killed_scp_whose_witness_has_lost_nothing() {
    let mut lab = TestLab::start(TestFolder::new(&small())).await;
    let trust = TrustFile::load(&lab.folder.lab.pki.trust).expect("trust file is valid");
    let log = lab.folder.lab.nrf.log.address().parse();
    let log: SocketAddr = log.expect("an address");
    for (number, via) in [(120, Via::ScpC), (130, Via::ScpD)] {
        let plan = LoadPlan {
            // As fast as this machine can.
            arrivals: ArrivalProcess::Closed { workers: 2 },
            ..LoadPlan::steady(OperationKind::Session, 1.0, Duration::from_secs(600))
        };
        let profile = format!("mtc-standalone/{LEAF_KEY}/X25519MLKEM768/{via}");
        lab.start_load_of(plan, vec![profile]).await;
        let good = await_sessions(&mut lab, 0).await;
        let known = TestNf::new(&lab.folder.lab, number);
        let acknowledged = der(&known.enrol(&known.token()).await.expect("it enrols"));
        let before = LogCopy::read(log, &trust).await.checkpoint;
        let had = cosigned(&mut lab).await;

        lab.topology.kill(Nf::Scp).await.expect("it runs");
        lab.topology.restart(Nf::Scp).await.expect("it starts");
        assert_eq!(
            cosigned(&mut lab).await,
            had,
            "it knows what it has cosigned"
        );
        // The port of a lab's SCP is another one after its restart: the AMFs of the load ask where it is.
        await_sessions(&mut lab, good).await;

        let newcomer = TestNf::new(&lab.folder.lab, number + 1);
        let issued = newcomer.enrol(&newcomer.token()).await;
        let issued = der(&issued.expect("the witness cosigns"));
        let copy = LogCopy::read(log, &trust).await;
        assert_eq!(copy.root_at(before.size), before.root, "the log only grew");
        for certificate in [&acknowledged, &issued] {
            copy.expect_certified(certificate, &trust);
        }
        let [variant] = &*lab.end_load().await.variants else {
            panic!("one variant")
        };
        assert!(variant.ok >= 2 * ENOUGH, "{via:?}: {}", variant.ok);
    }
    lab.topology.stop().await;
}
