//! A handler whose requests need access tokens.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method, StatusCode};

use super::AccessTokens;
use crate::body::Body;
use crate::operation::ServiceOperation;
use crate::problem::Problem;
use crate::response::Response;
use crate::server::{Afterwards, Handler, Request};

/// A handler that is asked nothing without a token that permits it, where the service of the request needs one.
pub struct Guarded<H> {
    handler: Arc<H>,
    tokens: Option<Arc<AccessTokens>>,
}

impl<H> Guarded<H> {
    /// Guards `handler` by what `tokens` wants; without, by nothing.
    pub const fn new(handler: Arc<H>, tokens: Option<Arc<AccessTokens>>) -> Self {
        Self { handler, tokens }
    }
}

impl<H: Handler> Guarded<H> {
    fn check(&self, request: &Request) -> Result<(), Problem> {
        if let Some(tokens) = &self.tokens
            && let Some(service) = tokens.guarded(request)?
        {
            tokens.check(request, &service)?;
        }
        Ok(())
    }
}

impl<H: Handler> Handler for Guarded<H> {
    const RELAYS: bool = H::RELAYS;
    const OPEN_ENDED: bool = H::OPEN_ENDED;
    const UPGRADES: bool = H::UPGRADES;

    async fn handle(&self, request: Request) -> Result<Response, Problem> {
        self.check(&request)?;
        self.handler.handle(request).await
    }

    fn relays(&self, method: &Method, path: &str, headers: &HeaderMap) -> bool {
        self.handler.relays(method, path, headers)
    }

    async fn relay(&self, request: Request, body: Body) -> Result<hyper::Response<Body>, Problem> {
        self.check(&request)?;
        self.handler.relay(request, body).await
    }

    async fn upgrade(
        &self,
        request: Request,
        upgrade: OnUpgrade,
    ) -> Result<(hyper::Response<Body>, Option<Afterwards>), Problem> {
        self.check(&request)?;
        self.handler.upgrade(request, upgrade).await
    }

    fn answered(&self, operation: ServiceOperation, status: Option<StatusCode>) {
        self.handler.answered(operation, status);
    }

    fn max_body(&self, method: &Method, path: &str) -> usize {
        self.handler.max_body(method, path)
    }
}
