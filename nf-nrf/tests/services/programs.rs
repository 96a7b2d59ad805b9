//! Programs of others, run to their end.

use tokio::process::Command;

/// Runs a program; what it says, as error if it fails.
pub(crate) async fn said(command: &mut Command) -> Result<String, String> {
    let ended = command.kill_on_drop(true).output().await;
    let ended = ended.expect("the program is installed");
    let said = [&*ended.stdout, &*ended.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if ended.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}
