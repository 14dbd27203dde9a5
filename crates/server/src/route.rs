//! The one table of routes. A route cannot be served without standing in it, with what it does to what.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodFilter;
use axum::routing::{MethodRouter, on};
pub use lw_governance::Action;
use lw_mlflow::Face;

use crate::app::App;
use crate::failures::{METHOD_NOT_ALLOWED, UNKNOWN_ROUTE};
use crate::guard::{Gate, Speech, guard};
use crate::problem::Problem;
use crate::{inference, native, status};

/// One route: method, path, and what it does to what. There is no route without an action, and a handler is only reachable through
/// the gate that asks for it.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub action: Action,
    /// The kind of thing, such as `endpoint` or `ledger`.
    pub resource: &'static str,
    /// One line for the API's description.
    pub summary: &'static str,
    pub(crate) handler: Protocol,
    /// Whether bodies pass piece by piece, for as long as it takes.
    pub is_streaming: bool,
}

/// Whose words a route speaks, and what answers it.
pub(crate) enum Protocol {
    Native(MethodRouter<App>),
    Mlflow(MethodRouter<Face>),
}

impl Protocol {
    /// The form in which the guard refuses.
    fn speech(&self) -> Speech {
        match self {
            Self::Native(_) => Speech::Native,
            Self::Mlflow(_) => Speech::Mlflow,
        }
    }

    fn answered_by(self, app: &App) -> MethodRouter<App> {
        match self {
            Self::Native(handler) => handler,
            Self::Mlflow(handler) => handler.with_state(app.mlflow().clone()),
        }
    }
}

impl From<lw_mlflow::Route> for Route {
    fn from(route: lw_mlflow::Route) -> Self {
        let lw_mlflow::Route { method, path, action, resource, handler, is_streaming } = route;
        Self { method, path, action, resource, summary: "", handler: Protocol::Mlflow(handler), is_streaming }
    }
}

impl Route {
    pub fn get<T: 'static>(path: &'static str, action: Action, resource: &'static str, handler: impl Handler<T, App>) -> Self {
        Self {
            method: Method::GET,
            path,
            action,
            resource,
            summary: "",
            handler: Protocol::Native(on(MethodFilter::GET, handler)),
            is_streaming: false,
        }
    }

    pub fn post<T: 'static>(path: &'static str, action: Action, resource: &'static str, handler: impl Handler<T, App>) -> Self {
        Self {
            method: Method::POST,
            path,
            action,
            resource,
            summary: "",
            handler: Protocol::Native(on(MethodFilter::POST, handler)),
            is_streaming: false,
        }
    }

    /// Whether the route belongs to our own API, and so to its description.
    pub fn is_native(&self) -> bool {
        matches!(self.handler, Protocol::Native(_))
    }

    #[must_use]
    pub fn summary(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }
}

/// Every route of the server.
pub fn routes() -> Vec<Route> {
    let mlflow = lw_mlflow::routes().into_iter().map(Route::from);
    [native::routes(), inference::routes(), status::routes()].into_iter().flatten().chain(mlflow).collect()
}

/// The whole server as one service: the listener and the command line both call it.
pub fn router(app: App) -> Router {
    let gate = |action, resource, speech, is_streaming: bool| {
        // What streams takes as long as it takes; it minds itself that something keeps coming.
        let timeout = (!is_streaming).then(|| app.limits().timeout);
        let is_loopback = app.access().is_loopback;
        from_fn_with_state(Gate { app: app.clone(), action, resource, speech, timeout, is_loopback }, guard)
    };
    let routes = routes().into_iter().fold(Router::new(), |router, route| {
        let gate = gate(route.action, route.resource, route.handler.speech(), route.is_streaming);
        router.route(route.path, route.handler.answered_by(&app).layer(gate))
    });
    routes
        .fallback(unknown_route.layer(gate(Action::Connect, "nothing", Speech::Native, false)))
        .method_not_allowed_fallback(method_not_allowed.layer(gate(Action::Connect, "nothing", Speech::Native, false)))
        .layer(DefaultBodyLimit::max(app.limits().body_bytes))
        .with_state(app)
}

async fn unknown_route(request: Request) -> Response {
    if lw_mlflow::owns(request.uri().path()) {
        return lw_mlflow::not_found();
    }
    let path: String = request.uri().path().chars().take(80).collect();
    let known: Vec<&'static str> = routes().iter().map(|route| route.path).collect();
    let error = UNKNOWN_ROUTE.error(format!("there is nothing at `{path}`"));
    let problem = Problem(match lw_core::nearest(&path, known.into_iter()) {
        Some(near) => error.hint(format!("did you mean `{near}`? /api/v1/openapi.json lists everything")),
        None => error.hint("/api/v1/openapi.json lists what there is"),
    });
    problem.into_response()
}

async fn method_not_allowed(request: Request) -> Response {
    if lw_mlflow::owns(request.uri().path()) {
        return lw_mlflow::method_not_allowed();
    }
    let path: String = request.uri().path().chars().take(80).collect();
    let problem = Problem(
        METHOD_NOT_ALLOWED
            .error(format!("`{path}` does not take {}", request.method()))
            .hint("/api/v1/openapi.json lists the methods of each path"),
    );
    problem.into_response()
}
