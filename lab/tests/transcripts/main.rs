//! What is said to the AUSF and to the SCP of a whole lab, as transcripts that read as documentation. Those of network functions that
//! need no lab are played in their own crates.

use std::net::SocketAddr;

use experiment::scenario::Nf;
use lab::pki;
use mtc_tls::peer::ExpectedPeer;
use procedures::aka::{Challenge, from_hex, kseaf, to_hex};
use sbi::client::Connection;
use sbi::model::{NfType, ServiceName};
use sbi::nnrf::Discover;
use sbi::process::Event;
use sbi::selection::{Candidate, Candidates};
use test_support::test_lab::{TestFolder, TestLab, small};
use test_support::test_nf::{PROFILE, TestNf, der};
use test_support::transcript::{Fresh, Player};

const SUPI: &str = "imsi-001010000000001";
const NETWORK: &str = "5G:mnc001.mcc001.3gppnetwork.org";

/// A lab with one AUSF and one UDM, and an AMF of the test's own with a certificate.
async fn lab() -> (TestLab, TestNf) {
    let mut plan = small();
    (plan.lab.ausf, plan.lab.udm) = (1, 1);
    let lab = TestLab::start(TestFolder::new(&plan)).await;
    let amf = TestNf::of_type(&lab.folder.lab, NfType::Amf, 101);
    let issued = amf.enrol(&amf.token()).await.expect("the AMF enrols");
    amf.present(der(&issued));
    (lab, amf)
}

/// The only producer of a service.
async fn producer(amf: &TestNf, nf_type: NfType, service: ServiceName) -> Candidate {
    let connection = amf.connect().await.expect("the NRF answers").connection;
    let wanted = Discover {
        nf_type: nf_type.clone(),
        service: service.clone(),
        filters: Vec::new(),
    };
    let found = amf.nrf.discover(&connection, &amf.instance, &wanted).await;
    let found = Candidates::of(&found.expect("a result"), &nf_type, &service);
    found.expect("a producer").choose(0).clone()
}

async fn connect(amf: &TestNf, addr: SocketAddr, expected: ExpectedPeer) -> Connection {
    let opened = amf.instance.open(addr, PROFILE, expected).await;
    opened.expect("mutual TLS").connection
}

#[tokio::test]
async fn an_authentication_goes_as_written() {
    let (_lab, amf) = lab().await;
    let ausf = producer(&amf, NfType::Ausf, ServiceName::NausfAuth).await;
    let connection = connect(&amf, ausf.addr, ausf.expected()).await;
    let authority = ausf.endpoint.authority();
    let fresh = [
        (Fresh::Location("/ue-authentications/"), "{authCtxId}"),
        (Fresh::Member("/5gAuthData/rand"), "{rand}"),
        (Fresh::Member("/5gAuthData/autn"), "{autn}"),
        (Fresh::Member("/5gAuthData/hxresStar"), "{hxresStar}"),
    ];
    let mut player = Player::new(&connection, &authority, &fresh);
    player.learn("{ausf}", &authority);
    player.check(include_str!("ausf_challenge.txt")).await;
    // The part of the UE and of the SEAF.
    let [rand, autn] = ["{rand}", "{autn}"].map(|name| from_hex(player.value(name)));
    let (rand, autn) = (rand.expect("32 hex digits"), autn.expect("32 hex digits"));
    let challenge = Challenge::verified(SUPI, NETWORK, rand, &autn).expect("a genuine network");
    player.learn("{resStar}", &to_hex(&challenge.res_star()));
    player.learn("{kseaf}", &to_hex(&kseaf(&challenge.kausf(), NETWORK)));
    player.check(include_str!("ausf_confirmation.txt")).await;
}

#[tokio::test]
async fn requests_through_an_scp_go_as_written() {
    let (mut lab, amf) = lab().await;
    let udm = producer(&amf, NfType::Udm, ServiceName::NudmSdm).await;
    let scp = lab.topology.child(Nf::Scp).expect("the SCP was started");
    let addr = scp.seen(|event| match event {
        Event::SbiListening { addr, .. } => Some(*addr),
        _ => None,
    });
    let expected = ExpectedPeer {
        fqdn: pki::fqdn("SCP", 1),
        instance_id: None,
        nf_type: Some(NfType::Scp.as_str().to_owned()),
    };
    let connection = connect(&amf, addr.expect("the SCP listens"), expected).await;
    let scp = pki::fqdn("SCP", 1);
    let mut player = Player::new(&connection, &scp, &[]);
    player.learn("{udm}", &udm.endpoint.authority());
    player.learn("{nfInstanceId}", &udm.id.to_string());
    player.check(include_str!("scp.txt")).await;
}
