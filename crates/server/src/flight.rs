//! Arrow Flight SQL behind the same guard as the HTTP surface.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{HeaderMap, Uri};
use lw_core::{Ctx, Result};
use lw_flight::Service;
use tokio::net::TcpListener;

use crate::app::App;
use crate::exposure::check_exposure;
use crate::failures::SERVE_FAILED;
use crate::guard::{Gate, REQUEST_ID, Speech, admit, request_id};
use crate::route::Action;

/// Serves Arrow Flight SQL until `shutdown` is ready, and waits for the calls under way. Callers are those of the HTTP API, with the
/// same tokens, and need what reading a table needs.
pub async fn serve_flight(listener: TcpListener, app: &App, shutdown: impl Future<Output = ()>) -> Result<()> {
    let address =
        listener.local_addr().map_err(|error| SERVE_FAILED.error("the listening socket has no address").cause(error))?;
    check_exposure(address, app.access().authentication)?;
    let guarded = Guarded { app: app.clone(), is_loopback: address.ip().is_loopback() };
    let service = Service::new(app.reader()?.clone(), Arc::new(guarded));
    lw_flight::serve(listener, service, shutdown).await
}

struct Guarded {
    app: App,
    is_loopback: bool,
}

#[async_trait]
impl lw_flight::Gate for Guarded {
    async fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<Ctx> {
        let Self { app, is_loopback } = self;
        let (app, is_loopback) = (app.clone(), *is_loopback);
        let request_id = request_id(headers.get(REQUEST_ID)).unwrap_or_else(|| app.platform().ids.next_hex().into());
        let gate = Gate { app, action: Action::Read, resource: "table", speech: Speech::Native, timeout: None, is_loopback };
        let (ctx, _) = admit(&gate, headers, uri, &request_id).await?;
        Ok(ctx)
    }
}
