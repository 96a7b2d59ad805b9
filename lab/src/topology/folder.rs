//! A lab's folder: PKI, one configuration per process, state and logs. docs/lab.md, "Files", has all of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mtc_core::id::TrustAnchorId;
use mtc_core::time::UnixTime;
use mtc_distributor::config::DistributorConfig;
use mtc_tls::key::{KeyAlgorithm, X509Profile};
use mtc_tls::profile::TrustDomain;
use nf_nrf::config::{NrfConfig, WitnessAddress};
use nf_scp::config::{RoutingConfig, ScpConfig, WitnessConfig, WitnessProcessConfig};
use sbi::access_token::TokenPolicy;
use sbi::address::Address;
use sbi::config::{ConfigError, InstanceConfig, NfConfig, NrfAddress, TlsConfig, WantedCredential};
use sbi::enrolment::MTC_PROFILE;
use sbi::limits::LimitsConfig;
use sbi::model::{NfType, PlmnId};
use serde::Serialize;
use uuid::Uuid;

use crate::pki::{self, LabPki, PkiError, PkiPlan, PlannedInstance};
use experiment::scenario::{FurtherWitness, LabPlan, MAX_WITNESSES, Nf, Scenario};

use super::{Addresses, targets};

pub(super) const CA_ID: &str = "32473.1";
/// The SCP's; those of further witnesses follow it.
const FIRST_WITNESS: u32 = 2;
/// A year: labs are thrown away before.
const CA_LIFETIME: Duration = Duration::from_secs(365 * 86_400);
/// A day: long enough to set a lab up by hand.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);
/// How often NFs of a lab look for new landmarks: a lab's landmarks follow each other within seconds.
const TRUST_INTERVAL: Duration = Duration::from_millis(250);
/// Where the distributor of a lab writes, if there is one.
const TRUSTED_SETS: &str = "sets";
const KEPT_SETS: usize = 16;
const LOG: &str = "log";
/// Logs of processes.
pub const LOGS: &str = "logs";
const NRF_STATE: &str = "state/nrf";
/// Where the NRF records which log is current.
const NRF_LOG_RECORD: &str = "state/nrf/issuance-logs.json";
const HEARTBEAT_SECONDS: u32 = 5;
const STARTUP_SECONDS: u64 = 60;
/// Instances of a process that give its start a second more: an enrolment and a registration are some milliseconds of processor at both
/// ends, in builds that are not optimised ten times that.
const INSTANCES_A_SECOND: u64 = 10;
/// Instances of a process for which it sends one heartbeat a second: where there are many, each opens a connection.
const HEARTBEATS_A_SECOND: u64 = 20;
const WITNESS_DEADLINE_SECONDS: u64 = 5;
/// For how long after its end a certificate may be renewed: the machine of a lab sleeps for a night.
const RENEW_EXPIRED_SECONDS: u64 = 12 * 3600;
const DISCOVERY_VALIDITY_SECONDS: u32 = 30;
const QUEUE: usize = 4096;
/// Where free ports are looked for: below those that Linux gives to outgoing connections, of which a loaded lab opens
/// hundreds a second.
const FREE_PORTS: Range<u16> = 10_000..32_000;
const PORT_ATTEMPTS: usize = 100;
/// Ports of every lab, see [`Ports::From`], and of each witness that is a process of its own.
const PORTS: usize = 8;
const PORTS_OF_WITNESS: usize = 2;

/// What a lab consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its network functions and their certificate authority.
    pub lab: LabPlan,
    /// Key algorithms of MTC credentials.
    pub mtc: Vec<KeyAlgorithm>,
    /// X.509 credentials.
    pub x509: Vec<(X509Profile, KeyAlgorithm)>,
    /// Where processes listen.
    pub ports: Ports,
    /// What network functions make of access tokens.
    pub access_tokens: TokenPolicy,
    /// Whether processes are ready only when their landmark-relative certificates are there.
    pub await_landmarks: bool,
    /// File that gets the secrets of all connections, absolute.
    pub key_log: Option<PathBuf>,
    /// How often SMFs and AUSFs use a connection to a UDM or a PCF before they open another one.
    pub connection_uses: u32,
}

/// Where the processes of a lab listen, on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Free ports.
    Free,
    /// From this port on: NRF SBI, NRF log, witness, then the admin ports of NRF, SCP, AMF, SMF and peers, then witness and admin
    /// port of each further witness; SBIs of the others take free ones.
    From(u16),
}

/// The first of these addresses that another process listens at. What else is wrong with one its own process says.
pub(super) fn first_in_use(addresses: impl IntoIterator<Item = SocketAddr>) -> Option<SocketAddr> {
    let is_in_use = |addr: &SocketAddr| {
        let bound = TcpListener::bind(addr);
        bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    };
    addresses.into_iter().find(is_in_use)
}

impl Plan {
    /// How many ports its processes have, but for those that they are given at their start.
    pub fn ports_needed(&self) -> usize {
        PORTS + PORTS_OF_WITNESS * FurtherWitness::of(self.lab.witnesses).count()
    }

    /// The first of its ports that another process uses; free ones are looked for when the lab is made.
    pub fn port_in_use(&self) -> Option<SocketAddr> {
        match self.ports {
            Ports::Free => None,
            Ports::From(first) => first_in_use(ports_from(first, self.ports_needed())),
        }
    }

    /// The lab that a scenario asks for.
    pub fn of(scenario: &Scenario) -> Self {
        let mut plan = Self {
            lab: scenario.lab.clone(),
            mtc: Vec::new(),
            x509: Vec::new(),
            ports: Ports::Free,
            access_tokens: scenario.access_tokens(),
            await_landmarks: true,
            key_log: None,
            connection_uses: scenario.load.connections.uses(),
        };
        for variant in &scenario.variants {
            let (mtc, x509) = match variant.authentication {
                TrustDomain::X509(profile) => (false, Some(profile)),
                TrustDomain::MtcLandmarkOr(profile) => (true, Some(profile)),
                TrustDomain::MtcLandmark
                | TrustDomain::MtcLandmarkStale
                | TrustDomain::MtcStandalone
                | TrustDomain::MtcStandaloneCa => (true, None),
            };
            let x509 = x509.map(|profile| (profile, variant.leaf_key));
            plan.x509
                .extend(x509.filter(|credential| !plan.x509.contains(credential)));
            if mtc && !plan.mtc.contains(&variant.leaf_key) {
                plan.mtc.push(variant.leaf_key);
            }
        }
        if plan.mtc.is_empty() {
            // The first certificate of every NF is an MTC, whatever the variants compare.
            plan.mtc.push(KeyAlgorithm::MlDsa65);
        }
        plan
    }

    /// Adds the credentials that other plans need, so that the lab serves them too.
    pub fn serve_also(&mut self, others: impl IntoIterator<Item = Self>) {
        for other in others {
            for leaf_key in other.mtc {
                if !self.mtc.contains(&leaf_key) {
                    self.mtc.push(leaf_key);
                }
            }
            for credential in other.x509 {
                if !self.x509.contains(&credential) {
                    self.x509.push(credential);
                }
            }
        }
    }

    /// What every network function of the lab must have.
    pub(super) fn credentials(&self) -> Vec<WantedCredential> {
        let mtc = self.mtc.iter().map(|leaf_key| WantedCredential {
            profile: MTC_PROFILE.to_owned(),
            leaf_key: leaf_key.to_string(),
        });
        let x509 = self
            .x509
            .iter()
            .map(|(profile, leaf_key)| WantedCredential {
                profile: TrustDomain::X509(*profile).to_string(),
                leaf_key: leaf_key.to_string(),
            });
        mtc.chain(x509).collect()
    }
}

/// Why a lab's folder cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The PKI.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A file.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A configuration cannot be encoded.
    #[error("a configuration cannot be encoded")]
    Encode(#[from] toml::ser::Error),
    /// The plan breaks a rule of a configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its processes run.
    #[error(
        "the lab in {0} is already running; load it with mtc5g run SCENARIO --lab {0}",
        path.display()
    )]
    Running {
        /// Its folder.
        path: PathBuf,
    },
    /// No port.
    #[error("no free port on 127.0.0.1")]
    Port(#[source] io::Error),
}

/// The configurations and logs of processes, by name: `DIR/<name>.toml`, `DIR/logs/<name>.log`.
#[derive(Clone, Debug)]
pub(super) struct ProcessFiles(PathBuf);

impl ProcessFiles {
    /// Makes the place for logs in `folder`, which exists.
    pub(super) fn create(folder: &Path) -> Result<Self, FolderError> {
        let logs = folder.join(LOGS);
        std::fs::create_dir_all(&logs)
            .map_err(|source| FolderError::Write { path: logs, source })?;
        Ok(Self(folder.to_owned()))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    pub(super) fn config(&self, name: &str) -> PathBuf {
        config_file(&self.0, name)
    }

    pub(super) fn targets(&self) -> PathBuf {
        self.0.join(targets::FOLDER)
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.0.join(LOGS).join(format!("{name}.log"))
    }

    /// The witnesses that have a configuration here. Blocks on the disk.
    pub(super) fn further_witnesses(&self) -> Vec<Nf> {
        let witnesses = FurtherWitness::of(MAX_WITNESSES).map(Nf::Witness);
        let has_config = |nf: &Nf| self.config(nf.as_str()).exists();
        witnesses.filter(has_config).collect()
    }

    pub(super) fn write_config(
        &self,
        name: &str,
        config: &impl Serialize,
    ) -> Result<(), FolderError> {
        let path = self.config(name);
        let text = toml::to_string_pretty(config)?;
        std::fs::write(&path, text).map_err(|source| FolderError::Write { path, source })
    }
}

/// The configuration of a process in a lab's folder.
pub(super) fn config_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.toml"))
}

/// A lab's folder.
#[derive(Clone, Debug)]
pub struct LabFolder {
    pub(super) path: PathBuf,
    pub(super) files: ProcessFiles,
    /// Where the NRF is.
    pub nrf: NrfAddress,
    /// The instances of the lab.
    pub instances: Vec<PlannedInstance>,
    /// The PKI.
    pub pki: LabPki,
}

impl LabFolder {
    /// Makes PKI and configurations in `path`. Blocks on the disk.
    ///
    /// # Errors
    /// There is a PKI already, the disk refuses, or no port is free.
    pub fn create(path: &Path, plan: &Plan, now: UnixTime) -> Result<Self, FolderError> {
        Self::create_at(path, plan, Addresses::LOOPBACK, now)
    }

    /// Writes the folder of a lab whose processes are at these addresses. Their admin ports are on their own hosts' loopbacks.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_at(
        path: &Path,
        plan: &Plan,
        addresses: Addresses,
        now: UnixTime,
    ) -> Result<Self, FolderError> {
        let ports = ports(plan)?;
        let (first, of_witnesses) = ports
            .split_first_chunk::<PORTS>()
            .expect("as many as are needed");
        let [
            sbi,
            log,
            witness,
            admin_nrf,
            admin_scp,
            admin_amf,
            admin_smf,
            admin_peers,
        ] = *first;
        let [sbi, log] = [sbi, log].map(|addr| addresses.at(Nf::Nrf, addr));
        let witness = addresses.at(Nf::Scp, witness);
        let of_witnesses = of_witnesses.as_chunks::<PORTS_OF_WITNESS>().0;
        let further: Vec<_> = FurtherWitness::of(plan.lab.witnesses)
            .zip(of_witnesses)
            .map(|(witness, [listen, admin])| {
                let listen = addresses.at(Nf::Witness(witness), *listen);
                (witness, witness_file(witness, listen, *admin))
            })
            .collect();
        let instances = instances(plan);
        let pki_plan = PkiPlan {
            remember_subtrees: plan.lab.remember_subtrees,
            ca_id: id(CA_ID),
            witnesses: witness_ids(&plan.lab),
            required_witnesses: plan.lab.require.into(),
            prefix_url: Some(format!("http://{log}")),
            instances: instances.clone(),
            x509_profiles: profiles(plan),
            ca_lifetime: CA_LIFETIME,
            token_lifetime: TOKEN_LIFETIME,
        };
        let nrf = NrfAddress {
            sbi: sbi.into(),
            fqdn: pki::fqdn("NRF", 1),
            log: log.into(),
        };
        let listen = NrfListens {
            sbi,
            log,
            admin: admin_nrf,
        };
        let listening = further.iter().map(|(_, file)| file.witness.listen);
        let listening = [witness].into_iter().chain(listening);
        let listening = listening.map(Address::from).collect();
        let nrf_config = Self::nrf_config(&nrf.fqdn, plan, listening, listen);
        // The NRF would refuse it at its start, when the PKI is made and the command long done.
        nrf_config.check()?;
        let pki = LabPki::create(path, &pki_plan, now)?;
        let folder = Self {
            path: path.to_owned(),
            files: ProcessFiles::create(path)?,
            nrf,
            instances,
            pki,
        };
        folder.files.write_config("nrf", &nrf_config)?;
        folder.files.write_config(
            "scp",
            &folder.scp_config(plan, addresses, witness, admin_scp),
        )?;
        for (witness, file) in &further {
            let name = Nf::Witness(*witness).as_str();
            folder.files.write_config(name, file)?;
        }
        if plan.lab.distribution.has_distributor() {
            let name = Nf::Distributor.as_str();
            folder
                .files
                .write_config(name, &folder.distributor_config())?;
        }
        folder.files.write_config(
            "amf",
            &NfFile {
                nf: folder.nf_config(plan, "AMF", addresses.of(Nf::Amf), admin_amf),
            },
        )?;
        let smf = folder.nf_config(plan, "SMF", addresses.of(Nf::Smf), admin_smf);
        if plan.lab.has_peers() {
            folder.files.write_config("smf", &SmfFile::of(plan, smf))?;
            let nf = NfConfig {
                state: "state/peers".into(),
                admin: admin_peers,
                ..nf_template(plan, folder.nrf.clone())
            };
            let nf = told_of_landmarks(plan, nf);
            let listen = SocketAddr::from((addresses.of(Nf::Peers), 0));
            let peers = PeersFile::of(plan, nf, &folder.instances, listen);
            folder.files.write_config(Nf::Peers.as_str(), &peers)?;
        } else {
            folder.files.write_config("smf", &NfFile { nf: smf })?;
        }
        Ok(folder)
    }

    /// Whether the lab has a distributor of landmarks. Blocks on the disk.
    pub(super) fn has_distributor(&self) -> bool {
        self.files.config(Nf::Distributor.as_str()).exists()
    }

    /// The configuration of the lab's distributor.
    fn distributor_config(&self) -> DistributorConfig {
        DistributorConfig {
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            trust: "trust.toml".into(),
            log: self.nrf.log.clone(),
            folder: TRUSTED_SETS.into(),
            state: "state/distributor".into(),
            interval_ms: TRUST_INTERVAL.as_millis() as u64,
            node: None,
            canary: 1.0,
            hold_seconds: 0,
            keep: KEPT_SETS,
            rollback_seconds: 3600,
            limits: LimitsConfig::default(),
            clock_offset_seconds: 0,
        }
    }

    /// Whether the lab has a process of AUSFs, UDMs and PCFs. Blocks on the disk.
    pub(super) fn has_peers(&self) -> bool {
        self.files.config(Nf::Peers.as_str()).exists()
    }

    /// The witnesses of the lab that are processes of their own. Blocks on the disk.
    pub(super) fn further_witnesses(&self) -> Vec<Nf> {
        self.files.further_witnesses()
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration of a process.
    pub fn config_file(&self, name: &str) -> PathBuf {
        self.files.config(name)
    }

    /// The log of a process.
    pub fn log_file(&self, name: &str) -> PathBuf {
        self.files.log(name)
    }

    /// Whether an issuance log was created; it may be lost, or another one may be current now.
    pub fn has_log(&self) -> bool {
        [LOG, NRF_LOG_RECORD]
            .iter()
            .any(|name| self.path.join(name).exists())
    }

    pub(super) fn nrf_config(
        fqdn: &str,
        plan: &Plan,
        witnesses: Vec<Address>,
        listen: NrfListens,
    ) -> NrfConfig {
        let witnesses = witness_ids(&plan.lab).into_iter().zip(witnesses);
        let witness = witnesses.map(|(id, address)| WitnessAddress {
            id: id.to_string(),
            submission_prefix: address.into(),
            monitoring_prefix: None,
            mirror: false,
        });
        NrfConfig {
            id: Uuid::new_v4(),
            fqdn: fqdn.to_owned(),
            listen: listen.sbi,
            cleartext: None,
            acme: None,
            cmp: None,
            kubernetes: None,
            log_listen: listen.log,
            admin: listen.admin,
            trust: "trust.toml".into(),
            cosigner_key: "mtca/cosigner.key".into(),
            log: PathBuf::from(LOG).into(),
            object_store: None,
            public: None,
            retire_failed_log: false,
            state: NRF_STATE.into(),
            enrolment_authority: "enrolment/authority.pub".into(),
            token_keys: Some("token-keys".into()),
            // Discovery is authorised by the certificate too, and network functions of other projects discover without a token.
            access_tokens: match plan.access_tokens {
                TokenPolicy::Off => TokenPolicy::Off,
                TokenPolicy::Optional | TokenPolicy::Required => TokenPolicy::Optional,
            },
            client_credentials: plan.lab.client_credentials,
            access_token_lifetime_seconds: plan.lab.token_lifetime.as_secs(),
            x509: Some("x509".into()),
            status_lifetime_seconds: plan.lab.status_lifetime.as_secs(),
            credential: plan.credentials(),
            plmn: PlmnId::new("001", "01").expect("the test network"),
            country: pki::COUNTRY.to_owned(),
            certificate_lifetime_seconds: plan.lab.certificate_lifetime.as_secs(),
            checkpoint_interval_ms: plan.lab.checkpoint_interval.as_millis() as u64,
            revocation_list_lifetime_seconds: 3600,
            landmark_interval_seconds: plan.lab.landmark_interval.as_secs().max(1),
            preload: plan.lab.preload,
            queue: QUEUE,
            witness_deadline_seconds: WITNESS_DEADLINE_SECONDS,
            required_witnesses: plan.lab.require.into(),
            witness: witness.collect(),
            trust_interval_ms: TRUST_INTERVAL.as_millis() as u64,
            discovery_validity_seconds: DISCOVERY_VALIDITY_SECONDS,
            renew_expired_seconds: RENEW_EXPIRED_SECONDS,
            startup_seconds: STARTUP_SECONDS,
            await_landmarks: false,
            key_log: plan.key_log.clone(),
            clock_offset_seconds: 0,
            tls: TlsConfig::default(),
            limits: LimitsConfig::default(),
        }
    }

    fn scp_config(
        &self,
        plan: &Plan,
        addresses: Addresses,
        witness: SocketAddr,
        admin: SocketAddr,
    ) -> ScpConfig {
        ScpConfig {
            nf: self.nf_config(plan, "SCP", addresses.of(Nf::Scp), admin),
            routing: RoutingConfig::default(),
            witness: witness_config(1, witness),
        }
    }

    fn nf_config(
        &self,
        plan: &Plan,
        nf_type: &str,
        address: Ipv4Addr,
        admin: SocketAddr,
    ) -> NfConfig {
        let instances = self
            .instances
            .iter()
            .filter(|instance| instance.nf_type == nf_type);
        let listen = SocketAddr::from((address, 0));
        let instances: Vec<_> = instances.collect();
        let upgraded = plan.lab.upgraded.map(|share| share.of(instances.len()));
        let config = NfConfig {
            state: format!("state/{}", nf_type.to_ascii_lowercase()).into(),
            admin,
            instance: instances
                .into_iter()
                .enumerate()
                .map(|(number, instance)| InstanceConfig {
                    upgraded: upgraded.is_none_or(|upgraded| number < upgraded),
                    ..instance_config(instance, listen)
                })
                .collect(),
            ..nf_template(plan, self.nrf.clone())
        };
        let config = told_of_landmarks(plan, config);
        if config.is_large() {
            of_many(config)
        } else {
            config
        }
    }
}

/// The configuration of a witness that is a process of its own.
fn witness_file(
    witness: FurtherWitness,
    listen: SocketAddr,
    admin: SocketAddr,
) -> WitnessProcessConfig {
    WitnessProcessConfig {
        admin,
        trust: "trust.toml".into(),
        clock_offset_seconds: 0,
        limits: LimitsConfig::default(),
        witness: witness_config(witness.number(), listen),
    }
}

/// The witness of a number; the first is the SCP's.
fn witness_config(number: u8, listen: SocketAddr) -> WitnessConfig {
    let folder = pki::witness_folder(number.into());
    WitnessConfig {
        listen,
        id: witness_id(number).to_string(),
        key: format!("{folder}/{}", pki::WITNESS_KEY).into(),
        state: format!("state/{folder}").into(),
        logs: vec![],
    }
}

/// The cosigner ID of the witness of a number.
pub(super) fn witness_id(number: u8) -> TrustAnchorId {
    id(&format!("32473.{}", FIRST_WITNESS + u32::from(number) - 1))
}

/// The cosigner IDs of a lab's witnesses.
pub(super) fn witness_ids(lab: &LabPlan) -> Vec<TrustAnchorId> {
    (1..=lab.witnesses).map(witness_id).collect()
}

/// What the configurations of all network functions but the NRF share; instances, state and admin port are each one's own.
pub(super) fn nf_template(plan: &Plan, nrf: NrfAddress) -> NfConfig {
    NfConfig {
        trust: "trust.toml".into(),
        x509: Some("x509".into()),
        state: "state".into(),
        admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        nrf,
        credential: plan.credentials(),
        trusted_sets: None,
        trust_on_demand_ms: None,
        trust_interval_ms: TRUST_INTERVAL.as_millis() as u64,
        heartbeat_seconds: HEARTBEAT_SECONDS,
        startup_seconds: STARTUP_SECONDS,
        await_landmarks: plan.await_landmarks,
        key_log: plan.key_log.clone(),
        clock_offset_seconds: 0,
        tls: TlsConfig::default(),
        access_tokens: plan.access_tokens,
        client_credentials: plan.lab.client_credentials,
        limits: LimitsConfig::default(),
        share_ports: false,
        instance: Vec::new(),
        replica: None,
        took_token: false,
    }
}

/// What a process has by the way in which the lab distributes landmarks.
fn told_of_landmarks(plan: &Plan, config: NfConfig) -> NfConfig {
    let distribution = plan.lab.distribution;
    NfConfig {
        trusted_sets: distribution.has_distributor().then(|| TRUSTED_SETS.into()),
        trust_interval_ms: distribution.interval(TRUST_INTERVAL).as_millis() as u64,
        trust_on_demand_ms: distribution
            .on_demand(TRUST_INTERVAL)
            .map(|pause| pause.as_millis() as u64),
        ..config
    }
}

/// What a process of many instances has instead: one port for all, time to start, and heartbeats that cost little.
fn of_many(config: NfConfig) -> NfConfig {
    let instances = config.instance.len() as u64;
    let heartbeat = u32::try_from(instances / HEARTBEATS_A_SECOND).unwrap_or(u32::MAX);
    NfConfig {
        share_ports: true,
        startup_seconds: startup_seconds(instances),
        heartbeat_seconds: config.heartbeat_seconds.max(heartbeat),
        ..config
    }
}

/// How long the start of a process of so many instances may take.
pub(super) const fn startup_seconds(instances: u64) -> u64 {
    STARTUP_SECONDS + instances / INSTANCES_A_SECOND
}

/// The X.509 baselines of a plan, each once.
pub(super) fn profiles(plan: &Plan) -> Vec<X509Profile> {
    let mut profiles: Vec<X509Profile> = plan.x509.iter().map(|(profile, _)| *profile).collect();
    profiles.sort_unstable();
    profiles.dedup();
    profiles
}

/// Where the NRF listens.
pub(super) struct NrfListens {
    pub(super) sbi: SocketAddr,
    pub(super) log: SocketAddr,
    pub(super) admin: SocketAddr,
}

/// An instance that listens there, with its token where the PKI puts tokens.
pub(super) fn instance_config(instance: &PlannedInstance, listen: SocketAddr) -> InstanceConfig {
    InstanceConfig {
        nf_type: None,
        id: instance.instance_id,
        fqdn: instance.fqdn.clone(),
        listen: Some(listen),
        token: Some(format!("tokens/{}.jwt", instance.instance_id).into()),
        upgraded: true,
    }
}

/// A configuration that has nothing but what every NF has.
#[derive(Serialize)]
pub(super) struct NfFile {
    pub(super) nf: NfConfig,
}

/// The configuration of SMFs in a lab with peers.
#[derive(Serialize)]
pub(super) struct SmfFile {
    nf: NfConfig,
    smf: SmfSection,
}

#[derive(Serialize)]
struct SmfSection {
    udm: bool,
    pcf: bool,
    connection_uses: u32,
}

impl SmfFile {
    pub(super) fn of(plan: &Plan, nf: NfConfig) -> Self {
        let smf = SmfSection {
            udm: plan.lab.udm > 0,
            pcf: plan.lab.pcf > 0,
            connection_uses: plan.connection_uses,
        };
        Self { nf, smf }
    }
}

/// The configuration of AUSFs, UDMs and PCFs.
#[derive(Serialize)]
pub(super) struct PeersFile {
    nf: NfConfig,
    peers: PeersSection,
}

impl PeersFile {
    /// A process of those of `planned` that are of such a type.
    pub(super) fn of(
        plan: &Plan,
        nf: NfConfig,
        planned: &[PlannedInstance],
        listen: SocketAddr,
    ) -> Self {
        let of_peers = |planned: &&PlannedInstance| {
            let nf_type = NfType::from(planned.nf_type.as_str());
            nf_peers::config::HOSTED.contains(&nf_type)
        };
        let instance = planned
            .iter()
            .filter(of_peers)
            .map(|planned| InstanceConfig {
                nf_type: Some(planned.nf_type.as_str().into()),
                ..instance_config(planned, listen)
            });
        Self {
            nf: NfConfig {
                instance: instance.collect(),
                ..nf
            },
            peers: PeersSection {
                connection_uses: plan.connection_uses,
            },
        }
    }
}

#[derive(Serialize)]
struct PeersSection {
    connection_uses: u32,
}

pub(super) fn id(text: &str) -> TrustAnchorId {
    text.parse().expect("a constant that is a trust anchor ID")
}

fn instances(plan: &Plan) -> Vec<PlannedInstance> {
    let of = |nf_type: &'static str, count: u16| {
        (1..=count).map(move |number| PlannedInstance {
            nf_type: nf_type.to_owned(),
            instance_id: Uuid::new_v4(),
            fqdn: pki::fqdn(nf_type, number),
        })
    };
    of("SCP", 1)
        .chain(of("AMF", plan.lab.amf))
        .chain(of("SMF", plan.lab.smf))
        .chain(of("AUSF", plan.lab.ausf))
        .chain(of("UDM", plan.lab.udm))
        .chain(of("PCF", plan.lab.pcf))
        .collect()
}

fn ports_from(first: u16, count: usize) -> Vec<SocketAddr> {
    let ports = (0..count).map(|n| first.saturating_add(n as u16));
    let addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    addresses.collect()
}

/// The addresses that a lab needs. Another process may take one before ours does, which its process then says.
fn ports(plan: &Plan) -> Result<Vec<SocketAddr>, FolderError> {
    let count = plan.ports_needed();
    let mut taken = match plan.ports {
        Ports::From(first) => return Ok(ports_from(first, count)),
        Ports::Free => io::ErrorKind::AddrInUse.into(),
    };
    for _ in 0..PORT_ATTEMPTS {
        let random = Uuid::new_v4().as_u128() % FREE_PORTS.len() as u128;
        let candidates = ports_from(FREE_PORTS.start + random as u16, count);
        let is_free = |addr: &SocketAddr| TcpListener::bind(addr).map(drop);
        match candidates.iter().try_for_each(is_free) {
            Ok(()) => return Ok(candidates),
            Err(error) => taken = error,
        }
    }
    Err(FolderError::Port(taken))
}
