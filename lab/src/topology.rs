//! A lab on this machine: its PKI, its configuration files, and the processes of its network functions.
//!
//! ```text
//!  Plan ──> LabFolder: PKI, nrf.toml, scp.toml, amf.toml, smf.toml; peers.toml, witness-2.toml and so on if there are some
//!                │
//!                ├─ scp, witness-2 ... ── witnesses listen ──> nrf ── ready ──> amf, smf, scp ready      each a child process
//!                └─ stop: standard inputs close, children drain and end; what does not is killed
//! ```
//!
//! Nothing waits by sleeping: children tell what they have reached on their standard output.

mod addresses;
mod admin;
mod child;
mod deploy;
mod description;
mod existing;
mod folder;
mod place;
mod running;
mod supervision;
pub mod targets;
mod throwaway;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use experiment::scenario::Nf;
use link::{Host, Network};
use nf_nrf::revocation::What;
use sbi::address::{Address, ResolveError};
use sbi::backoff;
use sbi::client::ClientError;
use sbi::process::Event;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use uuid::Uuid;

pub use self::addresses::{Addresses, network};
pub use self::child::{Child, ChildError};
pub use self::deploy::{
    Cluster, DeployError, Deployed, Hosts, NoAccount, NotADomain, SidecarAccount, deploy,
};
pub use self::existing::{ExistingLab, PlannedSetting};
pub use self::folder::{FolderError, LOGS, LabFolder, Plan, Ports};
pub use self::place::{CopyError, LabPlace};
pub use self::running::{AdminPorts, GeneratorFolder, JoinError, RunningLab};
pub use self::throwaway::{Throwaway, ThrowawayError, leave_logs, remove_abandoned};

use self::folder::{ProcessFiles, startup_seconds};
use self::targets::Announcement;
use crate::identity::{IdentityError, certificates_of};
use crate::pki::{PkiError, PlannedInstance, revocation_order};

/// How long a process of few instances may take to reach what is waited for.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a lab does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// One of its processes.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The name of a network function that runs without us has no address.
    #[error("{}: is the lab up, and this machine or container in its network?", nf.as_str())]
    Unknown {
        /// Which network function.
        nf: Nf,
        /// The name.
        source: ResolveError,
    },
    /// It is not known what to revoke.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An order to revoke cannot be signed.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The NRF has recorded a revocation and told nobody.
    #[error("the NRF has not published what was revoked; its log says why")]
    NotPublished,
    /// A process does not answer on its admin port.
    #[error("the admin port of {} at {addr} does not answer; is it up?", nf.as_str())]
    Admin {
        /// Which process.
        nf: Nf,
        /// The port.
        addr: SocketAddr,
        /// Why.
        source: ClientError,
    },
}

/// A process of the lab, by what it is.
type Started = (Nf, Child);

/// A running lab.
pub struct Topology {
    files: ProcessFiles,
    /// Its instances whose processes it starts.
    instances: Vec<PlannedInstance>,
    binary: PathBuf,
    /// Network functions that run without us: where their admin ports are.
    joined: Vec<(Nf, Address)>,
    /// The hosts that processes are on; `None` when all are on this one.
    network: Option<Arc<Network>>,
    children: Vec<Started>,
    /// Folder of the files that announce admin ports.
    targets: PathBuf,
    /// Name and label of the AMF process there.
    amf_target: (String, &'static str),
    /// Where others reach this host, if they do.
    reached: Option<IpAddr>,
}

impl Topology {
    /// Starts the processes of a lab whose folder is prepared, for others to load. `binary` is the `mtc5g` command. `on_step`
    /// hears what is going on.
    ///
    /// Dropping the future kills what was started.
    ///
    /// # Errors
    /// A process cannot start or does not become ready; everything started is stopped.
    pub async fn start(
        folder: LabFolder,
        binary: PathBuf,
        on_step: impl Fn(&str),
    ) -> Result<Self, TopologyError> {
        Self::start_as(Nf::Amf.as_str(), None, folder, binary, on_step).await
    }

    /// Starts a lab for a load that its own AMF process generates, with each process on its host of `network`, which [`network`]
    /// makes; the folder is for its addresses.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_on(
        network: Option<Arc<Network>>,
        folder: LabFolder,
        binary: PathBuf,
        on_step: impl Fn(&str),
    ) -> Result<Self, TopologyError> {
        Self::start_as(targets::LOAD, network, folder, binary, on_step).await
    }

    /// Starts the processes; monitoring lists the AMF process as `amf`.
    async fn start_as(
        amf: &'static str,
        network: Option<Arc<Network>>,
        folder: LabFolder,
        binary: PathBuf,
        on_step: impl Fn(&str),
    ) -> Result<Self, TopologyError> {
        let has_log = folder.has_log();
        let has_peers = folder.has_peers();
        let has_distributor = folder.has_distributor();
        let further_witnesses = folder.further_witnesses();
        let mut topology = Self {
            targets: folder.files.targets(),
            amf_target: (Nf::Amf.as_str().to_owned(), amf),
            reached: None,
            files: folder.files,
            instances: folder.instances,
            binary,
            joined: Vec::new(),
            network,
            children: Vec::new(),
        };
        match topology
            .start_all(
                has_log,
                has_peers,
                has_distributor,
                &further_witnesses,
                on_step,
            )
            .await
        {
            Ok(()) => Ok(topology),
            Err(error) => {
                topology.stop().await;
                Err(error)
            }
        }
    }

    /// Starts a load generator beside a lab that is up; the topology is that lab, of which only the generator's process is
    /// ours: no other can be stopped, killed or told anything.
    ///
    /// Dropping the future kills what was started.
    ///
    /// # Errors
    /// A network function of the lab does not answer, or the generator does not become ready.
    pub async fn join(
        lab: &RunningLab,
        generator: GeneratorFolder,
        binary: PathBuf,
        on_step: impl Fn(&str),
    ) -> Result<Self, TopologyError> {
        let mut topology = Self {
            targets: lab.targets().unwrap_or_else(|| generator.files.targets()),
            amf_target: (
                format!("{}-{}", targets::LOAD, Uuid::new_v4().simple()),
                targets::LOAD,
            ),
            reached: lab.reached().await,
            files: generator.files,
            instances: generator.instances,
            binary,
            joined: lab.admin().to_vec(),
            network: None,
            children: Vec::new(),
        };
        match topology.start_generator(on_step).await {
            Ok(()) => Ok(topology),
            Err(error) => {
                topology.stop().await;
                Err(error)
            }
        }
    }

    async fn start_generator(&mut self, on_step: impl Fn(&str)) -> Result<(), TopologyError> {
        // A deployed lab may be starting too; one on this machine is up, or the wrong one was named.
        let patience = if self.reached.is_some() {
            START_TIMEOUT
        } else {
            Duration::ZERO
        };
        let deadline = Instant::now() + patience;
        for (nf, address) in &self.joined {
            let ready = || self.is_ready(*nf, address);
            backoff::until(deadline, ready, |_| true).await?;
        }
        targets::forget_dead_generators(&self.targets).await;
        on_step(
            "starting the load generator: enrolment, the lab's next landmark (seconds in a new lab, at most a landmark interval), registration",
        );
        self.spawn(Nf::Amf, &[])?;
        self.await_event(Nf::Amf, |event| matches!(event, Event::Ready { .. }))
            .await?;
        Ok(())
    }

    async fn start_all(
        &mut self,
        has_log: bool,
        has_peers: bool,
        has_distributor: bool,
        further_witnesses: &[Nf],
        on_step: impl Fn(&str),
    ) -> Result<(), TopologyError> {
        on_step(if further_witnesses.is_empty() {
            "starting the SCP's witness"
        } else {
            "starting the witnesses: the SCP's, and those beside it"
        });
        let further_witnesses = further_witnesses.iter().copied();
        let witnesses = [Nf::Scp].into_iter().chain(further_witnesses.clone());
        for nf in witnesses.clone() {
            self.spawn(nf, &[])?;
        }
        for nf in witnesses {
            self.await_event(nf, |event| matches!(event, Event::WitnessListening { .. }))
                .await?;
        }
        on_step("starting the NRF: issuance log, own certificates");
        let arguments: &[&str] = if has_log { &[] } else { &["--create-log"] };
        self.spawn(Nf::Nrf, arguments)?;
        self.await_event(Nf::Nrf, |event| matches!(event, Event::SbiListening { .. }))
            .await?;
        if has_distributor {
            self.spawn(Nf::Distributor, &[])?;
        }
        on_step("starting AMFs and SMFs: enrolment, landmark, registration");
        self.spawn(Nf::Smf, &[])?;
        self.spawn(Nf::Amf, &[])?;
        if has_peers {
            self.spawn(Nf::Peers, &[])?;
        }
        let peers = has_peers.then_some(Nf::Peers);
        let all = [Nf::Nrf, Nf::Scp, Nf::Smf, Nf::Amf];
        let distributor = has_distributor.then_some(Nf::Distributor);
        let others = peers.into_iter().chain(distributor);
        for nf in all.into_iter().chain(others).chain(further_witnesses) {
            self.await_event(nf, |event| matches!(event, Event::Ready { .. }))
                .await?;
            on_step(&format!("{} ready", nf.as_str()));
        }
        Ok(())
    }

    fn spawn(&mut self, nf: Nf, arguments: &[&str]) -> Result<(), TopologyError> {
        // Gone first, and its announcement with it.
        self.children.retain(|(existing, _)| *existing != nf);
        let (name, label) = match nf {
            Nf::Amf => (self.amf_target.0.as_str(), self.amf_target.1),
            _ => (nf.as_str(), nf.as_str()),
        };
        let announcement = Announcement {
            file: targets::file(&self.targets, name),
            nf: label,
            host: self.reached,
        };
        let child = Child::spawn(
            nf,
            &self.binary,
            &self.files,
            arguments,
            self.host(nf),
            announcement,
        )?;
        self.children.push((nf, child));
        Ok(())
    }

    /// Starts a process again on the same files; it tells by itself when it is ready.
    ///
    /// # Errors
    /// The system refuses.
    pub fn put_back(&mut self, nf: Nf) -> Result<(), TopologyError> {
        self.spawn(nf, &[])
    }

    /// The names of an NF's instances, in the order of its configuration.
    pub fn instances(&self, nf: Nf) -> impl Iterator<Item = &str> {
        let of_type =
            move |planned: &&PlannedInstance| planned.nf_type.eq_ignore_ascii_case(nf.as_str());
        let instances = self.instances.iter().filter(of_type);
        instances.map(|planned| planned.fqdn.as_str())
    }

    /// Whether a process of the lab was started.
    pub fn has_started(&self, nf: Nf) -> bool {
        self.children.iter().any(|(of, _)| *of == nf)
    }

    /// Revokes the certificates of the first instances of an NF, as an operator does, and returns the number of the list that has the Merkle
    /// Tree Certificates; none if there are none.
    ///
    /// # Errors
    /// The NRF refuses, or has not published the list in time.
    pub async fn revoke(&mut self, nf: Nf, instances: usize) -> Result<Option<u64>, TopologyError> {
        let of_type =
            |planned: &&PlannedInstance| planned.nf_type.eq_ignore_ascii_case(nf.as_str());
        let ids = self.instances.iter().filter(of_type).take(instances);
        let ids: Vec<_> = ids.map(|planned| planned.instance_id).collect();
        let lab = self.files.folder().to_owned();
        let all = spawn_blocking(move || certificates_of(&lab, &ids)).await;
        let now = mtc_tls::clock::Clock::default().now();
        let mut newest = None;
        for what in all.expect("reading does not panic")? {
            let is_listed = matches!(what, What::Instance(_));
            let order = revocation_order(self.files.folder(), what, None, now);
            let list = self.carry_out(order?).await?.list;
            if is_listed {
                let list = list.ok_or(TopologyError::NotPublished)?;
                newest = Some(list.number);
            }
        }
        Ok(newest)
    }

    /// Starts a process again on the same files, and waits until it is ready.
    ///
    /// # Errors
    /// It cannot start or does not become ready.
    pub async fn restart(&mut self, nf: Nf) -> Result<(), TopologyError> {
        self.restart_with(nf, &[]).await
    }

    /// Starts a process again with more arguments, such as an operator's `--next-log 2`.
    ///
    /// # Errors
    /// As [`Self::restart`].
    pub async fn restart_with(&mut self, nf: Nf, arguments: &[&str]) -> Result<(), TopologyError> {
        self.spawn(nf, arguments)?;
        self.await_event(nf, |event| matches!(event, Event::Ready { .. }))
            .await?;
        Ok(())
    }

    /// How long a process may take to reach what is waited for.
    fn start_timeout(&self) -> Duration {
        let own = Duration::from_secs(startup_seconds(self.instances.len() as u64));
        own.max(START_TIMEOUT)
    }

    fn host(&self, nf: Nf) -> Option<&Host> {
        self.network.as_ref()?.host(nf.as_str())
    }

    /// Stops every process: those that use others first.
    pub async fn stop(mut self) {
        for nf in Nf::ALL {
            if let Some(position) = self.children.iter().position(|(started, _)| *started == nf) {
                self.children.swap_remove(position).1.stop().await;
            }
        }
    }
}
