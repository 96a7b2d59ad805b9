//! A lab that is up already, and what a load generator beside it needs.
//!
//! ```text
//!  LAB/{nrf,scp,amf,smf}.toml ─────┐                          ┌─> OWN/amf.toml: instances, keys, certificates of its own
//!                                  ├─> RunningLab ─> generator┤
//!  lab.toml of a deployed lab ─────┤                          └─> Topology::join: the lab's admin ports
//!  its URL ─ copy ─> OWN/lab ──────┘
//!    tokens: minted with LAB/enrolment/authority.key, from the pool that the deployed lab keeps for generators, or from another
//! ```
//!
//! The generator is a network function like any other of the lab: nobody's private key is shared with it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mtc_core::time::UnixTime;
use nf_nrf::config::NrfConfig;
use nf_scp::config::{ScpConfig, WitnessProcessConfig};
use sbi::access_token::TokenPolicy;
use sbi::address::{Address, own_address_towards};
use sbi::config::{ConfigError, InstanceConfig, NfConfig, WantedCredential, load};
use sbi::pool::{self, PoolError};
use sbi::trust_file::TrustDocument;
use serde::Deserialize;
use uuid::Uuid;

use super::description::{DescribedIssuance, LabDescription};
use super::folder::{NfFile, ProcessFiles, config_file, instance_config};
use super::place::{CopyError, LabPlace, copy, describe};
use super::{FolderError, Plan, targets};
use crate::pki::{self, HOME_DOMAIN, PkiError, PlannedInstance};
use experiment::results::JoinedLab;
use experiment::scenario::{FurtherWitness, MAX_WITNESSES, Nf};

/// Long enough for the generator's start.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
/// Where in a generator's folder the public files of a lab elsewhere are.
const COPY: &str = "lab";

/// Why a load generator cannot join a lab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// There is no such folder or file.
    #[error("no lab at {}; name its folder, its lab.toml, or a URL that begins with http://", path.display())]
    NoLab {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no such folder of tokens.
    #[error("no folder of enrolment tokens at {}; name one with files *.jwt, such as load/tokens of mtc5g init --deploy", path.display())]
    NoTokens {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A configuration of the lab cannot be read.
    #[error("{}: is this a lab's folder, made by mtc5g init or mtc5g lab up?", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        source: ConfigError,
    },
    /// The network functions have no such credential.
    #[error(
        "the lab's network functions have no credential of profile {profile} with a {leaf_key} key; start a lab for this scenario: \
         mtc5g lab up --scenario FILE"
    )]
    Credential {
        /// `mtc`, or an X.509 trust domain.
        profile: String,
        /// The key's algorithm.
        leaf_key: String,
    },
    /// There are none of the network functions of its procedures.
    #[error(
        "the lab has no AUSF, UDM and PCF, which this scenario's operations need; start a lab for this scenario: mtc5g lab up --scenario \
         FILE, or mtc5g init --deploy DIR --scenario FILE"
    )]
    Peers,
    /// The network functions serve nobody without an access token.
    #[error(
        "a variant has token = \"none\", and the lab's network functions require access tokens; start a lab for this scenario: mtc5g lab \
         up --scenario FILE"
    )]
    Tokens,
    /// The lab's certificates have other cosignatures than the scenario asks for.
    #[error(
        "the scenario asks for {wanted} witnesses, and the lab has {found}; start a lab for this scenario: mtc5g lab up --scenario FILE"
    )]
    Witnesses {
        /// What the scenario asks for: `2 of 3`.
        wanted: String,
        /// What the lab has.
        found: String,
    },
    /// The generator's own files.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its enrolment tokens.
    #[error(transparent)]
    Token(#[from] PkiError),
    /// The pool of tokens for generators.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The public files of a lab elsewhere.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// Where a deployed lab announces load generators, if it does, and what its network functions are and where.
pub type AdminPorts = (Option<PathBuf>, Vec<(String, Address)>);

/// A lab that is up.
#[derive(Clone, Debug)]
pub struct RunningLab {
    /// What relative paths of `nf` are relative to.
    folder: PathBuf,
    /// What an AMF process of the lab has, without instances.
    nf: NfConfig,
    admin: Vec<(Nf, Address)>,
    tokens: Tokens,
    /// Where the generator's instances listen.
    listen: Ipv4Addr,
    /// Where the lab announces its admin ports.
    targets: Option<PathBuf>,
    /// What its configurations say of it.
    says: JoinedLab,
}

#[derive(Clone, Debug)]
enum Tokens {
    /// Minted by the authority of the lab in this folder.
    Minted(PathBuf),
    /// Taken from this folder.
    Pool(PathBuf),
}

/// A configuration of which only this matters here.
#[derive(Deserialize)]
struct NfSection {
    nf: NfConfig,
}

impl RunningLab {
    /// Opens a lab wherever it is described, as [`Self::open`] does on this disk; `own` is a folder for a copy of what is not on this disk.
    ///
    /// # Errors
    /// There is no lab.
    pub async fn find(place: &LabPlace, own: &Path) -> Result<Self, JoinError> {
        match place {
            LabPlace::Disk(lab) => Self::open(lab),
            LabPlace::Web(url) => {
                let copied = own.join(COPY);
                let lab = Self::open(&copy(url, &copied).await?)?;
                // Folders of this disk are not for a server to choose.
                Ok(Self {
                    targets: None,
                    tokens: Tokens::Pool(copied.join("tokens")),
                    ..lab
                })
            }
        }
    }

    /// Takes enrolment tokens for load generators from `pool` instead.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn with_tokens(mut self, pool: &Path) -> Result<Self, JoinError> {
        let pool = pool.canonicalize().map_err(|source| JoinError::NoTokens {
            path: pool.to_owned(),
            source,
        })?;
        self.tokens = Tokens::Pool(pool);
        Ok(self)
    }

    /// Reads where a lab's network functions are: from the folder of a lab on this machine, or from the `lab.toml` of a deployed
    /// one. Whether they are up is not seen here. Blocks on the disk.
    ///
    /// # Errors
    /// It is neither.
    pub fn open(lab: &Path) -> Result<Self, JoinError> {
        // The generator's own files name it, and are elsewhere.
        let lab = lab.canonicalize().map_err(|source| JoinError::NoLab {
            path: lab.to_owned(),
            source,
        })?;
        if lab.is_file() {
            return Self::deployed(&lab);
        }
        let nrf: NrfConfig = read(config_file(&lab, Nf::Nrf.as_str()))?;
        let scp: ScpConfig = read(config_file(&lab, Nf::Scp.as_str()))?;
        let amf: NfSection = read(config_file(&lab, Nf::Amf.as_str()))?;
        let smf: NfSection = read(config_file(&lab, Nf::Smf.as_str()))?;
        let instances = u16::try_from(smf.nf.instance.len()).ok();
        let issuance = Some(DescribedIssuance::of(&nrf));
        let mut admin = vec![
            (Nf::Nrf, nrf.admin.into()),
            (Nf::Scp, scp.nf.admin.into()),
            (Nf::Smf, smf.nf.admin.into()),
        ];
        let peers = config_file(&lab, Nf::Peers.as_str());
        if peers.exists() {
            let peers: NfSection = read(peers)?;
            admin.push((Nf::Peers, peers.nf.admin.into()));
        }
        for witness in FurtherWitness::of(MAX_WITNESSES).map(Nf::Witness) {
            let file = config_file(&lab, witness.as_str());
            if file.exists() {
                let of: WitnessProcessConfig = read(file)?;
                admin.push((witness, of.admin.into()));
            }
        }
        Ok(Self {
            says: said(issuance, instances, &lab.join(&amf.nf.trust)),
            nf: amf.nf,
            admin,
            tokens: Tokens::Minted(lab.clone()),
            targets: Some(lab.join(targets::FOLDER)),
            listen: Ipv4Addr::LOCALHOST,
            folder: lab,
        })
    }

    fn deployed(file: &Path) -> Result<Self, JoinError> {
        let folder = sbi::config::folder_of(file).to_owned();
        let LabDescription {
            tokens,
            admin,
            targets,
            issuance,
            nf,
        } = read(file.to_owned())?;
        Ok(Self {
            // How many replicas there are is nowhere written.
            says: said(issuance, None, &folder.join(&nf.trust)),
            nf,
            admin: admin.of_joined(),
            tokens: Tokens::Pool(folder.join(tokens)),
            targets: targets.map(|targets| folder.join(targets)),
            listen: Ipv4Addr::UNSPECIFIED,
            folder,
        })
    }

    /// The admin ports of a lab by its `lab.toml`, or by its folder if the configurations there name ports. Blocks on the disk.
    ///
    /// # Errors
    /// It is neither.
    pub fn admin_ports(lab: &Path) -> Result<AdminPorts, JoinError> {
        let mut running = Self::open(lab)?;
        let amf = match &running.tokens {
            Tokens::Pool(_) => read::<LabDescription>(lab.to_owned())?.admin.amf,
            Tokens::Minted(folder) => read::<NfSection>(config_file(folder, Nf::Amf.as_str()))?
                .nf
                .admin
                .into(),
        };
        running.admin.push((Nf::Amf, amf));
        Ok((running.targets, named(running.admin)))
    }

    /// The admin ports of a lab by the URL of its `lab.toml`.
    ///
    /// # Errors
    /// It is not one.
    pub async fn admin_ports_at(url: &str) -> Result<Vec<(String, Address)>, JoinError> {
        let admin = describe(url).await?.admin;
        let amf = (Nf::Amf, admin.amf.clone());
        let mut all = admin.of_joined();
        all.push(amf);
        Ok(named(all))
    }

    /// The admin ports of its network functions, the AMFs' left out: they do nothing in a run of another generator.
    pub(super) fn admin(&self) -> &[(Nf, Address)] {
        &self.admin
    }

    /// What its configurations, or its description, say of it.
    pub const fn says(&self) -> &JoinedLab {
        &self.says
    }

    /// The admin port of its NRF, with its name.
    pub fn nrf_admin(&self) -> Vec<(String, Address)> {
        let nrf = self.admin.iter().filter(|(nf, _)| *nf == Nf::Nrf);
        named(nrf.cloned().collect())
    }

    /// Where load generators announce their admin ports.
    pub(super) fn targets(&self) -> Option<PathBuf> {
        self.targets.clone()
    }

    /// Whether its network functions are reached by name over some network, and not on the loopback of this machine.
    pub const fn is_deployed(&self) -> bool {
        self.listen.is_unspecified()
    }

    /// Where the lab's network functions reach this host, if they are elsewhere.
    pub(super) async fn reached(&self) -> Option<IpAddr> {
        if !self.is_deployed() {
            return None;
        }
        let nrf = self.nf.nrf.sbi.resolve().await.ok()?;
        own_address_towards(nrf).ok()
    }

    /// Refuses a plan that needs what the lab's network functions do not have.
    ///
    /// # Errors
    /// They lack a credential, have other witnesses, or there are not all kinds of them.
    pub fn check(&self, plan: &Plan) -> Result<(), JoinError> {
        if plan.lab.has_peers() && !self.admin.iter().any(|(nf, _)| *nf == Nf::Peers) {
            return Err(JoinError::Peers);
        }
        if plan.access_tokens == TokenPolicy::Optional
            && self.nf.access_tokens == TokenPolicy::Required
        {
            return Err(JoinError::Tokens);
        }
        let of = |witnesses: u8, require: u8| format!("{require} of {witnesses}");
        let wanted = of(plan.lab.witnesses, plan.lab.require);
        // One of one is what a scenario says that says nothing of witnesses.
        if let (2.., Some(witnesses), Some(require)) =
            (plan.lab.witnesses, self.says.witnesses, self.says.require)
            && of(witnesses, require) != wanted
        {
            let found = of(witnesses, require);
            return Err(JoinError::Witnesses { wanted, found });
        }
        let lacks = |wanted: &WantedCredential| !self.nf.credential.contains(wanted);
        match plan.credentials().into_iter().find(lacks) {
            None => Ok(()),
            Some(WantedCredential { profile, leaf_key }) => {
                Err(JoinError::Credential { profile, leaf_key })
            }
        }
    }

    /// Makes the files of a load generator for `plan` in `path`: the plan's number of AMF instances, new ones each time.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// The lab lacks a credential that the plan needs, there are no tokens, or the disk refuses.
    pub fn generator(
        &self,
        plan: &Plan,
        path: &Path,
        now: UnixTime,
    ) -> Result<GeneratorFolder, JoinError> {
        self.check(plan)?;
        let credential = plan.credentials();
        let files = ProcessFiles::create(path)?;
        let instance = self.instances(plan.lab.amf, path, now)?;
        let instances = instance.iter().map(|instance| PlannedInstance {
            nf_type: "AMF".to_owned(),
            instance_id: instance.id,
            fqdn: instance.fqdn.clone(),
        });
        let instances = instances.collect();
        let config = NfConfig {
            trust: self.folder.join(&self.nf.trust),
            x509: self.nf.x509.as_ref().map(|x509| self.folder.join(x509)),
            state: "state/amf".into(),
            admin: SocketAddr::from((self.listen, 0)),
            credential,
            await_landmarks: true,
            key_log: plan.key_log.clone(),
            instance,
            replica: None,
            ..self.nf.clone()
        };
        files.write_config(Nf::Amf.as_str(), &NfFile { nf: config })?;
        Ok(GeneratorFolder { files, instances })
    }

    /// AMF instances that no other generator of the lab has.
    fn instances(
        &self,
        count: u16,
        path: &Path,
        now: UnixTime,
    ) -> Result<Vec<InstanceConfig>, JoinError> {
        match &self.tokens {
            Tokens::Minted(lab) => {
                let planned: Vec<PlannedInstance> = (0..count).map(|_| new_instance()).collect();
                pki::mint_tokens(lab, path, &planned, TOKEN_LIFETIME, now)?;
                let configured = planned.iter();
                Ok(configured
                    .map(|instance| instance_config(instance, (self.listen, 0).into()))
                    .collect())
            }
            Tokens::Pool(pool) => (1..=count)
                .map(|number| {
                    // Absolute, since the configuration's paths are relative to it.
                    let own = std::path::absolute(path.join(format!("tokens/{number}")));
                    let own = own.map_err(|source| FolderError::Write {
                        path: path.to_owned(),
                        source,
                    })?;
                    let claimed = pool::claim(pool, &own)?;
                    Ok(InstanceConfig {
                        nf_type: None,
                        id: claimed.instance_id,
                        fqdn: claimed.fqdn,
                        listen: Some((self.listen, 0).into()),
                        token: Some(claimed.token),
                        upgraded: true,
                    })
                })
                .collect(),
        }
    }
}

/// What is said of a lab whose network functions have the trust file `trust`.
fn said(issuance: Option<DescribedIssuance>, smf: Option<u16>, trust: &Path) -> JoinedLab {
    let trust: Option<TrustDocument> = load(trust).ok();
    // In a lab the witnesses are one group.
    let group = trust.as_ref().and_then(|trust| trust.groups.first());
    let number = |number: usize| u8::try_from(number).ok();
    JoinedLab {
        witnesses: group.and_then(|group| number(group.members.len())),
        require: group.and_then(|group| number(group.required)),
        smf,
        certificate_lifetime_s: issuance.map(|of| of.certificate_lifetime_seconds),
        checkpoint_interval_ms: issuance.map(|of| of.checkpoint_interval_ms),
        landmark_interval_s: issuance.map(|of| of.landmark_interval_seconds),
        remember_subtrees: trust.map(|trust| trust.remember_subtrees > 0),
        log_entries: None,
    }
}

fn named(admin: Vec<(Nf, Address)>) -> Vec<(String, Address)> {
    let named = |(nf, address): (Nf, Address)| (nf.as_str().to_owned(), address);
    admin.into_iter().map(named).collect()
}

fn read<T: serde::de::DeserializeOwned>(file: PathBuf) -> Result<T, JoinError> {
    load(&file).map_err(|source| JoinError::Config { file, source })
}

fn new_instance() -> PlannedInstance {
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
    use crate::topology::LabFolder;
    use experiment::scenario::Scenario;

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
        assert_eq!(generator.instances.len(), usize::from(mtc.lab.amf));
        let config: NfSection = load(&own.join("amf.toml")).expect("a configuration");
        let resolved = config.nf.resolve(&own).expect("a configuration that holds");
        assert_eq!(resolved.nrf.sbi.to_string(), made.nrf.sbi.to_string());
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
        let planned = &mtc.lab;
        let said = JoinedLab {
            smf: Some(planned.smf),
            certificate_lifetime_s: Some(planned.certificate_lifetime.as_secs()),
            checkpoint_interval_ms: Some(planned.checkpoint_interval.as_millis() as u64),
            landmark_interval_s: Some(planned.landmark_interval.as_secs()),
            remember_subtrees: Some(planned.remember_subtrees),
            witnesses: Some(planned.witnesses),
            require: Some(planned.require),
            log_entries: None,
        };
        assert_eq!(running.says(), &said);
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
        assert!(matches!(error, Some(JoinError::NoLab { .. })), "{error:?}");
    }
}
