//! Orders: those that wait for their CSR in memory, those that were granted on disk until their certificate expires.
//!
//! ```text
//!  newOrder ──> Ready ──finalize──> Processing ──┬──> Valid      <id>.json: { account, identifiers, profile, csr, issued }
//!                 └── an hour ──> gone           └──> Invalid    why; gone when the hour is over
//! ```
//!
//! The identifiers are the account's from the start, so that an order is ready at once (RFC 8555 section 7.1.6).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use acme::Identifier;
use mtc_core::causes::Causes;
use mtc_core::time::UnixTime;
use mtc_core::x509::{Certificate, X509Error};
use sbi::checksum::sha256;
use sbi::enrolment::IssuedCertificate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::refused::Refused;
use crate::enrolment_token::RequestDigest;
use crate::files::{FileError, PrivateFolder};

const SUFFIX: &str = ".json";
/// How long an order waits for its CSR.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Orders at a time that have no certificate, of some hundred octets each.
const MOST: usize = 4096;
/// Those of one account at a time, so that none keeps out the others.
const MOST_OF_ONE: usize = 64;
/// Orders of one account whose certificates have not expired: one a minute for the four hours of the shortest lifetimes that are used.
const MOST_VALID_OF_ONE: usize = 256;
/// Seconds after which somebody who has too many may look again.
const RETRY: u32 = 60;

/// What was ordered, and what has become of it.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Its name.
    pub(super) id: Uuid,
    /// Whose it is.
    pub(super) account: Uuid,
    /// For which names.
    pub(super) identifiers: Vec<Identifier>,
    /// Which kind of certificate.
    pub(super) profile: String,
    /// Until when it is kept.
    pub(super) expires: UnixTime,
    /// What is to come.
    pub(super) state: State,
}

/// How far an order is.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// It waits for a CSR.
    Ready,
    /// The certificate for a CSR with this digest is being issued.
    Processing(RequestDigest),
    /// There is a certificate.
    Valid(Granted),
    /// There will be none.
    Invalid(Refused),
}

/// What an order has brought.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    /// Digest of the CSR.
    pub(super) request: RequestDigest,
    /// By issuer and serial number: see [`certificate_name`].
    certificate: String,
}

impl Order {
    /// The status as RFC 8555 section 7.1.6 names it.
    pub(super) const fn status(&self) -> &'static str {
        match self.state {
            State::Ready => "ready",
            State::Processing(_) => "processing",
            State::Valid(_) => "valid",
            State::Invalid(_) => "invalid",
        }
    }

    /// Whether there is a certificate.
    const fn is_granted(&self) -> bool {
        matches!(self.state, State::Valid(_))
    }

    /// Whether it is not over: a certificate that is being issued is awaited.
    fn is_kept(&self, now: UnixTime) -> bool {
        self.expires >= now || matches!(self.state, State::Processing(_))
    }

    /// The names as FQDNs.
    pub(super) fn fqdns(&self) -> Vec<String> {
        let names = self.identifiers.iter();
        names.map(|identifier| identifier.value.clone()).collect()
    }
}

/// What is on disk of an order that was granted.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    account: Uuid,
    identifiers: Vec<Identifier>,
    profile: String,
    request: RequestDigest,
    issued: IssuedCertificate,
}

/// What names a certificate in all its encodings: a digest of issuer and serial number. The DER of the issuer tells where it ends.
///
/// # Errors
/// It is no certificate.
pub(super) fn certificate_name(certificate: &[u8]) -> Result<String, X509Error> {
    let parsed = Certificate::parse(certificate)?;
    let names = [parsed.statement.issuer, parsed.serial].concat();
    Ok(sha256(&names))
}

fn leaf_name(issued: &IssuedCertificate) -> Option<String> {
    certificate_name(issued.chain_der().ok()?.first()?).ok()
}

/// The orders.
pub(super) struct Orders {
    folder: PrivateFolder,
    known: Mutex<HashMap<Uuid, Order>>,
}

impl Orders {
    /// Those in a folder; those whose certificate has expired by `now` are removed. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn open(folder: PrivateFolder, now: UnixTime) -> Result<Self, FileError> {
        let mut known = HashMap::new();
        for (name, bytes) in folder.list(SUFFIX)? {
            let Some(order) = read(&name, &bytes) else {
                let path = folder.path(&name);
                tracing::warn!(path = %path.display(), "a stored ACME order is damaged and is passed over; remove it");
                continue;
            };
            if order.expires < now {
                folder.remove(&name)?;
            } else {
                known.insert(order.id, order);
            }
        }
        Ok(Self {
            folder,
            known: Mutex::new(known),
        })
    }

    /// Begins an order.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn begin(
        &self,
        account: Uuid,
        identifiers: Vec<Identifier>,
        profile: String,
        now: UnixTime,
    ) -> Result<Order, Refused> {
        let mut known = self.lock();
        // Those with a certificate are on disk too, and go with their file.
        known.retain(|_, order| order.is_granted() || order.is_kept(now));
        let count = |is_counted: &dyn Fn(&Order) -> bool| {
            known.values().filter(|order| is_counted(order)).count()
        };
        if count(&|order| !order.is_granted()) >= MOST {
            let text = format!("{MOST} orders wait; try again later");
            return Err(Refused::limited(text, RETRY));
        }
        if count(&|order| order.account == account && !order.is_granted()) >= MOST_OF_ONE {
            let text = format!("{MOST_OF_ONE} orders of this account wait; finalise them");
            return Err(Refused::limited(text, RETRY));
        }
        let is_own = |order: &Order| order.account == account && order.is_kept(now);
        if count(&|order| is_own(order) && order.is_granted()) >= MOST_VALID_OF_ONE {
            let text = format!("{MOST_VALID_OF_ONE} certificates of this account have not expired");
            return Err(Refused::limited(text, RETRY));
        }
        let order = Order {
            id: Uuid::new_v4(),
            account,
            identifiers,
            profile,
            expires: now.plus(PATIENCE),
            state: State::Ready,
        };
        known.insert(order.id, order.clone());
        Ok(order)
    }

    /// An order of this account.
    pub(super) fn get(&self, id: Uuid, account: Uuid, now: UnixTime) -> Option<Order> {
        let known = self.lock();
        let order = known.get(&id).filter(|order| order.account == account)?;
        order.is_kept(now).then(|| order.clone())
    }

    /// The names of an account's orders.
    pub(super) fn of_account(&self, account: Uuid, now: UnixTime) -> Vec<Uuid> {
        let known = self.lock();
        let own = known
            .values()
            .filter(|order| order.account == account && order.is_kept(now));
        own.map(|order| order.id).collect()
    }

    /// Forgets the orders of an account that have no certificate.
    pub(super) fn cancel(&self, account: Uuid) {
        self.lock()
            .retain(|_, order| order.account != account || !matches!(order.state, State::Ready));
    }

    /// The account that has ordered this certificate.
    pub(super) fn orderer(&self, certificate: &str) -> Option<Uuid> {
        let known = self.lock();
        let mut granted = known.values().filter(|order| match &order.state {
            State::Valid(granted) => granted.certificate == certificate,
            _ => false,
        });
        granted.next().map(|order| order.account)
    }

    /// Takes a CSR for an order that is ready, or says how far it is with the same one.
    ///
    /// # Errors
    /// It has another one.
    pub(super) fn take(&self, id: Uuid, request: RequestDigest) -> Result<Taken, Refused> {
        let mut known = self.lock();
        let order = known.get_mut(&id).ok_or_else(|| gone(id))?;
        match &order.state {
            State::Ready => {
                order.state = State::Processing(request);
                Ok(Taken::New)
            }
            State::Processing(before) if *before == request => Ok(Taken::Before),
            State::Valid(granted) if granted.request == request => Ok(Taken::Before),
            _ => Err(Refused::new(
                acme::ErrorKind::OrderNotReady,
                format!("the order is {} with another request", order.status()),
            )),
        }
    }

    /// Records what an order has brought; it survives a crash when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn grant(
        &self,
        order: &Order,
        request: RequestDigest,
        issued: &IssuedCertificate,
        now: UnixTime,
    ) -> Result<(), FileError> {
        self.forget(now);
        let record = Record {
            account: order.account,
            identifiers: order.identifiers.clone(),
            profile: order.profile.clone(),
            request,
            issued: issued.clone(),
        };
        let json = serde_json::to_vec(&record).expect("texts and numbers do not fail");
        self.folder.write_durably(&file(order.id), &json)?;
        let granted = Order {
            expires: UnixTime(issued.not_after),
            state: State::Valid(Granted {
                request,
                certificate: leaf_name(issued).unwrap_or_default(),
            }),
            ..order.clone()
        };
        self.lock().insert(order.id, granted);
        Ok(())
    }

    /// Says that an order brings nothing.
    pub(super) fn refuse(&self, id: Uuid, why: Refused) {
        if let Some(order) = self.lock().get_mut(&id) {
            order.state = State::Invalid(why);
        }
    }

    /// What was issued for an order that is valid. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub(super) fn issued(&self, id: Uuid) -> Result<Option<IssuedCertificate>, FileError> {
        let bytes = self.folder.read(&file(id))?;
        let record = bytes.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        Ok(record.map(|record| record.issued))
    }

    /// Forgets the orders whose certificates have expired. Blocks on the disk; what cannot be removed from it now is at the next start.
    fn forget(&self, now: UnixTime) {
        let expired: Vec<_> = {
            let mut known = self.lock();
            let expired = known.extract_if(|_, order| order.is_granted() && !order.is_kept(now));
            expired.map(|(id, _)| id).collect()
        };
        for id in expired {
            if let Err(error) = self.folder.remove(&file(id)) {
                tracing::warn!(error = %Causes(&error), "cannot remove an expired ACME order");
            }
        }
    }

    /// A panic while the lock was held leaves orders that are still true: each is changed in single steps.
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Order>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has become of a CSR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is to be granted or refused.
    New,
    /// It was taken before.
    Before,
}

fn gone(id: Uuid) -> Refused {
    Refused::not_found(format!("there is no order {id}, or no more"))
}

fn file(id: Uuid) -> String {
    format!("{id}{SUFFIX}")
}

fn read(name: &str, bytes: &[u8]) -> Option<Order> {
    let id = name.strip_suffix(SUFFIX)?.parse().ok()?;
    let Record {
        account,
        identifiers,
        profile,
        request,
        issued,
    } = serde_json::from_slice(bytes).ok()?;
    Some(Order {
        id,
        account,
        identifiers,
        profile,
        expires: UnixTime(issued.not_after),
        state: State::Valid(Granted {
            request,
            certificate: leaf_name(&issued)?,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn orders(folder: &tempfile::TempDir, now: UnixTime) -> Orders {
        let folder = PrivateFolder::open(folder.path().to_owned()).unwrap();
        Orders::open(folder, now).unwrap()
    }

    fn begin(orders: &Orders, account: u128, now: UnixTime) -> Result<Order, Refused> {
        orders.begin(Uuid::from_u128(account), Vec::new(), "mtc".to_owned(), now)
    }

    fn issued() -> IssuedCertificate {
        use base64::Engine as _;
        let certificate = rcgen::generate_simple_self_signed(["amf1.test".to_owned()]).unwrap();
        let certificate = certificate.cert.der();
        IssuedCertificate {
            certificate_id: "1".to_owned(),
            profile: "x509-ed25519-direct".to_owned(),
            chain: vec![base64::engine::general_purpose::STANDARD.encode(certificate)],
            not_after: NOW.0 + 10,
            landmark_relative: None,
        }
    }

    #[test]
    fn what_was_granted_survives_a_restart_until_it_expires() {
        let folder = tempfile::tempdir().unwrap();
        let (known, issued) = (orders(&folder, NOW), issued());
        let order = begin(&known, 1, NOW).unwrap();
        assert_eq!(known.take(order.id, [7; 32]).unwrap(), Taken::New);
        assert_eq!(known.take(order.id, [7; 32]).unwrap(), Taken::Before);
        assert!(known.take(order.id, [8; 32]).is_err());
        known.grant(&order, [7; 32], &issued, NOW).unwrap();

        let again = orders(&folder, NOW);
        let found = again.get(order.id, order.account, NOW).unwrap();
        assert_eq!(found.status(), "valid");
        assert!(again.get(order.id, Uuid::from_u128(2), NOW).is_none());
        assert_eq!(again.issued(order.id).unwrap(), Some(issued.clone()));
        let name = leaf_name(&issued).unwrap();
        assert_eq!(again.orderer(&name), Some(order.account));
        assert_eq!(again.take(order.id, [7; 32]).unwrap(), Taken::Before);

        let late = UnixTime(NOW.0 + 11);
        assert!(again.get(order.id, order.account, late).is_none());
        let other = begin(&again, 1, late).unwrap();
        assert!(folder.path().join(file(order.id)).exists());
        again.grant(&other, [7; 32], &issued, late).unwrap();
        assert!(!folder.path().join(file(order.id)).exists());
        orders(&folder, late);
        assert!(!folder.path().join(file(other.id)).exists());
    }

    #[test]
    fn there_are_only_so_many_and_they_wait_only_so_long() {
        let folder = tempfile::tempdir().unwrap();
        let known = orders(&folder, NOW);
        let kind = |order: Result<Order, Refused>| order.err().map(|refused| refused.kind);
        let limited = Some(acme::ErrorKind::RateLimited);
        for _ in 0..MOST_OF_ONE {
            assert_eq!(kind(begin(&known, 1, NOW)), None);
        }
        assert_eq!(kind(begin(&known, 1, NOW)), limited);
        for number in MOST_OF_ONE..MOST {
            assert_eq!(
                kind(begin(&known, 2 + (number / MOST_OF_ONE) as u128, NOW)),
                None
            );
        }
        assert_eq!(kind(begin(&known, 1_000_000, NOW)), limited);
        let late = NOW.plus(PATIENCE + Duration::from_secs(1));
        assert_eq!(kind(begin(&known, 1, late)), None);
        assert_eq!(known.lock().len(), 1);
    }
}
