//! Columns whose values stand in another table.

use std::collections::BTreeMap;

use arrow::datatypes::{Schema, SchemaRef};
use lw_core::{Error, Name, Result, nearest};
use lw_engine::{Area, TableId};

use super::compilation::{CompiledSource, Problem};
use super::rule::RuleKind;
use crate::conversion::type_name;
use crate::failures::SOURCE_INVALID;
use crate::{ReferenceRule, SourceDefinition};

#[derive(Debug)]
pub(crate) struct Reference {
    /// Positions in the table's columns.
    pub columns: Vec<usize>,
    pub rule: ReferenceRule,
}

impl Reference {
    pub(crate) fn table(&self) -> TableId {
        TableId::new(Area::Data, self.rule.table.clone())
    }

    /// The other table with the columns there: `airports (faa)`.
    pub(crate) fn target(&self) -> String {
        format!("`{}` ({})", self.rule.table, self.rule.targets().join(", "))
    }

    /// Whether the other table has the columns, of the same types.
    pub(crate) fn check(&self, mine: &Schema, theirs: &Schema) -> Result<()> {
        for (column, target) in self.columns.iter().zip(self.rule.targets()) {
            let mine = mine.field(*column);
            let Ok(found) = theirs.field_with_name(target) else {
                let near = nearest(target, theirs.fields().iter().map(|field| field.name().as_str()));
                let hint = near.map_or("name a column of it in `to`".to_owned(), |near| format!("did you mean `{near}`?"));
                return Err(SOURCE_INVALID.error(format!("table `{}` has no column `{target}`", self.rule.table)).hint(hint));
            };
            if mine.data_type() != found.data_type() {
                let (mine_type, their_type) = (type_name(mine.data_type()), type_name(found.data_type()));
                let target = format!("`{target}` of table `{}`", self.rule.table);
                return Err(SOURCE_INVALID
                    .error(format!("`{}` is {mine_type} and {target} is {their_type}", mine.name()))
                    .hint("declare one type for both, or derive a column of the other's type"));
            }
        }
        Ok(())
    }
}

impl SourceDefinition {
    /// The references to tables that are not among these, or lack the columns. Other problems are for [`SourceDefinition::check`].
    pub fn check_references(&self, tables: &BTreeMap<Name, SchemaRef>) -> Vec<Problem> {
        let Ok(source) = CompiledSource::compile(self) else {
            return Vec::new();
        };
        let references = source.rules.iter().filter_map(|rule| match &rule.kind {
            RuleKind::Reference(reference) => Some(reference),
            _ => None,
        });
        let check = |reference: &Reference| match tables.get(&reference.rule.table) {
            Some(table) => reference.check(&source.table_schema, table).err(),
            None => Some(unknown_table(&reference.rule.table, tables.keys())),
        };
        let position = |reference: &Reference| self.contract.references.iter().position(|rule| *rule == reference.rule);
        references
            .filter_map(|reference| {
                let path = format!("contract.references[{}]", position(reference).unwrap_or_default());
                check(reference).map(|error| Problem { path, error })
            })
            .collect()
    }
}

fn unknown_table<'t>(table: &Name, known: impl Iterator<Item = &'t Name>) -> Error {
    let hint = match nearest(table.as_str(), known.map(Name::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name a source of the project".to_owned(),
    };
    SOURCE_INVALID.error(format!("there is no source `{table}` to refer to")).hint(hint)
}
