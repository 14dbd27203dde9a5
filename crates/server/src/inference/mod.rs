//! The Open Inference Protocol, version 2, over REST: what KServe, Triton and their clients speak.
//!
//! A model of the protocol is an endpoint; a version of it is the model version that stands behind it. Inputs are the request's
//! fields, one tensor `[n]` or `[n, 1]` each; outputs are `score`, `predicted` (classifiers), `id` and `version`.

mod binary;
mod encoding;
mod infer;
mod metadata;
mod tensor;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use lw_core::Error;
use serde_json::json;

use crate::problem::{log, public_message, status};
use crate::route::Route;

pub fn routes() -> Vec<Route> {
    metadata::routes().into_iter().chain(infer::routes()).collect()
}

/// An error in the protocol's form: `{"error": "…"}`, with the hint and our code beside it.
pub struct InferenceError(Error);

impl From<Error> for InferenceError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

type Answer<T> = Result<T, InferenceError>;

impl IntoResponse for InferenceError {
    fn into_response(self) -> Response {
        let error = self.0;
        log(&error);
        let message = match error.hint_text() {
            Some(hint) => format!("{} (hint: {hint})", public_message(&error)),
            None => public_message(&error).to_owned(),
        };
        let body = json!({"error": message, "code": error.code()}).to_string();
        let status: StatusCode = status(&error);
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}
