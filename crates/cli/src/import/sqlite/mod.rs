//! MLflow's SQLite database as the source of an import.

mod files;
mod record;
mod schema;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lw_core::{Result, Scalar};
use lw_store::{ForeignSqlite, Row};
use serde_json::{Value, json};

use self::files::Folders;
use self::record::{number, opt_number, opt_text, text};
use self::schema::Schema;
use super::source::{
    Experiment, File, LoggedModel, ModelMetric, ModelVersion, Owner, Page, Point, RegisteredModel, Run, Source, Texts,
};

const N_RUNS_PER_PAGE: i64 = 200;
const N_MODELS_PER_PAGE: i64 = 100;
const N_POINTS_PER_PAGE: i64 = 10_000;

/// A database, with the folders where its artifacts lie.
#[derive(Debug)]
pub struct Sqlite {
    database: Mutex<ForeignSqlite>,
    schema: Schema,
    folders: Folders,
}

impl Sqlite {
    /// Opens a database, and says what of it is left out.
    pub fn open(path: &Path, artifacts: Option<PathBuf>) -> Result<(Self, Vec<String>)> {
        let mut database = ForeignSqlite::open(path)?;
        let (schema, remarks) = Schema::of(&mut database, path)?;
        let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Ok((Self { database: Mutex::new(database), schema, folders: Folders::new(base, artifacts) }, remarks))
    }

    fn database(&self) -> MutexGuard<'_, ForeignSqlite> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self, sql: &str, parameters: &[Scalar]) -> Result<Vec<Row>> {
        self.database().query(sql, parameters)
    }

    /// Two columns named `key` and `value` as pairs, in the order of the keys.
    fn pairs(&self, sql: &str, parameters: &[Scalar]) -> Result<Vec<(String, String)>> {
        Ok(self.rows(sql, parameters)?.iter().map(|row| (text(row, "key"), text(row, "value"))).collect())
    }

    fn texts(&self, sql: &str, parameters: &[Scalar]) -> Result<Texts> {
        Ok(self.pairs(sql, parameters)?.into_iter().collect())
    }

    fn run(&self, row: &Row) -> Result<Run> {
        let of_run = [Scalar::from(text(row, "run_uuid").as_str())];
        let mut run = record::run(row);
        run.params = self.pairs("SELECT key, value FROM params WHERE run_uuid = $1 ORDER BY key", &of_run)?;
        run.tags = self.texts("SELECT key, value FROM tags WHERE run_uuid = $1", &of_run)?;
        let counted = self.rows("SELECT COUNT(*) AS n FROM metrics WHERE run_uuid = $1", &of_run)?;
        run.n_points = counted.first().and_then(|row| u64::try_from(number(row, "n")).ok());
        if self.schema.has_inputs {
            run.datasets = self.datasets(&of_run)?;
            let models = "SELECT destination_id AS id FROM inputs WHERE source_type = 'RUN_INPUT' AND source_id = $1 AND \
                          destination_type = 'MODEL_INPUT' ORDER BY id";
            run.model_inputs = self.rows(models, &of_run)?.iter().map(|row| text(row, "id")).collect();
        }
        if self.schema.has_outputs {
            let models = "SELECT destination_id AS id, step FROM inputs WHERE source_type = 'RUN_OUTPUT' AND source_id = $1 AND \
                          destination_type = 'MODEL_OUTPUT' ORDER BY step, id";
            run.model_outputs = self.rows(models, &of_run)?.iter().map(|row| (text(row, "id"), number(row, "step"))).collect();
        }
        Ok(run)
    }

    /// The datasets of a run, as `runs/log-inputs` takes them.
    fn datasets(&self, of_run: &[Scalar]) -> Result<Vec<Value>> {
        let sql = "SELECT i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, d.dataset_schema, \
                   d.dataset_profile FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id \
                   WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND i.destination_id = $1 ORDER BY i.rowid";
        let mut datasets = Vec::new();
        for row in self.rows(sql, of_run)? {
            let of_input = [Scalar::from(text(&row, "input_uuid").as_str())];
            let tags = self.pairs("SELECT name AS key, value FROM input_tags WHERE input_uuid = $1 ORDER BY name", &of_input)?;
            let tags: Vec<Value> = tags.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
            let mut dataset = json!({
                "name": text(&row, "name"), "digest": text(&row, "digest"),
                "source_type": text(&row, "dataset_source_type"), "source": text(&row, "dataset_source"),
            });
            for (name, column) in [("schema", "dataset_schema"), ("profile", "dataset_profile")] {
                if let Some(text) = opt_text(&row, column) {
                    dataset[name] = text.into();
                }
            }
            datasets.push(json!({"tags": tags, "dataset": dataset}));
        }
        Ok(datasets)
    }

    fn logged_model(&self, row: &Row) -> Result<LoggedModel> {
        let mut model = record::logged_model(row);
        let of_model = [Scalar::from(model.id.as_str())];
        let params = "SELECT param_key AS key, param_value AS value FROM logged_model_params WHERE model_id = $1";
        model.params = self.texts(params, &of_model)?;
        model.tags =
            self.texts("SELECT tag_key AS key, tag_value AS value FROM logged_model_tags WHERE model_id = $1", &of_model)?;
        let metrics = "SELECT run_id, metric_name, metric_timestamp_ms, metric_step, metric_value, dataset_name, dataset_digest \
                       FROM logged_model_metrics WHERE model_id = $1 ORDER BY metric_name, metric_timestamp_ms, metric_step, run_id";
        model.metrics = self.rows(metrics, &of_model)?.iter().map(record::model_metric).collect::<Vec<ModelMetric>>();
        Ok(model)
    }

    fn registered_model(&self, row: &Row) -> Result<RegisteredModel> {
        let mut model = record::registered_model(row);
        let of_model = [Scalar::from(model.name.as_str())];
        let within = self.schema.registry_workspace;
        let tags = format!("SELECT key, value FROM registered_model_tags WHERE name = $1{within}");
        model.tags = self.texts(&tags, &of_model)?;
        if self.schema.has_aliases {
            let aliases = format!("SELECT alias, version FROM registered_model_aliases WHERE name = $1{within} ORDER BY alias");
            let alias = |row: &Row| Some((text(row, "alias"), u64::try_from(opt_number(row, "version")?).ok()?));
            model.aliases = self.rows(&aliases, &of_model)?.iter().filter_map(alias).collect();
        }
        let sql = format!(
            "SELECT {} FROM model_versions WHERE name = $1{within} AND current_stage <> 'Deleted_Internal' ORDER BY version",
            self.schema.version_columns
        );
        for row in self.rows(&sql, &of_model)? {
            let mut version: ModelVersion = record::model_version(&row);
            let of_version = [Scalar::from(model.name.as_str()), Scalar::from(version.version)];
            let tags = format!("SELECT key, value FROM model_version_tags WHERE name = $1 AND version = $2{within}");
            version.tags = self.texts(&tags, &of_version)?;
            model.versions.push(version);
        }
        Ok(model)
    }
}

/// Reads one row more than a page has, to see whether there is a next one.
fn page_of<T>(rows: Vec<Row>, limit: i64, key: &str, read: impl FnMut(&Row) -> Result<T>) -> Result<Page<T>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let next =
        if rows.len() > limit { limit.checked_sub(1).and_then(|last| rows.get(last)).map(|row| text(row, key)) } else { None };
    Ok(Page { items: rows.iter().take(limit).map(read).collect::<Result<_>>()?, next })
}

impl Source for Sqlite {
    fn experiments(&self) -> Result<Vec<Experiment>> {
        let sql = format!(
            "SELECT {} FROM experiments WHERE 1 = 1{} ORDER BY experiment_id",
            self.schema.experiment_columns, self.schema.tracking_workspace
        );
        let mut experiments: Vec<Experiment> = self.rows(&sql, &[])?.iter().map(record::experiment).collect();
        for experiment in &mut experiments {
            let id = experiment.id.parse::<i64>().unwrap_or(-1);
            experiment.tags = self.texts("SELECT key, value FROM experiment_tags WHERE experiment_id = $1", &[id.into()])?;
        }
        Ok(experiments)
    }

    fn runs(&self, experiment: &str, page: Option<String>) -> Result<Page<Run>> {
        let sql = format!(
            "SELECT {} FROM runs WHERE experiment_id = $1 AND run_uuid > $2 ORDER BY run_uuid LIMIT $3",
            self.schema.run_columns
        );
        let experiment: i64 = experiment.parse().unwrap_or(-1);
        let parameters = [experiment.into(), page.unwrap_or_default().as_str().into(), (N_RUNS_PER_PAGE + 1).into()];
        page_of(self.rows(&sql, &parameters)?, N_RUNS_PER_PAGE, "run_uuid", |row| self.run(row))
    }

    fn points(&self, run: &Run, sink: &mut dyn FnMut(Vec<Point>) -> Result<()>) -> Result<()> {
        // By the place of the rows, which an index over runs holds beside the run: each page begins where the last one ended.
        let sql = "SELECT rowid AS place, key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = $1 AND rowid > $2 \
                   ORDER BY rowid LIMIT $3";
        let mut place = i64::MIN;
        loop {
            let rows = self.rows(sql, &[run.id.as_str().into(), place.into(), N_POINTS_PER_PAGE.into()])?;
            let Some(last) = rows.last() else { return Ok(()) };
            place = number(last, "place");
            sink(rows.iter().map(record::point).collect())?;
        }
    }

    fn logged_models(&self, experiment: &str, page: Option<String>) -> Result<Page<LoggedModel>> {
        if !self.schema.has_logged_models {
            return Ok(Page::last(Vec::new()));
        }
        let sql = "SELECT model_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms, status, \
                   lifecycle_stage, model_type, source_run_id FROM logged_models WHERE experiment_id = $1 AND model_id > $2 \
                   ORDER BY model_id LIMIT $3";
        let experiment: i64 = experiment.parse().unwrap_or(-1);
        let parameters = [experiment.into(), page.unwrap_or_default().as_str().into(), (N_MODELS_PER_PAGE + 1).into()];
        page_of(self.rows(sql, &parameters)?, N_MODELS_PER_PAGE, "model_id", |row| self.logged_model(row))
    }

    fn registered_models(&self, page: Option<String>) -> Result<Page<RegisteredModel>> {
        let sql = format!(
            "SELECT name, creation_time, last_updated_time, description FROM registered_models WHERE name > $1{} \
             ORDER BY name LIMIT $2",
            self.schema.registry_workspace
        );
        let parameters = [page.unwrap_or_default().as_str().into(), (N_MODELS_PER_PAGE + 1).into()];
        page_of(self.rows(&sql, &parameters)?, N_MODELS_PER_PAGE, "name", |row| self.registered_model(row))
    }

    fn files(&self, owner: &Owner) -> Result<Vec<File>> {
        self.folders.files(owner)
    }

    fn open(&self, owner: &Owner, path: &str) -> Result<Box<dyn Read + Send>> {
        self.folders.open(owner, path)
    }
}
