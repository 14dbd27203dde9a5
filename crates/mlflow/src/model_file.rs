//! The file `MLmodel` beside a model: its signature as a schema of ours, as far as the types have counterparts.

use std::collections::BTreeMap;

use lw_core::{DataType, Field, Schema};
use lw_registry::Signature;
use serde::Deserialize;
use serde_json::Value;

/// What the file says that matters here.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct ModelFile {
    #[serde(default)]
    pub signature: Option<RawSignature>,
    /// How the model can be loaded, such as `sklearn` and `python_function`.
    #[serde(default)]
    pub flavors: BTreeMap<String, Value>,
    #[serde(default)]
    pub mlflow_version: Option<String>,
}

/// JSON texts, as MLflow writes them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, serde::Serialize)]
pub(crate) struct RawSignature {
    #[serde(default)]
    pub inputs: Option<String>,
    #[serde(default)]
    pub outputs: Option<String>,
    #[serde(default)]
    pub params: Option<String>,
}

impl ModelFile {
    /// Reads the file; none if it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        serde_saphyr::from_str(text).ok()
    }

    pub fn signature(&self) -> Signature {
        let Some(raw) = &self.signature else { return Signature::default() };
        Signature {
            inputs: raw.inputs.as_deref().map_or_else(Schema::default, |text| schema(text, "input")),
            outputs: raw.outputs.as_deref().map_or_else(Schema::default, |text| schema(text, "output")),
        }
    }
}

/// The columns whose types have a counterpart. Columns without a name are called `input`, `input_2` and so on.
fn schema(text: &str, unnamed: &str) -> Schema {
    let Ok(Value::Array(columns)) = serde_json::from_str(text) else { return Schema::default() };
    let mut fields: Vec<Field> = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        let Some(data_type) = data_type(column) else { continue };
        let name = match (column["name"].as_str(), index) {
            (Some(name), _) => name.to_owned(),
            (None, 0) => unnamed.to_owned(),
            (None, index) => format!("{unnamed}_{}", index + 1),
        };
        if !fields.iter().any(|field| field.name == name) {
            fields.push(Field { name, data_type, nullable: column["required"] == Value::Bool(false) });
        }
    }
    Schema(fields)
}

/// A column's type, or a tensor's if each example has one number of it.
fn data_type(column: &Value) -> Option<DataType> {
    let name = match column["type"].as_str()? {
        "tensor" => {
            let spec = &column["tensor-spec"];
            let is_flat = spec["shape"].as_array().is_some_and(|shape| shape.len() == 1);
            spec["dtype"].as_str().filter(|_| is_flat)?
        }
        name => name,
    };
    Some(match name {
        "boolean" | "bool" => DataType::Boolean,
        "integer" | "int32" => DataType::Int32,
        "long" | "int64" => DataType::Int64,
        "float" | "float32" => DataType::Float32,
        "double" | "float64" => DataType::Float64,
        "string" | "str" => DataType::String,
        "datetime" => DataType::Timestamp,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_becomes_a_schema_as_far_as_types_have_counterparts() {
        let file = ModelFile::parse(concat!(
            "artifact_path: model\nflavors:\n  python_function:\n    loader_module: mlflow.sklearn\n  sklearn:\n    code: null\n",
            "mlflow_version: 3.18.0\nmodel_size_bytes: 1200\nsignature:\n",
            "  inputs: '[{\"type\": \"double\", \"name\": \"hour\", \"required\": true}, {\"type\": \"binary\", \"name\": \"image\"},",
            " {\"type\": \"long\", \"name\": \"n\", \"required\": false}]'\n",
            "  outputs: '[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"int64\", \"shape\": [-1]}}]'\n  params: null\n",
        ))
        .unwrap();
        assert_eq!(file.flavors.keys().collect::<Vec<_>>(), ["python_function", "sklearn"]);
        let field = |name: &str, data_type, nullable| Field { name: name.to_owned(), data_type, nullable };
        let signature = file.signature();
        assert_eq!(signature.inputs.0, [field("hour", DataType::Float64, false), field("n", DataType::Int64, true)]);
        assert_eq!(signature.outputs.0, [field("output", DataType::Int64, false)]);
        assert_eq!(ModelFile::parse("just words").map(|file| file.signature()), None);
    }
}
