//! Which of MLflow's schemas a database has: those from 2.0 on, told by the columns that the import reads.

use std::path::Path;

use lw_core::Result;
use lw_store::ForeignSqlite;

use super::record::{number, text};
use crate::failures::{NOT_MLFLOW, UNKNOWN_MLFLOW_SCHEMA};

/// What every database must have that is read.
const REQUIRED: [(&str, &[&str]); 7] = [
    ("experiments", &["experiment_id", "name", "lifecycle_stage"]),
    ("experiment_tags", &["key", "value", "experiment_id"]),
    ("runs", &["run_uuid", "experiment_id", "user_id", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri"]),
    ("metrics", &["key", "value", "timestamp", "step", "is_nan", "run_uuid"]),
    ("params", &["key", "value", "run_uuid"]),
    ("tags", &["key", "value", "run_uuid"]),
    ("model_versions", &["name", "version", "creation_time", "current_stage", "source", "run_id"]),
];

/// What a database has beyond that, as parts of statements.
#[derive(Debug)]
pub struct Schema {
    pub experiment_columns: String,
    pub run_columns: String,
    pub version_columns: String,
    pub has_inputs: bool,
    /// Whether inputs have steps, and so runs have outputs.
    pub has_outputs: bool,
    pub has_logged_models: bool,
    pub has_aliases: bool,
    /// A condition that keeps to the default workspace.
    pub tracking_workspace: &'static str,
    pub registry_workspace: &'static str,
}

const DEFAULT_WORKSPACE: &str = " AND workspace = 'default'";

impl Schema {
    /// Also says what is left out.
    pub fn of(database: &mut ForeignSqlite, path: &Path) -> Result<(Self, Vec<String>)> {
        check(database, path)?;
        let mut remarks = Vec::new();
        let mut workspace_of = |database: &mut ForeignSqlite, table: &str| -> Result<&'static str> {
            if !database.columns(table)?.iter().any(|column| column == "workspace") {
                return Ok("");
            }
            let sql = format!("SELECT workspace, COUNT(*) AS n FROM {table} WHERE workspace <> 'default' GROUP BY workspace");
            for row in database.query(&sql, &[])? {
                let (n_rows, workspace) = (number(&row, "n"), text(&row, "workspace"));
                remarks.push(format!("{n_rows} {} of the workspace `{workspace}`", table.replace('_', " ")));
            }
            Ok(DEFAULT_WORKSPACE)
        };
        let tracking_workspace = workspace_of(database, "experiments")?;
        let registry_workspace = workspace_of(database, "registered_models")?;
        let tables = database.tables()?;
        let has = |table: &str| tables.iter().any(|known| known == table);
        let inputs = database.columns("inputs")?;
        let experiments = ["experiment_id", "name", "lifecycle_stage", "creation_time", "last_update_time"];
        let runs = [
            "run_uuid",
            "name",
            "user_id",
            "status",
            "start_time",
            "end_time",
            "deleted_time",
            "lifecycle_stage",
            "artifact_uri",
        ];
        let versions = [
            "version",
            "creation_time",
            "last_updated_time",
            "description",
            "user_id",
            "current_stage",
            "source",
            "run_id",
            "run_link",
        ];
        let schema = Self {
            experiment_columns: present(database, "experiments", &experiments)?,
            run_columns: present(database, "runs", &runs)?,
            version_columns: present(database, "model_versions", &versions)?,
            has_inputs: !inputs.is_empty() && has("datasets") && has("input_tags"),
            has_outputs: inputs.iter().any(|column| column == "step"),
            has_logged_models: has("logged_models") && has("logged_model_metrics"),
            has_aliases: has("registered_model_aliases"),
            tracking_workspace,
            registry_workspace,
        };
        Ok((schema, remarks))
    }
}

fn check(database: &mut ForeignSqlite, path: &Path) -> Result<()> {
    let tables = database.tables()?;
    let has = |table: &str| tables.iter().any(|known| known == table);
    if !has("experiments") || !has("runs") {
        let error = NOT_MLFLOW.error(format!("`{}` is not an MLflow database: it has no experiments and runs", path.display()));
        return Err(error.hint("name the file that `mlflow server --backend-store-uri` has"));
    }
    for (table, wanted) in REQUIRED {
        let columns = database.columns(table)?;
        let Some(missing) = wanted.iter().find(|wanted| !columns.iter().any(|column| column == *wanted)) else { continue };
        let revision = match has("alembic_version") {
            true => database.query("SELECT version_num FROM alembic_version", &[])?.first().map(|row| text(row, "version_num")),
            false => None,
        };
        return Err(UNKNOWN_MLFLOW_SCHEMA
            .error(format!(
                "the database has a schema that is not known (revision {}): `{table}` has no `{missing}`",
                revision.as_deref().unwrap_or("unknown")
            ))
            .hint(format!(
                "copy the file, bring the copy up to date with `mlflow db upgrade sqlite:///{}`, and import it",
                path.display()
            )));
    }
    Ok(())
}

/// These columns, with null for those that the table has not.
fn present(database: &mut ForeignSqlite, table: &str, wanted: &[&str]) -> Result<String> {
    let columns = database.columns(table)?;
    let column = |wanted: &&str| {
        let is_there = columns.iter().any(|column| column == wanted);
        if is_there { (*wanted).to_owned() } else { format!("NULL AS {wanted}") }
    };
    Ok(wanted.iter().map(column).collect::<Vec<_>>().join(", "))
}
