//! Which steps are the same work.

use std::collections::BTreeMap;

use lw_core::Digest;
use serde_json::json;

use crate::{Manifest, SCHEDULED_FOR, StepDefinition};

/// The digest of all that a step's outputs depend on: the version of its code, its parameters, those of the run, and its inputs.
/// Steps with equal keys make equal outputs, as long as they read nothing that is not named here. The time that a schedule started
/// the run for does not count, or a scheduled run would never find what an earlier one made.
pub fn cache_key(
    step: &StepDefinition,
    code_version: &str,
    run_params: &serde_json::Value,
    upstream: &BTreeMap<String, Manifest>,
) -> Digest {
    let mut run_params = run_params.clone();
    if let Some(params) = run_params.as_object_mut() {
        params.remove(SCHEDULED_FOR);
    }
    // What a manifest names the content of is what counts: its other outputs say how it came about.
    let content = |manifest: &Manifest| match manifest.digests.is_empty() {
        true => manifest.digest(),
        false => Digest::of_json(&manifest.digests),
    };
    let inputs: BTreeMap<&str, Digest> = upstream.iter().map(|(key, manifest)| (key.as_str(), content(manifest))).collect();
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

        assert_eq!(
            cache_key(&step, "1", &json!({SCHEDULED_FOR: 1}), &upstream(1)),
            cache_key(&step, "1", &json!({}), &upstream(1))
        );

        let other_params = StepDefinition { params: json!({"rate": 0.2}), ..step.clone() };
        let other_kind = StepDefinition { kind: "sql".into(), ..step.clone() };
        let named = |n_rows: u64, table: &str| {
            let digests = BTreeMap::from([("table".to_owned(), Digest::of(table.as_bytes()))]);
            BTreeMap::from([("ingest".to_owned(), Manifest { outputs: json!({"n_rows": n_rows}), digests })])
        };
        let of_named = |upstream| cache_key(&step, "1", &Value::Null, &upstream);
        assert_eq!(of_named(named(10, "v3")), of_named(named(0, "v3")), "nothing new landed");
        assert_ne!(of_named(named(10, "v3")), of_named(named(10, "v4")));

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
