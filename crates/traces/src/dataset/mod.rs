//! Evaluation datasets: sets of inputs with what is expected of them.

mod record;
mod search;

use std::collections::BTreeMap;

use lw_core::{Change, Ctx, Digest, Draft, Error, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use lw_tracking::{EXPERIMENT_NOT_FOUND, ExperimentId};

pub use record::{DatasetRecord, RecordPage, Upserted};
pub use search::DatasetPage;

use crate::json::Json;
use crate::{BAD_DATASET_RECORD, EVALUATION_DATASET_NOT_FOUND, Traces, queries};

/// The tag that names who made or changed a dataset or a record.
const USER_TAG: &str = "mlflow.user";

#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationDataset {
    pub id: String,
    pub name: String,
    /// Changes with every change of the records.
    pub digest: String,
    /// The types of the fields of its records as JSON; none before there are records.
    pub schema: Option<String>,
    pub n_records: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub created_by: Option<String>,
    pub updated_by: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// Ids of the experiments that it belongs to, as they were given.
    pub experiments: Vec<String>,
}

impl EvaluationDataset {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            name: row.text("name")?,
            digest: row.text("digest")?,
            schema: row.opt_text("dataset_schema")?,
            n_records: row.count("n_records")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            created_by: row.opt_text("created_by")?,
            updated_by: row.opt_text("updated_by")?,
            tags: BTreeMap::new(),
            experiments: Vec::new(),
        })
    }

    fn subject(&self) -> Subject {
        Subject::unversioned(SubjectKind::EvaluationDataset, &self.id)
    }

    fn change(&self) -> Change {
        Change::put("evaluation_dataset")
            .key("id", &self.id)
            .set("name", &self.name)
            .set("digest", &self.digest)
            .set("dataset_schema", self.schema.as_deref())
            .set("n_records", self.n_records)
            .set("created_at", self.created_at)
            .set("updated_at", self.updated_at)
            .set("created_by", self.created_by.as_deref())
            .set("updated_by", self.updated_by.as_deref())
    }

    fn record(&self, tx: &mut Tx<'_>, action: &'static str) -> Result<()> {
        let payload = serde_json::json!({"name": self.name, "digest": self.digest, "n_records": self.n_records});
        tx.record(Draft::new(action, self.subject()).payload(payload).change(self.change())).map(drop)
    }
}

/// The digest of a dataset that was changed at a time.
fn digest(name: &str, time: Timestamp) -> String {
    Digest::of(format!("{name}:{}", time.millis()).as_bytes())
        .as_bytes()
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Traces {
    /// Makes a dataset. Names need not be unique.
    pub async fn create_dataset(
        &self,
        ctx: &Ctx,
        name: &str,
        tags: BTreeMap<String, String>,
        experiments: Vec<String>,
    ) -> Result<EvaluationDataset> {
        if name.is_empty() {
            return Err(BAD_DATASET_RECORD.error("an evaluation dataset needs a name"));
        }
        let user = tags.get(USER_TAG).cloned();
        let now = ctx.now();
        let dataset = EvaluationDataset {
            id: format!("d-{}", ctx.ids.next_hex()),
            name: name.to_owned(),
            digest: digest(name, now),
            schema: None,
            n_records: 0,
            created_at: now,
            updated_at: now,
            created_by: user.clone(),
            updated_by: user,
            tags,
            experiments,
        };
        self.store
            .write(ctx, move |tx| {
                queries::put_dataset_tags(tx, &dataset.id, &dataset.tags)?;
                queries::put_dataset_experiments(tx, &dataset.id, &dataset.experiments)?;
                dataset.record(tx, "evaluation_dataset.create")?;
                Ok(dataset)
            })
            .await
    }

    pub async fn dataset(&self, id: &str) -> Result<EvaluationDataset> {
        let id = id.to_owned();
        self.store.read(move |reader| found(reader, &id)).await
    }

    /// Deletes a dataset with its records. Deleting one that is not there is no error.
    pub async fn remove_dataset(&self, ctx: &Ctx, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.store
            .write(ctx, move |tx| {
                let Some(dataset) = queries::dataset(tx, &id)? else { return Ok(()) };
                queries::remove_dataset_parts(tx, &id)?;
                let change = Change::remove("evaluation_dataset").key("id", &id);
                let payload = serde_json::json!({"name": dataset.name});
                tx.record(Draft::new("evaluation_dataset.delete", dataset.subject()).payload(payload).change(change)).map(drop)
            })
            .await
    }

    pub async fn tag_dataset(&self, ctx: &Ctx, id: &str, tags: BTreeMap<String, String>) -> Result<()> {
        let id = id.to_owned();
        self.store
            .write(ctx, move |tx| {
                let missing = || EVALUATION_DATASET_NOT_FOUND.error(format!("Could not find evaluation dataset with ID {id}"));
                queries::dataset(tx, &id)?.ok_or_else(missing)?;
                queries::put_dataset_tags(tx, &id, &tags)
            })
            .await
    }

    /// Takes a tag off. One that is not there is no error.
    pub async fn remove_dataset_tag(&self, ctx: &Ctx, id: &str, key: &str) -> Result<()> {
        let (id, key) = (id.to_owned(), key.to_owned());
        self.store.write(ctx, move |tx| queries::remove_dataset_tag(tx, &id, &key)).await
    }

    /// The ids of the experiments that a dataset belongs to; none for one that is not there.
    pub async fn dataset_experiments(&self, id: &str) -> Result<Vec<String>> {
        let id = id.to_owned();
        self.store.read(move |reader| queries::dataset_experiments(reader, &id)).await
    }

    /// Adds a dataset to experiments, which must be there, and takes it out of others.
    pub async fn move_dataset(&self, ctx: &Ctx, id: &str, into: Vec<String>, out_of: Vec<String>) -> Result<EvaluationDataset> {
        let id = id.to_owned();
        self.store
            .write(ctx, move |tx| {
                let missing = || EVALUATION_DATASET_NOT_FOUND.error(format!("Dataset '{id}' not found"));
                let mut dataset = queries::dataset(tx, &id)?.ok_or_else(missing)?;
                for experiment in &into {
                    let known = ExperimentId::parse(experiment).ok();
                    let is_known = known.map(|known| queries::experiment_lifecycle(tx, known)).transpose()?.flatten().is_some();
                    if !is_known {
                        return Err(EXPERIMENT_NOT_FOUND.error(format!("No Experiment with id={experiment}")));
                    }
                }
                queries::put_dataset_experiments(tx, &id, &into)?;
                queries::remove_dataset_experiments(tx, &id, &out_of)?;
                dataset.updated_at = tx.now();
                dataset.record(tx, "evaluation_dataset.move")?;
                Ok(dataset)
            })
            .await
    }
}

fn found(reader: &mut Reader<'_>, id: &str) -> Result<EvaluationDataset> {
    queries::dataset(reader, id)?.ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Error {
    EVALUATION_DATASET_NOT_FOUND.error(format!("Evaluation dataset with id '{id}' not found"))
}

/// What a value is called in a dataset's schema.
fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Int(_) => "integer",
        Json::Float(_) => "float",
        Json::Text(_) => "string",
        Json::List(_) => "array",
        Json::Object(_) => "object",
    }
}
