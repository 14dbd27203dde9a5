//! Which steps are the same work.

use std::collections::BTreeMap;

use lw_core::Digest;
use serde_json::json;

use crate::{Manifest, StepDefinition};

/// The digest of all that a step's outputs depend on: the version of its code, its parameters, those of the run, and its inputs.
/// Steps with equal keys make equal outputs, as long as they read nothing that is not named here.
pub fn cache_key(
    step: &StepDefinition,
    code_version: &str,
    run_params: &serde_json::Value,
    upstream: &BTreeMap<String, Manifest>,
) -> Digest {
    let inputs: BTreeMap<&str, Digest> = upstream.iter().map(|(key, manifest)| (key.as_str(), manifest.digest())).collect();
    Digest::of_json(&json!({
        "kind": step.kind,
        "version": code_version,
        "params": step.params,
        "run_params": run_params,
        "inputs": inputs,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_key_follows_everything_that_matters_and_nothing_else() {
        let step = StepDefinition::new("train", "python", json!({"rate": 0.1}));
        let upstream = |version: u64| {
            let manifest = Manifest { outputs: json!({"version": version}), digests: BTreeMap::new() };
            BTreeMap::from([("ingest".to_owned(), manifest)])
        };
        let key = cache_key(&step, "1", &Value::Null, &upstream(1));

        let renamed = StepDefinition { key: "fit".into(), timeout: lw_core::Span::from_secs(1), ..step.clone() };
        assert_eq!(cache_key(&renamed, "1", &Value::Null, &upstream(1)), key);

        let other_params = StepDefinition { params: json!({"rate": 0.2}), ..step.clone() };
        let other_kind = StepDefinition { kind: "sql".into(), ..step.clone() };
        let others = [
            cache_key(&other_params, "1", &Value::Null, &upstream(1)),
            cache_key(&other_kind, "1", &Value::Null, &upstream(1)),
            cache_key(&step, "2", &Value::Null, &upstream(1)),
            cache_key(&step, "1", &json!({"day": 2}), &upstream(1)),
            cache_key(&step, "1", &Value::Null, &upstream(2)),
        ];
        for other in others {
            assert_ne!(other, key);
        }
    }
}
