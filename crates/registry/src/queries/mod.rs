//! The statements of the registry, one function each.

mod states;
mod webhooks;

use std::collections::BTreeMap;

use lw_core::{Digest, ModelName, Result, SubjectKind};
use lw_store::{EntryFilter, Mention, Reader, Row};

use crate::tag::PROMPT_TAG;
use crate::{Alias, AliasPointer, Approval, AttachedReport, GateDecision, Model, ModelVersion, Protection};

pub(crate) use states::*;
pub(crate) use webhooks::*;

pub(crate) fn model(reader: &mut Reader<'_>, name: &ModelName) -> Result<Option<Model>> {
    reader.query_opt("SELECT * FROM model WHERE name = $1", &[name.into()])?.as_ref().map(Model::of).transpose()
}

/// Models that are no prompts.
pub(crate) fn models(reader: &mut Reader<'_>, after: Option<&ModelName>, limit: u64) -> Result<Vec<Model>> {
    let after = after.map_or("", ModelName::as_str);
    let rows = reader.query(
        "SELECT * FROM model WHERE name > $1 AND NOT EXISTS (SELECT 1 FROM model_tag t \
         WHERE t.model = model.name AND t.tag_key = $2 AND t.tag_value = 'true') ORDER BY name LIMIT $3",
        &[after.into(), PROMPT_TAG.into(), limit.into()],
    )?;
    rows.iter().map(Model::of).collect()
}

pub(crate) fn model_tags(reader: &mut Reader<'_>, model: &ModelName) -> Result<BTreeMap<String, String>> {
    let rows = reader.query("SELECT tag_key, tag_value FROM model_tag WHERE model = $1 ORDER BY tag_key", &[model.into()])?;
    tags(&rows)
}

pub(crate) fn model_tag(reader: &mut Reader<'_>, model: &ModelName, key: &str) -> Result<Option<String>> {
    let sql = "SELECT tag_value FROM model_tag WHERE model = $1 AND tag_key = $2";
    reader.query_opt(sql, &[model.into(), key.into()])?.map(|row| row.text("tag_value")).transpose()
}

pub(crate) fn version_tags(reader: &mut Reader<'_>, model: &ModelName, version: u64) -> Result<BTreeMap<String, String>> {
    let sql = "SELECT tag_key, tag_value FROM model_version_tag WHERE model = $1 AND version = $2 ORDER BY tag_key";
    tags(&reader.query(sql, &[model.into(), version.into()])?)
}

pub(crate) fn version_tag(reader: &mut Reader<'_>, model: &ModelName, version: u64, key: &str) -> Result<Option<String>> {
    let sql = "SELECT tag_value FROM model_version_tag WHERE model = $1 AND version = $2 AND tag_key = $3";
    reader.query_opt(sql, &[model.into(), version.into(), key.into()])?.map(|row| row.text("tag_value")).transpose()
}

fn tags(rows: &[Row]) -> Result<BTreeMap<String, String>> {
    rows.iter().map(|row| Ok((row.text("tag_key")?, row.text("tag_value")?))).collect()
}

/// Deleted versions keep their numbers.
pub(crate) fn next_version(reader: &mut Reader<'_>, model: &ModelName) -> Result<u64> {
    let sql = "SELECT COALESCE(MAX(version), 0) + 1 AS version FROM model_version WHERE model = $1";
    reader.query_opt(sql, &[model.into()])?.map_or(Ok(1), |row| row.count("version"))
}

/// Whether a version has this number, deleted or not.
pub(crate) fn has_number(reader: &mut Reader<'_>, model: &ModelName, version: u64) -> Result<bool> {
    let sql = "SELECT version FROM model_version WHERE model = $1 AND version = $2";
    Ok(reader.query_opt(sql, &[model.into(), version.into()])?.is_some())
}

/// What the versions that are not deleted are read from.
const STANDING: &str = "SELECT v.* FROM model_version v JOIN model_version_state s ON s.model = v.model AND s.version = v.version \
                        WHERE s.deleted_at IS NULL AND v.model = $1";

pub(crate) fn version(reader: &mut Reader<'_>, model: &ModelName, version: u64) -> Result<Option<ModelVersion>> {
    let sql = format!("{STANDING} AND v.version = $2");
    reader.query_opt(&sql, &[model.into(), version.into()])?.as_ref().map(ModelVersion::of).transpose()
}

pub(crate) fn version_with_digest(reader: &mut Reader<'_>, model: &ModelName, digest: &Digest) -> Result<Option<ModelVersion>> {
    let sql = format!("{STANDING} AND v.digest = $2 ORDER BY v.version LIMIT 1");
    reader.query_opt(&sql, &[model.into(), digest.into()])?.as_ref().map(ModelVersion::of).transpose()
}

/// Newest first.
pub(crate) fn versions(reader: &mut Reader<'_>, model: &ModelName, before: Option<u64>, limit: u64) -> Result<Vec<ModelVersion>> {
    let sql = format!("{STANDING} AND v.version < $2 ORDER BY v.version DESC LIMIT $3");
    let rows = reader.query(&sql, &[model.into(), before.unwrap_or(u64::MAX).into(), limit.into()])?;
    rows.iter().map(ModelVersion::of).collect()
}

/// With those that are deleted.
pub(crate) fn all_versions(reader: &mut Reader<'_>, model: &ModelName) -> Result<Vec<ModelVersion>> {
    let rows = reader.query("SELECT * FROM model_version WHERE model = $1 ORDER BY version", &[model.into()])?;
    rows.iter().map(ModelVersion::of).collect()
}

pub(crate) fn report(reader: &mut Reader<'_>, model: &ModelName, version: u64) -> Result<Option<AttachedReport>> {
    let sql = "SELECT * FROM model_report WHERE model = $1 AND version = $2";
    reader.query_opt(sql, &[model.into(), version.into()])?.as_ref().map(AttachedReport::of).transpose()
}

pub(crate) fn gate_decision(reader: &mut Reader<'_>, model: &ModelName, version: u64) -> Result<Option<GateDecision>> {
    let sql = "SELECT * FROM gate_decision WHERE model = $1 AND version = $2";
    reader.query_opt(sql, &[model.into(), version.into()])?.as_ref().map(GateDecision::of).transpose()
}

/// Whether any version of a model was evaluated to go through gates.
pub(crate) fn was_governed(reader: &mut Reader<'_>, model: &ModelName) -> Result<bool> {
    Ok(reader.query_opt("SELECT version FROM model_report WHERE model = $1 LIMIT 1", &[model.into()])?.is_some())
}

pub(crate) fn approvals(reader: &mut Reader<'_>, model: &ModelName, version: u64) -> Result<Vec<Approval>> {
    let sql = "SELECT * FROM approval WHERE model = $1 AND version = $2 ORDER BY decided_at, approver";
    reader.query(sql, &[model.into(), version.into()])?.iter().map(Approval::of).collect()
}

pub(crate) fn alias(reader: &mut Reader<'_>, model: &ModelName, alias: &Alias) -> Result<Option<AliasPointer>> {
    let sql = "SELECT * FROM model_alias WHERE model = $1 AND alias = $2";
    reader.query_opt(sql, &[model.into(), alias.as_str().into()])?.as_ref().map(AliasPointer::of).transpose()
}

pub(crate) fn aliases(reader: &mut Reader<'_>, model: &ModelName) -> Result<Vec<AliasPointer>> {
    let rows = reader.query("SELECT * FROM model_alias WHERE model = $1 ORDER BY alias", &[model.into()])?;
    rows.iter().map(AliasPointer::of).collect()
}

/// Whether the ledger has a promotion of exactly this version: a number may have belonged to a deleted model of the same name.
pub(crate) fn was_champion(reader: &mut Reader<'_>, version: &ModelVersion) -> Result<bool> {
    let filter = EntryFilter::about(version.subject(), Mention::Subject).action("alias.promote").newest_first().limit(1000);
    let promoted = reader.entries(&filter)?;
    let is_of_it = |input: &lw_core::Reference| input.role == "model_version" && input.digest == Some(version.digest);
    Ok(promoted.iter().any(|entry| entry.inputs.iter().any(is_of_it)))
}

pub(crate) fn protection(reader: &mut Reader<'_>, model: &ModelName) -> Result<Option<Protection>> {
    let row = reader.query_opt("SELECT * FROM model_protection WHERE model = $1", &[model.into()])?;
    row.as_ref().map(Protection::of).transpose()
}

pub(crate) fn protections(reader: &mut Reader<'_>) -> Result<Vec<(ModelName, Protection)>> {
    let rows = reader.query("SELECT * FROM model_protection ORDER BY model", &[])?;
    rows.iter().map(|row| Ok((ModelName::parse(&row.text("model")?)?, Protection::of(row)?))).collect()
}

/// The endpoints that the ledger has ever seen serve a version of the model.
pub(crate) fn endpoints_of(reader: &mut Reader<'_>, model: &ModelName) -> Result<Vec<String>> {
    let rows = reader.query(
        "SELECT DISTINCT ledger.subject_name AS name FROM ledger_link JOIN ledger ON ledger.seq = ledger_link.seq \
         WHERE ledger_link.kind = $1 AND ledger_link.name = $2 AND ledger_link.part = 'input' AND ledger.subject_kind = $3 \
         ORDER BY ledger.subject_name",
        &[SubjectKind::ModelVersion.name().into(), model.into(), SubjectKind::Deployment.name().into()],
    )?;
    rows.iter().map(|row| row.text("name")).collect()
}
