//! The statements that find runs, experiments and logged models: lw-search writes the conditions, and here stands where its fields are.

use lw_core::{Error, Result, RunId};
use lw_search::sql::{Columns, Form, Parameters, SortKey, Source, Value, condition, order};
use lw_search::{BAD_FILTER, Condition, DatasetField, Field, LoggedModelOrder, MetricDataset};
use lw_store::Reader;

use crate::{ExperimentId, ExperimentSearch, LoggedModelId, LoggedModelSearch, RunSearch};

/// One more than the page holds, to see whether there is a next one.
pub(crate) fn run_ids(reader: &mut Reader<'_>, search: &RunSearch) -> Result<Vec<RunId>> {
    let mut parameters = Parameters::default();
    let experiments = list(&search.experiments, &mut parameters);
    let lifecycles: Vec<String> = search.view.lifecycles().iter().map(|lifecycle| format!("'{}'", lifecycle.name())).collect();
    let mut conditions =
        vec![format!("run.experiment IN ({experiments})"), format!("run.lifecycle IN ({})", lifecycles.join(", "))];
    conditions.extend(filter(search.filter.as_ref(), &Runs, &mut parameters)?);
    let mut order = order(&search.order_by, &Runs, &mut parameters)?;
    order.terms.extend(["run.started_at DESC".to_owned(), "run.id".to_owned()]);
    let limits = limits(search.limit, search.offset, &mut parameters);
    let sql = format!(
        "SELECT run.id AS id FROM run {} WHERE {} ORDER BY {} {limits}",
        order.joins.join(" "),
        conditions.join(" AND "),
        order.terms.join(", "),
    );
    let mut ids = Vec::new();
    reader.visit(&sql, &parameters.into_scalars(), |row| {
        ids.push(RunId::parse(row.text(0)?)?);
        Ok(())
    })?;
    Ok(ids)
}

pub(crate) fn experiment_ids(reader: &mut Reader<'_>, search: &ExperimentSearch) -> Result<Vec<ExperimentId>> {
    let mut parameters = Parameters::default();
    let lifecycles: Vec<String> = search.view.lifecycles().iter().map(|lifecycle| format!("'{}'", lifecycle.name())).collect();
    let mut conditions = vec![format!("experiment.lifecycle IN ({})", lifecycles.join(", "))];
    conditions.extend(filter(search.filter.as_ref(), &Experiments, &mut parameters)?);
    let mut order = order(&search.order_by, &Experiments, &mut parameters)?;
    if order.terms.is_empty() {
        order.terms.extend(["(experiment.created_at / 1000) DESC".to_owned(), "experiment.id".to_owned()]);
    } else {
        order.terms.push("experiment.id DESC".to_owned());
    }
    let limits = limits(search.limit, search.offset, &mut parameters);
    let sql = format!(
        "SELECT experiment.id AS id FROM experiment {} WHERE {} ORDER BY {} {limits}",
        order.joins.join(" "),
        conditions.join(" AND "),
        order.terms.join(", "),
    );
    let rows = reader.query(&sql, &parameters.into_scalars())?;
    rows.iter().map(|row| row.count("id").map(ExperimentId::new)).collect()
}

pub(crate) fn logged_model_ids(reader: &mut Reader<'_>, search: &LoggedModelSearch) -> Result<Vec<LoggedModelId>> {
    let mut parameters = Parameters::default();
    let experiments = list(&search.experiments, &mut parameters);
    let columns = LoggedModels { datasets: &search.datasets, dataset: None };
    let mut conditions =
        vec![format!("logged_model.experiment IN ({experiments})"), "logged_model.lifecycle = 'active'".to_owned()];
    conditions.extend(filter(search.filter.as_ref(), &columns, &mut parameters)?);
    let filters_metrics = search
        .filter
        .as_ref()
        .is_some_and(|filter| filter.comparisons().iter().any(|comparison| matches!(comparison.field, Field::Metric(_))));
    if !search.datasets.is_empty() && !filters_metrics {
        let of_datasets = columns.of_datasets(&mut parameters);
        conditions.push(format!("EXISTS (SELECT 1 FROM logged_model_metric m WHERE m.model = logged_model.id{of_datasets})"));
    }
    let mut terms = Vec::new();
    for LoggedModelOrder { order: key, dataset } in &search.order_by {
        let columns = LoggedModels { datasets: &search.datasets, dataset: dataset.as_ref() };
        terms.extend(order(std::slice::from_ref(key), &columns, &mut parameters)?.terms);
    }
    terms.extend(["(logged_model.created_at / 1000) DESC".to_owned(), "logged_model.id".to_owned()]);
    let limits = limits(search.limit, search.offset, &mut parameters);
    let sql = format!(
        "SELECT logged_model.id AS id FROM logged_model WHERE {} ORDER BY {} {limits}",
        conditions.join(" AND "),
        terms.join(", "),
    );
    let rows = reader.query(&sql, &parameters.into_scalars())?;
    rows.iter().map(|row| LoggedModelId::parse(&row.text("id")?)).collect()
}

fn list(experiments: &[ExperimentId], parameters: &mut Parameters) -> String {
    let places: Vec<String> = experiments.iter().map(|id| parameters.bind(id.number())).collect();
    places.join(", ")
}

fn filter(filter: Option<&Condition>, columns: &dyn Columns, parameters: &mut Parameters) -> Result<Option<String>> {
    filter.map(|filter| condition(filter, columns, parameters)).transpose()
}

fn limits(limit: u64, offset: u64, parameters: &mut Parameters) -> String {
    let limit = parameters.bind(limit.saturating_add(1));
    format!("LIMIT {limit} OFFSET {}", parameters.bind(offset))
}

fn unknown(field: &Field) -> Error {
    BAD_FILTER.error(format!("`{field}` cannot be searched here"))
}

struct Runs;

impl Columns for Runs {
    fn source(&self, field: &Field, parameters: &mut Parameters) -> Result<Source> {
        Ok(match field {
            Field::Attribute(name) => Source::column(run_column(name).ok_or_else(|| unknown(field))?),
            Field::Metric(key) => {
                let key = parameters.bind(key);
                let select = format!("SELECT 1 FROM run_latest_metric m WHERE m.run = run.number AND m.metric_key = {key}");
                Source::rows(select, "m.metric_value").of(Form::Metric { is_nan: "m.is_nan".to_owned() })
            }
            Field::Param(key) => {
                let key = parameters.bind(key);
                let select = format!("SELECT 1 FROM run_param p WHERE p.run = run.number AND p.param_key = {key}");
                Source::rows(select, "p.param_value")
            }
            Field::Tag(key) => {
                let key = parameters.bind(key);
                let select = format!("SELECT 1 FROM run_tag t WHERE t.run = run.number AND t.tag_key = {key}");
                Source::rows(select, "t.tag_value")
            }
            Field::Dataset(part) => {
                let column = match part {
                    DatasetField::Name => "d.name",
                    DatasetField::Digest => "d.digest",
                    DatasetField::Context => "d.context",
                };
                Source::rows("SELECT 1 FROM run_dataset d WHERE d.run = run.id", column)
            }
            _ => return Err(unknown(field)),
        })
    }

    fn sort_key(&self, field: &Field, position: usize, parameters: &mut Parameters) -> Result<SortKey> {
        let alias = format!("o{position}");
        let mut joined = |table: &str, key_column: &str, key: &String, value: &str| {
            let key = parameters.bind(key);
            let join = format!("LEFT JOIN {table} {alias} ON {alias}.run = run.number AND {alias}.{key_column} = {key}");
            SortKey::joined(join, format!("{alias}.{value}"))
        };
        Ok(match field {
            Field::Attribute("end_time") => SortKey::nullable("run.ended_at"),
            Field::Attribute("start_time") => SortKey::column("run.started_at"),
            Field::Attribute(name) => SortKey::column(run_column(name).ok_or_else(|| unknown(field))?),
            Field::Metric(key) => SortKey {
                is_nan: Some(format!("{alias}.is_nan")),
                ..joined("run_latest_metric", "metric_key", key, "metric_value")
            },
            Field::Param(key) => joined("run_param", "param_key", key, "param_value"),
            Field::Tag(key) => joined("run_tag", "tag_key", key, "tag_value"),
            _ => return Err(unknown(field)),
        })
    }
}

fn run_column(name: &str) -> Option<&'static str> {
    Some(match name {
        "run_id" => "run.id",
        "run_name" => "run.name",
        "status" => "UPPER(run.status)",
        "user_id" => "run.user_id",
        "artifact_uri" => "run.artifact_uri",
        "start_time" => "(run.started_at / 1000)",
        "end_time" => "(run.ended_at / 1000)",
        _ => return None,
    })
}

struct Experiments;

impl Columns for Experiments {
    fn source(&self, field: &Field, parameters: &mut Parameters) -> Result<Source> {
        Ok(match field {
            Field::Attribute(name) => Source::column(experiment_column(name).ok_or_else(|| unknown(field))?),
            Field::Tag(key) => {
                let key = parameters.bind(key);
                let select = format!("SELECT 1 FROM experiment_tag t WHERE t.experiment = experiment.id AND t.tag_key = {key}");
                Source::rows(select, "t.tag_value")
            }
            _ => return Err(unknown(field)),
        })
    }

    fn sort_key(&self, field: &Field, _: usize, _: &mut Parameters) -> Result<SortKey> {
        match field {
            Field::Attribute(name) => Ok(SortKey::column(experiment_column(name).ok_or_else(|| unknown(field))?)),
            _ => Err(unknown(field)),
        }
    }
}

fn experiment_column(name: &str) -> Option<&'static str> {
    Some(match name {
        "experiment_id" => "experiment.id",
        "name" => "experiment.name",
        "creation_time" => "(experiment.created_at / 1000)",
        "last_update_time" => "(experiment.updated_at / 1000)",
        _ => return None,
    })
}

struct LoggedModels<'a> {
    datasets: &'a [MetricDataset],
    /// The one that an order names beside its metric.
    dataset: Option<&'a MetricDataset>,
}

impl LoggedModels<'_> {
    /// What a metric must have been measured on, with `AND` before it.
    fn of_datasets(&self, parameters: &mut Parameters) -> String {
        let mut one = |MetricDataset { name, digest }: &MetricDataset| {
            let name = format!("m.dataset_name = {}", parameters.bind(name));
            match digest {
                Some(digest) => format!("({name} AND m.dataset_digest = {})", parameters.bind(digest)),
                None => name,
            }
        };
        let any: Vec<String> = self.datasets.iter().map(&mut one).collect();
        let mut conditions = String::new();
        if !any.is_empty() {
            conditions.push_str(&format!(" AND ({})", any.join(" OR ")));
        }
        if let Some(dataset) = self.dataset {
            conditions.push_str(&format!(" AND {}", one(dataset)));
        }
        conditions
    }

    /// A column of the latest point of a metric: the one with the greatest step, time and value.
    fn latest(&self, column: &str, key: &String, parameters: &mut Parameters) -> String {
        let key = parameters.bind(key);
        let of_datasets = self.of_datasets(parameters);
        format!(
            "(SELECT m.{column} FROM logged_model_metric m WHERE m.model = logged_model.id AND m.metric_key = {key}{of_datasets} \
             ORDER BY m.step DESC, m.logged_at DESC, m.is_nan, m.metric_value DESC LIMIT 1)"
        )
    }
}

impl Columns for LoggedModels<'_> {
    fn source(&self, field: &Field, parameters: &mut Parameters) -> Result<Source> {
        Ok(match field {
            Field::Attribute(name) => Source::column(logged_model_column(name).ok_or_else(|| unknown(field))?),
            Field::Metric(key) => {
                let is_nan = self.latest("is_nan", key, parameters);
                let sql = self.latest("metric_value", key, parameters);
                Source::Column(Value { sql, form: Form::Metric { is_nan } })
            }
            Field::Param(key) => {
                let key = parameters.bind(key);
                let select =
                    format!("SELECT 1 FROM logged_model_param p WHERE p.model = logged_model.id AND p.param_key = {key}");
                Source::rows(select, "p.param_value")
            }
            Field::Tag(key) => {
                let key = parameters.bind(key);
                let select = format!("SELECT 1 FROM logged_model_tag t WHERE t.model = logged_model.id AND t.tag_key = {key}");
                Source::rows(select, "t.tag_value")
            }
            _ => return Err(unknown(field)),
        })
    }

    fn sort_key(&self, field: &Field, _: usize, parameters: &mut Parameters) -> Result<SortKey> {
        match field {
            Field::Attribute(name) => Ok(SortKey::column(logged_model_column(name).ok_or_else(|| unknown(field))?)),
            Field::Metric(key) => Ok(SortKey {
                is_nan: Some(self.latest("is_nan", key, parameters)),
                ..SortKey::nullable(self.latest("metric_value", key, parameters))
            }),
            _ => Err(unknown(field)),
        }
    }
}

fn logged_model_column(name: &str) -> Option<&'static str> {
    Some(match name {
        "name" => "logged_model.name",
        "model_id" => "logged_model.id",
        "model_type" => "logged_model.model_type",
        "status" => "logged_model.status",
        "source_run_id" => "logged_model.source_run",
        "experiment_id" => "logged_model.experiment",
        "creation_timestamp" => "(logged_model.created_at / 1000)",
        "last_updated_timestamp" => "(logged_model.updated_at / 1000)",
        _ => return None,
    })
}
