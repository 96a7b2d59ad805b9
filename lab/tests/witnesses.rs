//! A lab with several witnesses, as processes: any two of three must cosign.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use experiment::scenario::{FurtherWitness, Nf};
use lab::topology::{Plan, RunningLab};
use mtc_core::certificate::Certificate;
use mtc_core::id::TrustAnchorId;
use rustix::process::{Pid, Signal, kill_process};
use sbi::trust_file::TrustFile;
use test_support::command::{mtc5g, within};
use test_support::log_copy::LogCopy;
use test_support::test_lab::{Metrics, TestFolder, TestLab, small};
use test_support::test_nf::{TestNf, der, refusal};

const IDS: [&str; 3] = ["32473.2", "32473.3", "32473.4"];

fn plan() -> Plan {
    let mut plan = small();
    (plan.lab.witnesses, plan.lab.require) = (3, 2);
    plan
}

/// The processes of the witnesses, in the order of their cosigner IDs.
fn witnesses() -> Vec<Nf> {
    let further = FurtherWitness::of(3).map(Nf::Witness);
    [Nf::Scp].into_iter().chain(further).collect()
}

/// Whose cosignatures a certificate has besides the CA's.
fn cosigners(certificate: &[u8]) -> Vec<String> {
    let certificate = Certificate::parse(certificate).expect("an MTC");
    let ids = certificate.proof.signatures().map(|(id, _)| id);
    let ids: Vec<TrustAnchorId> = ids.collect();
    let (ca, witnesses) = ids.split_first().expect("the CA signs");
    assert_eq!(ca.to_string(), "32473.1");
    witnesses.iter().map(ToString::to_string).collect()
}

fn log(lab: &TestLab) -> SocketAddr {
    let log = lab.folder.lab.nrf.log.address();
    log.parse().expect("an address")
}

async fn failures(lab: &mut TestLab, fault: &str, witness: &str) -> f64 {
    let admin = lab.topology.admin(Nf::Nrf).expect("it was started");
    let name = format!("mtc_witness_failures_total{{fault=\"{fault}\",witness=\"{witness}\"}}");
    Metrics::read(admin).await.value(&name)
}

/// Enrols a new NF; its certificate is cosigned as every relying party asks for, by others than `away`.
async fn enrol(lab: &TestLab, number: u16, away: Option<&str>) -> Vec<u8> {
    let nf = TestNf::new(&lab.folder.lab, number);
    let issued = within(nf.enrol(&nf.token())).await.expect("two of three");
    let certificate = der(&issued);
    let cosigners = cosigners(&certificate);
    assert_eq!(cosigners.len(), 2, "{cosigners:?}");
    assert!(away.is_none_or(|away| !cosigners.iter().any(|of| of == away)));
    certificate
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process ID is not 0");
    kill_process(pid, signal).expect("the process runs");
}

#[tokio::test]
async fn any_one_of_three_witnesses_may_be_away_and_two_may_not() {
    let mut lab = TestLab::start(TestFolder::new(&plan())).await;
    let trust = TrustFile::load(&lab.folder.lab.pki.trust).expect("a trust file");
    let mut certificates = vec![enrol(&lab, 100, None).await];
    for ((nf, id), number) in witnesses().into_iter().zip(IDS).zip(101..) {
        lab.topology.kill(nf).await.expect("it runs");
        certificates.push(enrol(&lab, number, Some(id)).await);
        // What it has cosigned is on its disk; it catches up by itself.
        lab.topology.restart(nf).await.expect("it starts");
        // One that hangs.
        let pid = lab.pid(nf);
        signal(pid, Signal::STOP);
        certificates.push(enrol(&lab, number + 10, Some(id)).await);
        signal(pid, Signal::CONT);
    }
    let copy = LogCopy::read(log(&lab), &trust).await;
    for certificate in &certificates {
        copy.expect_certified(certificate, &trust);
    }

    // A second one is one too many: nobody is certified, and everything else goes on.
    let [_, second, third] = witnesses()[..] else {
        panic!("there are three")
    };
    lab.topology.kill(second).await.expect("it runs");
    lab.topology.kill(third).await.expect("it runs");
    let nf = TestNf::new(&lab.folder.lab, 120);
    let token = nf.token();
    lab.start_load(10.0, Duration::from_secs(2)).await;
    let refused = within(nf.enrol(&token)).await.expect_err("one of three");
    let (status, detail) = refusal(&refused);
    assert_eq!(status, 503, "{detail}");
    for part in ["2 witnesses must cosign", IDS[1], IDS[2]] {
        assert!(detail.contains(part), "{detail}");
    }
    assert!(!detail.contains("witness 32473.2"), "{detail}");
    for variant in lab.load_result().await.variants {
        assert_eq!(variant.errors, [].into());
    }
    assert!(failures(&mut lab, "unreachable", IDS[1]).await > 0.0);
    lab.topology.restart(second).await.expect("it starts");
    let issued = within(nf.enrol(&token)).await.expect("two are back");
    assert_eq!(cosigners(&der(&issued)), IDS[..2]);
    lab.expect_service().await;
    lab.topology.stop().await;
}

/// A witness's private key in the folder of a lab.
fn key(lab: &Path, witness: &str) -> PathBuf {
    lab.join(witness).join("witness.key")
}

// It has its place, its ID and its address, and is not who the trust file says.
#[tokio::test]
async fn a_witness_with_a_foreign_key_counts_for_nobody() {
    let folder = TestFolder::new(&plan());
    let other = TestFolder::new(&plan());
    let foreign = key(other.path(), "witness-3");
    std::fs::copy(foreign, key(folder.path(), "witness-3")).expect("copied");
    let mut lab = TestLab::start(folder).await;
    enrol(&lab, 100, Some(IDS[2])).await;
    assert!(failures(&mut lab, "invalid", IDS[2]).await > 0.0);
    for id in &IDS[..2] {
        let admin = lab.topology.admin(Nf::Nrf).expect("it was started");
        let metrics = Metrics::read(admin).await;
        let since = metrics.value(&format!(
            "mtc_witness_timestamp_seconds{{witness=\"{id}\"}}"
        ));
        assert!(since > 0.0, "{id}");
    }
    lab.expect_service().await;
    lab.topology.stop().await;
}

const THREE: &str = r#"
[scenario]
name = "three"
[lab]
witnesses = 3
[[variant]]
name = "standalone"
auth = "mtc-standalone"
[load]
operation = "handshake"
stages = [{ rate = 1.0, duration = "2s" }]
"#;

#[tokio::test]
async fn containers_are_not_laid_out_for_more_witnesses_than_they_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lab = folder.path().join("lab");
    let scenario = folder.path().join("three.toml");
    std::fs::write(&scenario, THREE).expect("written");
    let [lab, scenario] =
        [&lab, &scenario].map(|path| path.to_str().expect("temporary folders are text"));
    let ended = mtc5g(["init", lab, "--deploy", "--scenario", scenario]).await;
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.error().contains("has one witness, the SCP"),
        "{}",
        ended.error()
    );
    assert!(!Path::new(lab).exists());
}

#[test]
fn a_lab_with_other_witnesses_than_a_scenario_asks_for_is_refused() {
    let one = TestFolder::new(&small());
    let lab = RunningLab::open(one.path()).expect("a lab's folder");
    assert!(lab.check(&small()).is_ok());
    let refused = lab.check(&plan()).expect_err("one of one").to_string();
    assert!(
        refused.contains("asks for 2 of 3 witnesses, and the lab has 1 of 1"),
        "{refused}"
    );
    let three = TestFolder::new(&plan());
    let lab = RunningLab::open(three.path()).expect("a lab's folder");
    assert!(lab.check(&plan()).is_ok());
    // A scenario that says nothing of witnesses takes the lab as it is.
    assert!(lab.check(&small()).is_ok());
}
