//! From a model file to the document that an endpoint serves by.

use arrow::datatypes::SchemaRef;
use lw_core::{Digest, Result};
use lw_features::RegisteredView;
use lw_serving::{Bundle, EntityKey, FeatureColumn, FeatureLookup, ModelInput, Output, RequestExpression, RequestField};

use crate::check::{supplied_schema, written_type};
use crate::definition::{FeatureUse, ModelDefinition};
use crate::failures::NOT_APPLIED;
use crate::project::Project;
use lw_evaluation::Task;

/// The bundle of a version: what its callers send, what is looked up and computed, and the ONNX artifact that answers.
pub fn bundle(
    project: &Project,
    model: &ModelDefinition,
    version: u64,
    artifact: Digest,
    views: &[RegisteredView],
) -> Result<Bundle> {
    let supplied = supplied_schema(model, project)?;
    let expressions = model.expressions.iter().map(|(name, sql)| {
        Ok(RequestExpression { name: name.to_owned(), sql: sql.clone(), data_type: written_type(&supplied, name)? })
    });
    let inputs = model.inputs.iter().map(|name| Ok(ModelInput { name: name.clone(), data_type: written_type(&supplied, name)? }));
    let bundle = Bundle {
        model: model.model.clone(),
        version,
        artifact,
        id: Some(model.predicts.id.clone()),
        request: request(project, model),
        features: model.features.iter().map(|used| lookup(used, views)).collect::<Result<_>>()?,
        expressions: expressions.collect::<Result<_>>()?,
        inputs: inputs.collect::<Result<_>>()?,
        output: output(model.task, model.evaluate.threshold),
    };
    bundle.check()?;
    Ok(bundle)
}

/// The bundle that scores a candidate: the model's inputs and nothing around them.
pub fn scoring_bundle(model: &ModelDefinition, inputs: &SchemaRef, artifact: Digest) -> Result<Bundle> {
    let typed = |name: &String| written_type(inputs, name);
    let request =
        model.inputs.iter().map(|name| Ok(RequestField { name: name.clone(), data_type: typed(name)?, required: false }));
    let columns = model.inputs.iter().map(|name| Ok(ModelInput { name: name.clone(), data_type: typed(name)? }));
    Ok(Bundle {
        model: model.model.clone(),
        version: 0,
        artifact,
        id: None,
        request: request.collect::<Result<_>>()?,
        features: Vec::new(),
        expressions: Vec::new(),
        inputs: columns.collect::<Result<_>>()?,
        output: output(model.task, model.evaluate.threshold),
    })
}

fn output(task: Task, threshold: f64) -> Output {
    match task {
        Task::BinaryClassification => Output::Probability { threshold },
        Task::Regression => Output::Value,
    }
}

/// A request field must be sent if the source says that the column is never null.
fn request(project: &Project, model: &ModelDefinition) -> Vec<RequestField> {
    let source = project.sources.get(&model.predicts.from);
    let is_required = |name: &str| source.and_then(|file| file.value.columns.get(name)).is_some_and(|column| column.required);
    model
        .request
        .iter()
        .map(|(name, data_type)| RequestField { name: name.to_owned(), data_type: *data_type, required: is_required(name) })
        .collect()
}

fn lookup(used: &FeatureUse, views: &[RegisteredView]) -> Result<FeatureLookup> {
    let view = views.iter().find(|view| view.name() == used.view()).ok_or_else(|| {
        NOT_APPLIED.error(format!("feature view `{}` is not registered", used.view())).hint("run `loopwright apply`")
    })?;
    let keys = view
        .definition
        .entity
        .iter()
        .map(|entity| EntityKey { entity: entity.clone(), field: used.request_field(entity).to_owned() });
    let columns = view.features.iter().map(|feature| FeatureColumn {
        feature: feature.name.clone(),
        name: feature.name.clone(),
        data_type: feature.data_type,
    });
    Ok(FeatureLookup { view: view.name().clone(), version: view.version, keys: keys.collect(), columns: columns.collect() })
}
