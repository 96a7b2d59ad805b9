//! Who asks a peer for something, as the client certificate says, and whether it may; and how long what is kept of it may be.

use sbi::model::{NfInstanceId, NfType};
use sbi::problem::Problem;
use sbi::server::Request;

/// Refuses a request of an NF that is none of `allowed` and no SCP, which asks for others.
///
/// # Errors
/// `403`.
pub fn require_type(request: &Request, allowed: &[NfType]) -> Result<(), Problem> {
    let is_allowed = |nf_type: &String| {
        let nf_type = NfType::from(nf_type.as_str());
        nf_type == NfType::Scp || allowed.contains(&nf_type)
    };
    let identity = request.peer.identity.as_ref();
    if identity.is_some_and(|identity| identity.nf_types.iter().any(is_allowed)) {
        return Ok(());
    }
    let allowed: Vec<&str> = allowed.iter().map(NfType::as_str).collect();
    let detail = format!("this service is for {} and SCP", allowed.join(", "));
    Err(Problem::certificate_mismatch(detail))
}

/// Refuses a request in the name of an instance that is not the one that asks; an SCP asks for any.
///
/// # Errors
/// `403`.
pub fn require_instance(request: &Request, named: NfInstanceId) -> Result<(), Problem> {
    let identity = request.peer.identity.as_ref();
    let is_scp = |nf_type: &String| nf_type == NfType::Scp.as_str();
    let may = identity.is_some_and(|identity| {
        identity.instance_id == named.uuid() || identity.nf_types.iter().any(is_scp)
    });
    if may {
        return Ok(());
    }
    let detail = format!("the certificate is not of instance {named}");
    Err(Problem::certificate_mismatch(detail))
}

/// Refuses a text of a body that is empty or longer than `most` octets: what is kept for so many UEs must be short.
///
/// # Errors
/// `400` with the `member`.
pub fn require_short(member: &str, text: &str, most: usize) -> Result<(), Problem> {
    if (1..=most).contains(&text.len()) {
        return Ok(());
    }
    let reason = format!("is not 1 to {most} octets long");
    Err(Problem::mandatory_ie_incorrect(member, reason))
}
