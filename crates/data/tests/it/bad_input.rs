//! Files that cannot be ingested: the error names the file (and line) and says what to do, and the workspace stays as it was.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use lw_data::SourceDefinition;
use parquet::arrow::ArrowWriter;

use crate::project::{Project, source};

fn definition(format: &str) -> SourceDefinition {
    source(&format!(
        "
source: things
files: in/*
format: {format}
columns:
  id: {{type: int64}}
  name: {{type: string}}
  at: {{type: timestamp}}
contract: {{max_quarantined: 0}}
"
    ))
}

async fn check(format: &str, content: impl AsRef<[u8]>, code: &str, want: &str, hint: &str) {
    let (project, things) = (Project::new(), definition(format));
    project.write("in/good", good(format));
    project.ingest(&things).await.unwrap();
    project.write("in/new", content);
    let error = project.ingest(&things).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (code, want), "{error:?}");
    assert!(error.hint_text().unwrap().contains(hint), "{error:?}");
    project.check_untouched(&things, 1).await;
    // Nothing stands in the way of what comes next.
    project.write("in/new", good(format));
    assert_eq!(project.ingest(&things).await.unwrap().n_rows(), 1);
}

fn good(format: &str) -> Vec<u8> {
    match format {
        "csv" => b"id,name,at\n1,a,2024-01-01T00:00:00Z\n".to_vec(),
        "jsonl" => b"{\"id\": 1, \"name\": \"a\", \"at\": \"2024-01-01T00:00:00Z\"}\n".to_vec(),
        _ => parquet(vec![
            ("id", Arc::new(Int64Array::from(vec![1]))),
            ("name", texts(&["a"])),
            ("at", texts(&["2024-01-01T00:00:00Z"])),
        ]),
    }
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[tokio::test]
async fn broken_csv() {
    let unreadable = "source-file-unreadable";
    check("csv", "", unreadable, "in/new:1: the file is empty; a CSV file begins with a header line", "column names").await;
    check("csv", b"id,name,at\n1,a,\n2,\xff\xfe,\n", unreadable, "in/new:3: field 2 is not UTF-8", "iconv").await;
    check("csv", "id,name,at\n1,\"a\nb\",\n2,b\n", unreadable, "in/new:4: the line has 2 fields, the header 3", "quotes").await;
    let changed = "source-columns-changed";
    let want = "in/new: the header is one column, `id;name;at`: fields are not separated by ','";
    check("csv", "id;name;at\n1;a;\n", changed, want, "set `delimiter: \";\"`").await;
    check("csv", "id,nam,at\n", changed, "in/new: the declared column `name` (string) is missing", "`from: \"nam\"`").await;
    check("csv", "id,name,at,x\n", changed, "in/new: the column `x` is not declared", "evolution: additive").await;
    check("csv", "id,name,at,id\n", changed, "in/new: the column `id` stands twice", "name of its own").await;
    let want = "in/new: column `at` has times without a zone; the first is `2024-01-01 10:00:00` in row 2";
    check("csv", "id,name,at\n1,a,\n2,b,2024-01-01 10:00:00\n", "timestamp-without-zone", want, "zone: America/New_York").await;
    let want = "in/new: the contract of `things` refuses the batch: 1 of 2 rows would go to quarantine; \
                `id.type` alone is broken 1 times, first in row 2: `id` is `x` (string), not an int64";
    check("csv", "id,name,at\n1,a,\nx,b,\n", "contract-refused", want, "max_quarantined").await;
}

#[tokio::test]
async fn broken_json_lines() {
    let unreadable = "source-file-unreadable";
    let cut = "in/new:2: the line is not a JSON object: EOF while parsing a string at column 14";
    check("jsonl", "{\"id\": 1, \"name\": \"a\", \"at\": null}\n{\"id\": 2, \"nam", unreadable, cut, "cut off").await;
    check("jsonl", b"{\"id\": 1, \"name\": \"\xff\"}", unreadable, "in/new:1: the line is not UTF-8", "JSON Lines").await;
    check("jsonl", "{\"id\": 1, \"id\": 2}", unreadable, "in/new:1: the name `id` stands twice", "JSON Lines").await;
    let changed = "source-columns-changed";
    check("jsonl", "{\"id\": 1, \"idd\": 2}", changed, "in/new:1: the column `idd` is not declared", "did you mean `id`?").await;
    check(
        "jsonl",
        "{\"id\": 1, \"name\": null}",
        changed,
        "in/new: the declared column `at` (timestamp) is missing",
        "the file has",
    )
    .await;
}

#[tokio::test]
async fn broken_parquet() {
    let whole = good("parquet");
    let want = "in/new: the file is not readable as Parquet: it is cut off, damaged or of another format";
    check("parquet", &whole[..whole.len() / 2], "source-file-unreadable", want, "writer may not be done").await;
    check("parquet", "id,name\n1,a\n", "source-file-unreadable", want, "format").await;
    let numbers = |values: Vec<Option<i64>>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let retyped = parquet(vec![
        ("id", numbers(vec![Some(1); 3])),
        ("name", numbers(vec![None, Some(7), None])),
        ("at", numbers(vec![None; 3])),
    ]);
    let want = "in/new: column `name` is int64, declared is string; the first such value is `7` in row 2";
    check("parquet", retyped, "source-type-changed", want, "declared type").await;
    let naive = Arc::new(TimestampMillisecondArray::from(vec![0])) as ArrayRef;
    let naive = parquet(vec![("id", numbers(vec![Some(1)])), ("name", texts(&["a"])), ("at", naive)]);
    let want = "in/new: column `at` has times without a zone; the first is `1970-01-01T00:00:00` in row 1";
    check("parquet", naive, "timestamp-without-zone", want, "zone: America/New_York").await;
}

/// The evolution policy names the types on both sides, the file and, where there is one, the row.
#[tokio::test]
async fn changed_columns() {
    let numbers = |values: Vec<Option<i64>>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let at = || texts(&["2024-01-01T00:00:00Z"]);
    let more =
        parquet(vec![("id", numbers(vec![Some(1)])), ("name", texts(&["a"])), ("at", at()), ("x", numbers(vec![Some(1)]))]);
    let changed = "source-columns-changed";
    check("parquet", more, changed, "in/new: the column `x` (int64) is not declared", "evolution: additive").await;
    let fewer = parquet(vec![("name", texts(&["a"])), ("at", at())]);
    check("parquet", fewer, changed, "in/new: the declared column `id` (int64) is missing", "the file has: name, at").await;
    let wide: Vec<String> = (0..10_000).map(|index| format!("c{index}")).collect();
    let want = "in/new: the file has 10000 columns, a table has at most 2000";
    check("csv", wide.join(","), changed, want, "delimiter").await;
    let wide: Vec<String> = wide.iter().map(|name| format!("\"{name}\": 1")).collect();
    let lines = format!("{{{}}}", wide.join(", "));
    check("jsonl", lines, changed, "in/new:1: the column `c0` is not declared", "evolution: additive").await;
}

/// Two files of one batch bring a new column with two types, then a later batch with a third.
#[tokio::test]
async fn a_new_column_has_one_type() {
    let (project, things) = (Project::new(), definition("parquet"));
    let mut json = serde_json::to_value(&things).unwrap();
    json["contract"]["evolution"] = "additive".into();
    let additive: SourceDefinition = serde_json::from_value(json).unwrap();
    let file = |extra: ArrayRef| {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        parquet(vec![("id", ids), ("name", texts(&["a", "b"])), ("at", texts(&["2024-01-01T00:00:00Z"; 2])), ("extra", extra)])
    };
    project.write("in/1", file(Arc::new(Int64Array::from(vec![Some(7), None]))));
    project.write("in/2", file(Arc::new(StringArray::from(vec![None, Some("seven")]))));
    let error = project.ingest(&additive).await.unwrap_err();
    let want = "in/2: column `extra` is string, in table `things` int64; the first such value is `seven` in row 2";
    assert_eq!((error.code(), error.to_string().as_str()), ("source-type-changed", want));
    project.check_untouched(&additive, 0).await;
    std::fs::remove_file(project.path().join("in/2")).unwrap();
    project.ingest(&additive).await.unwrap();
    project.write("in/3", file(texts(&["x", "y"])));
    let error = project.ingest(&additive).await.unwrap_err();
    let want = "in/3: column `extra` is string, in table `things` int64; the first such value is `x` in row 1";
    assert_eq!((error.code(), error.to_string().as_str()), ("source-type-changed", want));
}

#[tokio::test]
async fn missing_files_and_retyped_definitions() {
    let (project, things) = (Project::new(), definition("csv"));
    let error = project.ingest(&things).await.unwrap_err();
    assert_eq!((error.code(), error.message()), ("source-files-missing", "no file matches `in/*`"));
    assert!(error.hint_text().unwrap().contains(&project.path().display().to_string()));
    project.check_untouched(&things, 0).await;

    project.write("in/1.csv", good("csv"));
    project.ingest(&things).await.unwrap();
    let mut json = serde_json::to_value(&things).unwrap();
    json["columns"]["id"]["type"] = "string".into();
    let retyped: SourceDefinition = serde_json::from_value(json).unwrap();
    project.write("in/2.csv", good("csv"));
    let error = project.ingest(&retyped).await.unwrap_err();
    let want = "column `id` of table `things` is int64, and this batch would write string";
    assert_eq!((error.code(), error.message()), ("source-type-changed", want));
    project.check_untouched(&things, 1).await;
}

#[tokio::test]
async fn one_bad_file_of_many_refuses_the_whole_batch() {
    let (project, things) = (Project::new(), definition("csv"));
    project.write("in/1.csv", good("csv"));
    project.write("in/2.csv", "id,name,at\n1\n");
    let error = project.ingest(&things).await.unwrap_err();
    assert_eq!(error.to_string(), "in/2.csv:2: the line has 1 fields, the header 3");
    project.check_untouched(&things, 0).await;
}

#[tokio::test]
async fn files_without_rows_are_taken_too() {
    for (format, content) in [("csv", b"id,name,at\n".to_vec()), ("jsonl", b"\n".to_vec())] {
        let (project, things) = (Project::new(), definition(format));
        project.write("in/1", content);
        let report = project.ingest(&things).await.unwrap();
        assert_eq!((report.commits.len(), report.n_rows()), (1, 0));
        assert_eq!(project.ingest(&things).await.unwrap().commits.len(), 0);
    }
}

/// The kernel's own files say that they are empty, and yet have content: to a reader they grow while they are read.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_that_grows_while_it_is_read_is_refused() {
    let (project, things) = (Project::new(), definition("csv"));
    std::fs::create_dir_all(project.path().join("in")).unwrap();
    std::os::unix::fs::symlink("/proc/self/status", project.path().join("in/1.csv")).unwrap();
    let error = project.ingest(&things).await.unwrap_err();
    let want = "in/1.csv: the file changed while it was read";
    assert_eq!((error.code(), error.to_string().as_str()), ("source-file-unstable", want));
    assert!(error.kind().is_transient());
    project.check_untouched(&things, 0).await;
}
