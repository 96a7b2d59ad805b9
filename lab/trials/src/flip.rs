//! stub
use crate::{Plan, Violation};
pub(crate) async fn run(_: Plan) -> Result<String, Violation> {
    Ok(String::new())
}
