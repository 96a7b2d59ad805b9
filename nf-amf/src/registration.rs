//! Registration and deregistration of a UE (TS 23.502 clauses 4.2.2.2.2 and 4.2.2.3.2), without the radio side: the AMF plays the UE too.
//!
//! ```text
//!  registration                                                            one connection a service, fresh or used before
//!   1 ──> AUSF  nausf-auth   authenticate, confirm                         within T3560
//!   2 ──> UDM   nudm-uecm    this AMF serves the UE
//!   3 ──> UDM   nudm-sdm     am-data, smf-select-data, ue-context-in-smf-data, subscribe
//!   4 ──> PCF   npcf-am-policy-control    create
//!  deregistration
//!   5 ──> PCF   delete       6 ──> UDM  nudm-sdm unsubscribe       7 ──> UDM  nudm-uecm purge
//! ```
//!
//! Each producer is discovered once and then for as long as the NRF's answer is valid (`procedures::producers`), or found by the SCP
//! (`procedures::route`). What a registration that fails half-way has left at UDM and PCF stays there until newer state takes its place:
//! both keep a bounded number.

use std::time::Duration;

use hyper::{Method, StatusCode};
use mtc_tls::handshake::HandshakeCost;
use procedures::aka::{Challenge, from_hex, hres_star, to_hex};
use procedures::authentication::{
    AUTHENTICATED, AuthenticationInfo, CONFIRMATION_LINK, ConfirmationData,
    ConfirmationDataResponse, UeAuthenticationCtx, null_scheme_suci, serving_network_name,
};
use procedures::policy::{NO_FEATURES, PolicyAssociationRequest};
use procedures::producers::Producers;
use procedures::route::{Exchange, Resource, Route};
use procedures::subscriber_data::{
    Amf3GppAccessRegistration, Amf3GppAccessRegistrationModification, SdmSubscription,
};
use sbi::client::Request;
use sbi::ledger::Procedure;
use sbi::response::Response;
use sbi::selection::scramble;
use sbi::uri::encode;
use tokio::time::timeout;

use crate::amf::Amf;
use crate::error::{OperationStep, SessionError};
use crate::mobility::Registering;
use crate::session::{Attempt, Reach, failed, is_unreachable};

/// How long a producer may take for a request.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// T3560 of the AMF: how long the UE may take to answer a challenge (TS 24.501 table 10.2.2).
const T3560: Duration = Duration::from_secs(6);
/// What the AMF wants of a subscriber.
const DATA_SETS: [&str; 3] = ["am-data", "smf-select-data", "ue-context-in-smf-data"];

/// A registered UE: what its deregistration ends, and where.
struct RegisteredUe {
    context: Registering,
    /// The way to the UDM that knows which AMF serves it.
    uecm: Route,
    /// The subscription to its data.
    subscription: Made,
    /// Its policy.
    policy: Made,
}

/// Something that a producer made for this AMF, and the way to it.
struct Made {
    route: Route,
    resource: Resource,
}

impl Amf {
    /// Operation `registration`: registers the UE number `ue`, numbered as in [`Amf::establish_session`], and deregisters it.
    ///
    /// Dropping the future closes its connections and forgets the UE.
    pub async fn register_ue(&self, reach: Reach<'_>, ue: u64) -> Attempt {
        let mut attempt = Attempt::default();
        let procedure = Procedure::Registration;
        let registered = attempt
            .procedure(procedure, async |handshakes| {
                self.register_in(reach.within(procedure), ue, handshakes)
                    .await
            })
            .await;
        let result = match registered {
            Ok(registered) => {
                let procedure = Procedure::Deregistration;
                let leave = async |handshakes: &mut Vec<HandshakeCost>| {
                    self.deregister(reach.within(procedure), registered, handshakes)
                        .await
                };
                attempt.procedure(procedure, leave).await
            }
            Err(error) => Err(error),
        };
        Attempt { result, ..attempt }
    }

    async fn register_in(
        &self,
        reach: Reach<'_>,
        ue: u64,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<RegisteredUe, SessionError> {
        let context = self.mobility.begin(self.supi(ue))?;
        let home = &self.home;
        let ausf = self.way_to(&home.ausfs, reach, ue, handshakes).await?;
        let authenticating = self.authenticate(reach, &ausf, context.supi(), handshakes);
        timeout(T3560, authenticating)
            .await
            .map_err(|_| SessionError::Timer("T3560"))?
            .inspect_err(|error| home.ausfs.forget_if(is_unreachable(error)))?;
        context.authenticated();
        let uecm = self.way_to(&home.contexts, reach, ue, handshakes).await?;
        let uecm = self
            .serve(reach, &uecm, context.supi(), handshakes)
            .await
            .inspect_err(|error| home.contexts.forget_if(is_unreachable(error)))?;
        let sdm = self.way_to(&home.data, reach, ue, handshakes).await?;
        let subscription = self
            .learn(reach, &sdm, context.supi(), handshakes)
            .await
            .inspect_err(|error| home.data.forget_if(is_unreachable(error)))?;
        let pcf = self.way_to(&home.policies, reach, ue, handshakes).await?;
        let policy = self
            .agree_policy(reach, &pcf, context.supi(), handshakes)
            .await
            .inspect_err(|error| home.policies.forget_if(is_unreachable(error)))?;
        context.registered();
        Ok(RegisteredUe {
            context,
            uecm,
            subscription,
            policy,
        })
    }

    /// Ends everything even if one part of it fails; the first failure is told.
    async fn deregister(
        &self,
        reach: Reach<'_>,
        registered: RegisteredUe,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<(), SessionError> {
        let RegisteredUe {
            context,
            uecm,
            subscription,
            policy,
        } = registered;
        context.leaving();
        let step = OperationStep::DeletePolicy;
        let policy = self.delete(step, reach, policy, handshakes).await;
        let step = OperationStep::Unsubscribe;
        let subscription = self.delete(step, reach, subscription, handshakes).await;
        let purged = self.purge(reach, &uecm, context.supi(), handshakes).await;
        policy.and(subscription).and(purged)
    }

    /// 5G-AKA: the UE's part, the SEAF's, and the requests to the AUSF.
    async fn authenticate(
        &self,
        reach: Reach<'_>,
        ausf: &Route,
        supi: &str,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<(), SessionError> {
        let serving_network = serving_network_name(&self.config.plmn.home_domain());
        let info = AuthenticationInfo {
            supi_or_suci: null_scheme_suci(supi).unwrap_or_else(|| supi.to_owned()),
            serving_network_name: serving_network.clone(),
        };
        let step = OperationStep::Authenticate;
        self.at(step, reach, ausf, handshakes, async |exchange| {
            let request = exchange.request(Method::POST, "/nausf-auth/v1/ue-authentications");
            let answer = send(exchange, step, request.json(&info)).await?;
            let challenge: UeAuthenticationCtx = read(step, &answer)?;
            let res_star = answer_of_ue(supi, &serving_network, &challenge)?;
            let link = challenge.links.get(CONFIRMATION_LINK);
            let link = link.ok_or(SessionError::Incomplete(step))?;
            let waiting = exchange.resource(&link.href);
            let waiting = waiting.map_err(|_| SessionError::Incomplete(step))?;
            let step = OperationStep::Confirm;
            let answer = ConfirmationData { res_star };
            let request = exchange.about(Method::PUT, &waiting, "").json(&answer);
            let confirmed: ConfirmationDataResponse =
                read(step, &send(exchange, step, request).await?)?;
            let is_authenticated = confirmed.auth_result == AUTHENTICATED
                && confirmed.supi.as_deref() == Some(supi)
                && confirmed.kseaf.is_some();
            is_authenticated
                .then_some(())
                .ok_or(SessionError::NotAuthenticated)
        })
        .await
    }

    /// TS 29.503 clause 5.3.2.2.2: this AMF serves the UE. The way to the UDM that knows it now.
    async fn serve(
        &self,
        reach: Reach<'_>,
        udm: &Route,
        supi: &str,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<Route, SessionError> {
        let registration = Amf3GppAccessRegistration {
            amf_instance_id: self.instance.id,
            dereg_callback_uri: self.callback(supi, "deregistration")?,
            guami: self.config.guami(),
            rat_type: "NR".to_owned(),
        };
        let step = OperationStep::RegisterAtUdm;
        self.at(step, reach, udm, handshakes, async |exchange| {
            let request = exchange.request(Method::PUT, uecm_path(supi));
            send(exchange, step, request.json(&registration)).await?;
            Ok(exchange.onwards())
        })
        .await
    }

    /// The subscriber's data, and a subscription to them.
    async fn learn(
        &self,
        reach: Reach<'_>,
        udm: &Route,
        supi: &str,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<Made, SessionError> {
        let callback_reference = self.callback(supi, "data-change")?;
        let step = OperationStep::GetData;
        self.at(step, reach, udm, handshakes, async |exchange| {
            let data = format!("/nudm-sdm/v2/{}", encode(supi));
            for set in DATA_SETS {
                let request = exchange.request(Method::GET, format!("{data}/{set}"));
                send(exchange, step, request).await?;
            }
            let root = exchange.producer().ok_or(SessionError::Incomplete(step))?;
            let subscription = SdmSubscription {
                nf_instance_id: self.instance.id,
                callback_reference: callback_reference.clone(),
                monitored_resource_uris: DATA_SETS
                    .map(|set| format!("{root}{data}/{set}"))
                    .to_vec(),
            };
            let step = OperationStep::Subscribe;
            let request = exchange.request(Method::POST, format!("{data}/sdm-subscriptions"));
            make(exchange, step, request.json(&subscription)).await
        })
        .await
    }

    async fn agree_policy(
        &self,
        reach: Reach<'_>,
        pcf: &Route,
        supi: &str,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<Made, SessionError> {
        let wanted = PolicyAssociationRequest {
            notification_uri: self.callback(supi, "policy")?,
            supp_feat: NO_FEATURES.to_owned(),
            supi: supi.to_owned(),
        };
        let step = OperationStep::CreatePolicy;
        self.at(step, reach, pcf, handshakes, async |exchange| {
            let request = exchange.request(Method::POST, "/npcf-am-policy-control/v1/policies");
            make(exchange, step, request.json(&wanted)).await
        })
        .await
    }

    async fn delete(
        &self,
        step: OperationStep,
        reach: Reach<'_>,
        made: Made,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<(), SessionError> {
        let Made { route, resource } = made;
        self.at(step, reach, &route, handshakes, async |exchange| {
            let request = exchange.about(Method::DELETE, &resource, "");
            send(exchange, step, request).await.map(drop)
        })
        .await
    }

    /// TS 29.503 clause 5.3.2.4.2: this AMF has deleted what it had of the UE.
    async fn purge(
        &self,
        reach: Reach<'_>,
        udm: &Route,
        supi: &str,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<(), SessionError> {
        let purge = Amf3GppAccessRegistrationModification {
            guami: self.config.guami(),
            purge_flag: Some(true),
        };
        let step = OperationStep::Purge;
        self.at(step, reach, udm, handshakes, async |exchange| {
            let request = exchange.request(Method::PATCH, uecm_path(supi));
            let request = request.json_as("application/merge-patch+json", &purge);
            send(exchange, step, request).await.map(drop)
        })
        .await
    }

    /// The way to one of the producers of a service: for a UE the same one, as long as they stay the same and the SCP does not choose.
    async fn way_to(
        &self,
        producers: &Producers,
        reach: Reach<'_>,
        ue: u64,
        handshakes: &mut Vec<HandshakeCost>,
    ) -> Result<Route, SessionError> {
        if let Some(route) = reach.delegated(|| producers.wanted()) {
            return Ok(route);
        }
        let step = OperationStep::Discover;
        let found = producers
            .candidates(async |wanted| {
                self.ask_nrf(step, reach, handshakes, async |connection| {
                    let found = reach.nrf.discover(connection, &self.instance, wanted).await;
                    found.map_err(|error| failed(step, error))
                })
                .await
            })
            .await?;
        let found = found.ok_or_else(|| SessionError::NoProducer(producers.service().clone()))?;
        reach.way_to(step, found.choose(scramble(ue)).clone())
    }

    /// Does something over a connection on the way to a producer.
    async fn at<T>(
        &self,
        step: OperationStep,
        reach: Reach<'_>,
        route: &Route,
        handshakes: &mut Vec<HandshakeCost>,
        act: impl AsyncFnOnce(&Exchange<'_>) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let to = route.destination();
        self.over(step, reach, to, handshakes, async |connection| {
            act(&Exchange::new(connection, route, self.agent.as_ref())).await
        })
        .await
    }

    /// Where this AMF would hear of changes; nobody calls it in a lab.
    fn callback(&self, supi: &str, what: &str) -> Result<String, SessionError> {
        let root = self.api_root.get().ok_or(SessionError::NotServing)?;
        Ok(format!("{root}/namf-callback/v1/{}/{what}", encode(supi)))
    }
}

fn uecm_path(supi: &str) -> String {
    format!(
        "/nudm-uecm/v1/{}/registrations/amf-3gpp-access",
        encode(supi)
    )
}

async fn send(
    exchange: &Exchange<'_>,
    step: OperationStep,
    request: Request,
) -> Result<Response, SessionError> {
    let answer = exchange.call(request, ANSWER_TIME).await;
    answer.map_err(|error| failed(step, error))
}

/// Has a resource made.
async fn make(
    exchange: &Exchange<'_>,
    step: OperationStep,
    request: Request,
) -> Result<Made, SessionError> {
    let answer = send(exchange, step, request).await?;
    let made = exchange.made(&answer);
    match (answer.status, made) {
        (StatusCode::CREATED, Ok(resource)) => Ok(Made {
            route: exchange.onwards(),
            resource,
        }),
        _ => Err(SessionError::Incomplete(step)),
    }
}

fn read<T: serde::de::DeserializeOwned>(
    step: OperationStep,
    answer: &Response,
) -> Result<T, SessionError> {
    let read = answer.read_json();
    read.map_err(|error| failed(step, sbi::client::ClientError::Body(error)))
}

/// The UE answers a genuine network's challenge, and the SEAF sees by HXRES* that the answer will do.
fn answer_of_ue(
    supi: &str,
    serving_network: &str,
    challenge: &UeAuthenticationCtx,
) -> Result<String, SessionError> {
    let data = &challenge.auth_data;
    let (Some(rand), Some(autn), Some(hxres_star)) = (
        from_hex(&data.rand),
        from_hex(&data.autn),
        from_hex(&data.hxres_star),
    ) else {
        return Err(SessionError::Incomplete(OperationStep::Authenticate));
    };
    let challenge = Challenge::verified(supi, serving_network, rand, &autn);
    let res_star = challenge.ok_or(SessionError::NotGenuine)?.res_star();
    if hres_star(&rand, &res_star) != hxres_star {
        return Err(SessionError::NotAuthenticated);
    }
    Ok(to_hex(&res_star))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use procedures::authentication::{AUTH_TYPE, Av5gAka};

    use super::*;

    const SUPI: &str = "imsi-001010000000001";
    const NETWORK: &str = "5G:mnc001.mcc001.3gppnetwork.org";

    fn challenge(change: impl FnOnce(&mut Av5gAka)) -> UeAuthenticationCtx {
        let genuine = Challenge {
            supi: SUPI,
            serving_network: NETWORK,
            rand: [7; 16],
            sequence: [0; 6],
        };
        let mut auth_data = Av5gAka {
            rand: to_hex(&genuine.rand),
            hxres_star: to_hex(&hres_star(&genuine.rand, &genuine.res_star())),
            autn: to_hex(&genuine.autn()),
        };
        change(&mut auth_data);
        UeAuthenticationCtx {
            auth_type: AUTH_TYPE.to_owned(),
            auth_data,
            links: BTreeMap::new(),
        }
    }

    fn answered(change: impl FnOnce(&mut Av5gAka)) -> Result<String, SessionError> {
        answer_of_ue(SUPI, NETWORK, &challenge(change))
    }

    #[test]
    fn a_ue_answers_a_genuine_challenge_only() {
        assert_eq!(answered(|_| ()).unwrap().len(), 32);
        let forged = answered(|data| data.autn = "00".repeat(16));
        assert!(
            matches!(forged, Err(SessionError::NotGenuine)),
            "{forged:?}"
        );
        let garbled = answered(|data| data.rand = "x".to_owned());
        assert!(
            matches!(garbled, Err(SessionError::Incomplete(_))),
            "{garbled:?}"
        );
    }

    #[test]
    fn the_seaf_stops_an_answer_that_the_home_network_does_not_expect() {
        let other = answered(|data| data.hxres_star = "00".repeat(16));
        assert!(
            matches!(other, Err(SessionError::NotAuthenticated)),
            "{other:?}"
        );
    }
}
