//! The one table of routes. A route cannot be served without standing in it, with what it does to what.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodFilter;
use axum::routing::{MethodRouter, on};

use crate::app::App;
use crate::failures::{METHOD_NOT_ALLOWED, UNKNOWN_ROUTE};
use crate::problem::Problem;
use crate::{inference, native, status};

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Anyone may ask, without a token: whether the process lives.
    Probe,
    Read,
    Predict,
    Write,
    /// Decides what answers in production.
    Deploy,
    Approve,
}

/// One route: method, path, and what it does to what.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub action: Action,
    /// The kind of thing, such as `endpoint` or `ledger`.
    pub resource: &'static str,
    /// One line for the API's description.
    pub summary: &'static str,
    pub(crate) handler: MethodRouter<App>,
}

impl Route {
    pub fn get<T: 'static>(path: &'static str, action: Action, resource: &'static str, handler: impl Handler<T, App>) -> Self {
        Self { method: Method::GET, path, action, resource, summary: "", handler: on(MethodFilter::GET, handler) }
    }

    pub fn post<T: 'static>(path: &'static str, action: Action, resource: &'static str, handler: impl Handler<T, App>) -> Self {
        Self { method: Method::POST, path, action, resource, summary: "", handler: on(MethodFilter::POST, handler) }
    }

    #[must_use]
    pub fn summary(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }
}

/// Every route of the server.
pub fn routes() -> Vec<Route> {
    [native::routes(), inference::routes(), status::routes()].into_iter().flatten().collect()
}

/// The paths that need no token. They say nothing but that the process lives.
pub fn is_public(method: &Method, path: &str) -> bool {
    method == Method::GET && matches!(path, "/health" | "/v2/health/live" | "/v2/health/ready")
}

/// The whole server as one service: the listener and the command line both call it.
pub fn router(app: App) -> Router {
    let routes = routes().into_iter().fold(Router::new(), |router, route| {
        debug_assert_eq!(route.action == Action::Probe, is_public(&route.method, route.path), "{}", route.path);
        router.route(route.path, route.handler)
    });
    routes
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(app.limits().body_bytes))
        .layer(from_fn_with_state(app.clone(), crate::guard::guard))
        .with_state(app)
}

async fn unknown_route(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(80).collect();
    let known: Vec<&'static str> = routes().iter().map(|route| route.path).collect();
    let error = UNKNOWN_ROUTE.error(format!("there is nothing at `{path}`"));
    Problem(match lw_core::nearest(&path, known.into_iter()) {
        Some(near) => error.hint(format!("did you mean `{near}`? /api/v1/openapi.json lists everything")),
        None => error.hint("/api/v1/openapi.json lists what there is"),
    })
}

async fn method_not_allowed(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(80).collect();
    Problem(
        METHOD_NOT_ALLOWED
            .error(format!("`{path}` does not take {}", request.method()))
            .hint("/api/v1/openapi.json lists the methods of each path"),
    )
}
