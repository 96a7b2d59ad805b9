//! `mtc5g token DIR INSTANCE`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use uuid::Uuid;

use super::exit::{DONE, fail};
use super::output::say;
use crate::pki::renew_token;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct TokenArguments {
    /// Folder of the lab, made by mtc5g init
    folder: PathBuf,
    /// NF instance id of the network function that will enrol again, as in [[instance]] of its configuration
    #[arg(value_parser = instance_id)]
    instance: Uuid,
    /// Hours for which the token is valid
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=8760))]
    hours: u64,
}

fn instance_id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| {
        "not an NF instance id: the lab's tokens/ID.jwt and id in [[instance]] of amf.toml, smf.toml and scp.toml have them".to_owned()
    })
}

impl TokenArguments {
    pub(super) fn run(self) -> ExitCode {
        let now = mtc_tls::clock::Clock::default().now();
        match renew_token(
            &self.folder,
            self.instance,
            Duration::from_secs(self.hours * 3600),
            now,
        ) {
            Ok(path) => {
                say(format_args!(
                    "wrote {}, valid for {} h and one certificate",
                    path.display(),
                    self.hours
                ));
                ExitCode::from(DONE)
            }
            Err(error) => fail(&error),
        }
    }
}
