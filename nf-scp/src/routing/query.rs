//! What the NRF is asked for a consumer that wants a producer discovered. Pure.

use sbi::header::RoutingBinding;
use sbi::model::{NfType, ServiceName};
use sbi::problem::Problem;
use sbi::uri::Query;

use super::ask::Ask;
use super::discovery::Which;

/// The query that `ask` makes for a producer to which `binding` binds, and which services of its answer are meant.
pub(super) fn wanted(
    ask: &Ask,
    binding: Option<&RoutingBinding>,
    path: &str,
) -> Result<(Query, Which), Problem> {
    let mut query = ask.query.clone();
    let given = |query: &Query, name: &str| query.values(name).next().map(str::to_owned);
    let names = given(&query, "service-names");
    let first = names.as_deref().and_then(|names| names.split(',').next());
    let name = first.map(ServiceName::from).or_else(|| service_in(path));
    let name = name
        .ok_or_else(|| Problem::mandatory_ie_missing("header 3gpp-Sbi-Discovery-service-names"))?;
    if given(&query, "target-nf-type").is_none() {
        let nf_type = nf_type_of(&name).ok_or_else(|| {
            Problem::mandatory_ie_missing("header 3gpp-Sbi-Discovery-target-nf-type")
        })?;
        query.push("target-nf-type", nf_type.as_str());
    }
    if given(&query, "requester-nf-type").is_none() {
        query.push("requester-nf-type", ask.consumer.as_str());
    }
    if names.is_none() {
        query.push("service-names", name.as_str());
    }
    let mut set = None;
    match binding {
        Some(RoutingBinding::Instance { id, .. })
            if given(&query, "target-nf-instance-id").is_none() =>
        {
            query.push("target-nf-instance-id", id.to_string());
        }
        Some(RoutingBinding::Set(id)) => set = Some(id.clone()),
        Some(RoutingBinding::Instance { .. }) | None => {}
    }
    let locality = given(&query, "preferred-locality");
    let which = Which::Service {
        name,
        set,
        locality,
    };
    Ok((query, which))
}

/// The service that a path belongs to, by its first segment.
pub(super) fn service_in(path: &str) -> Option<ServiceName> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    (!first.is_empty()).then(|| ServiceName::from(first))
}

/// The type of the NFs that produce a service: `nsmf-pdusession` is of SMFs (TS 29.501 clause 5.1.2).
pub(super) fn nf_type_of(name: &ServiceName) -> Option<NfType> {
    let (nf, _) = name.as_str().strip_prefix('n')?.split_once('-')?;
    Some(NfType::from(&*nf.to_ascii_uppercase()))
}
