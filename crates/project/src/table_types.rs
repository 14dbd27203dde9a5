//! Whether the tables that stand can take what a project's sources would write: a column of a table keeps its type.

use lw_core::Result;
use lw_data::SourceDefinition;
use lw_engine::{Area, TableId, from_arrow_schema};

use crate::plan::{ChangeKind, Plan};
use crate::project::Project;
use crate::workspace::Workspace;

/// Says in a plan which sources it must not bring, since every later ingestion would be refused.
pub(crate) async fn with_conflicts(mut plan: Plan, wanted: &Project, workspace: &Workspace) -> Result<Plan> {
    for change in plan.changes.iter_mut().filter(|change| change.change != ChangeKind::Removed) {
        let source = wanted.sources.values().find(|file| change.subject == format!("source/{}", file.value.name));
        if let Some(file) = source {
            change.refused = conflict(workspace, &file.value).await?;
        }
    }
    Ok(plan)
}

/// The columns that would change their type, in one sentence.
async fn conflict(workspace: &Workspace, source: &SourceDefinition) -> Result<Option<String>> {
    let table = TableId::new(Area::Data, source.name.clone());
    let Some(version) = workspace.engine().current_version(&table).await? else { return Ok(None) };
    let stands = from_arrow_schema(&*workspace.engine().schema(&table, Some(version)).await?)?;
    let declared = from_arrow_schema(&*source.table_schema()?)?;
    let conflicts: Vec<String> = declared
        .0
        .iter()
        .filter_map(|new| Some((new, stands.field(&new.name)?)))
        .filter(|(new, old)| new.data_type != old.data_type)
        .map(|(new, old)| format!("column `{}` of table `{}` is {}, not {}", old.name, source.name, old.data_type, new.data_type))
        .collect();
    Ok((!conflicts.is_empty()).then(|| conflicts.join("; ")))
}
