//! Request bodies and queries, read strictly: unknown fields, double keys and numbers that are none are errors.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use lw_core::{Error, Result};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::failures::{BODY_TOO_LARGE, INVALID_BODY, INVALID_QUERY};
use crate::problem::Problem;

/// The raw body, within the limit.
pub struct Body(pub Bytes);

impl FromRequest<App> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let limit = app.limits().body_bytes;
        Bytes::from_request(request, app).await.map(Self).map_err(|rejection| Problem(refused(rejection, limit)))
    }
}

/// A JSON body of a known form. The content type does not matter: several clients send none.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let Body(bytes) = Body::from_request(request, app).await?;
        parse(&bytes).map(Self).map_err(Problem)
    }
}

/// The query string of a known form.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        let refused = |rejection: axum::extract::rejection::QueryRejection| {
            INVALID_QUERY.error(rejection.body_text()).hint("/api/v1/openapi.json lists the parameters of each path")
        };
        query.map(|query| Self(query.0)).map_err(|rejection| Problem(refused(rejection)))
    }
}

/// Reads JSON into a type that refuses unknown and double fields. An empty body counts as an empty object.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| {
        INVALID_BODY
            .error(format!("the body is not valid: {error}"))
            .hint("/api/v1/openapi.json describes the body of each request")
    })
}

fn refused(rejection: BytesRejection, limit: usize) -> Error {
    if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
        return BODY_TOO_LARGE.error(format!("the body is larger than {limit} bytes")).hint("send less at once");
    }
    INVALID_BODY.error("the body broke off").hint("send it again")
}
