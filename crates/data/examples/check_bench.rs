//! Ten checks over a Parquet file: `check_bench FILE` prints one line, `rows=… broken=… seconds=… verdicts={rule: broken rows, …}`.
//!
//! The file is the one of bench/comparisons/data.py. The checks: columns and their order, types, `id` and 99 % of `amount` not null,
//! `age` and `score` in range, `id` unique, `country` of a set, `email` and `sku` matching a pattern.

#![expect(clippy::print_stdout, reason = "the figures are what the program is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use lw_core::Timestamp;
use lw_data::{Outcome, SourceDefinition, examine};

const SOURCE: &str = r#"
source: validate
files: validate.parquet
format: parquet
columns:
  id: {type: int64, required: true}
  amount: {type: float64}
  age: {type: int64, min: 0, max: 120}
  country: {type: string, one_of: [US, DE, FR, GB, PL, NL, IT, ES]}
  email: {type: string, matches: 'u\d+@example\.com'}
  ts: {type: timestamp, zone: UTC}
  score: {type: float64, min: 0, max: 1}
  is_new: {type: boolean}
  qty: {type: int64}
  sku: {type: string, matches: 'SKU-\d{4}'}
contract:
  on_failure: warn
  unique: [{columns: [id]}]
  aggregates:
    - {name: amount_is_there, check: "count(amount) >= 0.99 * count(*)"}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: check_bench FILE")?;
    let path = std::fs::canonicalize(file)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let definition: SourceDefinition = serde_saphyr::from_str(SOURCE)?;
    let n_threads = std::thread::available_parallelism()?.get();
    let begin = Instant::now();
    let seen = examine(&definition, folder, &name, Timestamp::from_micros(0), n_threads)?;
    let seconds = begin.elapsed().as_secs_f64();
    let n_broken = seen.verdicts.iter().filter(|verdict| verdict.outcome == Outcome::Broken).count();
    let by_rule: BTreeMap<&str, u64> = seen.verdicts.iter().map(|verdict| (verdict.rule.as_str(), verdict.n_broken)).collect();
    println!("rows={} broken={n_broken} seconds={seconds:.3} verdicts={}", seen.n_rows, serde_json::to_string(&by_rule)?);
    Ok(())
}
