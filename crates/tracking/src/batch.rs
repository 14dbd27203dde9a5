//! What a run logs at once, and the limits of it.

use lw_core::{Ctx, Result, RunId, Timestamp};
use lw_store::Tx;

use crate::key::{MAX_KEY_CHARS, check_form, check_length, quoted, truncated};
use crate::logged_model::{self, ModelMetric};
use crate::run::{self, NAME_TAG, Target};
use crate::seal::{self, Part};
use crate::{BATCH_TOO_LARGE, DUPLICATE_PARAM, MetricPoint, PARAM_CHANGED, TAG_NOT_FOUND, Tracking, metric, queries};

const MAX_METRICS: usize = 1000;
const MAX_PARAMS: usize = 100;
const MAX_TAGS: usize = 100;
const MAX_TOTAL: usize = 1000;
pub(crate) const MAX_PARAM_CHARS: usize = 6000;
pub(crate) const MAX_TAG_CHARS: usize = 8000;

/// Metrics, parameters and tags that are logged in one transaction: all of them or none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    pub metrics: Vec<(String, MetricPoint)>,
    /// Which of the points were measured of a logged model, too.
    pub model_metrics: Vec<ModelMetric>,
    pub params: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
}

/// How errors name an item: a single one, or one of a list.
#[derive(Clone, Copy, PartialEq)]
enum Naming {
    Single,
    Listed,
}

impl Batch {
    #[must_use]
    pub fn metric(mut self, key: &str, value: f64, at: Timestamp, step: i64) -> Self {
        self.metrics.push((key.to_owned(), MetricPoint { value, at, step }));
        self
    }

    #[must_use]
    pub fn param(mut self, key: &str, value: impl Into<String>) -> Self {
        self.params.push((key.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub fn tag(mut self, key: &str, value: impl Into<String>) -> Self {
        self.tags.push((key.to_owned(), value.into()));
        self
    }

    /// Checks the limits and brings values into the form in which they are stored. What is wrong is found in MLflow's order.
    fn prepared(mut self, naming: Naming) -> Result<Self> {
        let path = |list: &str, index: usize, field: &str| match naming {
            Naming::Single => field.to_owned(),
            Naming::Listed => format!("{list}[{index}].{field}"),
        };
        for (index, (key, point)) in self.metrics.iter_mut().enumerate() {
            check_form(key, || path("metrics", index, "name"))?;
            metric::check_time(key, point, || path("metrics", index, "timestamp"))?;
            check_length(|| "Metric name".to_owned(), key, MAX_KEY_CHARS)?;
            *point = point.bounded();
        }
        for (index, (key, value)) in self.params.iter_mut().enumerate() {
            check_form(key, || path("params", index, "key"))?;
            check_length(|| "Param key".to_owned(), key, MAX_KEY_CHARS)?;
            value.truncate(truncated(value, MAX_PARAM_CHARS).len());
        }
        for (index, (key, value)) in self.tags.iter_mut().enumerate() {
            check_form(key, || path("tags", index, "key"))?;
            check_length(|| path("tags", index, "key"), key, MAX_KEY_CHARS)?;
            value.truncate(truncated(value, MAX_TAG_CHARS).len());
        }
        check_limit("metrics", self.metrics.len(), MAX_METRICS)?;
        check_limit("params", self.params.len(), MAX_PARAMS)?;
        check_limit("tags", self.tags.len(), MAX_TAGS)?;
        check_limit("metrics, params, and tags", self.metrics.len() + self.params.len() + self.tags.len(), MAX_TOTAL)?;
        check_params_once(&self.params)?;
        for ModelMetric { point, .. } in &mut self.model_metrics {
            *point = point.bounded();
        }
        Ok(self)
    }
}

impl Tracking {
    /// Logs a batch in one transaction. A parameter may be repeated with the same value; a metric point that was logged before
    /// is not logged again, so that repeating the whole call is safe.
    pub async fn log(&self, ctx: &Ctx, run: &RunId, batch: Batch) -> Result<()> {
        self.log_prepared(ctx, run, batch.prepared(Naming::Listed)?, Naming::Listed).await
    }

    /// Logs one metric, parameter or tag: [`Self::log`] with errors that name no place in a list.
    pub async fn log_single(&self, ctx: &Ctx, run: &RunId, batch: Batch) -> Result<()> {
        self.log_prepared(ctx, run, batch.prepared(Naming::Single)?, Naming::Single).await
    }

    async fn log_prepared(&self, ctx: &Ctx, run: &RunId, batch: Batch, naming: Naming) -> Result<()> {
        let run = run.clone();
        self.store.write(ctx, move |tx| write(tx, &run, &batch, naming)).await
    }

    /// Adds a model to the list in a tag in which MLflow's clients before 3.0 keep what a run logged.
    pub async fn note_model(&self, ctx: &Ctx, run: &RunId, model: serde_json::Value) -> Result<()> {
        const TAG: &str = "mlflow.log-model.history";
        let run = run.clone();
        self.store
            .write(ctx, move |tx| {
                let target = run::target(tx, &run)?;
                let before = queries::tag_of(tx, target.number, TAG)?;
                let mut models: Vec<serde_json::Value> =
                    before.and_then(|before| serde_json::from_str(&before).ok()).unwrap_or_default();
                models.push(model);
                // Cutting JSON would break it, so that the oldest models go first.
                let mut text = serde_json::Value::from(models.clone()).to_string();
                while text.chars().count() > MAX_TAG_CHARS && models.len() > 1 {
                    models.remove(0);
                    text = serde_json::Value::from(models.clone()).to_string();
                }
                queries::put_tags(tx, target.number, [(TAG, text.as_str())].into_iter())?;
                seal::renew(tx, &run, &target, &[Part::Tags])
            })
            .await
    }

    pub async fn remove_tag(&self, ctx: &Ctx, run: &RunId, key: &str) -> Result<()> {
        let (run, key) = (run.clone(), key.to_owned());
        self.store
            .write(ctx, move |tx| {
                let target = run::target(tx, &run)?;
                if queries::remove_tag(tx, target.number, &key)? {
                    return seal::renew(tx, &run, &target, &[Part::Tags]);
                }
                Err(TAG_NOT_FOUND.error(format!("No tag with name: {key} in run with id {run}")))
            })
            .await
    }
}

/// Logs a batch that is prepared.
fn write(tx: &mut Tx<'_>, run: &RunId, batch: &Batch, naming: Naming) -> Result<()> {
    let target = run::target(tx, run)?;
    if !queries::insert_params(tx, target.number, &batch.params)? {
        check_same_params(tx, run, &target, &batch.params, naming)?;
    }
    metric::put(tx, target.number, &batch.metrics)?;
    logged_model::put_metrics(tx, run, &batch.model_metrics)?;
    // Of a tag that stands twice the last one counts.
    let mut tags: Vec<(&str, &str)> = batch.tags.iter().rev().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    // An empty name is none.
    tags.retain(|(key, value)| *key != NAME_TAG || !value.is_empty());
    tags.sort_by_key(|(key, _)| *key);
    tags.dedup_by_key(|(key, _)| *key);
    queries::put_tags(tx, target.number, tags.iter().copied())?;
    match tags.iter().find(|(key, _)| *key == NAME_TAG) {
        Some((_, name)) if *name != target.name => run::rename(tx, run, name)?,
        _ => {}
    }
    let mut parts = Vec::new();
    parts.extend((!batch.params.is_empty()).then_some(Part::Params));
    parts.extend((!batch.metrics.is_empty()).then_some(Part::Metrics));
    parts.extend((!tags.is_empty()).then_some(Part::Tags));
    seal::renew(tx, run, &target, &parts)
}

fn check_same_params(tx: &mut Tx<'_>, run: &RunId, target: &Target, params: &[(String, String)], naming: Naming) -> Result<()> {
    let stored = queries::params_of_one(tx, target.number)?;
    let before = |key: &String| stored.get(key).map_or("", String::as_str);
    let changed: Vec<_> = params.iter().filter(|(key, value)| stored.get(key) != Some(value)).collect();
    let Some((key, value)) = changed.first() else { return Ok(()) };
    let message = match naming {
        Naming::Single => format!(
            "Changing param values is not allowed. Param with key='{key}' was already logged with value='{}' for run ID='{run}'. \
             Attempted logging new value '{value}'.",
            before(key)
        ),
        Naming::Listed => {
            let item = |(key, value): &&(String, String)| {
                format!("{{'key': {}, 'old_value': {}, 'new_value': {}}}", quoted(key), quoted(before(key)), quoted(value))
            };
            let items: Vec<String> = changed.iter().map(item).collect();
            format!(
                "Changing param values is not allowed. Params were already logged='[{}]' for run ID='{run}'.",
                items.join(", ")
            )
        }
    };
    Err(PARAM_CHANGED.error(message).hint("parameters never change; start another run, or log a tag or a metric"))
}

fn check_params_once(params: &[(String, String)]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    let repeated: Vec<String> = params.iter().filter(|(key, _)| !seen.insert(key)).map(|(key, _)| quoted(key)).collect();
    if repeated.is_empty() {
        return Ok(());
    }
    Err(DUPLICATE_PARAM.error(format!(
        "Duplicate parameter keys have been submitted: [{}]. Please ensure the request contains only one param value per param key.",
        repeated.join(", ")
    )))
}

fn check_limit(what: &str, n_items: usize, limit: usize) -> Result<()> {
    if n_items <= limit {
        return Ok(());
    }
    Err(BATCH_TOO_LARGE
        .error(format!(
            "A batch logging request can contain at most {limit} {what}. Got {n_items} {what}. Please split up {what} across \
             multiple requests and try again."
        ))
        .hint("log them in several batches"))
}
