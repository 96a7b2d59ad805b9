//! Where and with what a result was measured: without it no two results can be compared.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

/// Stands wherever the machine or the build does not tell.
const UNKNOWN: &str = "unknown";
/// The network where nothing says otherwise.
pub const LOOPBACK: &str = "loopback of one machine";
/// Tells a command what link `mtc5g link` has given its host.
pub const LINK_VARIABLE: &str = "MTC5G_LINK";
/// The revision of the MTC draft whose formats are spoken.
const DRAFT: &str = "draft-ietf-plants-merkle-tree-certs-07";
/// Object identifiers of the certificates: revisions and experiments differ in them.
const OIDS: [(&str, &str); 4] = [
    ("id-alg-mtcProof", "1.3.6.1.5.5.7.6.67"),
    ("id-rdna-trustAnchorID", "1.3.6.1.5.5.7.25.3"),
    (
        "id-pe-mtcCertificationAuthority-SHA256",
        "1.3.6.1.5.5.7.1.38",
    ),
    ("id-alg-unsigned", "1.3.6.1.5.5.7.6.36"),
];

/// Everything about a run that is not in its scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// CPU model name.
    pub cpu: String,
    /// Logical processors this process may use.
    pub cores: usize,
    /// Memory of the machine in bytes, 0 when unknown.
    pub memory_bytes: u64,
    /// Frequency governor of the first processor.
    pub governor: String,
    /// Kernel name, release and version.
    pub kernel: String,
    /// Operating system.
    pub os: String,
    /// Congestion control of new TCP connections.
    pub tcp_congestion_control: String,
    /// Version of `mtc5g`.
    pub mtc5g: String,
    /// Git commit the binary was built from; ends in `-dirty` when sources differed from it.
    pub revision: String,
    /// Compiler.
    pub rustc: String,
    /// `release`, or `debug` with assertions on.
    pub profile: String,
    /// Versions of the libraries that decide the figures.
    pub libraries: BTreeMap<String, String>,
    /// Revision of the Merkle Tree Certificates draft.
    pub draft: String,
    /// Object identifiers in use.
    pub oids: BTreeMap<String, String>,
    /// What the network between the network functions was.
    pub network: String,
}

impl Environment {
    /// Describes this machine and this binary.
    pub fn detect() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        let line = |path: &str| known(read(path).map(|text| text.trim().to_owned()));
        let kernel = ["ostype", "osrelease", "version"]
            .map(|file| line(&format!("/proc/sys/kernel/{file}")));
        Self {
            cpu: known(read("/proc/cpuinfo").as_deref().and_then(cpu_model)),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: read("/proc/meminfo")
                .as_deref()
                .and_then(memory_bytes)
                .unwrap_or_default(),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            kernel: kernel.join(" "),
            os: known(read("/etc/os-release").as_deref().and_then(os_name)),
            tcp_congestion_control: line("/proc/sys/net/ipv4/tcp_congestion_control"),
            mtc5g: env!("CARGO_PKG_VERSION").to_owned(),
            revision: known(option_env!("MTC5G_REVISION")),
            rustc: known(option_env!("MTC5G_RUSTC")),
            profile: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            }
            .to_owned(),
            libraries: libraries(),
            draft: DRAFT.to_owned(),
            oids: OIDS
                .map(|(name, oid)| (name.to_owned(), oid.to_owned()))
                .into(),
            network: LOOPBACK.to_owned(),
        }
    }

    /// The network is that between processes that were only watched, wherever they are.
    pub fn as_observed(self) -> Self {
        Self {
            network: "that between the observed processes; what is said of machine and build is the observer's".to_owned(),
            ..self
        }
    }

    /// The network is that of a lab which was deployed elsewhere; of its links this host knows its own.
    pub fn as_deployed(self) -> Self {
        let link = std::env::var(LINK_VARIABLE).ok();
        let network = match link.filter(|link| !link.is_empty()) {
            Some(link) => {
                format!("that of the deployed lab; emulated link of the load generator: {link}")
            }
            None => "that of the deployed lab".to_owned(),
        };
        Self { network, ..self }
    }
}

fn known(text: Option<impl Into<String>>) -> String {
    text.map(Into::into)
        .filter(|text: &String| !text.is_empty())
        .unwrap_or_else(|| UNKNOWN.to_owned())
}

/// The build script writes `name=version name=version ...`.
fn libraries() -> BTreeMap<String, String> {
    let versions = env!("MTC5G_LIBRARIES")
        .split_whitespace()
        .filter_map(|library| library.split_once('='));
    versions
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

/// `model name` on x86; ARM kernels give numbers only, which tell more than nothing.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    let field = |name: &str| {
        let value = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
        value.map(|value| value.trim().to_owned())
    };
    field("model name").or_else(|| {
        Some(format!(
            "implementer {} part {}",
            field("CPU implementer")?,
            field("CPU part")?
        ))
    })
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let kibibytes = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))?;
    kibibytes.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn os_name(os_release: &str) -> Option<String> {
    let value = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernel_s_files() {
        assert_eq!(
            cpu_model("processor\t: 0\nmodel name\t: AMD EPYC 9R14\n").as_deref(),
            Some("AMD EPYC 9R14")
        );
        assert_eq!(
            cpu_model("CPU implementer\t: 0x41\nCPU part\t: 0xd40\n").as_deref(),
            Some("implementer 0x41 part 0xd40")
        );
        assert_eq!(
            memory_bytes("MemTotal:        2048 kB\nMemFree: 1 kB\n"),
            Some(2_097_152)
        );
        assert_eq!(
            os_name("ID=debian\nPRETTY_NAME=\"Debian 13\"\n").as_deref(),
            Some("Debian 13")
        );
    }

    #[test]
    fn what_is_not_told_is_unknown() {
        assert_eq!(known(cpu_model("nothing here")), "unknown");
        assert_eq!(known(Some("")), "unknown");
        assert_eq!(memory_bytes("MemTotal: many kB"), None);
    }

    #[test]
    fn a_build_of_the_workspace_knows_its_libraries_and_compiler() {
        let environment = Environment::detect();
        assert!(
            environment.libraries["rustls"].starts_with("0.23."),
            "{:?}",
            environment.libraries
        );
        assert!(
            environment.rustc.starts_with("rustc "),
            "{}",
            environment.rustc
        );
        assert!(environment.cores >= 1);
    }
}
