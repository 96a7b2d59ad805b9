//! What is asked of accounts: to be made, shown, changed, given another key, deactivated (RFC 8555 section 7.3).

use std::sync::Arc;

use acme::{AccountKey, AccountUpdate, Binding, By, ErrorKind, KeyChange, NewAccount, Verified};
use hyper::StatusCode;
use hyper::header::LOCATION;
use sbi::response::Response;
use serde_json::{Value, json};

use super::accounts::{Account, AccountsError};
use super::refused::Refused;
use super::{AcmePort, add};

/// Contacts of an account.
const MAX_CONTACTS: usize = 4;
/// Octets of one.
const MAX_CONTACT: usize = 254;

impl AcmePort {
    /// Makes an account for whoever has `key`, or finds the one that there is.
    pub(super) async fn new_account(
        &self,
        key: AccountKey,
        payload: &Verified,
        url: &str,
    ) -> Result<Response, Refused> {
        let wanted: NewAccount = payload.read()?;
        if let Some(account) = self.accounts.of_key(&key) {
            return self.found(&account);
        }
        if wanted.only_return_existing {
            let text = "there is no account with this key";
            return Err(Refused::new(ErrorKind::AccountDoesNotExist, text));
        }
        check_contacts(&wanted.contact)?;
        let binding = wanted.external_account_binding.ok_or_else(|| {
            let text = "externalAccountBinding is missing; mtc5g token --acme mints what it takes";
            Refused::new(ErrorKind::ExternalAccountRequired, text)
        })?;
        let binding = Binding::parse(&binding)?;
        let claims = self.enrolment.verify_external_account(&binding.key_id)?;
        let mac_key = self.external_accounts.mac_key(claims.jti);
        binding
            .verify(&mac_key, url, &key)
            .inspect_err(|_| self.metrics.checked_token("secret"))?;
        let account = Account::new(claims, key.clone(), wanted.contact);
        let account = match self.accounts.create(account).await {
            Ok(account) => account,
            Err(AccountsError::Bound) => {
                // The same request may have come twice at a time.
                let account = self.accounts.of_key(&key).ok_or(AccountsError::Bound);
                let account = account.inspect_err(|_| self.metrics.checked_token("used"))?;
                return self.found(&account);
            }
            Err(error) => return Err(error.into()),
        };
        self.metrics.checked_token("ok");
        tracing::info!(nf_instance_id = %account.instance_id, account = %account.id, "bound an ACME account");
        Ok(self.told_of(StatusCode::CREATED, &account))
    }

    fn found(&self, account: &Account) -> Result<Response, Refused> {
        if account.is_active {
            return Ok(self.told_of(StatusCode::OK, account));
        }
        let text = "the account with this key was deactivated";
        Err(Refused::new(ErrorKind::Unauthorized, text))
    }

    /// Shows an account, or changes it.
    pub(super) async fn account(
        &self,
        account: &Arc<Account>,
        payload: &Verified,
    ) -> Result<Response, Refused> {
        if payload.is_empty() {
            return Ok(self.told_of(StatusCode::OK, account));
        }
        let AccountUpdate { status, contact } = payload.read()?;
        match status.as_deref() {
            None | Some("valid") => {}
            Some("deactivated") => {
                let account = self
                    .accounts
                    .change(account.id, |account| account.is_active = false);
                let account = account.await?;
                self.orders.cancel(account.id);
                tracing::warn!(nf_instance_id = %account.instance_id, account = %account.id, "an ACME account was deactivated");
                return Ok(self.told_of(StatusCode::OK, &account));
            }
            Some(_) => return Err(Refused::malformed("status can be set to deactivated only")),
        }
        let Some(contact) = contact else {
            return Ok(self.told_of(StatusCode::OK, account));
        };
        check_contacts(&contact)?;
        let changed = self
            .accounts
            .change(account.id, |account| account.contact = contact);
        Ok(self.told_of(StatusCode::OK, &*changed.await?))
    }

    /// Replaces the key of an account: by a request within the request, which the new key signs (section 7.3.5).
    pub(super) async fn change_key(
        &self,
        account: &Account,
        payload: &Verified,
        url: &str,
    ) -> Result<Response, Refused> {
        let inner = payload.inner()?;
        let By::Key(new) = inner.header.by.clone() else {
            return Err(Refused::malformed(
                "the inner request must bring the new key (jwk)",
            ));
        };
        if inner.header.url != url || inner.header.nonce.is_some() {
            let text = "the inner request must have the url of the outer one, and no nonce";
            return Err(Refused::malformed(text));
        }
        let change: KeyChange = inner.verify(&new)?.read()?;
        if change.account != self.urls.account(account.id) {
            return Err(Refused::malformed(
                "account is not the one that signs the outer request",
            ));
        }
        let old = AccountKey::from_jwk(&change.old_key);
        if old.ok().as_ref() != Some(&account.key) {
            return Err(Refused::malformed("oldKey is not the account's key"));
        }
        if let Some(other) = self.accounts.of_key(&new) {
            return Err(Refused::key_in_use(self.urls.account(other.id)));
        }
        let changed = self
            .accounts
            .change(account.id, |account| account.key = new);
        let account = changed.await?;
        tracing::info!(nf_instance_id = %account.instance_id, account = %account.id, "an ACME account has a new key");
        Ok(self.told_of(StatusCode::OK, &account))
    }

    /// The list of an account's orders (section 7.1.2.1).
    pub(super) fn orders_of(&self, account: &Account) -> Response {
        let orders = self.orders.of_account(account.id, self.now());
        let urls: Vec<_> = orders.into_iter().map(|id| self.urls.order(id)).collect();
        Response::json(StatusCode::OK, &json!({ "orders": urls }))
    }

    fn told_of(&self, status: StatusCode, account: &Account) -> Response {
        let url = self.urls.account(account.id);
        let mut response = Response::json(status, &shown(account, &url));
        add(&mut response, LOCATION, &url);
        response
    }
}

/// An account as its holder sees it (section 7.1.2).
fn shown(account: &Account, url: &str) -> Value {
    let status = if account.is_active {
        "valid"
    } else {
        "deactivated"
    };
    json!({"status": status, "contact": account.contact, "orders": format!("{url}/orders")})
}

fn check_contacts(contacts: &[String]) -> Result<(), Refused> {
    let is_mail = |contact: &String| {
        let address = contact.strip_prefix("mailto:");
        contact.len() <= MAX_CONTACT
            && address.is_some_and(|address| address.contains('@') && !address.contains(['?', ',']))
    };
    if contacts.len() <= MAX_CONTACTS && contacts.iter().all(is_mail) {
        return Ok(());
    }
    let text = format!(
        "contact has more than {MAX_CONTACTS} URLs, or one that is not mailto: and an address"
    );
    Err(Refused::new(ErrorKind::UnsupportedContact, text))
}
