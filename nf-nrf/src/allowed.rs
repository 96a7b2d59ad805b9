//! Who may discover an instance or service, and hear of it: `allowedNfTypes`, `allowedNfDomains`, `allowedPlmns` and
//! `allowedNssais` (TS 29.510 tables 6.1.6.2.2-1 and 6.1.6.2.3-1).
//!
//! What a service says overrides what its profile says, list by list; a list that is absent allows everybody. The lists
//! themselves are between the instance and the NRF: [`hide_lists`] takes them out of what others are shown.

use regex_lite::RegexBuilder;
use sbi::model::{ExtSnssai, NfProfile, NfService, NfType, PlmnId, Snssai};

/// Most octets of a pattern of `allowedNfDomains`, and of memory for it once it is compiled: an FQDN has 253 at most. A pattern that has
/// more, or that cannot be read, matches nobody.
const MAX_PATTERN: usize = 512;
const MAX_COMPILED: usize = 64 * 1024;

/// Who wants to know, as far as the lists are about it. What it does not name is taken to be allowed.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// What kind of NF it is.
    pub nf_type: &'a NfType,
    /// Its names, of which one in an allowed domain is enough.
    pub fqdns: &'a [String],
    /// Its networks.
    pub plmns: &'a [PlmnId],
    /// Its slices.
    pub snssais: &'a [Snssai],
}

/// Whether `requester` may know of an instance as a whole; what of its services, [`may_use`] says.
pub fn may_know(requester: Requester<'_>, profile: &NfProfile) -> bool {
    Allowed::of_profile(profile).admits(requester)
}

/// Whether `requester` may know of `service`, which is one of `profile`.
pub fn may_use(requester: Requester<'_>, service: &NfService, profile: &NfProfile) -> bool {
    Allowed::of_service(service, profile).admits(requester)
}

/// Whether it depends on a requester's name if it may know of an instance, or of one of its services.
pub(crate) fn depends_on_name(profile: &NfProfile) -> bool {
    let of_services = profile.services();
    !profile.allowed_nf_domains.is_empty()
        || of_services
            .into_iter()
            .any(|service| !service.allowed_nf_domains.is_empty())
}

/// Takes every such list out of a profile.
pub fn hide_lists(profile: &mut NfProfile) {
    let is_list = |member: &str| member.starts_with("allowed");
    profile.allowed_nf_types.clear();
    profile.allowed_plmns.clear();
    profile.allowed_nf_domains.clear();
    profile.allowed_nssais.clear();
    profile.other.retain(|member, _| !is_list(member));
    let listed = profile.nf_service_list.values_mut().map(Box::as_mut);
    for service in listed.chain(&mut profile.nf_services) {
        service.allowed_nf_types.clear();
        service.allowed_plmns.clear();
        service.allowed_nf_domains.clear();
        service.allowed_nssais.clear();
        service.other.retain(|member, _| !is_list(member));
    }
}

/// An absent list means any.
pub(crate) fn listed<T>(list: &[T], is_it: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(is_it)
}

/// The lists that hold for an instance or a service.
struct Allowed<'a> {
    nf_types: &'a [NfType],
    domains: &'a [String],
    plmns: &'a [PlmnId],
    nssais: &'a [ExtSnssai],
}

impl<'a> Allowed<'a> {
    fn of_profile(profile: &'a NfProfile) -> Self {
        Self {
            nf_types: &profile.allowed_nf_types,
            domains: &profile.allowed_nf_domains,
            plmns: &profile.allowed_plmns,
            nssais: &profile.allowed_nssais,
        }
    }

    fn of_service(service: &'a NfService, profile: &'a NfProfile) -> Self {
        let of_profile = Self::of_profile(profile);
        Self {
            nf_types: or(&service.allowed_nf_types, of_profile.nf_types),
            domains: or(&service.allowed_nf_domains, of_profile.domains),
            plmns: or(&service.allowed_plmns, of_profile.plmns),
            nssais: or(&service.allowed_nssais, of_profile.nssais),
        }
    }

    fn admits(&self, requester: Requester<'_>) -> bool {
        let Requester {
            nf_type,
            fqdns,
            plmns,
            snssais,
        } = requester;
        listed(self.nf_types, |allowed| allowed == nf_type)
            && (fqdns.is_empty() || listed(self.domains, |allowed| is_in(allowed, fqdns)))
            && (plmns.is_empty() || listed(self.plmns, |allowed| plmns.contains(allowed)))
            && (snssais.is_empty()
                || listed(self.nssais, |allowed| {
                    snssais.iter().any(|s| allowed.serves(s))
                }))
    }
}

/// Whether one of `fqdns` is in the domain that `pattern` describes: a regular expression of ECMA-262, which matches a part of a name
/// unless it says otherwise. Linear in time, whatever the pattern.
fn is_in(pattern: &str, fqdns: &[String]) -> bool {
    if pattern.len() > MAX_PATTERN {
        return false;
    }
    let compiled = RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(MAX_COMPILED)
        .build();
    compiled.is_ok_and(|domain| fqdns.iter().any(|fqdn| domain.is_match(fqdn)))
}

fn or<'a, T>(list: &'a [T], otherwise: &'a [T]) -> &'a [T] {
    if list.is_empty() { otherwise } else { list }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_pattern_of_a_name() {
        let names = ["AMF1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned()];
        for pattern in [
            r"^amf\d+\.5gc\.mnc001\.mcc001\.3gppnetwork\.org$",
            r"mnc001\.mcc001",
            "^[^.]+\\.5gc\\.",
        ] {
            assert!(is_in(pattern, &names), "{pattern}");
        }
        let long = "a?".repeat(MAX_PATTERN);
        for pattern in [r"^5gc\.", r"mnc002", "(", "((a{100}){100}){100}", &long] {
            assert!(!is_in(pattern, &names), "{pattern}");
        }
    }
}
