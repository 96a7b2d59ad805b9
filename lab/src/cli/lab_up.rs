//! `mtc5g lab up`

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::ExitCode;

use sbi::process::Event;
use uuid::Uuid;

use super::init::LabArguments;
use super::output::usage;
use super::{DONE, fail, interrupted};
use crate::topology::{LabFolder, Plan, Topology};

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
        let now = mtc_tls::endpoint::Clock::default().now();
        let folder = LabFolder::create(&path, plan, now)?;
        let (log, nrf) = (folder.nrf.log.clone(), folder.nrf.clone());
        let mut stop = std::pin::pin!(interrupted());
        let starting =
            Topology::start(folder, std::env::current_exe()?, |step| eprintln!("{step}"));
        let mut topology = tokio::select! {
            started = starting => started?,
            () = &mut stop => return Ok(()),
        };
        println!("the lab is up; its files are in {}", path.display());
        println!("  issuance log   http://{log}/1/checkpoint");
        println!("  NRF SBI        https://{} as {}", nrf.sbi, nrf.fqdn);
        for (nf, events) in topology.endpoints() {
            for event in events {
                match event {
                    Event::AdminListening { addr } => println!(
                        "  {:<4} admin     http://{addr}/readyz /metrics /measurements",
                        nf.as_str()
                    ),
                    Event::SbiListening { instance, addr } => println!(
                        "  {:<4} SBI       https://{addr} as {instance}",
                        nf.as_str()
                    ),
                    Event::WitnessListening { addr } => println!(
                        "  {:<4} witness   http://{addr}/add-checkpoint",
                        nf.as_str()
                    ),
                    _ => {}
                }
            }
        }
        println!("load it with mtc5g run SCENARIO --lab {}", path.display());
        println!("Ctrl-C stops it.");
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
    let path = std::env::temp_dir().join(format!("mtc5g-lab-{}", Uuid::new_v4()));
    DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}
