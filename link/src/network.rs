//! Hosts on this machine and the links between them.

use std::io;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tappers::{Interface, Tun};

use crate::forwarder::{Carried, Forwarder};
use crate::namespace::Namespace;
use crate::settings::LinkSettings;

/// A network of private addresses (RFC 1918) that exists nowhere outside the hosts' namespaces.
const NETWORK: [u8; 3] = [10, 77, 0];
const DEVICE: &str = "link0";
/// As many hosts as the last octet tells apart.
const MAX_HOSTS: usize = 254;
/// Packets that the kernel keeps while the forwarder does not read; a slow start's largest burst fits many times.
const DEVICE_QUEUE: u32 = 4096;
/// Later connections must not start with what earlier ones learned about the path: every handshake is a first one.
const FORGET_PATHS: &str = "/proc/sys/net/ipv4/tcp_no_metrics_save";
const CONGESTION_CONTROLS: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Not allowed to.
    #[error(
        "[link] needs network namespaces and TUN devices, which this user may not create: run as root (in a container: \
         --cap-add NET_ADMIN --cap-add SYS_ADMIN --device /dev/net/tun), or remove [link] to use the loopback, which \
         cannot show round trips"
    )]
    Privileges(#[source] io::Error),
    /// No TUN device.
    #[error(
        "[link] needs TUN devices, and /dev/net/tun cannot be used: load the kernel module (modprobe tun), or give the \
         container the device (--device /dev/net/tun)"
    )]
    Tun(#[source] io::Error),
    /// No `ip`.
    #[error("[link] needs the command ip: install iproute2")]
    NoIpCommand(#[source] io::Error),
    /// The kernel does not have it.
    #[error("[link] congestion_control {wanted:?} is not in this kernel, which has: {available}")]
    CongestionControl {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// Too many.
    #[error("a network has at most {MAX_HOSTS} hosts, not {0}")]
    TooManyHosts(usize),
    /// A command about a device failed.
    #[error("ip {arguments}: {said}")]
    Ip {
        /// The command's arguments.
        arguments: String,
        /// What it printed.
        said: String,
    },
    /// Anything else that the system refuses.
    #[error("cannot {doing}")]
    System {
        /// What was attempted.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// One of the hosts: a network stack with one address.
#[derive(Clone, Debug)]
pub struct Host {
    /// What it is called.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its network stack.
    pub namespace: Arc<Namespace>,
}

/// Hosts, each two of them connected by a link of their own. Dropping it cuts the links.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<Host>,
    settings: LinkSettings,
    forwarder: Forwarder,
}

impl Network {
    /// Makes hosts with these names and connects them. `seed` decides about loss and jitter. Blocks.
    ///
    /// # Errors
    /// [`LinkError`], with what to do about it.
    pub fn new(names: &[&str], settings: &LinkSettings, seed: u64) -> Result<Self, LinkError> {
        if names.len() > MAX_HOSTS {
            return Err(LinkError::TooManyHosts(names.len()));
        }
        check_congestion_control(&settings.congestion_control)?;
        let mut hosts = Vec::new();
        let mut devices = Vec::new();
        for (name, number) in names.iter().zip(1..) {
            let [a, b, c] = NETWORK;
            let address = Ipv4Addr::new(a, b, c, number);
            let namespace = Namespace::new().map_err(|source| match source.kind() {
                io::ErrorKind::PermissionDenied => LinkError::Privileges(source),
                _ => system("make a network namespace")(source),
            })?;
            devices.push((address, open_device(&namespace)?));
            configure(&namespace, address, settings)?;
            hosts.push(Host {
                name: (*name).to_owned(),
                address,
                namespace: Arc::new(namespace),
            });
        }
        let forwarder = Forwarder::start(devices, settings, seed)
            .map_err(system("start the thread that carries packets"))?;
        Ok(Self {
            hosts,
            settings: settings.clone(),
            forwarder,
        })
    }

    /// The hosts, in the order of their names when the network was made.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host with a name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// What the links are to be like.
    pub const fn settings(&self) -> &LinkSettings {
        &self.settings
    }

    /// What the links have carried so far.
    pub fn carried(&self) -> Carried {
        self.forwarder.carried()
    }
}

fn open_device(namespace: &Namespace) -> Result<Tun, LinkError> {
    let opened = namespace.run(|| Tun::new_named(Interface::new(DEVICE)?));
    opened.map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => LinkError::Privileges(source),
        _ => LinkError::Tun(source),
    })
}

fn configure(
    namespace: &Namespace,
    address: Ipv4Addr,
    settings: &LinkSettings,
) -> Result<(), LinkError> {
    let LinkSettings {
        mtu,
        initcwnd,
        congestion_control,
        ..
    } = settings;
    let [a, b, c] = NETWORK;
    for arguments in [
        "link set lo up".to_owned(),
        format!("address add {address}/32 dev {DEVICE}"),
        format!("link set {DEVICE} mtu {mtu} txqueuelen {DEVICE_QUEUE} up"),
        format!(
            "route add {a}.{b}.{c}.0/24 dev {DEVICE} src {address} initcwnd {initcwnd} congctl {congestion_control}"
        ),
    ] {
        ip(namespace, &arguments)?;
    }
    namespace
        .run(|| std::fs::write(FORGET_PATHS, "1"))
        .map_err(system("set net.ipv4.tcp_no_metrics_save"))
}

fn ip(namespace: &Namespace, arguments: &str) -> Result<(), LinkError> {
    let output = namespace.run(|| {
        Command::new("ip")
            .args(arguments.split(' '))
            .stdin(Stdio::null())
            .output()
    });
    let output = output.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LinkError::NoIpCommand(source),
        _ => system("run ip")(source),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if said.contains("Operation not permitted") {
        let source = io::Error::new(io::ErrorKind::PermissionDenied, said);
        return Err(LinkError::Privileges(source));
    }
    Err(LinkError::Ip {
        arguments: arguments.to_owned(),
        said,
    })
}

fn check_congestion_control(wanted: &str) -> Result<(), LinkError> {
    let available = std::fs::read_to_string(CONGESTION_CONTROLS)
        .map_err(system("read which congestion controls the kernel has"))?;
    if available.split_whitespace().any(|name| name == wanted) {
        return Ok(());
    }
    Err(LinkError::CongestionControl {
        wanted: wanted.to_owned(),
        available: available.trim().to_owned(),
    })
}

fn system(doing: &'static str) -> impl Fn(io::Error) -> LinkError {
    move |source| LinkError::System { doing, source }
}
