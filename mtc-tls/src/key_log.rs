//! Secrets of connections in a file, for reading packet captures of a laboratory: the NSS key log format.
//!
//! Nothing writes it unless an operator names a file; `SSLKEYLOGFILE` is not heeded.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use mtc_core::hex;
use rustls::KeyLog;

/// Readable by its owner alone: who has it can read the connections.
const MODE: u32 = 0o600;

/// Appends secrets to a file, one line each: label, client random, secret.
pub struct KeyLogFile(Mutex<File>);

impl KeyLogFile {
    /// Opens the file or makes it, for its owner alone. Several processes may append to one.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(MODE)
            .open(path)?;
        // It may have been there, for others to read.
        file.set_permissions(Permissions::from_mode(MODE))?;
        Ok(Self(Mutex::new(file)))
    }
}

impl KeyLog for KeyLogFile {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let [random, secret] = [client_random, secret].map(hex::encode);
        let line = format!("{label} {random} {secret}\n");
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One write a line, so that processes do not mix theirs.
        if let Err(error) = file.write_all(line.as_bytes()) {
            tracing::warn!(%error, "a secret is missing from the key log");
        }
    }
}

impl fmt::Debug for KeyLogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLogFile")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_line_for_the_owner_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("keys");
        // As somebody has made it, for all to read.
        std::fs::write(&path, "").expect("a file");
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("a file");
        for secret in [[1, 0xab], [2, 0xcd]] {
            let log = KeyLogFile::open(&path).expect("a file");
            log.log("CLIENT_HANDSHAKE_TRAFFIC_SECRET", &[0, 0xff], &secret);
        }
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(
            text,
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET 00ff 01ab\nCLIENT_HANDSHAKE_TRAFFIC_SECRET 00ff 02cd\n"
        );
        let mode = std::fs::metadata(&path)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, MODE);
    }
}
