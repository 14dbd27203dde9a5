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

/// Rules on many rows are checked like the others: with the part, what is wrong, and what to do.
#[test]
fn every_rule_on_many_rows_is_checked() {
    let check_rule = |rule: &str, want: &[&str]| check("  rules:", &format!("  {rule}\n  rules:"), want);
    check_rule("unique: [{columns: []}]", &["contract.unique[0].columns: the rule is on no column"]);
    check_rule("unique: [{columns: [id, idd]}]", &["contract.unique[0].columns[1]: there is no column `idd`"]);
    check_rule("unique: [{columns: [id, id]}]", &["contract.unique[0].columns[1]: `id` stands twice"]);
    check_rule("unique: [{columns: [id]}, {columns: [id]}]", &["contract.unique[1]: there is a rule `unique(id)` already"]);
    check_rule("references: [{columns: [kind], table: kinds, to: [a, b]}]", &["contract.references[0].to: 1 columns refer to 2"]);
    check_rule("outliers: [{column: kind}]", &["contract.outliers[0].column: `kind` is string: only numbers have outliers"]);
    check_rule("outliers: [{column: price, limit: 0}]", &["contract.outliers[0].limit: 0 is no distance"]);
    let average = "aggregates: [{name: cheap_all, check: avg(price)}]";
    check_rule(average, &["contract.aggregates[0].check: a check is true or false, `avg(price)` is float64"]);
    let mixed = "aggregates: [{name: cheap_all, check: price < avg(price)}]";
    check_rule(mixed, &["contract.aggregates[0].check: in `price < avg(price)` the column `price` stands outside"]);
    check_rule("aggregates: [{name: usual, check: avg(prize) > 1}]", &["contract.aggregates[0].check:"]);
    check_rule("aggregates: [{name: cheap, check: avg(price) > 1}]", &["contract.aggregates[0].name: there is a rule `cheap`"]);
    check_rule("volume: {on_failure: warn}", &["contract.volume: the rule has no limit"]);
    check_rule("volume: {min: 9, max: 5}", &["contract.volume.min: 9 is above the maximum 5"]);
    let learned = "volume: {learned: {width: 0, history: 1}}";
    check_rule(learned, &["contract.volume.learned.width: 0 is no width", "contract.volume.learned.history: one batch teaches"]);
    check_rule("distribution: [{column: prize}]", &["contract.distribution[0].column: there is no column `prize`"]);
    check_rule("distribution: [{column: price, threshold: -1}]", &["contract.distribution[0].threshold: -1 is no distance"]);
    check_rule("label_delay: {within: 7d}", &["contract.label_delay: a delay is the time from"]);
    check_rule("sensitive: {share: 0}", &["contract.sensitive.share: 0 is not a share"]);
    check(
        "type: int64, required: true",
        "type: int64, sensitive: [email]",
        &["columns.id.sensitive: `id` is int64, which is not looked at"],
    );
    let groups = |expected: &str| format!("representation: [{{column: kind, expected: {expected}}}]");
    check_rule(&groups("{}"), &["contract.representation[0].expected: no group is expected"]);
    check_rule(&groups("{new: 0.7, used: 0.7}"), &["contract.representation[0].expected: the shares add up to 1.4"]);
    check_rule(
        &groups("{new: 1.5}"),
        &["contract.representation[0].expected.new: 1.5", "contract.representation[0].expected: the"],
    );
}

#[test]
fn references_are_checked_against_the_tables_of_the_project() {
    let with = |to: &str, table: &str| {
        source(&GOOD.replace("  rules:", &format!("  references: [{{columns: [kind], table: {table}, to: [{to}]}}]\n  rules:")))
    };
    let field = |name: &str, data_type| arrow::datatypes::Field::new(name, data_type, true);
    let kinds = vec![field("code", arrow::datatypes::DataType::Utf8), field("number", arrow::datatypes::DataType::Int64)];
    let kinds = std::sync::Arc::new(arrow::datatypes::Schema::new(kinds));
    let tables = std::collections::BTreeMap::from([(lw_core::Name::parse("kinds").unwrap(), kinds)]);
    assert!(with("code", "kinds").check_references(&tables).is_empty());
    for (to, table, message, hint) in [
        ("code", "kind", "there is no source `kind` to refer to", "did you mean `kinds`?"),
        ("cod", "kinds", "table `kinds` has no column `cod`", "did you mean `code`?"),
        ("number", "kinds", "`kind` is string and `number` of table `kinds` is int64", "declare one type"),
    ] {
        let problems = with(to, table).check_references(&tables);
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!((problem.path.as_str(), problem.error.message()), ("contract.references[0]", message));
        assert!(problem.error.hint_text().unwrap().starts_with(hint), "{problem:?}");
    }
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
