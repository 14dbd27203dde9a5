//! What the rules said of each batch: of those that became versions, and of those that were refused.

use lw_core::{Change, Ctx, Digest, Draft, Error, Name, Result, Subject, SubjectKind, Timestamp, canonical_json};
use lw_store::{Row, Store, Tx};
use serde::Serialize;
use serde_json::json;

use super::{IngestedFile, MAX_PAGE, TableVersion, table_version};
use crate::{Outcome, RuleVerdict, SourceDefinition};

/// What every rule of the contract said of the batch that became a version, in the order of the contract. Versions that were made
/// before verdicts were kept have none.
///
/// # Errors
/// `table-version-unknown` when ingestion made no such version.
pub async fn verdicts(store: &Store, table: &Name, version: u64) -> Result<Vec<RuleVerdict>> {
    let name = table.clone();
    let sql = "SELECT verdicts FROM contract_verdict WHERE table_name = $1 AND version = $2";
    let row = store.read(move |reader| reader.query_opt(sql, &[(&name).into(), version.into()])).await?;
    match row {
        Some(row) => row.json("verdicts"),
        None => table_version(store, table, version).await.map(|_| Vec::new()),
    }
}

/// The row that keeps the verdicts on a version.
pub(super) fn change(committed: &TableVersion, verdicts: &[RuleVerdict], digest: Digest) -> Change {
    Change::put("contract_verdict")
        .key("table_name", &committed.table)
        .key("version", committed.version)
        .set("digest", digest)
        .set("n_rules", verdicts.len() as u64)
        .set("n_broken", n_broken(verdicts))
        .set("verdicts", canonical_json(&verdicts))
}

fn n_broken(verdicts: &[RuleVerdict]) -> u64 {
    verdicts.iter().filter(|verdict| verdict.outcome == Outcome::Broken).count() as u64
}

/// A batch that the contract refused.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Refusal {
    pub source: Name,
    pub source_version: u64,
    /// The digest of the files' contents and the definition: the same batch is recorded once, however often it is tried.
    pub batch: Digest,
    pub files: Vec<IngestedFile>,
    /// The message with which the ingestion failed.
    pub reason: String,
    pub verdicts: Vec<RuleVerdict>,
    pub refused_at: Timestamp,
}

impl Refusal {
    pub(crate) fn new(
        ctx: &Ctx,
        definition: &SourceDefinition,
        source_version: u64,
        error: &Error,
        files: Vec<IngestedFile>,
        verdicts: Vec<RuleVerdict>,
    ) -> Self {
        let contents: Vec<_> = files.iter().map(|file| (&file.path, file.digest)).collect();
        let batch = Digest::of_json(&(definition.digest(), contents));
        let (source, reason, refused_at) = (definition.name.clone(), error.message().to_owned(), ctx.now());
        Self { source, source_version, batch, files, reason, verdicts, refused_at }
    }

    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            source: Name::parse(&row.text("source")?)?,
            source_version: row.count("source_version")?,
            batch: row.digest("batch")?,
            files: row.json("files")?,
            reason: row.text("reason")?,
            verdicts: row.json("verdicts")?,
            refused_at: row.time("refused_at")?,
        })
    }
}

/// Keeps a refusal, unless the same batch was refused before.
pub(crate) async fn record_refusal(ctx: &Ctx, store: &Store, refusal: Refusal) -> Result<()> {
    let work = move |tx: &mut Tx<'_>| {
        let sql = "SELECT 1 AS known FROM contract_refusal WHERE source = $1 AND batch = $2";
        if tx.query_opt(sql, &[(&refusal.source).into(), refusal.batch.into()])?.is_some() {
            return Ok(());
        }
        let subject = Subject::new(SubjectKind::Source, &refusal.source, refusal.source_version);
        let files: Vec<_> = refusal.files.iter().map(|file| json!({"path": file.path, "digest": file.digest})).collect();
        let change = Change::put("contract_refusal")
            .key("source", &refusal.source)
            .key("batch", refusal.batch)
            .set("source_version", refusal.source_version)
            .set("reason", &refusal.reason)
            .set("files", canonical_json(&refusal.files))
            .set("verdicts", canonical_json(&refusal.verdicts))
            .set("refused_at", refusal.refused_at);
        let payload = json!({"reason": refusal.reason, "files": files, "n_broken": n_broken(&refusal.verdicts)});
        tx.record(Draft::new("table.refuse", subject).payload(payload).change(change))?;
        Ok(())
    };
    store.write(ctx, work).await
}

/// The batches of a source that were refused, newest first, at most [`MAX_PAGE`]; `before` is the time of the last one of the page
/// before.
pub async fn refusals(store: &Store, source: &Name, before: Option<Timestamp>, limit: u32) -> Result<Vec<Refusal>> {
    let source = source.clone();
    let sql = "SELECT * FROM contract_refusal WHERE source = $1 AND refused_at < $2 ORDER BY refused_at DESC, batch LIMIT $3";
    let before = before.map_or(i64::MAX, Timestamp::micros);
    let parameters = move || [(&source).into(), before.into(), i64::from(limit.min(MAX_PAGE)).into()];
    let rows = store.read(move |reader| reader.query(sql, &parameters())).await?;
    rows.iter().map(Refusal::from_row).collect()
}
