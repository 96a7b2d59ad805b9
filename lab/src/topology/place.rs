//! Where a lab that is up is described: in its folder, in a `lab.toml`, or at a URL, whose files are copied.
//!
//! ```text
//!  http://nrf1...:7778/lab/lab.toml ─┬─> DIR/lab.toml
//!    trust file, what it names       ├─> DIR/trust.toml, DIR/mtca/ca.pem, DIR/token-keys.json    and then as any lab.toml
//!    roots of X.509 credentials      └─> DIR/x509/<profile>/root.crt
//! ```
//!
//! What is copied is public and comes in cleartext: whoever can change it on its way decides which lab it is, and gets the tokens
//! that are used there.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use nf_nrf::baseline::ROOT_CERTIFICATE_FILE;
use sbi::config::{ConfigError, Wanted};
use sbi::trust_file::TrustDocument;
use serde::de::DeserializeOwned;

use super::description::LabDescription;
use mtc_web::{Client, HttpError, UrlError};

/// The file that describes a lab.
const DESCRIPTION: &str = "lab.toml";
/// Longest file in bytes: certificates and configurations have a few thousand.
const LONGEST: usize = 1 << 20;
/// How long the server may take for one.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where a lab that is up is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabPlace {
    /// Its folder, or its `lab.toml`.
    Disk(PathBuf),
    /// The URL of its `lab.toml`, or of the folder that it is in.
    Web(String),
}

impl LabPlace {
    /// Whether enrolment tokens have to come from elsewhere: they are not for everybody.
    pub const fn is_without_tokens(&self) -> bool {
        matches!(self, Self::Web(_))
    }
}

impl From<&str> for LabPlace {
    fn from(text: &str) -> Self {
        let is_url = text.starts_with("http://") || text.starts_with("https://");
        if is_url {
            Self::Web(text.to_owned())
        } else {
            Self::Disk(text.into())
        }
    }
}

impl fmt::Display for LabPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(path) => path.display().fmt(f),
            Self::Web(url) => url.fmt(f),
        }
    }
}

/// Why a lab's files are not copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// It is no URL that files are read at.
    #[error("{url}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// A file was not got.
    #[error(
        "cannot get {url}; a lab that mtc5g init --deploy made is at http://NRF:7778/lab/lab.toml"
    )]
    Fetch {
        /// Its URL.
        url: String,
        /// Why not.
        source: HttpError,
    },
    /// What was got is not what it should be.
    #[error("{url}: not the file that mtc5g init --deploy writes")]
    Syntax {
        /// Its URL.
        url: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A credential of the lab is none.
    #[error("{url}")]
    Credential {
        /// Where it is named.
        url: String,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// A file's name leads elsewhere.
    #[error("{url}: {} is not a file below it", path.display())]
    Elsewhere {
        /// Where it is named.
        url: String,
        /// The name.
        path: PathBuf,
    },
    /// The copy cannot be stored.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Copies the public files of the lab at `url` into `folder`, and returns the `lab.toml` there.
///
/// # Errors
/// [`CopyError`]
pub(super) async fn copy(url: &str, folder: &Path) -> Result<PathBuf, CopyError> {
    let source = Source::at(url)?;
    let copied = Copied { source, folder };
    let description = Path::new(DESCRIPTION);
    let LabDescription { nf, .. } = copied.document(description, description).await?;
    let trust: TrustDocument = copied.document(&nf.trust, description).await?;
    let beside = sbi::config::folder_of(&nf.trust);
    let named = [Some(trust.ca_certificate), trust.token_keys];
    for file in named.into_iter().flatten() {
        copied.file(&beside.join(file), &nf.trust).await?;
    }
    let wanted = nf.wanted().map_err(|source| CopyError::Credential {
        url: copied.source.url(DESCRIPTION),
        source,
    })?;
    let mut profiles: Vec<String> = wanted
        .iter()
        .filter_map(|wanted| match wanted {
            Wanted::X509(profile, _) => Some(profile.to_string()),
            Wanted::Mtc(_) => None,
        })
        .collect();
    profiles.sort_unstable();
    profiles.dedup();
    let roots = nf.x509.unwrap_or_default();
    for profile in profiles {
        copied
            .file(
                &roots.join(profile).join(ROOT_CERTIFICATE_FILE),
                description,
            )
            .await?;
    }
    Ok(folder.join(DESCRIPTION))
}

/// What the lab at `url` says of itself.
///
/// # Errors
/// [`CopyError`]
pub(super) async fn describe(url: &str) -> Result<LabDescription, CopyError> {
    let source = Source::at(url)?;
    let bytes = source.get(DESCRIPTION).await?;
    source.parse(DESCRIPTION, &bytes)
}

/// Where a lab's public files are.
struct Source(Client);

impl Source {
    fn at(url: &str) -> Result<Self, CopyError> {
        let folder = url.strip_suffix(DESCRIPTION).unwrap_or(url);
        let prefix = folder.parse().map_err(|source| CopyError::Url {
            url: url.to_owned(),
            source,
        })?;
        let client = Client::new(prefix, TIMEOUT);
        client.map(Self).map_err(|source| CopyError::Fetch {
            url: url.to_owned(),
            source,
        })
    }

    fn url(&self, name: &str) -> String {
        self.0.prefix().url(name)
    }

    async fn get(&self, name: &str) -> Result<Vec<u8>, CopyError> {
        let got = self.0.file(name, LONGEST).await;
        got.map(Vec::from).map_err(|source| CopyError::Fetch {
            url: self.url(name),
            source,
        })
    }

    fn parse<T: DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T, CopyError> {
        toml::from_slice(bytes).map_err(|source| CopyError::Syntax {
            url: self.url(name),
            source: source.into(),
        })
    }
}

/// A copy of a lab's public files.
struct Copied<'a> {
    source: Source,
    folder: &'a Path,
}

impl Copied<'_> {
    async fn document<T: DeserializeOwned>(
        &self,
        path: &Path,
        named_in: &Path,
    ) -> Result<T, CopyError> {
        let (name, bytes) = self.file(path, named_in).await?;
        self.source.parse(&name, &bytes)
    }

    /// Copies a file, whose name comes from another one, to the same place below the folder.
    async fn file(&self, path: &Path, named_in: &Path) -> Result<(String, Vec<u8>), CopyError> {
        let path: PathBuf = path
            .components()
            .filter(|part| *part != Component::CurDir)
            .collect();
        let is_below = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let name = path.to_str().filter(|_| is_below);
        let name = name.ok_or_else(|| CopyError::Elsewhere {
            url: self.source.url(&named_in.to_string_lossy()),
            path: path.clone(),
        })?;
        let bytes = self.source.get(name).await?;
        let to = self.folder.join(&path);
        write(&to, &bytes).map_err(|source| CopyError::Write { path: to, source })?;
        Ok((name.to_owned(), bytes))
    }
}

/// Small, and nothing else is under way yet.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, bytes)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use hyper::StatusCode;
    use mtc_core::time::UnixTime;
    use sbi::limits::Limits;
    use sbi::problem::Problem;
    use sbi::process::Stop;
    use sbi::response::Response;
    use sbi::server::{Handler, Request};
    use tokio::net::TcpListener;
    use tokio::sync::watch;

    use super::*;
    use crate::topology::{Hosts, JoinError, Plan, RunningLab, deploy};
    use experiment::scenario::{SHIPPED, Scenario};

    const NOW: UnixTime = UnixTime(1_790_000_000);

    /// A server of static files.
    struct Files(PathBuf);

    impl Handler for Files {
        async fn handle(&self, request: Request) -> Result<Response, Problem> {
            let path = self.0.join(request.path.trim_start_matches('/'));
            let bytes =
                std::fs::read(path).map_err(|error| Problem::not_found(error.to_string()))?;
            Ok(Response::bytes(StatusCode::OK, "text/plain", bytes))
        }
    }

    /// The URL of a folder's files, and what must not be dropped before it is used.
    async fn serve(folder: PathBuf) -> (String, watch::Sender<bool>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let addr = listener.local_addr().expect("a bound socket");
        let (stopper, stop) = Stop::new();
        tokio::spawn(sbi::listener::serve_plain(
            listener,
            Arc::new(Files(folder)),
            Limits::default(),
            stop,
        ));
        (format!("http://{addr}"), stopper)
    }

    fn plan() -> Plan {
        let quick = SHIPPED.iter().find(|shipped| shipped.name == "quick");
        let text = quick.expect("a shipped scenario").text;
        Plan::of(&Scenario::parse(text).expect("a valid scenario"))
    }

    #[tokio::test]
    async fn a_generator_elsewhere_has_the_lab_s_trust_and_tokens_of_its_own_folder() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (lab, own) = (folder.path().join("lab"), folder.path().join("own"));
        let plan = plan();
        deploy(&lab, &plan, 20, &Hosts::default(), None, NOW).expect("a lab");
        let (url, _stopper) = serve(lab.join("public")).await;
        for place in [format!("{url}/lab.toml"), format!("{url}/"), url.clone()] {
            let found = RunningLab::find(&LabPlace::from(&*place), &own)
                .await
                .expect("a lab");
            assert_eq!(found.targets(), None, "the server chooses no folder here");
            let without = found
                .clone()
                .generator(&plan, &folder.path().join("without"), NOW)
                .err();
            assert!(matches!(without, Some(JoinError::Pool(_))), "{without:?}");
            let joined = found
                .with_tokens(&lab.join("load/tokens"))
                .expect("a folder");
            joined.generator(&plan, &own, NOW).expect("tokens are left");
            let config = nf_amf::Config::load(&own.join("amf.toml")).expect("a configuration");
            let public = lab.join("public");
            let copied = |path: &Path| std::fs::read(path).expect("a copied file");
            assert!(config.nf.trust.starts_with(&own) && !config.nf.trust.starts_with(&lab));
            assert_eq!(copied(&config.nf.trust), copied(&public.join("trust.toml")));
            sbi::trust_file::TrustFile::load(&config.nf.trust).expect("with its CA certificate");
            for (profile, _) in &plan.x509 {
                let root = Path::new(&profile.to_string()).join(ROOT_CERTIFICATE_FILE);
                let roots = config.nf.x509.clone().expect("X.509 roots");
                assert_eq!(
                    copied(&roots.join(&root)),
                    copied(&public.join("x509").join(&root))
                );
            }
            std::fs::remove_dir_all(&own).expect("removed");
        }
        let described = RunningLab::admin_ports_at(&url).await.expect("a lab");
        let (_, admin) = RunningLab::admin_ports(&lab.join("public/lab.toml")).expect("a lab");
        assert_eq!(format!("{described:?}"), format!("{admin:?}"));
    }

    #[tokio::test]
    async fn what_a_server_says_is_not_believed_when_it_leads_elsewhere() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (lab, own) = (folder.path().join("lab"), folder.path().join("own"));
        deploy(&lab, &plan(), 1, &Hosts::default(), None, NOW).expect("a lab");
        let file = lab.join("public/lab.toml");
        let text = std::fs::read_to_string(&file).expect("a file");
        let (url, _stopper) = serve(lab.join("public")).await;
        for elsewhere in ["../lab/trust.toml", "/etc/trust.toml", "./../trust.toml"] {
            let other = text.replace("\"trust.toml\"", &format!("{elsewhere:?}"));
            assert_ne!(other, text);
            std::fs::write(&file, other).expect("written");
            let error = copy(&url, &own).await.err();
            let names = |url: &str| url.ends_with("/lab.toml");
            assert!(
                matches!(&error, Some(CopyError::Elsewhere { url, .. }) if names(url)),
                "{error:?}"
            );
        }
        let other = text.replace("\"x509\"", "\"../x509\"");
        assert_ne!(other, text);
        std::fs::write(&file, other).expect("written");
        let error = copy(&url, &own).await.err();
        assert!(
            matches!(error, Some(CopyError::Elsewhere { .. })),
            "{error:?}"
        );
        // The folder that a file is in may be named.
        let other = text.replace("\"trust.toml\"", "\"./trust.toml\"");
        std::fs::write(&file, other).expect("written");
        copy(&url, &own).await.expect("a lab");
        let trust = lab.join("public/trust.toml");
        let named = std::fs::read_to_string(&trust).expect("a file");
        std::fs::write(&trust, named.replace("mtca/ca.pem", "../nrf/cosigner.key"))
            .expect("written");
        let error = copy(&url, &own).await.err();
        let names = |url: &str| url.ends_with("/trust.toml");
        assert!(
            matches!(&error, Some(CopyError::Elsewhere { url, .. }) if names(url)),
            "{error:?}"
        );
        std::fs::write(&file, "<html>").expect("written");
        let error = copy(&url, &own).await.err();
        assert!(matches!(error, Some(CopyError::Syntax { .. })), "{error:?}");
        std::fs::remove_file(&file).expect("removed");
        let error = copy(&url, &own).await.err();
        assert!(matches!(error, Some(CopyError::Fetch { .. })), "{error:?}");
        let error = copy("http:///lab", &own).await.err();
        assert!(matches!(error, Some(CopyError::Url { .. })), "{error:?}");
    }
}
