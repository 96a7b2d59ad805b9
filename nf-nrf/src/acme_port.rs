//! ACME (RFC 8555, and Section 9 of the draft), one edge of [`crate::enrolment`].
//!
//! ```text
//! GET  /acme/[p/<profile>/]directory, new-nonce        anybody
//! POST /acme/...
//!   body ──> Signed ── url: this one? ── jwk or kid ──> key ──> signature ── nonce: new? ──> Caller, payload
//!     new-account   external account, minted by the authority ──> Accounts: the key of one NF instance
//!     new-order     identifiers: the account's? ──> Orders: ready at once, since the external account has proven who it is
//!     finalize      CSR: the order's names, no more ──> Enrolment::enrol ──> Orders: valid
//!     certificate   standalone, Link: rel="acme-optional-alternate" ──> 202 until there is a landmark, then landmark-relative
//!     revoke-cert   by the account that ordered it, or by its key
//!   every answer has the next nonce
//! ```
//!
//! Over HTTPS with one of the NRF's X.509 certificates: clients of others verify no other. The account is the identity: names come from the
//! external account and never from the CSR. Authorisations are valid from the start, and no challenge is served: the authority has said whose
//! the names are, and a look at port 80 could say less.

use std::sync::Arc;
use std::time::Instant;

use acme::{AccountKey, By, ErrorKind, MAX_REQUEST, RequestError, Signed, Verified};
use hyper::header::{CACHE_CONTROL, HeaderName, LINK};
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode};
use mtc_core::time::UnixTime;
use sbi::enrolment::MTC_PROFILE;
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::{Handler, Request};
use serde_json::{Map, Value, json};

use crate::enrolment::Enrolment;
use crate::enrolment_token::SharedSecrets;
use crate::files::{FileError, PrivateFolder};
use crate::metrics::NrfMetrics;

mod account_requests;
mod accounts;
mod certificates;
mod nonces;
mod ordering;
mod orders;
mod refused;
mod resource;

use accounts::{Account, Accounts};
use nonces::Nonces;
use orders::Orders;
use refused::Refused;
use resource::{Resource, Urls};

/// Media type of requests (RFC 8555 section 6.2).
const JOSE_JSON: &str = "application/jose+json";
const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// As metrics name an answer that is to be asked for again.
const WAITING: &str = "waiting";

/// What the port has to know of its place.
pub struct Place {
    /// Where clients reach it: `https://host:port`, without a slash at its end.
    pub root: String,
    /// Where the issuance logs are served, without a slash at its end; a log is below it by its number.
    pub logs: String,
    /// DER of the CA certificate of the MTCA.
    pub ca_certificate: Vec<u8>,
}

/// Answers on the ACME port.
pub struct AcmePort {
    /// What issues.
    enrolment: Arc<Enrolment>,
    /// What the MAC keys of external accounts are derived from.
    external_accounts: SharedSecrets,
    accounts: Accounts,
    orders: Arc<Orders>,
    nonces: Nonces,
    urls: Urls,
    logs: String,
    ca_certificate: Vec<u8>,
    metrics: NrfMetrics,
}

/// Who has signed a request.
enum Caller {
    /// Whoever has the key of this account.
    Account(Arc<Account>),
    /// Whoever has this key, which the request has with it.
    Key(AccountKey),
}

impl Caller {
    /// The account that must have signed.
    fn account(self) -> Result<Arc<Account>, Refused> {
        match self {
            Self::Account(account) => Ok(account),
            Self::Key(_) => Err(Refused::malformed(
                "the protected header must name an account (kid), not bring a key (jwk)",
            )),
        }
    }

    /// The key that must come along.
    fn key(self) -> Result<AccountKey, Refused> {
        match self {
            Self::Key(key) => Ok(key),
            Self::Account(_) => Err(Refused::malformed(
                "the protected header must bring a key (jwk), not name an account (kid)",
            )),
        }
    }
}

impl AcmePort {
    /// A port that keeps accounts and orders in folders below `folder`, where `external_accounts` are bound. Blocks on the disk.
    ///
    /// # Errors
    /// What is kept cannot be read.
    pub fn new(
        enrolment: Arc<Enrolment>,
        external_accounts: SharedSecrets,
        folder: &PrivateFolder,
        place: Place,
    ) -> Result<Self, FileError> {
        let Place {
            root,
            logs,
            ca_certificate,
        } = place;
        let now = enrolment.clock.now();
        let orders = PrivateFolder::open(folder.path("orders"))?;
        Ok(Self {
            metrics: enrolment.metrics.clone(),
            enrolment,
            external_accounts,
            accounts: Accounts::open(PrivateFolder::open(folder.path("accounts"))?)?,
            orders: Arc::new(Orders::open(orders, now)?),
            nonces: Nonces::new(Instant::now()),
            urls: Urls::new(root),
            logs,
            ca_certificate,
        })
    }

    fn now(&self) -> UnixTime {
        self.enrolment.clock.now()
    }

    /// Where everything is (section 7.1.1).
    fn directory(&self, profile: Option<&str>) -> Result<Response, Refused> {
        let known = self.profiles();
        if let Some(profile) = profile.filter(|profile| !known.contains_key(*profile)) {
            return Err(Refused::not_found(format!("there is no profile {profile}")));
        }
        let own = |name: &str| self.urls.of_path(&format!("/acme/{name}"));
        let directory = json!({
            "newNonce": own("new-nonce"),
            "newAccount": own("new-account"),
            "newOrder": self.urls.new_order(profile),
            "revokeCert": own("revoke-cert"),
            "keyChange": own("key-change"),
            "meta": {"externalAccountRequired": true, "profiles": known},
        });
        Ok(Response::json(StatusCode::OK, &directory))
    }

    /// The profiles and what they are, as draft-ietf-acme-profiles has them told.
    fn profiles(&self) -> Map<String, Value> {
        let baselines = self.enrolment.baselines.iter();
        let baselines = baselines.map(|baseline| {
            let text = "an X.509 certificate below a root of this NRF's";
            (format!("x509-{}", baseline.profile()), json!(text))
        });
        let text = "a standalone Merkle Tree Certificate, and by its optional alternate the landmark-relative one";
        std::iter::once((MTC_PROFILE.to_owned(), json!(text)))
            .chain(baselines)
            .collect()
    }

    /// Reads a request, and who has signed it (section 6.2 to 6.5).
    fn authenticate(&self, request: &Request) -> Result<(Caller, Verified), Refused> {
        let signed = Signed::parse(&request.body)?;
        let url = self.urls.of_path(&request.path);
        if signed.header.url != url {
            let text = format!("url in the protected header is not that of the request, {url}");
            return Err(Refused::new(ErrorKind::Unauthorized, text));
        }
        let caller = match &signed.header.by {
            By::Key(key) => Caller::Key(key.clone()),
            By::Account(url) => Caller::Account(self.account_at(url)?),
        };
        let key = match &caller {
            Caller::Key(key) => key,
            Caller::Account(account) => &account.key,
        };
        let nonce = signed.header.nonce.clone();
        let verified = signed.verify(key)?;
        let nonce = nonce.ok_or_else(|| {
            Refused::new(
                ErrorKind::BadNonce,
                "there is no nonce in the protected header",
            )
        })?;
        self.nonces.take(&nonce, Instant::now())?;
        Ok((caller, verified))
    }

    fn account_at(&self, url: &str) -> Result<Arc<Account>, Refused> {
        let id = self.urls.account_at(url);
        let account = id.and_then(|id| self.accounts.get(id));
        let account = account.ok_or_else(|| {
            let text = format!("there is no account {url}");
            Refused::new(ErrorKind::AccountDoesNotExist, text)
        })?;
        if account.is_active {
            return Ok(account);
        }
        let text = "the account was deactivated";
        Err(Refused::new(ErrorKind::Unauthorized, text))
    }

    /// Answers a signed request.
    async fn act(&self, resource: Resource<'_>, request: &Request) -> Result<Response, Refused> {
        let (caller, payload) = self.authenticate(request)?;
        match resource {
            Resource::Directory(profile) => {
                payload.require_empty()?;
                self.directory(profile)
            }
            Resource::NewNonce => {
                payload.require_empty()?;
                Ok(Response::no_content())
            }
            Resource::NewAccount => {
                let url = self.urls.of_path(&request.path);
                self.new_account(caller.key()?, &payload, &url).await
            }
            Resource::RevokeCert => self.revoke(caller, &payload).await,
            Resource::KeyChange => {
                let url = self.urls.of_path(&request.path);
                self.change_key(&*caller.account()?, &payload, &url).await
            }
            Resource::Account(id) => {
                let account = own(caller.account()?, id)?;
                self.account(&account, &payload).await
            }
            Resource::Orders(id) => {
                payload.require_empty()?;
                let account = own(caller.account()?, id)?;
                Ok(self.orders_of(&account))
            }
            Resource::NewOrder(profile) => self.new_order(&*caller.account()?, profile, &payload),
            Resource::Order(id) => {
                payload.require_empty()?;
                let account = caller.account()?;
                Ok(self.told(StatusCode::OK, &self.order(id, &account)?))
            }
            Resource::Authorization(id, number) => {
                let account = caller.account()?;
                self.authorization(&self.order(id, &account)?, number, &payload)
            }
            Resource::Finalize(id) => self.finalize(&*caller.account()?, id, &payload).await,
            Resource::Certificate(id) => {
                payload.require_empty()?;
                self.certificate(&*caller.account()?, id, &request.headers)
                    .await
            }
            Resource::LandmarkRelative(id) => {
                payload.require_empty()?;
                self.landmark_relative(&*caller.account()?, id, &request.headers)
                    .await
            }
        }
    }

    /// Counts an answer to a signed request.
    fn count(&self, resource: Resource<'_>, answer: &Result<Response, Refused>) {
        let result = match answer {
            Ok(response) if response.status == StatusCode::ACCEPTED => WAITING,
            Ok(_) => "ok",
            Err(refused) => refused.kind.as_str(),
        };
        self.metrics.answered_acme(resource.name(), result);
    }

    /// What every answer has beside its own: a nonce, and where the directory is.
    fn framed(&self, mut response: Response) -> Response {
        let link = format!("<{}>;rel=\"index\"", self.urls.directory(None));
        add(&mut response, LINK, &link);
        add(
            &mut response,
            REPLAY_NONCE,
            &self.nonces.make(Instant::now()),
        );
        response.with(CACHE_CONTROL, NO_STORE)
    }
}

/// Adds a header whose value was made here, of visible ASCII.
fn add(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers.append(name, value);
    }
}

/// An account that asks for something of its own.
fn own(account: Arc<Account>, id: uuid::Uuid) -> Result<Arc<Account>, Refused> {
    if account.id == id {
        return Ok(account);
    }
    let text = "it is another account's";
    Err(Refused::new(ErrorKind::Unauthorized, text))
}

impl Handler for AcmePort {
    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        let segments = request.segments()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let resource = Resource::at(&segments).ok_or_else(|| {
            Problem::not_found(
                "ACME begins at /acme/directory, and at /acme/p/PROFILE/directory for one profile",
            )
        })?;
        let answer = match (resource, &request.method) {
            // The server takes the body off an answer to HEAD.
            (Resource::Directory(profile), &Method::GET | &Method::HEAD) => self.directory(profile),
            (Resource::NewNonce, &Method::HEAD) => Ok(Response::empty(StatusCode::OK)),
            (Resource::NewNonce, &Method::GET) => Ok(Response::no_content()),
            (_, &Method::POST) => {
                request.require_media_type(JOSE_JSON)?;
                let answer = self.act(resource, &request).await;
                self.count(resource, &answer);
                answer
            }
            (Resource::Directory(_) | Resource::NewNonce, _) => {
                return Err(Problem::method_not_allowed("GET, HEAD, POST"));
            }
            _ => return Err(Problem::method_not_allowed("POST")),
        };
        let response = answer.unwrap_or_else(|refused| {
            tracing::info!(
                resource = resource.name(),
                error = refused.kind.as_str(),
                "refused an ACME request: {}",
                refused.detail
            );
            refused.into_response()
        });
        Ok(self.framed(response))
    }

    fn max_body(&self, _method: &Method, _path: &str) -> usize {
        MAX_REQUEST
    }
}

/// A payload that says something else than what belongs there.
fn wrong(text: &str) -> RequestError {
    use serde::de::Error as _;
    RequestError::Payload(serde_json::Error::custom(text))
}
