//! Cosigner quorums (Section 7.3).

use thiserror::Error;

use crate::cosign::Cosigner;
use crate::id::TrustAnchorId;

/// Why cosignatures do not satisfy a policy, or a policy cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The CA itself did not cosign.
    #[error("no cosignature of the CA {0}")]
    NoCaCosignature(TrustAnchorId),
    /// The CA's cosignature does not verify.
    #[error("the cosignature of {0} does not verify")]
    Invalid(TrustAnchorId),
    /// Too few of a group cosigned.
    #[error(
        "{valid} of the {required} required cosignatures verify{}{}",
        listed("missing", missing),
        listed("invalid", invalid)
    )]
    Quorum {
        /// How many of the group must cosign.
        required: usize,
        /// How many did.
        valid: usize,
        /// Whose cosignatures are not there.
        missing: Vec<TrustAnchorId>,
        /// Whose cosignatures do not verify.
        invalid: Vec<TrustAnchorId>,
    },
    /// A group whose quorum is zero or more than its members.
    #[error("a quorum of {required} of {members} cosigners is impossible or empty")]
    Group {
        /// The quorum.
        required: usize,
        /// Members of the group.
        members: usize,
    },
    /// A group that names a cosigner twice, or the CA, which never counts towards a group.
    #[error("{0} is named twice in a group, or is the CA, which never counts towards a group")]
    Member(TrustAnchorId),
}

/// `; what: id, id`, or nothing without IDs.
fn listed(what: &str, ids: &[TrustAnchorId]) -> String {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    if ids.is_empty() {
        String::new()
    } else {
        format!("; {what}: {}", ids.join(", "))
    }
}

/// Whose cosignatures a relying party wants under a subtree that it does not trust yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The CA's alone: nobody else needs to have seen the certificate.
    CaAlone,
    /// The CA's, and a quorum of witnesses.
    CaAnd(CosignerGroup),
}

/// Cosigners of whom at least so many must have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignerGroup {
    members: Vec<Cosigner>,
    required: usize,
}

impl CosignerGroup {
    /// `required` of `members`.
    ///
    /// # Errors
    /// The quorum is zero or more than there are members, or a member is named twice.
    pub fn new(members: Vec<Cosigner>, required: usize) -> Result<Self, PolicyError> {
        if required == 0 || required > members.len() {
            return Err(PolicyError::Group {
                required,
                members: members.len(),
            });
        }
        for (position, member) in members.iter().enumerate() {
            if members[..position]
                .iter()
                .any(|before| before.id == member.id)
            {
                return Err(PolicyError::Member(member.id));
            }
        }
        Ok(Self { members, required })
    }

    /// The cosigners of the group.
    pub fn members(&self) -> &[Cosigner] {
        &self.members
    }

    /// How many of them must have signed.
    pub const fn required(&self) -> usize {
        self.required
    }

    /// Asks about members until the quorum is reached, each once; `verifies` says whether a member's cosignature is there
    /// and valid.
    ///
    /// # Errors
    /// The quorum is not reached.
    pub fn check(
        &self,
        mut verifies: impl FnMut(&Cosigner) -> Option<bool>,
    ) -> Result<(), PolicyError> {
        let (mut valid, mut missing, mut invalid) = (0, Vec::new(), Vec::new());
        for member in &self.members {
            match verifies(member) {
                Some(true) => valid += 1,
                Some(false) => invalid.push(member.id),
                None => missing.push(member.id),
            }
            if valid == self.required {
                return Ok(());
            }
        }
        Err(PolicyError::Quorum {
            required: self.required,
            valid,
            missing,
            invalid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosign::{SecretKey, SignatureAlgorithm};

    fn group(required: usize) -> CosignerGroup {
        let key = SecretKey::generate(SignatureAlgorithm::Ed25519).unwrap();
        let key = key.public_key().unwrap();
        let members = ["1.1", "1.2", "1.3"].map(|id| Cosigner {
            id: id.parse().unwrap(),
            key: key.clone(),
        });
        CosignerGroup::new(members.to_vec(), required).unwrap()
    }

    #[test]
    fn a_quorum_that_is_not_reached_names_who_is_missing_and_whose_is_invalid() {
        let group = group(2);
        assert_eq!((group.required(), group.members().len()), (2, 3));
        let third: TrustAnchorId = "1.3".parse().unwrap();
        let first: TrustAnchorId = "1.1".parse().unwrap();
        let error = group
            .check(|member| match member.id {
                id if id == first => None,
                id => Some(id == third),
            })
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "1 of the 2 required cosignatures verify; missing: 1.1; invalid: 1.2"
        );
        let nobody = group.check(|_| None).unwrap_err();
        assert_eq!(
            nobody.to_string(),
            "0 of the 2 required cosignatures verify; missing: 1.1, 1.2, 1.3"
        );
    }
}
