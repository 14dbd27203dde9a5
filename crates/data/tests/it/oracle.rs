//! A contract over a file with defects in every column, against what DuckDB and NumPy count in it.

use std::path::{Path, PathBuf};

use lw_core::Timestamp;
use lw_data::{Examination, RuleVerdict, examine};
use serde_json::Value;

use crate::project::{Project, source};

const CHECKS: &str = "
source: checks
files: checks.parquet
format: parquet
columns:
  id: {type: int64, required: true}
  amount: {type: float64}
  age: {type: int64, min: 0, max: 120}
  country: {type: string, one_of: [US, DE, FR, GB, PL, NL, IT, ES]}
  email: {type: string, matches: 'u\\d+@example\\.com'}
  ts: {type: timestamp, zone: UTC}
  score: {type: float64, min: 0, max: 1}
  is_new: {type: boolean}
  qty: {type: int64}
  sku: {type: string, matches: 'SKU-\\d{4}'}
contract:
  on_failure: warn
  rules: [{name: new_ones_are_cheap, check: \"NOT (is_new AND amount > 200)\"}]
  unique: [{columns: [id]}, {columns: [country, qty]}, {columns: [email]}]
  outliers: [{column: amount, method: METHOD}]
  aggregates:
    - name: all_at_once
      check: \"avg(amount) < 0 AND count(amount) < 0 AND count(DISTINCT country) < 0 AND stddev(score) < 0
        AND max(ts) < TIMESTAMP '2000-01-01T00:00:00Z' AND median(amount) < 0\"
  representation: [{column: country, expected: {DE: 0.12, FR: 0.12, XX: 0.5}}]
";

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden() -> Value {
    serde_json::from_str(&std::fs::read_to_string(golden_folder().join("checks.json")).unwrap()).unwrap()
}

fn examined(method: &str) -> Examination {
    let definition = source(&CHECKS.replace("METHOD", method));
    assert!(definition.check().is_empty(), "{:?}", definition.check());
    examine(&definition, &golden_folder(), "checks.parquet", Timestamp::from_micros(0), 2).unwrap()
}

fn verdict<'v>(verdicts: &'v [RuleVerdict], rule: &str) -> &'v RuleVerdict {
    verdicts.iter().find(|verdict| verdict.rule == rule).unwrap_or_else(|| panic!("no rule `{rule}`"))
}

#[test]
fn each_rule_counts_what_duckdb_and_numpy_count() {
    let (golden, seen) = (golden(), examined("robust_z"));
    assert_eq!(seen.n_rows, golden["n_rows"].as_u64().unwrap());
    let broken = golden["broken"].as_object().unwrap();
    assert_eq!(broken.len(), 12);
    for (rule, want) in broken {
        assert_eq!(verdict(&seen.verdicts, rule).n_broken, want.as_u64().unwrap(), "{rule}");
    }
    for method in ["robust_z", "iqr"] {
        let want = golden["outliers"][method].as_u64().unwrap();
        assert!(want > 0);
        assert_eq!(verdict(&examined(method).verdicts, "amount.outlier").n_broken, want, "{method}");
    }
}

#[test]
fn conditions_on_all_rows_measure_what_duckdb_measures() {
    let (golden, seen) = (golden(), examined("iqr"));
    let observed = verdict(&seen.verdicts, "all_at_once").observed.clone().unwrap();
    let parts: Vec<(&str, &str)> = observed.split(", ").map(|part| part.split_once(" = ").unwrap()).collect();
    assert_eq!(parts.len(), 6, "{observed}");
    for (sql, value) in parts {
        let names = golden["aggregates"].as_object().unwrap();
        let (_, want) = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(sql)).unwrap_or_else(|| panic!("{sql}"));
        let want = want.as_f64().unwrap();
        let got = value.parse::<f64>().unwrap_or_else(|_| Timestamp::parse(value).unwrap().micros() as f64);
        assert!((got / want - 1.0).abs() < 1e-9, "{sql}: {got} {want}");
    }
    let counts: Vec<u64> = ["DE", "FR", "XX"].map(|country| golden["countries"][country].as_u64().unwrap()).into();
    let total: u64 = golden["countries"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let shares = verdict(&seen.verdicts, "country.representation").observed.clone().unwrap();
    for (country, count) in ["DE", "FR", "XX"].into_iter().zip(counts) {
        assert!(shares.contains(&format!("({count} of {total}")) && shares.contains(country), "{country}: {shares}");
    }
}

/// The same verdicts come from an ingestion as from a dry run over two threads.
#[tokio::test]
async fn an_ingestion_says_what_a_dry_run_says() {
    let (project, definition) = (Project::new(), source(&CHECKS.replace("METHOD", "iqr")));
    project.write("checks.parquet", std::fs::read(golden_folder().join("checks.parquet")).unwrap());
    let report = project.ingest(&definition).await.unwrap();
    let kept = lw_data::verdicts(&project.services.store, &definition.name, report.commits[0].version).await.unwrap();
    let told = |verdict: &RuleVerdict| {
        let rows: Vec<u64> = verdict.first.iter().map(|first| first.row_number).collect();
        (verdict.rule.clone(), verdict.outcome, verdict.n_checked, verdict.n_broken, verdict.limits.clone(), rows)
    };
    let dry = examined("iqr");
    assert_eq!(kept.iter().map(told).collect::<Vec<_>>(), dry.verdicts.iter().map(told).collect::<Vec<_>>());
}
