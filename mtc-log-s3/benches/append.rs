//! What a batch costs where a log is stored: in a folder, in a bucket in memory whose every request takes 20 ms, and on the server at
//! `MTC5G_S3_ENDPOINT` if there is one (see tests/server.rs). A batch is appended, signed and published, without witnesses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mtc_core::cosign::{SecretKey, SignatureAlgorithm};
use mtc_core::id::{LogId, LogNumber, TrustAnchorId};
use mtc_core::time::UnixTime;
use mtc_log::{CosigningKey, DirectoryStorage, IssuanceLog, Storage};
use mtc_log_s3::{Credentials, Location, ObjectStorage, Store, connect};
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use uuid::Uuid;

const BATCHES: usize = 30;
const NOW: UnixTime = UnixTime(1_800_000_000);
/// As long as the entry of a certificate for an ML-DSA-44 key.
const ENTRY: [u8; 400] = [7; 400];

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let directory = DirectoryStorage::open(folder.path()).expect("a folder of its own");
    measure("folder", Arc::new(directory));
    measure("20 ms a request", Arc::new(open(slow())));
    if let Ok(endpoint) = std::env::var("MTC5G_S3_ENDPOINT") {
        let location = Location {
            bucket: "mtc5g".to_owned(),
            prefix: format!("benches/{}", Uuid::new_v4()),
            endpoint: Some(endpoint),
            region: None,
        };
        let store = connect(&location, &Credentials::Environment).expect("settings that work");
        measure("server", Arc::new(open(store)));
    }
}

fn slow() -> Store {
    let wait = Duration::from_millis(20);
    let config = ThrottleConfig {
        wait_get_per_call: wait,
        wait_put_per_call: wait,
        wait_list_per_call: wait,
        ..ThrottleConfig::default()
    };
    let store = ThrottledStore::new(InMemory::new(), config);
    Store::new(Arc::new(store), "log", "s3://memory/log").expect("a thread")
}

fn open(store: Store) -> ObjectStorage {
    ObjectStorage::open(store, "bench").expect("a store that works")
}

fn create(storage: Arc<dyn Storage>) -> IssuanceLog {
    let ca: TrustAnchorId = "32473.1".parse().expect("a trust anchor ID");
    let id = LogId::new(ca, LogNumber::FIRST).expect("a short ID");
    let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
    let key = CosigningKey::new(ca, secret).expect("a key with a public half");
    IssuanceLog::create(storage, id, key, NOW).expect("an empty storage that works")
}

fn measure(name: &str, storage: Arc<dyn Storage>) {
    let mut log = create(storage);
    for count in [1, 100, 1000] {
        let mut times: Vec<_> = (0..BATCHES)
            .map(|_| {
                let batch = vec![ENTRY.to_vec(); count];
                let begun = Instant::now();
                let signed = log.append(&batch, NOW).expect("it works").checkpoint;
                log.publish(&signed.to_note()).expect("it works");
                begun.elapsed()
            })
            .collect();
        times.sort();
        let (median, slow) = (times[BATCHES / 2], times[BATCHES * 9 / 10]);
        println!(
            "{name:<16} {count:>5} entries   median {:>7.1} ms   p90 {:>7.1} ms   {:>8.0} entries/s",
            median.as_secs_f64() * 1e3,
            slow.as_secs_f64() * 1e3,
            count as f64 / median.as_secs_f64()
        );
    }
}
