//! Producers that say that they have too much to do.

use hyper::header::RETRY_AFTER;
use hyper::{Method, StatusCode};
use sbi::header::OCI;

use super::{DISCOVERY, PATH, lab, refusal, told};

#[tokio::test]
async fn an_overloaded_producer_is_asked_for_less_and_another_instead() {
    let (_lab, [first, second], amf) = lab().await;
    let at = |root| ("3gpp-sbi-target-apiroot", root);
    assert_eq!(
        told(&amf.send(Method::POST, PATH, &DISCOVERY).await)["number"],
        101
    );

    // It says so once, and the consumer hears it too.
    let overloaded = format!("{PATH}/overloaded");
    let answer = amf
        .send(Method::POST, &overloaded, &[at(&*first.root)])
        .await;
    assert!(answer.headers.contains_key(OCI));
    assert_eq!(
        told(&amf.send(Method::POST, PATH, &DISCOVERY).await)["number"],
        102
    );
    let congested = (503, "NF_CONGESTION".to_owned());
    let answer = amf.send(Method::POST, PATH, &[at(&*first.root)]).await;
    assert_eq!(refusal(&answer), congested);
    assert_eq!(answer.headers[RETRY_AFTER], "1");
    let answer = amf.send(Method::DELETE, PATH, &[at(&*first.root)]).await;
    assert_eq!(answer.status, StatusCode::OK, "it gives something back");

    // So does the other one: nobody is left.
    let answer = amf
        .send(Method::POST, &overloaded, &[at(&*second.root)])
        .await;
    assert!(answer.headers.contains_key(OCI));
    assert_eq!(
        refusal(&amf.send(Method::POST, PATH, &DISCOVERY).await),
        congested
    );
}
