//! An issuance log on disk with a witness, both in one process: `cargo run -p mtc-log --example issuance_log [DIR]`.
//!
//! Issues a certificate and verifies it. What is in `DIR/log` can be served as it is: it is a c2sp.org/tlog-tiles log.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mtc_core::ca::CaCertificate;
use mtc_core::certificate::CertificateFields;
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::der;
use mtc_core::id::{LogId, LogNumber};
use mtc_core::time::UnixTime;
use mtc_core::verify::{CaTrust, CosignerGroup};
use mtc_core::x509::extension;
use mtc_log::{
    CosigningKey, DirectoryStorage, IssuanceLog, Refusal, Sequencer, SequencerConfig, Witness,
    WitnessError, WitnessStore, WitnessedLog,
};

const LIFETIME: Duration = Duration::from_secs(3600);

/// A witness behind no network. It keeps what it has cosigned, so that it can never cosign two histories.
struct LocalWitness(Arc<WitnessStore>);

impl Witness for LocalWitness {
    fn cosigner(&self) -> &Cosigner {
        self.0.cosigner()
    }

    async fn add_checkpoint(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        let store = Arc::clone(&self.0);
        let answer = tokio::task::spawn_blocking(move || store.add_checkpoint(&body, now()));
        answer.await?.map_err(refused)
    }

    async fn sign_subtree(&self, body: Vec<u8>) -> Result<Vec<u8>, WitnessError> {
        let store = Arc::clone(&self.0);
        let answer = tokio::task::spawn_blocking(move || store.sign_subtree(&body));
        answer.await?.map_err(refused)
    }

    async fn latest_checkpoint(&self, log: &LogId) -> Result<Option<Vec<u8>>, WitnessError> {
        Ok(self.0.latest_of(log))
    }
}

fn refused(refusal: Refusal) -> WitnessError {
    WitnessError::Refused {
        status: refusal.status(),
        detail: refusal.to_string(),
    }
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime(since.unwrap_or_default().as_secs())
}

fn key(id: &str) -> Result<CosigningKey, Box<dyn Error>> {
    let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44)?;
    Ok(CosigningKey::new(id.parse()?, secret)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.as_deref().unwrap_or_else(|| temporary.path());
    let storage = |name: &str| DirectoryStorage::create(folder.join(name)).map(Arc::new);

    let (ca, witness) = (key("32473.1")?, key("32473.2")?);
    let (ca_cosigner, witness_cosigner) = (ca.cosigner().clone(), witness.cosigner().clone());
    let id = LogId::new("32473.1".parse()?, LogNumber::FIRST)?;
    let witnessed = WitnessedLog {
        id,
        ca: ca_cosigner.clone(),
    };
    let witness = LocalWitness(Arc::new(WitnessStore::open(
        storage("witness")?,
        witness,
        [witnessed],
    )?));
    let log = IssuanceLog::create(storage("log")?, id, ca, now())?;

    let config = SequencerConfig {
        queue: 100,
        min_interval: Duration::ZERO,
        required_witnesses: 1,
        witness_deadline: Duration::from_secs(10),
    };
    let (issuer, sequencer) = Sequencer::new(log, [witness], config, Arc::new(now))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    runtime.spawn(sequencer.run());

    let spki = SecretKey::generate(SignatureAlgorithm::EcdsaP256)?
        .public_key()?
        .to_spki();
    let name = der::element(der::SEQUENCE, &[]);
    let key_usage = extension(&[0x55, 0x1d, 15], true, &[3, 2, 7, 0x80]); // digitalSignature
    let extensions = der::element(der::SEQUENCE, &[&key_usage]);
    let issued = runtime.block_on(issuer.certify(&CertificateFields {
        issuer: id.ca(),
        not_before: now(),
        not_after: now().plus(LIFETIME),
        subject: &name,
        spki: &spki,
        extensions: &extensions,
    }))?;

    let ca_certificate = CaCertificate {
        cosigner: ca_cosigner,
        min_serial: 1,
        max_serial: u64::MAX,
        prefix_url: None,
    };
    let trust = CaTrust::ca_alone(&ca_certificate);
    let trust = trust.require(CosignerGroup::new(vec![witness_cosigner], 1)?)?;
    let accepted = trust.verify_issuance(&issued.certificate)?;
    println!(
        "entry {} of a log of {}, certificate of {} bytes, accepted for its {:?}",
        issued.index,
        issued.tree_size,
        issued.certificate.len(),
        accepted.basis
    );
    Ok(())
}
