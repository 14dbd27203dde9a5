//! Which column of a file is which column of the table.

use lw_core::{Error, Name, Result, nearest};

use super::place;
use crate::failures::SOURCE_COLUMNS_CHANGED;
use crate::{Evolution, SourceDefinition};

/// The table's names for the columns that a file has, in the file's order.
///
/// # Errors
/// `source-columns-changed` when a declared column is missing, an undeclared one is there although the contract does not let the
/// table grow, or a name stands twice.
pub(super) fn table_names(source: &SourceDefinition, found: &[String], path: &str) -> Result<Vec<String>> {
    if let Some(twice) = found.iter().enumerate().find(|(index, name)| found[..*index].contains(name)).map(|(_, name)| name) {
        return Err(changed(path, format!("the column `{twice}` stands twice")).hint("give every column a name of its own"));
    }
    check_missing(source, found, path)?;
    found.iter().map(|name| table_name(source, name, path)).collect()
}

/// The table's name for one column of a file.
pub(super) fn table_name(source: &SourceDefinition, found: &str, path: &str) -> Result<String> {
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
        return Err(changed(path, format!("the column `{found}` is not declared")).hint(hint));
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
    let missing: Vec<&str> = file_names(source).filter(|name| !found.iter().any(|found| found == name)).collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    let names = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let hint = match nearest(first, found.iter().map(String::as_str)) {
        Some(near) => format!("the file has `{near}`: if it was renamed, declare `from: {near:?}`"),
        None => format!("the file has: {}", found.join(", ")),
    };
    let noun = if missing.len() == 1 { "the declared column" } else { "the declared columns" };
    let verb = if missing.len() == 1 { "is" } else { "are" };
    Err(changed(path, format!("{noun} {names} {verb} missing")).hint(hint))
}

fn file_names(source: &SourceDefinition) -> impl Iterator<Item = &str> {
    source.columns.iter().map(|(name, column)| column.from.as_deref().unwrap_or(name))
}

pub(super) fn changed(path: &str, message: String) -> Error {
    SOURCE_COLUMNS_CHANGED.error(message).at(place(path, None))
}
