//! How network functions come to their first certificate, in real processes: as a pod, with the cluster's keys in a file and the token in another; and
//! with another key than the NRF has.

use rustix::process::Signal;
use sbi::service_account::{Pod, unverified_claims};
use serde_json::Value;

use test_support::cluster::{Cluster, ISSUER, SignedBy, claims};
use test_support::command::{Started, mtc5g};
use test_support::test_lab::{TestFolder, TestLab, small};

const FQDN: &str = "smf-0.smf.5gc.mnc001.mcc001.3gppnetwork.org";

/// Has the NRF of a lab certify pods of the service account `smf`.
fn certify_pods(folder: &TestFolder, cluster: &Cluster) {
    std::fs::write(folder.path().join("jwks.json"), cluster.jwks().to_string())
        .expect("the lab's folder");
    let file = folder.lab.config_file("nrf");
    let config = std::fs::read_to_string(&file).expect("the lab's folder");
    let kubernetes = format!(
        "\n[kubernetes]\nissuer = \"{ISSUER}\"\njwks = \"jwks.json\"\n\
         [[kubernetes.account]]\nnamespace = \"mtc5g\"\nname = \"smf\"\nnf_type = \"SMF\"\n\
         fqdn = \"{{pod}}.smf.5gc.mnc001.mcc001.3gppnetwork.org\"\n"
    );
    std::fs::write(&file, config + &kubernetes).expect("the lab's folder");
}

/// Writes the configuration of an SMF that is a pod, and returns its file.
fn pod_config(folder: &TestFolder) -> String {
    let smf = std::fs::read_to_string(folder.lab.config_file("smf")).expect("the lab's folder");
    let mut config: toml::Table = smf.parse().expect("TOML");
    let nf = config["nf"].as_table_mut().expect("a table");
    nf.remove("instance");
    for (key, value) in [("state", "state/pod"), ("admin", "127.0.0.1:0")] {
        nf.insert(key.to_owned(), value.into());
    }
    let replica = toml::toml! {
        listen = "127.0.0.1:0"
        [pod]
        token = "pod.jwt"
        fqdn = "{pod}.smf.5gc.mnc001.mcc001.3gppnetwork.org"
    };
    nf.insert("replica".to_owned(), replica.into());
    let file = folder.lab.config_file("pod");
    std::fs::write(&file, config.to_string()).expect("the lab's folder");
    file.to_str()
        .expect("temporary folders are text")
        .to_owned()
}

fn write_token(folder: &TestFolder, cluster: &Cluster, claims: &Value) -> Pod {
    let token = cluster.token(SignedBy::Rsa, claims);
    std::fs::write(folder.path().join("pod.jwt"), &token).expect("the lab's folder");
    Pod::try_from(unverified_claims(&token).expect("claims")).expect("a pod's")
}

#[tokio::test]
async fn a_pod_enrols_with_its_token_and_stays_itself_when_it_is_made_again() {
    let cluster = Cluster::new("cluster");
    let folder = TestFolder::new(&small());
    certify_pods(&folder, &cluster);
    let config = pod_config(&folder);
    let lab = TestLab::start(folder).await;
    let arguments = ["smf", "--config", &config];

    let mut elsewhere = claims("smf", "smf-0");
    elsewhere["iss"] = "https://another.cluster".into();
    write_token(&lab.folder, &cluster, &elsewhere);
    let refused = mtc5g(arguments).await;
    assert_eq!(refused.code(), Some(1));
    assert!(
        refused
            .error()
            .contains("iss is \"https://another.cluster\""),
        "{}",
        refused.error()
    );

    let mut ids = Vec::new();
    for uid in [
        "2d0c6c5e-0a7e-4c57-8f0d-7b1f1b7c9a10",
        "77777777-0a7e-4c57-8f0d-7b1f1b7c9a10",
    ] {
        let mut claims = claims("smf", "smf-0");
        claims["kubernetes.io"]["pod"]["uid"] = uid.into();
        let pod = write_token(&lab.folder, &cluster, &claims);
        let mut smf = Started::new(arguments);
        smf.says("{\"event\":\"ready\"").await;
        smf.signal(Signal::TERM);
        let ended = smf.end().await;
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains(FQDN), "{}", ended.stderr);
        ids.push(pod.instance_id());
        // The next pod of its name comes to an empty disk.
        std::fs::remove_dir_all(lab.folder.path().join("state/pod")).unwrap();
    }
    assert_eq!(ids[0], ids[1]);
    lab.topology.stop().await;
}

// Connections for enrolment offered the key of what was wanted alone: against an NRF with another key there was no first certificate.
#[tokio::test]
async fn an_nf_enrols_with_another_key_than_the_nrf_has() {
    let folder = TestFolder::new(&small());
    folder.set("smf", "leaf_key", "\"ecdsa-p256\"");
    let lab = TestLab::start(folder).await;
    lab.topology.stop().await;
}
