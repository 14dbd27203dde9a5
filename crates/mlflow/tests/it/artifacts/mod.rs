mod addresses;
mod files;
mod large;
mod world;

use axum::http::StatusCode;
use serde_json::{Value, json};

use self::world::Answer;

/// Checks an error in MLflow's form.
#[track_caller]
fn check_refused(answer: &Answer, status: u16, code: &str, message: &str) {
    let found: Value = answer.json();
    assert_eq!((answer.status.as_u16(), &found["error_code"], &found["message"]), (status, &json!(code), &json!(message)));
}

#[track_caller]
fn check_json(answer: &Answer, want: Value) {
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, want));
}
