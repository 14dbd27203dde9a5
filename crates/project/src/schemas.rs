//! JSON Schemas of the project's files, for editors.

use schemars::schema_for;
use serde_json::Value;

use crate::definition::{ModelDefinition, PipelineFile, PolicyDefinition, ProjectDefinition};

/// Every kind of file with the schema of its content (JSON Schema 2020-12).
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("project", schema_for!(ProjectDefinition).to_value()),
        ("source", schema_for!(lw_data::SourceDefinition).to_value()),
        ("feature_view", schema_for!(lw_features::ViewDefinition).to_value()),
        ("model", schema_for!(ModelDefinition).to_value()),
        ("pipeline", schema_for!(PipelineFile).to_value()),
        ("policy", schema_for!(PolicyDefinition).to_value()),
    ]
}
