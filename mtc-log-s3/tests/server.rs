//! Logs on a server that speaks the S3 protocol, signed requests and all: the one at `MTC5G_S3_ENDPOINT`, whose bucket `mtc5g` and whose
//! credentials are in the environment as Amazon's tools have them. Without it nothing is tried; `.ci/check-object-store` starts one.

use std::sync::Arc;

use mtc_log::StorageError;
use mtc_log_s3::{Credentials, Location, ObjectStorage, Store, connect};
use test_support::log_world::{NOW, World, entries};
use test_support::storage_contract::{self, Place};
use uuid::Uuid;

/// A prefix of its own in the server's bucket.
struct Prefix(Location);

impl Prefix {
    /// `None` if there is no server to try.
    fn new() -> Option<Self> {
        let Ok(endpoint) = std::env::var("MTC5G_S3_ENDPOINT") else {
            eprintln!("skipped: MTC5G_S3_ENDPOINT names no server");
            return None;
        };
        Some(Self(Location {
            bucket: "mtc5g".to_owned(),
            prefix: format!("tests/{}", Uuid::new_v4()),
            endpoint: Some(endpoint),
            region: None,
        }))
    }

    fn store(&self) -> Store {
        connect(&self.0, &Credentials::Environment).expect("settings that can be used")
    }
}

impl Place for Prefix {
    type Storage = ObjectStorage;

    fn open(&self) -> Arc<ObjectStorage> {
        let opened = ObjectStorage::open(self.store(), "this NRF");
        Arc::new(opened.expect("a server that works"))
    }
}

#[test]
fn a_server_keeps_what_is_put() {
    if let Some(prefix) = Prefix::new() {
        storage_contract::keeps_what_is_put(&prefix);
    }
}

#[test]
fn a_server_keeps_logs() {
    if let Some(prefix) = Prefix::new() {
        storage_contract::keeps_logs(&prefix);
    }
}

#[test]
fn a_server_is_rid_of_what_is_superseded() {
    if let Some(prefix) = Prefix::new() {
        storage_contract::removes_what_is_superseded(&prefix);
    }
}

#[test]
fn a_second_writer_is_refused_and_a_fenced_one_signs_nothing_more() {
    let Some(prefix) = Prefix::new() else {
        return;
    };
    let (world, first) = (World::new(), prefix.open());
    let mut log = world.create(&first);
    log.append(&entries("a", 300), NOW).unwrap();
    let refused = ObjectStorage::open(prefix.store(), "another NRF");
    assert!(matches!(refused, Err(StorageError::Locked { .. })));

    // The same NRF again, while the first is still there: as after a crash, and as a copy of its state folder would.
    let second = prefix.open();
    let mut theirs = world.open(&second).unwrap();
    let signed = theirs.append(&entries("b", 300), NOW).unwrap().checkpoint;
    theirs.publish(&signed.to_note()).unwrap();
    let error = log.append(&entries("c", 300), NOW).unwrap_err();
    let source = std::error::Error::source(&error).expect("the storage's");
    assert!(source.to_string().contains("taken over"), "{source}");
    drop((log, first, theirs, second));
    assert_eq!(
        world.open(&prefix.open()).unwrap().published(),
        Some(&signed)
    );
}

#[test]
fn a_bucket_that_is_not_there_is_named() {
    let Some(Prefix(location)) = Prefix::new() else {
        return;
    };
    let nowhere = Prefix(Location {
        bucket: "mtc5g-is-not-there".to_owned(),
        ..location
    });
    let error = ObjectStorage::open(nowhere.store(), "this NRF").unwrap_err();
    let StorageError::Io { path, source, .. } = error else {
        panic!("another error: {error:?}");
    };
    assert!(
        path.starts_with("s3://mtc5g-is-not-there"),
        "{}",
        path.display()
    );
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound, "{source}");
}

#[test]
fn a_server_that_is_not_there_is_named_with_its_address() {
    let location = Location {
        bucket: "mtc5g".to_owned(),
        prefix: "log".to_owned(),
        // Nobody listens at the discard port of this machine.
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        region: None,
    };
    let key = Credentials::Key {
        id: "id".to_owned(),
        secret: "secret".to_owned(),
        session_token: None,
    };
    let error = connect(&location, &key)
        .unwrap()
        .read_named("lock")
        .unwrap_err();
    let source = std::error::Error::source(&error).expect("a cause");
    assert!(source.to_string().contains("127.0.0.1:9"), "{source}");
    assert!(!format!("{error:?}").contains("secret"));
}
