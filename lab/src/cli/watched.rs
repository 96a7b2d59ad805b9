//! Which running processes a command is to watch.

use std::path::Path;

use sbi::address::Address;

use super::run::{attached_lab, newest_lab};
use crate::top::{Places, UNNAMED};
use crate::topology::LabPlace;

/// The processes of a lab, or any.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Watched {
    /// Admin ports to watch, instead of a lab's
    #[arg(value_name = "HOST:PORT", conflicts_with_all = ["lab", "attach"])]
    address: Vec<Address>,
    /// The lab: the folder of mtc5g lab up or of mtc5g run (DIR/lab), or the lab.toml of a deployed one, also as
    /// http://NRF:7778/lab/lab.toml [default: of the newest run in mtc5g-results]
    #[arg(long, value_name = "DIR|FILE|URL", group = "joined")]
    lab: Option<LabPlace>,
    /// The lab that $MTC5G_LAB names, by default /lab/public/lab.toml: inside docker-compose
    #[arg(long, group = "joined")]
    attach: bool,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "no lab in mtc5g-results; name one: mtc5g {0} --lab DIR, or admin ports of processes: mtc5g {0} 127.0.0.1:7791"
)]
struct NoLab(&'static str);

impl Watched {
    /// Where they are; `command` is whose arguments these are.
    ///
    /// # Errors
    /// There is no such lab.
    pub(super) async fn places(
        &self,
        command: &'static str,
    ) -> Result<Places, Box<dyn std::error::Error>> {
        if !self.address.is_empty() {
            let named = |address: &Address| (UNNAMED.to_owned(), address.clone());
            return Ok(Places {
                targets: None,
                addresses: self.address.iter().map(named).collect(),
            });
        }
        let lab = match (&self.lab, self.attach) {
            (Some(lab), _) => lab.clone(),
            (None, true) => attached_lab(),
            (None, false) => LabPlace::Disk(newest_lab(Path::new(".")).ok_or(NoLab(command))?),
        };
        Ok(match lab {
            LabPlace::Disk(lab) => Places::of_lab(&lab)?,
            LabPlace::Web(url) => Places::at(&url).await?,
        })
    }

    /// Whether what is watched may be on other machines.
    pub(super) fn is_of_this_machine(&self) -> bool {
        self.address.is_empty()
            && !self.attach
            && matches!(self.lab, None | Some(LabPlace::Disk(_)))
    }
}
