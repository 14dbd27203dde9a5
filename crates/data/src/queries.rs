//! The statements of this stage, one function each.

mod verdict;

use std::collections::BTreeMap;

use lw_core::{Change, Ctx, Digest, Draft, Error, Name, Result, Subject, SubjectKind, Timestamp, canonical_json};
use lw_store::{Reader, Row, Store, Tx};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::failures::{INGEST_CONFLICT, TABLE_VERSION_UNKNOWN};
pub(crate) use verdict::record_refusal;
pub use verdict::{Refusal, refusals, verdicts};

use crate::{RuleOutcome, RuleVerdict, SourceDefinition};

/// The outbox topic of new table versions. The key of a message is the version's subject, such as `table/flights@3`.
pub const TABLE_COMMITTED: &str = "table.commit";

/// Pages of versions have at most this many.
pub const MAX_PAGE: u32 = 1_000;

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestedFile {
    /// Relative to the project folder.
    pub path: String,
    pub digest: Digest,
    pub size_bytes: u64,
    pub modified_at: Timestamp,
    pub n_rows: u64,
}

/// The last content of each path.
pub(crate) type KnownFiles = BTreeMap<String, IngestedFile>;

/// One batch as it is about to be written: all that its record will say, so that a later ingestion can write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BatchPlan {
    pub ingest_id: String,
    pub source: Name,
    pub source_version: u64,
    pub definition: Digest,
    pub contract: Digest,
    pub sequence: u64,
    /// Columns to merge by; none to append.
    pub merge_by: Option<Vec<String>>,
    pub files: Vec<IngestedFile>,
    pub n_read: u64,
    pub n_rows: u64,
    pub n_quarantined: u64,
    pub rules: Vec<RuleOutcome>,
    /// What every rule said; of plans that an earlier version left, nothing.
    #[serde(default)]
    pub verdicts: Vec<RuleVerdict>,
    /// The artifact with the verdicts.
    #[serde(default)]
    pub verdicts_digest: Option<Digest>,
    /// The versions of other tables that rules looked at.
    #[serde(default)]
    pub references: Vec<UsedTable>,
    pub profile: Digest,
    /// The artifact with the quarantined rows.
    pub quarantine: Option<Digest>,
    pub newest_event: Option<Timestamp>,
    pub newest_known: Option<Timestamp>,
}

/// A version of another table that a rule looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedTable {
    pub table: Name,
    pub version: u64,
    pub digest: Digest,
}

/// A version of a table that ingestion made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableVersion {
    pub table: Name,
    /// As Delta Lake counts, from 0.
    pub version: u64,
    pub source_version: u64,
    /// Counts the batches of the source from 1.
    pub sequence: u64,
    /// The digest of the Delta version: equal digests mean the very same files.
    pub digest: Digest,
    /// Rows in the files of this batch.
    pub n_read: u64,
    /// Rows that this version added (or, when merging, replaced).
    pub n_rows: u64,
    pub n_quarantined: u64,
    pub files: Vec<IngestedFile>,
    /// The rules that rows of the batch broke.
    pub rules: Vec<RuleOutcome>,
    /// The artifact with the [`crate::ProfileDocument`] of the rows that this version added.
    pub profile: Digest,
    pub contract: Digest,
    /// The newest event time of this version and all before.
    pub event_watermark: Option<Timestamp>,
    /// The newest known time of this version and all before.
    pub known_watermark: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl TableVersion {
    pub fn subject(&self) -> Subject {
        Subject::new(SubjectKind::Table, &self.table, self.version)
    }

    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            table: Name::parse(&row.text("table_name")?)?,
            version: row.count("version")?,
            source_version: row.count("source_version")?,
            sequence: row.count("sequence")?,
            digest: row.digest("digest")?,
            n_read: row.count("n_read")?,
            n_rows: row.count("n_rows")?,
            n_quarantined: row.count("n_quarantined")?,
            files: row.json("files")?,
            rules: row.json("rules")?,
            profile: row.digest("profile")?,
            contract: row.digest("contract")?,
            event_watermark: row.opt_time("event_watermark")?,
            known_watermark: row.opt_time("known_watermark")?,
            created_at: row.time("created_at")?,
        })
    }
}

pub(crate) async fn register(ctx: &Ctx, store: &Store, definition: &SourceDefinition) -> Result<u64> {
    let (name, digest, text) = (definition.name.clone(), definition.digest(), canonical_json(definition));
    let known = store.read({
        let name = name.clone();
        move |reader| newest_source_version(reader, &name)
    });
    if let Some((version, _)) = known.await?.filter(|(_, known)| *known == digest) {
        return Ok(version);
    }
    let record = move |tx: &mut Tx<'_>| {
        let newest = newest_source_version(tx, &name)?;
        if let Some((version, _)) = newest.filter(|(_, known)| *known == digest) {
            return Ok(version);
        }
        let version = newest.map_or(1, |(version, _)| version + 1);
        let change = Change::put("source_version")
            .key("source", &name)
            .key("version", version)
            .set("digest", digest)
            .set("definition", text)
            .set("created_at", tx.now());
        let subject = Subject::new(SubjectKind::Source, &name, version);
        tx.record(Draft::new("source.define", subject).payload(json!({"digest": digest})).change(change))?;
        Ok(version)
    };
    store.write(ctx, record).await
}

fn newest_source_version(reader: &mut Reader<'_>, source: &Name) -> Result<Option<(u64, Digest)>> {
    let sql = "SELECT version, digest FROM source_version WHERE source = $1 ORDER BY version DESC LIMIT 1";
    let row = reader.query_opt(sql, &[source.into()])?;
    row.map(|row| Ok((row.count("version")?, row.digest("digest")?))).transpose()
}

/// A definition of a source as it was recorded.
///
/// # Errors
/// `table-version-unknown` when the source has no such version.
pub async fn source_version(store: &Store, source: &Name, version: u64) -> Result<SourceDefinition> {
    let name = source.clone();
    let sql = "SELECT definition FROM source_version WHERE source = $1 AND version = $2";
    let row = store.read(move |reader| reader.query_opt(sql, &[(&name).into(), version.into()])).await?;
    let row = row.ok_or_else(|| TABLE_VERSION_UNKNOWN.error(format!("source `{source}` has no version {version}")))?;
    row.json("definition")
}

pub(crate) async fn known_files(store: &Store, source: &Name) -> Result<KnownFiles> {
    let source = source.clone();
    let sql = "SELECT path, digest, size_bytes, modified_at, n_rows FROM source_file WHERE source = $1 ORDER BY sequence";
    let rows = store.read(move |reader| reader.query(sql, &[(&source).into()])).await?;
    let file = |row: &Row| {
        let path = row.text("path")?;
        let file = IngestedFile {
            path: path.clone(),
            digest: row.digest("digest")?,
            size_bytes: row.count("size_bytes")?,
            modified_at: row.time("modified_at")?,
            n_rows: row.count("n_rows")?,
        };
        Ok((path, file))
    };
    rows.iter().map(file).collect()
}

/// Notes what is about to be written, unless another process has noted something for the source.
pub(crate) async fn put_intent(ctx: &Ctx, store: &Store, plan: &BatchPlan) -> Result<()> {
    let (source, ingest_id, text) = (plan.source.clone(), plan.ingest_id.clone(), canonical_json(plan));
    let sql = "INSERT INTO ingest_intent (source, ingest_id, plan) VALUES ($1, $2, $3) ON CONFLICT (source) DO NOTHING";
    let put = move |tx: &mut Tx<'_>| match tx.execute(sql, &[(&source).into(), ingest_id.into(), text.into()])? {
        0 => Err(conflict(&source)),
        _ => Ok(()),
    };
    store.write(ctx, put).await
}

pub(crate) async fn intent(store: &Store, source: &Name) -> Result<Option<BatchPlan>> {
    let source = source.clone();
    let sql = "SELECT plan FROM ingest_intent WHERE source = $1";
    let row = store.read(move |reader| reader.query_opt(sql, &[(&source).into()])).await?;
    row.map(|row| row.json("plan")).transpose()
}

pub(crate) async fn drop_intent(ctx: &Ctx, store: &Store, plan: &BatchPlan) -> Result<()> {
    let (source, ingest_id) = (plan.source.clone(), plan.ingest_id.clone());
    store.write(ctx, move |tx| delete_intent(tx, &source, &ingest_id)).await
}

fn delete_intent(tx: &mut Tx<'_>, source: &Name, ingest_id: &str) -> Result<()> {
    let sql = "DELETE FROM ingest_intent WHERE source = $1 AND ingest_id = $2";
    match tx.execute(sql, &[source.into(), ingest_id.into()])? {
        0 => Err(conflict(source)),
        _ => Ok(()),
    }
}

pub(crate) fn conflict(source: &Name) -> Error {
    INGEST_CONFLICT
        .error(format!("another process is ingesting source `{source}`"))
        .hint("run the ingestion again when it is done; let one pipeline ingest a source")
}

/// Records a version that is in the table: the version, its files, the ledger entry, and a message for whoever waits for new data.
pub(crate) async fn record(ctx: &Ctx, store: &Store, plan: BatchPlan, version: u64, digest: Digest) -> Result<TableVersion> {
    let work = move |tx: &mut Tx<'_>| {
        let newest = newest_version(tx, &plan.source)?;
        let last_sequence = newest.as_ref().map_or(0, |newest| newest.sequence);
        if last_sequence + 1 != plan.sequence {
            return Err(conflict(&plan.source));
        }
        let committed = TableVersion {
            table: plan.source.clone(),
            version,
            source_version: plan.source_version,
            sequence: plan.sequence,
            digest,
            n_read: plan.n_read,
            n_rows: plan.n_rows,
            n_quarantined: plan.n_quarantined,
            files: plan.files.clone(),
            rules: plan.rules.clone(),
            profile: plan.profile,
            contract: plan.contract,
            event_watermark: plan.newest_event.max(newest.as_ref().and_then(|newest| newest.event_watermark)),
            known_watermark: plan.newest_known.max(newest.as_ref().and_then(|newest| newest.known_watermark)),
            created_at: tx.now(),
        };
        let draft =
            committed.files.iter().fold(draft(&plan, &committed), |draft, file| draft.change(file_change(&committed, file)));
        tx.record(draft)?;
        delete_intent(tx, &plan.source, &plan.ingest_id)?;
        let subject = committed.subject().to_string();
        tx.outbox(TABLE_COMMITTED, &subject, &json!({"table": committed.table, "version": version, "sequence": plan.sequence}))?;
        Ok(committed)
    };
    store.write(ctx, work).await
}

fn draft(plan: &BatchPlan, committed: &TableVersion) -> Draft {
    let source = Subject::new(SubjectKind::Source, &plan.source, plan.source_version);
    let profile = Subject::unversioned(SubjectKind::Artifact, plan.profile.hex());
    let files: Vec<_> =
        plan.files.iter().map(|file| json!({"path": file.path, "digest": file.digest, "n_rows": file.n_rows})).collect();
    let payload = json!({
        "ingest_id": plan.ingest_id,
        "sequence": plan.sequence,
        "n_read": plan.n_read,
        "n_rows": plan.n_rows,
        "n_quarantined": plan.n_quarantined,
        "rules": plan.rules.iter().map(|rule| json!({"rule": rule.rule, "severity": rule.severity, "n_broken": rule.n_broken})).collect::<Vec<_>>(),
        "files": files,
    });
    let change = Change::put("table_version")
        .key("table_name", &committed.table)
        .key("version", committed.version)
        .set("source", &plan.source)
        .set("source_version", plan.source_version)
        .set("sequence", plan.sequence)
        .set("digest", committed.digest)
        .set("n_read", plan.n_read)
        .set("n_rows", plan.n_rows)
        .set("n_quarantined", plan.n_quarantined)
        .set("files", canonical_json(&plan.files))
        .set("rules", canonical_json(&plan.rules))
        .set("profile", plan.profile)
        .set("contract", plan.contract)
        .set("event_watermark", committed.event_watermark)
        .set("known_watermark", committed.known_watermark)
        .set("created_at", committed.created_at);
    let mut draft = Draft::new("table.commit", committed.subject())
        .input("source", source, plan.definition)
        .output("table", committed.subject(), committed.digest)
        .output("profile", profile, plan.profile)
        .payload(payload)
        .change(change);
    for used in &plan.references {
        draft = draft.input("reference", Subject::new(SubjectKind::Table, &used.table, used.version), used.digest);
    }
    if let Some(digest) = plan.verdicts_digest {
        let artifact = Subject::unversioned(SubjectKind::Artifact, digest.hex());
        draft = draft.output("verdicts", artifact, digest).change(verdict::change(committed, &plan.verdicts, digest));
    }
    draft
}

fn file_change(committed: &TableVersion, file: &IngestedFile) -> Change {
    Change::put("source_file")
        .key("source", &committed.table)
        .key("path", &file.path)
        .key("sequence", committed.sequence)
        .set("digest", file.digest)
        .set("size_bytes", file.size_bytes)
        .set("modified_at", file.modified_at)
        .set("n_rows", file.n_rows)
        .set("table_version", committed.version)
}

/// The newest version of a table that ingestion made.
pub async fn latest_version(store: &Store, table: &Name) -> Result<Option<TableVersion>> {
    let table = table.clone();
    store.read(move |reader| newest_version(reader, &table)).await
}

fn newest_version(reader: &mut Reader<'_>, table: &Name) -> Result<Option<TableVersion>> {
    let sql = "SELECT * FROM table_version WHERE table_name = $1 ORDER BY version DESC LIMIT 1";
    reader.query_opt(sql, &[table.into()])?.map(|row| TableVersion::from_row(&row)).transpose()
}

/// One version of a table.
///
/// # Errors
/// `table-version-unknown` when ingestion made no such version.
pub async fn table_version(store: &Store, table: &Name, version: u64) -> Result<TableVersion> {
    let name = table.clone();
    let sql = "SELECT * FROM table_version WHERE table_name = $1 AND version = $2";
    let row = store.read(move |reader| reader.query_opt(sql, &[(&name).into(), version.into()])).await?;
    let unknown = || -> Error {
        TABLE_VERSION_UNKNOWN
            .error(format!("table `{table}` has no version {version}"))
            .hint("list the versions of the table to see which there are")
    };
    TableVersion::from_row(&row.ok_or_else(unknown)?)
}

/// A page of versions, newest first, at most [`MAX_PAGE`]; `before` is the last version of the page before.
pub async fn table_versions(store: &Store, table: &Name, before: Option<u64>, limit: u32) -> Result<Vec<TableVersion>> {
    let table = table.clone();
    let sql = "SELECT * FROM table_version WHERE table_name = $1 AND version < $2 ORDER BY version DESC LIMIT $3";
    let parameters =
        move || [(&table).into(), before.map_or(i64::MAX, |before| before as i64).into(), i64::from(limit.min(MAX_PAGE)).into()];
    let rows = store.read(move |reader| reader.query(sql, &parameters())).await?;
    rows.iter().map(TableVersion::from_row).collect()
}

/// The newest version of every table, in the order of their names.
pub async fn latest_versions(store: &Store) -> Result<Vec<TableVersion>> {
    let sql = "SELECT * FROM table_version v WHERE version = \
               (SELECT max(version) FROM table_version n WHERE n.table_name = v.table_name) ORDER BY table_name";
    let rows = store.read(move |reader| reader.query(sql, &[])).await?;
    rows.iter().map(TableVersion::from_row).collect()
}
