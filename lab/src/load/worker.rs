//! The load generator's process: AMF instances that obey a supervisor.
//!
//! ```text
//!  mtc5g run ── Command::Load ──> worker: Engine drives the AMFs' operations
//!            ── Command::Stop ──> no more arrivals
//!            <── Answer::Progress, once a second; Answer::Result at the end
//! ```

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use mtc_tls::hints::{ConnectionProfile, UnknownConnectionProfile};
use nf_amf::{Amf, Attempt, ErrorClass};
use sbi::nf::{NfError, Running};
use sbi::process::{Control, Event, Events};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::{
    Arrival, Engine, Failure, FailureClass, LoadResult, Operation, Outcome, Progress, Schedule,
};
use crate::scenario::{LoadPlan, OperationKind};

/// How long one operation may take.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long operations may go on after the last arrival.
const DRAIN: Duration = Duration::from_secs(10);

/// What a supervisor tells the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Run a load.
    Load {
        /// What arrives when.
        plan: LoadPlan,
        /// A connection profile for each variant, in its text form.
        profiles: Vec<String>,
        /// Seed of the arrivals.
        seed: u64,
    },
    /// No more arrivals.
    Stop,
}

/// What the worker tells its supervisor, inside [`Event::Answer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// How far the run is.
    Progress(Progress),
    /// What the run showed.
    Result(Box<LoadResult>),
}

/// Runs the AMF instances of a configuration file until told to stop, and the loads that a supervisor orders.
///
/// # Errors
/// They cannot start.
pub async fn run(config: &Path, events: Events, control: Control) -> Result<(), NfError> {
    let Control { stop, mut commands } = control;
    let running = tokio::select! {
        running = nf_amf::start(config, events.clone(), stop.clone()) => running?,
        () = stop.clone().wait() => return Ok(()),
    };
    let running = Arc::new(running);
    let working = async {
        while let Some(line) = commands.recv().await {
            match serde_json::from_str(&line) {
                Ok(Command::Load {
                    plan,
                    profiles,
                    seed,
                }) => match parse_profiles(&profiles) {
                    Ok(profiles) => {
                        let result =
                            generate(&running, plan, profiles, seed, &mut commands, &events).await;
                        tell(&events, &Answer::Result(Box::new(result)));
                    }
                    Err(error) => tracing::error!(%error, "cannot run this load"),
                },
                Ok(Command::Stop) => {}
                Err(error) => tracing::error!(%error, "not a command"),
            }
        }
    };
    tokio::select! {
        () = working => {}
        () = stop.clone().wait() => {}
    }
    // The load has ended or been dropped with its future: nothing else holds the instances.
    if let Some(running) = Arc::into_inner(running) {
        running.finish(stop).await;
    }
    Ok(())
}

fn parse_profiles(profiles: &[String]) -> Result<Vec<ConnectionProfile>, UnknownConnectionProfile> {
    profiles
        .iter()
        .map(|profile| ConnectionProfile::from_str(profile))
        .collect()
}

fn tell(events: &Events, answer: &Answer) {
    let value =
        serde_json::to_value(answer).expect("answers have string keys and finite numbers only");
    events.tell(&Event::Answer { value });
}

async fn generate(
    running: &Arc<Running<Amf>>,
    plan: LoadPlan,
    profiles: Vec<ConnectionProfile>,
    seed: u64,
    commands: &mut mpsc::Receiver<String>,
    events: &Events,
) -> LoadResult {
    let schedule = Schedule::new(&plan, profiles.len(), running.instances.len(), seed);
    let engine = Engine {
        max_in_flight: plan.max_in_flight,
        operation_timeout: OPERATION_TIMEOUT,
        drain: DRAIN,
    };
    let operation = Arc::new(AmfOperation {
        running: running.clone(),
        profiles,
        kind: plan.operation,
    });
    let (stop, mut stopped) = watch::channel(false);
    let stopping = async {
        // A sender that is gone will never ask: the run goes to its end.
        if stopped.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let mut run = std::pin::pin!(engine.run(operation, schedule, stopping, |progress| {
        tell(events, &Answer::Progress(progress));
    }));
    loop {
        tokio::select! {
            result = &mut run => return result,
            Some(line) = commands.recv() => {
                if serde_json::from_str(&line).is_ok_and(|command| matches!(command, Command::Stop)) {
                    stop.send_replace(true);
                }
            }
        }
    }
}

/// What an arrival makes an AMF do.
struct AmfOperation {
    running: Arc<Running<Amf>>,
    profiles: Vec<ConnectionProfile>,
    kind: OperationKind,
}

impl Operation for AmfOperation {
    async fn run(&self, arrival: &Arrival) -> Outcome {
        let amf = &self.running.instances[arrival.instance].handler;
        let profile = self.profiles[arrival.variant];
        let Attempt { handshakes, result } = match self.kind {
            OperationKind::Session => {
                amf.establish_session(&self.running.nrf, profile, arrival.sequence)
                    .await
            }
            OperationKind::Handshake => amf.shake_hands(&self.running.nrf, profile).await,
        };
        let result = result.map_err(|error| Failure {
            class: class(error.class()),
            cause: error.cause(),
        });
        Outcome { handshakes, result }
    }
}

const fn class(class: ErrorClass) -> FailureClass {
    match class {
        ErrorClass::Connect => FailureClass::Connect,
        ErrorClass::Tls => FailureClass::Tls,
        ErrorClass::Http => FailureClass::Http,
        ErrorClass::Application => FailureClass::Application,
        ErrorClass::Timeout => FailureClass::Timeout,
    }
}
