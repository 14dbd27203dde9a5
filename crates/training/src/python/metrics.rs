//! `metrics.json`: what a script measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lw_core::{Error, Result};
use serde_json::Value;

use super::file_error;
use crate::failures::PYTHON_OUTPUT;

/// One value of a metric that a script measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScriptMetric {
    /// The round, epoch or iteration; 0 for a metric with one value.
    pub step: i64,
    pub value: f64,
}

const HINT: &str = r#"write numbers, or lists of numbers for a curve, like {"auc": 0.73, "loss": [0.6, 0.5, 0.45]}"#;
/// What the platform itself measures of every candidate.
const OWN_PREFIX: &str = "holdout_";

/// Reads a flat object whose values are finite numbers, lists of them (the step is the position) or lists of `[step, value]`.
///
/// # Errors
/// `python-output` with the name of the metric that is something else.
pub(super) fn read_metrics(path: &Path) -> Result<BTreeMap<String, Vec<ScriptMetric>>> {
    let text = fs::read_to_string(path).map_err(|error| file_error("metrics.json cannot be read", error))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| unparsed(&text, error))?;
    let Value::Object(fields) = value else {
        return Err(bad(format!("metrics.json of the script is {}, not an object", kind(&value))));
    };
    fields.into_iter().map(|(name, value)| Ok((name.clone(), points(&name, &value)?))).collect()
}

fn points(name: &str, value: &Value) -> Result<Vec<ScriptMetric>> {
    if name.starts_with(OWN_PREFIX) {
        let message = format!("metric `{name}` of metrics.json has the name of what the platform measures on the hold-out");
        return Err(PYTHON_OUTPUT.error(message).hint(format!("call it something else: `{OWN_PREFIX}…` is taken")));
    }
    let refuse = |value: &Value| bad(format!("metric `{name}` of metrics.json is {}, not a finite number", kind(value)));
    let Value::Array(items) = value else {
        return Ok(vec![ScriptMetric { step: 0, value: value.as_f64().ok_or_else(|| refuse(value))? }]);
    };
    let point = |(position, item): (usize, &Value)| match item {
        Value::Array(pair) => match pair.as_slice() {
            [step, value] => Ok(ScriptMetric {
                step: step.as_i64().ok_or_else(|| refuse(item))?,
                value: value.as_f64().ok_or_else(|| refuse(value))?,
            }),
            _ => Err(refuse(item)),
        },
        item => Ok(ScriptMetric {
            step: i64::try_from(position).unwrap_or(i64::MAX),
            value: item.as_f64().ok_or_else(|| refuse(item))?,
        }),
    };
    items.iter().enumerate().map(point).collect()
}

/// Python writes NaN and Infinity, which JSON does not have.
fn unparsed(text: &str, error: serde_json::Error) -> Error {
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    if line.contains("NaN") || line.contains("Infinity") {
        let message = format!("line {} of metrics.json holds NaN or Infinity, which are no numbers of JSON", error.line());
        return PYTHON_OUTPUT.error(message).hint("leave a metric out that has no value").cause(error);
    }
    bad("metrics.json of the script is not JSON".to_owned()).cause(error)
}

fn bad(message: String) -> Error {
    PYTHON_OUTPUT.error(message).hint(HINT)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Result<&[(&str, i64, f64)], &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.json");
        fs::write(&path, text).unwrap();
        let read = read_metrics(&path).map_err(|error| error.message().to_owned());
        let flat = read.map(|metrics| {
            let points = |(name, points): (String, Vec<ScriptMetric>)| {
                points.into_iter().map(move |point| (name.clone(), point.step, point.value)).collect::<Vec<_>>()
            };
            metrics.into_iter().flat_map(points).collect::<Vec<_>>()
        });
        let want = want.map(|want| want.iter().map(|(name, step, value)| ((*name).to_owned(), *step, *value)).collect());
        assert_eq!(flat, want.map_err(str::to_owned));
    }

    #[test]
    fn numbers_and_curves_are_metrics() {
        check(r#"{"auc": 0.75, "n": 3}"#, Ok(&[("auc", 0, 0.75), ("n", 0, 3.0)]));
        check(r#"{"loss": [0.5, 0.25]}"#, Ok(&[("loss", 0, 0.5), ("loss", 1, 0.25)]));
        check(r#"{"loss": [[10, 0.5], [20, 0.25]]}"#, Ok(&[("loss", 10, 0.5), ("loss", 20, 0.25)]));
        check("{}", Ok(&[]));
    }

    #[test]
    fn anything_else_is_named() {
        check("[0.5]", Err("metrics.json of the script is a list, not an object"));
        check(r#"{"auc": "high"}"#, Err("metric `auc` of metrics.json is a text, not a finite number"));
        check(r#"{"auc": null}"#, Err("metric `auc` of metrics.json is null, not a finite number"));
        check(r#"{"test": {"auc": 0.5}}"#, Err("metric `test` of metrics.json is an object, not a finite number"));
        check(r#"{"loss": [0.5, [1, 2, 3]]}"#, Err("metric `loss` of metrics.json is a list, not a finite number"));
        check("{\n\"auc\": NaN}", Err("line 2 of metrics.json holds NaN or Infinity, which are no numbers of JSON"));
        check("{'auc': 1}", Err("metrics.json of the script is not JSON"));
        check(
            r#"{"holdout_auc": 1}"#,
            Err("metric `holdout_auc` of metrics.json has the name of what the platform measures on the hold-out"),
        );
    }
}
