//! Instances that are not known before they start: replicas of a container take their enrolment tokens from a pool.
//!
//! ```text
//!  POOL/amf1.jwt, amf2.jwt, ...     the first free one is renamed, which only one replica can do
//!        └─> STATE/token.jwt        and stays this process's: its claims say which instance it is
//! ```
//!
//! A process that is started again on its state is the same instance. What dies between the two steps costs a token, and so does
//! what dies after the NRF has used it and before the certificate is stored: then the next start is another instance.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::enrolment_claims::EnrolmentClaims;

/// The claimed token in the state folder.
const TOKEN: &str = "token.jwt";
const FREE: &str = "jwt";

/// Why no token can be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The disk failed.
    #[error("cannot {doing} {}", path.display())]
    Disk {
        /// What was attempted.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Every token is taken.
    #[error("no enrolment token is left in {}: mtc5g init --deploy makes as many as --amf, --smf and --load ask for", pool.display())]
    Empty {
        /// The pool.
        pool: PathBuf,
    },
    /// What was taken is no token.
    #[error("{} is not an enrolment token", path.display())]
    NotAToken {
        /// The file.
        path: PathBuf,
    },
}

/// A token, and the instance that it is for.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Where the token is.
    pub token: PathBuf,
    /// NF instance id.
    pub instance_id: Uuid,
    /// The instance's FQDN.
    pub fqdn: String,
}

/// The token that was claimed for `state` before, or else the first that is free in `pool`. Blocks on the disk.
///
/// # Errors
/// None is free, or the disk fails.
pub fn claim(pool: &Path, state: &Path) -> Result<Claimed, PoolError> {
    let token = state.join(TOKEN);
    if !token.exists() {
        take(pool, state, &token)?;
    }
    let text = std::fs::read_to_string(&token)
        .map(Zeroizing::new)
        .map_err(failed("read", &token))?;
    let claims = claims(text.trim()).filter(|claims| !claims.fqdn.is_empty());
    let not_a_token = || PoolError::NotAToken {
        path: token.clone(),
    };
    let EnrolmentClaims { sub, fqdn, .. } = claims.ok_or_else(not_a_token)?;
    let fqdn = fqdn.into_iter().next().ok_or_else(not_a_token)?;
    Ok(Claimed {
        token,
        instance_id: sub,
        fqdn,
    })
}

/// Lets go of the token that was claimed for `state`, so that the next claim takes another. Blocks on the disk.
///
/// # Errors
/// The disk fails.
pub fn give_up(state: &Path) -> Result<(), PoolError> {
    let token = state.join(TOKEN);
    std::fs::remove_file(&token).map_err(failed("remove", &token))
}

fn take(pool: &Path, state: &Path, token: &Path) -> Result<(), PoolError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)
        .map_err(failed("create", state))?;
    let taken = first_free(pool)?;
    let text = std::fs::read(&taken)
        .map(Zeroizing::new)
        .map_err(failed("read", &taken))?;
    let fresh = token.with_extension("new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&fresh, token))
        .and_then(|()| File::open(state)?.sync_all());
    written.map_err(failed("write", token))?;
    std::fs::remove_file(&taken).map_err(failed("remove", &taken))
}

/// Takes the first token that nobody else takes.
fn first_free(pool: &Path) -> Result<PathBuf, PoolError> {
    let listed = std::fs::read_dir(pool).map_err(failed("read", pool))?;
    let files: io::Result<Vec<PathBuf>> = listed.map(|entry| Ok(entry?.path())).collect();
    let mut files = files.map_err(failed("read", pool))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == FREE));
    files.sort();
    for free in files {
        let taken = free.with_extension(format!("taken-{}", Uuid::new_v4()));
        match std::fs::rename(&free, &taken) {
            Ok(()) => return Ok(taken),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("rename", &free)(error)),
        }
    }
    Err(PoolError::Empty {
        pool: pool.to_owned(),
    })
}

/// What a token says of itself; the NRF verifies it.
fn claims(token: &str) -> Option<EnrolmentClaims> {
    let payload = token.split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&json).ok()
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PoolError {
    let path = path.to_owned();
    move |source| PoolError::Disk {
        doing,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment_claims::ENROLMENT_ISSUER;

    fn token(number: u128) -> String {
        let claims = EnrolmentClaims {
            iss: ENROLMENT_ISSUER.to_owned(),
            sub: Uuid::from_u128(number),
            nf_type: "AMF".to_owned(),
            fqdn: vec![format!("amf{number}.example.org")],
            exp: 1,
            jti: Uuid::from_u128(7),
        };
        let json = serde_json::to_vec(&claims).expect("claims are JSON");
        format!("e30.{}.c2ln\n", URL_SAFE_NO_PAD.encode(json))
    }

    fn pool(tokens: u128) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::create_dir(folder.path().join("pool")).expect("a new folder");
        for number in 1..=tokens {
            let file = folder.path().join(format!("pool/amf{number}.jwt"));
            std::fs::write(file, token(number)).expect("a token is written");
        }
        folder
    }

    #[test]
    fn replicas_become_different_instances_and_stay_them() {
        let folder = pool(2);
        let of = |state: &str| claim(&folder.path().join("pool"), &folder.path().join(state));
        let (one, two) = (of("one").expect("free"), of("two").expect("free"));
        assert_eq!(one.instance_id, Uuid::from_u128(1));
        assert_eq!(
            (two.instance_id, &*two.fqdn),
            (Uuid::from_u128(2), "amf2.example.org")
        );
        assert!(one.token.starts_with(folder.path().join("one")));
        let again = of("one").expect("claimed before");
        assert_eq!(again.instance_id, one.instance_id);
        give_up(&folder.path().join("one")).expect("a claimed token");
        assert!(matches!(of("one"), Err(PoolError::Empty { .. })));
        std::fs::write(folder.path().join("pool/amf3.jwt"), token(3)).expect("a token is written");
        assert_eq!(of("one").expect("free").instance_id, Uuid::from_u128(3));
    }

    #[test]
    fn a_token_is_taken_by_one_of_many_at_once() {
        let folder = pool(8);
        let mut ids: Vec<Uuid> = std::thread::scope(|scope| {
            let claims: Vec<_> = (0..8)
                .map(|n| {
                    let (pool, state) = (
                        folder.path().join("pool"),
                        folder.path().join(n.to_string()),
                    );
                    scope.spawn(move || claim(&pool, &state).expect("one for each").instance_id)
                })
                .collect();
            claims
                .into_iter()
                .map(|claim| claim.join().expect("no panic"))
                .collect()
        });
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 8);
    }

    #[test]
    fn what_is_no_token_or_no_pool_is_told() {
        let folder = pool(0);
        std::fs::write(folder.path().join("pool/x.jwt"), "x").expect("written");
        let of = |pool: &str| claim(&folder.path().join(pool), &folder.path().join("state"));
        assert!(matches!(
            of("none"),
            Err(PoolError::Disk { doing: "read", .. })
        ));
        assert!(matches!(of("pool"), Err(PoolError::NotAToken { .. })));
    }
}
