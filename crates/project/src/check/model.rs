//! Whether a model file agrees with the tables and views it stands on, and with itself.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use lw_core::{DataType, Error, Name, Place};
use lw_engine::{Expression, ExpressionSet, to_arrow};
use std::sync::Arc;

use super::training::CLASSES_HINT;
use super::{Schemas, unknown};
use crate::definition::ModelDefinition;
use crate::failures::INVALID_MODEL;
use crate::parse::File;
use crate::project::Project;
use lw_evaluation::Task;

pub fn check(project: &Project, file: &File<ModelDefinition>, tables: &Schemas, errors: &mut Vec<Error>) {
    let model = &file.value;
    let Some(table) = tables.get(&model.predicts.from) else {
        let known = tables.keys().map(Name::as_str);
        errors.push(unknown("table", model.predicts.from.as_str(), known).at(file.place(&["predicts", "from"])));
        return;
    };
    let mut checker = Checker { file, errors };
    checker.predicts(table);
    checker.request(table);
    checker.features(project);
    let Some(supplied) = checker.supplied(project) else {
        return;
    };
    checker.inputs(&supplied);
    checker.evaluation(&supplied);
    checker.parts();
    checker.gates();
    checker.loop_references();
}

/// Request fields, features and expressions of a model as one schema, in this order.
pub(crate) fn supplied_schema(model: &ModelDefinition, project: &Project) -> lw_core::Result<SchemaRef> {
    let base = base_schema(model, project);
    if model.expressions.is_empty() {
        return Ok(base);
    }
    let expressions: Vec<(String, String)> = model.expressions.iter().map(|(name, sql)| (name.to_owned(), sql.clone())).collect();
    Ok(ExpressionSet::compile(&expressions, &base)?.schema().clone())
}

/// Request fields, then the features of each view by name.
pub(crate) fn base_schema(model: &ModelDefinition, project: &Project) -> SchemaRef {
    let request = model.request.iter().map(|(name, data_type)| Field::new(name, to_arrow(*data_type), true));
    let features =
        model.features.iter().filter_map(|used| project.views.get(used.view())).flat_map(|view| {
            view.value.features.iter().map(|(name, feature)| Field::new(name, to_arrow(feature.data_type), true))
        });
    Arc::new(Schema::new(request.chain(features).collect::<Vec<_>>()))
}

struct Checker<'a> {
    file: &'a File<ModelDefinition>,
    errors: &'a mut Vec<Error>,
}

impl Checker<'_> {
    fn refuse(&mut self, message: String, keys: &[&str], hint: impl Into<String>) {
        self.errors.push(INVALID_MODEL.error(message).at(self.file.place(keys)).hint(hint));
    }

    /// The SQL of an expression keeps its own line only when it spans several; the file's place is the better one.
    fn push_at(&mut self, error: Error, place: Place) {
        self.errors.push(error.at(place));
    }

    fn predicts(&mut self, table: &SchemaRef) {
        let predicts = &self.file.value.predicts;
        for (key, column) in [("id", &predicts.id), ("label_known", &predicts.label_known)] {
            if table.field_with_name(column).is_err() {
                let known = table.fields().iter().map(|field| field.name().as_str());
                let error = unknown("column", column, known);
                self.push_at(error, self.file.place(&["predicts", key]));
            }
        }
        let numeric_or_bool = |found: &ArrowType| found.is_numeric() || *found == ArrowType::Boolean;
        let is_time = |found: &ArrowType| matches!(found, ArrowType::Timestamp(_, _));
        let task = self.file.value.task;
        let label_ok = move |found: &ArrowType| match task {
            Task::BinaryClassification => numeric_or_bool(found),
            Task::Regression => found.is_numeric(),
        };
        self.expression(table, "at", &predicts.at, is_time, "a timestamp");
        let is_text = |found: &ArrowType| matches!(found, ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View);
        match Expression::compile(&predicts.label, table) {
            Ok(label) if task == Task::BinaryClassification && is_text(label.data_type()) => {
                let message = format!("`label` must be a boolean or 0 and 1, and `{}` is a text", predicts.label);
                self.refuse(message, &["predicts", "label"], CLASSES_HINT);
            }
            _ => self.expression(table, "label", &predicts.label, label_ok, "a boolean or a number"),
        }
        if let Some(filter) = &predicts.filter {
            self.expression(table, "where", filter, |found| *found == ArrowType::Boolean, "a condition");
        }
    }

    fn expression(&mut self, table: &SchemaRef, key: &str, sql: &str, is_right: impl Fn(&ArrowType) -> bool, want: &str) {
        match Expression::compile(sql, table) {
            Err(error) => self.push_at(error, self.file.place(&["predicts", key])),
            Ok(expression) if !is_right(expression.data_type()) => {
                let message = format!("`{key}` must be {want}, and `{sql}` is {}", expression.data_type());
                self.refuse(message, &["predicts", key], "CAST it, or write a comparison");
            }
            Ok(_) => {}
        }
    }

    fn request(&mut self, table: &SchemaRef) {
        for (name, data_type) in self.file.value.request.iter() {
            match table.field_with_name(name) {
                Err(_) => {
                    let error = unknown("column", name, table.fields().iter().map(|field| field.name().as_str()));
                    self.push_at(error, self.file.place(&["request", name]));
                }
                Ok(field) if *field.data_type() != to_arrow(*data_type) => {
                    let message =
                        format!("request field `{name}` is {data_type}, and the table's column is {}", field.data_type());
                    self.refuse(
                        message,
                        &["request", name],
                        "training reads the field from the table: give it the column's type",
                    );
                }
                Ok(_) => {}
            }
        }
    }

    fn features(&mut self, project: &Project) {
        let model = &self.file.value;
        let mut taken: BTreeSet<&str> = model.request.names().collect();
        for used in &model.features {
            let view_name = used.view().as_str();
            let Some(view) = project.views.get(used.view()) else {
                let error = unknown("feature view", view_name, project.views.keys().map(Name::as_str));
                self.push_at(error, self.file.place(&["features", view_name]));
                continue;
            };
            for entity in &view.value.entity {
                let field = used.request_field(entity);
                if !model.request.iter().any(|(name, _)| name == field) {
                    let message =
                        format!("view `{view_name}` needs its entity `{entity}`, and the request has no field `{field}`");
                    self.refuse(
                        message,
                        &["features", view_name],
                        format!("add `{field}` to `request`, or map it with {{view: {view_name}, on: {{{entity}: FIELD}}}}"),
                    );
                }
            }
            for feature in view.value.features.keys() {
                if !taken.insert(feature) {
                    let message = format!("the feature `{feature}` of view `{view_name}` has the name of another column");
                    self.refuse(message, &["features", view_name], "rename one of the two");
                }
            }
        }
    }

    /// The schema of all columns a row has before the model sees it; none if an expression is wrong.
    fn supplied(&mut self, project: &Project) -> Option<SchemaRef> {
        let model = &self.file.value;
        let mut schema = base_schema(model, project);
        for (name, sql) in model.expressions.iter() {
            let compiled = ExpressionSet::compile(&[(name.to_owned(), sql.clone())], &schema);
            match compiled {
                Ok(set) => schema = set.schema().clone(),
                Err(error) => {
                    self.push_at(error, self.file.place(&["expressions", name]));
                    return None;
                }
            }
        }
        Some(schema)
    }

    fn inputs(&mut self, supplied: &SchemaRef) {
        if self.file.value.inputs.is_empty() {
            self.refuse("the model has no inputs".to_owned(), &["inputs"], "list the columns it learns from");
        }
        let mut seen = BTreeSet::new();
        for input in &self.file.value.inputs {
            if !seen.insert(input) {
                self.refuse(format!("the input `{input}` stands twice"), &["inputs", input], "remove one");
            }
            match supplied.field_with_name(input).map(Field::data_type) {
                Err(_) => {
                    let error = unknown("input", input, supplied.fields().iter().map(|field| field.name().as_str()));
                    self.push_at(error, self.file.place(&["inputs", input]));
                }
                Ok(ArrowType::Timestamp(_, _) | ArrowType::Date32) => {
                    let message = format!("the input `{input}` is a point in time, and models learn from numbers and categories");
                    self.refuse(message, &["inputs", input], "derive a number with an expression, like `date_part('hour', …)`");
                }
                Ok(_) => {}
            }
        }
    }

    fn evaluation(&mut self, supplied: &SchemaRef) {
        let model = &self.file.value;
        for segment in &model.evaluate.segments {
            if supplied.field_with_name(segment).is_err() {
                let known = supplied.fields().iter().map(|field| field.name().as_str());
                let error = unknown("column", segment, known);
                self.push_at(error, self.file.place(&["evaluate", "segments", segment]));
            }
        }
        if !model.evaluate.metrics.contains(&model.train.choose_by) {
            let metric = model.train.choose_by;
            self.refuse(
                format!("candidates are chosen by {metric}, which is not evaluated"),
                &["train", "choose_by"],
                format!("add {metric} to evaluate.metrics"),
            );
        }
        if model.train.candidates.is_empty() {
            self.refuse(
                "there are no candidates to train".to_owned(),
                &["train"],
                "add at least `{name: baseline, trainer: baseline}`",
            );
        }
    }

    /// What each stage asks of its own part of the file.
    fn parts(&mut self) {
        let model = &self.file.value;
        let mut found = Vec::new();
        let mut look = |keys: Vec<&str>, result: lw_core::Result<()>| {
            if let Err(error) = result {
                found.push(error.at(self.file.place(&keys)));
            }
        };
        look(vec!["train"], model.train.check(model.task));
        look(vec!["evaluate"], model.evaluate.check(model.task));
        for gate in &model.gates {
            look(vec!["gates", gate.name.as_str()], gate.check());
        }
        for monitor in &model.monitors {
            look(vec!["monitors", monitor.name.as_str()], monitor.check(model.task, &model.inputs).map(drop));
        }
        if let Some(rollout) = &model.rollout {
            look(vec!["rollout", "metric"], lw_stats::Metric::parse(&rollout.metric).map(drop));
        }
        for names in [
            model.gates.iter().map(|gate| &gate.name).collect::<Vec<_>>(),
            model.monitors.iter().map(|monitor| &monitor.name).collect(),
        ] {
            for (position, name) in names.iter().enumerate() {
                if names[..position].contains(name) {
                    let error = INVALID_MODEL
                        .error(format!("`{name}` stands twice"))
                        .hint("give each gate and each monitor a name of its own");
                    look(vec![name.as_str()], Err(error));
                }
            }
        }
        self.errors.extend(found);
    }

    fn gates(&mut self) {
        let model = &self.file.value;
        for gate in &model.gates {
            let keys = ["gates", gate.name.as_str()];
            if !model.evaluate.metrics.contains(&gate.metric) {
                let metric = gate.metric;
                self.refuse(
                    format!("gate `{}` looks at {metric}, which is not evaluated", gate.name),
                    &keys,
                    format!("add {metric} to evaluate.metrics"),
                );
            }
            if let Some(segment) = &gate.segment
                && !model.evaluate.segments.contains(segment)
            {
                self.refuse(
                    format!("gate `{}` looks at the segment `{segment}`, which is not evaluated", gate.name),
                    &keys,
                    format!("add {segment} to evaluate.segments"),
                );
            }
        }
        if let Some(rollout) = &model.rollout
            && !(rollout.canary > 0.0 && rollout.canary < 1.0)
        {
            self.refuse(
                format!("a canary takes a share between 0 and 1, not {}", rollout.canary),
                &["rollout", "canary"],
                "write 0.1 for a tenth of the entities",
            );
        }
    }

    fn loop_references(&mut self) {
        let model = &self.file.value;
        let Some(retrain) = &model.retrain else { return };
        for monitor in &retrain.on {
            if !model.monitors.iter().any(|known| known.name == *monitor) {
                let error = unknown("monitor", monitor.as_str(), model.monitors.iter().map(|known| known.name.as_str()));
                self.push_at(error, self.file.place(&["retrain", monitor.as_str()]));
            }
        }
    }
}

/// The type of a column as users write it.
pub(crate) fn written_type(schema: &SchemaRef, column: &str) -> lw_core::Result<DataType> {
    let field = schema
        .field_with_name(column)
        .map_err(|error| Error::bug(format!("`{column}` was checked and is not there")).cause(error))?;
    lw_engine::from_arrow(field.data_type())
}
