//! Feature views of the running project: registration and the online store.

use lw_core::{Ctx, Name, Result, Timestamp};
use lw_engine::{Area, TableId};
use lw_features::{RegisteredView, Sources, TableVersion, check_view, dependency_order, find_view, register_view};
use serde::Serialize;

use crate::check;
use crate::failures::UNKNOWN_REFERENCE;
use crate::project::Project;
use crate::workspace::Workspace;

/// How far a view has come.
#[derive(Debug, Clone, Serialize)]
pub struct MaterializedView {
    pub view: Name,
    pub version: u64,
    pub n_written: u64,
    pub watermark: Timestamp,
}

/// Registers every view of a project that is new or changed, those that others read first.
pub async fn register(workspace: &Workspace, ctx: &Ctx, project: &Project) -> Result<Vec<RegisteredView>> {
    let tables = check::tables(project, &mut Vec::new());
    let mut relations: Vec<_> = tables.iter().map(|(name, schema)| (name.to_string(), schema.clone())).collect();
    let definitions: Vec<_> = project.views.values().map(|file| file.value.clone()).collect();
    let mut registered = Vec::with_capacity(definitions.len());
    for view in dependency_order(&definitions).map_err(|(_, error)| error)? {
        let relation = check_view(view, &relations)?;
        registered.push(register_view(ctx, workspace.store(), view, &relation).await?);
        relations.push((view.feature_view.to_string(), relation.schema(view)));
    }
    Ok(registered)
}

/// The registered versions of the project's views.
pub async fn registered(workspace: &Workspace, project: &Project) -> Result<Vec<RegisteredView>> {
    let mut views = Vec::with_capacity(project.views.len());
    for name in project.views.keys() {
        views.push(find_view(workspace.store(), name, None).await?);
    }
    Ok(views)
}

/// The newest versions of all tables of the project that have one, and its views.
pub async fn sources(workspace: &Workspace, project: &Project) -> Result<Sources> {
    let mut tables = Vec::new();
    for source in project.sources.keys() {
        let table = TableId::new(Area::Data, source.clone());
        tables.extend(TableVersion::current(workspace.engine(), &table).await?);
    }
    Ok(Sources { tables, views: project.views.values().map(|file| file.value.clone()).collect() })
}

/// Brings one view, or all, up to date in the online store as of now.
pub async fn materialize(
    workspace: &Workspace,
    ctx: &Ctx,
    project: &Project,
    only: Option<&Name>,
) -> Result<Vec<MaterializedView>> {
    if let Some(name) = only
        && !project.views.contains_key(name)
    {
        let known = project.views.keys().map(Name::as_str);
        return Err(check::unknown("feature view", name.as_str(), known));
    }
    let sources = sources(workspace, project).await?;
    let materializer = workspace.materializer();
    let mut done = Vec::new();
    for view in registered(workspace, project).await? {
        if only.is_some_and(|only| only != view.name()) || !has_tables(&view, &sources) {
            continue;
        }
        let materialized = materializer.materialize(ctx, &view, &sources, ctx.now()).await?;
        let (view, version) = (view.name().clone(), view.version);
        done.push(MaterializedView { view, version, n_written: materialized.n_written, watermark: materialized.watermark });
    }
    if done.is_empty() && only.is_some() {
        return Err(UNKNOWN_REFERENCE.error("the tables of this view have no version yet").hint("run `loopwright ingest` first"));
    }
    Ok(done)
}

/// Whether every table that a view reads directly has a version.
pub fn has_tables(view: &RegisteredView, sources: &Sources) -> bool {
    let is_known = |name: &String| {
        sources.tables.iter().any(|table| table.table.sql_name() == *name)
            || sources.views.iter().any(|view| view.feature_view.as_str() == name)
    };
    view.reads.iter().all(is_known)
}
