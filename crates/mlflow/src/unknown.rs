//! Answers to what is not served. MLflow's client takes a page, and nothing else, for a server that lacks the route, and falls back to an
//! older one; JSON without MLflow's code it takes for a failure.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};

/// Whether a path is of MLflow's protocol, served or not.
pub fn owns(path: &str) -> bool {
    ["/api/2.0", "/api/3.0", "/ajax-api/"].iter().any(|start| path.starts_with(start))
}

/// There is no such route.
pub fn not_found() -> Response {
    page(StatusCode::NOT_FOUND, "Not Found", "There is no such route on this server.")
}

/// There is such a route, for another method.
pub fn method_not_allowed() -> Response {
    page(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "The route does not take this method.")
}

fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let code = status.as_u16();
    let page = format!("<!doctype html>\n<html lang=en>\n<title>{code} {title}</title>\n<h1>{title}</h1>\n<p>{text}</p>\n");
    (status, Html(page)).into_response()
}
