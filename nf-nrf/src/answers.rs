//! X.509 certificates that were issued for enrolment tokens, until they expire: they are in no log, and whoever has lost the answer
//! repeats the request and is to get the same again.
//!
//! ```text
//! <jti>.json: <SHA-256 of the rest> LF <IssuedCertificate as JSON>
//! ```

use mtc_core::time::UnixTime;
use sbi::checksum::sha256;
use sbi::enrolment::IssuedCertificate;
use uuid::Uuid;

use crate::files::{FileError, PrivateFolder};

const SUFFIX: &str = ".json";

/// The answers that are kept. Clones share the folder.
#[derive(Clone, Debug)]
pub struct Answers(PrivateFolder);

impl Answers {
    /// The answers in a folder; those that have expired by `now` are removed. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(folder: PrivateFolder, now: UnixTime) -> Result<Self, FileError> {
        for (name, bytes) in folder.list(SUFFIX)? {
            if read(&bytes).is_some_and(|issued| issued.not_after < now.0) {
                folder.remove(&name)?;
            }
        }
        Ok(Self(folder))
    }

    /// Keeps the answer to a token; it survives a crash when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn keep(&self, jti: Uuid, issued: &IssuedCertificate) -> Result<(), FileError> {
        let json = serde_json::to_string(issued)
            .expect("a certificate's answer has string keys and does not fail");
        let text = format!("{}\n{json}", sha256(json.as_bytes()));
        self.0.write_durably(&name(jti), text.as_bytes())
    }

    /// The answer to a token, if it is still good at `now`. Blocks on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn find(&self, jti: Uuid, now: UnixTime) -> Result<Option<IssuedCertificate>, FileError> {
        let Some(bytes) = self.0.read(&name(jti))? else {
            return Ok(None);
        };
        let kept = read(&bytes);
        if kept.is_none() {
            let path = self.0.path(&name(jti));
            tracing::warn!(path = %path.display(), "a stored answer is damaged, so its token is refused; remove it");
        }
        Ok(kept.filter(|issued| issued.not_after >= now.0))
    }
}

fn name(jti: Uuid) -> String {
    format!("{jti}{SUFFIX}")
}

/// What was kept, if that is what the file has.
fn read(bytes: &[u8]) -> Option<IssuedCertificate> {
    let (checksum, json) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let is_whole = sha256(json.as_bytes()) == checksum;
    is_whole.then(|| serde_json::from_str(json).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_until_it_expires_and_never_given_back_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let open = |now| {
            let folder = PrivateFolder::open(folder.path().to_owned()).unwrap();
            Answers::open(folder, UnixTime(now)).unwrap()
        };
        let jti = Uuid::from_u128(7);
        let issued = IssuedCertificate {
            certificate_id: "1".to_owned(),
            profile: "x509-ed25519".to_owned(),
            chain: vec!["AAAA".to_owned()],
            not_after: 100,
            landmark_relative: None,
        };
        open(0).keep(jti, &issued).unwrap();
        let find = |now| open(0).find(jti, UnixTime(now)).unwrap();
        assert_eq!(find(100), Some(issued));
        assert_eq!(find(101), None);
        let path = folder.path().join(name(jti));
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, whole.replace("AAAA", "AAAE")).unwrap();
        assert_eq!(find(100), None);
        std::fs::write(&path, whole).unwrap();
        open(101);
        assert!(!path.exists());
    }
}
