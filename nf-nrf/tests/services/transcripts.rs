//! What network functions with certificates say to the NRF, as transcripts that read as documentation. Those in cleartext are
//! played in `cleartext`.

use serde_json::json;
use test_support::transcript::{Fresh, Player};

use crate::nrf::{AMF_FQDN, AMF_ID, Client, Nrf, profile};

const FRESH: [(Fresh, &str); 3] = [
    (Fresh::Member("/subscriptionId"), "{subscriptionID}"),
    (Fresh::Member("/validityTime"), "{validityTime}"),
    (Fresh::Member("/access_token"), "{access_token}"),
];

async fn check(client: &Client, transcript: &str) {
    Player::new(
        &client.0,
        "nrf1.5gc.mnc001.mcc001.3gppnetwork.org:7777",
        &FRESH,
    )
    .check(transcript)
    .await;
}

#[tokio::test]
async fn the_life_of_a_profile_goes_as_written() {
    let nrf = Nrf::start();
    let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
    check(&amf, include_str!("transcripts/management.txt")).await;
}

#[tokio::test]
async fn a_subscription_is_kept_up_as_written() {
    let nrf = Nrf::start();
    let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
    check(&amf, include_str!("transcripts/renewal.txt")).await;
}

#[tokio::test]
async fn access_tokens_are_asked_for_as_written() {
    const SMF_ID: &str = "5b1d9a77-3a51-4c0b-8d55-7e0f6a3b2c01";
    let nrf = Nrf::start();
    let smf_fqdn = "smf1.example.org";
    for (nf_type, id, fqdn, service) in [
        ("SMF", SMF_ID, smf_fqdn, "nsmf-pdusession"),
        ("AMF", AMF_ID, AMF_FQDN, "namf-comm"),
    ] {
        let client = nrf.connect(nf_type, id, fqdn).await;
        let registered = client
            .put(&profile(nf_type, id, fqdn, service, json!({})))
            .await;
        assert_eq!(registered.status, 201);
    }
    let amf = nrf.connect("AMF", AMF_ID, AMF_FQDN).await;
    check(&amf, include_str!("transcripts/access_token.txt")).await;
}
