//! What is different between two JSON documents.

use lw_core::canonical_json;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A place where two documents differ. A side without the place is missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Like `train.params.l2`.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The places where two documents differ, by path. Objects are compared field by field, lists as a whole. Numbers that are equal
/// are the same, however they are written.
///
/// ```
/// use serde_json::json;
///
/// let found = lw_governance::differences(&json!({"l2": 1.0, "seed": 7}), &json!({"l2": 0.5, "seed": 7}));
/// assert_eq!(found[0].path, "l2");
/// ```
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    if let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after) {
        let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            compare(&path, before.get(name), after.get(name), found);
        }
        return;
    }
    if before.map(canonical_json) != after.map(canonical_json) {
        found.push(Difference { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(before: Value, after: Value, want: &[&str]) {
        let paths: Vec<String> = differences(&before, &after).into_iter().map(|difference| difference.path).collect();
        assert_eq!(paths, want);
    }

    #[test]
    fn differences_are_named_by_path() {
        check(json!({"a": 1}), json!({"a": 1.0}), &[]);
        check(json!({"a": {"b": 1, "c": [1, 2]}}), json!({"a": {"b": 2, "c": [2, 1]}}), &["a.b", "a.c"]);
        check(json!({"gone": 1}), json!({"new": 1}), &["gone", "new"]);
        check(json!({"a": {"b": 1}}), json!({"a": 1}), &["a"]);
        check(json!(1), json!(2), &[""]);
    }
}
