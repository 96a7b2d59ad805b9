//! What is asked of orders: to be made, shown, authorised, finalised (RFC 8555 section 7.4 and 7.5).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use acme::{ErrorKind, Finalize, Identifier, NewOrder, Verified, decode};
use hyper::StatusCode;
use hyper::header::{LOCATION, RETRY_AFTER};
use hyper::http::HeaderValue;
use mtc_core::causes::Causes;
use mtc_tls::csr::Csr;
use sbi::enrolment::MTC_PROFILE;
use sbi::response::Response;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use uuid::Uuid;

use super::accounts::Account;
use super::orders::{Order, Orders, State, Taken};
use super::refused::Refused;
use super::{AcmePort, add, wrong};
use crate::enrolment::{Applicant, Enrolment, digest_of};
use crate::enrolment_token::RequestDigest;

/// How long a CSR waits for its certificate before its sender is told to ask again.
const PATIENCE: Duration = Duration::from_secs(5);
/// When to ask again, in seconds.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("1");
/// Identifiers of an order: as many FQDNs as an enrolment token may have.
const MAX_IDENTIFIERS: usize = 16;
/// The type of identifier that there is.
const DNS: &str = "dns";

impl AcmePort {
    /// Begins an order, of the profile of its path or of its member `profile`.
    pub(super) fn new_order(
        &self,
        account: &Account,
        label: Option<&str>,
        payload: &Verified,
    ) -> Result<Response, Refused> {
        let wanted: NewOrder = payload.read()?;
        if wanted.not_before.is_some() || wanted.not_after.is_some() {
            let text = "notBefore and notAfter are the NRF's to say; leave them out";
            return Err(Refused::malformed(text));
        }
        let profile = match (label, wanted.profile.as_deref()) {
            (Some(label), Some(named)) if label != named => {
                let text = format!("the path is for profile {label}, the order for {named}");
                return Err(Refused::new(ErrorKind::InvalidProfile, text));
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => MTC_PROFILE,
        };
        if profile != MTC_PROFILE {
            self.enrolment.baseline(profile)?;
        }
        let identifiers = allowed(wanted.identifiers, account)?;
        let profile = profile.to_owned();
        let order = self
            .orders
            .begin(account.id, identifiers, profile, self.now())?;
        Ok(self.told(StatusCode::CREATED, &order))
    }

    /// An order of an account.
    pub(super) fn order(&self, id: Uuid, account: &Account) -> Result<Order, Refused> {
        let order = self.orders.get(id, account.id, self.now());
        order.ok_or_else(|| {
            Refused::not_found(format!("this account has no order {id}, or no more"))
        })
    }

    /// An order as its account sees it (section 7.1.3).
    pub(super) fn told(&self, status: StatusCode, order: &Order) -> Response {
        let url = self.urls.order(order.id);
        let authorizations: Vec<_> = (0..order.identifiers.len())
            .map(|number| self.urls.authorization(order.id, number))
            .collect();
        let mut shown = json!({
            "status": order.status(),
            "expires": order.expires.to_string(),
            "identifiers": order.identifiers,
            "profile": order.profile,
            "authorizations": authorizations,
            "finalize": format!("{url}/finalize"),
        });
        match &order.state {
            State::Valid(_) => shown["certificate"] = json!(self.urls.certificate(order.id)),
            State::Invalid(refused) => shown["error"] = refused.document(),
            State::Ready | State::Processing(_) => {}
        }
        let mut response = Response::json(status, &shown);
        if matches!(order.state, State::Processing(_)) {
            response = response.with(RETRY_AFTER, ASK_AGAIN);
        }
        add(&mut response, LOCATION, &url);
        response
    }

    /// An authorisation (section 7.1.4): valid, by the external account, and thus without a challenge.
    pub(super) fn authorization(
        &self,
        order: &Order,
        number: usize,
        payload: &Verified,
    ) -> Result<Response, Refused> {
        let identifier = order.identifiers.get(number);
        let identifier =
            identifier.ok_or_else(|| Refused::not_found("the order has no such authorisation"))?;
        if !payload.is_empty() {
            let _: Value = payload.read()?;
            let text =
                "authorisations are the account's as long as it is there; deactivate the account";
            return Err(Refused::malformed(text));
        }
        let shown = json!({
            "status": "valid",
            "expires": order.expires.to_string(),
            "identifier": identifier,
            "challenges": [],
        });
        Ok(Response::json(StatusCode::OK, &shown))
    }

    /// Takes the CSR of an order, and waits a moment for its certificate.
    pub(super) async fn finalize(
        &self,
        account: &Account,
        id: Uuid,
        payload: &Verified,
    ) -> Result<Response, Refused> {
        let order = self.order(id, account)?;
        let Finalize { csr } = payload.read()?;
        let der = decode(&csr, "csr")
            .map_err(|error| Refused::new(ErrorKind::BadCsr, Causes(&error).to_string()))?;
        let csr = Csr::parse_and_verify(&der)?;
        let applicant = account.applicant(order.fqdns());
        check(&csr, &order, account, &applicant)?;
        let request = digest_of(&order.profile, &csr);
        if self.orders.take(id, request)? == Taken::New {
            let issuing = Issuing {
                enrolment: self.enrolment.clone(),
                orders: self.orders.clone(),
                order,
                request,
            };
            // In a task of its own: whoever asked may go away and ask again.
            let issuing = tokio::spawn(issuing.run(applicant, csr));
            let _ = timeout(PATIENCE, issuing).await;
        }
        Ok(self.told(StatusCode::OK, &self.order(id, account)?))
    }
}

/// A certificate on its way.
struct Issuing {
    enrolment: Arc<Enrolment>,
    orders: Arc<Orders>,
    order: Order,
    request: RequestDigest,
}

impl Issuing {
    /// Issues, and says how it went.
    async fn run(self, applicant: Applicant, csr: Csr) {
        let (enrolment, orders, id) = (self.enrolment.clone(), self.orders.clone(), self.order.id);
        // A panic has been reported, and must not leave the order without an end.
        let outcome = tokio::spawn(self.issue(applicant, csr)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(failed()));
        let refused = outcome.as_ref().err();
        enrolment
            .metrics
            .enrolled_by_acme(refused.map(|refused| refused.kind));
        if let Err(refused) = outcome {
            tracing::info!(order = %id, error = refused.kind.as_str(), "an ACME order brings nothing: {}", refused.detail);
            orders.refuse(id, refused);
        }
    }

    async fn issue(self, applicant: Applicant, csr: Csr) -> Result<(), Refused> {
        let Self {
            enrolment,
            orders,
            order,
            request,
        } = self;
        let issued = enrolment.enrol(applicant, &order.profile, &csr).await?;
        let now = enrolment.clock.now();
        let granted = spawn_blocking(move || orders.grant(&order, request, &issued, now)).await;
        let granted = granted.map_err(|_| failed())?;
        granted.map_err(|error| {
            tracing::error!(error = %Causes(&error), "cannot keep what an ACME order has brought, so the order brings nothing");
            failed()
        })
    }
}

fn failed() -> Refused {
    Refused::internal("the NRF failed; its log says why")
}

/// The identifiers of an order, if all are the account's: in small letters, each once.
fn allowed(wanted: Vec<Identifier>, account: &Account) -> Result<Vec<Identifier>, Refused> {
    if !(1..=MAX_IDENTIFIERS).contains(&wanted.len()) {
        return Err(wrong(&format!("identifiers: not 1 to {MAX_IDENTIFIERS}")).into());
    }
    let (mut identifiers, mut rejected) = (Vec::<Identifier>::new(), Vec::new());
    for mut identifier in wanted {
        if identifier.kind != DNS {
            let text = format!("identifiers of type {:?}, not dns", identifier.kind);
            return Err(Refused::new(ErrorKind::UnsupportedIdentifier, text));
        }
        identifier.value.make_ascii_lowercase();
        let is_known = |fqdn: &String| fqdn.eq_ignore_ascii_case(&identifier.value);
        if !account.fqdns.iter().any(is_known) {
            rejected.push(identifier);
        } else if !identifiers.contains(&identifier) {
            identifiers.push(identifier);
        }
    }
    if rejected.is_empty() {
        return Ok(identifiers);
    }
    let text = format!("the account has {}", account.fqdns.join(", "));
    Err(Refused::new(ErrorKind::RejectedIdentifier, text).with_identifiers(rejected))
}

/// Refuses a CSR that does not ask for what was ordered (section 7.4).
fn check(
    csr: &Csr,
    order: &Order,
    account: &Account,
    applicant: &Applicant,
) -> Result<(), Refused> {
    let bad = |text: String| Refused::new(ErrorKind::BadCsr, text);
    if account.key.is_of(&csr.spki_der) {
        return Err(bad(
            "the key of an account cannot be that of a certificate".to_owned()
        ));
    }
    applicant.check(csr)?;
    let asked: BTreeSet<String> = csr
        .fqdns
        .iter()
        .map(|fqdn| fqdn.to_ascii_lowercase())
        .collect();
    let ordered: BTreeSet<String> = order.fqdns().into_iter().collect();
    if asked == ordered {
        return Ok(());
    }
    let [asked, ordered] =
        [asked, ordered].map(|names| names.into_iter().collect::<Vec<_>>().join(", "));
    Err(bad(format!(
        "the CSR has the names {asked:?}, the order {ordered:?}"
    )))
}
