//! Nnrf_Bootstrapping (TS 29.510 clause 5.5 and 6.4): where the services of the NRF are. `GET /bootstrapping`, without API name and
//! version, by anybody: it says nothing that a deployment's configuration does not.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Method;
use sbi::model::{HalLink, NfInstanceId};
use sbi::problem::Problem;
use sbi::response::Response;
use sbi::server::Request;
use sbi::uri::ApiRoot;
use serde::Serialize;

use crate::discovery;
use crate::etag::{Tagged, max_age};
use crate::subscription;

/// How long the answer may be used: it changes with the configuration of the NRF only.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// The answer, which is always the same.
pub struct Bootstrapping(Tagged);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BootstrappingInfo {
    status: &'static str,
    #[serde(rename = "_links")]
    links: BTreeMap<&'static str, HalLink>,
    nrf_features: BTreeMap<&'static str, String>,
    oauth2_required: BTreeMap<&'static str, bool>,
    nrf_instance_id: NfInstanceId,
}

impl Bootstrapping {
    /// The answer of the NRF `id` at `root`, which issues access tokens or not. Its own services need none: they go by the certificate.
    pub fn new(id: NfInstanceId, root: &ApiRoot, issues_tokens: bool) -> Self {
        let link = |path: &str| HalLink {
            href: format!("{root}{path}"),
        };
        let mut links = BTreeMap::from([
            ("self", link("/bootstrapping")),
            ("manage", link("/nnrf-nfm/v1/nf-instances")),
            ("subscribe", link("/nnrf-nfm/v1/subscriptions")),
            ("discover", link("/nnrf-disc/v1/nf-instances")),
        ]);
        if issues_tokens {
            links.insert("authorize", link("/oauth2/token"));
        }
        let feature = |number: u32| format!("{:x}", 1_u128 << (number - 1));
        Self(Tagged::hal(&BootstrappingInfo {
            status: "OPERATIVE",
            links,
            nrf_features: BTreeMap::from([
                ("nnrf-nfm", feature(subscription::SERVICE_MAP)),
                ("nnrf-disc", feature(discovery::SERVICE_MAP)),
            ]),
            oauth2_required: BTreeMap::from([("nnrf-nfm", false), ("nnrf-disc", false)]),
            nrf_instance_id: id,
        }))
    }

    /// Answers a request whose path is `/bootstrapping`.
    ///
    /// # Errors
    /// Another method than GET.
    pub fn handle(&self, request: &Request) -> Result<Response, Problem> {
        match request.method {
            Method::GET => {
                let answer = self.0.clone();
                Ok(answer.answer(&request.headers, Some(max_age(MAX_AGE))))
            }
            _ => Err(Problem::method_not_allowed("GET")),
        }
    }
}
