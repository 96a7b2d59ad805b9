//! A witness: opened on its state and served, in the SCP's process or in one of its own.
//!
//! ```text
//!  [witness], trust file ──> open ──> WitnessStore ──> WitnessApi at the witness's port ─┬─ scp::run: beside an NF
//!                                                                                        └─ run: `mtc5g witness`
//! ```
//!
//! A process of its own has that port and an admin port, and no certificate: who asks a witness is known by what the CA has signed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mtc_core::id::{IdError, LogNumber};
use mtc_core::vkey::{self, VkeyError};
use mtc_log::{DirectoryStorage, StorageError, WitnessOpenError, WitnessStore, WitnessedLog};
use mtc_tls::clock::Clock;
use sbi::config::ConfigError;
use sbi::cosigner::{self, CosignerError};
use sbi::listener::ListenError;
use sbi::metrics::{Metrics, Registry};
use sbi::model::NfType;
use sbi::nf::{Life, NfError};
use sbi::process::{Control, Event, Events, Stop};
use sbi::trust_file::{TrustFile, TrustFileError};
use tokio::task::spawn_blocking;

use crate::config::{WitnessConfig, WitnessProcessConfig, WitnessedCaConfig};
use crate::metrics::WitnessMetrics;
use crate::witness_api::WitnessApi;

/// What the process is called in its metrics and events: a witness is no NF.
const PROCESS: &str = "WITNESS";
/// Further CAs whose logs the witness knows. Each brings 256 logs, for whose state it looks at the start.
const MAX_FURTHER_CAS: usize = 16;

/// Why a witness cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The trust file.
    #[error(transparent)]
    TrustFile(#[from] TrustFileError),
    /// Its key, or its ID.
    #[error(transparent)]
    Cosigner(#[from] CosignerError),
    /// The ID of a CA.
    #[error("the CA's ID")]
    Id(#[from] IdError),
    /// A further CA's verifier key.
    #[error("witness.log.vkey")]
    Vkey(#[from] VkeyError),
    /// More further CAs than the bound of this implementation.
    #[error("witness.log: {0} CAs are more than {MAX_FURTHER_CAS}")]
    FurtherCas(usize),
    /// A further log's number.
    #[error("witness.log.numbers")]
    LogNumber(#[source] IdError),
    /// Its folder.
    #[error("the witness's state in {}", path.display())]
    Storage {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        source: StorageError,
    },
    /// What it has stored.
    #[error("the witness's state in {}", path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        source: WitnessOpenError,
    },
    /// A port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The admin port.
    #[error(transparent)]
    Process(#[from] NfError),
}

/// Runs a witness that is a process of its own until it is told to stop.
///
/// # Errors
/// It cannot start.
pub async fn run(config: &Path, events: Events, control: Control) -> Result<(), WitnessError> {
    let config = WitnessProcessConfig::load(config)?;
    let stop = control.stop.clone();
    let mut life = tokio::select! {
        started = start(config, events, control.stop) => started?,
        () = stop.wait() => return Ok(()),
    };
    life.await_stop().await;
    life.end().await;
    Ok(())
}

async fn start(
    config: WitnessProcessConfig,
    events: Events,
    stop: Stop,
) -> Result<Life, WitnessError> {
    let metrics = Metrics::new();
    let registry = metrics.registry.clone();
    let process = NfType::from(PROCESS);
    let mut life = Life::begin(process, config.process(), metrics, events, stop).await?;
    life.lacks("what it has cosigned");
    let trust_file = TrustFile::load(&config.trust)?;
    let witness = config.witness.clone();
    let opened = open(witness, trust_file, config.clock(), &registry).await?;
    let addr = life.serve_plain(config.witness.listen, "witness", "witness.listen", opened)?;
    life.events.tell(&Event::WitnessListening { addr });
    life.lacks("");
    life.tell_ready();
    Ok(life)
}

/// Opens a witness for the logs of the trust file's CA, and of further ones. Its metrics are added to `registry`.
///
/// # Errors
/// Its key, identifier or state cannot be used.
pub(crate) async fn open(
    config: WitnessConfig,
    trust_file: TrustFile,
    clock: Clock,
    registry: &Registry,
) -> Result<Arc<WitnessApi>, WitnessError> {
    let opening = spawn_blocking(move || open_store(&config, &trust_file));
    let store = opening
        .await
        .expect("opening does not panic and is not aborted")?;
    let metrics = WitnessMetrics::new(registry);
    metrics.show(&store);
    Ok(Arc::new(WitnessApi {
        store: Arc::new(store),
        clock,
        metrics,
    }))
}

/// Blocks on the disk.
fn open_store(
    config: &WitnessConfig,
    trust_file: &TrustFile,
) -> Result<WitnessStore, WitnessError> {
    let key = cosigner::read_key(&config.id, &config.key)?;
    let storage =
        DirectoryStorage::create(&config.state).map_err(|source| WitnessError::Storage {
            path: config.state.clone(),
            source,
        })?;
    let mut logs = cosigner::logs(trust_file.trust.cosigner(), &trust_file.logs)?;
    logs.extend(further_logs(&config.logs)?);
    WitnessStore::open(Arc::new(storage), key, logs).map_err(|source| WitnessError::State {
        path: config.state.clone(),
        source,
    })
}

/// The logs of other CAs.
fn further_logs(cas: &[WitnessedCaConfig]) -> Result<Vec<WitnessedLog>, WitnessError> {
    if cas.len() > MAX_FURTHER_CAS {
        return Err(WitnessError::FurtherCas(cas.len()));
    }
    let mut logs = Vec::new();
    for further in cas {
        let ca = vkey::parse(&further.vkey)?;
        let numbers = further.numbers.iter().copied().map(LogNumber::new);
        let numbers = numbers.collect::<Result<Vec<_>, _>>();
        logs.extend(cosigner::logs(
            &ca,
            &numbers.map_err(WitnessError::LogNumber)?,
        )?);
    }
    Ok(logs)
}

#[cfg(test)]
mod tests {
    use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};

    use super::*;

    #[test]
    fn the_logs_of_other_cas_are_those_of_their_verifier_keys() {
        let ca = |id: &str| {
            let secret = SecretKey::generate(SignatureAlgorithm::MlDsa44).expect("randomness");
            Cosigner {
                id: id.parse().expect("an ID"),
                key: secret.public_key().expect("a key"),
            }
        };
        let config = |ca: &Cosigner, numbers: &[u64]| WitnessedCaConfig {
            vkey: vkey::encode(ca).expect("ML-DSA-44"),
            numbers: numbers.to_vec(),
        };
        let (one, two) = (ca("32473.106"), ca("32473.107"));
        let logs = further_logs(&[config(&one, &[1]), config(&two, &[7])]);
        let logs = logs.expect("good configurations");
        let first = |of: &Cosigner| logs.iter().find(|log| log.ca == *of).expect("its logs");
        assert_eq!(first(&one).id.origin(), "oid/1.3.6.1.4.1.32473.106.0.1");
        assert_eq!(first(&two).id.origin(), "oid/1.3.6.1.4.1.32473.107.0.7");

        let mut damaged = config(&one, &[1]);
        damaged.vkey = damaged.vkey.replace("32473.106", "32473.108");
        let refused = further_logs(&[damaged]).expect_err("damaged");
        assert!(
            matches!(refused, WitnessError::Vkey(VkeyError::KeyId)),
            "{refused:?}"
        );
        let refused = further_logs(&[config(&one, &[0])]).expect_err("no log has it");
        assert!(matches!(refused, WitnessError::LogNumber(_)), "{refused:?}");
        let many = vec![config(&one, &[1]); MAX_FURTHER_CAS + 1];
        let refused = further_logs(&many).expect_err("too many");
        assert!(
            matches!(refused, WitnessError::FurtherCas(17)),
            "{refused:?}"
        );
    }
}
