//! The folder of a lab that was made before, with which `mtc5g lab up` continues.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use mtc_core::time::UnixTime;
use mtc_log::{DirectoryStorage, StorageError};
use nf_nrf::config::NrfConfig;
use nf_scp::config::{ScpConfig, WitnessProcessConfig};
use sbi::config::{NfConfig, WantedCredential, load, x509_profiles};
use serde::Deserialize;

use super::folder::{
    FolderError, LabFolder, Plan, Ports, ProcessFiles, TOKEN_LIFETIME, config_file, first_in_use,
};
use crate::pki::{LabPki, PlannedInstance, renew_token};

/// A lab that was made before, as its configurations say.
pub struct ExistingLab {
    /// Its folder.
    pub folder: LabFolder,
    nrf: NrfConfig,
    /// Where its witnesses listen, and the admin ports of those beside the SCP.
    witnesses: Vec<SocketAddr>,
    scp: NfConfig,
    amf: NfConfig,
    smf: NfConfig,
}

/// What a plan says of a lab, and a lab that is there may have otherwise. Displayed as the option that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedSetting {
    /// Number of AMF instances.
    Amf,
    /// Number of SMF instances.
    Smf,
    /// Time between landmarks.
    LandmarkInterval,
    /// Time between checkpoints.
    CheckpointInterval,
    /// Lifetime of certificates.
    CertificateLifetime,
    /// Which credentials network functions have.
    Credentials,
    /// How many witnesses there are, and must cosign.
    Witnesses,
    /// First port.
    Port,
    /// File of the secrets of connections.
    KeyLog,
}

impl fmt::Display for PlannedSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amf => "--amf",
            Self::Smf => "--smf",
            Self::LandmarkInterval => "--landmark-interval",
            Self::CheckpointInterval => "checkpoint_interval",
            Self::CertificateLifetime => "--certificate-lifetime",
            Self::Credentials => "the credentials of --scenario",
            Self::Witnesses => "the witnesses of --scenario",
            Self::Port => "--port",
            Self::KeyLog => "--key-log",
        })
    }
}

/// What the configurations of AMF and SMF share.
#[derive(Deserialize)]
struct NfFile {
    nf: NfConfig,
}

impl ExistingLab {
    /// Reads the lab in `path`, and renews the enrolment tokens of its instances. Blocks on the disk.
    ///
    /// # Errors
    /// The lab is running, a configuration cannot be read, or a token not be written.
    pub fn open(path: &Path, now: UnixTime) -> Result<Self, FolderError> {
        let nrf: NrfConfig = load(&config_file(path, "nrf"))?;
        let ScpConfig {
            nf: scp, witness, ..
        } = load(&config_file(path, "scp"))?;
        if is_locked(&path.join(&witness.state)) {
            let path = path.to_owned();
            return Err(FolderError::Running { path });
        }
        let nf = |name| load::<NfFile>(&config_file(path, name)).map(|file| file.nf);
        let (amf, smf) = (nf("amf")?, nf("smf")?);
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
            pki: LabPki::of(path, nrf.witness.len(), &profiles, &instances),
            path: path.to_owned(),
            nrf: scp.nrf.clone(),
            instances,
        };
        let mut witnesses = vec![witness.listen];
        for nf in folder.further_witnesses() {
            let file: WitnessProcessConfig = load(&config_file(path, nf.as_str()))?;
            witnesses.extend([file.witness.listen, file.admin]);
        }
        Ok(Self {
            folder,
            nrf,
            witnesses,
            scp,
            amf,
            smf,
        })
    }

    /// The first of its ports that another process uses, those that it is given at its start excepted.
    pub fn port_in_use(&self) -> Option<SocketAddr> {
        let nrf = [self.nrf.listen, self.nrf.log_listen, self.nrf.admin];
        let others = [&self.scp, &self.amf, &self.smf].map(|nf| nf.admin);
        let witnesses = self.witnesses.iter().copied();
        first_in_use(nrf.into_iter().chain(witnesses).chain(others))
    }

    /// The file that gets the secrets of its connections, if it was made so.
    pub fn key_log(&self) -> Option<&Path> {
        self.nrf.key_log.as_deref()
    }

    /// In what a plan is another than this lab. What a log began with (`preload`) is not known of one that has grown since.
    pub fn differences(&self, plan: &Plan) -> impl Iterator<Item = PlannedSetting> {
        let wanted = plan.credentials();
        let has = |credential: &WantedCredential| self.nrf.credential.contains(credential);
        let (seconds, millis) = (Duration::from_secs, Duration::from_millis);
        let differs = [
            (
                PlannedSetting::Amf,
                self.amf.instance.len() != usize::from(plan.lab.amf),
            ),
            (
                PlannedSetting::Smf,
                self.smf.instance.len() != usize::from(plan.lab.smf),
            ),
            (
                PlannedSetting::LandmarkInterval,
                seconds(self.nrf.landmark_interval_seconds) != plan.lab.landmark_interval,
            ),
            (
                PlannedSetting::CheckpointInterval,
                millis(self.nrf.checkpoint_interval_ms) != plan.lab.checkpoint_interval,
            ),
            (
                PlannedSetting::CertificateLifetime,
                seconds(self.nrf.certificate_lifetime_seconds) != plan.lab.certificate_lifetime,
            ),
            (
                PlannedSetting::Credentials,
                wanted.len() != self.nrf.credential.len() || !wanted.iter().all(has),
            ),
            (
                PlannedSetting::Witnesses,
                (self.nrf.witness.len(), self.nrf.required_witnesses)
                    != (plan.lab.witnesses.into(), plan.lab.require.into()),
            ),
            (
                PlannedSetting::Port,
                matches!(plan.ports, Ports::From(port) if port != self.nrf.listen.port()),
            ),
            (PlannedSetting::KeyLog, self.nrf.key_log != plan.key_log),
        ];
        differs
            .into_iter()
            .filter_map(|(setting, differs)| differs.then_some(setting))
    }
}

/// Whether a process has the state of a lab's witness open, as its SCP does from before it listens until it ends. What else is
/// wrong with the folder the SCP says.
fn is_locked(state: &Path) -> bool {
    let opened = DirectoryStorage::open(state);
    matches!(opened, Err(StorageError::Locked { .. }))
}
