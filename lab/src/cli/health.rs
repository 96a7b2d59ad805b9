//! `mtc5g health`

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use hyper::Method;
use sbi::client::{ClientError, Connection, Request};

use super::output::print;
use super::{DONE, fail};

/// The admin port of a deployed network function.
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct HealthArguments {
    /// Admin port of the process
    #[arg(default_value_t = ADMIN)]
    addr: SocketAddr,
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
        let connection = Connection::connect_cleartext(self.addr, TIMEOUT).await?;
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
