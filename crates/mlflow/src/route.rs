//! The table of MLflow's routes.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use lw_governance::Action;

use crate::face::Face;
use crate::{
    artifacts, evaluation, experiments, graphql, logged_models, metrics, model_versions, otlp, registered_models, runs,
    server_info, traces, webhooks,
};

/// One route: method, path, and what it does to what. The server's guard asks for the action before the handler runs.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub action: Action,
    /// The kind of thing, such as `run` or `model`.
    pub resource: &'static str,
    pub handler: MethodRouter<Face>,
    /// Whether bodies pass piece by piece, for as long as it takes: such a route has its own limits, and the server sets none.
    pub is_streaming: bool,
}

impl Route {
    pub(crate) fn new<T: 'static>(
        method: Method,
        path: &'static str,
        action: Action,
        resource: &'static str,
        handler: impl Handler<T, Face>,
    ) -> Self {
        // The table names the methods of MLflow, and all of them have a filter.
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        Self { method, path, action, resource, handler: on(filter, handler), is_streaming: false }
    }

    pub(crate) fn streaming(self) -> Self {
        Self { is_streaming: true, ..self }
    }
}

/// Names a route twice: below `/api/`, where clients call it, and below `/ajax-api/`, where MLflow's console does.
macro_rules! both {
    ($method:ident $path:literal, $action:ident, $resource:literal, $handler:expr) => {
        [concat!("/api/", $path), concat!("/ajax-api/", $path)].map(|path| {
            $crate::Route::new(axum::http::Method::$method, path, lw_governance::Action::$action, $resource, $handler)
        })
    };
}
pub(crate) use both;

/// Every route of the protocol.
pub fn routes() -> Vec<Route> {
    [
        server_info::routes(),
        experiments::routes(),
        runs::routes(),
        metrics::routes(),
        logged_models::routes(),
        registered_models::routes(),
        model_versions::routes(),
        webhooks::routes(),
        artifacts::routes(),
        graphql::routes(),
        traces::routes(),
        otlp::routes(),
        evaluation::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
