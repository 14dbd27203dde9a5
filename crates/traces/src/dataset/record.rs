//! The records of evaluation datasets.

use lw_core::{Ctx, Digest, Result, Timestamp};
use lw_store::{Row, Tx};

use super::{EvaluationDataset, USER_TAG, digest, found, type_name};
use crate::json::{Fields, Json};
use crate::{BAD_DATASET_RECORD, Traces, queries};

/// Where records come from.
const SOURCE_TYPES: [&str; 5] = ["UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE"];

#[derive(Debug, Clone, PartialEq)]
pub struct DatasetRecord {
    pub id: String,
    pub inputs: Fields,
    pub outputs: Option<Json>,
    pub expectations: Option<Fields>,
    pub tags: Fields,
    /// Its `source_type` and `source_data`.
    pub source: Option<Fields>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub created_by: Option<String>,
    pub updated_by: Option<String>,
}

/// How many records were added and how many were there already and have been changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Upserted {
    pub n_inserted: u64,
    pub n_updated: u64,
}

/// A page of records, in the order in which they were added.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordPage {
    pub records: Vec<DatasetRecord>,
    /// The last record of the page, if more follow.
    pub next: Option<(Timestamp, String)>,
}

impl DatasetRecord {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        let json = |column: &str| Ok(row.opt_text(column)?.and_then(|text| Json::parse(&text)));
        let fields = |column: &str| -> Result<Option<Fields>> {
            Ok(json(column)?.and_then(|json: Json| if let Json::Object(fields) = json { Some(fields) } else { None }))
        };
        Ok(Self {
            id: row.text("id")?,
            inputs: fields("inputs")?.unwrap_or_default(),
            outputs: json("outputs")?,
            expectations: fields("expectations")?,
            tags: fields("tags")?.unwrap_or_default(),
            source: fields("source")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            created_by: row.opt_text("created_by")?,
            updated_by: row.opt_text("updated_by")?,
        })
    }

    /// Changes the record by one with the same inputs.
    fn merge(&mut self, given: &Given, now: Timestamp) {
        if let Some(outputs) = &given.outputs {
            self.outputs = Some(outputs.clone()).filter(|outputs| *outputs != Json::Null);
        }
        if let Some(expectations) = given.expectations.as_ref().filter(|given| !given.0.is_empty()) {
            let held = self.expectations.get_or_insert_default();
            expectations.0.iter().for_each(|(name, value)| held.set(name, value.clone()));
        }
        given.tags.0.iter().for_each(|(name, value)| self.tags.set(name, value.clone()));
        self.updated_by = given.user().or(self.updated_by.take());
        self.updated_at = now;
    }
}

/// A record as it was sent.
struct Given {
    inputs: Fields,
    input_digest: String,
    /// None if nothing was said of outputs, NULL if they were said to be none.
    outputs: Option<Json>,
    expectations: Option<Fields>,
    tags: Fields,
    source: Option<Fields>,
}

impl Given {
    fn parse(record: Json) -> Result<Self> {
        let bad = |what: &str| BAD_DATASET_RECORD.error(format!("a record's {what}"));
        let Json::Object(mut record) = record else { return Err(bad("JSON is no object")) };
        let mut take = |name: &str| {
            let place = record.0.iter().position(|(known, _)| known == name)?;
            Some(record.0.swap_remove(place).1)
        };
        let object = |name: &str, value: Option<Json>| match value {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Object(fields)) => Ok(Some(fields)),
            Some(_) => Err(bad(&format!("{name} are no object"))),
        };
        let inputs = object("inputs", take("inputs"))?.unwrap_or_default();
        let source = object("source", take("source"))?.map(checked_source).transpose()?;
        let sorted: serde_json::Value =
            serde_json::from_str(&inputs.dumped()).map_err(|error| bad("inputs hold a number that is none").cause(error))?;
        Ok(Self {
            input_digest: Digest::of(sorted.to_string().as_bytes()).to_string(),
            outputs: take("outputs"),
            expectations: object("expectations", take("expectations"))?,
            tags: object("tags", take("tags"))?.unwrap_or_default(),
            inputs,
            source,
        })
    }

    fn user(&self) -> Option<String> {
        self.tags.get(USER_TAG).and_then(Json::as_text).map(str::to_owned)
    }

    fn record(&self, id: String, now: Timestamp) -> DatasetRecord {
        let outputs = self.outputs.clone().unwrap_or_else(|| Json::Object(Fields::default()));
        DatasetRecord {
            id,
            inputs: self.inputs.clone(),
            outputs: Some(outputs).filter(|outputs| *outputs != Json::Null),
            expectations: self.expectations.clone(),
            tags: self.tags.clone(),
            source: self.source.clone(),
            created_at: now,
            updated_at: now,
            created_by: self.user(),
            updated_by: self.user(),
        }
    }
}

fn checked_source(mut source: Fields) -> Result<Fields> {
    let kind = source.get("source_type").and_then(Json::as_text).unwrap_or_default().to_uppercase();
    if !SOURCE_TYPES.contains(&kind.as_str()) {
        let valid = SOURCE_TYPES.map(|kind| format!("'{kind}'")).join(", ");
        return Err(
            BAD_DATASET_RECORD.error(format!("Invalid dataset record source type: {kind}. Valid source types: [{valid}]"))
        );
    }
    source.set("source_type", Json::Text(kind));
    if source.get("source_data").is_none_or(|data| *data == Json::Null) {
        source.set("source_data", Json::Object(Fields::default()));
    }
    Ok(source)
}

impl Traces {
    /// Adds records, a JSON list of objects with `inputs`, `outputs`, `expectations`, `tags` and `source`. Records whose inputs are
    /// there already change those.
    pub async fn upsert_records(&self, ctx: &Ctx, dataset: &str, records: &str) -> Result<Upserted> {
        let bad = || BAD_DATASET_RECORD.error("records are no JSON list").hint("send a list of objects, each with `inputs`");
        let Some(Json::List(records)) = Json::parse(records) else { return Err(bad()) };
        let records = records.into_iter().map(Given::parse).collect::<Result<Vec<_>>>()?;
        let (dataset, ids) = (dataset.to_owned(), ctx.ids.clone());
        self.store
            .write(ctx, move |tx| {
                let mut dataset = found(tx, &dataset)?;
                let mut counts = Upserted::default();
                for given in &records {
                    upsert(tx, &mut dataset, given, format!("dr-{}", ids.next_hex()), &mut counts)?;
                }
                let now = tx.now();
                dataset.schema = Some(schema(dataset.schema.as_deref(), &records));
                dataset.n_records += counts.n_inserted;
                dataset.digest = digest(&dataset.name, now);
                dataset.updated_at = now;
                dataset.updated_by = records.iter().rev().find_map(Given::user);
                dataset.record(tx, "evaluation_dataset.change")?;
                Ok(counts)
            })
            .await
    }

    /// Records of a dataset; none of one that is not there.
    pub async fn records(&self, dataset: &str, limit: u64, after: Option<(Timestamp, String)>) -> Result<RecordPage> {
        let dataset = dataset.to_owned();
        let limit = limit.clamp(1, 50_000);
        self.store
            .read(move |reader| {
                let mut records = queries::records(reader, &dataset, limit + 1, after.as_ref())?;
                let has_more = records.len() as u64 > limit;
                records.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                let next = records.last().filter(|_| has_more).map(|record| (record.created_at, record.id.clone()));
                Ok(RecordPage { records, next })
            })
            .await
    }

    /// Removes records and returns how many were there.
    pub async fn remove_records(&self, ctx: &Ctx, dataset: &str, ids: Vec<String>) -> Result<u64> {
        let dataset = dataset.to_owned();
        self.store
            .write(ctx, move |tx| {
                let Some(mut dataset) = queries::dataset(tx, &dataset)? else { return Ok(0) };
                let n_removed = queries::remove_records(tx, &dataset.id, &ids)?;
                if n_removed > 0 {
                    dataset.n_records = dataset.n_records.saturating_sub(n_removed);
                    dataset.updated_at = tx.now();
                    dataset.digest = digest(&dataset.name, dataset.updated_at);
                    dataset.record(tx, "evaluation_dataset.change")?;
                }
                Ok(n_removed)
            })
            .await
    }
}

fn upsert(tx: &mut Tx<'_>, dataset: &mut EvaluationDataset, given: &Given, id: String, counts: &mut Upserted) -> Result<()> {
    let now = tx.now();
    let record = match queries::record_by_input(tx, &dataset.id, &given.input_digest)? {
        Some(mut known) => {
            known.merge(given, now);
            counts.n_updated += 1;
            known
        }
        None => {
            counts.n_inserted += 1;
            given.record(id, now)
        }
    };
    queries::put_record(tx, &dataset.id, &given.input_digest, &record)
}

/// The schema with the fields of new records added.
fn schema(known: Option<&str>, records: &[Given]) -> String {
    let empty = || ["inputs", "outputs", "expectations"].map(|part| (part.to_owned(), Json::Object(Fields::default())));
    let mut schema = match known.and_then(Json::parse) {
        Some(Json::Object(fields)) => fields,
        _ => empty().into_iter().chain([("version".to_owned(), Json::Text("1.0".to_owned()))]).collect(),
    };
    let mut add = |part: &str, fields: &Fields| {
        let mut types = schema.get(part).and_then(Json::as_fields).cloned().unwrap_or_default();
        for (name, value) in &fields.0 {
            if types.get(name).is_none() {
                types.set(name, Json::Text(type_name(value).to_owned()));
            }
        }
        schema.set(part, Json::Object(types));
    };
    for record in records {
        add("inputs", &record.inputs);
        if let Some(Json::Object(fields)) = &record.outputs {
            add("outputs", fields);
        }
        if let Some(expectations) = &record.expectations {
            add("expectations", expectations);
        }
    }
    let plain = records.iter().filter_map(|record| record.outputs.as_ref());
    let plain = plain.filter(|outputs| !matches!(outputs, Json::Null | Json::Object(_))).map(type_name).next();
    if let Some(plain) = plain
        && schema.get("outputs").and_then(Json::as_fields).is_some_and(|fields| fields.0.is_empty())
    {
        schema.set("outputs", Json::Text(plain.to_owned()));
    }
    schema.dumped()
}
