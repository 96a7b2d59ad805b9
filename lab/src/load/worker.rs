//! The load generator's process: AMF instances that obey a supervisor.
//!
//! ```text
//!  mtc5g run ── Command::Load ──> worker: Engine drives the AMFs' operations
//!            ── Command::Stop ──> no more arrivals
//!            <── Answer::Settled, nothing of the warm-up runs any more ── Command::Measure ──> the measured part
//!            <── Answer::Progress, once a second; Answer::Result at the end
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mtc_core::causes::Causes;
use mtc_tls::profile::{ConnectionProfile, UnknownConnectionProfile, Via};
use nf_amf::{Amf, Attempt, ConnectionPool, ErrorClass, Indirect, Reach};
use sbi::model::NfProfile;
use sbi::nf::{NfError, Running};
use sbi::nnrf::Nrf;
use sbi::process::{Control, Event, Events};
use sbi::trace;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use experiment::measure::{LoadResult, Shard};

use super::scp::{FindScpError, LoadScp};
use super::{
    Arrival, Engine, Failure, LoadMetrics, Observer, Operation, Outcome, Pacer, Progress, Schedule,
};
use experiment::scenario::{LoadPlan, OperationKind};

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
        plan: Box<LoadPlan>,
        /// The scenario's name, for metrics.
        scenario: String,
        /// Each variant's name, for metrics.
        variants: Vec<String>,
        /// A connection profile for each variant, in its text form.
        profiles: Vec<String>,
        /// Seed of the arrivals.
        seed: u64,
        /// Which of the arrivals are this generator's.
        shard: Shard,
        /// How many instances, the first ones, are watched ([`LoadResult::watched`]).
        #[serde(default)]
        watched: usize,
    },
    /// The answer to [`Answer::Settled`]: the measured part may begin.
    Measure,
    /// No more arrivals.
    Stop,
}

/// What the worker tells its supervisor, inside [`Event::Answer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// How far the run is.
    Progress(Progress),
    /// Nothing of the warm-up runs any more; the measured part begins with [`Command::Measure`].
    Settled,
    /// What the run showed.
    Result(Box<LoadResult>),
}

/// Runs the AMF instances of a configuration file until told to stop, and the loads that a supervisor orders.
///
/// # Errors
/// They cannot start.
pub async fn run(config: &Path, events: Events, control: Control) -> Result<(), NfError> {
    let Control {
        stop,
        orders,
        mut commands,
    } = control;
    let running = tokio::select! {
        running = nf_amf::start(config, events.clone(), stop.clone(), orders) => running?,
        () = stop.clone().wait() => return Ok(()),
    };
    let metrics = LoadMetrics::new(&running.metrics.registry);
    let working = async {
        while let Some(line) = commands.recv().await {
            match serde_json::from_str(&line) {
                Ok(Command::Load {
                    plan,
                    scenario,
                    variants: names,
                    profiles,
                    seed,
                    shard,
                    watched,
                }) => match AmfOperation::new(&running, &plan, &profiles, &events).await {
                    Ok(operation) => {
                        let variants = profiles.len();
                        let schedule = Schedule::new(&plan, variants, operation.amfs.len(), seed);
                        let engine = Engine {
                            max_in_flight: shard.part_of(plan.max_in_flight),
                            operation_timeout: OPERATION_TIMEOUT,
                            drain: DRAIN,
                            max_lateness: plan.max_lateness,
                            pacer: Pacer::Thread,
                            watched,
                        };
                        let schedule = schedule.shard(shard);
                        let observer = metrics.observer(&scenario, names, |progress| {
                            tell(&events, &Answer::Progress(progress));
                        });
                        let result =
                            generate(operation, engine, schedule, &mut commands, observer).await;
                        tell(&events, &Answer::Result(Box::new(result)));
                    }
                    Err(error) => {
                        tracing::error!(error = %Causes(&error), "cannot run this load");
                    }
                },
                Ok(Command::Measure | Command::Stop) => {}
                Err(error) => tracing::error!(%error, "not a command"),
            }
        }
    };
    tokio::select! {
        () = working => {}
        () = stop.wait() => {}
    }
    running.finish().await;
    Ok(())
}

fn tell(events: &Events, answer: &Answer) {
    let value =
        serde_json::to_value(answer).expect("answers have string keys and finite numbers only");
    events.tell(&Event::Answer { value });
}

async fn generate(
    operation: AmfOperation,
    engine: Engine,
    schedule: Schedule,
    commands: &mut mpsc::Receiver<String>,
    observer: impl Observer,
) -> LoadResult {
    let operation = Arc::new(operation);
    let measure = operation.measure.clone();
    let (stop, mut stopped) = watch::channel(false);
    let stopping = async {
        // A sender that is gone will never ask: the run goes to its end.
        if stopped.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let mut run = std::pin::pin!(engine.run(operation, schedule, stopping, observer));
    loop {
        tokio::select! {
            result = &mut run => return result,
            Some(line) = commands.recv() => {
                match serde_json::from_str(&line) {
                    Ok(Command::Measure) => {
                        measure.send_replace(true);
                    }
                    Ok(Command::Stop) => {
                        stop.send_replace(true);
                    }
                    Ok(Command::Load { .. }) | Err(_) => {}
                }
            }
        }
    }
}

/// What an arrival makes an AMF do.
struct AmfOperation {
    amfs: Vec<Generator>,
    nrf: Nrf,
    profiles: Vec<ConnectionProfile>,
    /// The SCP that requests of some profiles go through.
    scp: Option<LoadScp>,
    events: Events,
    /// Whether the measured part may begin.
    measure: watch::Sender<bool>,
}

/// Why a load cannot be run.
#[derive(Debug, thiserror::Error)]
enum PrepareError {
    /// A variant's connection profile.
    #[error(transparent)]
    Profile(#[from] UnknownConnectionProfile),
    /// It is not known where the SCP is.
    #[error(transparent)]
    Scp(#[from] FindScpError),
}

/// An AMF instance as a generator of load.
struct Generator {
    amf: Arc<Amf>,
    own: NfProfile,
    pool: ConnectionPool,
}

impl AmfOperation {
    async fn new(
        running: &Running<Amf>,
        plan: &LoadPlan,
        profiles: &[String],
        events: &Events,
    ) -> Result<Self, PrepareError> {
        let uses = plan.connections.uses();
        let profiles: Vec<ConnectionProfile> = profiles
            .iter()
            .map(|profile| profile.parse())
            .collect::<Result<_, _>>()?;
        let is_indirect = profiles.iter().any(|profile| profile.via != Via::Direct);
        let instances = running.instances.iter().zip(running.profiles());
        Ok(Self {
            amfs: instances
                .map(|(up, own)| Generator {
                    amf: up.handler.clone(),
                    own,
                    pool: ConnectionPool::new(uses),
                })
                .collect(),
            nrf: running.nrf.clone(),
            profiles,
            scp: match is_indirect {
                false => None,
                true => Some(LoadScp::find(running).await?),
            },
            events: events.clone(),
            measure: watch::Sender::new(false),
        })
    }
}

impl Operation for AmfOperation {
    async fn run(&self, arrival: &Arrival) -> Outcome {
        let Generator { amf, own, pool } = &self.amfs[arrival.instance];
        let profile = self.profiles[arrival.variant];
        let scp = match profile.via {
            Via::Direct => None,
            Via::ScpC | Via::ScpD => self.scp.as_ref().map(|scp| (scp, scp.known())),
        };
        let reach = Reach {
            nrf: &self.nrf,
            profile,
            pool,
            procedure: None,
            via: scp.as_ref().map(|(_, known)| Indirect {
                scp: known,
                is_delegated: profile.via == Via::ScpD,
            }),
        };
        let acting = async {
            match arrival.operation {
                OperationKind::Session => amf.establish_session(reach, arrival.sequence).await,
                OperationKind::Handshake => amf.shake_hands(&self.nrf, profile).await,
                OperationKind::Discover => amf.discover_smfs(reach).await,
                OperationKind::Register => amf.register(reach, own).await,
                OperationKind::Registration => amf.register_ue(reach, arrival.sequence).await,
                OperationKind::PduSession => amf.live_session(reach, arrival.sequence).await,
            }
        };
        let name = arrival.operation.as_str();
        let Attempt {
            handshakes,
            procedures,
            result,
        } = trace::operation(name, profile, acting).await;
        if let (Err(error), Some((scp, known))) = (&result, &scp)
            && matches!(error.class(), ErrorClass::Connect | ErrorClass::Tls)
        {
            scp.look_again(known).await;
        }
        let result = result.map_err(|error| Failure {
            class: error.class(),
            cause: error.cause(),
        });
        Outcome {
            handshakes,
            procedures,
            result,
        }
    }

    async fn settled(&self) {
        tell(&self.events, &Answer::Settled);
        // The sender is ours, so it is not gone.
        let _ = self.measure.subscribe().wait_for(|may| *may).await;
    }
}
