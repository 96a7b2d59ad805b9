//! `mtc5g lab up`

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mtc_core::causes::Causes;
use mtc_core::time::UnixTime;
use sbi::process::Event;
use sbi::tell;
use uuid::Uuid;

use super::exit::{DONE, fail, interrupted};
use super::init::LabArguments;
use super::output::{say, usage};
use crate::pki::LabPki;
use crate::topology::{ExistingLab, LOGS, LabFolder, Plan, PlannedSetting, Topology, leave_logs};
use experiment::files::sync_tree;

/// What the names of labs below the system's temporary folder begin with.
const TEMPORARY: &str = "mtc5g-lab-";

#[derive(Clone, Debug, clap::Args)]
pub(super) struct UpArguments {
    /// Folder for PKI, issuance log and logs; a lab that is already there continues [default: a new one below the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Append the secrets of the lab's connections to FILE (NSS key log), to decrypt packet captures
    #[arg(long, value_name = "FILE")]
    key_log: Option<PathBuf>,
    #[command(flatten)]
    lab: LabArguments,
}

impl UpArguments {
    pub(super) async fn run(self) -> ExitCode {
        let plan = match self.lab.plan() {
            Ok(plan) => plan,
            Err(error) => return usage(&error, "lab up"),
        };
        let key_log = match self.key_log.as_ref().map(std::path::absolute).transpose() {
            Ok(key_log) => key_log,
            Err(error) => return fail(&error),
        };
        let plan = Plan { key_log, ..plan };
        match self.up(&plan).await {
            Ok(()) => ExitCode::from(DONE),
            Err(error) => fail(&*error),
        }
    }

    /// The lab in the folder, on disk: the one that is there, or a new one.
    fn lab_in(
        &self,
        path: &Path,
        plan: &Plan,
        now: UnixTime,
    ) -> Result<LabFolder, Box<dyn std::error::Error>> {
        let folder = if LabPki::is_in(path) {
            self.continue_with(path, plan, now)?
        } else {
            LabFolder::create(path, plan, now)?
        };
        // It stays, and its log is durable.
        sync_tree(path)?;
        Ok(folder)
    }

    /// The lab that was made in the folder before.
    fn continue_with(
        &self,
        path: &Path,
        plan: &Plan,
        now: UnixTime,
    ) -> Result<LabFolder, Box<dyn std::error::Error>> {
        let existing = ExistingLab::open(path, now)?;
        if let Some(addr) = existing.port_in_use() {
            let (lab, ports) = (Some(path.to_owned()), plan.ports_needed());
            return Err(PortInUse { addr, lab, ports }.into());
        }
        tell!("continuing with the lab in {}", path.display());
        let differences: Vec<String> = existing
            .differences(plan)
            .filter(|setting| self.asks_for(*setting))
            .map(|setting| setting.to_string())
            .collect();
        if !differences.is_empty() {
            tell!(
                "warning: the existing lab keeps its own values of {}",
                differences.join(", ")
            );
        }
        if let Some(key_log) = existing.key_log() {
            tell!(
                "warning: the existing lab was made with --key-log: secrets of its connections are appended to {}",
                key_log.display()
            );
        }
        Ok(existing.folder)
    }

    /// Whether the command line asks for a value of it.
    fn asks_for(&self, setting: PlannedSetting) -> bool {
        match setting {
            PlannedSetting::KeyLog => self.key_log.is_some(),
            _ => self.lab.asks_for(setting),
        }
    }

    async fn up(self, plan: &Plan) -> Result<(), Box<dyn std::error::Error>> {
        // What was in the folder before is not this command's to remove.
        let is_own = self.folder.as_deref().is_none_or(holds_logs_alone);
        if let Some(path) = self.folder.as_ref().filter(|_| !is_own)
            && !LabPki::is_in(path)
        {
            return Err(Occupied::by_something_else(path.clone()).into());
        }
        if let Some(addr) = plan.port_in_use().filter(|_| is_own) {
            let ports = plan.ports_needed();
            return Err(PortInUse {
                addr,
                lab: None,
                ports,
            }
            .into());
        }
        let path = match self.folder.clone() {
            Some(path) => path,
            None => own_temporary_folder()?,
        };
        let now = mtc_tls::clock::Clock::default().now();
        let mut stop = std::pin::pin!(interrupted());
        let folder = match self.lab_in(&path, plan, now) {
            Ok(folder) => folder,
            Err(error) => {
                if is_own {
                    tell_what_stays(&path, is_own);
                }
                return Err(error);
            }
        };
        let (log, nrf) = (folder.nrf.log.clone(), folder.nrf.clone());
        let starting = Topology::start(folder, std::env::current_exe()?, |step| tell!("{step}"));
        let mut topology = tokio::select! {
            started = starting => match started {
                Ok(topology) => topology,
                Err(error) => {
                    tell_what_stays(&path, is_own);
                    return Err(error.into());
                }
            },
            () = &mut stop => {
                tell!("the lab is kept in {}", path.display());
                return Ok(());
            }
        };
        say(format_args!(
            "the lab is up; its files are in {}",
            path.display()
        ));
        say(format_args!("  issuance log   {log}/1/checkpoint"));
        say(format_args!(
            "  NRF SBI        https://{} as {}",
            nrf.sbi, nrf.fqdn
        ));
        for (nf, events) in topology.endpoints() {
            for event in of_each_port(&events) {
                match event {
                    Event::AdminListening { addr } => say(format_args!(
                        "  {:<4} admin     http://{addr}/readyz /metrics /measurements",
                        nf.as_str()
                    )),
                    Event::SbiListening { instance, addr } => say(format_args!(
                        "  {:<4} SBI       https://{addr} as {instance}",
                        nf.as_str()
                    )),
                    Event::WitnessListening { addr } => say(format_args!(
                        "  {:<4} witness   http://{addr}/add-checkpoint",
                        nf.as_str()
                    )),
                    _ => {}
                }
            }
        }
        say(format_args!(
            "load it with mtc5g run SCENARIO --lab {}",
            path.display()
        ));
        say(format_args!("Ctrl-C stops it."));
        let ended = topology.ended();
        tokio::select! {
            () = &mut stop => {}
            error = ended => {
                topology.stop().await;
                return Err(error.into());
            }
        }
        topology.stop().await;
        Ok(())
    }
}

/// The events of a process, of instances at the same port the first one's alone.
fn of_each_port(events: &[Event]) -> impl Iterator<Item = &Event> {
    let mut seen = HashSet::new();
    events.iter().filter(move |event| match event {
        Event::SbiListening { addr, .. } => seen.insert(*addr),
        _ => true,
    })
}

/// The folder has something in it, and that is no lab.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} has {found} in it and is not the folder of a lab: give --folder a new or an empty folder, or that of a lab",
    folder.display()
)]
struct Occupied {
    folder: PathBuf,
    found: String,
}

impl Occupied {
    fn by_something_else(folder: PathBuf) -> Self {
        let found = beside_logs(&folder).min().unwrap_or_default();
        let found = found.to_string_lossy().into_owned();
        Self { folder, found }
    }
}

/// A port of the lab is another process's.
#[derive(Debug, thiserror::Error)]
struct PortInUse {
    addr: SocketAddr,
    /// The folder of the lab that has had the port since it was made.
    lab: Option<PathBuf>,
    /// How many a lab needs.
    ports: usize,
}

impl fmt::Display for PortInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is in use, perhaps by another lab: ", self.addr)?;
        let ports = self.ports;
        match &self.lab {
            None => write!(f, "give --port the first of {ports} free ports"),
            Some(lab) => write!(
                f,
                "stop what uses it, as the lab in {} keeps its ports; for a second lab give --folder a new folder, and --port the first of \
                 {ports} free ports",
                lab.display()
            ),
        }
    }
}

/// Whether a folder is not there, or has nothing in it but what a failed start leaves.
fn holds_logs_alone(path: &Path) -> bool {
    beside_logs(path).next().is_none()
}

/// The names in a folder, but for what a failed start leaves.
fn beside_logs(path: &Path) -> impl Iterator<Item = OsString> {
    let found = path.read_dir().into_iter().flatten().flatten();
    let names = found.map(|entry| entry.file_name());
    names.filter(|name| name != LOGS)
}

/// After a start that failed: a lab that was made by it leaves its logs, so that the command can be given again; one that was there
/// before stays.
fn tell_what_stays(path: &Path, is_own: bool) {
    if !is_own {
        tell!("the lab's folder stays, with its keys: {}", path.display());
        return;
    }
    match leave_logs(path) {
        Ok(logs) => tell!(
            "of the lab only the logs of its processes stay: {}",
            logs.display()
        ),
        Err(error) => tell!("warning: {}", Causes(&error)),
    }
}

/// A folder that nobody else could have made: keys go into it.
pub(super) fn own_temporary_folder() -> std::io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("{TEMPORARY}{}", Uuid::new_v4()));
    DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

/// The folders of labs below the system's temporary one.
pub(super) fn temporary_labs() -> Vec<PathBuf> {
    let listed = std::fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten();
    let of_labs = listed.filter_map(|found| {
        let found = found.ok()?;
        let name = found.file_name();
        name.to_str()?.starts_with(TEMPORARY).then(|| found.path())
    });
    of_labs.collect()
}
