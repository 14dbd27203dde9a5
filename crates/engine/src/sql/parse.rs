//! From text to syntax: one plain query or one expression, and nothing else.

use std::collections::BTreeSet;

use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{Expr, Statement as SqlStatement};
use lw_core::Result;

use super::catalog::table_key;
use super::diagnose::diagnose;
use crate::failures::{BAD_SQL, SQL_NOT_ALLOWED};

/// Parses one `SELECT` (or `WITH … SELECT`, `VALUES`).
pub(crate) fn parse_query(sql: &str) -> Result<Statement> {
    let mut statements = DFParser::parse_sql(sql).map_err(|error| diagnose(&error, sql))?;
    let Some(statement) = statements.pop_front() else {
        return Err(BAD_SQL.error("the SQL text is empty").hint("write a SELECT"));
    };
    let is_query = matches!(&statement, Statement::Statement(inner) if matches!(**inner, SqlStatement::Query(_)));
    if !is_query || !statements.is_empty() {
        return Err(SQL_NOT_ALLOWED
            .error("only one plain query is allowed here")
            .hint("write one SELECT; DDL, COPY, INSERT, SET, EXPLAIN and further statements are refused"));
    }
    Ok(statement)
}

/// Parses one expression, such as `arr_delay > 15`.
pub(crate) fn parse_expression(sql: &str) -> Result<Expr> {
    let parsed = DFParser::parse_sql_into_expr(sql).map_err(|error| diagnose(&error, sql))?;
    if let Some(alias) = parsed.alias {
        return Err(BAD_SQL.error(format!("the expression has an alias `{alias}`")).hint("the name stands outside of the SQL"));
    }
    Ok(parsed.expr)
}

/// The tables that a query reads, sorted, without the names that its own `WITH` defines: `flights`, `quarantine.flights`.
pub fn table_names(sql: &str) -> Result<Vec<String>> {
    let statement = parse_query(sql)?;
    let (tables, _) = resolve_table_references(&statement, true).map_err(|error| diagnose(&error, sql))?;
    let names: BTreeSet<String> = tables.iter().map(table_key).collect();
    Ok(names.into_iter().collect())
}
