//! A lab that is up already, and what a load generator beside it needs.
//!
//! ```text
//!  LAB/nrf.toml, scp.toml, smf.toml ─> RunningLab: the NRF, admin ports, credentials
//!  LAB/enrolment/authority.key ─ mints ─> OWN/tokens/       the generator's instances have keys of their own
//!  LAB/trust.toml, LAB/x509/ <─ named by ─ OWN/amf.toml
//! ```
//!
//! The generator is a network function like any other of the lab: nobody's private key is shared with it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mtc_core::time::UnixTime;
use nf_nrf::config::NrfConfig;
use nf_scp::config::ScpConfig;
use sbi::config::{ConfigError, NfConfig, WantedCredential, load};
use serde::Deserialize;
use uuid::Uuid;

use super::folder::{NfFile, ProcessFiles, config_file, instance_config};
use super::{FolderError, Nf, Plan};
use crate::pki::{self, HOME_DOMAIN, PkiError, PlannedInstance};

/// Long enough for the generator's start.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Why a load generator cannot join a lab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// There is no such folder.
    #[error("{}", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A configuration of the lab cannot be read.
    #[error("{}: is this the folder of a lab, as mtc5g init and mtc5g lab up write it?", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: ConfigError,
    },
    /// The network functions have no such credential.
    #[error(
        "the lab's network functions have no credential of profile {profile} with a key {leaf_key}; start a lab for this scenario: \
         mtc5g lab up --scenario FILE"
    )]
    Credential {
        /// `mtc`, or an X.509 trust domain.
        profile: String,
        /// The key's algorithm.
        leaf_key: String,
    },
    /// The generator's own files.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its enrolment tokens.
    #[error(transparent)]
    Token(#[from] PkiError),
}

/// A lab that is up.
#[derive(Clone, Debug)]
pub struct RunningLab {
    folder: PathBuf,
    /// The AMF process's, of which the generator's differs in its instances.
    amf: NfConfig,
    admin: Vec<(Nf, SocketAddr)>,
}

/// A configuration of which only this matters here.
#[derive(Deserialize)]
struct NfSection {
    nf: NfConfig,
}

impl RunningLab {
    /// Reads where a lab's network functions are. Whether they are up is not seen here. Blocks on the disk.
    ///
    /// # Errors
    /// It is not a lab's folder.
    pub fn open(folder: &Path) -> Result<Self, JoinError> {
        // The generator's own files name it, and are elsewhere.
        let folder = folder
            .canonicalize()
            .map_err(|source| JoinError::NoFolder {
                path: folder.to_owned(),
                source,
            })?;
        let nrf: NrfConfig = read(&folder, Nf::Nrf)?;
        let scp: ScpConfig = read(&folder, Nf::Scp)?;
        let amf: NfSection = read(&folder, Nf::Amf)?;
        let smf: NfSection = read(&folder, Nf::Smf)?;
        Ok(Self {
            folder,
            amf: amf.nf,
            admin: vec![
                (Nf::Nrf, nrf.admin),
                (Nf::Scp, scp.nf.admin),
                (Nf::Smf, smf.nf.admin),
            ],
        })
    }

    /// The admin ports of its network functions, the AMFs' left out: they do nothing in a run of another generator.
    pub(super) fn admin(&self) -> &[(Nf, SocketAddr)] {
        &self.admin
    }

    /// Makes the files of a load generator for `plan` in `path`: the plan's number of AMF instances, new ones each time.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// The lab lacks a credential that the plan needs, its enrolment authority's key cannot be read, or the disk refuses.
    pub fn generator(
        &self,
        plan: &Plan,
        path: &Path,
        now: UnixTime,
    ) -> Result<GeneratorFolder, JoinError> {
        let credential = plan.credentials();
        for WantedCredential { profile, leaf_key } in &credential {
            let has =
                |known: &WantedCredential| known.profile == *profile && known.leaf_key == *leaf_key;
            if !self.amf.credential.iter().any(has) {
                return Err(JoinError::Credential {
                    profile: profile.clone(),
                    leaf_key: leaf_key.clone(),
                });
            }
        }
        let files = ProcessFiles::create(path)?;
        let instances: Vec<PlannedInstance> = (0..plan.amf).map(|_| instance()).collect();
        pki::mint_tokens(&self.folder, path, &instances, TOKEN_LIFETIME, now)?;
        let config = NfConfig {
            trust: self.folder.join(&self.amf.trust),
            x509: self.amf.x509.as_ref().map(|x509| self.folder.join(x509)),
            state: "state/amf".into(),
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            credential,
            await_landmarks: true,
            instance: instances
                .iter()
                .map(|instance| instance_config(instance, Ipv4Addr::LOCALHOST))
                .collect(),
            ..self.amf.clone()
        };
        files.write_config(Nf::Amf.as_str(), &NfFile { nf: config })?;
        Ok(GeneratorFolder { files, instances })
    }
}

fn read<T: serde::de::DeserializeOwned>(folder: &Path, nf: Nf) -> Result<T, JoinError> {
    let file = config_file(folder, nf.as_str());
    load(&file).map_err(|source| JoinError::Config { file, source })
}

/// An AMF that no other generator of the lab has.
fn instance() -> PlannedInstance {
    let instance_id = Uuid::new_v4();
    PlannedInstance {
        nf_type: "AMF".to_owned(),
        instance_id,
        fqdn: format!("amf-{}.{HOME_DOMAIN}", instance_id.simple()),
    }
}

/// The files of a load generator.
#[derive(Clone, Debug)]
pub struct GeneratorFolder {
    pub(super) files: ProcessFiles,
    pub(super) instances: Vec<PlannedInstance>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::topology::LabFolder;

    const NOW: UnixTime = UnixTime(1_790_000_000);

    fn plan(auth: &str) -> Plan {
        let text = format!(
            "[scenario]\nname = \"a\"\n[lab]\n[[variant]]\nname = \"v\"\n{auth}\n[load]\noperation = \"handshake\"\n\
             stages = [{{ rate = 1, duration = \"2s\" }}]\n"
        );
        Plan::of(&Scenario::parse(&text).expect("a valid scenario"))
    }

    #[test]
    fn a_generator_has_instances_of_its_own_and_the_lab_s_trust() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (lab, own) = (folder.path().join("lab"), folder.path().join("own"));
        let mtc = plan("auth = \"mtc-landmark\"");
        let made = LabFolder::create(&lab, &mtc, NOW).expect("a lab's folder");
        let running = RunningLab::open(&lab).expect("a lab's folder");
        let generator = running.generator(&mtc, &own, NOW).expect("a generator");
        assert_eq!(generator.instances.len(), usize::from(mtc.amf));
        let config: NfSection = load(&own.join("amf.toml")).expect("a configuration");
        let resolved = config.nf.resolve(&own).expect("a configuration that holds");
        assert_eq!(resolved.nrf.sbi, made.nrf.sbi);
        assert!(resolved.trust.is_file());
        for instance in &resolved.instance {
            assert!(
                made.instances
                    .iter()
                    .all(|other| other.instance_id != instance.id)
            );
            assert!(instance.token.as_ref().is_some_and(|token| token.is_file()));
        }
        assert!(!own.join("enrolment").exists(), "no private key of the lab");
    }

    #[test]
    fn a_lab_that_lacks_a_credential_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (lab, own) = (folder.path().join("lab"), folder.path().join("own"));
        LabFolder::create(&lab, &plan("auth = \"mtc-landmark\""), NOW).expect("a lab's folder");
        let running = RunningLab::open(&lab).expect("a lab's folder");
        let x509 = plan("auth = \"x509\"\nca_signature = \"ed25519\"\nleaf_key = \"ed25519\"");
        let error = running.generator(&x509, &own, NOW).err();
        assert!(
            matches!(&error, Some(JoinError::Credential { leaf_key, .. }) if leaf_key == "ed25519"),
            "{error:?}"
        );
        assert!(!own.exists(), "nothing is written");
    }

    #[test]
    fn a_folder_that_is_no_lab_s_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let error = RunningLab::open(folder.path()).err();
        assert!(matches!(error, Some(JoinError::Config { .. })), "{error:?}");
        let error = RunningLab::open(&folder.path().join("none")).err();
        assert!(
            matches!(error, Some(JoinError::NoFolder { .. })),
            "{error:?}"
        );
    }
}
