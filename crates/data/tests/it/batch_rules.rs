//! Rules that need more than one row: what they find in a batch, and what becomes of it.

use arrow::array::RecordBatch;
use lw_data::failures::{CONTRACT_REFUSED, SOURCE_INVALID};
use lw_data::{Outcome, RuleVerdict, Severity, SourceDefinition, examine, refusals, verdicts};
use lw_engine::Area;

use crate::project::{Project, source};

fn orders(contract: &str) -> SourceDefinition {
    source(&format!(
        "
source: orders
files: orders/*.csv
format: csv
columns:
  id: {{type: int64}}
  amount: {{type: float64, min: 0}}
  country: {{type: string}}
  note: {{type: string}}
  at: {{type: timestamp, zone: UTC}}
  known_at: {{type: timestamp, zone: UTC}}
event_time: at
known_time: known_at
contract:
  max_quarantined: 0.9
{contract}
"
    ))
}

/// Rows of `id,amount,country,note,at,known_at`, written with the columns that a test is about.
fn rows(lines: impl IntoIterator<Item = String>) -> String {
    let lines: Vec<String> = lines.into_iter().collect();
    format!("id,amount,country,note,at,known_at\n{}\n", lines.join("\n"))
}

fn plain(ids: std::ops::Range<u32>) -> String {
    rows(ids.map(|id| format!("{id},{},DE,fine,2024-01-01T00:00:00,", 10 + id % 10)))
}

async fn newest(project: &Project, definition: &SourceDefinition) -> Vec<RuleVerdict> {
    let table = lw_data::queries::latest_version(&project.services.store, &definition.name).await.unwrap().unwrap();
    verdicts(&project.services.store, &table.table, table.version).await.unwrap()
}

fn verdict<'v>(verdicts: &'v [RuleVerdict], rule: &str) -> &'v RuleVerdict {
    verdicts.iter().find(|verdict| verdict.rule == rule).unwrap_or_else(|| panic!("no rule `{rule}`: {verdicts:#?}"))
}

/// Ingests one file under a contract and compares the rule's outcome, its count, and the rows in quarantine by their number.
async fn check(contract: &str, content: &str, rule: &str, want: (Outcome, u64), in_quarantine: &[i64]) -> RuleVerdict {
    let (project, definition) = (Project::new(), orders(contract));
    assert!(definition.check().is_empty(), "{:?}", definition.check());
    project.write("orders/1.csv", content);
    let examined = examine(&definition, project.path(), "orders/1.csv", project.ctx.now(), 2).unwrap();
    let report = project.ingest(&definition).await.unwrap();
    let verdicts = newest(&project, &definition).await;
    let found = verdict(&verdicts, rule).clone();
    assert_eq!((found.outcome, found.n_broken), want, "{found:#?}");
    // A dry run says the same of rules that need nothing but the file.
    let dry = verdict(&examined.verdicts, rule);
    if dry.outcome != Outcome::NotJudged {
        let told = |verdict: &RuleVerdict| (verdict.outcome, verdict.n_broken, verdict.n_checked, verdict.observed.clone());
        assert_eq!(told(dry), told(&found));
    }
    assert_eq!(report.n_quarantined(), in_quarantine.len() as u64);
    if !in_quarantine.is_empty() {
        let sql = "SELECT row_number FROM quarantine.orders ORDER BY row_number";
        let shown = project.query(sql, Area::Quarantine, &definition).await;
        let number = |batch: &RecordBatch, row| lw_engine::scalar_at(batch.column(0), row).unwrap();
        let numbers = shown.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| number(batch, row)));
        let want: Vec<lw_core::Scalar> = in_quarantine.iter().map(|number| (*number).into()).collect();
        assert_eq!(numbers.collect::<Vec<_>>(), want);
    }
    assert!(project.services.store.verify().await.unwrap().is_sound());
    found
}

#[tokio::test]
async fn repeated_values_and_rows_are_sent_away_but_for_the_first() {
    let content = rows(
        ["1,5,DE,a,,", "1,6,FR,b,,", "2,5,DE,,,", "1,-1,DE,c,,", ",5,DE,d,,", ",5,DE,e,,", "1,5,DE,a,,", "2,7,FR,f,,"]
            .map(str::to_owned),
    );
    // Row 4 breaks another rule and repeats nothing; nulls are not compared.
    check("  unique: [{columns: [id]}]", &content, "unique(id)", (Outcome::Broken, 3), &[2, 4, 7, 8]).await;
    let set = "  unique: [{columns: [id, country]}]";
    let found = check(set, &content, "unique(id, country)", (Outcome::Broken, 1), &[4, 7]).await;
    assert_eq!(found.first[0].reason, "an earlier row has (id, country) = (1, DE)");
    check("  unique: [{columns: [note]}]", &content, "unique(note)", (Outcome::Broken, 1), &[4, 7]).await;
    check("  duplicates: quarantine", &content, "duplicates", (Outcome::Broken, 1), &[4, 7]).await;
    check("  duplicates: warn", &content, "duplicates", (Outcome::Broken, 1), &[4]).await;
}

#[tokio::test]
async fn outliers_are_named_with_the_limits_of_their_batch() {
    let mut lines: Vec<String> = (0..40).map(|id| format!("{id},{},DE,,,", 20 + id % 7)).collect();
    lines.push("40,500,DE,,,".into());
    let content = rows(lines);
    let found = check("  outliers: [{column: amount}]", &content, "amount.outlier", (Outcome::Broken, 1), &[41]).await;
    // The median is 23, the median absolute deviation 2.
    assert_eq!(found.limits.as_deref(), Some("8.174 to 37.83 (median 23, robust z 5)"));
    assert!(found.first[0].reason.starts_with("`amount` is 500.0, far from the others: outside of 8.174"), "{found:?}");
    let iqr = "  outliers: [{column: amount, method: iqr, limit: 150, on_failure: warn}]";
    check(iqr, &content, "amount.outlier", (Outcome::Kept, 0), &[]).await;
    let few = rows(["1,5,DE,,,".to_owned(), "2,900,DE,,,".to_owned()]);
    check("  outliers: [{column: amount}]", &few, "amount.outlier", (Outcome::NotJudged, 0), &[]).await;
}

#[tokio::test]
async fn a_condition_on_the_batch_warns_sends_it_away_or_refuses_it() {
    let content = rows(["1,5,DE,,,".to_owned(), "2,7,DE,,,".to_owned(), "3,-90,DE,,,".to_owned()]);
    let rule =
        |on_failure: &str, check: &str| format!("  aggregates: [{{name: usual, check: \"{check}\", on_failure: {on_failure}}}]");
    // The third row is in quarantine already and does not count.
    let found = check(&rule("reject", "avg(amount) BETWEEN 5 AND 7"), &content, "usual", (Outcome::Kept, 0), &[3]).await;
    assert_eq!(found.observed.as_deref(), Some("avg(amount) = 6.0"));
    check(&rule("warn", "avg(amount) > 7"), &content, "usual", (Outcome::Broken, 0), &[3]).await;
    check(&rule("warn", "avg(CAST(note AS DOUBLE)) > 7"), &content, "usual", (Outcome::Kept, 0), &[3]).await;
    let sent = check(&rule("quarantine", "count(*) > 9"), &content, "usual", (Outcome::Broken, 0), &[1, 2, 3]).await;
    assert_eq!(sent.limits.as_deref(), Some("count(*) > 9"));

    let (project, refusing) = (Project::new(), orders(&rule("reject", "avg(amount) > 7")));
    project.write("orders/1.csv", &content);
    for _ in 0..2 {
        let error = project.ingest(&refusing).await.unwrap_err();
        let want = "the contract of `orders` refuses the batch: `usual` is broken: avg(amount) = 6.0; allowed is avg(amount) > 7";
        assert!(error.is(CONTRACT_REFUSED) && error.message() == want, "{error:?}");
    }
    project.check_untouched(&refusing, 0).await;
    // What the rules said of the refused batch is kept, once for the same files and definition.
    let kept = refusals(&project.services.store, &refusing.name, None, 10).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(verdict(&kept[0].verdicts, "usual").outcome, Outcome::Broken);
    assert_eq!((kept[0].files[0].path.as_str(), verdict(&kept[0].verdicts, "amount.min").n_broken), ("orders/1.csv", 1));
}

#[tokio::test]
async fn the_quarantine_tells_why_a_whole_batch_is_there() {
    let (project, definition) = (Project::new(), orders("  volume: {min: 5, on_failure: quarantine}"));
    project.write("orders/1.csv", plain(0..3));
    let report = project.ingest(&definition).await.unwrap();
    assert_eq!((report.n_rows(), report.n_quarantined(), report.commits.len()), (0, 3, 1));
    assert_eq!(report.commits[0].event_watermark, None);
    let sql = "SELECT rule, reason, count(*) AS n FROM quarantine.orders GROUP BY rule, reason";
    let shown = project.show(sql, Area::Quarantine, &definition).await;
    assert!(shown.contains("| volume | 3 rows; allowed is at least 5 rows | 3 |"), "{shown}");
    // The next batch is judged on its own.
    project.write("orders/2.csv", plain(10..20));
    assert_eq!(project.ingest(&definition).await.unwrap().n_rows(), 10);
}

#[tokio::test]
async fn volume_is_learned_from_batches_that_were_usual() {
    let learned = "  volume: {learned: {season: weekday, history: 3}, on_failure: warn}";
    let (project, definition) = (Project::new(), orders(learned));
    let mut id = 0;
    let mut outcomes = Vec::new();
    // Mondays bring 100 rows, Tuesdays 20; on the fourth Monday come 20, on the fifth 100 again.
    for week in 0..5 {
        for (day, n_rows) in [(1, if week == 3 { 20 } else { 100 }), (2, 20)] {
            project.set_time(&format!("2024-01-{:02}T08:00:00Z", 7 * week + day));
            project.write(&format!("orders/{week}-{day}.csv"), plain(id..id + n_rows));
            id += n_rows;
            project.ingest(&definition).await.unwrap();
            outcomes.push(verdict(&newest(&project, &definition).await, "volume.learned").outcome);
        }
    }
    use Outcome::{Broken, Kept, NotJudged};
    assert_eq!(outcomes, [NotJudged, NotJudged, NotJudged, NotJudged, NotJudged, NotJudged, Broken, Kept, Kept, Kept]);
}

#[tokio::test]
async fn a_distribution_is_compared_with_the_last_version_that_kept_the_rule() {
    let contract =
        "  distribution:\n    - {column: amount, method: ks, on_failure: warn}\n    - {column: country, on_failure: warn}";
    let (project, definition) = (Project::new(), orders(contract));
    let mut outcomes = Vec::new();
    for (batch, shift, country) in [(1, 0, "DE"), (2, 0, "DE"), (3, 40, "DE"), (4, 40, "FR"), (5, 0, "DE")] {
        let line = |id: i32| format!("{id},{},{country},,2024-01-01T00:00:00,", 10 + id % 50 + shift);
        project.write(&format!("orders/{batch}.csv"), rows((0..500).map(line)));
        project.ingest(&definition).await.unwrap();
        let verdicts = newest(&project, &definition).await;
        outcomes.push(["amount.distribution", "country.distribution"].map(|rule| verdict(&verdicts, rule).outcome));
    }
    use Outcome::{Broken, Kept, NotJudged};
    // The third batch is no reference for the fourth: it broke the rule.
    assert_eq!(outcomes, [[NotJudged; 2], [Kept; 2], [Broken, Kept], [Broken; 2], [Kept; 2]]);
    let last = newest(&project, &definition).await;
    let found = verdict(&last, "amount.distribution");
    assert!(found.limits.as_deref().unwrap().ends_with("against version 1"), "{found:?}");
}

#[tokio::test]
async fn labels_are_late_when_known_late_or_not_known_in_time() {
    let content = rows(
        [
            "1,5,DE,,2023-12-01T00:00:00,2023-12-08T00:00:00",
            "2,5,DE,,2023-12-01T00:00:00,2023-12-08T00:00:01",
            "3,5,DE,,2023-12-01T00:00:00,",
            "4,5,DE,,2023-12-31T00:00:00,",
            "5,5,DE,,,",
        ]
        .map(str::to_owned),
    );
    // It is 2024-01-01: the fourth row may still become known in time.
    let strict = "  label_delay: {within: 7d, on_failure: warn}";
    let found = check(strict, &content, "label_delay", (Outcome::Broken, 2), &[]).await;
    assert_eq!(found.first.iter().map(|first| first.row_number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(found.observed.as_deref(), Some("33.33 % (1 of 3 rows) within 7d, 1 are not known yet"));
    let lenient = "  label_delay: {within: 7d, share: 0.3, on_failure: warn}";
    check(lenient, &content, "label_delay", (Outcome::Kept, 2), &[]).await;
}

#[tokio::test]
async fn sensitive_data_and_groups_are_looked_at() {
    let line = |id: i32| {
        let country = if id % 10 == 0 { "FR" } else { "DE" };
        format!("{id},5,{country},user{id}@example.com,,")
    };
    let content = rows((0..1_000).map(line));
    let found = check("  sensitive: {on_failure: warn}", &content, "sensitive", (Outcome::Broken, 0), &[]).await;
    assert_eq!(found.observed.as_deref(), Some("`note` email (100 % of 1000 sampled values)"));
    assert!(found.first.iter().all(|first| !first.reason.contains("example.com")), "{found:?}");
    check("  sensitive: {detect: [iban], on_failure: warn}", &content, "sensitive", (Outcome::Kept, 0), &[]).await;

    let half = "  representation: [{column: country, expected: {DE: 0.5, FR: 0.5}, on_failure: warn}]";
    let found = check(half, &content, "country.representation", (Outcome::Broken, 0), &[]).await;
    assert_eq!(found.observed.as_deref(), Some("DE 90 % (900 of 1000, off), FR 10 % (100 of 1000, off)"));
    let as_it_is = "  representation: [{column: country, expected: {DE: 0.9}, on_failure: warn}]";
    check(as_it_is, &content, "country.representation", (Outcome::Kept, 0), &[]).await;
    let without_french = "  representation: [{column: country, expected: {DE: 0.9, FR: 0}, on_failure: warn}]";
    check(without_french, &content, "country.representation", (Outcome::Broken, 0), &[]).await;
}

#[tokio::test]
async fn values_must_stand_in_the_table_that_they_refer_to() {
    let project = Project::new();
    let countries = source(
        "
source: countries
files: countries.csv
format: csv
columns:
  code: {type: string, required: true}
  number: {type: int64}
key: [code]
",
    );
    let definition = orders("  references: [{columns: [country], table: countries, to: [code]}]");
    project.write("orders/1.csv", rows(["1,5,DE,,,", "2,5,XX,,,", "3,5,,,,", "4,-1,YY,,,"].map(str::to_owned)));
    let error = project.ingest(&definition).await.unwrap_err();
    assert!(error.is(SOURCE_INVALID) && error.message().ends_with("there is no table `countries` to refer to"), "{error:?}");
    assert!(error.hint_text().unwrap().contains("ingest the source `countries` first"));

    project.write("countries.csv", "code,number\nDE,276\nFR,250\n");
    project.ingest(&countries).await.unwrap();
    let report = project.ingest(&definition).await.unwrap();
    // A null refers to nothing, and the fourth row is in quarantine for its amount.
    assert_eq!((report.n_rows(), report.n_quarantined()), (2, 2));
    let found = newest(&project, &definition).await;
    let found = verdict(&found, "references(country)");
    assert_eq!((found.n_broken, found.first[0].row_number), (1, 2));
    assert_eq!(found.first[0].reason, "(country) = (XX) is not in `countries` (code)");

    for (to, message) in
        [("cod", "table `countries` has no column `cod`"), ("number", "`country` is string and `number` of table")]
    {
        let wrong = orders(&format!("  references: [{{columns: [country], table: countries, to: [{to}]}}]"));
        project.write("orders/2.csv", plain(0..1));
        let error = project.ingest(&wrong).await.unwrap_err();
        assert!(error.is(SOURCE_INVALID) && error.message().contains(message), "{error:?}");
    }
}

#[tokio::test]
async fn a_rule_that_never_holds_is_said_to_be_wrong() {
    let (project, definition) = (Project::new(), orders("  rules: [{name: never, check: \"amount > 1000\"}]"));
    project.write("orders/1.csv", plain(0..20));
    let error = project.ingest(&definition).await.unwrap_err();
    assert!(error.is(CONTRACT_REFUSED) && error.hint_text().unwrap().starts_with("no row keeps `never`"), "{error:?}");
    let warning = "  rules: [{name: never, check: \"amount > 1000\", on_failure: warn}]";
    let warned = check(warning, &plain(0..20), "never", (Outcome::Broken, 20), &[]).await;
    assert_eq!(warned.note.as_deref(), Some("no row of the batch keeps it"));
}

#[test]
fn a_dry_run_over_threads_is_one_over_the_whole() {
    let directory = tempfile::tempdir().unwrap();
    let definition = source(
        "
source: things
files: things.parquet
format: parquet
columns:
  id: {type: int64, required: true, min: 10}
  text: {type: string, matches: '[a-z]+[0-9]'}
contract:
  unique: [{columns: [id]}, {columns: [text], on_failure: warn}]
  outliers: [{column: id, limit: 2, on_failure: warn}]
  aggregates: [{name: enough, check: \"count(*) = 70000 AND sum(id) > 5\"}]
",
    );
    write_parquet(&directory.path().join("things.parquet"));
    let run = |n_threads| {
        examine(&definition, directory.path(), "things.parquet", lw_core::Timestamp::from_micros(0), n_threads).unwrap()
    };
    let (one, three) = (run(1), run(3));
    assert_eq!(one, three);
    assert_eq!(one.n_rows, 70_000);
    let found = |rule: &str| verdict(&one.verdicts, rule);
    // Each id from 0 to 34,999 twice; texts end in a digit unless the id is a multiple of 1,000.
    assert_eq!((found("id.min").n_broken, found("text.matches").n_broken), (20, 70));
    assert_eq!(found("id.min").first.iter().map(|first| first.row_number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(found("unique(id)").severity, Severity::Quarantine);
    // Row rules keep out 88 rows; the others are 34,956 ids, each twice.
    assert_eq!((found("unique(id)").n_checked, found("unique(id)").n_broken), (69_912, 34_956));
    assert_eq!(found("enough").outcome, Outcome::Broken);
}

fn write_parquet(path: &std::path::Path) {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((0..70_000).map(|row| row / 2)));
    let text = |row: i64| if row / 2 % 1_000 == 0 { format!("t{row}x") } else { format!("t{}", row % 10) };
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..70_000).map(text)));
    let batch = RecordBatch::try_from_iter([("id", ids), ("text", texts)]).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(9_000)).build();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
