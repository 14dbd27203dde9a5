//! What a training set is made of: enough to make it again, row for row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field as ArrowField, Schema as ArrowSchema, SchemaRef};
use lw_core::{DataType, Digest, Error, Name, Result, Timestamp};
use lw_engine::{ExpressionSet, KeyPair, OutputColumn, PitView, to_arrow};
use serde::{Deserialize, Serialize};

use crate::failures::BAD_TRAINING_SET;
use crate::{AvailableRange, RegisteredView, Sources, ViewComputer, ViewDefinition};

/// The columns that every training set begins with: which example, when it was predicted, the truth, when that was known.
pub const EXAMPLE_COLUMNS: [&str; 4] = ["example_id", "predicted_at", "label", "label_known_at"];

/// Everything that a training set depends on. Two builds of one recipe have the same content digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingSetRecipe {
    /// The training set's name, which is that of the model.
    pub name: Name,
    pub examples: Examples,
    /// The request fields, which are columns of the table of examples.
    pub request: BTreeMap<String, DataType>,
    pub views: Vec<JoinedView>,
    /// Request-time SQL by name, in order: an expression may use request fields, features and earlier expressions.
    pub expressions: Vec<(String, String)>,
    /// Request fields, features and expressions to keep, in order: the model's inputs and what reports are cut by.
    pub outputs: Vec<String>,
    pub window: TimeWindow,
    /// Labels and feature rows that became known later do not exist for this training set.
    pub as_of: Timestamp,
    /// The versions of all tables, and the definitions of views that the joined views read.
    pub sources: Sources,
}

/// Which rows of which table are examples. The pieces are SQL over that table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examples {
    /// A table, as SQL names it.
    pub from: String,
    /// The column that identifies an example.
    pub id: String,
    /// When the prediction is made.
    pub at: String,
    /// The truth, a boolean or a number; null where there is none.
    pub label: String,
    /// When the truth became known.
    pub label_known: String,
    /// Rows for which this is not true are no examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// Examples predicted at `from` or later and before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeWindow {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// A version of a view and the request fields that name its entity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinedView {
    pub definition: ViewDefinition,
    pub version: u64,
    pub digest: Digest,
    /// Entity column → request field. A column that is not here is a request field of the same name.
    #[serde(default)]
    pub on: BTreeMap<String, String>,
}

impl JoinedView {
    pub fn new(view: &RegisteredView, on: BTreeMap<String, String>) -> Self {
        Self { definition: view.definition.clone(), version: view.version, digest: view.digest, on }
    }

    pub fn request_field<'a>(&'a self, entity: &'a str) -> &'a str {
        self.on.get(entity).map_or(entity, String::as_str)
    }

    /// The view's side of the point-in-time join, with the rows that were available by a time.
    pub(crate) async fn as_of(&self, computer: &ViewComputer, sources: &Sources, until: Timestamp) -> Result<PitView> {
        let definition = &self.definition;
        let key = |entity: &String| KeyPair { spine: self.request_field(entity).to_owned(), view: entity.clone() };
        let output = |feature: &String| OutputColumn { column: feature.clone(), name: feature.clone() };
        Ok(PitView {
            name: definition.feature_view.to_string(),
            rows: computer.rows(definition, sources, AvailableRange::until(until)).await?,
            keys: definition.entity.iter().map(key).collect(),
            event_time: definition.event_time.clone(),
            known_time: definition.known_time.clone(),
            ttl: definition.ttl,
            strictly_before: false,
            columns: definition.features.keys().map(output).collect(),
        })
    }
}

impl TrainingSetRecipe {
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }

    /// The query for all examples of the window: [`EXAMPLE_COLUMNS`], then the request fields.
    pub(crate) fn spine_sql(&self) -> String {
        let Examples { from, id, at, label, label_known, filter } = &self.examples;
        let fields: String = self.request.keys().map(|field| format!(", {}", quoted(field))).collect();
        let filter = filter.as_ref().map_or_else(String::new, |filter| format!(" AND (\n{filter}\n)"));
        let from_table = from.split('.').map(quoted).collect::<Vec<_>>().join(".");
        let (window_from, window_to) = (time_literal(self.window.from), time_literal(self.window.to));
        let utc = "'Timestamp(Microsecond, Some(\"UTC\"))'";
        format!(
            "SELECT {id} AS example_id, arrow_cast((\n{at}\n), {utc}) AS predicted_at, CAST((\n{label}\n) AS DOUBLE) AS label, \
             arrow_cast((\n{label_known}\n), {utc}) AS label_known_at{fields} FROM {from_table} \
             WHERE arrow_cast((\n{at}\n), {utc}) >= {window_from} AND arrow_cast((\n{at}\n), {utc}) < {window_to}{filter}",
            id = quoted(id),
        )
    }

    /// Compiles the expressions over request fields and features, and checks that every name has one meaning and every output
    /// a source.
    pub(crate) fn compile(&self) -> Result<ExpressionSet> {
        if self.window.from >= self.window.to {
            return Err(self.bad(format!("the window from {} to {} is empty", self.window.from, self.window.to)));
        }
        let mut seen: BTreeSet<&str> = EXAMPLE_COLUMNS.into_iter().collect();
        let names = self.request.keys().chain(self.views.iter().flat_map(|view| view.definition.features.keys()));
        for name in names.chain(self.expressions.iter().map(|(name, _)| name)) {
            if !seen.insert(name) {
                return Err(self.bad(format!("two columns are called `{name}`")).hint("rename the feature, field or expression"));
            }
        }
        for view in &self.views {
            let unknown = view.definition.entity.iter().find(|entity| !self.request.contains_key(view.request_field(entity)));
            if let Some(entity) = unknown {
                let message = format!("view `{}` needs its entity `{entity}`", view.definition.feature_view);
                return Err(self.bad(message).hint(format!("add `{}` to the request", view.request_field(entity))));
            }
        }
        let expressions =
            ExpressionSet::compile(&self.expressions, &self.row_schema()).map_err(|error| error.context(&self.name))?;
        let known = expressions.schema().fields().iter().map(|field| field.name().as_str());
        for output in &self.outputs {
            if !known.clone().any(|name| name == output) {
                let error = self.bad(format!("nothing yields the column `{output}`"));
                return Err(match lw_core::nearest(output, known) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("list request fields, features of the views and expressions"),
                });
            }
        }
        Ok(expressions)
    }

    /// Request fields, then the features of each view: what expressions see.
    pub fn row_schema(&self) -> SchemaRef {
        let request = self.request.iter().map(|(name, data_type)| ArrowField::new(name, to_arrow(*data_type), true));
        let features = self.views.iter().flat_map(|view| &view.definition.features);
        let features = features.map(|(name, feature)| ArrowField::new(name, to_arrow(feature.data_type), true));
        Arc::new(ArrowSchema::new(request.chain(features).collect::<Vec<_>>()))
    }

    pub(crate) fn bad(&self, what: String) -> Error {
        BAD_TRAINING_SET.error(format!("the training set `{}` cannot be built: {what}", self.name))
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn time_literal(time: Timestamp) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", time.micros())
}
