//! What users write: the project file and the model file. The other kinds of files belong to their stages.

use std::collections::BTreeMap;

use lw_core::{DataType, Name, Span};
use lw_data::Ordered;
use lw_evaluation::{EvaluateDefinition, Task};
use lw_monitoring::MonitorDefinition;
use lw_pipelines::{Retries, Schedule};
use lw_registry::{Alias, GateDefinition};
use lw_serving::RolloutDefinition;
use lw_training::TrainDefinition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `loopwright.yaml`: marks the root of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectDefinition {
    pub project: Name,
    #[serde(default)]
    pub description: String,
    /// What a replay of this project's history does by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayDefinition>,
}

/// The part of history that `loopwright replay` runs the loop over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayDefinition {
    pub model: Name,
    /// When the first version is trained and deployed.
    pub from: lw_core::Timestamp,
    pub to: lw_core::Timestamp,
    /// How far the simulated clock moves at once between predictions.
    #[serde(default = "one_hour")]
    pub step: Span,
    /// Who approves in the replay; must not be the model's owner.
    pub approver: String,
}

fn one_hour() -> Span {
    Span::from_hours(1)
}

/// `models/<name>.yaml`: the whole life of one model in one reviewed file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelDefinition {
    pub model: Name,
    pub description: String,
    /// Who answers for the model. Owners cannot approve their own versions.
    pub owner: String,
    pub task: Task,
    pub predicts: PredictsDefinition,
    /// What a caller sends with every prediction. In training the same columns come from the table of examples.
    pub request: Ordered<DataType>,
    /// Feature views, joined by their entity columns, which must be request fields; `{view, on}` maps those of another name.
    pub features: Vec<FeatureUse>,
    /// SQL expressions over request fields and features, evaluated at request time and in training by the same code.
    #[serde(default)]
    pub expressions: Ordered<String>,
    /// The columns that the model sees, in order.
    pub inputs: Vec<String>,
    pub train: TrainDefinition,
    pub evaluate: EvaluateDefinition,
    #[serde(default)]
    pub gates: Vec<GateDefinition>,
    #[serde(default)]
    pub approvals: ApprovalsDefinition,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutDefinition>,
    #[serde(default)]
    pub monitors: Vec<MonitorDefinition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrain: Option<RetrainDefinition>,
}

/// Which rows are examples, when a prediction is made for them, and when the truth becomes known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictsDefinition {
    /// The table of examples.
    pub from: Name,
    /// The column that identifies an example; predictions and labels meet by it.
    pub id: String,
    /// SQL: the time at which the prediction is made.
    pub at: String,
    /// SQL: the truth; null where there is none.
    pub label: String,
    /// The column with the time at which the label becomes known.
    pub label_known: String,
    /// SQL: rows that are no examples at all.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// A feature view, by name alone or with a mapping of its entity columns to request fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FeatureUse {
    View(Name),
    Mapped(MappedView),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappedView {
    pub view: Name,
    /// Entity column of the view → request field.
    pub on: BTreeMap<String, String>,
}

impl FeatureUse {
    pub fn view(&self) -> &Name {
        match self {
            Self::View(view) => view,
            Self::Mapped(mapped) => &mapped.view,
        }
    }

    /// The request field that holds an entity column.
    pub fn request_field<'a>(&'a self, entity: &'a str) -> &'a str {
        match self {
            Self::View(_) => entity,
            Self::Mapped(mapped) => mapped.on.get(entity).map_or(entity, String::as_str),
        }
    }
}

/// How many people must approve before a version goes live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalsDefinition {
    /// For the first version, and for every version whose definition changed since the last approval.
    #[serde(default = "one")]
    pub first: u32,
    /// For a version that the approved definition produced from newer data.
    #[serde(default)]
    pub retrained: u32,
}

fn one() -> u32 {
    1
}

impl Default for ApprovalsDefinition {
    fn default() -> Self {
        Self { first: 1, retrained: 0 }
    }
}

/// Which monitors start a retraining, and how long to leave it after one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrainDefinition {
    pub on: Vec<Name>,
    #[serde(default = "one_day")]
    pub cooldown: Span,
}

fn one_day() -> Span {
    Span::from_days(1)
}

/// `pipelines/<name>.yaml`: steps of the user's own, on a schedule or by hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineFile {
    pub pipeline: Name,
    pub description: String,
    /// What a run can be given (`--param name=text`), each with the text that it has otherwise; null if a run must give it. Commands
    /// read `LOOPWRIGHT_PARAM_NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<Name, Option<String>>,
    /// When it runs by itself. Without one it runs when asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    pub steps: Vec<PipelineStep>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineStep {
    pub name: Name,
    /// Steps that must have succeeded before.
    #[serde(default)]
    pub needs: Vec<Name>,
    /// How often it is tried, and how long to wait between: three times if the failure may pass by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// An attempt that takes longer has failed: one day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Whether to leave the command out if nothing changed since it last succeeded: the command, the project's files, the
    /// parameters of the run, and what the steps that it needs have made. For `shell` steps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache: bool,
    #[serde(flatten)]
    pub action: StepAction,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepAction {
    /// Ingests one source.
    Ingest(Name),
    /// Brings one feature view up to date in the online store.
    Materialize(Name),
    /// Trains, evaluates and, if its gates agree, releases a model.
    Train(Name),
    /// Runs a command with `sh -c` in the project's folder.
    Shell(String),
}

/// `policies/<name>.yaml`: what every model it applies to must keep to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyDefinition {
    pub policy: Name,
    pub description: String,
    /// Models by name; empty means all.
    #[serde(default)]
    pub applies_to: Vec<Name>,
    /// Fewest people who must approve a first version.
    #[serde(default)]
    pub min_first_approvals: u32,
    /// Metrics that a gate must look at.
    #[serde(default)]
    pub gated_metrics: Vec<lw_stats::Metric>,
    /// Columns that no model may take as an input.
    #[serde(default)]
    pub forbidden_inputs: Vec<String>,
    /// Whether a model must evaluate at least one segment.
    #[serde(default)]
    pub segments_required: bool,
    /// Aliases that no client sets by hand, beside `champion`, which none ever does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protected_aliases: Vec<Alias>,
}
