//! Accounts: each the key of one NF instance, one file each, kept for good.
//!
//! ```text
//!  <jti of the external account>.json: { instanceId, nfType, fqdns, key (JWK), contact, active }
//! ```
//!
//! An account has the name of the external account that it was bound with, so that none is bound twice: what was bound is what there is. An
//! account that was deactivated stays for that reason too. There are as many as the authority has minted external accounts, so nobody else
//! can fill the disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use acme::AccountKey;
use sbi::enrolment_claims::EnrolmentClaims;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::enrolment::Applicant;
use crate::files::{FileError, PrivateFolder};

const SUFFIX: &str = ".json";

/// Why an account is not made or changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccountsError {
    /// There is an account that was bound with the same external account.
    #[error(
        "the external account is bound to another account key; mtc5g token --acme mints a new one"
    )]
    Bound,
    /// There is no such account.
    #[error("there is no such account")]
    Unknown,
    /// The key is another account's.
    #[error("the key is another account's")]
    KeyInUse,
    /// The disk.
    #[error(transparent)]
    File(#[from] FileError),
    /// The process is ending.
    #[error("the NRF is stopping")]
    Ending(#[from] tokio::task::JoinError),
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Its name, the `jti` of the external account.
    pub(super) id: Uuid,
    /// The NF instance that it is for.
    pub(super) instance_id: Uuid,
    /// Its type.
    pub(super) nf_type: String,
    /// The names that it may have certificates for.
    pub(super) fqdns: Vec<String>,
    /// The key that signs its requests.
    pub(super) key: AccountKey,
    /// URLs of whom to tell.
    pub(super) contact: Vec<String>,
    /// Whether it was not deactivated.
    pub(super) is_active: bool,
}

/// An account as its file has it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    instance_id: Uuid,
    nf_type: String,
    fqdns: Vec<String>,
    key: Value,
    contact: Vec<String>,
    active: bool,
}

impl Account {
    /// The account of an NF instance, whose external account these claims are.
    pub(super) fn new(claims: EnrolmentClaims, key: AccountKey, contact: Vec<String>) -> Self {
        let EnrolmentClaims {
            iss: _,
            sub,
            nf_type,
            fqdn,
            exp: _,
            jti,
        } = claims;
        Self {
            id: jti,
            instance_id: sub,
            nf_type,
            fqdns: fqdn,
            key,
            contact,
            is_active: true,
        }
    }

    /// The instance as an applicant for a certificate with these of its names.
    pub(super) fn applicant(&self, fqdns: Vec<String>) -> Applicant {
        Applicant::known(self.instance_id, vec![self.nf_type.clone()], fqdns)
    }

    fn to_json(&self) -> Vec<u8> {
        let record = Record {
            instance_id: self.instance_id,
            nf_type: self.nf_type.clone(),
            fqdns: self.fqdns.clone(),
            key: self.key.to_jwk(),
            contact: self.contact.clone(),
            active: self.is_active,
        };
        serde_json::to_vec(&record).expect("texts and keys do not fail")
    }

    fn read(name: &str, bytes: &[u8]) -> Option<Self> {
        let id = name.strip_suffix(SUFFIX)?.parse().ok()?;
        let record: Record = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            id,
            instance_id: record.instance_id,
            nf_type: record.nf_type,
            fqdns: record.fqdns,
            key: AccountKey::from_jwk(&record.key).ok()?,
            contact: record.contact,
            is_active: record.active,
        })
    }
}

/// The accounts. Clones share them.
#[derive(Clone)]
pub(super) struct Accounts(Arc<Shared>);

struct Shared {
    folder: PrivateFolder,
    /// Held while a file is written, on blocking threads only.
    writing: Mutex<()>,
    /// What is on disk.
    known: RwLock<HashMap<Uuid, Arc<Account>>>,
}

impl Accounts {
    /// Those in a folder. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn open(folder: PrivateFolder) -> Result<Self, FileError> {
        let mut known = HashMap::new();
        for (name, bytes) in folder.list(SUFFIX)? {
            match Account::read(&name, &bytes) {
                Some(account) => {
                    known.insert(account.id, Arc::new(account));
                }
                None => {
                    let path = folder.path(&name);
                    tracing::warn!(path = %path.display(), "a stored ACME account is damaged, so its requests are refused; remove it");
                }
            }
        }
        Ok(Self(Arc::new(Shared {
            folder,
            writing: Mutex::default(),
            known: RwLock::new(known),
        })))
    }

    /// An account by its name.
    pub(super) fn get(&self, id: Uuid) -> Option<Arc<Account>> {
        self.0.read().get(&id).cloned()
    }

    /// An account by its key.
    pub(super) fn of_key(&self, key: &AccountKey) -> Option<Arc<Account>> {
        let known = self.0.read();
        known.values().find(|account| account.key == *key).cloned()
    }

    /// Makes an account; it survives a crash when this returns.
    ///
    /// # Errors
    /// Its external account is bound already, or the disk fails.
    pub(super) async fn create(&self, account: Account) -> Result<Arc<Account>, AccountsError> {
        self.write(move |known| {
            if known.contains_key(&account.id) {
                return Err(AccountsError::Bound);
            }
            Ok(account)
        })
        .await
    }

    /// Changes an account; the change survives a crash when this returns.
    ///
    /// # Errors
    /// There is no such account, its new key is another's, or the disk fails.
    pub(super) async fn change(
        &self,
        id: Uuid,
        change: impl FnOnce(&mut Account) + Send + 'static,
    ) -> Result<Arc<Account>, AccountsError> {
        self.write(move |known| {
            let account = known.get(&id).ok_or(AccountsError::Unknown)?;
            let mut account = Account::clone(account);
            change(&mut account);
            Ok(account)
        })
        .await
    }

    async fn write(
        &self,
        make: impl FnOnce(&HashMap<Uuid, Arc<Account>>) -> Result<Account, AccountsError>
        + Send
        + 'static,
    ) -> Result<Arc<Account>, AccountsError> {
        let shared = self.0.clone();
        spawn_blocking(move || shared.write(make)).await?
    }
}

impl Shared {
    /// Blocks on the disk.
    fn write(
        &self,
        make: impl FnOnce(&HashMap<Uuid, Arc<Account>>) -> Result<Account, AccountsError>,
    ) -> Result<Arc<Account>, AccountsError> {
        let _writing: MutexGuard<'_, ()> =
            self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let account = {
            let known = self.read();
            let account = Arc::new(make(&known)?);
            let mut others = known.values().filter(|other| other.id != account.id);
            if others.any(|other| other.key == account.key) {
                return Err(AccountsError::KeyInUse);
            }
            account
        };
        let name = format!("{}{SUFFIX}", account.id);
        self.folder.write_durably(&name, &account.to_json())?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(account.id, account.clone());
        Ok(account)
    }

    /// A panic while the lock was held leaves accounts that are still true: each is put in whole.
    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Uuid, Arc<Account>>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
    use sbi::enrolment_claims::ACME_ISSUER;

    use super::*;

    fn key() -> AccountKey {
        let key = SecretKey::generate(SignatureAlgorithm::EcdsaP256).unwrap();
        AccountKey::of(key.public_key().unwrap())
    }

    fn account(id: u128) -> Account {
        let claims = EnrolmentClaims {
            iss: ACME_ISSUER.to_owned(),
            sub: Uuid::from_u128(1),
            nf_type: "AMF".to_owned(),
            fqdn: vec!["amf1.test".to_owned()],
            exp: 0,
            jti: Uuid::from_u128(id),
        };
        Account::new(claims, key(), vec!["mailto:noc@amf1.test".to_owned()])
    }

    #[tokio::test]
    async fn an_account_survives_a_restart_and_is_bound_once() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let folder = PrivateFolder::open(folder.path().to_owned()).unwrap();
            Accounts::open(folder).unwrap()
        };
        let (accounts, made) = (open(), account(7));
        accounts.create(made.clone()).await.unwrap();
        let again = open();
        assert_eq!(again.get(made.id).as_deref(), Some(&made));
        assert_eq!(again.of_key(&made.key).as_deref(), Some(&made));
        let other = Account {
            key: key(),
            ..made.clone()
        };
        let refused = again.create(other).await;
        assert!(matches!(refused, Err(AccountsError::Bound)), "{refused:?}");
        let changed = again.change(made.id, |account| account.is_active = false);
        assert!(!changed.await.unwrap().is_active);
        assert!(!open().get(made.id).unwrap().is_active);
    }

    #[tokio::test]
    async fn a_key_has_one_account() {
        let folder = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::open(folder.path().to_owned()).unwrap();
        let accounts = Accounts::open(folder).unwrap();
        let (one, other) = (account(1), account(2));
        accounts.create(one.clone()).await.unwrap();
        accounts.create(other.clone()).await.unwrap();
        let key = one.key.clone();
        let refused = accounts.change(other.id, |account| account.key = key).await;
        assert!(
            matches!(refused, Err(AccountsError::KeyInUse)),
            "{refused:?}"
        );
        assert_eq!(accounts.get(other.id).as_deref(), Some(&other));
    }
}
