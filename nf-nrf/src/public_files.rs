//! Files that everybody may read: what somebody elsewhere must know of a deployed lab to take part in it.
//!
//! ```text
//! GET /openapi.json                                          ──> what is served, and what on the other ports
//! GET /lab/lab.toml, /lab/trust.toml, /lab/x509/<profile>/root.crt ──> PUBLIC/lab.toml, ...
//! GET /x509/<profile>/<CRL>, GET|POST /x509/<profile>/ocsp                  ──> what the X.509 CAs say (x509_status)
//! GET anything else                                              ──> the issuance log
//! ```
//!
//! All are on the port of the issuance log, which is public too. What is in the folder is served as it is when it is asked for;
//! so nothing secret may be in it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use hyper::header::CACHE_CONTROL;
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, MAX_IGNORED_BODY, Request};
use sbi::telemetry::{Quoted, Throttle};
use tokio::task::spawn_blocking;

use crate::log_api::LogApi;
use crate::log_opening::Unopened;
use crate::openapi::{self, OpenApi};
use crate::x509_status::{self, X509Status};

/// Where the files are below the port's root.
const PREFIX: &str = "/lab/";
const TEXT: &str = "text/plain; charset=utf-8";
const CHANGES: HeaderValue = HeaderValue::from_static("no-cache");
/// Anybody may ask, as often as the port answers.
static FAILURES: Throttle = Throttle::new();
/// Longest file in bytes: certificates and configurations have a few thousand.
const LONGEST: u64 = 1 << 20;

/// What the port of the issuance log serves.
pub struct PublicPort {
    /// The issuance logs, if the current one could be opened.
    pub log: Result<LogApi, Unopened>,
    /// What the X.509 CAs say of certificates that were revoked.
    pub status: X509Status,
    /// Folder of the files, if there are any.
    pub files: Option<PathBuf>,
    /// What describes both.
    pub openapi: OpenApi,
}

impl Handler for PublicPort {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        if request.path == openapi::PATH {
            return self.openapi.handle(&request);
        }
        if request.path.starts_with(x509_status::PREFIX) {
            return self.status.handle(request).await;
        }
        match (&self.files, request.path.strip_prefix(PREFIX)) {
            (Some(folder), Some(name)) => file(folder, name, &request.method).await,
            _ => match &self.log {
                Ok(log) => log.handle(request).await,
                Err(unopened) => Err(Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("nothing of the issuance log is served: {unopened}"),
                )),
            },
        }
    }

    fn max_body(&self, method: &Method, path: &str) -> usize {
        if path.starts_with(x509_status::PREFIX) {
            self.status.max_body(method, path)
        } else {
            MAX_IGNORED_BODY
        }
    }
}

async fn file(folder: &Path, name: &str, method: &Method) -> Result<Response, Problem> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Problem::method_not_allowed("GET, HEAD"));
    }
    let unknown = || {
        Problem::not_found(format!(
            "there is no file {PREFIX}{name}; start with {PREFIX}lab.toml"
        ))
    };
    let path = is_plain(name)
        .then(|| folder.join(name))
        .ok_or_else(unknown)?;
    match spawn_blocking(move || read(&path)).await {
        Ok(Ok(bytes)) => {
            Ok(Response::bytes(StatusCode::OK, TEXT, bytes).with(CACHE_CONTROL, CHANGES))
        }
        Ok(Err(error)) if is_absent(&error) => Err(unknown()),
        Ok(Err(error)) => {
            if let Some(left_out) = FAILURES.pass() {
                let name = Quoted(name);
                tracing::error!(error = %Causes(&error), %name, left_out, "a public file cannot be read");
            }
            match error.kind() {
                // It got there by mistake, and whoever asks shall know that no retry helps.
                io::ErrorKind::FileTooLarge => Err(Problem::not_found(format!(
                    "{PREFIX}{name} is longer than {LONGEST} bytes"
                ))),
                _ => Err(Problem::system_failure()),
            }
        }
        Err(_) => Err(Problem::system_failure()),
    }
}

/// Whether every segment is a name, so that nothing outside the folder is reached: neither empty, `.` nor `..`, and hidden files
/// are not for everybody.
fn is_plain(name: &str) -> bool {
    name.split('/').all(|segment| {
        let is_known =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(is_known)
    })
}

/// The bytes of a file that is not too long to be one of them.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_the_folder_are_files() {
        for name in ["lab.toml", "x509/x509-ed25519/root.crt"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../nrf/cosigner.key",
            "a/../../b",
            "x509//root.crt",
            "x509/",
            ".git/config",
            "%2e%2e/b",
            "a\\b",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }

    #[test]
    fn folders_and_absent_files_are_not_there_and_long_ones_are_not_read() {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::create_dir(folder.path().join("x509")).expect("a new folder");
        std::fs::write(folder.path().join("lab.toml"), "a").expect("written");
        let long = File::create(folder.path().join("long")).expect("a new file");
        long.set_len(LONGEST + 1).expect("a sparse file");
        let of = |name: &str| read(&folder.path().join(name));
        assert_eq!(of("lab.toml").expect("a file"), b"a");
        let too_long = "a".repeat(256);
        for name in ["x509", "none", "lab.toml/x", &too_long] {
            assert!(of(name).is_err_and(|error| is_absent(&error)), "{name}");
        }
        assert!(of("long").is_err_and(|error| !is_absent(&error)));
    }

    // It was 500, which says that a retry may help, and an error in the log each time.
    #[tokio::test]
    async fn a_file_that_is_too_long_is_not_an_error_of_the_server() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let long = File::create(folder.path().join("long")).expect("a new file");
        long.set_len(LONGEST + 1).expect("a sparse file");
        let refused = file(folder.path(), "long", &Method::GET).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::NOT_FOUND);
    }
}
