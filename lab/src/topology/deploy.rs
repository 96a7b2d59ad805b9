//! A lab whose network functions run in containers: one folder per owner, so that each can be a volume mounted where it
//! belongs. What is in which is in docs/lab.md, "Labs for containers".
//!
//! The folders are on different file systems, so files are made in a private temporary folder and copied. The key of the
//! enrolment authority stays there and goes with it: what nobody holds cannot leak. `lab.toml` is written last and says that
//! the lab is whole.

use std::fs::DirBuilder;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use mtc_core::time::UnixTime;
use nf_nrf::baseline::ROOT_CERTIFICATE_FILE;
use nf_scp::config::{RoutingConfig, ScpConfig, WitnessConfig};
use sbi::address::Address;
use sbi::config::{NfConfig, NrfAddress, ReplicaConfig};
use serde::Serialize;
use uuid::Uuid;

use super::description::{AdminAddresses, DescribedIssuance, LabDescription};
use super::folder::{
    CA_ID, LabFolder, NfFile, NrfListens, PeersFile, SmfFile, id, instance_config, nf_template,
    profiles, witness_id, witness_ids,
};
use super::{FolderError, Plan, targets};
use crate::pki::{self, HOME_DOMAIN, LabPki, PkiError, PkiPlan, PlannedInstance};
use experiment::files::{PUBLIC, WriteError, sync_tree, write_whole_as};
use experiment::scenario::Nf;

mod pods;

pub use self::pods::{Cluster, NoAccount, SidecarAccount};

/// A year, as CA certificates: replicas may be added late.
const LIFETIME: Duration = Duration::from_secs(365 * 86_400);
const SBI_PORT: u16 = 7777;
const LOG_PORT: u16 = 7778;
const WITNESS_PORT: u16 = 7779;
const ADMIN_PORT: u16 = 9090;
/// Where a replica keeps its keys and certificates.
const REPLICA_STATE: &str = "/var/lib/mtc5g";
/// The last file that is written.
const DESCRIPTION: &str = "public/lab.toml";

/// Why a lab is not laid out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// Its PKI.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// Its configurations.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Containers and pods are made for one witness.
    #[error(
        "a lab that is laid out for containers has one witness, the SCP, and the scenario has more in [lab]; run it on one machine: \
         mtc5g run SCENARIO, or mtc5g lab up --scenario SCENARIO"
    )]
    Witnesses,
    /// A file.
    #[error("cannot {doing} {}", path.display())]
    Disk {
        /// What was attempted.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What the hosts of a deployed lab are called: by default as their network functions, replicas without their number.
///
/// ```text
///  default            nrf1.5gc.mnc001.mcc001.3gppnetwork.org, scp1..., peers1..., amf.5gc..., smf.5gc...    aliases of containers
///  "mtc5g.svc"        nrf.mtc5g.svc, scp.mtc5g.svc, peers.mtc5g.svc, amf.mtc5g.svc, smf.mtc5g.svc           Services of Kubernetes
/// ```
///
/// Certificates name the FQDN of TS 23.003 either way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    domain: Option<String>,
}

/// The text is no domain that hosts can be in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a domain: letters, digits, - and _ between dots, such as mtc5g.svc")]
pub struct NotADomain(String);

impl FromStr for Hosts {
    type Err = NotADomain;

    fn from_str(domain: &str) -> Result<Self, Self::Err> {
        let longest: Result<Address, _> = format!("nrf.{domain}:{LOG_PORT}").parse();
        longest.map_err(|_| NotADomain(domain.to_owned()))?;
        Ok(Self {
            domain: Some(domain.to_owned()),
        })
    }
}

impl Hosts {
    /// A port of the network function `nf`, of which there is one.
    fn one(&self, nf: &str, port: u16) -> Address {
        let number = if self.domain.is_none() { "1" } else { "" };
        self.host(&format!("{nf}{number}"), port)
    }

    /// A port of all replicas of the network function `nf`.
    fn all(&self, nf: &str, port: u16) -> Address {
        self.host(nf, port)
    }

    fn host(&self, host: &str, port: u16) -> Address {
        let domain = self.domain.as_deref().unwrap_or(HOME_DOMAIN);
        let address = format!("{host}.{domain}:{port}");
        address.parse().expect("a host of a checked domain")
    }
}

/// What has been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deployed {
    /// The lab was laid out.
    New,
    /// It was before, and nothing was changed.
    Before,
}

/// Lays out a lab on `hosts` for the plan's numbers of AMF and SMF replicas and so many load generators' instances. In a `cluster` replicas
/// are pods, of which there may be any number. Blocks on the disk.
///
/// # Errors
/// The plan breaks a rule of a configuration, or the disk refuses; then it can be done again.
pub fn deploy(
    folder: &Path,
    plan: &Plan,
    generators: u16,
    hosts: &Hosts,
    cluster: Option<&Cluster>,
    now: UnixTime,
) -> Result<Deployed, DeployError> {
    if folder.join(DESCRIPTION).exists() {
        return Ok(Deployed::Before);
    }
    if plan.lab.witnesses > 1 {
        return Err(DeployError::Witnesses);
    }
    let staging = std::env::temp_dir().join(format!("mtc5g-deploy-{}", Uuid::new_v4()));
    let laid_out = lay_out(folder, &staging, plan, generators, hosts, cluster, now);
    let removed = std::fs::remove_dir_all(&staging);
    laid_out?;
    removed.map_err(failed("remove", &staging))?;
    Ok(Deployed::New)
}

fn lay_out(
    folder: &Path,
    staging: &Path,
    plan: &Plan,
    generators: u16,
    hosts: &Hosts,
    cluster: Option<&Cluster>,
    now: UnixTime,
) -> Result<(), DeployError> {
    let nrf = NrfAddress {
        sbi: hosts.one("nrf", SBI_PORT),
        fqdn: pki::fqdn("NRF", 1),
        log: hosts.one("nrf", LOG_PORT).into(),
    };
    let witness = hosts.one("scp", WITNESS_PORT);
    let listen = NrfListens {
        sbi: any(SBI_PORT),
        log: any(LOG_PORT),
        admin: any(ADMIN_PORT),
    };
    let mut nrf_config = LabFolder::nrf_config(&nrf.fqdn, plan, vec![witness], listen);
    nrf_config.check().map_err(FolderError::from)?;
    let replicas = |nf_type: &str, count| -> Vec<PlannedInstance> {
        (1..=count)
            .map(|number| instance(nf_type, pki::fqdn(nf_type, number)))
            .collect()
    };
    // Pods need no tokens from us.
    let pool = |count| if cluster.is_some() { 0 } else { count };
    let (scp, amf, smf) = (
        replicas("SCP", 1),
        replicas("AMF", pool(plan.lab.amf)),
        replicas("SMF", pool(plan.lab.smf)),
    );
    let peers = [
        replicas("AUSF", plan.lab.ausf),
        replicas("UDM", plan.lab.udm),
        replicas("PCF", plan.lab.pcf),
    ]
    .concat();
    let load: Vec<PlannedInstance> = (1..=generators)
        .map(|number| instance("AMF", format!("load{number}.{HOME_DOMAIN}")))
        .collect();
    let pki_plan = PkiPlan {
        remember_subtrees: plan.lab.remember_subtrees,
        ca_id: id(CA_ID),
        witnesses: witness_ids(&plan.lab),
        required_witnesses: plan.lab.require.into(),
        prefix_url: Some(nrf.log.to_string()),
        instances: [&*scp, &*amf, &*smf, &*peers, &*load].concat(),
        x509_profiles: profiles(plan),
        ca_lifetime: LIFETIME,
        token_lifetime: LIFETIME,
    };
    DirBuilder::new()
        .mode(0o700)
        .create(staging)
        .map_err(failed("create", staging))?;
    let pki = LabPki::create(staging, &pki_plan, now)?;

    let owner = |name: &str| Owner(folder.join(name));
    let public = owner("public");
    public.copy("trust.toml", &pki.trust)?;
    public.copy("token-keys.json", &pki.token_key_set)?;
    public.copy("mtca/ca.pem", &pki.ca_pem)?;
    public.copy("mtca/ca.der", &pki.ca_der)?;
    public.copy("mtca/cosigner.pub", &staging.join("mtca/cosigner.pub"))?;
    // There is one, which is the SCP.
    let witness = &pki.witnesses[0];
    public.copy("mtca/witness.pub", &witness.public_key)?;
    let nrf_owner = owner("nrf");
    nrf_owner.copy("cosigner.key", &pki.cosigner_key)?;
    nrf_owner.copy("authority.pub", &pki.authority_public_key)?;
    let keys = std::fs::read_dir(&pki.token_keys).map_err(failed("read", &pki.token_keys))?;
    for file in keys {
        let file = file.map_err(failed("read", &pki.token_keys))?;
        let name = format!("token-keys/{}", file.file_name().to_string_lossy());
        nrf_owner.copy(&name, &file.path())?;
    }
    for ca in &pki.x509 {
        let name = format!("x509/{}", ca.profile);
        public.copy(
            &format!("{name}/{ROOT_CERTIFICATE_FILE}"),
            &ca.root_certificate,
        )?;
        let listed = std::fs::read_dir(&ca.folder).map_err(failed("read", &ca.folder))?;
        for file in listed {
            let file = file.map_err(failed("read", &ca.folder))?;
            let file_name = file.file_name();
            nrf_owner.copy(
                &format!("{name}/{}", file_name.to_string_lossy()),
                &file.path(),
            )?;
        }
    }
    nrf_config.trust = "../public/trust.toml".into();
    nrf_config.cosigner_key = "cosigner.key".into();
    nrf_config.enrolment_authority = "authority.pub".into();
    nrf_config.token_keys = Some("token-keys".into());
    nrf_config.state = "state".into();
    nrf_config.public = Some("../public".into());
    nrf_config.kubernetes = cluster.map(Cluster::nrf);
    nrf_owner.config("nrf.toml", &nrf_config)?;

    let scp_owner = owner("scp");
    scp_owner.copy("witness.key", &witness.key)?;
    scp_owner.tokens(staging, &scp, |instance| instance.instance_id.to_string())?;
    let template = |state: &str| NfConfig {
        trust: "../public/trust.toml".into(),
        x509: Some("../public/x509".into()),
        state: state.into(),
        admin: any(ADMIN_PORT),
        ..nf_template(plan, nrf.clone())
    };
    let mut nf = template("state");
    let instances = scp.iter();
    nf.instance = instances
        .map(|instance| instance_config(instance, any(SBI_PORT)))
        .collect();
    scp_owner.config(
        "scp.toml",
        &ScpConfig {
            nf,
            routing: RoutingConfig::default(),
            witness: WitnessConfig {
                listen: any(WITNESS_PORT),
                id: witness_id(1).to_string(),
                key: "witness.key".into(),
                state: "state/witness".into(),
                logs: vec![],
            },
        },
    )?;
    for (name, instances) in [("amf", &amf), ("smf", &smf)] {
        let owner = owner(name);
        owner.tokens(staging, instances, numbered)?;
        let mut nf = template(REPLICA_STATE);
        nf.replica = Some(match cluster {
            Some(_) => Cluster::replica(name, any(SBI_PORT)),
            None => ReplicaConfig {
                tokens: Some("tokens".into()),
                pod: None,
                listen: any(SBI_PORT),
            },
        });
        if name == Nf::Smf.as_str() && !peers.is_empty() {
            owner.config("smf.toml", &SmfFile::of(plan, nf))?;
        } else {
            owner.config(&format!("{name}.toml"), &NfFile { nf })?;
        }
    }
    let peers_admin = hosts.one(Nf::Peers.as_str(), ADMIN_PORT);
    let peers_admin = (!peers.is_empty()).then_some(peers_admin);
    if let Some(admin) = &peers_admin {
        let nf = NfConfig {
            share_ports: true,
            ..template("state")
        };
        let owner_of_peers = owner("peers");
        owner_of_peers.tokens(staging, &peers, |instance| instance.instance_id.to_string())?;
        let config = PeersFile::of(plan, nf, &peers, any(SBI_PORT));
        owner_of_peers.config("peers.toml", &config)?;
        // Its name has an address only where it runs, and Prometheus complains of others that it is to look up.
        let announced = targets::fixed(Nf::Peers.as_str(), admin);
        owner(targets::FOLDER).write("peers.json", PUBLIC, &announced)?;
    }
    owner("load").tokens(staging, &load, numbered)?;
    let description = LabDescription {
        tokens: "../load/tokens".into(),
        admin: AdminAddresses {
            nrf: hosts.one("nrf", ADMIN_PORT),
            scp: hosts.one("scp", ADMIN_PORT),
            amf: hosts.all("amf", ADMIN_PORT),
            smf: hosts.all("smf", ADMIN_PORT),
            peers: peers_admin,
        },
        targets: Some(Path::new("..").join(targets::FOLDER)),
        issuance: Some(DescribedIssuance::of(&nrf_config)),
        nf: NfConfig {
            trust: "trust.toml".into(),
            x509: Some("x509".into()),
            ..template("state")
        },
    };
    // Everything that it stands for first: whoever finds it finds the rest, after a power cut too.
    sync(folder)?;
    Owner(folder.to_owned()).config(DESCRIPTION, &description)?;
    sync(folder)
}

fn sync(folder: &Path) -> Result<(), DeployError> {
    let synced = sync_tree(folder).map(drop);
    synced.map_err(|WriteError { path, source }| failed("write", &path)(source))
}

const fn any(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
}

fn instance(nf_type: &str, fqdn: String) -> PlannedInstance {
    PlannedInstance {
        nf_type: nf_type.to_owned(),
        instance_id: Uuid::new_v4(),
        fqdn,
    }
}

/// The host part of the FQDN, its number with three digits, so that a pool is used in order.
fn numbered(instance: &PlannedInstance) -> String {
    let host = instance.fqdn.split('.').next().unwrap_or_default();
    let name = host.trim_end_matches(|c: char| c.is_ascii_digit());
    format!("{name}{:0>3}", &host[name.len()..])
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DeployError {
    let path = path.to_owned();
    move |source| DeployError::Disk {
        doing,
        path,
        source,
    }
}

/// A folder of one owner. What is in it already, from an attempt that was broken off, is replaced.
struct Owner(PathBuf);

impl Owner {
    /// Copies a file with its mode, and makes the folders that it needs.
    fn copy(&self, name: &str, from: &Path) -> Result<(), DeployError> {
        let bytes = std::fs::read(from).map_err(failed("read", from))?;
        let meta = std::fs::metadata(from).map_err(failed("read", from))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions());
        self.write(name, mode & 0o777, &bytes)
    }

    /// Copies the tokens of instances under names of their own.
    fn tokens(
        &self,
        staging: &Path,
        instances: &[PlannedInstance],
        name: impl Fn(&PlannedInstance) -> String,
    ) -> Result<(), DeployError> {
        instances.iter().try_for_each(|instance| {
            let from = staging.join(format!("tokens/{}.jwt", instance.instance_id));
            self.copy(&format!("tokens/{}.jwt", name(instance)), &from)
        })
    }

    fn config(&self, name: &str, config: &impl Serialize) -> Result<(), DeployError> {
        let text = toml::to_string_pretty(config).map_err(FolderError::from)?;
        self.write(name, PUBLIC, text.as_bytes())
    }

    fn write(&self, name: &str, mode: u32, bytes: &[u8]) -> Result<(), DeployError> {
        let path = self.0.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed("create", parent))?;
        }
        write_whole_as(&path, mode, bytes)
            .map_err(|WriteError { path, source }| failed("write", &path)(source))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use sbi::config::InstanceConfig;
    use sbi::model::NfType;

    use super::*;
    use crate::topology::{JoinError, RunningLab};
    use experiment::scenario::{SHIPPED, Scenario};

    const NOW: UnixTime = UnixTime(1_790_000_000);

    fn plan() -> Plan {
        let quick = SHIPPED.iter().find(|shipped| shipped.name == "quick");
        let text = quick.expect("a shipped scenario").text;
        Plan::of(&Scenario::parse(text).expect("a valid scenario"))
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries
            .map(|entry| entry.expect("an entry").path())
            .flat_map(|path| {
                if path.is_dir() {
                    files(&path)
                } else {
                    vec![path]
                }
            })
            .collect()
    }

    #[test]
    fn secrets_are_with_their_owners_alone_and_a_generator_can_join() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let lab = folder.path().join("lab");
        let plan = plan();
        assert_eq!(
            deploy(&lab, &plan, 20, &Hosts::default(), None, NOW).expect("a lab"),
            Deployed::New
        );
        let before = files(&lab);
        assert_eq!(
            deploy(&lab, &plan, 20, &Hosts::default(), None, NOW).expect("a lab"),
            Deployed::Before
        );
        assert_eq!(files(&lab), before, "nothing is made twice");

        for file in &before {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let is_secret = text.contains("PRIVATE KEY") || text.starts_with("eyJ");
            let mode = std::fs::metadata(file)
                .expect("a file")
                .permissions()
                .mode()
                & 0o777;
            assert_eq!(is_secret, mode == 0o600, "{} {mode:o}", file.display());
            assert!(
                !(is_secret && file.starts_with(lab.join("public"))),
                "{}",
                file.display()
            );
            let is_key = text.contains("PRIVATE KEY");
            assert!(
                !is_key || file.starts_with(lab.join("nrf")) || file.starts_with(lab.join("scp")),
                "{}",
                file.display()
            );
        }
        let pool = |name: &str| files(&lab.join(name).join("tokens")).len();
        assert_eq!(
            (pool("amf"), pool("smf"), pool("load")),
            (plan.lab.amf.into(), plan.lab.smf.into(), 20)
        );

        let running = RunningLab::open(&lab.join("public/lab.toml")).expect("a deployed lab");
        let planned = plan.lab.landmark_interval.as_secs();
        assert_eq!(running.says().landmark_interval_s, Some(planned));
        // Replicas come and go.
        assert_eq!(running.says().smf, None);
        let own = folder.path().join("own");
        let generator = running
            .generator(&plan, &own, NOW)
            .expect("tokens are left");
        assert_eq!(generator.instances.len(), usize::from(plan.lab.amf));
        assert!(generator.instances[0].fqdn.starts_with("load1."));
        let config = nf_amf::Config::load(&own.join("amf.toml")).expect("a configuration");
        assert!(config.nf.trust.is_file());
        assert_eq!(pool("load"), 20 - usize::from(plan.lab.amf));
    }

    #[test]
    fn hosts_may_be_called_otherwise_than_their_network_functions() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let lab = folder.path();
        let hosts: Hosts = "mtc5g.svc".parse().expect("a domain");
        deploy(lab, &plan(), 1, &hosts, None, NOW).expect("a lab");
        let nrf: nf_nrf::config::NrfConfig =
            sbi::config::load(&lab.join("nrf/nrf.toml")).expect("the NRF's");
        assert_eq!(nrf.fqdn, pki::fqdn("NRF", 1));
        assert_eq!(
            nrf.witness[0].submission_prefix.to_string(),
            "http://scp.mtc5g.svc:7779"
        );
        let text = std::fs::read_to_string(lab.join("amf/amf.toml")).expect("the AMF's");
        let amf: nf_amf::Config = toml::from_str(&text).expect("the AMF's");
        assert_eq!(amf.nf.nrf.sbi.to_string(), "nrf.mtc5g.svc:7777");
        assert_eq!(amf.nf.nrf.log.to_string(), "http://nrf.mtc5g.svc:7778");
        assert_eq!(amf.nf.nrf.fqdn, pki::fqdn("NRF", 1));
        let (_, admin) = RunningLab::admin_ports(&lab.join("public/lab.toml")).expect("a lab");
        let admin: Vec<String> = admin.iter().map(|(_, at)| at.to_string()).collect();
        let ports = ["nrf", "scp", "smf", "amf"].map(|nf| format!("{nf}.mtc5g.svc:9090"));
        assert_eq!(admin, ports);
        for wrong in ["", ".svc", "mtc5g.svc.", "a b", "http://nrf"] {
            assert!(wrong.parse::<Hosts>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn in_a_cluster_replicas_are_pods_and_take_no_tokens() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let token = folder.path().join("token");
        let claims = test_support::cluster::claims("init", "init-abcde");
        let signed = test_support::cluster::Cluster::new("one");
        let signed = signed.token(test_support::cluster::SignedBy::Rsa, &claims);
        std::fs::write(&token, signed).expect("written");
        let cluster = Cluster::of(&token).expect("a pod's token");
        let web = "shop/web".parse().expect("an account");
        let cluster = cluster.admitting(vec![web]);
        let lab = folder.path().join("lab");
        deploy(&lab, &plan(), 2, &Hosts::default(), Some(&cluster), NOW).expect("a lab");
        assert!(!lab.join("amf/tokens").exists() && !lab.join("smf/tokens").exists());
        assert_eq!(files(&lab.join("load/tokens")).len(), 2);
        let nrf: nf_nrf::config::NrfConfig =
            sbi::config::load(&lab.join("nrf/nrf.toml")).expect("the NRF's");
        let nrf = nrf.resolve(&lab.join("nrf")).expect("no rule is broken");
        let kubernetes = nrf.kubernetes.expect("pods may enrol");
        assert_eq!(kubernetes.issuer, test_support::cluster::ISSUER);
        let [replicas @ .., sidecar] = kubernetes.account.as_slice() else {
            panic!("there are accounts");
        };
        let names = (sidecar.namespace.as_str(), sidecar.name.as_str());
        assert_eq!(
            (names, sidecar.nf_type.as_str()),
            (("shop", "web"), "SIDECAR")
        );
        assert_eq!(replicas.len(), 2);
        for account in replicas {
            assert_eq!(account.namespace, "mtc5g");
            let file = lab.join(format!("{0}/{0}.toml", account.name));
            let text = std::fs::read_to_string(file).expect("written");
            let config: toml::Table = text.parse().expect("TOML");
            let replica: ReplicaConfig = config["nf"]["replica"].clone().try_into().expect("one");
            assert_eq!(replica.pod.expect("a pod").fqdn, account.fqdn);
        }
    }

    /// Such a scenario was refused.
    #[test]
    fn where_the_scenario_asks_for_procedures_there_are_peers() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (without, lab) = (folder.path().join("without"), folder.path().join("lab"));
        let procedures = SHIPPED.iter().find(|shipped| shipped.name == "procedures");
        let text = procedures.expect("a shipped scenario").text;
        let plan = Plan::of(&Scenario::parse(text).expect("a valid scenario"));
        deploy(&lab, &plan, 8, &Hosts::default(), None, NOW).expect("a lab");
        let peers = nf_peers::Config::load(&lab.join("peers/peers.toml")).expect("the peers'");
        let of = |nf_type: NfType| {
            let instances = peers.nf.instance.iter();
            let of_type = instances.filter(|instance| instance.nf_type.as_ref() == Some(&nf_type));
            of_type.count()
        };
        let [ausf, udm, pcf] = nf_peers::config::HOSTED.map(of);
        let planned = [plan.lab.ausf, plan.lab.udm, plan.lab.pcf].map(usize::from);
        assert_eq!([ausf, udm, pcf], planned);
        assert!(peers.nf.share_ports && ausf > 0);
        let has_token = |instance: &InstanceConfig| {
            let token = instance.token.as_ref();
            token.is_some_and(|token| token.is_file())
        };
        assert!(peers.nf.instance.iter().all(has_token));
        let text = std::fs::read_to_string(lab.join("smf/smf.toml")).expect("the SMF's");
        let smf: nf_smf::Config = toml::from_str(&text).expect("the SMF's");
        assert!(smf.smf.udm && smf.smf.pcf);
        let announced = targets::read(&lab.join(targets::FOLDER)).expect("a folder");
        let at = "peers1.5gc.mnc001.mcc001.3gppnetwork.org:9090".to_owned();
        assert_eq!(announced, [("peers".to_owned(), at.clone())]);
        let description = lab.join("public/lab.toml");
        let (_, admin) = RunningLab::admin_ports(&description).expect("a lab");
        let admin = admin.into_iter().find(|(nf, _)| nf == "peers");
        assert_eq!(admin.map(|(_, address)| address.to_string()), Some(at));
        // A generator that needs them finds out before it begins.
        let running = RunningLab::open(&description).expect("a lab");
        running.check(&plan).expect("all that it needs");
        let mut bare = plan.clone();
        (bare.lab.ausf, bare.lab.udm, bare.lab.pcf) = (0, 0, 0);
        deploy(&without, &bare, 8, &Hosts::default(), None, NOW).expect("a lab");
        assert!(!without.join("peers").exists());
        let running = RunningLab::open(&without.join("public/lab.toml")).expect("a lab");
        assert!(matches!(running.check(&plan), Err(JoinError::Peers)));
    }

    #[test]
    fn the_configurations_are_what_the_processes_read() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let lab = folder.path();
        deploy(lab, &plan(), 1, &Hosts::default(), None, NOW).expect("a lab");
        let nrf: nf_nrf::config::NrfConfig =
            sbi::config::load(&lab.join("nrf/nrf.toml")).expect("the NRF's");
        nrf.check().expect("a configuration that holds");
        let scp = ScpConfig::load(&lab.join("scp/scp.toml")).expect("the SCP's");
        assert!(
            scp.nf.instance[0]
                .token
                .as_ref()
                .is_some_and(|token| token.is_file())
        );
        // The state of a replica is at a path of the container, so no token is claimed here.
        let text = std::fs::read_to_string(lab.join("smf/smf.toml")).expect("the SMF's");
        let smf: nf_smf::Config = toml::from_str(&text).expect("the SMF's");
        assert_eq!(
            smf.nf.replica.and_then(|replica| replica.tokens),
            Some("tokens".into())
        );
    }
}
