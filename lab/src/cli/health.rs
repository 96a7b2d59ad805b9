//! `mtc5g health`

use std::process::ExitCode;
use std::time::Duration;

use hyper::Method;
use sbi::address::Address;
use sbi::client::{ClientError, Connection, Request};

use super::exit::{DONE, fail};
use super::output::print;

/// The admin port of a deployed network function.
const ADMIN: &str = "127.0.0.1:9090";
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct HealthArguments {
    /// Admin port of the process: an address or a name, and the port
    #[arg(default_value = ADMIN)]
    addr: Address,
}

impl HealthArguments {
    pub(super) async fn run(self) -> ExitCode {
        match self.ask().await {
            Ok(answer) => {
                print(&answer);
                ExitCode::from(DONE)
            }
            Err(error) => fail(&error),
        }
    }

    async fn ask(&self) -> Result<String, ClientError> {
        let connection = Connection::connect_cleartext(self.addr.resolve().await?, TIMEOUT).await?;
        let request = Request::new(Method::GET, self.addr.to_string(), "/readyz");
        let answer = connection.send(request, TIMEOUT).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status.is_success() {
            return Ok(text);
        }
        Err(ClientError::Status {
            status: answer.status,
            details: Box::new(sbi::problem::ProblemDetails {
                detail: Some(text.trim_end().to_owned()),
                ..Default::default()
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sbi::admin::Admin;
    use sbi::limits::Limits;
    use sbi::listener::{bind, serve_plain};
    use sbi::process::Stop;
    use tokio::sync::watch;

    use super::*;

    #[tokio::test]
    async fn a_process_may_be_named() {
        let (listener, addr) = bind(([127, 0, 0, 1], 0).into(), "admin", "admin").unwrap();
        let (_missing, missing) = watch::channel(String::new());
        let ledger = Arc::default();
        let commands = std::sync::OnceLock::new();
        let admin = Admin {
            missing,
            ledger,
            commands,
        };
        let (_stopper, stop) = Stop::new();
        let serving = serve_plain(listener, Arc::new(admin), Limits::default(), stop);
        tokio::spawn(serving);
        let name = format!("localhost:{}", addr.port());
        let arguments = HealthArguments {
            addr: name.parse().unwrap(),
        };
        assert_eq!(arguments.ask().await.unwrap(), "ready\n");
    }
}
