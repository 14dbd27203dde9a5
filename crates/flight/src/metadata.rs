//! Answers about what there is: catalogs, schemas, tables, keys. Their columns are those that Flight SQL names.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use lw_core::{Error, Result};
use lw_engine::Area;
use lw_query::{Table, is_like};

use crate::command::{GetDbSchemas, GetTables};
use crate::wire::schema_message;

const CATALOG: &str = "loopwright";
const TABLE_TYPE: &str = "BASE TABLE";
const NULLABLE: bool = true;
const REQUIRED: bool = false;

pub fn schema_of(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    let field = |(name, data_type, nullable): &(&str, DataType, bool)| Field::new(*name, data_type.clone(), *nullable);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

pub fn batch_of(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(schema, columns).map_err(|error| Error::bug("a listing does not fit its columns").cause(error))
}

fn texts<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// A filter that was not given, or that means this catalog.
fn is_ours(catalog: Option<&String>) -> bool {
    catalog.is_none_or(|catalog| catalog == CATALOG)
}

fn fits(text: &str, pattern: Option<&String>) -> bool {
    pattern.is_none_or(|pattern| is_like(text, pattern))
}

pub fn catalogs() -> Result<RecordBatch> {
    batch_of(schema_of(&[("catalog_name", DataType::Utf8, REQUIRED)]), vec![texts([CATALOG])])
}

pub fn schemas(asked: &GetDbSchemas) -> Result<RecordBatch> {
    let mut names: Vec<&str> = Area::ALL.into_iter().map(Area::as_str).collect();
    names.sort_unstable();
    names.retain(|name| is_ours(asked.catalog.as_ref()) && fits(name, asked.schema_pattern.as_ref()));
    let schema = schema_of(&[("catalog_name", DataType::Utf8, NULLABLE), ("db_schema_name", DataType::Utf8, REQUIRED)]);
    batch_of(schema, vec![texts(names.iter().map(|_| CATALOG)), texts(&names)])
}

pub fn table_types() -> Result<RecordBatch> {
    batch_of(schema_of(&[("table_type", DataType::Utf8, REQUIRED)]), vec![texts([TABLE_TYPE])])
}

pub fn tables_schema(include_schema: bool) -> SchemaRef {
    let mut columns = vec![
        ("catalog_name", DataType::Utf8, NULLABLE),
        ("db_schema_name", DataType::Utf8, NULLABLE),
        ("table_name", DataType::Utf8, REQUIRED),
        ("table_type", DataType::Utf8, REQUIRED),
    ];
    if include_schema {
        columns.push(("table_schema", DataType::Binary, REQUIRED));
    }
    schema_of(&columns)
}

pub fn tables(all: &[Table], asked: &GetTables) -> Result<RecordBatch> {
    let is_of_type = asked.table_types.is_empty() || asked.table_types.iter().any(|asked| asked == TABLE_TYPE);
    let is_asked = |table: &&Table| {
        is_of_type
            && is_ours(asked.catalog.as_ref())
            && fits(table.schema_name(), asked.schema_pattern.as_ref())
            && fits(table.name(), asked.table_pattern.as_ref())
    };
    let mut found: Vec<&Table> = all.iter().filter(is_asked).collect();
    found.sort_by_key(|table| (table.schema_name(), table.name()));
    let mut columns = vec![
        texts(found.iter().map(|_| CATALOG)),
        texts(found.iter().map(|table| table.schema_name())),
        texts(found.iter().map(|table| table.name())),
        texts(found.iter().map(|_| TABLE_TYPE)),
    ];
    if asked.include_schema {
        columns.push(Arc::new(BinaryArray::from_iter_values(found.iter().map(|table| schema_message(&table.columns)))));
    }
    batch_of(tables_schema(asked.include_schema), columns)
}

/// No table has a primary key: rows are versions of facts, and keys are those of sources and views.
pub fn primary_keys() -> RecordBatch {
    RecordBatch::new_empty(schema_of(&[
        ("catalog_name", DataType::Utf8, NULLABLE),
        ("db_schema_name", DataType::Utf8, NULLABLE),
        ("table_name", DataType::Utf8, REQUIRED),
        ("column_name", DataType::Utf8, REQUIRED),
        ("key_name", DataType::Utf8, NULLABLE),
        ("key_sequence", DataType::Int32, REQUIRED),
    ]))
}

/// No table refers to another.
pub fn foreign_keys() -> RecordBatch {
    RecordBatch::new_empty(schema_of(&[
        ("pk_catalog_name", DataType::Utf8, NULLABLE),
        ("pk_db_schema_name", DataType::Utf8, NULLABLE),
        ("pk_table_name", DataType::Utf8, REQUIRED),
        ("pk_column_name", DataType::Utf8, REQUIRED),
        ("fk_catalog_name", DataType::Utf8, NULLABLE),
        ("fk_db_schema_name", DataType::Utf8, NULLABLE),
        ("fk_table_name", DataType::Utf8, REQUIRED),
        ("fk_column_name", DataType::Utf8, REQUIRED),
        ("key_sequence", DataType::Int32, REQUIRED),
        ("fk_key_name", DataType::Utf8, NULLABLE),
        ("pk_key_name", DataType::Utf8, NULLABLE),
        ("update_rule", DataType::UInt8, REQUIRED),
        ("delete_rule", DataType::UInt8, REQUIRED),
    ]))
}

#[cfg(test)]
mod tests {
    use lw_engine::TableId;

    use super::*;

    #[track_caller]
    fn check(asked: GetTables, want: &[&str]) {
        let columns = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let table = |id: &str| Table { id: TableId::parse(id).unwrap(), columns: columns.clone() };
        let found = tables(&["data/flights", "data/planes", "quarantine/flights"].map(table), &asked).unwrap();
        let column = |index: usize| found.column(index).as_any().downcast_ref::<StringArray>().unwrap().clone();
        let names: Vec<String> =
            column(1).iter().zip(&column(2)).map(|(schema, name)| format!("{}.{}", schema.unwrap(), name.unwrap())).collect();
        assert_eq!(names, want, "{asked:?}");
    }

    #[test]
    fn tables_are_found_by_patterns() {
        let some = |text: &str| Some(text.to_owned());
        check(GetTables::default(), &["data.flights", "data.planes", "quarantine.flights"]);
        check(GetTables { table_pattern: some("fl%"), ..GetTables::default() }, &["data.flights", "quarantine.flights"]);
        check(
            GetTables { schema_pattern: some("data"), table_pattern: some("_lights"), ..GetTables::default() },
            &["data.flights"],
        );
        check(
            GetTables { catalog: some("loopwright"), schema_pattern: some("q%"), ..GetTables::default() },
            &["quarantine.flights"],
        );
        check(GetTables { catalog: some("other"), ..GetTables::default() }, &[]);
        check(GetTables { table_types: vec!["VIEW".to_owned()], ..GetTables::default() }, &[]);
    }
}
