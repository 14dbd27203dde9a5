//! What the names in a query stand for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::{MemTable, ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, lit, when};
use lw_core::{Error, Result};
use url::Url;

use crate::TableId;
use crate::column_type::{batch_as, canonical_type};
use crate::failures::FILE_UNREADABLE;
use crate::sql::{Session, diagnose};
use crate::table::Tables;

/// A name of the query and the rows behind it. The name is `flights`, or `quarantine.flights` with an area.
#[derive(Debug, Clone)]
pub struct Binding {
    pub name: String,
    pub data: Bound,
}

#[derive(Debug, Clone)]
pub enum Bound {
    /// A table of the engine, at its newest version when none is given.
    Table { table: TableId, version: Option<u64> },
    /// Rows in memory.
    Batches { schema: SchemaRef, batches: Vec<RecordBatch> },
    /// Parquet files, read in the order given; their columns are united by name.
    Parquet { paths: Vec<PathBuf> },
    /// CSV files with a header line. An empty field is NULL, as is one that equals a null value. Without a schema the types are
    /// inferred from the first thousand lines of every file.
    Csv { paths: Vec<PathBuf>, schema: Option<SchemaRef>, null_values: Vec<String>, delimiter: u8 },
    /// One JSON object a line.
    JsonLines { paths: Vec<PathBuf>, schema: Option<SchemaRef> },
}

impl Binding {
    pub fn new(name: impl Into<String>, data: Bound) -> Self {
        Self { name: name.into(), data }
    }

    /// A table under its own name.
    pub fn table(table: &TableId, version: Option<u64>) -> Self {
        Self::new(table.sql_name(), Bound::Table { table: table.clone(), version })
    }
}

const N_INFERENCE_ROWS: usize = 1000;

/// What DataFusion reads for a binding.
pub(crate) async fn provider(session: &Session, tables: &Tables, binding: Binding) -> Result<Arc<dyn TableProvider>> {
    let context = |error: Error| error.context(format_args!("table `{}`", binding.name));
    match binding.data {
        Bound::Table { table, version } => tables.provider(&table, version).await,
        Bound::Batches { schema, batches } => {
            let plain = plain_schema(&schema);
            let batches = batches.iter().map(|batch| batch_as(batch, &plain)).collect::<Result<_>>().map_err(context)?;
            let table = MemTable::try_new(plain, vec![batches]);
            Ok(Arc::new(table.map_err(|error| context(diagnose(&error, "")))?))
        }
        Bound::Parquet { paths } => files(session, Arc::new(ParquetFormat::new()), &paths, None).await.map_err(context),
        Bound::Csv { paths, schema, null_values, delimiter } => {
            let format = || {
                let format = CsvFormat::default()
                    .with_has_header(true)
                    .with_delimiter(delimiter)
                    .with_newlines_in_values(true)
                    .with_schema_infer_max_rec(N_INFERENCE_ROWS)
                    .with_null_regex(null_pattern(&null_values));
                Arc::new(format) as Arc<dyn FileFormat>
            };
            let table = files(session, format(), &paths, schema).await.map_err(context)?;
            if null_values.is_empty() {
                return Ok(table);
            }
            let texts = files(session, format(), &paths, Some(as_texts(&table.schema()))).await.map_err(context)?;
            nulled(texts, &table.schema(), &null_values).map_err(|error| context(diagnose(&error, "")))
        }
        Bound::JsonLines { paths, schema } => {
            let format = JsonFormat::default().with_schema_infer_max_rec(N_INFERENCE_ROWS);
            files(session, Arc::new(format), &paths, schema).await.map_err(context)
        }
    }
}

async fn files(
    session: &Session,
    format: Arc<dyn FileFormat>,
    paths: &[PathBuf],
    schema: Option<SchemaRef>,
) -> Result<Arc<dyn TableProvider>> {
    let urls: Vec<ListingTableUrl> = paths.iter().map(|path| file_url(path)).collect::<Result<_>>()?;
    let options = ListingOptions::new(format).with_file_extension("");
    let config = ListingTableConfig::new_with_multi_paths(urls).with_listing_options(options);
    let unreadable = |error: DataFusionError| {
        let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        FILE_UNREADABLE
            .error(format!("{} cannot be read: {}", names.join(", "), error.strip_backtrace().lines().next().unwrap_or_default()))
            .hint("check that each file is complete and of the declared format")
            .cause(error)
    };
    let schema = match schema {
        Some(schema) => schema,
        None => {
            let inferred = config.clone().infer_schema(session.query().as_ref()).await.map_err(unreadable)?;
            let missing = || Error::bug("no columns were inferred");
            plain_schema(inferred.file_schema.as_ref().ok_or_else(missing)?)
        }
    };
    let config = config.with_schema(schema);
    Ok(Arc::new(ListingTable::try_new(config).map_err(unreadable)?))
}

/// The URL of one existing file; a path with a `*` or a blank in its name means just that file.
fn file_url(path: &Path) -> Result<ListingTableUrl> {
    let missing = |cause: String| {
        FILE_UNREADABLE
            .error(format!("there is no file `{}`", path.display()))
            .hint("check the path and the pattern")
            .cause(cause)
    };
    let absolute = path.canonicalize().map_err(|error| missing(error.to_string()))?;
    if !absolute.is_file() {
        return Err(missing("not a regular file".to_owned()));
    }
    let url = Url::from_file_path(&absolute).map_err(|()| missing("no URL for this path".to_owned()))?;
    ListingTableUrl::try_new(url, None).map_err(|error| missing(error.to_string()))
}

/// Text in one physical form, since not every function knows all of them. Times keep their zone, or their lack of one.
fn plain_schema(schema: &Schema) -> SchemaRef {
    let plain = |field: &Arc<Field>| {
        let canonical = canonical_type(field.data_type());
        if canonical == DataType::Utf8 { Arc::new(field.as_ref().clone().with_data_type(canonical)) } else { field.clone() }
    };
    Arc::new(Schema::new(schema.fields().iter().map(plain).collect::<Vec<_>>()))
}

fn as_texts(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect::<Vec<_>>()))
}

/// A view of a table of texts in which the null values are NULL and the columns have the types of a schema. The CSV reader
/// itself knows null values only while it infers types.
fn nulled(texts: Arc<dyn TableProvider>, schema: &Schema, null_values: &[String]) -> DataFusionResult<Arc<dyn TableProvider>> {
    let nulls: Vec<Expr> = null_values.iter().map(|value| lit(value.as_str())).collect();
    let column = |field: &Arc<Field>| {
        let text = Expr::Column(Column::from_name(field.name()));
        let kept = when(text.clone().in_list(nulls.clone(), false), lit(ScalarValue::Utf8(None))).otherwise(text)?;
        Ok(cast(kept, field.data_type().clone()).alias(field.name()))
    };
    let columns = schema.fields().iter().map(column).collect::<DataFusionResult<Vec<Expr>>>()?;
    let plan = LogicalPlanBuilder::scan("texts", provider_as_source(texts), None)?.project(columns)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// A pattern that matches the empty field and each of the null values, and nothing longer.
fn null_pattern(null_values: &[String]) -> Option<String> {
    if null_values.is_empty() {
        return None;
    }
    let escaped: Vec<String> = null_values.iter().map(|value| escape(value)).collect();
    Some(format!("^(|{})$", escaped.join("|")))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if !character.is_alphanumeric() && character.is_ascii() {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
