//! Wishes of a client for which TLS has no place: names below the CA's ID among the anchors that it trusts, which are none.
//!
//! ```text
//!  C.4.1 stateful tickets    C.5.1 no access tokens
//!  C.4.2 stateless tickets   C.5.2 tokens of ML-DSA-44
//!                            C.5.3 tokens of ML-DSA-65
//!
//!  C.6.1 requests of model C (TS 23.501 annex E)    C.6.2 requests of model D
//!
//!  C.7.1 the server, too, sends what nobody knows (`grease`)
//!
//!  C.8.1 of a mixed estate, and upgraded             C.8.2 of a mixed estate, and not upgraded
//! ```
//!
//! What most connections want has no name: no tickets, tokens of ES256, no SCP. A server that does not know a name passes it over.

use mtc_core::id::{IdError, TrustAnchorId};

use crate::profile::{ConnectionProfile, Tickets, Tokens, TrustDomain, Via};

/// Below a CA's ID, beside what relying parties say of their cosigners.
const TICKETS_BRANCH: u64 = 4;
const TOKENS_BRANCH: u64 = 5;
const VIA_BRANCH: u64 = 6;
const GREASE_BRANCH: u64 = 7;
const UPGRADED_BRANCH: u64 = 8;

const TICKETS: [(u64, Tickets); 2] = [(1, Tickets::Stateful), (2, Tickets::Stateless)];
const TOKENS: [(u64, Tokens); 3] = [
    (1, Tokens::None),
    (2, Tokens::MlDsa44),
    (3, Tokens::MlDsa65),
];
const VIA: [(u64, Via); 2] = [(1, Via::ScpC), (2, Via::ScpD)];
const GREASE: [(u64, bool); 1] = [(1, true)];
const UPGRADED: [(u64, Option<bool>); 2] = [(1, Some(true)), (2, Some(false))];

/// The names of what a client wants of its connections, and of what it is in a mixed estate.
pub(crate) fn names(
    profile: ConnectionProfile,
    upgraded: bool,
    ca: &TrustAnchorId,
) -> Result<Vec<TrustAnchorId>, IdError> {
    let tickets = name(ca, TICKETS_BRANCH, &TICKETS, profile.tickets)?;
    let tokens = name(ca, TOKENS_BRANCH, &TOKENS, profile.tokens)?;
    let via = name(ca, VIA_BRANCH, &VIA, profile.via)?;
    let grease = name(ca, GREASE_BRANCH, &GREASE, profile.grease)?;
    let is_mixed = matches!(profile.domain, TrustDomain::MtcLandmarkOr(_));
    let upgraded = name(ca, UPGRADED_BRANCH, &UPGRADED, is_mixed.then_some(upgraded))?;
    let names = [tickets, tokens, via, grease, upgraded];
    Ok(names.into_iter().flatten().collect())
}

/// Which tickets a client asks for.
pub(crate) fn tickets<'a>(
    names: impl IntoIterator<Item = &'a [u8]>,
    ca: &TrustAnchorId,
) -> Tickets {
    wanted(names, ca, TICKETS_BRANCH, &TICKETS)
}

/// Which access tokens a client's requests will carry.
pub(crate) fn tokens<'a>(names: impl IntoIterator<Item = &'a [u8]>, ca: &TrustAnchorId) -> Tokens {
    wanted(names, ca, TOKENS_BRANCH, &TOKENS)
}

/// How a client's requests reach their producers.
pub(crate) fn via<'a>(names: impl IntoIterator<Item = &'a [u8]>, ca: &TrustAnchorId) -> Via {
    wanted(names, ca, VIA_BRANCH, &VIA)
}

/// Whether a client wants the server to send what nobody knows.
pub(crate) fn grease<'a>(names: impl IntoIterator<Item = &'a [u8]>, ca: &TrustAnchorId) -> bool {
    wanted(names, ca, GREASE_BRANCH, &GREASE)
}

/// Whether a client of a mixed estate is upgraded; none of another client.
pub(crate) fn upgraded<'a>(
    names: impl IntoIterator<Item = &'a [u8]>,
    ca: &TrustAnchorId,
) -> Option<bool> {
    wanted(names, ca, UPGRADED_BRANCH, &UPGRADED)
}

fn name<T: PartialEq>(
    ca: &TrustAnchorId,
    branch: u64,
    numbers: &[(u64, T)],
    wish: T,
) -> Result<Option<TrustAnchorId>, IdError> {
    let number = numbers.iter().find(|(_, known)| *known == wish);
    number
        .map(|(number, _)| ca.child(&[branch, *number]))
        .transpose()
}

fn wanted<'a, T: Copy + Default>(
    names: impl IntoIterator<Item = &'a [u8]>,
    ca: &TrustAnchorId,
    branch: u64,
    numbers: &[(u64, T)],
) -> T {
    let is = |number: u64, name: &TrustAnchorId| {
        ca.child(&[branch, number])
            .is_ok_and(|known| known == *name)
    };
    names
        .into_iter()
        .filter_map(|name| TrustAnchorId::from_name(name).ok())
        .find_map(|name| {
            let number = numbers.iter().find(|(number, _)| is(*number, &name));
            number.map(|(_, wish)| *wish)
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_ask_for_tickets_and_tokens_by_name() {
        let ca: TrustAnchorId = "32473.1".parse().expect("an ID");
        for (name, expected) in [
            ("32473.1.4.1", (Tickets::Stateful, Tokens::Es256)),
            ("32473.1.4.2", (Tickets::Stateless, Tokens::Es256)),
            ("32473.1.4.3", (Tickets::None, Tokens::Es256)),
            ("32473.1.5.1", (Tickets::None, Tokens::None)),
            ("32473.1.5.2", (Tickets::None, Tokens::MlDsa44)),
            ("32473.1.5.3", (Tickets::None, Tokens::MlDsa65)),
            ("32473.1.5.4", (Tickets::None, Tokens::Es256)),
            ("32473.1", (Tickets::None, Tokens::Es256)),
            ("32473.2.4.1", (Tickets::None, Tokens::Es256)),
        ] {
            let id: TrustAnchorId = name.parse().expect("an ID");
            let id = id.to_name();
            assert_eq!(
                (tickets([&*id], &ca), tokens([&*id], &ca)),
                expected,
                "{name}"
            );
            assert_eq!(
                crate::hints::mtc_anchor([&*id], &ca).is_some(),
                name == "32473.1"
            );
        }
    }

    #[test]
    fn every_wish_that_has_a_name_is_understood() {
        let ca: TrustAnchorId = "32473.1".parse().expect("an ID");
        for wanted_tickets in Tickets::ALL {
            for wanted_tokens in Tokens::ALL {
                for (wanted_via, wanted_grease) in Via::ALL
                    .into_iter()
                    .flat_map(|via| [(via, false), (via, true)])
                {
                    let profile = ConnectionProfile {
                        tickets: wanted_tickets,
                        tokens: wanted_tokens,
                        via: wanted_via,
                        grease: wanted_grease,
                        ..("mtc-landmark/ml-dsa-65/X25519".parse()).expect("a profile")
                    };
                    let names = names(profile, true, &ca).unwrap();
                    let names: Vec<Vec<u8>> = names.iter().map(TrustAnchorId::to_name).collect();
                    let names = || names.iter().map(Vec::as_slice);
                    assert_eq!(tickets(names(), &ca), wanted_tickets);
                    assert_eq!(tokens(names(), &ca), wanted_tokens);
                    assert_eq!(via(names(), &ca), wanted_via);
                    assert_eq!(grease(names(), &ca), wanted_grease);
                    assert_eq!(upgraded(names(), &ca), None);
                }
            }
        }
    }

    #[test]
    fn clients_of_a_mixed_estate_say_what_they_are() {
        let ca: TrustAnchorId = "32473.1".parse().expect("an ID");
        let mixed = "mtc-landmark-or-x509-ed25519-direct/ed25519/X25519".parse();
        let mixed: ConnectionProfile = mixed.expect("a profile");
        for is_upgraded in [true, false] {
            let names = names(mixed, is_upgraded, &ca).unwrap();
            let names: Vec<Vec<u8>> = names.iter().map(TrustAnchorId::to_name).collect();
            let names = names.iter().map(Vec::as_slice);
            assert_eq!(upgraded(names, &ca), Some(is_upgraded));
        }
    }
}
