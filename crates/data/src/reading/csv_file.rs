//! CSV with a header line (RFC 4180).

use arrow::array::RecordBatch;
use csv::ByteRecord;
use lw_core::{Error, Result};

use super::columns::{changed, table_names};
use super::{Snapshot, TextColumns, place};
use crate::SourceDefinition;
use crate::failures::SOURCE_FILE_UNREADABLE;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const USUAL_DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

pub(super) fn read(snapshot: &Snapshot, source: &SourceDefinition) -> Result<Vec<RecordBatch>> {
    let path = &snapshot.path;
    let content = snapshot.bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&snapshot.bytes);
    let delimiter = source.delimiter.unwrap_or(',');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(u8::try_from(delimiter).unwrap_or(b','))
        .from_reader(content);
    let mut record = ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(|error| broken(path, error))? {
        return Err(SOURCE_FILE_UNREADABLE
            .error("the file is empty; a CSV file begins with a header line")
            .hint("the writer may not be done; otherwise write the column names into the first line")
            .at(place(path, Some(1))));
    }
    let header = fields(&record, path).map(|field| field.map(|text| text.trim().to_owned())).collect::<Result<Vec<_>>>()?;
    check_delimiter(source, &header, delimiter, path)?;
    let mut columns = TextColumns::new(table_names(source, &header, |_| None, path)?);
    while reader.read_byte_record(&mut record).map_err(|error| broken(path, error))? {
        if record.len() != header.len() {
            return Err(wrong_length(path, &record, header.len()));
        }
        for (field, builder) in fields(&record, path).zip(&mut columns.builders) {
            let text = field?;
            let is_null = text.is_empty() || source.null_values.iter().any(|null| null == text);
            if is_null { builder.append_null() } else { builder.append_value(text) }
        }
        columns.end_row()?;
    }
    columns.finish()
}

/// A file that suddenly has one wide column has most likely got another delimiter.
fn check_delimiter(source: &SourceDefinition, header: &[String], delimiter: char, path: &str) -> Result<()> {
    let ([only], true) = (header, source.columns.len() > 1) else {
        return Ok(());
    };
    let other = USUAL_DELIMITERS.into_iter().find(|other| *other != delimiter && only.contains(*other));
    let Some(other) = other else {
        return Ok(());
    };
    Err(changed(path, format!("the header is one column, `{only}`: fields are not separated by {delimiter:?}")).hint(format!(
        "the file seems to be separated by {other:?}: set `delimiter: {:?}`, or ask its writer",
        other.to_string()
    )))
}

fn fields<'r>(record: &'r ByteRecord, path: &'r str) -> impl Iterator<Item = Result<&'r str>> {
    let line = record.position().map(csv::Position::line);
    record.iter().enumerate().map(move |(index, field)| {
        std::str::from_utf8(field).map_err(|error| {
            SOURCE_FILE_UNREADABLE
                .error(format!("field {} is not UTF-8", index + 1))
                .hint("write the file as UTF-8, for example with `iconv -f latin1 -t utf-8`")
                .at(place(path, line))
                .cause(error)
        })
    })
}

fn wrong_length(path: &str, record: &ByteRecord, want: usize) -> Error {
    SOURCE_FILE_UNREADABLE
        .error(format!("the line has {} fields, the header {want}", record.len()))
        .hint(
            "a field that contains the delimiter or a line break must stand in quotes; a last line that is too short is cut off",
        )
        .at(place(path, record.position().map(csv::Position::line)))
}

fn broken(path: &str, error: csv::Error) -> Error {
    let line = error.position().map(csv::Position::line);
    SOURCE_FILE_UNREADABLE.error("the line is not CSV").hint("see RFC 4180 for what CSV is").at(place(path, line)).cause(error)
}
