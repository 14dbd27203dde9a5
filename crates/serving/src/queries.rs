//! The statements of serving.

use lw_core::{Name, Result};
use lw_store::{Reader, Row};

use crate::Deployment;

const COLUMNS: &str = "d.endpoint, d.generation, d.routing, d.reason, d.restores, d.activated_at, d.activated_by";

/// The generation of an endpoint, and whether it is retired.
pub fn generation(reader: &mut Reader<'_>, endpoint: &Name) -> Result<Option<(u64, bool)>> {
    let row = reader.query_opt("SELECT generation, retired_at FROM endpoint WHERE name = $1", &[endpoint.into()])?;
    row.map(|row| Ok((row.count("generation")?, row.opt_time("retired_at")?.is_some()))).transpose()
}

pub fn deployment(reader: &mut Reader<'_>, endpoint: &Name, generation: u64) -> Result<Option<Deployment>> {
    let sql = format!("SELECT {COLUMNS} FROM deployment d WHERE d.endpoint = $1 AND d.generation = $2");
    reader.query_opt(&sql, &[endpoint.into(), generation.into()])?.as_ref().map(read).transpose()
}

pub fn current_deployment(reader: &mut Reader<'_>, endpoint: &Name) -> Result<Option<Deployment>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployment d JOIN endpoint e ON e.name = d.endpoint AND e.generation = d.generation WHERE e.name = $1"
    );
    reader.query_opt(&sql, &[endpoint.into()])?.as_ref().map(read).transpose()
}

pub fn current_deployments(reader: &mut Reader<'_>) -> Result<Vec<Deployment>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployment d JOIN endpoint e ON e.name = d.endpoint AND e.generation = d.generation ORDER BY e.name"
    );
    reader.query(&sql, &[])?.iter().map(read).collect()
}

pub fn deployments(reader: &mut Reader<'_>, endpoint: &Name, before: u64, limit: u32) -> Result<Vec<Deployment>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deployment d WHERE d.endpoint = $1 AND d.generation < $2 ORDER BY d.generation DESC LIMIT $3"
    );
    reader.query(&sql, &[endpoint.into(), before.into(), limit.into()])?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Deployment> {
    Ok(Deployment {
        endpoint: Name::parse(&row.text("endpoint")?)?,
        generation: row.count("generation")?,
        routing: row.json("routing")?,
        reason: row.text("reason")?,
        restores: row.opt_count("restores")?,
        activated_at: row.time("activated_at")?,
        activated_by: row.text("activated_by")?,
    })
}
