//! The sets of a folder: which one comes next, and what an operator may order.
//!
//! ```text
//!             current set        is pinned?  no ──> logs of what is due ┐
//!                                yes ─────────────> its own logs        ├─> other than those of the current set: another set
//!                                                   newest list revoked ┘
//!  rollback, pin: current set with the logs of a kept one, and a pin ──> another set
//!  unpin, or all of a pinned set has expired: current set without the pin ──> another set
//!
//!  no current set, or a bad one: what this process saw last, or the newest kept set ──> the same again, with its pin
//! ```
//!
//! Every function here takes the folder's lock, decides, and publishes; all block.

use mtc_core::causes::Causes;
use mtc_core::time::UnixTime;
use mtc_core::verify::CaTrust;
use sbi::trust::{LockedSets, Pin, SetFolderError, TrustError, TrustedSet, verify_set};
use serde::{Deserialize, Serialize};

use crate::config::DistributorConfig;
use crate::release::{newest, newest_landmark, same_landmarks};

/// Why an order is not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The folder, or a set in it.
    #[error(transparent)]
    Folder(#[from] SetFolderError),
    /// A set is not what a relying party would take.
    #[error("set {number} does not verify")]
    Refused {
        /// Its number.
        number: u64,
        /// Why.
        source: TrustError,
    },
    /// There is nothing to go back to.
    #[error("no set is kept that has older landmarks than the current one, {0}")]
    NoneOlder(u64),
    /// It would be no use.
    #[error("all landmarks of set {0} have expired: name a newer one")]
    Expired(u64),
    /// Older than is allowed.
    #[error(
        "set {number} was verified {age} s ago, more than rollback_seconds = {limit}: name a newer one"
    )]
    TooOld {
        /// Its number.
        number: u64,
        /// Seconds since it was verified.
        age: u64,
        /// Seconds that are allowed.
        limit: u64,
    },
    /// Nothing is pinned.
    #[error("set {0} is not pinned")]
    NotPinned(u64),
}

/// A set in a few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetSummary {
    /// Its number.
    pub number: u64,
    /// When it was written.
    pub made: u64,
    /// The newest of its logs.
    pub log: u64,
    /// The newest landmark of that log, as its document says; empty for none.
    pub landmark: String,
    /// When the last of its landmarks expires; none if it has none, or does not verify.
    pub expires: Option<u64>,
    /// What the operator has ordered.
    pub pin: Option<Pin>,
    /// Why no relying party would take it.
    pub refused: Option<String>,
}

impl SetSummary {
    /// Looks at a set as a relying party would.
    pub fn of(set: &TrustedSet, policy: &CaTrust, now: UnixTime) -> Self {
        let verified = verify_set(set, policy, now);
        let (expires, refused) = match verified {
            Ok(expires) => (expires.map(|expires| expires.0), None),
            Err(error) => (None, Some(Causes(&error).to_string())),
        };
        let newest = set.logs.last();
        Self {
            number: set.number,
            made: set.made,
            log: newest.map_or(set.newest_log, |log| log.number),
            landmark: newest.map(newest_landmark).unwrap_or_default().to_owned(),
            expires,
            pin: set.pin.clone(),
            refused,
        }
    }

    fn damaged(number: u64, error: &SetFolderError) -> Self {
        Self {
            number,
            made: 0,
            log: 0,
            landmark: String::new(),
            expires: None,
            pin: None,
            refused: Some(Causes(error).to_string()),
        }
    }
}

/// What `mtc5g distribute status` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// When the logs were last asked with success, Unix time.
    pub checked: Option<u64>,
    /// Number of the current set.
    pub current: Option<u64>,
    /// The sets that are kept, by number; the current one is the last.
    pub sets: Vec<SetSummary>,
}

/// The folder of sets and who may be believed.
#[derive(Clone, Debug)]
pub struct Sets {
    config: DistributorConfig,
    policy: CaTrust,
}

impl Sets {
    /// Those of a configuration; its trust file has the policy.
    pub const fn new(config: DistributorConfig, policy: CaTrust) -> Self {
        Self { config, policy }
    }

    /// Who may be believed.
    pub(crate) const fn policy(&self) -> &CaTrust {
        &self.policy
    }

    /// The set that is in force: the current one, or what there is to go on with in its place; none if there is nothing.
    ///
    /// # Errors
    /// The folder cannot be had.
    pub fn in_force(&self, now: UnixTime) -> Result<Option<TrustedSet>, SetFolderError> {
        let (set, _) = self.found(&self.lock()?, None, now)?;
        Ok(set)
    }

    fn lock(&self) -> Result<LockedSets, SetFolderError> {
        LockedSets::lock(&self.config.folder)
    }

    /// The set that is in force, and whether it is the current one and good. Why that is not is told.
    fn found(
        &self,
        sets: &LockedSets,
        last: Option<&TrustedSet>,
        now: UnixTime,
    ) -> Result<(Option<TrustedSet>, bool), SetFolderError> {
        match sets.current() {
            Ok(set) => match verify_set(&set, &self.policy, now) {
                Ok(_) if set.is_early(now) => {
                    tracing::error!(
                        number = set.number,
                        made = set.made,
                        "the current set is of the future, since this machine's clock was ahead: it is written anew"
                    );
                    return Ok((Some(set), false));
                }
                Ok(_) => return Ok((Some(set), true)),
                Err(error) => {
                    tracing::error!(error = %Causes(&error), number = set.number, "the current set does not verify, and is written anew");
                }
            },
            Err(error) if error.is_absence() => {}
            Err(error @ (SetFolderError::Set { .. } | SetFolderError::NoFile { .. })) => {
                tracing::error!(error = %Causes(&error), "the current set is damaged, and is written anew");
            }
            Err(error) => return Err(error),
        }
        let kept = self.newest_kept(sets, now)?;
        let newer = last.filter(|last| kept.as_ref().is_none_or(|kept| kept.number < last.number));
        Ok((newer.cloned().or(kept), false))
    }

    /// The newest set that is kept, has a number of now or before, and is good.
    fn newest_kept(
        &self,
        sets: &LockedSets,
        now: UnixTime,
    ) -> Result<Option<TrustedSet>, SetFolderError> {
        let numbers = sets.numbers()?.into_iter().rev();
        let mut kept = numbers.filter_map(|number| sets.set(number).ok());
        Ok(kept.find(|set| !set.is_early(now) && verify_set(set, &self.policy, now).is_ok()))
    }

    /// Publishes another set if what is due, or what is revoked, is other than what the set in force says, or if that is not what the folder
    /// has; returns the set that is current then, and whether it is another one. `last` is what this returned last: it, or the newest that is
    /// kept, is in force while the current set is lost or damaged, so that an order of the operator is not lost with it. `due` are landmarks to
    /// be published unless others are pinned; `revoked` always is.
    ///
    /// # Errors
    /// The disk fails.
    pub fn advance(
        &self,
        last: Option<&TrustedSet>,
        due: Option<TrustedSet>,
        revoked: Option<String>,
        now: UnixTime,
    ) -> Result<(Option<TrustedSet>, bool), SetFolderError> {
        let sets = self.lock()?;
        let (before, is_current) = self.found(&sets, last, now)?;
        let Some(before) = before else {
            let Some(first) = due else {
                return Ok((None, false));
            };
            let first = TrustedSet { revoked, ..first };
            return Ok((Some(self.publish(&sets, None, first, now)?), true));
        };
        let mut next = before.clone();
        if next.pin.is_some() && self.has_expired(&before, now) {
            tracing::error!(
                number = before.number,
                "all landmarks of the pinned set have expired: it is not pinned any more"
            );
            next.pin = None;
        }
        if let Some(due) = due
            && next.pin.is_none()
            && !same_landmarks(&due.logs, &next.logs)
            // What was looked at only in part may lack some; readers would refuse that.
            && (newest(&due.logs) >= newest(&next.logs) || self.has_expired(&before, now))
        {
            (next.logs, next.newest_log) = (due.logs, due.newest_log);
        }
        // Whoever lost his state and gets no list does not take back what is revoked; an older list readers refuse.
        next.revoked = revoked.or(next.revoked);
        if next == before && is_current {
            return Ok((Some(before), false));
        }
        Ok((Some(self.publish(&sets, Some(&before), next, now)?), true))
    }

    fn has_expired(&self, set: &TrustedSet, now: UnixTime) -> bool {
        let expiry = verify_set(set, &self.policy, now);
        !expiry.is_ok_and(|expiry| expiry.is_some_and(|expiry| expiry > now))
    }

    /// Goes back to the newest kept set with older landmarks than the current one, or to the one with this number, and stays there.
    ///
    /// # Errors
    /// There is none, or it is too old, or has expired; the current set stays.
    pub fn roll_back(&self, to: Option<u64>, now: UnixTime) -> Result<TrustedSet, OrderError> {
        let sets = self.lock()?;
        let current = sets.current()?;
        let good = match to {
            Some(number) => sets.set(number)?,
            None => self.older(&sets, &current)?,
        };
        self.order(&sets, &current, good, now)
    }

    /// The newest kept set before the current one whose landmarks are older. One that an operator has ordered has no landmarks of its own.
    fn older(&self, sets: &LockedSets, current: &TrustedSet) -> Result<TrustedSet, OrderError> {
        let from = current.pin.as_ref().map_or(current.number, |pin| pin.set);
        let numbers = sets.numbers()?;
        for number in numbers.into_iter().rev().filter(|number| *number < from) {
            match sets.set(number) {
                Ok(set)
                    if set.pin.is_none()
                        && newest(&set.logs).is_some()
                        && newest(&set.logs) < newest(&current.logs) =>
                {
                    return Ok(set);
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = %Causes(&error), "a set that is kept cannot be gone back to");
                }
            }
        }
        Err(OrderError::NoneOlder(current.number))
    }

    /// Keeps a set, the current one if none is named, from being replaced.
    ///
    /// # Errors
    /// As of [`Self::roll_back`].
    pub fn pin(&self, set: Option<u64>, now: UnixTime) -> Result<TrustedSet, OrderError> {
        let sets = self.lock()?;
        let current = sets.current()?;
        let wanted = match set {
            Some(number) => sets.set(number)?,
            None => current.clone(),
        };
        self.order(&sets, &current, wanted, now)
    }

    /// Has the landmarks of a set stay.
    fn order(
        &self,
        sets: &LockedSets,
        current: &TrustedSet,
        wanted: TrustedSet,
        now: UnixTime,
    ) -> Result<TrustedSet, OrderError> {
        self.check(&wanted, now)?;
        let taken_back = taken_back(sets, current, &wanted);
        let next = TrustedSet {
            pin: Some(Pin {
                set: wanted.number,
                since: now.0,
                rolled_back_from: taken_back,
            }),
            logs: wanted.logs,
            ..current.clone()
        };
        match taken_back {
            Some(from) => tracing::error!(
                from,
                to = wanted.number,
                "ROLLED BACK to an earlier trusted set, which stays until mtc5g distribute unpin"
            ),
            None => tracing::warn!(
                set = wanted.number,
                "pinned a trusted set, which stays until mtc5g distribute unpin"
            ),
        }
        Ok(self.publish(sets, Some(current), next, now)?)
    }

    /// Lets the current set be replaced again, which the distributor does at its next look if there are newer landmarks.
    ///
    /// # Errors
    /// It is not pinned, or the disk fails.
    pub fn unpin(&self, now: UnixTime) -> Result<TrustedSet, OrderError> {
        let sets = self.lock()?;
        let current = sets.current()?;
        if current.pin.is_none() {
            return Err(OrderError::NotPinned(current.number));
        }
        let next = TrustedSet {
            pin: None,
            ..current.clone()
        };
        tracing::warn!("the trusted set is not pinned any more");
        Ok(self.publish(&sets, Some(&current), next, now)?)
    }

    /// Whether a set may be ordered.
    fn check(&self, set: &TrustedSet, now: UnixTime) -> Result<(), OrderError> {
        let number = set.number;
        let expiry = verify_set(set, &self.policy, now);
        let expiry = expiry.map_err(|source| OrderError::Refused { number, source })?;
        if expiry.is_none_or(|expiry| expiry <= now) {
            return Err(OrderError::Expired(number));
        }
        let verified = set.logs.iter().map(|log| log.verified).max();
        let age = now.0.saturating_sub(verified.unwrap_or_default());
        let limit = self.config.rollback_seconds;
        if age > limit {
            return Err(OrderError::TooOld { number, age, limit });
        }
        Ok(())
    }

    /// What is in the folder.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn status(&self, now: UnixTime) -> Result<Status, SetFolderError> {
        let sets = self.lock()?;
        let current = match sets.current() {
            Err(error) if !error.is_absence() => return Err(error),
            current => current.ok().map(|set| set.number),
        };
        let mut summaries = Vec::new();
        for number in sets.numbers()? {
            summaries.push(match sets.set(number) {
                Ok(set) => SetSummary::of(&set, &self.policy, now),
                Err(error) => SetSummary::damaged(number, &error),
            });
        }
        Ok(Status {
            checked: sbi::trust::checked(&self.config.folder),
            current,
            sets: summaries,
        })
    }

    /// Says that the logs were asked with success.
    ///
    /// # Errors
    /// The disk fails.
    pub fn tell_checked(&self, now: UnixTime) -> Result<(), SetFolderError> {
        self.lock()?.tell_checked(now.0)
    }

    /// Publishes a set under a number of its own, and forgets those that nobody goes back to.
    fn publish(
        &self,
        sets: &LockedSets,
        before: Option<&TrustedSet>,
        set: TrustedSet,
        now: UnixTime,
    ) -> Result<TrustedSet, SetFolderError> {
        let kept = sets.numbers()?;
        // Files of others may have any number.
        let past = kept.iter().copied().rfind(|number| *number <= now.0);
        // One that no reader takes yet would lead all later ones there.
        let before_this = before.filter(|before| !before.is_early(now));
        let last = past.max(before_this.map(|set| set.number));
        let number = last.map_or(now.0, |last| now.0.max(last.saturating_add(1)));
        let set = TrustedSet {
            number,
            made: now.0,
            ..set
        };
        sets.publish(&set)?;
        tracing::info!(
            number,
            logs = set.logs.len(),
            landmark = set.logs.last().map(newest_landmark),
            "published a trusted set"
        );
        // One that differs in what is revoked only, or by an order, is never gone back to.
        let replaced =
            before.filter(|before| before.pin.is_some() || same_landmarks(&before.logs, &set.logs));
        let surplus = (kept.len() + 1).saturating_sub(self.config.keep);
        let old = kept.iter().copied().take(surplus);
        for number in old.chain(replaced.map(|before| before.number)) {
            sets.remove(number)?;
        }
        Ok(set)
    }
}

/// The set that is taken back by an order that the landmarks of `wanted` stay, if they are older: the current one, or what an order before has
/// taken back already.
fn taken_back(sets: &LockedSets, current: &TrustedSet, wanted: &TrustedSet) -> Option<u64> {
    let before = current.pin.as_ref().and_then(|pin| pin.rolled_back_from);
    if newest(&wanted.logs) < newest(&current.logs) {
        return before.or(Some(current.number));
    }
    // One that is not kept any more may have had newer ones.
    before.filter(|before| match sets.set(*before) {
        Ok(set) => newest(&wanted.logs) < newest(&set.logs),
        Err(_) => true,
    })
}

#[cfg(test)]
pub(crate) mod tests;
