//! Parts of answers that several routes share, in the form that MLflow's clients read.

use serde::{Serialize, Serializer};

/// An answer that says nothing but that it was done.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Done {}

/// A parameter, a tag, or whatever else has a key and a value.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Pair<'a> {
    pub key: &'a str,
    pub value: &'a str,
}

pub(crate) fn pairs<'a>(texts: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<Pair<'a>> {
    texts.into_iter().map(|(key, value)| Pair { key, value }).collect()
}

/// A number that is written as text where JSON has no number for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Double(pub f64);

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_nan() { serializer.serialize_str("NaN") } else { serializer.serialize_f64(self.0) }
    }
}

/// Serialises while it is borrowed, so that an answer is written once and not built from copies.
pub(crate) fn json<T: Serialize + ?Sized>(document: &T) -> axum::response::Response {
    use axum::http::{HeaderValue, header};
    use axum::response::IntoResponse as _;
    match serde_json::to_vec(document) {
        Ok(body) => ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
        Err(error) => crate::Refusal::from(lw_core::Error::bug("an answer is no JSON").cause(error)).into_response(),
    }
}
