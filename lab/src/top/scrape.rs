//! Asking every process of a lab for its metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::Method;
use mtc_core::causes::Causes;
use sbi::address::Address;
use sbi::client::{ClientError, Connection, Request};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::text::{NoSample, Samples};
use crate::topology::{JoinError, RunningLab, targets};

/// Stands for the kind of a process that was not announced.
pub const UNNAMED: &str = "nf";
/// How long a process may take, and the lookup of a name.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// Where the admin ports of a lab are found, each time anew: processes come and go.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Folder of files that announce them.
    pub targets: Option<PathBuf>,
    /// What they are and where; a name may stand for several.
    pub addresses: Vec<(String, Address)>,
}

impl Places {
    /// Those of a lab: its folder, or the `lab.toml` of a deployed one. Both what announces itself and what is configured,
    /// since processes that were started by hand do not announce themselves. Blocks on the disk.
    ///
    /// # Errors
    /// It is neither.
    pub fn of_lab(lab: &Path) -> Result<Self, JoinError> {
        let announced = lab.join(targets::FOLDER);
        match RunningLab::admin_ports(lab) {
            Ok((targets, addresses)) => Ok(Self { targets, addresses }),
            // The folder of a generator beside a lab has no configurations of one.
            Err(_) if announced.is_dir() => Ok(Self {
                targets: Some(announced),
                addresses: Vec::new(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Those of a lab by the URL of its `lab.toml`.
    ///
    /// # Errors
    /// It is not one.
    pub async fn at(url: &str) -> Result<Self, JoinError> {
        Ok(Self {
            targets: None,
            addresses: RunningLab::admin_ports_at(url).await?,
        })
    }

    /// All that can be found now, each once: what a process announces of itself comes before what was configured.
    pub(crate) async fn find(&self) -> BTreeMap<SocketAddr, String> {
        let mut resolving = JoinSet::new();
        for (nf, address) in &self.addresses {
            let (nf, address) = (nf.clone(), address.clone());
            resolving.spawn(async move {
                let resolved = timeout(TIMEOUT, address.resolve_all()).await;
                // A name without an address is a network function without a replica.
                let resolved = resolved.ok().and_then(Result::ok).unwrap_or_default();
                resolved.into_iter().map(move |addr| (addr, nf.clone()))
            });
        }
        let resolved = resolving.join_all().await.into_iter().flatten();
        let mut found: BTreeMap<SocketAddr, String> = resolved.collect();
        // A folder that is gone is a lab that is gone.
        let announced = self.targets.as_ref().map(|folder| targets::read(folder));
        for (nf, target) in announced.into_iter().flatten().flatten() {
            found.extend(target.parse().ok().map(|addr| (addr, nf)));
        }
        found
    }
}

/// The samples of all processes at one moment.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// When.
    pub at: Instant,
    /// Unix time of that, in seconds.
    pub unix: f64,
    /// Each process.
    pub processes: Vec<Process>,
}

/// The samples of one process.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// What it is: `nrf`, `scp`, `amf`, `smf`, `load`.
    pub nf: String,
    /// Its admin port.
    pub addr: String,
    /// Its metrics, or why there are none.
    pub samples: Result<Samples, String>,
}

#[derive(Debug, thiserror::Error)]
enum ScrapeError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Sample(#[from] NoSample),
}

/// Asks every process that `places` names. Takes as long as the slowest, and no longer than a few seconds.
pub async fn scrape(places: &Places) -> Scrape {
    let found = places.find().await;
    // Before the slowest has answered: what the others say is of now.
    let (at, now) = (Instant::now(), SystemTime::now());
    let mut asking = JoinSet::new();
    for (addr, nf) in found {
        asking.spawn(async move {
            let samples = ask(addr).await.map_err(|error| Causes(&error).to_string());
            let is_told = nf != UNNAMED;
            let nf_type = samples.as_ref().ok().and_then(nf_type).filter(|_| !is_told);
            Process {
                nf: nf_type.unwrap_or(nf),
                addr: addr.to_string(),
                samples,
            }
        });
    }
    let mut processes = asking.join_all().await;
    processes.sort_by(|a, b| (rank(&a.nf), &a.nf, &a.addr).cmp(&(rank(&b.nf), &b.nf, &b.addr)));
    let unix = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    Scrape {
        at,
        unix: unix.as_secs_f64(),
        processes,
    }
}

/// What a process says that it is.
pub(crate) fn nf_type(samples: &Samples) -> Option<String> {
    let info = samples.of("nf_info").next();
    info.map(|(series, _)| series.label("nf_type").to_ascii_lowercase())
        .filter(|nf_type| !nf_type.is_empty())
}

/// The order in which network functions are listed.
fn rank(nf: &str) -> usize {
    let known = ["nrf", "scp", "amf", "smf", "peers", "load"];
    known
        .iter()
        .position(|known| *known == nf)
        .unwrap_or(known.len())
}

async fn ask(addr: SocketAddr) -> Result<Samples, ScrapeError> {
    let connection = Connection::connect_cleartext(addr, TIMEOUT).await?;
    let request = Request::new(Method::GET, addr.to_string(), "/metrics");
    let answer = connection.call(request, TIMEOUT).await?;
    Ok(Samples::parse(&String::from_utf8_lossy(&answer.body))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_configured_and_what_announces_itself_are_found_once_each() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let targets = folder.path().join(targets::FOLDER);
        let configured = |nf: &str, port: u16| {
            let address = format!("127.0.0.1:{port}").parse().expect("an address");
            (nf.to_owned(), address)
        };
        let places = Places {
            targets: Some(targets.clone()),
            addresses: vec![configured("nrf", 1), configured("amf", 2)],
        };
        let found = async || {
            let found = places.find().await.into_iter();
            let found = found.map(|(addr, nf)| format!("{nf} {}", addr.port()));
            found.collect::<Vec<_>>()
        };
        assert_eq!(found().await, ["nrf 1", "amf 2"]);
        std::fs::create_dir(&targets).expect("a new folder");
        assert_eq!(found().await, ["nrf 1", "amf 2"]);
        for (name, nf, port) in [("amf", "load", 2), ("load-1", "load", 3)] {
            let text = format!(r#"[{{"targets":["127.0.0.1:{port}"],"labels":{{"nf":"{nf}"}}}}]"#);
            std::fs::write(targets.join(format!("{name}.json")), text).expect("written");
        }
        assert_eq!(found().await, ["nrf 1", "load 2", "load 3"]);
    }

    #[test]
    fn a_lab_is_told_from_what_is_none() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert!(Places::of_lab(folder.path()).is_err());
        let targets = folder.path().join(targets::FOLDER);
        std::fs::create_dir(&targets).expect("a new folder");
        let generator = Places::of_lab(folder.path()).expect("the folder of a generator");
        assert_eq!(generator.targets, Some(targets));
        assert!(generator.addresses.is_empty());
    }

    #[test]
    fn a_process_says_what_it_is() {
        let samples = |text| Samples::parse(text).expect("samples");
        let info = samples("nf_info{nf_type=\"SMF\",version=\"1\"} 1\n");
        assert_eq!(nf_type(&info).as_deref(), Some("smf"));
        assert_eq!(nf_type(&samples("nf_ready 1\n")), None);
    }
}
