//! `mtc5g lab up`

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::ExitCode;

use sbi::process::Event;
use sbi::tell;
use uuid::Uuid;

use super::exit::{DONE, fail, interrupted};
use super::init::LabArguments;
use super::output::{say, usage};
use crate::topology::{LabFolder, Plan, Topology};
use experiment::files::sync_tree;

/// What the names of labs below the system's temporary folder begin with.
const TEMPORARY: &str = "mtc5g-lab-";

#[derive(Clone, Debug, clap::Args)]
pub(super) struct UpArguments {
    /// Folder for PKI, issuance log and logs [default: a new one below the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Append the secrets of the lab's connections to FILE (NSS key log), for reading packet captures of them
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

    async fn up(self, plan: &Plan) -> Result<(), Box<dyn std::error::Error>> {
        let path = match self.folder.clone() {
            Some(path) => path,
            None => own_temporary_folder()?,
        };
        let now = mtc_tls::clock::Clock::default().now();
        let mut stop = std::pin::pin!(interrupted());
        let folder = LabFolder::create(&path, plan, now)?;
        // It stays, and its log is durable.
        sync_tree(&path)?;
        let (log, nrf) = (folder.nrf.log.clone(), folder.nrf.clone());
        let starting = Topology::start(folder, std::env::current_exe()?, |step| tell!("{step}"));
        let mut topology = tokio::select! {
            started = starting => started?,
            () = &mut stop => return Ok(()),
        };
        say(format_args!(
            "the lab is up; its files are in {}",
            path.display()
        ));
        say(format_args!("  issuance log   http://{log}/1/checkpoint"));
        say(format_args!(
            "  NRF SBI        https://{} as {}",
            nrf.sbi, nrf.fqdn
        ));
        for (nf, events) in topology.endpoints() {
            for event in events {
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
