//! Deleting and renaming models: every row of them goes or gets another key, each with its record.

use lw_core::{Change, Ctx, Draft, ModelName, Result, Subject, SubjectKind};
use lw_store::Tx;
use serde_json::json;

use crate::protection::{Deed, permit};
use crate::record::{ModelRecord, of_model};
use crate::state::VersionState;
use crate::{Approval, AttachedReport, GateDecision, Model, ModelVersion, Registry, model, queries, tag};

impl Registry {
    /// Deletes a model with its versions, tags and aliases. The ledger keeps what they were.
    ///
    /// # Errors
    /// `model-not-found`; `model-protected` where the applied project defines it, or it is in use.
    pub async fn delete_model(&self, ctx: &Ctx, model: impl Into<ModelName>) -> Result<()> {
        let model = model.into();
        self.store.write(ctx, move |tx| delete(tx, &model)).await
    }

    /// Gives a model another name.
    ///
    /// # Errors
    /// `model-not-found`, `model-exists`; `model-protected` where the applied project defines either name, or it is in use.
    pub async fn rename_model(&self, ctx: &Ctx, model: impl Into<ModelName>, to: impl Into<ModelName>) -> Result<ModelRecord> {
        let (model, to) = (model.into(), to.into());
        self.store.write(ctx, move |tx| rename(tx, &model, to)).await
    }
}

fn delete(tx: &mut Tx<'_>, name: &ModelName) -> Result<()> {
    let model = model::found(tx, name)?;
    permit(tx, name, Deed::Delete)?;
    for rows in VersionRows::all_of(tx, name)? {
        let version = &rows.version;
        let payload = json!({"digest": version.digest, "origin": version.origin, "stage": rows.state.stage});
        let mut draft = Draft::new("model_version.remove", version.subject()).payload(payload);
        draft.changes = rows.removals();
        tx.record(draft)?;
    }
    let tags = queries::model_tags(tx, name)?;
    let aliases = queries::aliases(tx, name)?;
    let payload = json!({"description": model.description, "owner": model.owner, "tags": tag::shown(&tags), "aliases": aliases});
    let mut draft = Draft::new("model.delete", model.subject()).payload(payload);
    draft.changes.push(Change::remove("model").key("name", name));
    draft.changes.extend(tags.keys().map(|key| Change::remove("model_tag").key("model", name).key("tag_key", key)));
    let gone =
        aliases.iter().map(|pointer| Change::remove("model_alias").key("model", name).key("alias", pointer.alias.as_str()));
    draft.changes.extend(gone);
    tx.record(draft)?;
    Ok(())
}

fn rename(tx: &mut Tx<'_>, name: &ModelName, to: ModelName) -> Result<ModelRecord> {
    let model = model::found(tx, name)?;
    if *name != to && queries::model(tx, &to)?.is_some() {
        return Err(model::exists(&to));
    }
    permit(tx, name, Deed::Rename)?;
    permit(tx, &to, Deed::Rename)?;
    let now = tx.now();
    if *name == to {
        let touched = Model { updated_at: now, ..model };
        tx.record(
            Draft::new("model.rename", touched.subject())
                .payload(json!({"before": name, "after": name}))
                .change(touched.change()),
        )?;
        return of_model(tx, touched);
    }
    let renamed = Model { name: to, updated_at: now, ..model };
    let before = Subject::unversioned(SubjectKind::Model, name);
    let mut draft = Draft::new("model.rename", renamed.subject())
        .payload(json!({"before": name, "after": renamed.name}))
        .input("renamed", before, None)
        .output("model", renamed.subject(), None)
        .change(Change::remove("model").key("name", name))
        .change(renamed.change());
    for (key, value) in queries::model_tags(tx, name)? {
        draft.changes.push(Change::remove("model_tag").key("model", name).key("tag_key", &key));
        draft.changes.push(tag::model_change(&renamed.name, &key, &value));
    }
    for pointer in queries::aliases(tx, name)? {
        draft.changes.push(Change::remove("model_alias").key("model", name).key("alias", pointer.alias.as_str()));
        draft.changes.push(pointer.change(&renamed.name));
    }
    tx.record(draft)?;
    for rows in VersionRows::all_of(tx, name)? {
        rename_version(tx, rows, &renamed.name)?;
    }
    of_model(tx, renamed)
}

fn rename_version(tx: &mut Tx<'_>, mut rows: VersionRows, to: &ModelName) -> Result<()> {
    rows.state.updated_at = tx.now();
    let before = rows.version.subject();
    let removals = rows.removals();
    rows.version.model = to.clone();
    let (after, digest) = (rows.version.subject(), rows.version.digest);
    let mut draft = Draft::new("model_version.rename", after.clone())
        .payload(json!({"digest": digest}))
        .input("renamed", before, digest)
        .output("model_version", after, digest);
    draft.changes = removals;
    draft.changes.extend(rows.puts());
    tx.record(draft)?;
    Ok(())
}

/// Every row of one version.
struct VersionRows {
    version: ModelVersion,
    state: VersionState,
    tags: Vec<(String, String)>,
    report: Option<AttachedReport>,
    gates: Option<GateDecision>,
    approvals: Vec<Approval>,
}

impl VersionRows {
    fn all_of(tx: &mut Tx<'_>, model: &ModelName) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for version in queries::all_versions(tx, model)? {
            let number = version.version;
            all.push(Self {
                state: queries::state(tx, model, number)?,
                tags: queries::version_tags(tx, model, number)?.into_iter().collect(),
                report: queries::report(tx, model, number)?,
                gates: queries::gate_decision(tx, model, number)?,
                approvals: queries::approvals(tx, model, number)?,
                version,
            });
        }
        Ok(all)
    }

    fn removals(&self) -> Vec<Change> {
        let (model, number) = (&self.version.model, self.version.version);
        let of = |table| Change::remove(table).key("model", model).key("version", number);
        let mut changes = vec![of("model_version"), of("model_version_state")];
        changes.extend(self.tags.iter().map(|(key, _)| of("model_version_tag").key("tag_key", key)));
        changes.extend(self.report.iter().map(|_| of("model_report")));
        changes.extend(self.gates.iter().map(|_| of("gate_decision")));
        changes.extend(self.approvals.iter().map(|approval| of("approval").key("approver", &approval.approver)));
        changes
    }

    fn puts(&self) -> Vec<Change> {
        let (model, number) = (&self.version.model, self.version.version);
        let mut changes = vec![self.version.change(), self.state.change(model, number)];
        changes.extend(self.tags.iter().map(|(key, value)| tag::version_change(model, number, key, value)));
        changes.extend(self.report.iter().map(|report| report.change(model)));
        changes.extend(self.gates.iter().map(|gates| gates.change(model)));
        changes.extend(self.approvals.iter().map(|approval| approval.change(model, number)));
        changes
    }
}
