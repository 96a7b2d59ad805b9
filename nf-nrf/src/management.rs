//! Nnrf_NFManagement (TS 29.510 clause 5.2 and 6.1): registering, updating, removing and reading profiles.
//!
//! Over mutual TLS every operation needs a client certificate, and one that writes needs the certificate of the very instance:
//! the checks of TS 33.501 clause 13.1 (identity against certificate) stand in [`Caller::require_own`] and `admit`.

use std::sync::Arc;
use std::time::Instant;

use hyper::header::{ETAG, IF_MATCH, LOCATION};
use hyper::http::HeaderValue;
use hyper::{HeaderMap, Method, StatusCode};
use sbi::model::{
    Document, HalLink, HalLinks, NfInstanceId, NfProfile, NfType, PatchItem, ServiceForm,
    SupportedFeatures, Tolerated, UriList,
};
use sbi::problem::{Cause, InvalidParam, Problem};
use sbi::response::{JSON, JSON_PATCH, Response};
use sbi::server::Request;
use sbi::uri::{ApiRoot, Query};
use serde_json::json;

use crate::caller::{Caller, Callers};
use crate::etag::Tagged;
use crate::metrics::NrfMetrics;
use crate::registry::{CommitError, ProfileTooLarge, ReviseError, SharedRegistry, Stored};
use crate::subscription::SERVICE_MAP;

/// Seconds after which an instance that found the registry full may try again.
const RETRY_WHEN_FULL: u32 = 30;

/// Most instances in one list, some 150 kB: as large as a page is without `page-size` and `limit`, and as it is with larger ones. Whoever
/// sees fewer than `totalItemCount` asks for the next page.
const MAX_ITEMS: usize = 1000;

/// Characters of a member's pointer in the log; those of the specification are shorter.
const MAX_QUOTED: usize = 128;

/// The service `nnrf-nfm`.
pub struct Management {
    registry: Arc<SharedRegistry>,
    api_root: ApiRoot,
    callers: Callers,
    metrics: Option<NrfMetrics>,
}

impl Management {
    /// The service on `registry`; `api_root` is that of the NRF, for `Location`.
    pub fn new(registry: Arc<SharedRegistry>, api_root: ApiRoot) -> Self {
        Self {
            registry,
            api_root,
            callers: Callers::default(),
            metrics: None,
        }
    }

    /// Takes requests from `callers`, of whom those with a certificate are the default.
    #[must_use]
    pub fn called_by(mut self, callers: Callers) -> Self {
        self.callers = callers;
        self
    }

    /// Counts in `metrics` what was put right in profiles.
    #[must_use]
    pub fn counted_in(mut self, metrics: NrfMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Logs and counts what was put right in a profile.
    fn tell(&self, id: NfInstanceId, tolerated: &[Tolerated]) {
        let Some(first) = tolerated.first() else {
            return;
        };
        tracing::info!(
            %id, count = tolerated.len(), kind = %first.kind, member = truncated(&first.pointer),
            "a profile that deviates from its schema was corrected"
        );
        for Tolerated { kind, .. } in tolerated {
            if let Some(metrics) = &self.metrics {
                metrics.tolerated(*kind);
            }
        }
    }

    /// Answers a request whose path is `/nnrf-nfm/v1/` and `segments`, at the time `now`. Blocks on the disk.
    ///
    /// # Errors
    /// The problem to answer with.
    pub fn handle(
        &self,
        request: &Request,
        segments: &[&str],
        now: Instant,
    ) -> Result<Response, Problem> {
        let caller = self.callers.identify(request)?;
        match (&request.method, segments) {
            (&Method::GET, ["nf-instances"]) => self.list(request),
            (&Method::OPTIONS, ["nf-instances"]) => Ok(options()),
            (_, ["nf-instances"]) => Err(Problem::method_not_allowed("GET, OPTIONS")),
            (method, ["nf-instances", id]) => {
                let id = path_id(id)?;
                match *method {
                    Method::GET => self.retrieve(id, request),
                    Method::PUT => self.register(id, caller, request, now),
                    Method::PATCH => self.update(id, caller, request, now),
                    Method::DELETE => self.deregister(id, caller),
                    _ => Err(Problem::method_not_allowed("GET, PUT, PATCH, DELETE")),
                }
            }
            (_, ["nf-instances", _, ..]) => Err(Problem::resource_uri_structure_not_found()),
            _ => Err(Problem::not_found("nnrf-nfm has no such resource")),
        }
    }

    fn register(
        &self,
        id: NfInstanceId,
        caller: Caller<'_>,
        request: &Request,
        now: Instant,
    ) -> Result<Response, Problem> {
        caller.require_own(id)?;
        request.require_media_type(JSON)?;
        let (profile, tolerated) = NfProfile::read_tolerantly(&request.body)?;
        if profile.nf_instance_id != id {
            return Err(Problem::mandatory_ie_incorrect(
                "/nfInstanceId",
                format!("{} is not {id} of the path", profile.nf_instance_id),
            ));
        }
        admit(&profile, caller)?;
        let committed = self.registry.store(id, now, |basis| {
            basis
                .register(profile.clone())
                .map_err(|large| too_large(&large))
        })?;
        self.tell(id, &tolerated);
        let stored = committed.stored;
        let status = if committed.is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        // Needed on 201; on 200 peers such as free5GC's rely on it.
        let location = HeaderValue::from_str(&self.href(id)).expect("apiRoot is visible ASCII");
        Ok(document(status, &stored).with(LOCATION, location))
    }

    fn update(
        &self,
        id: NfInstanceId,
        caller: Caller<'_>,
        request: &Request,
        now: Instant,
    ) -> Result<Response, Problem> {
        caller.require_own(id)?;
        request.require_media_type(JSON_PATCH)?;
        let patch = read_patch(&request.body)?;
        let committed = self.registry.store(id, now, |basis| {
            if let Some(stored) = basis.stored() {
                require_match(&request.headers, stored)?;
            }
            let draft = basis.revise(&patch).map_err(refusal)?;
            admit(draft.profile(), caller)?;
            Ok(draft)
        });
        let committed = committed.map_err(|problem: Problem| problem)?;
        self.tell(id, &committed.tolerated);
        Ok(if committed.is_overridden {
            document(StatusCode::OK, &committed.stored)
        } else {
            Response::no_content()
        })
    }

    fn deregister(&self, id: NfInstanceId, caller: Caller<'_>) -> Result<Response, Problem> {
        caller.require_own(id)?;
        if self.registry.update(|registry| registry.deregister(id)) {
            Ok(Response::no_content())
        } else {
            Err(unknown_instance())
        }
    }

    fn retrieve(&self, id: NfInstanceId, request: &Request) -> Result<Response, Problem> {
        let query = read_query(&request.query)?;
        refuse_unsupported(&query, |name| name == "requester-features")?;
        let features: Option<SupportedFeatures> = parse_param(&query, "requester-features")?;
        let stored = self.registry.read(|registry| registry.get(id).cloned());
        let mut stored = stored.ok_or_else(unknown_instance)?;
        if let Some(features) = features {
            let form = if features.has(SERVICE_MAP) {
                ServiceForm::Map
            } else {
                ServiceForm::Array
            };
            Arc::make_mut(&mut stored.profile).convert_services(form);
        }
        let profile = Tagged::json(stored.profile.as_ref()).tagged(stored.etag);
        Ok(profile.answer(&request.headers, None))
    }

    fn list(&self, request: &Request) -> Result<Response, Problem> {
        let query = read_query(&request.query)?;
        refuse_unsupported(&query, |name| {
            ["nf-type", "limit", "page-size", "page-number"].contains(&name)
        })?;
        let nf_type: Option<String> = parse_param(&query, "nf-type")?;
        let nf_type = nf_type.map(NfType::from);
        let limit: Option<usize> = parse_count(&query, "limit")?;
        let page_size: Option<usize> = parse_count(&query, "page-size")?;
        let page_number: Option<usize> = parse_count(&query, "page-number")?;
        let limit = limit.unwrap_or(MAX_ITEMS);
        let page_size = page_size.unwrap_or(limit).min(MAX_ITEMS);
        let skip = page_number
            .unwrap_or(1)
            .saturating_sub(1)
            .saturating_mul(page_size);
        let (total, page) = self
            .registry
            .read(|registry| registry.page(nf_type.as_ref(), skip, page_size.min(limit)));
        let list = UriList {
            total_item_count: u64::try_from(total).ok(),
            links: HalLinks {
                own: HalLink {
                    href: self.collection(),
                },
                item: page
                    .into_iter()
                    .map(|id| HalLink {
                        href: self.href(id),
                    })
                    .collect(),
            },
        };
        Ok(Tagged::hal(&list).answer(&request.headers, None))
    }

    fn collection(&self) -> String {
        format!("{}/nnrf-nfm/v1/nf-instances", self.api_root)
    }

    fn href(&self, id: NfInstanceId) -> String {
        format!("{}/{id}", self.collection())
    }
}

/// What of a member's name goes into the log: names may be long.
fn truncated(pointer: &str) -> String {
    pointer.chars().take(MAX_QUOTED).collect()
}

/// Checks 3 and 4: the certificate, if there is one, has the NF type and every FQDN of the profile.
fn admit(profile: &NfProfile, caller: Caller<'_>) -> Result<(), Problem> {
    let Some(identity) = caller.identity() else {
        return Ok(());
    };
    let nf_type = profile.nf_type.as_str();
    if !identity
        .nf_types
        .iter()
        .any(|certified| certified == nf_type)
    {
        return Err(Problem::certificate_mismatch(format!(
            "certificate is for nfType {}, profile has {nf_type}",
            identity.nf_types.join(", ")
        )));
    }
    let service_fqdns = profile
        .services()
        .filter_map(|service| service.fqdn.as_deref());
    let foreign = profile
        .fqdn
        .as_deref()
        .into_iter()
        .chain(service_fqdns)
        .find(|fqdn| !certifies(&identity.fqdns, fqdn));
    match foreign {
        None => Ok(()),
        Some(fqdn) => Err(Problem::certificate_mismatch(format!(
            "certificate is for fqdn {}, profile has {fqdn}",
            identity.fqdns.join(", ")
        ))),
    }
}

/// Whether `fqdn` is one of the names of a certificate. This project issues no wildcards, and a wildcard matches nothing.
pub(crate) fn certifies(fqdns: &[String], fqdn: &str) -> bool {
    let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let fqdn = bare(fqdn);
    fqdns.iter().any(|certified| bare(certified) == fqdn)
}

fn path_id(text: &str) -> Result<NfInstanceId, Problem> {
    text.parse().map_err(|error| {
        let reason = format!("{error}");
        Problem::mandatory_ie_incorrect("{nfInstanceID}", reason)
    })
}

/// The operations of a patch, at least one.
///
/// # Errors
/// `400` when it is none.
pub(crate) fn read_patch(body: &[u8]) -> Result<Vec<PatchItem>, Problem> {
    let patch: Vec<PatchItem> = serde_json::from_slice(body)
        .map_err(|error| Problem::invalid_msg_format(format!("not a JSON patch: {error}")))?;
    if patch.is_empty() {
        return Err(Problem::invalid_msg_format("patch has no operation"));
    }
    Ok(patch)
}

fn require_match(headers: &HeaderMap, stored: &Stored) -> Result<(), Problem> {
    let Some(wanted) = headers.get(IF_MATCH) else {
        return Ok(());
    };
    if wanted
        .to_str()
        .is_ok_and(|wanted| stored.etag.is_in(wanted))
    {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::PRECONDITION_FAILED,
        format!("the profile is at {}", stored.etag),
    ))
}

fn refusal(error: ReviseError) -> Problem {
    match error {
        ReviseError::UnknownInstance => unknown_instance(),
        ReviseError::Immutable { path } => {
            let detail = format!("{path} cannot be changed");
            let mut problem =
                Problem::with_cause(StatusCode::FORBIDDEN, Cause::ModificationNotAllowed, detail);
            problem.details.invalid_params = vec![InvalidParam::new(path, "cannot be changed")];
            problem
        }
        ReviseError::Patch(error) => {
            Problem::mandatory_ie_incorrect(&format!("/{}", error.index), error.to_string())
        }
        ReviseError::Invalid(problem) => problem,
        ReviseError::TooLarge(large) => too_large(&large),
    }
}

fn too_large(large: &ProfileTooLarge) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, large.to_string())
}

impl From<CommitError> for Problem {
    fn from(error: CommitError) -> Self {
        let cause = match error {
            CommitError::Full(_) => Cause::InsufficientResources,
            CommitError::Stale => Cause::NfCongestion,
        };
        Self::unavailable(cause, error.to_string(), RETRY_WHEN_FULL)
    }
}

fn unknown_instance() -> Problem {
    Problem::not_found("instance is not registered")
}

fn document(status: StatusCode, stored: &Stored) -> Response {
    Response::json(status, stored.profile.as_ref()).with(ETAG, stored.etag.header())
}

fn options() -> Response {
    Response::json(StatusCode::OK, &json!({"supportedFeatures": "1"}))
}

/// # Errors
/// `400` when the query cannot be decoded.
pub(crate) fn read_query(query: &str) -> Result<Query, Problem> {
    Query::parse(query).map_err(|error| {
        Problem::with_cause(
            StatusCode::BAD_REQUEST,
            Cause::InvalidQueryParam,
            error.to_string(),
        )
    })
}

/// The one value of the optional parameter `name`.
///
/// # Errors
/// `400` when there are several or the value is not a `T`.
pub(crate) fn parse_param<T>(query: &Query, name: &str) -> Result<Option<T>, Problem>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let mut values = query.values(name);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(incorrect_param(name, "is given more than once"));
    }
    value
        .parse()
        .map(Some)
        .map_err(|error: T::Err| incorrect_param(name, &error.to_string()))
}

/// As [`parse_param`], of a number that is at least 1.
///
/// # Errors
/// As [`parse_param`], and when it is 0.
pub(crate) fn parse_count(query: &Query, name: &str) -> Result<Option<usize>, Problem> {
    match parse_param(query, name)? {
        Some(0) => Err(incorrect_param(name, "is less than 1")),
        count => Ok(count),
    }
}

/// Refuses the parameters that are not `supported`: an answer must not look as if they had been considered.
///
/// # Errors
/// `400 INVALID_QUERY_PARAM` with each of them.
pub(crate) fn refuse_unsupported(
    query: &Query,
    supported: impl Fn(&str) -> bool,
) -> Result<(), Problem> {
    let unsupported: Vec<_> = query
        .names()
        .filter(|name| !supported(name))
        .map(|name| InvalidParam::new(format!("query {name}"), "is not supported"))
        .collect();
    if unsupported.is_empty() {
        return Ok(());
    }
    Err(Problem::invalid_params(
        Cause::InvalidQueryParam,
        unsupported,
    ))
}

/// `400 OPTIONAL_QUERY_PARAM_INCORRECT`.
pub(crate) fn incorrect_param(name: &str, reason: &str) -> Problem {
    Problem::invalid_params(
        Cause::OptionalQueryParamIncorrect,
        vec![InvalidParam::new(format!("query {name}"), reason)],
    )
}
