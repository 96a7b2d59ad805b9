//! A log's prefix in a bucket, who this NRF is there, and with which key it asks.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mtc_log::StorageError;
use mtc_log_s3::{Credentials, Location, ObjectStorage, Store, connect};
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::LogPlaceError;
use crate::files::{PrivateFolder, read_text};
use crate::log_location::ObjectStoreConfig;

/// In the state folder: who this NRF is to others that want to write the log. Whoever has the folder may take over a lease of its
/// own, as after a crash.
const HOLDER: &str = "log-writer";

/// A prefix in a bucket. Displays as its URL; clones share it.
#[derive(Clone, Debug)]
pub struct Bucket(Arc<Prefix>);

#[derive(Debug)]
struct Prefix {
    location: Location,
    store: Store,
    holder: String,
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.store.fmt(f)
    }
}

/// The file of an access key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessKey {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

impl Bucket {
    pub(super) fn of(
        bucket: &str,
        prefix: &str,
        config: &ObjectStoreConfig,
        state: &PrivateFolder,
    ) -> Result<Self, LogPlaceError> {
        let location = Location {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: config.endpoint.clone(),
            region: config.region.clone(),
        };
        let credentials = match &config.credentials {
            Some(path) => access_key(path)?,
            None => Credentials::Environment,
        };
        Ok(Self(Arc::new(Prefix {
            store: connect(&location, &credentials)?,
            location,
            holder: holder(state)?,
        })))
    }

    pub(super) fn with_suffix(&self, suffix: &str) -> Self {
        let mut location = self.0.location.clone();
        location.prefix.push_str(suffix);
        Self(Arc::new(Prefix {
            store: self.0.store.beside(&location),
            location,
            holder: self.0.holder.clone(),
        }))
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(super) fn open(&self) -> Result<ObjectStorage, StorageError> {
        ObjectStorage::open(self.0.store.clone(), &self.0.holder)
    }
}

fn access_key(path: &Path) -> Result<Credentials, LogPlaceError> {
    let text = Zeroizing::new(read_text(path)?);
    // What the parser says of a file may quote it.
    let key: AccessKey = toml::from_str(&text).map_err(|_| LogPlaceError::Credentials {
        path: path.to_owned(),
    })?;
    Ok(Credentials::Key {
        id: key.access_key_id,
        secret: key.secret_access_key,
        session_token: key.session_token,
    })
}

/// The name of this state folder among writers, made at the first time.
fn holder(state: &PrivateFolder) -> Result<String, LogPlaceError> {
    let known = state.read(HOLDER)?;
    let known = known
        .as_deref()
        .and_then(|bytes| str::from_utf8(bytes).ok());
    if let Some(id) = known.and_then(|text| text.trim().parse::<Uuid>().ok()) {
        return Ok(id.to_string());
    }
    let id = Uuid::new_v4().to_string();
    state.write_durably(HOLDER, id.as_bytes())?;
    Ok(id)
}
