//! The mirror's process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mtc_log::{LogFolders, MirrorOpenError, MirrorStore};
use mtc_web::{Client, HttpError};
use sbi::config::{ConfigError, ProcessSettings};
use sbi::cosigner::{self, CosignerError};
use sbi::listener::ListenError;
use sbi::metrics::Metrics;
use sbi::model::NfType;
use sbi::nf::{Life, NfError};
use sbi::process::{Control, Event, Events};
use sbi::trust_file::{TrustFile, TrustFileError};
use tokio::task::spawn_blocking;

use crate::api::MirrorApi;
use crate::config::MirrorConfig;
use crate::landmarks;
use crate::metrics::MirrorMetrics;

/// What the process is called where others have an NF type.
const NAME: &str = "MIRROR";
/// How long the log may take to answer.
const LOG_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the mirror cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The trust file.
    #[error(transparent)]
    TrustFile(#[from] TrustFileError),
    /// The mirror's key, or its ID.
    #[error("the mirror")]
    Cosigner(#[from] CosignerError),
    /// The copies.
    #[error(
        "the mirror's copies in {}: if one is damaged, move its folder away and start again; the log uploads it anew",
        path.display()
    )]
    Store {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        source: Box<MirrorOpenError>,
    },
    /// The log cannot be asked for landmarks.
    #[error("log")]
    Log(#[source] HttpError),
    /// A port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// What every process has.
    #[error(transparent)]
    Process(#[from] NfError),
}

/// Runs the mirror until it is told to stop.
///
/// # Errors
/// It cannot start.
pub async fn run(config: &Path, events: Events, control: Control) -> Result<(), MirrorError> {
    let config = MirrorConfig::load(config)?;
    let trust_file = TrustFile::load(&config.trust)?;
    let metrics = Metrics::new();
    let mirror_metrics = MirrorMetrics::new(&metrics.registry);
    let settings = ProcessSettings::plain(config.admin, &config.limits, config.clock());
    let beginning = Life::begin(
        NfType::Other(NAME.to_owned()),
        settings,
        metrics,
        events.clone(),
        control.stop.clone(),
    );
    let mut life = tokio::select! {
        life = beginning => life?,
        () = control.stop.clone().wait() => return Ok(()),
    };
    life.lacks("its copies of the logs");
    let (for_thread, trust) = (config.clone(), trust_file);
    let opening = spawn_blocking(move || open(&for_thread, &trust));
    let store = Arc::new(
        opening
            .await
            .expect("opening does not panic and is not aborted")?,
    );
    mirror_metrics.show(&store);
    let log = Client::new(config.log.clone(), LOG_TIMEOUT).map_err(MirrorError::Log)?;
    let interval = Duration::from_millis(config.landmark_interval_ms);
    life.spawn(landmarks::keep_copying(
        Arc::clone(&store),
        log,
        interval,
        mirror_metrics.clone(),
    ));
    let api = MirrorApi::new(store, config.clock(), mirror_metrics);
    let addr = life.serve_plain(config.listen, "mirror", "listen", Arc::new(api))?;
    events.tell(&Event::MirrorListening { addr });
    life.lacks("");
    life.tell_ready();
    life.await_stop().await;
    life.end().await;
    Ok(())
}

/// Opens what is stored of the logs of the trust file's CA. Blocks on the disk.
fn open(config: &MirrorConfig, trust_file: &TrustFile) -> Result<MirrorStore, MirrorError> {
    let key = cosigner::read_key(&config.id, &config.key)?;
    let logs = cosigner::logs(trust_file.trust.cosigner(), &trust_file.logs)
        .map_err(CosignerError::from)?;
    let folders = LogFolders(config.state.clone());
    MirrorStore::open(folders, key, logs).map_err(|source| MirrorError::Store {
        path: config.state.clone(),
        source: Box::new(source),
    })
}
