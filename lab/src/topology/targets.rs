//! Which admin ports a lab has, as Prometheus finds them (file_sd) and `mtc5g top`: one file a process, `<folder>/<name>.json`.
//!
//! ```text
//! [{"targets": ["127.0.0.1:38111"], "labels": {"nf": "amf"}}]
//! ```
//!
//! A file is there while its process is; that of a load generator which was killed goes when the next one joins. Whoever
//! watches must not be told half of one, so it is renamed into place.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sbi::address::Address;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The folder in that of a lab.
pub const FOLDER: &str = "targets";
const SUFFIX: &str = ".json";
const NF_LABEL: &str = "nf";
/// `nf` of the AMF process that generates load.
pub(super) const LOAD: &str = "load";

/// How long a load generator may take to accept a connection before it counts as gone: over the longest emulated link, and where
/// two packets are lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// An element of such a file.
#[derive(Debug, Deserialize, Serialize)]
struct TargetGroup {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

/// Where a process is to be announced.
#[derive(Clone, Debug)]
pub(super) struct Announcement {
    /// The file.
    pub(super) file: PathBuf,
    /// Label `nf`.
    pub(super) nf: &'static str,
    /// Where others reach this host; with none, what the process listens on is reached.
    pub(super) host: Option<std::net::IpAddr>,
}

impl Announcement {
    /// Announces that the admin port is `bound`. Blocks on the disk.
    ///
    /// What cannot be written is warned of: monitoring is not what a lab is for.
    pub(super) fn publish(&self, bound: SocketAddr) -> Option<Announced> {
        let host = self.host.filter(|_| bound.ip().is_unspecified());
        let address = SocketAddr::new(host.unwrap_or_else(|| bound.ip()), bound.port());
        let group = TargetGroup {
            targets: vec![address.to_string()],
            labels: BTreeMap::from([(NF_LABEL.to_owned(), self.nf.to_owned())]),
        };
        match self.write(&group) {
            Ok(()) => Some(Announced(self.file.clone())),
            Err(error) => {
                let file = self.file.display();
                tracing::warn!(%file, %error, "cannot announce an admin port");
                None
            }
        }
    }

    fn write(&self, group: &TargetGroup) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        // Another suffix, so that nobody takes it for a list.
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec(&[group])?)?;
        fs::rename(&new, &self.file)
    }
}

/// What a file says of a process that is always at `address`, whose name may have none now.
pub(super) fn fixed(nf: &str, address: &Address) -> Vec<u8> {
    let group = TargetGroup {
        targets: vec![address.to_string()],
        labels: BTreeMap::from([(NF_LABEL.to_owned(), nf.to_owned())]),
    };
    serde_json::to_vec(&[group]).expect("texts do not fail")
}

/// A process that is announced, until this is dropped.
#[derive(Debug)]
pub(super) struct Announced(PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        // The folder may be gone already.
        let _ = fs::remove_file(&self.0);
    }
}

/// The admin ports that the files of a folder name, with their label `nf`, in the order of the files. What is no list of
/// targets is left out: it may be written at this moment. Blocks on the disk.
///
/// # Errors
/// The folder cannot be read.
pub fn read(folder: &Path) -> io::Result<Vec<(String, String)>> {
    let targets = groups(folder)?.into_iter().flat_map(|(_, group)| {
        let nf = group.labels.get(NF_LABEL).cloned().unwrap_or_default();
        let named = move |target| (nf.clone(), target);
        group.targets.into_iter().map(named)
    });
    Ok(targets.collect())
}

/// Removes the announcements of load generators that were killed before they could: nobody listens where they say.
///
/// Others are left alone, since what is down among them is to be seen.
pub(super) async fn forget_dead_generators(folder: &Path) {
    let mut asking = JoinSet::new();
    for (file, group) in groups(folder).unwrap_or_default() {
        if group.labels.get(NF_LABEL).is_some_and(|nf| nf == LOAD) {
            asking.spawn(async move { (!is_alive(&group).await).then_some(file) });
        }
    }
    for dead in asking.join_all().await.into_iter().flatten() {
        if let Err(error) = fs::remove_file(&dead) {
            let file = dead.display();
            tracing::warn!(%file, %error, "cannot withdraw the announcement of a load generator");
        }
    }
}

/// Whether somebody listens at one of the targets.
async fn is_alive(group: &TargetGroup) -> bool {
    for target in &group.targets {
        let connected = timeout(PATIENCE, TcpStream::connect(target)).await;
        if matches!(connected, Ok(Ok(_))) {
            return true;
        }
    }
    false
}

/// What each file of a folder says, in the order of the files.
fn groups(folder: &Path) -> io::Result<Vec<(PathBuf, TargetGroup)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(SUFFIX) {
            files.push(path);
        }
    }
    files.sort_unstable();
    let groups = files.into_iter().filter_map(|file| {
        let text = fs::read(&file).ok()?;
        let groups = serde_json::from_slice::<Vec<TargetGroup>>(&text).ok()?;
        Some(groups.into_iter().map(move |group| (file.clone(), group)))
    });
    Ok(groups.flatten().collect())
}

/// The file of a process in the folder of a lab's targets.
pub(super) fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{SUFFIX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_announced_for_as_long_as_it_is_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path().join(FOLDER);
        let announce = |name: &str, nf, host: Option<&str>, bound: &str| {
            let announcement = Announcement {
                file: file(&folder, name),
                nf,
                host: host.map(|host| host.parse().expect("an address")),
            };
            announcement.publish(bound.parse().expect("an address"))
        };
        let nrf = announce("nrf", "nrf", None, "127.0.0.1:9");
        let load = announce("load-1", LOAD, Some("10.0.0.7"), "0.0.0.0:8");
        let _again = announce("nrf", "nrf", Some("10.0.0.7"), "127.0.0.1:10");
        fs::write(folder.join("half.json"), "[{").expect("a file");
        let of = |nf: &str, target: &str| (nf.to_owned(), target.to_owned());
        assert_eq!(
            read(&folder).expect("a folder"),
            [of(LOAD, "10.0.0.7:8"), of("nrf", "127.0.0.1:10")]
        );
        let text = fs::read_to_string(folder.join("load-1.json")).expect("a file");
        assert_eq!(
            text,
            r#"[{"targets":["10.0.0.7:8"],"labels":{"nf":"load"}}]"#
        );
        drop((nrf, load));
        assert_eq!(read(&folder).expect("a folder"), []);
    }

    #[tokio::test]
    async fn dead_generators_are_forgotten_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let alive = listener.local_addr().expect("a bound socket");
        let dead = "127.0.0.1:1".parse().expect("an address");
        let announced = [
            ("load-1", LOAD, dead),
            ("load-2", LOAD, alive),
            ("nrf", "nrf", dead),
        ]
        .map(|(name, nf, bound)| {
            let file = file(folder.path(), name);
            let host = None;
            Announcement { file, nf, host }.publish(bound)
        });
        forget_dead_generators(folder.path()).await;
        let left = read(folder.path()).expect("a folder");
        let left: Vec<&str> = left.iter().map(|(nf, _)| nf.as_str()).collect();
        assert_eq!(left, [LOAD, "nrf"]);
        drop(announced);
        forget_dead_generators(&folder.path().join("none")).await;
    }

    #[test]
    fn what_cannot_be_announced_is_no_failure() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("a file");
        let announcement = Announcement {
            file: file.join("below.json"),
            nf: LOAD,
            host: None,
        };
        let bound = "127.0.0.1:9".parse().expect("an address");
        assert!(announcement.publish(bound).is_none());
    }
}
