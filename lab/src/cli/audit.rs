//! `mtc5g audit TARGET...`

mod page;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use inventory::{
    Auditor, Condition, Endpoint, Inventory, Passwords, TargetError, cbom, csv, schema, text,
};
use mtc_tls::clock::Clock;
use sbi::tell;
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::exit::{DONE, FOUND, fail};
use super::output::{print, print_json, put, usage};
use experiment::files::WriteError;

/// Lines of what `--fail-on` found; the inventory has all.
const SHOWN: usize = 10;
/// The variable that holds one password more.
const PASSWORD: &str = "MTC5G_STORE_PASSWORD";

/// Where to look
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g audit /etc/open5gs /etc/kubernetes amf1.example.org:443
  mtc5g audit --html inventory.html --cbom cbom.json --fail-on expiring=30d --fail-on open-key /etc
  kubectl get secrets,configmaps -A -o yaml | mtc5g audit -
  mtc5g audit --json /etc/ssl | jq '.certificates[] | select(.quantum_vulnerable)'

What is read: PEM, DER, PKCS#7, PKCS#12, Java key stores, Kubernetes objects, kubeconfigs,
configurations of network functions, and the files that these name. A port is asked by one
handshake, TLS 1.2 or 1.3. Nothing is verified or changed, and no private key is printed or kept.

Exit status: 0 done, also if some files could not be read (see --fail-on incomplete); 1 a target
cannot be read; 2 usage; 6 what --fail-on names was found.
Formats: docs/audit.md.")]
pub(super) struct AuditArguments {
    /// A file, a folder and all below it, HOST:PORT or https://HOST; - reads standard input
    #[arg(value_name = "TARGET", required_unless_present = "schema")]
    targets: Vec<String>,
    /// Print the whole inventory as one JSON document
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print the certificates as CSV
    #[arg(long)]
    csv: bool,
    /// Print the JSON Schema of --json
    #[arg(long, exclusive = true)]
    schema: bool,
    /// Write a self-contained HTML page too; - prints it
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a Cryptography Bill of Materials too (CycloneDX 1.6, JSON); - prints it
    #[arg(long, value_name = "FILE")]
    cbom: Option<PathBuf>,
    /// End with status 6 if this is found, once for each: quantum-vulnerable, expiring=30d, open-key, incomplete
    #[arg(long, value_name = "CONDITION")]
    fail_on: Vec<Condition>,
    /// Passwords of key stores, one a line [and that in MTC5G_STORE_PASSWORD, the empty one and "changeit"]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Look here for files that configurations name, as if this folder were / (a container's or another machine's)
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
}

/// One target, told apart from the others.
enum Target {
    Stdin,
    Path(PathBuf),
    Endpoint(Endpoint),
}

#[derive(Debug, Error)]
#[error("{0:?} is no file here, and not HOST:PORT or https://HOST")]
struct UnknownTarget(String);

#[derive(Debug, Error)]
enum AuditError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("cannot read {}", path.display())]
    Passwords { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("cannot make a page or a CBOM")]
    Task(#[from] tokio::task::JoinError),
}

impl AuditArguments {
    pub(super) async fn run(self) -> ExitCode {
        if self.schema {
            print(&schema());
            return ExitCode::from(DONE);
        }
        let targets: Result<Vec<_>, _> = self.targets.iter().map(|text| target(text)).collect();
        let targets = match targets {
            Ok(targets) => targets,
            Err(error) => return usage(&error, "audit"),
        };
        // It blocks, on disks and on other machines.
        let ended = tokio::task::spawn_blocking(move || {
            let inventory = self.look(targets)?;
            self.show(&inventory)?;
            Ok(self.judge(&inventory))
        });
        match ended.await.map_err(AuditError::from) {
            Ok(Ok(status)) => ExitCode::from(status),
            Ok(Err(error)) | Err(error) => fail(&error),
        }
    }

    fn look(&self, targets: Vec<Target>) -> Result<Inventory, AuditError> {
        let mut auditor = Auditor::new(self.passwords()?, self.root.clone());
        let mut endpoints = Vec::new();
        for target in targets {
            match target {
                Target::Stdin => auditor.stream("-", io::stdin().lock())?,
                Target::Path(path) => auditor.path(&path)?,
                Target::Endpoint(endpoint) => endpoints.push(endpoint),
            }
        }
        auditor.endpoints(&endpoints);
        Ok(auditor.finish(Clock::default().now()))
    }

    fn passwords(&self) -> Result<Passwords, AuditError> {
        let mut given = Vec::new();
        if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path).map_err(|source| AuditError::Passwords {
                path: path.clone(),
                source,
            })?;
            let text = Zeroizing::new(text);
            given.extend(text.lines().map(|line| Zeroizing::new(line.to_owned())));
        }
        given.extend(std::env::var(PASSWORD).ok().map(Zeroizing::new));
        Ok(Passwords::new(given))
    }

    fn show(&self, inventory: &Inventory) -> Result<(), AuditError> {
        let is_printed = |file: &Option<PathBuf>| file.as_deref() == Some(Path::new("-"));
        if self.json {
            print_json(inventory);
        } else if self.csv {
            print(&csv(inventory));
        } else if !is_printed(&self.html) && !is_printed(&self.cbom) {
            print(&text(inventory));
        }
        if let Some(file) = &self.html {
            write(file, &page::page(inventory))?;
        }
        if let Some(file) = &self.cbom {
            let id = Uuid::new_v4().to_string();
            let bill = cbom(inventory, &id, env!("CARGO_PKG_VERSION"));
            let bill = serde_json::to_string_pretty(&bill).expect("a JSON value is JSON");
            write(file, &format!("{bill}\n"))?;
        }
        Ok(())
    }

    /// What `--fail-on` found is told on standard error, so that standard output stays the inventory.
    fn judge(&self, inventory: &Inventory) -> u8 {
        let mut status = DONE;
        for condition in &self.fail_on {
            let found = condition.found(inventory);
            if found.is_empty() {
                continue;
            }
            status = FOUND;
            tell!("{condition}: {} found", found.len());
            found.iter().take(SHOWN).for_each(|line| tell!("  {line}"));
            if found.len() > SHOWN {
                tell!("  and {} more", found.len() - SHOWN);
            }
        }
        status
    }
}

/// Writes a file; says so on standard error, because standard output may be JSON or CSV.
fn write(file: &Path, text: &str) -> Result<(), WriteError> {
    if file == Path::new("-") {
        return put(file, text);
    }
    experiment::files::write_whole(file, text.as_bytes())?;
    tell!("wrote {}", file.display());
    Ok(())
}

fn target(text: &str) -> Result<Target, UnknownTarget> {
    let path = Path::new(text);
    if text == "-" {
        return Ok(Target::Stdin);
    }
    // A link to nothing is a path too.
    if path.symlink_metadata().is_ok() {
        return Ok(Target::Path(path.to_owned()));
    }
    match text.parse() {
        Ok(endpoint) => Ok(Target::Endpoint(endpoint)),
        Err(_) if text.contains('/') && !text.contains("://") => Ok(Target::Path(path.to_owned())),
        Err(_) => Err(UnknownTarget(text.to_owned())),
    }
}
