//! From a model file to the recipe of its training set.

use std::collections::BTreeMap;

use arrow::array::{Array, TimestampMicrosecondArray};
use lw_core::{Result, Span, Timestamp};
use lw_engine::{Area, Binding, Engine, TableId, table_names};
use lw_features::{Examples, JoinedView, RegisteredView, Sources, TableVersion, TimeWindow, TrainingSetRecipe, ViewDefinition};

use crate::definition::{FeatureUse, ModelDefinition};
use crate::failures::{NO_EXAMPLES, NOT_APPLIED};
use crate::project::Project;

/// What a training set is cut from: the examples before `holdout_from` train, the rest judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub window: TimeWindow,
    pub holdout_from: Timestamp,
}

/// The cut that ends with the newest example whose label is known by now.
pub fn cut(model: &ModelDefinition, newest_example: Timestamp) -> Cut {
    let to = newest_example + Span::from_micros(1);
    let holdout_from = to - model.train.holdout;
    Cut { window: TimeWindow { from: holdout_from - model.train.window, to }, holdout_from }
}

/// When the newest example was predicted whose label is known by `as_of`.
pub async fn newest_example(
    engine: &Engine,
    model: &ModelDefinition,
    table: &TableVersion,
    as_of: Timestamp,
) -> Result<Timestamp> {
    let predicts = &model.predicts;
    let filter = predicts.filter.as_ref().map_or_else(String::new, |filter| format!(" AND (\n{filter}\n)"));
    let sql = format!(
        "SELECT max(arrow_cast((\n{at}\n), 'Timestamp(Microsecond, Some(\"UTC\"))')) AS newest FROM {from} \
         WHERE (\n{label}\n) IS NOT NULL AND \"{known}\" <= arrow_cast({as_of}, 'Timestamp(Microsecond, Some(\"UTC\"))'){filter}",
        at = predicts.at,
        from = predicts.from,
        label = predicts.label,
        known = predicts.label_known,
        as_of = as_of.micros(),
    );
    let batches = engine.query(&sql, vec![Binding::table(&table.table, Some(table.version))]).await?.collect().await?;
    let newest = batches.iter().find_map(|batch| {
        let times = batch.column(0).as_any().downcast_ref::<TimestampMicrosecondArray>()?;
        (batch.num_rows() > 0 && times.is_valid(0)).then(|| Timestamp::from_micros(times.value(0)))
    });
    newest.ok_or_else(|| {
        NO_EXAMPLES
            .error(format!("no example of `{}` has a label that was known by {as_of}", model.model))
            .hint("ingest the data that is missing; `loopwright tables` shows how far each table reaches")
    })
}

/// The tables and views that a model reads, as they stand now.
pub async fn sources(engine: &Engine, project: &Project, model: &ModelDefinition) -> Result<Sources> {
    let views: Vec<ViewDefinition> = project.views.values().map(|file| file.value.clone()).collect();
    let mut tables = Vec::new();
    for source in needed_sources(project, model)? {
        let table = TableId::new(Area::Data, source.clone());
        let current = TableVersion::current(engine, &table).await?;
        tables.push(current.ok_or_else(|| {
            NO_EXAMPLES.error(format!("table `{source}` has no version yet")).hint(format!("run `loopwright ingest {source}`"))
        })?);
    }
    Ok(Sources { tables, views })
}

/// The sources behind a model, directly or through feature views, by name.
pub fn needed_sources(project: &Project, model: &ModelDefinition) -> Result<Vec<lw_core::Name>> {
    let mut wanted = vec![model.predicts.from.to_string()];
    let mut pending: Vec<String> = model.features.iter().map(|used| used.view().to_string()).collect();
    let mut seen = Vec::new();
    while let Some(name) = pending.pop() {
        if seen.contains(&name) {
            continue;
        }
        match project.views.get(name.as_str()) {
            Some(view) => pending.extend(table_names(&view.value.sql)?),
            None => wanted.push(name.clone()),
        }
        seen.push(name);
    }
    Ok(project.sources.keys().filter(|source| wanted.iter().any(|name| name == source.as_str())).cloned().collect())
}

/// The whole recipe. Every request field, feature and expression is kept, so that reports can be cut by any of them.
pub fn recipe(
    model: &ModelDefinition,
    views: &[RegisteredView],
    sources: Sources,
    cut: Cut,
    as_of: Timestamp,
) -> Result<TrainingSetRecipe> {
    let joined = model.features.iter().map(|used| joined(used, views)).collect::<Result<Vec<_>>>()?;
    let expressions: Vec<(String, String)> = model.expressions.iter().map(|(name, sql)| (name.to_owned(), sql.clone())).collect();
    let mut outputs: Vec<String> = model.request.names().map(str::to_owned).collect();
    outputs.extend(joined.iter().flat_map(|view| view.definition.features.keys().cloned()));
    outputs.extend(expressions.iter().map(|(name, _)| name.clone()));
    Ok(TrainingSetRecipe {
        name: model.model.clone(),
        examples: Examples {
            from: model.predicts.from.to_string(),
            id: model.predicts.id.clone(),
            at: model.predicts.at.clone(),
            label: model.predicts.label.clone(),
            label_known: model.predicts.label_known.clone(),
            filter: model.predicts.filter.clone(),
        },
        request: model.request.iter().map(|(name, data_type)| (name.to_owned(), *data_type)).collect(),
        views: joined,
        expressions,
        outputs,
        window: cut.window,
        as_of,
        sources,
    })
}

fn joined(used: &FeatureUse, views: &[RegisteredView]) -> Result<JoinedView> {
    let view = views.iter().find(|view| view.name() == used.view()).ok_or_else(|| {
        NOT_APPLIED.error(format!("feature view `{}` is not registered", used.view())).hint("run `loopwright apply`")
    })?;
    let on = match used {
        FeatureUse::View(_) => BTreeMap::new(),
        FeatureUse::Mapped(mapped) => mapped.on.clone(),
    };
    Ok(JoinedView::new(view, on))
}
