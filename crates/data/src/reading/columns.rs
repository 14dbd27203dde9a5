//! Which column of a file is which column of the table.

use std::collections::HashSet;

use lw_core::{DataType, Error, Name, Result, nearest};

use super::place;
use crate::failures::SOURCE_COLUMNS_CHANGED;
use crate::{Evolution, SourceDefinition};

/// A file with more columns than this is no table: most likely its delimiter is wrong, or it lies on its side.
pub(super) const MOST_COLUMNS: usize = 2_000;

/// Errors name at most this many columns.
const MOST_TOLD: usize = 20;

/// The table's names for the columns that a file has, in the file's order. `type_of` tells the type of a column, where the file has
/// types.
///
/// # Errors
/// `source-columns-changed` when there are too many, a declared column is missing, an undeclared one is there although the contract does not let the
/// table grow, or a name stands twice.
pub(super) fn table_names(
    source: &SourceDefinition,
    found: &[String],
    type_of: impl Fn(usize) -> Option<String>,
    path: &str,
) -> Result<Vec<String>> {
    check_number(found.len(), path)?;
    let mut seen = HashSet::with_capacity(found.len());
    if let Some(twice) = found.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(changed(path, format!("the column `{twice}` stands twice")).hint("give every column a name of its own"));
    }
    check_missing(source, found, path)?;
    found.iter().enumerate().map(|(index, name)| table_name(source, name, type_of(index).as_deref(), path)).collect()
}

/// Refuses a file with more columns than a table may have.
pub(super) fn check_number(n_columns: usize, path: &str) -> Result<()> {
    if n_columns <= MOST_COLUMNS {
        return Ok(());
    }
    Err(changed(path, format!("the file has {n_columns} columns, a table has at most {MOST_COLUMNS}"))
        .hint("check the delimiter; a file with a column for each day or thing is better written with a row for each"))
}

/// The table's name for one column of a file.
pub(super) fn table_name(source: &SourceDefinition, found: &str, data_type: Option<&str>, path: &str) -> Result<String> {
    let declared = source.columns.iter().find(|(name, column)| column.from.as_deref().unwrap_or(name) == found);
    if let Some((name, _)) = declared {
        return Ok(name.to_owned());
    }
    if source.contract.evolution == Evolution::Strict {
        let hint = match nearest(found, file_names(source)) {
            Some(near) => {
                format!("did you mean `{near}`? Declare the column, or set `evolution: additive` to let the table grow")
            }
            None => "declare the column, or set `evolution: additive` to let the table grow".to_owned(),
        };
        let data_type = data_type.map(|data_type| format!(" ({data_type})")).unwrap_or_default();
        return Err(changed(path, format!("the column `{found}`{data_type} is not declared")).hint(hint));
    }
    let is_taken = source.columns.get(found).is_some() || source.derive.get(found).is_some();
    if Name::parse(found).is_err() || is_taken {
        return Err(changed(path, format!("the new column `{found}` cannot join the table under this name"))
            .hint(format!("declare it under another name with `from: {found:?}`")));
    }
    Ok(found.to_owned())
}

/// Refuses a file that lacks a declared column, unless the contract lets columns come and go.
pub(super) fn check_missing(source: &SourceDefinition, found: &[String], path: &str) -> Result<()> {
    if source.contract.evolution == Evolution::Any {
        return Ok(());
    }
    let there: HashSet<&str> = found.iter().map(String::as_str).collect();
    let types = source.columns.iter().map(|(_, column)| column.data_type);
    let missing: Vec<(&str, DataType)> = file_names(source).zip(types).filter(|(name, _)| !there.contains(name)).collect();
    let Some((first, _)) = missing.first() else {
        return Ok(());
    };
    let names = told(missing.iter().map(|(name, data_type)| format!("`{name}` ({data_type})")));
    let hint = match nearest(first, found.iter().map(String::as_str)) {
        Some(near) => format!("the file has `{near}`: if it was renamed, declare `from: {near:?}`"),
        None => format!("the file has: {}", told(found.iter().cloned())),
    };
    let noun = if missing.len() == 1 { "the declared column" } else { "the declared columns" };
    let verb = if missing.len() == 1 { "is" } else { "are" };
    Err(changed(path, format!("{noun} {names} {verb} missing")).hint(hint))
}

/// The first few of some names.
fn told(names: impl ExactSizeIterator<Item = String>) -> String {
    let n_more = names.len().saturating_sub(MOST_TOLD);
    let told = names.take(MOST_TOLD).collect::<Vec<_>>().join(", ");
    if n_more == 0 { told } else { format!("{told} and {n_more} more") }
}

fn file_names(source: &SourceDefinition) -> impl Iterator<Item = &str> {
    source.columns.iter().map(|(name, column)| column.from.as_deref().unwrap_or(name))
}

pub(super) fn changed(path: &str, message: String) -> Error {
    SOURCE_COLUMNS_CHANGED.error(message).at(place(path, None))
}
