//! Sending an order to revoke to an NRF.

use std::time::Duration;

use hyper::Method;
use hyper::http::HeaderValue;
use nf_nrf::revocation::{Answer, PATH};
use sbi::client::{ClientError, Connection, Request};

/// As long as the NRF waits for its disk and for the list, and a little longer.
const TIMEOUT: Duration = Duration::from_secs(15);
const JWT: HeaderValue = HeaderValue::from_static("application/jwt");

/// Has the NRF at the other end of a connection to its admin port carry out an order: when this returns, it is done.
///
/// # Errors
/// It refuses, or does not answer.
pub(crate) async fn carry_out(
    connection: &Connection,
    authority: &str,
    order: String,
) -> Result<Answer, ClientError> {
    let request = Request::new(Method::POST, authority, PATH).body(JWT, order);
    let response = connection.call(request, TIMEOUT).await?;
    response.read_json().map_err(ClientError::Body)
}
