//! The statements of the registry, one function each.

use lw_core::{Digest, Name, Result, Subject, SubjectKind};
use lw_store::{EntryFilter, Mention, Reader};

use crate::{Alias, AliasPointer, Approval, AttachedReport, GateDecision, Model, ModelVersion};

pub(crate) fn model(reader: &mut Reader<'_>, name: &Name) -> Result<Option<Model>> {
    reader.query_opt("SELECT * FROM model WHERE name = $1", &[name.into()])?.as_ref().map(Model::of).transpose()
}

pub(crate) fn models(reader: &mut Reader<'_>, after: Option<&Name>, limit: u64) -> Result<Vec<Model>> {
    let after = after.map_or("", Name::as_str);
    let rows = reader.query("SELECT * FROM model WHERE name > $1 ORDER BY name LIMIT $2", &[after.into(), limit.into()])?;
    rows.iter().map(Model::of).collect()
}

pub(crate) fn next_version(reader: &mut Reader<'_>, model: &Name) -> Result<u64> {
    let sql = "SELECT COALESCE(MAX(version), 0) + 1 AS version FROM model_version WHERE model = $1";
    reader.query_opt(sql, &[model.into()])?.map_or(Ok(1), |row| row.count("version"))
}

pub(crate) fn version(reader: &mut Reader<'_>, model: &Name, version: u64) -> Result<Option<ModelVersion>> {
    let sql = "SELECT * FROM model_version WHERE model = $1 AND version = $2";
    reader.query_opt(sql, &[model.into(), version.into()])?.as_ref().map(ModelVersion::of).transpose()
}

pub(crate) fn version_with_digest(reader: &mut Reader<'_>, model: &Name, digest: &Digest) -> Result<Option<ModelVersion>> {
    let sql = "SELECT * FROM model_version WHERE model = $1 AND digest = $2 ORDER BY version LIMIT 1";
    reader.query_opt(sql, &[model.into(), digest.into()])?.as_ref().map(ModelVersion::of).transpose()
}

/// Newest first.
pub(crate) fn versions(reader: &mut Reader<'_>, model: &Name, before: Option<u64>, limit: u64) -> Result<Vec<ModelVersion>> {
    let rows = reader.query(
        "SELECT * FROM model_version WHERE model = $1 AND version < $2 ORDER BY version DESC LIMIT $3",
        &[model.into(), before.unwrap_or(u64::MAX).into(), limit.into()],
    )?;
    rows.iter().map(ModelVersion::of).collect()
}

pub(crate) fn report(reader: &mut Reader<'_>, model: &Name, version: u64) -> Result<Option<AttachedReport>> {
    let sql = "SELECT * FROM model_report WHERE model = $1 AND version = $2";
    reader.query_opt(sql, &[model.into(), version.into()])?.as_ref().map(AttachedReport::of).transpose()
}

pub(crate) fn gate_decision(reader: &mut Reader<'_>, model: &Name, version: u64) -> Result<Option<GateDecision>> {
    let sql = "SELECT * FROM gate_decision WHERE model = $1 AND version = $2";
    reader.query_opt(sql, &[model.into(), version.into()])?.as_ref().map(GateDecision::of).transpose()
}

pub(crate) fn approvals(reader: &mut Reader<'_>, model: &Name, version: u64) -> Result<Vec<Approval>> {
    let sql = "SELECT * FROM approval WHERE model = $1 AND version = $2 ORDER BY decided_at, approver";
    reader.query(sql, &[model.into(), version.into()])?.iter().map(Approval::of).collect()
}

pub(crate) fn alias(reader: &mut Reader<'_>, model: &Name, alias: &Alias) -> Result<Option<AliasPointer>> {
    let sql = "SELECT * FROM model_alias WHERE model = $1 AND alias = $2";
    reader.query_opt(sql, &[model.into(), alias.as_str().into()])?.as_ref().map(AliasPointer::of).transpose()
}

pub(crate) fn aliases(reader: &mut Reader<'_>, model: &Name) -> Result<Vec<AliasPointer>> {
    let rows = reader.query("SELECT * FROM model_alias WHERE model = $1 ORDER BY alias", &[model.into()])?;
    rows.iter().map(AliasPointer::of).collect()
}

/// Whether the ledger has a promotion of the version.
pub(crate) fn was_champion(reader: &mut Reader<'_>, model: &Name, version: u64) -> Result<bool> {
    let subject = Subject::new(SubjectKind::ModelVersion, model, version);
    let filter = EntryFilter::about(subject, Mention::Subject).action("alias.promote").limit(1);
    Ok(!reader.entries(&filter)?.is_empty())
}
