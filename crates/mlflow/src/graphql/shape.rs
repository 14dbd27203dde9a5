//! The types that MLflow's console selects from, and how a document of the REST routes becomes an answer of GraphQL: fields in camel case,
//! 64-bit integers as texts, what is unset as null or an empty list, and nothing that was not asked for.

use serde_json::{Map, Value};

use super::query::Selection;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Texts, truth values and 32-bit integers, as they are.
    Plain,
    /// A 64-bit integer, written as a text.
    Long,
    /// A number; what is none is null.
    Double,
    Plains,
    One(&'static Type),
    Many(&'static Type),
}

#[derive(Debug)]
pub(crate) struct Type {
    pub name: &'static str,
    /// The fields by their names in the REST documents.
    pub fields: &'static [(&'static str, Kind)],
}

use Kind::{Double, Long, Many, One, Plain, Plains};

macro_rules! types {
    ($($constant:ident $name:literal { $($field:ident: $kind:expr),* $(,)? })*) => {
        $(pub(crate) static $constant: Type = Type { name: $name, fields: &[$((stringify!($field), $kind)),*] };)*
    };
}

types! {
    API_ERROR "ApiError" { code: Plain, message: Plain, help_url: Plain }
    EXPERIMENT_TAG "MlflowExperimentTag" { key: Plain, value: Plain }
    EXPERIMENT "MlflowExperiment" {
        experiment_id: Plain, name: Plain, artifact_location: Plain, lifecycle_stage: Plain, last_update_time: Long,
        creation_time: Long, tags: Many(&EXPERIMENT_TAG), effective_trace_archival_retention: Plain, workspace: Plain,
    }
    RUN_INFO "MlflowRunInfo" {
        run_id: Plain, run_uuid: Plain, run_name: Plain, experiment_id: Plain, user_id: Plain, status: Plain, start_time: Long,
        end_time: Long, artifact_uri: Plain, lifecycle_stage: Plain,
    }
    METRIC "MlflowMetricExtension" {
        key: Plain, value: Double, timestamp: Long, step: Long, dataset_name: Plain, dataset_digest: Plain, model_id: Plain, run_id: Plain,
    }
    PARAM "MlflowParam" { key: Plain, value: Plain }
    RUN_TAG "MlflowRunTag" { key: Plain, value: Plain }
    RUN_DATA "MlflowRunData" { metrics: Many(&METRIC), params: Many(&PARAM), tags: Many(&RUN_TAG) }
    DATASET "MlflowDataset" { name: Plain, digest: Plain, source_type: Plain, source: Plain, schema: Plain, profile: Plain }
    INPUT_TAG "MlflowInputTag" { key: Plain, value: Plain }
    DATASET_INPUT "MlflowDatasetInput" { tags: Many(&INPUT_TAG), dataset: One(&DATASET) }
    MODEL_INPUT "MlflowModelInput" { model_id: Plain }
    RUN_INPUTS "MlflowRunInputs" { dataset_inputs: Many(&DATASET_INPUT), model_inputs: Many(&MODEL_INPUT) }
    MODEL_OUTPUT "MlflowModelOutput" { model_id: Plain, step: Long }
    RUN_OUTPUTS "MlflowRunOutputs" { model_outputs: Many(&MODEL_OUTPUT) }
    RUN "MlflowRunExtension" {
        info: One(&RUN_INFO), data: One(&RUN_DATA), inputs: One(&RUN_INPUTS), outputs: One(&RUN_OUTPUTS), experiment: One(&EXPERIMENT),
        model_versions: Many(&MODEL_VERSION),
    }
    VERSION_TAG "MlflowModelVersionTag" { key: Plain, value: Plain }
    MODEL_VERSION "MlflowModelVersion" {
        name: Plain, version: Plain, creation_timestamp: Long, last_updated_timestamp: Long, user_id: Plain, current_stage: Plain,
        description: Plain, source: Plain, run_id: Plain, status: Plain, status_message: Plain, tags: Many(&VERSION_TAG), run_link: Plain,
        aliases: Plains, model_id: Plain,
    }
    DATASET_SUMMARY "MlflowDatasetSummary" { experiment_id: Plain, name: Plain, digest: Plain, context: Plain }
    METRIC_OF_RUN "MlflowMetricWithRunId" { key: Plain, value: Double, timestamp: Long, step: Long, run_id: Plain }
    FILE_INFO "MlflowFileInfo" { path: Plain, is_dir: Plain, file_size: Long }
    GET_EXPERIMENT "MlflowGetExperimentResponse" { experiment: One(&EXPERIMENT), api_error: One(&API_ERROR) }
    GET_RUN "MlflowGetRunResponse" { run: One(&RUN), api_error: One(&API_ERROR) }
    SEARCH_RUNS "MlflowSearchRunsResponse" { runs: Many(&RUN), next_page_token: Plain, api_error: One(&API_ERROR) }
    SEARCH_VERSIONS "MlflowSearchModelVersionsResponse" {
        model_versions: Many(&MODEL_VERSION), next_page_token: Plain, api_error: One(&API_ERROR),
    }
    SEARCH_DATASETS "MlflowSearchDatasetsResponse" { dataset_summaries: Many(&DATASET_SUMMARY), api_error: One(&API_ERROR) }
    METRIC_HISTORY "MlflowGetMetricHistoryBulkIntervalResponse" { metrics: Many(&METRIC_OF_RUN), api_error: One(&API_ERROR) }
    LIST_ARTIFACTS "MlflowListArtifactsResponse" {
        root_uri: Plain, files: Many(&FILE_INFO), next_page_token: Plain, api_error: One(&API_ERROR),
    }
}

/// What is selected of a document.
pub(crate) fn select(document: &Value, of: &Type, selections: &[Selection]) -> Result<Value, String> {
    let mut answer = Map::new();
    for selection in selections {
        let value = if selection.name == "__typename" {
            Value::String(of.name.to_owned())
        } else {
            let field = snake_case(&selection.name);
            let kind = of.fields.iter().find(|(name, _)| *name == field).map(|(_, kind)| *kind);
            let kind = kind.ok_or_else(|| format!("Cannot query field '{}' on type '{}'.", selection.name, of.name))?;
            field_value(document.get(&field).unwrap_or(&Value::Null), kind, selection)?
        };
        answer.insert(selection.alias.clone(), value);
    }
    Ok(Value::Object(answer))
}

fn field_value(value: &Value, kind: Kind, selection: &Selection) -> Result<Value, String> {
    let of = match kind {
        One(of) | Many(of) => of,
        _ if !selection.inner.is_empty() => {
            return Err(format!("Field '{}' must not have a selection since it is no object.", selection.name));
        }
        Plain => return Ok(value.clone()),
        Plains => return Ok(if value.is_null() { Value::Array(Vec::new()) } else { value.clone() }),
        Long => return Ok(if value.is_number() { Value::String(value.to_string()) } else { value.clone() }),
        Double => return Ok(if value.is_number() { value.clone() } else { Value::Null }),
    };
    if selection.inner.is_empty() {
        return Err(format!("Field '{}' of type '{}' must have a selection of subfields.", selection.name, of.name));
    }
    match (kind, value) {
        (Many(_), Value::Array(values)) => values.iter().map(|value| select(value, of, &selection.inner)).collect(),
        (Many(_), _) => Ok(Value::Array(Vec::new())),
        (_, Value::Null) => Ok(Value::Null),
        _ => select(value, of, &selection.inner),
    }
}

pub(crate) fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::query::parse;
    use super::*;

    #[track_caller]
    fn check(text: &str, document: &Value, of: &Type, want: &Value) {
        let selections = parse(text, None, &Map::new()).unwrap();
        let found = select(document, of, &selections).unwrap_or_else(Value::String);
        assert_eq!(&found, want);
    }

    #[test]
    fn what_is_selected_is_answered_and_nothing_else() {
        let run = json!({"run": {
            "info": {"run_id": "a", "start_time": 5, "status": "RUNNING"},
            "data": {"metrics": [{"key": "m", "value": "NaN", "step": 1}, {"key": "n", "value": 0.5, "step": 2}]},
        }});
        check(
            "{ run { info { runId startTime endTime __typename } data { metrics { key value step } tags { key } } outputs { modelOutputs { step } } } }",
            &run,
            &GET_RUN,
            &json!({"run": {
                "info": {"runId": "a", "startTime": "5", "endTime": null, "__typename": "MlflowRunInfo"},
                "data": {"metrics": [{"key": "m", "value": null, "step": "1"}, {"key": "n", "value": 0.5, "step": "2"}], "tags": []},
                "outputs": null,
            }}),
        );
    }

    #[test]
    fn fields_that_are_none_are_told() {
        let nothing = json!({});
        check(
            "{ run { nope } }",
            &json!({"run": {}}),
            &GET_RUN,
            &json!("Cannot query field 'nope' on type 'MlflowRunExtension'."),
        );
        check(
            "{ run }",
            &nothing,
            &GET_RUN,
            &json!("Field 'run' of type 'MlflowRunExtension' must have a selection of subfields."),
        );
        check("{ apiError { code } }", &nothing, &GET_RUN, &json!({"apiError": null}));
    }
}
