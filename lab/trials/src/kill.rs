//! NRF, SCP or both are killed (SIGKILL) at a random point under enrolment load, sometimes again while they start.
//!
//! After each restart: the log extends the one before, every certificate that was acknowledged verifies and has its entry in it at
//! an index of its own, the witness's checkpoint is the log's, a token is good for one certificate at most, a newcomer
//! enrols and discovers the AMF, and AMF, SMF and SCP are ready, the first two without a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sbi::model::{NfType, ServiceName};
use sbi::nnrf::Discover;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::command::PATIENCE;
use crate::ledger::{Ledger, Refused, ask_again, enrol};
use crate::stage::{Nf, Stage};
use crate::{Plan, Violation, say, violated};
use test_support::test_nf::{PROFILE, TestNf};

/// Applicants at a time.
const APPLICANTS: usize = 4;
/// The kill comes after so many answers at most, and so long after the last of them.
const MOST_ANSWERS: usize = 12;
const LONGEST_WAIT: Duration = Duration::from_millis(60);
/// A kill during a start comes within this.
const START: Duration = Duration::from_millis(500);
/// Refused tokens that are tried again in a round: each costs a handshake.
const TRIED_AGAIN: usize = 4;

type Answer = Result<Vec<u8>, Box<Refused>>;

pub(crate) async fn run(plan: Plan) -> Result<String, Violation> {
    let mut random = fastrand::Rng::with_seed(plan.seed);
    // More than a tile, so that recovery reads full and partial ones.
    let mut stage = Stage::new(300);
    for nf in Nf::ALL {
        stage.start(nf).await?;
    }
    let mut trial = Trial::default();
    trial.ledger.check(&stage, &[]).await?;
    for round in 1..=plan.rounds {
        let line = trial.round(&mut stage, &mut random).await;
        let line = line.inspect_err(|_| stage.keep())?;
        say(&format!("kill {round}/{}: {line}", plan.rounds));
    }
    stage.stop_all().await;
    stage.expect_no_panic()?;
    Ok(format!(
        "{} kills in {} rounds (seed {}) of NRF {}, SCP {}, both {}, {} of them during a start: {} acknowledged certificates are all in \
         the log and verify, no index twice, {} tokens whose answer was lost gave one certificate at most, the witness agrees, \
         all network functions recovered; slowest recovery {} ms",
        trial.kills,
        plan.rounds,
        plan.seed,
        trial.of[0],
        trial.of[1],
        trial.of[2],
        trial.during_start,
        trial.ledger.len(),
        trial.tried_again,
        trial.slowest.as_millis()
    ))
}

#[derive(Default)]
struct Trial {
    ledger: Ledger,
    kills: usize,
    /// Rounds by victims, as in [`VICTIMS`].
    of: [usize; 3],
    during_start: usize,
    tried_again: usize,
    slowest: Duration,
}

const VICTIMS: [&[Nf]; 3] = [&[Nf::Nrf], &[Nf::Scp], &[Nf::Scp, Nf::Nrf]];

impl Trial {
    async fn round(
        &mut self,
        stage: &mut Stage,
        random: &mut fastrand::Rng,
    ) -> Result<String, Violation> {
        let which = random.usize(..VICTIMS.len());
        let victims = VICTIMS[which];
        self.of[which] += 1;

        let mut load = Load::start(stage);
        let mut acknowledged = Vec::new();
        let mut refused = Vec::new();
        let wanted = random.usize(..MOST_ANSWERS);
        while acknowledged.len() < wanted {
            match load.next().await? {
                Ok(certificate) => acknowledged.push(certificate),
                // Nobody has been killed yet in this round.
                Err(refused) => return Err(violated!("enrolment fails: {:?}", refused.error)),
            }
        }
        sleep(LONGEST_WAIT.mul_f64(random.f64())).await;
        for nf in victims {
            stage.kill(*nf).await;
        }
        self.kills += 1;
        let before_kill = acknowledged.len();
        load.end();
        let begun = Instant::now();
        let again = random.u8(..4) == 0;
        if again {
            for nf in victims {
                stage.spawn(*nf, &[]);
            }
            sleep(START.mul_f64(random.f64())).await;
            for nf in victims {
                stage.kill(*nf).await;
            }
            self.kills += 1;
            self.during_start += 1;
        }
        for nf in victims {
            stage.start(*nf).await?;
        }
        let recovery = begun.elapsed();
        self.slowest = self.slowest.max(recovery);
        while let Some(answer) = load.rest().await? {
            match answer {
                Ok(certificate) => acknowledged.push(certificate),
                Err(error) => refused.push(error),
            }
        }
        let size = self.ledger.check(stage, &acknowledged).await?;

        let mut later = Vec::new();
        for refused in refused.iter().take(TRIED_AGAIN) {
            later.extend(ask_again(refused).await?);
            self.tried_again += 1;
        }
        let newcomer = enrol(&stage.folder.lab, 99).await;
        let (newcomer, certificate) =
            newcomer.map_err(|refused| violated!("no newcomer enrols: {:?}", refused.error))?;
        expect_discovery(&newcomer, &certificate).await?;
        later.push(certificate);
        self.ledger.check(stage, &later).await?;
        self.ledger.check_witness(stage).await?;
        for nf in Nf::ALL {
            if !stage.runs(nf) {
                return Err(violated!(
                    "{} has ended\n    {}",
                    nf.name(),
                    stage.process(nf).tail()
                ));
            }
            stage.await_ready(nf).await?;
        }
        stage.expect_no_panic()?;
        let names: Vec<_> = victims.iter().map(|nf| nf.name()).collect();
        Ok(format!(
            "killed {}{} after {before_kill} certificates, {} acknowledged in all, {} answers lost, log {size}, up after {} ms",
            names.join(" and "),
            if again { " twice" } else { "" },
            acknowledged.len(),
            refused.len(),
            recovery.as_millis()
        ))
    }
}

/// With its certificate the newcomer, an SMF, finds the AMF in the registry.
async fn expect_discovery(newcomer: &TestNf, certificate: &[u8]) -> Result<(), Violation> {
    newcomer.present(certificate.to_vec());
    let opened = newcomer.nrf.open(&newcomer.instance, PROFILE).await;
    let connection = opened
        .map_err(|error| violated!("discovery: {error:?}"))?
        .connection;
    let wanted = Discover {
        nf_type: NfType::Amf,
        service: ServiceName::NamfComm,
        filters: Vec::new(),
    };
    let found = newcomer
        .nrf
        .discover(&connection, &newcomer.instance, &wanted)
        .await;
    match found {
        Ok(found) if !found.nf_instances.is_empty() => Ok(()),
        other => Err(violated!("the AMF is not discovered: {other:?}")),
    }
}

/// Applicants who enrol one after the other until they are told to end.
struct Load {
    answers: mpsc::Receiver<Answer>,
    ended: Arc<AtomicBool>,
}

impl Load {
    fn start(stage: &Stage) -> Self {
        let (answer, answers) = mpsc::channel(1024);
        let ended = Arc::new(AtomicBool::new(false));
        for _ in 0..APPLICANTS {
            let (answer, ended) = (answer.clone(), ended.clone());
            let lab = stage.folder.lab.clone();
            tokio::spawn(async move {
                while !ended.load(Ordering::Relaxed) {
                    // Instance ids are new each time; names need not be.
                    let result = enrol(&lab, 100).await.map(|(_, certificate)| certificate);
                    let failed = result.is_err();
                    if answer.send(result).await.is_err() || failed {
                        return;
                    }
                }
            });
        }
        Self { answers, ended }
    }

    /// No new enrolments from now on.
    fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    async fn next(&mut self) -> Result<Answer, Violation> {
        let answer = self.rest().await?;
        answer.ok_or_else(|| violated!("all applicants have failed"))
    }

    async fn rest(&mut self) -> Result<Option<Answer>, Violation> {
        let answer = timeout(PATIENCE, self.answers.recv()).await;
        answer.map_err(|_| violated!("an enrolment has no end"))
    }
}
