//! The folder of a lab that was made before, with which `mtc5g lab up` continues.

use std::path::Path;
use std::time::Duration;

use mtc_core::time::UnixTime;
use nf_nrf::config::NrfConfig;
use sbi::config::{NfConfig, WantedCredential, load, x509_profiles};
use serde::Deserialize;

use super::folder::{FolderError, TOKEN_LIFETIME};
use super::folder::{LabFolder, Plan, Ports, ProcessFiles, config_file};
use crate::pki::{LabPki, PlannedInstance, renew_token};

/// A lab that was made before, as its configurations say.
pub struct ExistingLab {
    /// Its folder.
    pub folder: LabFolder,
    nrf: NrfConfig,
    amf: NfConfig,
    smf: NfConfig,
}

/// What the configurations of SCP, AMF and SMF share.
#[derive(Deserialize)]
struct NfFile {
    nf: NfConfig,
}

impl ExistingLab {
    /// Reads the lab in `path`, and renews the enrolment tokens of its instances. Blocks on the disk.
    ///
    /// # Errors
    /// A configuration cannot be read, or a token not be written.
    pub fn open(path: &Path, now: UnixTime) -> Result<Self, FolderError> {
        let nrf: NrfConfig = load(&config_file(path, "nrf"))?;
        let nf = |name| load::<NfFile>(&config_file(path, name)).map(|file| file.nf);
        let (scp, amf, smf) = (nf("scp")?, nf("amf")?, nf("smf")?);
        let mut instances = Vec::new();
        for (nf_type, config) in [("SCP", &scp), ("AMF", &amf), ("SMF", &smf)] {
            for instance in &config.instance {
                // Needed by one that has not enrolled, and by one whose certificates have expired since.
                renew_token(path, instance.id, TOKEN_LIFETIME, now)?;
                instances.push(PlannedInstance {
                    nf_type: nf_type.to_owned(),
                    instance_id: instance.id,
                    fqdn: instance.fqdn.clone(),
                });
            }
        }
        let profiles = x509_profiles(&nrf.wanted()?);
        let folder = LabFolder {
            files: ProcessFiles::create(path)?,
            pki: LabPki::of(path, &profiles, &instances),
            path: path.to_owned(),
            nrf: scp.nrf,
            instances,
        };
        Ok(Self {
            folder,
            nrf,
            amf,
            smf,
        })
    }

    /// In what a plan is another than this lab, by the options that say it. What a log began with (`preload`) is not known of one
    /// that has grown since.
    pub fn differences(&self, plan: &Plan) -> Vec<&'static str> {
        let wanted = plan.credentials();
        let has = |credential: &WantedCredential| self.nrf.credential.contains(credential);
        let (seconds, millis) = (Duration::from_secs, Duration::from_millis);
        let differs = [
            (
                "--amf",
                self.amf.instance.len() != usize::from(plan.lab.amf),
            ),
            (
                "--smf",
                self.smf.instance.len() != usize::from(plan.lab.smf),
            ),
            (
                "--landmark-interval",
                seconds(self.nrf.landmark_interval_seconds) != plan.lab.landmark_interval,
            ),
            (
                "checkpoint_interval",
                millis(self.nrf.checkpoint_interval_ms) != plan.lab.checkpoint_interval,
            ),
            (
                "--certificate-lifetime",
                seconds(self.nrf.certificate_lifetime_seconds) != plan.lab.certificate_lifetime,
            ),
            (
                "the credentials of --scenario",
                wanted.len() != self.nrf.credential.len() || !wanted.iter().all(has),
            ),
            (
                "--port",
                matches!(plan.ports, Ports::From(port) if port != self.nrf.listen.port()),
            ),
            ("--key-log", self.nrf.key_log != plan.key_log),
        ];
        differs
            .into_iter()
            .filter_map(|(option, differs)| differs.then_some(option))
            .collect()
    }
}
