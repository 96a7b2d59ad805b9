//! Several network functions at one port: the server name of a client says which is meant.

use mtc_core::id::LandmarkNumber;
use mtc_tls::endpoint::{Endpoint, Sampling};
use mtc_tls::handshake::{Accepted, Connected, HandshakeError, accept_one_of, connect};
use mtc_tls::peer::ExpectedPeer;
use mtc_tls::profile::{ClientAuth, TrustDomain::MtcLandmark};
use rustls::AlertDescription;
use tokio::net::TcpListener;

use crate::lab::{Lab, NEWEST_LANDMARK, profile};
use crate::server::TIMEOUT;

const NEWEST: Option<LandmarkNumber> = Some(NEWEST_LANDMARK);

/// What becomes at either end of a connection of `client` to a port where AMF and SMF are.
async fn attempt(
    lab: &Lab,
    client: &Endpoint,
    expected: ExpectedPeer,
) -> (
    Result<Connected, HandshakeError>,
    Result<Accepted, HandshakeError>,
) {
    let hosts = [
        (lab.amf.expected().fqdn, lab.amf_endpoint(NEWEST)),
        (lab.smf.expected().fqdn, lab.smf_endpoint(NEWEST)),
    ];
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("a bound socket");
    let choose = |name: Option<&str>| {
        let found = hosts.iter().find(|(fqdn, _)| Some(fqdn.as_str()) == name)?;
        Some(&found.1)
    };
    let port = Sampling::default();
    let serve = async {
        let (tcp, _) = listener.accept().await.expect("a connection");
        accept_one_of(tcp, &port, ClientAuth::Required, TIMEOUT, choose).await
    };
    tokio::join!(
        connect(at, client, profile(MtcLandmark), expected, TIMEOUT),
        serve
    )
}

#[tokio::test]
async fn the_server_name_says_which_instance_at_a_port_is_meant() {
    let lab = Lab::new();
    for meant in [&lab.amf, &lab.smf] {
        let client = lab.amf_endpoint(NEWEST);
        let (connected, accepted) = attempt(&lab, &client, meant.expected()).await;
        let peer = connected.expect("a connection").peer;
        assert_eq!(
            Some(peer.identity.instance_id),
            meant.expected().instance_id
        );
        assert!(accepted.is_ok());
    }
}

#[tokio::test]
async fn a_name_that_is_not_served_is_refused_as_unrecognized() {
    let lab = Lab::new();
    let client = lab.amf_endpoint(NEWEST);
    let other = ExpectedPeer {
        fqdn: "udm1.example.org".to_owned(),
        instance_id: None,
        nf_type: None,
    };
    let (connected, accepted) = attempt(&lab, &client, other).await;
    let error = accepted.expect_err("nobody of that name");
    assert!(matches!(error, HandshakeError::UnknownName), "{error:?}");
    assert_eq!(error.cause(), "tls: no such server name");
    let told = connected.expect_err("it is told");
    let is_told =
        matches!(told, HandshakeError::Alert(alert) if alert == AlertDescription::UnrecognisedName);
    assert!(is_told, "{told:?}");
}
