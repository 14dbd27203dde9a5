//! `loopwright sql`: rows of one query, to look at or to keep.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, LineDelimited, Writer as JsonWriter};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lw_core::{Error, Result};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::args::{RowFormat, Sql};
use crate::client::Client;
use crate::failures::{BAD_ARGUMENT, OUTPUT_UNWRITABLE, ROWS_BROKE_OFF};
use crate::render;

const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";
/// More rows than anybody looks at.
const N_SHOWN: u64 = 1000;

pub async fn sql(client: &Client, asked: &Sql, json: bool) -> Result<()> {
    let statement = statement(asked)?;
    let format = format_of(asked, json);
    // One row more says whether there are more.
    let is_cut = format == RowFormat::Table && asked.limit.is_none();
    let limit = if is_cut { Some(N_SHOWN + 1) } else { asked.limit };
    let parameters: Vec<Value> = asked.params.iter().map(|text| value_of(text)).collect();
    let timeout_ms = u64::try_from(asked.timeout.to_std().as_millis()).unwrap_or(u64::MAX);
    let body = json!({"sql": statement, "parameters": parameters, "limit": limit, "timeout_ms": timeout_ms});
    let rows = client.post_for_stream("/api/v1/sql", &body, ARROW_STREAM).await?;
    let output = asked.output.clone();
    let write = move || match output {
        None => print(rows, format, is_cut),
        Some(path) => keep(rows, format, &path),
    };
    let n_rows = tokio::task::spawn_blocking(write).await.map_err(|error| Error::bug("writing rows panicked").cause(error))??;
    if let Some(path) = &asked.output {
        render::talk(&format!("wrote {n_rows} rows to {}", path.display()));
    }
    if format == RowFormat::Table {
        render::next("loopwright sql \"SELECT table_schema, table_name FROM information_schema.tables\"");
    }
    Ok(())
}

/// The SQL, from where the command says.
fn statement(asked: &Sql) -> Result<String> {
    let unreadable =
        |what: String| move |error: std::io::Error| BAD_ARGUMENT.error(format!("{what} cannot be read")).cause(error);
    match (&asked.file, asked.statement.as_deref()) {
        (Some(path), _) => std::fs::read_to_string(path).map_err(unreadable(format!("`{}`", path.display()))),
        (None, Some("-") | None) => std::io::read_to_string(std::io::stdin()).map_err(unreadable("standard input".to_owned())),
        (None, Some(text)) => Ok(text.to_owned()),
    }
}

fn format_of(asked: &Sql, json: bool) -> RowFormat {
    let by_name = |path: &PathBuf| {
        Some(match path.extension()?.to_str()? {
            "csv" => RowFormat::Csv,
            "json" => RowFormat::Json,
            "jsonl" | "ndjson" => RowFormat::Jsonl,
            "arrow" | "arrows" | "ipc" => RowFormat::Arrow,
            "parquet" => RowFormat::Parquet,
            _ => return None,
        })
    };
    let fallback = if json { RowFormat::Json } else { RowFormat::Table };
    asked.format.or_else(|| asked.output.as_ref().and_then(by_name)).unwrap_or(fallback)
}

/// A parameter as JSON has it: a number, a truth value or null, or else the text itself.
fn value_of(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => value,
        _ => text.into(),
    }
}

/// Writes to standard output, and returns how many rows.
fn print(rows: Box<dyn Read + Send>, format: RowFormat, is_cut: bool) -> Result<u64> {
    let mut batches = Batches::open(rows)?;
    if format == RowFormat::Table {
        return show(&mut batches, is_cut);
    }
    let stdout = std::io::stdout();
    if stdout.is_terminal() && matches!(format, RowFormat::Arrow | RowFormat::Parquet) {
        let error = BAD_ARGUMENT.error("a terminal cannot show this format");
        return Err(error.hint("name a file with --output, or send standard output to one"));
    }
    let (n_rows, mut out) = write_rows(&mut batches, format, BufWriter::new(stdout))?;
    out.flush().map_err(|error| unwritable(&error.into()))?;
    Ok(n_rows)
}

/// Writes a file, which takes its name once it is complete.
fn keep(rows: Box<dyn Read + Send>, format: RowFormat, path: &Path) -> Result<u64> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let failed = |error: std::io::Error| {
        let error = OUTPUT_UNWRITABLE.error(format!("`{}` cannot be written", path.display())).cause(error);
        error.hint("check that its folder is there and writable, and that the disk is not full")
    };
    let file = File::create(&partial).map_err(failed)?;
    let written = Batches::open(rows).and_then(|mut batches| {
        let (n_rows, mut out) = write_rows(&mut batches, format, BufWriter::new(file))?;
        out.flush().and_then(|()| std::fs::rename(&partial, path)).map_err(failed)?;
        Ok(n_rows)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

/// The batches of an answer, as they come.
struct Batches(StreamReader<Box<dyn Read + Send>>);

impl Batches {
    fn open(rows: Box<dyn Read + Send>) -> Result<Self> {
        StreamReader::try_new(rows, None).map(Self).map_err(broke_off)
    }

    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.0.next().transpose().map_err(broke_off)
    }
}

fn write_rows<W: Write + Send>(batches: &mut Batches, format: RowFormat, out: W) -> Result<(u64, W)> {
    match format {
        RowFormat::Table | RowFormat::Csv => {
            let mut out = out;
            let mut has_header = true;
            let n_rows = each(batches, |batch| {
                let with_header = std::mem::take(&mut has_header);
                arrow::csv::WriterBuilder::new().with_header(with_header).build(&mut out).write(batch)
            })?;
            if has_header {
                let none = RecordBatch::new_empty(batches.schema());
                arrow::csv::WriterBuilder::new().build(&mut out).write(&none).map_err(|error| unwritable(&error))?;
            }
            Ok((n_rows, out))
        }
        RowFormat::Json => {
            let mut writer: JsonWriter<W, JsonArray> = arrow::json::WriterBuilder::new().with_explicit_nulls(true).build(out);
            let n_rows = each(batches, |batch| writer.write(batch))?;
            writer.finish().map_err(|error| unwritable(&error))?;
            let mut out = writer.into_inner();
            out.write_all(b"\n").map_err(|error| unwritable(&error.into()))?;
            Ok((n_rows, out))
        }
        RowFormat::Jsonl => {
            let mut writer: JsonWriter<W, LineDelimited> = arrow::json::WriterBuilder::new().with_explicit_nulls(true).build(out);
            let n_rows = each(batches, |batch| writer.write(batch))?;
            writer.finish().map_err(|error| unwritable(&error))?;
            Ok((n_rows, writer.into_inner()))
        }
        RowFormat::Arrow => {
            let mut writer = StreamWriter::try_new(out, &batches.schema()).map_err(|error| unwritable(&error))?;
            let n_rows = each(batches, |batch| writer.write(batch))?;
            Ok((n_rows, writer.into_inner().map_err(|error| unwritable(&error))?))
        }
        RowFormat::Parquet => {
            let failed = |error: parquet::errors::ParquetError| unwritable(&ArrowError::from(error));
            let mut writer = ArrowWriter::try_new(out, batches.schema(), None).map_err(failed)?;
            let n_rows = each(batches, |batch| Ok(writer.write(batch)?))?;
            Ok((n_rows, writer.into_inner().map_err(failed)?))
        }
    }
}

fn each(batches: &mut Batches, mut write: impl FnMut(&RecordBatch) -> Result<(), ArrowError>) -> Result<u64> {
    let mut n_rows = 0;
    while let Some(batch) = batches.next()? {
        write(&batch).map_err(|error| unwritable(&error))?;
        n_rows += batch.num_rows() as u64;
    }
    Ok(n_rows)
}

/// Rows under titles.
fn show(batches: &mut Batches, is_cut: bool) -> Result<u64> {
    let schema = batches.schema();
    let options = FormatOptions::default().with_null("–");
    let mut rows: Vec<Vec<String>> = Vec::new();
    while let Some(batch) = batches.next()? {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|error| unwritable(&error))?;
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()));
    }
    let has_more = is_cut && rows.len() as u64 > N_SHOWN;
    if has_more {
        rows.pop();
    }
    let titles: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    render::table(&titles, &rows);
    let more = if has_more { ", and there are more: ask with --limit, or --format csv for all" } else { "" };
    render::talk(&format!("{} rows{more}", rows.len()));
    Ok(rows.len() as u64)
}

fn broke_off(error: ArrowError) -> Error {
    ROWS_BROKE_OFF
        .error("the rows broke off before their end")
        .hint("the query failed or ran out of time on the server, whose log says why; nothing incomplete was kept in a file")
        .cause(error)
}

fn unwritable(error: &ArrowError) -> Error {
    if let ArrowError::IoError(_, cause) = error
        && cause.kind() == std::io::ErrorKind::BrokenPipe
    {
        // Whoever reads has what they wanted, as with `head`.
        std::process::exit(0);
    }
    let error = OUTPUT_UNWRITABLE.error(format!("the rows cannot be written: {error}"));
    error.hint("choose another --format, and check that the disk is not full")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_their_types() {
        let check = |text: &str, want: Value| assert_eq!(value_of(text), want, "{text}");
        check("3", json!(3));
        check("-0.5", json!(-0.5));
        check("true", json!(true));
        check("null", Value::Null);
        for text in ["AA", "2024-06-01", "007", "[1]", "{}", "\"AA\""] {
            check(text, json!(text));
        }
    }
}
