//! The statements of traces, one function each.

mod assessment;
mod dataset;
mod label_schema;
mod scorer;

use std::collections::{BTreeMap, HashMap};

use lw_core::{Result, Scalar};
use lw_store::{Cell, Insert, Reader, Row, Tx};
use lw_tracking::ExperimentId;

pub(crate) use assessment::*;
pub(crate) use dataset::*;
pub(crate) use label_schema::*;
pub(crate) use scorer::*;

use crate::Trace;

static PUT_TAG: Insert<3> = Insert::new(
    "INSERT INTO trace_tag (trace, tag_key, tag_value)",
    "ON CONFLICT (trace, tag_key) DO UPDATE SET tag_value = EXCLUDED.tag_value",
);
static PUT_METADATA: Insert<3> = Insert::new(
    "INSERT INTO trace_metadata (trace, metadata_key, metadata_value)",
    "ON CONFLICT (trace, metadata_key) DO UPDATE SET metadata_value = EXCLUDED.metadata_value",
);
static ADD_METADATA: Insert<3> = Insert::new(
    "INSERT INTO trace_metadata (trace, metadata_key, metadata_value)",
    "ON CONFLICT (trace, metadata_key) DO NOTHING",
);
static LINK: Insert<3> = Insert::new("INSERT INTO trace_link (target_kind, target, trace)", "ON CONFLICT DO NOTHING");
static REMOVAL: Insert<1> = Insert::new("INSERT INTO trace_removal (incarnation)", "ON CONFLICT DO NOTHING");

/// How many ids one statement names.
const N_IDS: usize = 500;

pub(crate) fn places(n: usize, first: usize) -> String {
    (first..first + n).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

/// Runs a statement for ids in groups. `{ids}` in it stands for their placeholders.
pub(crate) fn by_ids(reader: &mut Reader<'_>, sql: &str, ids: &[String]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for ids in ids.chunks(N_IDS) {
        let parameters: Vec<Scalar> = ids.iter().map(Scalar::from).collect();
        rows.extend(reader.query(&sql.replace("{ids}", &places(ids.len(), 1)), &parameters)?);
    }
    Ok(rows)
}

/// The rows of traces by id, without what stands in other tables.
pub(crate) fn trace_rows(reader: &mut Reader<'_>, ids: &[String]) -> Result<HashMap<String, Trace>> {
    let rows = by_ids(reader, "SELECT * FROM trace WHERE id IN ({ids})", ids)?;
    rows.iter().map(|row| Trace::of(row).map(|trace| (trace.id.clone(), trace))).collect()
}

/// Adds tags, metadata and assessments.
pub(crate) fn complete(reader: &mut Reader<'_>, mut traces: Vec<Trace>) -> Result<Vec<Trace>> {
    let ids: Vec<String> = traces.iter().map(|trace| trace.id.clone()).collect();
    let sql = "SELECT trace, tag_key AS key, tag_value AS value FROM trace_tag WHERE trace IN ({ids})";
    let mut tags = grouped(by_ids(reader, sql, &ids)?)?;
    let sql = "SELECT trace, metadata_key AS key, metadata_value AS value FROM trace_metadata WHERE trace IN ({ids})";
    let mut metadata = grouped(by_ids(reader, sql, &ids)?)?;
    let mut assessments = assessments_of(reader, &ids)?;
    for trace in &mut traces {
        trace.facts.tags = tags.remove(&trace.id).unwrap_or_default();
        trace.facts.metadata = metadata.remove(&trace.id).unwrap_or_default();
        trace.assessments = assessments.remove(&trace.id).unwrap_or_default();
    }
    Ok(traces)
}

fn grouped(rows: Vec<Row>) -> Result<HashMap<String, BTreeMap<String, String>>> {
    let mut found: HashMap<String, BTreeMap<String, String>> = HashMap::new();
    for row in rows {
        found.entry(row.text("trace")?).or_default().insert(row.text("key")?, row.text("value")?);
    }
    Ok(found)
}

/// Writes a trace's row and returns the incarnation that it has: an existing one keeps its own.
pub(crate) fn put_trace(tx: &mut Tx<'_>, trace: &Trace) -> Result<String> {
    let (first, last) = trace.span_range.unzip();
    let rows = tx.query(
        "INSERT INTO trace (id, incarnation, experiment, started_at, duration, state, client_request_id, request_preview, \
         response_preview, is_final, first_span_ns, last_span_ns) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (id) DO UPDATE SET experiment = EXCLUDED.experiment, started_at = EXCLUDED.started_at, \
         duration = EXCLUDED.duration, state = EXCLUDED.state, client_request_id = EXCLUDED.client_request_id, \
         request_preview = EXCLUDED.request_preview, response_preview = EXCLUDED.response_preview, \
         is_final = EXCLUDED.is_final, first_span_ns = EXCLUDED.first_span_ns, last_span_ns = EXCLUDED.last_span_ns \
         RETURNING incarnation",
        &[
            (&trace.id).into(),
            (&trace.incarnation).into(),
            trace.facts.experiment.number().into(),
            trace.facts.started_at.micros().into(),
            trace.facts.duration.map(lw_core::Span::micros).into(),
            trace.facts.state.name().into(),
            trace.facts.client_request_id.as_deref().into(),
            trace.facts.request_preview.as_deref().into(),
            trace.facts.response_preview.as_deref().into(),
            i64::from(trace.facts.is_final).into(),
            first.into(),
            last.into(),
        ],
    )?;
    rows.first().map_or_else(|| Ok(trace.incarnation.clone()), |row| row.text("incarnation"))
}

/// The lifecycle of an experiment, if it is there.
pub(crate) fn experiment_lifecycle(reader: &mut Reader<'_>, id: ExperimentId) -> Result<Option<String>> {
    let row = reader.query_opt("SELECT lifecycle FROM experiment WHERE id = $1", &[id.number().into()])?;
    row.map(|row| row.text("lifecycle")).transpose()
}

/// A row for each pair, with its owner before it.
pub(crate) fn pairs<'v>(owner: &'v str, pairs: &'v BTreeMap<String, String>) -> impl Iterator<Item = [Cell<'v>; 3]> {
    pairs.iter().map(move |(key, value)| [owner, key.as_str(), value.as_str()].map(Cell::Text))
}

pub(crate) fn put_tags(tx: &mut Tx<'_>, trace: &str, tags: &BTreeMap<String, String>) -> Result<()> {
    tx.insert(&PUT_TAG, pairs(trace, tags)).map(drop)
}

pub(crate) fn remove_tag(tx: &mut Tx<'_>, trace: &str, key: &str) -> Result<bool> {
    Ok(tx.execute("DELETE FROM trace_tag WHERE trace = $1 AND tag_key = $2", &[trace.into(), key.into()])? > 0)
}

/// Adds metadata. What is there already is replaced or, without `replace`, stays.
pub(crate) fn put_metadata(tx: &mut Tx<'_>, trace: &str, told: &BTreeMap<String, String>, replace: bool) -> Result<()> {
    tx.insert(if replace { &PUT_METADATA } else { &ADD_METADATA }, pairs(trace, told)).map(drop)
}

/// Keeps the session beside the trace, where searches join by it.
pub(crate) fn set_session(tx: &mut Tx<'_>, trace: &str, session: &str, replace: bool) -> Result<()> {
    let session = Some(session).filter(|session| session.len() <= 250);
    let sql = match replace {
        true => "UPDATE trace SET session = $1 WHERE id = $2",
        false => "UPDATE trace SET session = $1 WHERE id = $2 AND session IS NULL",
    };
    tx.execute(sql, &[session.into(), trace.into()]).map(drop)
}

pub(crate) fn link(tx: &mut Tx<'_>, kind: &str, target: &str, traces: &[String]) -> Result<()> {
    tx.insert(&LINK, traces.iter().map(|trace| [kind, target, trace].map(Cell::Text))).map(drop)
}

/// Ids of traces to delete, oldest first.
pub(crate) fn traces_until(
    reader: &mut Reader<'_>,
    experiment: ExperimentId,
    until_us: i64,
    limit: Option<u64>,
) -> Result<Vec<String>> {
    let limit = limit.unwrap_or(i64::MAX as u64);
    let rows = reader.query(
        "SELECT id FROM trace WHERE experiment = $1 AND started_at <= $2 ORDER BY started_at, id LIMIT $3",
        &[experiment.number().into(), until_us.into(), limit.into()],
    )?;
    rows.iter().map(|row| row.text("id")).collect()
}

/// Deletes traces of an experiment with all that is kept beside them, and remembers that their spans go, too.
pub(crate) fn remove_traces(tx: &mut Tx<'_>, experiment: ExperimentId, ids: &[String]) -> Result<u64> {
    let mut n_removed = 0;
    for ids in ids.chunks(N_IDS) {
        let mut parameters: Vec<Scalar> = vec![experiment.number().into()];
        parameters.extend(ids.iter().map(Scalar::from));
        let sql = format!("SELECT id, incarnation FROM trace WHERE experiment = $1 AND id IN ({})", places(ids.len(), 2));
        let rows = tx.query(&sql, &parameters)?;
        let gone: Vec<Scalar> = rows.iter().map(|row| row.text("id").map(Scalar::from)).collect::<Result<_>>()?;
        let removals = rows.iter().map(|row| row.text("incarnation")).collect::<Result<Vec<_>>>()?;
        if gone.is_empty() {
            continue;
        }
        tx.insert(&REMOVAL, removals.iter().map(|incarnation| [Cell::Text(incarnation)]))?;
        for (table, column) in [
            ("trace_tag", "trace"),
            ("trace_metadata", "trace"),
            ("trace_assessment", "trace"),
            ("trace_link", "trace"),
            // What its client keeps for it as artifacts: large spans and attachments.
            ("artifact", "owner"),
            ("artifact_folder", "owner"),
            ("trace", "id"),
        ] {
            tx.execute(&format!("DELETE FROM {table} WHERE {column} IN ({})", places(gone.len(), 1)), &gone)?;
        }
        n_removed += gone.len() as u64;
    }
    Ok(n_removed)
}

/// Incarnations whose spans shall go from the table.
pub(crate) fn removals(reader: &mut Reader<'_>) -> Result<Vec<String>> {
    let rows = reader.query("SELECT incarnation FROM trace_removal ORDER BY incarnation LIMIT 5000", &[])?;
    rows.iter().map(|row| row.text("incarnation")).collect()
}

pub(crate) fn forget_removals(tx: &mut Tx<'_>, incarnations: &[String]) -> Result<()> {
    for chunk in incarnations.chunks(N_IDS) {
        let parameters: Vec<Scalar> = chunk.iter().map(Scalar::from).collect();
        tx.execute(&format!("DELETE FROM trace_removal WHERE incarnation IN ({})", places(chunk.len(), 1)), &parameters)?;
    }
    Ok(())
}

/// Rows of a search that was put together elsewhere.
pub(crate) fn search(reader: &mut Reader<'_>, sql: &str, parameters: &[Scalar]) -> Result<Vec<Trace>> {
    let rows = reader.query(sql, parameters)?;
    let traces = rows.iter().map(Trace::of).collect::<Result<Vec<_>>>()?;
    complete(reader, traces)
}
