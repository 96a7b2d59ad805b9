//! Makes an inventory: takes files, folders, texts and ports, follows what they name, and hands everything to the collector.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mtc_core::causes::Causes;
use mtc_core::printable::printable;
use mtc_core::time::UnixTime;
use thiserror::Error;

use crate::collector::{Collector, Origin, Reference};
use crate::endpoint::{self, Endpoint};
use crate::form;
use crate::model::{Inventory, Place};
use crate::passwords::Passwords;
use crate::walk::{self, Content, ReadError, Step};

/// Files that are read because others name them. A configuration names about ten.
const MAX_REFERENCES: usize = 100_000;

/// What is named cannot be looked at.
#[derive(Debug, Error)]
#[error("{path}: cannot be read")]
pub struct TargetError {
    path: String,
    source: io::Error,
}

/// Makes one inventory.
pub struct Auditor {
    passwords: Passwords,
    /// Where files are looked for that documents name absolutely.
    root: Option<PathBuf>,
    collector: Collector,
    targets: Vec<String>,
    folders: HashSet<(u64, u64)>,
    /// Files that have been read, past all links.
    read: HashSet<PathBuf>,
    references: VecDeque<(PathBuf, Reference)>,
}

impl Auditor {
    /// `passwords` are tried on key stores. `root` is what `/` is for the files that configurations name, as they would see it in a
    /// container or on the machine from which they were copied.
    pub fn new(passwords: Passwords, root: Option<PathBuf>) -> Self {
        Self {
            passwords,
            root,
            collector: Collector::default(),
            targets: Vec::new(),
            folders: HashSet::new(),
            read: HashSet::new(),
            references: VecDeque::new(),
        }
    }

    /// Reads a file, or a folder and all below it. Blocks on the disk, never on a pipe or a device.
    ///
    /// # Errors
    /// There is nothing of that name, or nobody may look at it. What is wrong below it is in the inventory.
    pub fn path(&mut self, path: &Path) -> Result<(), TargetError> {
        let metadata = fs::metadata(path).map_err(|source| TargetError {
            path: shown(path),
            source,
        })?;
        self.targets.push(shown(path));
        if !metadata.is_dir() {
            self.file(path);
            return Ok(());
        }
        let mut folders = std::mem::take(&mut self.folders);
        walk::walk(path, &mut folders, |step| match step {
            Step::File(path) => self.file(&path),
            Step::Problem(path, reason) => self
                .collector
                .problem(Place::of(&shown(&path), None), reason),
            Step::Other => {}
        });
        self.folders = folders;
        Ok(())
    }

    /// Reads what came another way than from a file, such as standard input; `name` is what it is called.
    ///
    /// # Errors
    /// It cannot be read, or is longer than any file may be.
    pub fn stream(&mut self, name: &str, source: impl io::Read) -> Result<(), TargetError> {
        let bytes = walk::read_bounded(source, 0).map_err(|error| TargetError {
            path: printable(name),
            source: match error {
                ReadError::Io(source) => source,
                error => io::Error::other(error),
            },
        })?;
        self.targets.push(printable(name));
        self.collector.count_file();
        let found = form::read(name, &bytes, &self.passwords);
        let origin = Origin {
            location: name,
            file: None,
            is_link: false,
            mode: None,
            usage: None,
        };
        let references = self.collector.add(&origin, found);
        // What comes from elsewhere names files of elsewhere.
        self.references
            .extend(references.into_iter().map(|reference| {
                let is_elsewhere = true;
                (
                    PathBuf::new(),
                    Reference {
                        is_elsewhere,
                        ..reference
                    },
                )
            }));
        Ok(())
    }

    /// Makes a handshake with each port. Blocks until all have answered or taken too long.
    pub fn endpoints(&mut self, endpoints: &[Endpoint]) {
        self.targets
            .extend(endpoints.iter().map(ToString::to_string));
        for (entry, chain) in endpoint::look_at(endpoints) {
            self.collector.add_endpoint(entry, chain);
        }
    }

    /// Reads the files that others have named, and makes the inventory as of `now`.
    pub fn finish(mut self, now: UnixTime) -> Inventory {
        let mut followed = 0;
        while let Some((folder, reference)) = self.references.pop_front() {
            followed += 1;
            if followed > MAX_REFERENCES {
                let reason =
                    format!("more than {MAX_REFERENCES} files are named; the rest is not followed");
                self.collector.problem(reference.from, reason);
                break;
            }
            let Some(file) = self.resolve(&folder, &reference) else {
                self.collector.unresolved(reference.from, &reference.path);
                continue;
            };
            let usage = reference.usage.unwrap_or_else(|| "named".to_owned());
            self.collector
                .add_use(&file, format!("{usage}: {}", reference.from));
            if !self.read.contains(&file) {
                self.file(&file);
            }
        }
        self.collector.finish(now, self.targets)
    }

    /// The file that is meant: seen from the folder of the document, from the one above it (free5GC is started there), or from the root.
    /// What is seen from elsewhere is looked for only below a root that was given.
    fn resolve(&self, folder: &Path, reference: &Reference) -> Option<PathBuf> {
        let path = Path::new(&reference.path);
        let root = self.root.as_deref();
        let below = path.strip_prefix("/").unwrap_or(path);
        let below_root = root.map(|root| root.join(below));
        let candidates = if reference.is_elsewhere {
            [below_root, None, None]
        } else if path.is_absolute() {
            [below_root.or_else(|| Some(path.to_owned())), None, None]
        } else {
            let above = folder.parent().map(|above| above.join(path));
            [Some(folder.join(path)), above, below_root]
        };
        let found = candidates
            .into_iter()
            .flatten()
            .find(|candidate| candidate.is_file())?;
        found.canonicalize().ok()
    }

    fn file(&mut self, path: &Path) {
        let location = shown(path);
        let Content { bytes, metadata } = match walk::read(path) {
            Ok(content) => content,
            Err(ReadError::Other) if !form::is_named_as_certificate(&location) => {
                return self.collector.count_file();
            }
            Err(error) => {
                return self
                    .collector
                    .problem(Place::of(&location, None), Causes(&error).to_string());
            }
        };
        self.collector.count_file();
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let found = form::read(&name, &bytes, &self.passwords);
        let origin = Origin {
            location: &location,
            file: Some(&real),
            is_link: path
                .symlink_metadata()
                .is_ok_and(|metadata| metadata.is_symlink()),
            mode: Some(metadata.permissions().mode()),
            usage: kubeadm_usage(path),
        };
        let references = self.collector.add(&origin, found);
        let folder = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        self.references.extend(
            references
                .into_iter()
                .map(|reference| (folder.clone(), reference)),
        );
        self.read.insert(real);
    }
}

/// What a file of `/etc/kubernetes/pki` is for, by its name (Kubernetes documentation, "PKI certificates and requirements").
fn kubeadm_usage(path: &Path) -> Option<&'static str> {
    if !path
        .ancestors()
        .skip(1)
        .any(|folder| folder.file_name().is_some_and(|name| name == "pki"))
    {
        return None;
    }
    let is_etcd = path
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name == "etcd");
    let (stem, extension) = path.file_name()?.to_str()?.rsplit_once('.')?;
    if !matches!(extension, "crt" | "key" | "pub" | "pem") {
        return None;
    }
    Some(match (is_etcd, stem) {
        (false, "ca") => "Kubernetes: CA of the cluster",
        (false, "apiserver") => "Kubernetes: server of the API",
        (false, "apiserver-kubelet-client") => "Kubernetes: API server, as client of kubelets",
        (false, "apiserver-etcd-client") => "Kubernetes: API server, as client of etcd",
        (false, "front-proxy-ca") => "Kubernetes: CA of the front proxy",
        (false, "front-proxy-client") => "Kubernetes: client of extension API servers",
        (false, "sa") => "Kubernetes: signs tokens of service accounts",
        (false, "kubelet") => "Kubernetes: server of a kubelet",
        (false, name) if name.starts_with("kubelet-client") => {
            "Kubernetes: kubelet, as client of the API"
        }
        (false, name) if name.starts_with("kubelet-server") => "Kubernetes: server of a kubelet",
        (true, "ca") => "Kubernetes: CA of etcd",
        (true, "server") => "Kubernetes: server of etcd",
        (true, "peer") => "Kubernetes: etcd, to its peers",
        (true, "healthcheck-client") => "Kubernetes: probe of etcd",
        _ => return None,
    })
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}
