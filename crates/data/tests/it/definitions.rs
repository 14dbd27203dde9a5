//! Definitions that cannot work are told before any file is read.

use lw_data::SourceDefinition;

use crate::project::source;

const GOOD: &str = "
source: orders
files: orders/*.csv
format: csv
columns:
  id: {type: int64, required: true}
  price: {type: float64, min: 0, max: 100}
  kind: {type: string, one_of: [new, used], matches: '[a-z]+'}
  at: {type: timestamp, zone: Europe/Berlin, min: 2013-01-01}
derive:
  cents: \"CAST(price * 100 AS BIGINT)\"
  euros: \"cents / 100\"
key: [id]
event_time: at
contract:
  freshness: 24h
  rules:
    - {name: cheap, check: \"euros < 200\"}
";

#[track_caller]
fn check(replace: &str, with: &str, want: &[&str]) {
    assert!(GOOD.contains(replace), "{replace}");
    let problems = source(&GOOD.replacen(replace, with, 1)).check();
    let got: Vec<String> = problems.iter().map(|problem| format!("{}: {}", problem.path, problem.error)).collect();
    assert_eq!(got.len(), want.len(), "{got:#?}");
    for (got, want) in got.iter().zip(want) {
        assert!(got.starts_with(want), "{got}\n{want}");
    }
    assert!(problems.iter().all(|problem| problem.error.hint_text().is_some()), "{problems:?}");
}

#[test]
fn a_good_definition_has_a_schema_and_a_digest_without_layout() {
    let definition = source(GOOD);
    assert!(definition.check().is_empty(), "{:?}", definition.check());
    let schema = definition.table_schema().unwrap();
    let columns: Vec<_> = schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
    let want = ["id Int64", "price Float64", "kind Utf8", "at Timestamp(µs, \"UTC\")", "cents Int64", "euros Int64"];
    assert_eq!(columns, want);
    let json = serde_json::to_string(&definition).unwrap();
    let again: SourceDefinition = serde_json::from_str(&json).unwrap();
    assert_eq!((again.digest(), &again), (definition.digest(), &definition));
    assert_ne!(source(&GOOD.replace("max: 100", "max: 101")).contract_digest(), definition.contract_digest());
    assert_eq!(source(&GOOD.replace("files: orders/*.csv", "files: o.csv")).contract_digest(), definition.contract_digest());
}

#[test]
fn every_part_is_checked() {
    check("files: orders/*.csv", "files: ../x.csv", &["files: `../x.csv` is not a file pattern"]);
    check("format: csv", "format: parquet\ndelimiter: ;", &["delimiter: Parquet files have no delimiter"]);
    check("format: csv", "format: csv\ndelimiter: é", &["delimiter: a delimiter is one ASCII character"]);
    check("min: 0, max", "min: 200, max", &["columns.price.min: 200 is above the maximum 100"]);
    check("min: 0, max", "min: cheap, max", &["columns.price.min: `cheap` is not a float64"]);
    check("type: int64, required: true", "type: int64, max: 1.5", &["columns.id.max: `1.5` is not an int64"]);
    check("matches: '[a-z]+'", "matches: '[a-'", &["columns.kind.matches: `[a-` is not a regular expression"]);
    check("matches: '[a-z]+'", "max: 5", &["columns.kind.max: a string has no smallest or largest value"]);
    check("[new, used]", "[new, N]", &["columns.kind.one_of[1]: `false` is not a string"]);
    check("zone: Europe/Berlin", "zone: Europe/Bonn", &["columns.at.zone: `Europe/Bonn` is not a time zone"]);
    check("min: 2013-01-01", "min: soon", &["columns.at.min: `soon` is not a timestamp"]);
    check("price * 100", "prize * 100", &["derive.cents:", "derive.euros:", "contract.rules[0].check:"]);
    check("  euros:", "  price:", &["derive.price: `price` is a column already", "contract.rules[0].check:"]);
    check("key: [id]", "key: [idd]", &["key[0]: there is no column `idd`"]);
    check("key: [id]", "key: [price]", &["key[0]: `price` is a floating-point number"]);
    check("key: [id]", "on_change: merge", &["on_change: rows can only be merged by a key"]);
    check("event_time: at", "event_time: id", &["event_time: `id` is not a timestamp"]);
    check(
        "event_time: at",
        "known_time: ta",
        &["known_time: there is no column `ta`", "contract.freshness: freshness is the age"],
    );
    check("freshness: 24h", "max_quarantined: 1.5", &["contract.max_quarantined: 1.5 is not a share"]);
    check("euros < 200", "euros + 200", &["contract.rules[0].check: a check is true or false, `euros + 200` is int64"]);
    check("euros < 200", "euro < 200", &["contract.rules[0].check:"]);
    check("  id: {", "  Id: {", &["columns.Id: `Id` is not a name", "key[0]: there is no column `id`"]);
}

#[test]
fn unknown_fields_and_repeated_columns_are_refused() {
    for bad in [GOOD.replace("event_time", "event_tme"), GOOD.replace("price: {", "id: {"), GOOD.replace("max: 100", "max: .inf")]
    {
        assert!(serde_saphyr::from_str::<SourceDefinition>(&bad).is_err(), "{bad}");
    }
}

#[test]
fn editors_get_a_json_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(SourceDefinition)).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["columns"]["$ref"], "#/$defs/MappingOfColumnDefinition");
    assert!(schema["$defs"]["DataType"]["enum"].as_array().unwrap().contains(&"timestamp".into()));
}
