//! What the NRF's X.509 CAs say of certificates that were revoked, for everybody to read.
//!
//! ```text
//!                GET  /x509/<profile>/root.crl ...      the lists of the CAs above the issuer of leaves, made with them
//!  revoked ──┬─> GET  /x509/<profile>/<issuer's>.crl    signed anew when something was revoked, or after half its time; on disk first
//!            └─> POST /x509/<profile>/ocsp              about one certificate, signed when asked, kept for half its time
//!                GET  /x509/<profile>/ocsp/<base64>     the same (RFC 6960 appendix A.1)
//! ```
//!
//! Lists have numbers that only grow: the last one is stored before it is served, and where it is lost the clock is ahead of it. Whoever asks
//! gets what is true then, so nothing is ever stale here. What is not known to be revoked is good, as RFC 6960 section 2.2 has it: which
//! serial numbers were issued is not looked up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use hyper::{Method, StatusCode};
use mtc_core::causes::Causes;
use mtc_core::time::UnixTime;
use mtc_tls::key::{X509Profile, X509Revocation};
use mtc_tls::revocation::crl::Crl;
use mtc_tls::revocation::ocsp::{CertId, Failure, MAX_REQUEST};
use mtc_tls::revocation::{crl_paths, responder_path};
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, MAX_IGNORED_BODY, Request};
use sbi::telemetry::Throttle;

use crate::baseline::{BaselineCa, BaselineError};
use crate::enrolment::Enrolment;
use crate::files::{FileError, PrivateFolder};
use crate::offload::Offload;
use crate::revoked::RevokedError;

/// Where all of it is below the port's root.
pub const PREFIX: &str = "/x509/";
/// Media types (RFC 5280 section 8, RFC 6960 appendix C).
const PKIX_CRL: &str = "application/pkix-crl";
const OCSP_REQUEST: &str = "application/ocsp-request";
const OCSP_RESPONSE: &str = "application/ocsp-response";
const CHANGES: HeaderValue = HeaderValue::from_static("no-cache");
/// Answers of one CA that are kept: a response has at most 5 kB, so that all take at most 20 MB; beyond it all are forgotten and signed again.
const MAX_ANSWERS: usize = 4096;
/// Anybody may ask, as often as the port answers.
static FAILURES: Throttle = Throttle::new();

/// Why there is no list or answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// The record of revoked certificates.
    #[error(transparent)]
    Revoked(#[from] RevokedError),
    /// The CA.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// The disk.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Serves the lists and answers of all baselines whose profile has them; by default of none.
#[derive(Default)]
pub struct X509Status {
    authorities: Vec<Arc<Authority>>,
    offload: Offload,
}

/// What is served of one baseline.
struct Authority {
    profile: X509Profile,
    enrolment: Arc<Enrolment>,
    folder: PrivateFolder,
    lifetime: Duration,
    /// Taken by whoever signs a list, so that numbers are given once.
    listing: Mutex<()>,
    newest: Mutex<Newest>,
    answers: Mutex<Answers>,
}

/// The newest list.
#[derive(Clone, Debug, Default)]
struct Newest {
    der: Bytes,
    number: u64,
    this_update: UnixTime,
    /// How many certificates had been revoked, of whichever CA. None if that is not known any more.
    revoked: Option<usize>,
}

/// Answers that were signed when so many certificates had been revoked.
#[derive(Default)]
struct Answers {
    revoked: usize,
    by_serial: HashMap<Vec<u8>, (UnixTime, Bytes)>,
}

impl X509Status {
    /// What the baselines of `enrolment` say, each time for `lifetime`, with the lists in `folder`. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(
        enrolment: Arc<Enrolment>,
        folder: PrivateFolder,
        lifetime: Duration,
    ) -> Result<Self, FileError> {
        let profiles = enrolment.baselines.iter().map(BaselineCa::profile);
        let profiles = profiles.filter(|profile| profile.revocation != X509Revocation::None);
        let authorities = profiles.map(|profile| {
            let stored = folder.read(&file_of(profile))?.unwrap_or_default();
            // A list that cannot be read is one that was never served, or damaged since: the clock gives the next number.
            let number = Crl::parse(&stored).map_or(0, |list| list.number);
            Ok(Arc::new(Authority {
                profile,
                enrolment: enrolment.clone(),
                folder: folder.clone(),
                lifetime,
                listing: Mutex::default(),
                newest: Mutex::new(Newest {
                    number,
                    ..Newest::default()
                }),
                answers: Mutex::default(),
            }))
        });
        Ok(Self {
            authorities: authorities.collect::<Result<_, _>>()?,
            offload: Offload::default(),
        })
    }
}

fn file_of(profile: X509Profile) -> String {
    format!("{profile}.crl")
}

impl Authority {
    fn now(&self) -> UnixTime {
        self.enrolment.clock.now()
    }

    fn ca(&self) -> &BaselineCa {
        let mut baselines = self.enrolment.baselines.iter();
        let found = baselines.find(|ca| ca.profile() == self.profile);
        found.expect("there is one for each of the baselines")
    }

    fn is_fresh(&self, since: UnixTime) -> bool {
        let now = self.now();
        since <= now && now < since.plus(self.lifetime / 2)
    }

    /// The list of the issuer of leaves. Blocks on the disk.
    fn list(&self) -> Result<Bytes, StatusError> {
        let _listing = lock(&self.listing);
        let revoked = self.enrolment.revoked.count();
        let newest = lock(&self.newest).clone();
        if newest.revoked == Some(revoked) && self.is_fresh(newest.this_update) {
            return Ok(newest.der);
        }
        let (ca, now) = (self.ca(), self.now());
        let entries = self.enrolment.revoked.of_issuer(ca.issuer_name(), now)?;
        let number = newest.number.saturating_add(1).max(now.0);
        let der = ca.list(number, (now, now.plus(self.lifetime)), &entries)?;
        self.folder.write_durably(&file_of(self.profile), &der)?;
        self.enrolment.metrics.signed_status("crl");
        let der = Bytes::from(der);
        *lock(&self.newest) = Newest {
            der: der.clone(),
            number,
            this_update: now,
            revoked: Some(revoked),
        };
        Ok(der)
    }

    /// The answer about a certificate. Blocks on the disk.
    fn answer(&self, cert_id: &CertId) -> Result<Bytes, StatusError> {
        let revoked = self.enrolment.revoked.count();
        {
            let mut answers = lock(&self.answers);
            if answers.revoked != revoked || answers.by_serial.len() >= MAX_ANSWERS {
                *answers = Answers {
                    revoked,
                    by_serial: HashMap::new(),
                };
            }
            let known = answers.by_serial.get(cert_id.serial());
            if let Some((_, der)) = known.filter(|(since, _)| self.is_fresh(*since)) {
                return Ok(der.clone());
            }
        }
        let (ca, now) = (self.ca(), self.now());
        let entry = self
            .enrolment
            .revoked
            .find(ca.issuer_name(), cert_id.serial())?;
        let validity = (now, now.plus(self.lifetime));
        let der = Bytes::from(ca.answer(cert_id, entry.as_ref(), validity)?);
        self.enrolment.metrics.signed_status("ocsp");
        let mut answers = lock(&self.answers);
        if answers.revoked == revoked {
            let serial = cert_id.serial().to_vec();
            answers.by_serial.insert(serial, (now, der.clone()));
        }
        Ok(der)
    }

    /// The answer to whatever bytes.
    fn respond(&self, request: &[u8]) -> Bytes {
        let failure = match CertId::of_request(request) {
            Ok(Some(cert_id)) if self.ca().is_issuer_in(&cert_id) => match self.answer(&cert_id) {
                Ok(answer) => return answer,
                Err(error) => {
                    if let Some(left_out) = FAILURES.pass() {
                        tracing::error!(error = %Causes(&error), left_out, "no OCSP response can be made");
                    }
                    Failure::Internal
                }
            },
            Ok(_) => Failure::Unauthorized,
            Err(_) => Failure::Malformed,
        };
        failure.to_der().into()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a path names.
enum Wanted {
    /// The list of a CA above the issuer of leaves.
    Above(usize),
    /// The list of the issuer.
    List,
    /// Answers; in the path stands what is asked, or nothing.
    Answer(Option<Vec<u8>>),
}

impl Wanted {
    fn of(profile: X509Profile, path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        if profile.revocation == X509Revocation::OcspStapled
            && let Some(asked) = path.strip_prefix(&responder_path(profile))
        {
            return match asked.strip_prefix('/') {
                None if asked.is_empty() => Some(Self::Answer(None)),
                None => None,
                Some(asked) => Some(Self::Answer(Some(of_base64(asked)))),
            };
        }
        let above = usize::from(profile.intermediates.count());
        let level = crl_paths(profile).position(|own| own == path)?;
        Some(if level < above {
            Self::Above(level)
        } else {
            Self::List
        })
    }
}

/// What stands in a path in base64, whose `+`, `/` and `=` are percent-encoded or not; nothing that can be read if it is something else.
fn of_base64(text: &str) -> Vec<u8> {
    let plain = text
        .replace("%2B", "+")
        .replace("%2b", "+")
        .replace("%2F", "/")
        .replace("%2f", "/")
        .replace("%3D", "=")
        .replace("%3d", "=");
    STANDARD.decode(plain).unwrap_or_default()
}

impl Handler for X509Status {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let mut authorities = self.authorities.iter();
        let found = authorities.find_map(|authority| {
            let wanted = Wanted::of(authority.profile, &request.path)?;
            Some((authority.clone(), wanted))
        });
        let (authority, wanted) = found.ok_or_else(|| {
            Problem::not_found("below /x509/ are the CRLs and OCSP responders of the X.509 profiles that have them")
        })?;
        let is_get = matches!(request.method, Method::GET | Method::HEAD);
        match wanted {
            Wanted::Answer(None) => {
                if request.method != Method::POST {
                    return Err(Problem::method_not_allowed("POST"));
                }
                request.require_media_type(OCSP_REQUEST)?;
                let asked = request.body.clone();
                self.work(OCSP_RESPONSE, move || Ok(authority.respond(&asked)))
                    .await
            }
            _ if !is_get => Err(Problem::method_not_allowed("GET, HEAD")),
            Wanted::Answer(Some(asked)) => {
                self.work(OCSP_RESPONSE, move || Ok(authority.respond(&asked)))
                    .await
            }
            Wanted::Above(level) => {
                let list = authority.ca().lists_above().get(level).cloned();
                Ok(served(PKIX_CRL, list.unwrap_or_default()))
            }
            Wanted::List => self.work(PKIX_CRL, move || authority.list()).await,
        }
    }

    fn max_body(&self, _method: &Method, path: &str) -> usize {
        if path.ends_with("/ocsp") {
            MAX_REQUEST
        } else {
            MAX_IGNORED_BODY
        }
    }
}

impl X509Status {
    async fn work(
        &self,
        media_type: &'static str,
        make: impl FnOnce() -> Result<Bytes, StatusError> + Send + 'static,
    ) -> Result<Response, Problem> {
        self.offload
            .run(move || match make() {
                Ok(der) => Ok(served(media_type, der)),
                Err(error) => {
                    if let Some(left_out) = FAILURES.pass() {
                        tracing::error!(error = %Causes(&error), left_out, "no CRL can be made");
                    }
                    Err(Problem::system_failure())
                }
            })
            .await
    }
}

fn served(media_type: &'static str, der: impl Into<Bytes>) -> Response {
    Response::bytes(StatusCode::OK, media_type, der).with(CACHE_CONTROL, CHANGES)
}
