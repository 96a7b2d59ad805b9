//! Tells the binary what it was built from: compiler, git revision, versions of the libraries that decide the figures.

use std::path::Path;
use std::process::Command;

/// Libraries whose version is part of every result.
const LIBRARIES: [&str; 6] = [
    "rustls",
    "tokio-rustls",
    "aws-lc-rs",
    "aws-lc-sys",
    "hyper",
    "tokio",
];

/// What a build is made from; a change of any of it may change the revision or make the tree differ from it.
const SOURCES: [&str; 18] = [
    "link",
    "mtc-core",
    "mtc-log",
    "mtc-web",
    "mtc-tools",
    "mtc-bench",
    "mtc-mirror",
    "mtc-tls",
    "jose",
    "sbi",
    "procedures",
    "nf-nrf",
    "nf-scp",
    "nf-amf",
    "nf-smf",
    "nf-peers",
    "experiment",
    "lab",
];

fn main() {
    let lock = std::fs::read_to_string("../Cargo.lock").unwrap_or_default();
    let versions = LIBRARIES.map(|library| {
        format!(
            "{library}={}",
            locked_version(&lock, library).unwrap_or("unknown")
        )
    });
    println!("cargo::rustc-env=MTC5G_LIBRARIES={}", versions.join(" "));
    if let Some(version) = std::env::var("RUSTC")
        .ok()
        .and_then(|rustc| output(&rustc, &["--version"]))
    {
        println!("cargo::rustc-env=MTC5G_RUSTC={version}");
    }
    if let Some(revision) = revision() {
        println!("cargo::rustc-env=MTC5G_REVISION={revision}");
    }
    rerun_if_changed("../Cargo.lock");
    SOURCES
        .iter()
        .for_each(|name| rerun_if_changed(&format!("../{name}/src")));
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = output("git", &["rev-parse", "--git-path", file]) {
            rerun_if_changed(&path);
        }
    }
}

/// The newest version of a package in a `Cargo.lock`, whose entries are sorted by name and version.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines();
    let mut found = None;
    while let Some(line) = lines.next() {
        if line == name {
            found = lines
                .next()?
                .strip_prefix("version = \"")?
                .strip_suffix('"');
        }
    }
    found
}

/// The commit, with `-dirty` when Rust sources or manifests differ from it.
fn revision() -> Option<String> {
    let commit = output("git", &["rev-parse", "--verify", "HEAD"])?;
    let changes = [
        "--no-optional-locks",
        "status",
        "--porcelain",
        "--",
        ":/*.rs",
        ":/*Cargo.toml",
        ":/Cargo.lock",
    ];
    let dirty = if output("git", &changes).is_some() {
        "-dirty"
    } else {
        ""
    };
    Some(format!("{commit}{dirty}"))
}

/// What a command prints, trimmed; `None` when it is missing, fails or prints nothing.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A missing path would make every build run this again.
fn rerun_if_changed(path: &str) {
    if Path::new(path).exists() {
        println!("cargo::rerun-if-changed={path}");
    }
}
