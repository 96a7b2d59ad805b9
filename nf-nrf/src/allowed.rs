//! Who may discover an instance or service, and hear of it: `allowedNfTypes`, `allowedPlmns` and `allowedNssais` (TS 29.510
//! tables 6.1.6.2.2-1 and 6.1.6.2.3-1).
//!
//! What a service says overrides what its profile says, list by list; a list that is absent allows everybody. The lists
//! themselves are between the instance and the NRF: [`hide_lists`] takes them out of what others are shown.

use sbi::model::{ExtSnssai, NfProfile, NfService, NfType, PlmnId, Snssai};

/// Who wants to know, as far as the lists are about it. What it does not name is taken to be allowed.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// What kind of NF it is.
    pub nf_type: &'a NfType,
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

/// Takes every such list out of a profile.
pub fn hide_lists(profile: &mut NfProfile) {
    let is_list = |member: &str| member.starts_with("allowed");
    profile.allowed_nf_types.clear();
    profile.allowed_plmns.clear();
    profile.allowed_nf_domains.clear();
    profile.allowed_nssais.clear();
    profile.other.retain(|member, _| !is_list(member));
    let listed = profile.nf_service_list.values_mut();
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
    plmns: &'a [PlmnId],
    nssais: &'a [ExtSnssai],
}

impl<'a> Allowed<'a> {
    fn of_profile(profile: &'a NfProfile) -> Self {
        Self {
            nf_types: &profile.allowed_nf_types,
            plmns: &profile.allowed_plmns,
            nssais: &profile.allowed_nssais,
        }
    }

    fn of_service(service: &'a NfService, profile: &'a NfProfile) -> Self {
        let of_profile = Self::of_profile(profile);
        Self {
            nf_types: or(&service.allowed_nf_types, of_profile.nf_types),
            plmns: or(&service.allowed_plmns, of_profile.plmns),
            nssais: or(&service.allowed_nssais, of_profile.nssais),
        }
    }

    fn admits(&self, requester: Requester<'_>) -> bool {
        let Requester {
            nf_type,
            plmns,
            snssais,
        } = requester;
        listed(self.nf_types, |allowed| allowed == nf_type)
            && (plmns.is_empty() || listed(self.plmns, |allowed| plmns.contains(allowed)))
            && (snssais.is_empty()
                || listed(self.nssais, |allowed| {
                    snssais.iter().any(|s| allowed.serves(s))
                }))
    }
}

fn or<'a, T>(list: &'a [T], otherwise: &'a [T]) -> &'a [T] {
    if list.is_empty() { otherwise } else { list }
}
