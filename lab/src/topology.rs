//! A lab on this machine: its PKI, its configuration files, and the processes of its network functions.
//!
//! ```text
//!  Plan ──> LabFolder: PKI, nrf.toml, scp.toml, amf.toml, smf.toml
//!                │
//!                ├─ scp ── witness listens ──> nrf ── ready ──> amf, smf, scp ready      each a child process
//!                └─ stop: standard inputs close, children drain and end; what does not is killed
//! ```
//!
//! Nothing waits by sleeping: children tell what they have reached on their standard output.

mod addresses;
mod child;
mod deploy;
mod description;
mod folder;
mod place;
mod running;
pub mod targets;
mod throwaway;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use experiment::scenario::Nf;
use link::{Host, Network};
use sbi::address::{Address, ResolveError};
use sbi::backoff;
use sbi::client::{ClientError, Connection, Request};
use sbi::ledger::Measurements;
use sbi::orders::Order;
use sbi::process::Event;
use sbi::uri::Scheme;
use tokio::net::TcpStream;
use tokio::time::Instant;
use uuid::Uuid;

pub use self::addresses::{Addresses, network};
pub use self::child::{Child, ChildError};
pub use self::deploy::{DeployError, Deployed, Hosts, NotADomain, deploy};
pub use self::folder::{FolderError, LabFolder, Plan, Ports};
pub use self::place::{CopyError, LabPlace};
pub use self::running::{AdminPorts, GeneratorFolder, JoinError, RunningLab};
pub use self::throwaway::{Throwaway, ThrowawayError, remove_abandoned};

use self::folder::ProcessFiles;
use self::targets::Announcement;
use crate::pki::PlannedInstance;

/// How long a child may take to reach what is waited for.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const ADMIN_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// Starts the processes of a lab whose folder is prepared, for others to load. `binary` is the `mtc5g` command. `told`
    /// hears what is going on.
    ///
    /// Dropping the future kills what was started.
    ///
    /// # Errors
    /// A process cannot start or does not become ready; everything started is stopped.
    pub async fn start(
        folder: LabFolder,
        binary: PathBuf,
        told: impl Fn(&str),
    ) -> Result<Self, TopologyError> {
        Self::start_as(Nf::Amf.as_str(), None, folder, binary, told).await
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
        told: impl Fn(&str),
    ) -> Result<Self, TopologyError> {
        Self::start_as(targets::LOAD, network, folder, binary, told).await
    }

    /// `amf` is what its AMF process is, for monitoring.
    async fn start_as(
        amf: &'static str,
        network: Option<Arc<Network>>,
        folder: LabFolder,
        binary: PathBuf,
        told: impl Fn(&str),
    ) -> Result<Self, TopologyError> {
        let has_log = folder.has_log();
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
        match topology.start_all(has_log, told).await {
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
        told: impl Fn(&str),
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
        match topology.start_generator(told).await {
            Ok(()) => Ok(topology),
            Err(error) => {
                topology.stop().await;
                Err(error)
            }
        }
    }

    async fn start_generator(&mut self, told: impl Fn(&str)) -> Result<(), TopologyError> {
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
        told("starting the load generator: enrolment, landmark, registration");
        self.spawn(Nf::Amf, &[])?;
        self.await_event(Nf::Amf, |event| matches!(event, Event::Ready { .. }))
            .await?;
        Ok(())
    }

    async fn start_all(&mut self, has_log: bool, told: impl Fn(&str)) -> Result<(), TopologyError> {
        told("starting the SCP's witness");
        self.spawn(Nf::Scp, &[])?;
        self.await_event(Nf::Scp, |event| {
            matches!(event, Event::WitnessListening { .. })
        })
        .await?;
        told("starting the NRF: issuance log, own certificates");
        let arguments: &[&str] = if has_log { &[] } else { &["--create-log"] };
        self.spawn(Nf::Nrf, arguments)?;
        self.await_event(Nf::Nrf, |event| matches!(event, Event::SbiListening { .. }))
            .await?;
        told("starting AMFs and SMFs: enrolment, landmark, registration");
        self.spawn(Nf::Smf, &[])?;
        self.spawn(Nf::Amf, &[])?;
        for nf in [Nf::Nrf, Nf::Scp, Nf::Smf, Nf::Amf] {
            self.await_event(nf, |event| matches!(event, Event::Ready { .. }))
                .await?;
            told(&format!("{} ready", nf.as_str()));
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
            nf.as_str(),
            &self.binary,
            &self.files,
            arguments,
            self.host(nf),
            announcement,
        )?;
        self.children.push((nf, child));
        Ok(())
    }

    async fn await_event(
        &mut self,
        nf: Nf,
        is_it: impl Fn(&Event) -> bool,
    ) -> Result<Event, TopologyError> {
        let (child, others) = self.part(nf)?;
        tokio::select! {
            event = child.await_event(START_TIMEOUT, is_it) => Ok(event?),
            error = first_ending(others) => Err(error.into()),
        }
    }

    /// The next event of an NF; an error as soon as any process of the lab has ended or failed.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// A process was not started, failed or ended.
    pub async fn next_event(&mut self, nf: Nf) -> Result<Event, ChildError> {
        let (awaited, others) = self.part(nf)?;
        tokio::select! {
            event = awaited.next_event() => event,
            error = first_ending(others) => Err(error),
        }
    }

    /// The network functions whose processes belong to the lab now.
    pub fn running(&self) -> Vec<Nf> {
        let started = self.children.iter().map(|(nf, _)| *nf);
        started
            .chain(self.joined.iter().map(|(nf, _)| *nf))
            .collect()
    }

    /// The next event of any process; an error as soon as one has ended or failed.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// A process failed or ended.
    pub async fn next(&mut self) -> Result<(Nf, Event), ChildError> {
        let events = self.children.iter_mut().map(|(nf, child)| {
            Box::pin(async { child.next_event().await.map(|event| (*nf, event)) })
        });
        first(events.collect()).await
    }

    /// A process, and the others.
    fn part(&mut self, nf: Nf) -> Result<(&mut Child, Vec<&mut Started>), ChildError> {
        let (mut wanted, others): (Vec<_>, Vec<_>) = self
            .children
            .iter_mut()
            .partition(|(started, _)| *started == nf);
        let wanted = wanted
            .pop()
            .ok_or(ChildError::NotStarted { name: nf.as_str() })?;
        Ok((&mut wanted.1, others))
    }

    /// The process of an NF.
    ///
    /// # Errors
    /// It was not started.
    pub fn child(&mut self, nf: Nf) -> Result<&mut Child, ChildError> {
        let found = self.children.iter_mut().find(|(started, _)| *started == nf);
        found
            .map(|(_, child)| child)
            .ok_or(ChildError::NotStarted { name: nf.as_str() })
    }

    /// Kills a process at once, without warning (SIGKILL). It is no part of the lab any more until it is restarted.
    ///
    /// # Errors
    /// It was not started, or the system refuses.
    pub async fn kill(&mut self, nf: Nf) -> Result<(), TopologyError> {
        self.child(nf)?.kill().await?;
        self.children.retain(|(started, _)| *started != nf);
        Ok(())
    }

    /// Takes a process out of the lab; the returned future has it drain and end, and kills it if it does not.
    ///
    /// # Errors
    /// It was not started.
    pub fn take_out(&mut self, nf: Nf) -> Result<impl Future<Output = ()> + use<>, ChildError> {
        let position = self.children.iter().position(|(started, _)| *started == nf);
        let position = position.ok_or(ChildError::NotStarted { name: nf.as_str() })?;
        let (_, child) = self.children.swap_remove(position);
        Ok(child.stop())
    }

    /// Starts a process again on the same files; it tells by itself when it is ready.
    ///
    /// # Errors
    /// The system refuses.
    pub fn put_back(&mut self, nf: Nf) -> Result<(), TopologyError> {
        self.spawn(nf, &[])
    }

    /// Gives a process an order.
    ///
    /// # Errors
    /// It was not started, or does not read any more.
    pub async fn order(&mut self, nf: Nf, order: Order) -> Result<(), ChildError> {
        let line =
            serde_json::to_string(&order).expect("orders have string keys and integers only");
        self.child(nf)?.command(&line).await
    }

    /// The names of an NF's instances, in the order of its configuration.
    pub fn instances(&self, nf: Nf) -> impl Iterator<Item = &str> {
        let of_type =
            move |planned: &&PlannedInstance| planned.nf_type.eq_ignore_ascii_case(nf.as_str());
        let instances = self.instances.iter().filter(of_type);
        instances.map(|planned| planned.fqdn.as_str())
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

    /// Where the admin port of a process is.
    ///
    /// # Errors
    /// It was not started, or has not said.
    pub fn admin(&mut self, nf: Nf) -> Result<SocketAddr, ChildError> {
        let seen = self.child(nf)?.seen(|event| match event {
            Event::AdminListening { addr } => Some(*addr),
            _ => None,
        });
        seen.ok_or(ChildError::NotStarted { name: nf.as_str() })
    }

    /// What the handshakes of a process have cost so far.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn measurements(&mut self, nf: Nf) -> Result<Measurements, TopologyError> {
        let joined = self.joined.iter().find(|(joined, _)| *joined == nf);
        let Some((_, address)) = joined else {
            let addr = self.admin(nf)?;
            return self.measurements_at(nf, addr).await;
        };
        let all = address.resolve_all().await;
        let all = all.map_err(|source| TopologyError::Unknown { nf, source })?;
        let mut sum = Measurements::default();
        for addr in all {
            sum.merge(&self.measurements_at(nf, addr).await?);
        }
        Ok(sum)
    }

    /// Whether every replica of a network function that runs without us is ready, and there is one.
    async fn is_ready(&self, nf: Nf, address: &Address) -> Result<(), TopologyError> {
        let all = address.resolve_all().await;
        for addr in all.map_err(|source| TopologyError::Unknown { nf, source })? {
            let failed = |source| TopologyError::Admin { nf, addr, source };
            let connection = self.connect(nf, addr).await.map_err(failed)?;
            let request = Request::new(hyper::Method::GET, addr.to_string(), "/readyz");
            connection
                .call(request, ADMIN_TIMEOUT)
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    async fn measurements_at(
        &self,
        nf: Nf,
        addr: SocketAddr,
    ) -> Result<Measurements, TopologyError> {
        let failed = |source| TopologyError::Admin { nf, addr, source };
        let connection = self.connect(nf, addr).await.map_err(failed)?;
        let request = Request::new(hyper::Method::GET, addr.to_string(), "/measurements");
        let response = connection
            .call(request, ADMIN_TIMEOUT)
            .await
            .map_err(failed)?;
        response
            .read_json()
            .map_err(|error| failed(ClientError::Body(error)))
    }

    /// Connects to a cleartext port of a process, from its own host: what a supervisor asks takes no link's capacity.
    async fn connect(&self, nf: Nf, addr: SocketAddr) -> Result<Connection, ClientError> {
        let Some(host) = self.host(nf).cloned() else {
            return Connection::connect_cleartext(addr, ADMIN_TIMEOUT).await;
        };
        let connect = move || {
            host.namespace
                .run(|| std::net::TcpStream::connect_timeout(&addr, ADMIN_TIMEOUT))
        };
        let connected = tokio::task::spawn_blocking(connect).await;
        let connected = connected.unwrap_or_else(|error| Err(io::Error::other(error)));
        let stream = connected.and_then(|stream| {
            stream.set_nonblocking(true)?;
            TcpStream::from_std(stream)
        });
        let stream = stream.map_err(|source| ClientError::Connect { addr, source })?;
        Connection::handshake(stream, Scheme::Http).await
    }

    fn host(&self, nf: Nf) -> Option<&Host> {
        self.network.as_ref()?.host(nf.as_str())
    }

    /// Every event that tells an endpoint, by NF.
    pub fn endpoints(&mut self) -> Vec<(Nf, Vec<Event>)> {
        self.children
            .iter_mut()
            .map(|(nf, child)| (*nf, child.events().to_vec()))
            .collect()
    }

    /// Completes when a process of the lab has ended or failed.
    ///
    /// Dropping the future loses nothing.
    pub async fn ended(&mut self) -> ChildError {
        first_ending(&mut self.children).await
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

/// Completes when one of the processes has ended or failed.
///
/// Dropping the future loses nothing.
async fn first_ending(children: impl IntoIterator<Item = &mut Started>) -> ChildError {
    let endings = children.into_iter().map(|(_, child)| {
        Box::pin(async {
            loop {
                if let Err(error) = child.next_event().await {
                    return error;
                }
            }
        })
    });
    first(endings.collect()).await
}

/// The output of the future that completes first.
async fn first<F: Future + Unpin>(mut futures: Vec<F>) -> F::Output {
    std::future::poll_fn(move |context| {
        for future in &mut futures {
            if let Poll::Ready(output) = Pin::new(future).poll(context) {
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}
