//! An SMF for tests: `smf1.example.org`, port 7777.

use std::net::SocketAddr;

use sbi::model::{NfInstanceId, NfProfile, NfService, NfType, ServiceName};
use sbi::selection::Candidate;

/// As the NRF tells of it.
pub(crate) fn smf() -> Candidate {
    let mut service = NfService::new(ServiceName::NsmfPdusession);
    service.ip_end_points = vec![SocketAddr::from(([127, 0, 0, 21], 7777)).into()];
    let profile = NfProfile::new(NfInstanceId::random(), NfType::Smf, "smf1.example.org");
    Candidate::new(&profile, &service, None).expect("it says where it is")
}
