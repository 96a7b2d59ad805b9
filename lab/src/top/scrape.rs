//! Asking every process of a lab for its metrics.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Method;
use sbi::address::Address;
use sbi::client::{ClientError, Connection, Request};
use sbi::telemetry::Causes;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::text::{NoSample, Samples};
use crate::topology::{JoinError, RunningLab, targets};

/// How long a process may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Where the admin ports of a lab are found, each time anew: processes come and go.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Folder of files that announce them.
    pub targets: Option<PathBuf>,
    /// What they are and where; a name may stand for several.
    pub addresses: Vec<(String, Address)>,
}

impl Places {
    /// Those of a lab: its folder, or the `lab.toml` of a deployed one. Blocks on the disk.
    ///
    /// # Errors
    /// It is neither.
    pub fn of_lab(lab: &Path) -> Result<Self, JoinError> {
        let announced = lab.join(targets::FOLDER);
        if announced.is_dir() {
            return Ok(Self {
                targets: Some(announced),
                addresses: Vec::new(),
            });
        }
        let (targets, addresses) = RunningLab::admin_ports(lab)?;
        Ok(Self { targets, addresses })
    }

    /// All that can be found now.
    async fn find(&self) -> BTreeSet<(String, SocketAddr)> {
        let mut found = BTreeSet::new();
        for (nf, address) in &self.addresses {
            // A name without an address is a network function without a replica.
            let resolved = address.resolve_all().await.unwrap_or_default();
            found.extend(resolved.into_iter().map(|addr| (nf.clone(), addr)));
        }
        // A folder that is gone is a lab that is gone.
        let announced = self.targets.as_ref().map(|folder| targets::read(folder));
        for (nf, target) in announced.into_iter().flatten().flatten() {
            found.extend(target.parse().ok().map(|addr| (nf, addr)));
        }
        found
    }
}

/// What all processes said at one moment.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// When.
    pub at: Instant,
    /// Unix time of that, in seconds.
    pub unix: f64,
    /// Each process.
    pub processes: Vec<Process>,
}

/// What one process said.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// What it is: `nrf`, `scp`, `amf`, `smf`, `load`.
    pub nf: String,
    /// Its admin port.
    pub addr: String,
    /// Its metrics, or why there are none.
    pub said: Result<Samples, String>,
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
    let mut asking = JoinSet::new();
    for (nf, addr) in places.find().await {
        asking.spawn(async move {
            let said = ask(addr).await.map_err(|error| Causes(&error).to_string());
            Process {
                nf,
                addr: addr.to_string(),
                said,
            }
        });
    }
    let mut processes = asking.join_all().await;
    processes.sort_by(|a, b| (rank(&a.nf), &a.nf, &a.addr).cmp(&(rank(&b.nf), &b.nf, &b.addr)));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Scrape {
        at: Instant::now(),
        unix: now.unwrap_or_default().as_secs_f64(),
        processes,
    }
}

/// The order in which network functions are listed.
fn rank(nf: &str) -> usize {
    let known = ["nrf", "scp", "amf", "smf", "load"];
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
