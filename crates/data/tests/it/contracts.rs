//! What the contract does with rows: keep, warn, quarantine or refuse.

use lw_data::failures::{CONTRACT_REFUSED, SOURCE_FILE_CHANGED};
use lw_data::{Freshness, Severity, quarantined};
use lw_engine::Area;

use crate::project::{Project, source};

const ORDERS: &str = "
source: orders
files: orders/*.csv
format: csv
null_values: [NA]
columns:
  id: {type: int64, required: true}
  price: {type: float64, min: 0, max: 100}
  kind: {type: string, one_of: [new, used]}
  code: {type: string, matches: '[A-Z]{2}[0-9]', on_failure: warn}
  at: {type: timestamp}
derive:
  day: \"date_trunc('day', at)\"
key: [id]
event_time: at
contract:
  max_quarantined: 1
  freshness: 24h
  rules:
    - {name: used_is_cheap, check: \"kind <> 'used' OR price < 50\", reason: used things are cheap}
";

#[tokio::test]
async fn each_rule_sends_its_rows_away_with_a_reason() {
    let (project, orders) = (Project::new(), source(ORDERS));
    project.write(
        "orders/1.csv",
        "id,price,kind,code,at\n\
         1,5,new,AB1,2024-01-01T10:00:00Z\n\
         ,5,new,AB1,\n\
         3,-1,new,AB1,\n\
         4,101,old,AB1,\n\
         five,NA,NA,NA,NA\n\
         6,60,used,AB1,\n\
         1,7,new,AB1,\n\
         8,NA,,xAB1x,2024-01-01T12:00:00+01:00\n",
    );
    let report = project.ingest(&orders).await.unwrap();
    assert_eq!((report.n_rows(), report.n_quarantined()), (2, 6));
    let sql = "SELECT row_number, rule, reason, value, raw FROM quarantine.orders ORDER BY row_number";
    let want = "\
+------------+---------------+---------------------------------------------------------------------------------------+-------+-------------------------------------------------------------+
| row_number | rule          | reason                                                                                | value | raw                                                         |
+------------+---------------+---------------------------------------------------------------------------------------+-------+-------------------------------------------------------------+
| 2          | id.required   | `id` is missing                                                                       |       | {\"price\":\"5\",\"kind\":\"new\",\"code\":\"AB1\"}                   |
| 3          | price.min     | `price` is -1.0, below 0                                                              | -1.0  | {\"id\":\"3\",\"price\":\"-1\",\"kind\":\"new\",\"code\":\"AB1\"}         |
| 4          | price.max     | `price` is 101.0, above 100; `kind` is `old`, which is not one of the allowed values  | 101.0 | {\"id\":\"4\",\"price\":\"101\",\"kind\":\"old\",\"code\":\"AB1\"}        |
| 5          | id.type       | `id` is `five` (string), not an int64                                                 | five  | {\"id\":\"five\"}                                               |
| 6          | used_is_cheap | used things are cheap                                                                 |       | {\"id\":\"6\",\"price\":\"60\",\"kind\":\"used\",\"code\":\"AB1\"}        |
| 7          | key           | another row has the key (id) = (1)                                                    | 1     | {\"id\":\"1\",\"price\":\"7\",\"kind\":\"new\",\"code\":\"AB1\"}          |
+------------+---------------+---------------------------------------------------------------------------------------+-------+-------------------------------------------------------------+";
    let squeeze = |text: &str| {
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|line| !line.starts_with('+'))
            .collect::<Vec<_>>()
    };
    assert_eq!(squeeze(&project.show(sql, Area::Quarantine, &orders).await), squeeze(want));
    let listed = quarantined(&project.services.engine, &orders.name, None, 2).await.unwrap();
    let told: Vec<_> = listed.iter().map(|row| (row.row_number, row.rule.as_str(), row.raw["id"].as_str())).collect();
    assert_eq!(told, [(2, "id.required", None), (3, "price.min", Some("3"))]);
    assert_eq!(listed[1].value.as_deref(), Some("-1.0"));
    let by_rule = quarantined(&project.services.engine, &orders.name, Some("used_is_cheap"), 10).await.unwrap();
    assert_eq!((by_rule.len(), by_rule[0].reason.as_str()), (1, "used things are cheap"));
    assert!(quarantined(&project.services.engine, &orders.name, Some("it's none"), 10).await.unwrap().is_empty());
    let commit = &report.commits[0];
    let warned = commit.rules.iter().find(|rule| rule.rule == "code.matches").unwrap();
    assert_eq!((warned.severity, warned.n_broken, warned.first.row_number), (Severity::Warn, 1, 8));
    let kept = project.show("SELECT id, price, day, at FROM orders ORDER BY id", Area::Data, &orders).await;
    assert!(kept.contains("| 8  |       | 2024-01-01T00:00:00Z | 2024-01-01T11:00:00Z |"), "{kept}");
    assert!(matches!(report.freshness, Freshness::Fresh { .. }));
}

#[tokio::test]
async fn keys_are_unique_across_versions_and_files() {
    let (project, orders) = (Project::new(), source(ORDERS));
    project.write("orders/1.csv", "id,price,kind,code,at\n1,5,new,AB1,\n2,5,new,AB1,\n");
    project.ingest(&orders).await.unwrap();
    project.write("orders/2.csv", "id,price,kind,code,at\n2,5,new,AB1,\n3,5,new,AB1,\n");
    project.write("orders/3.csv", "id,price,kind,code,at\n3,5,new,AB1,\n4,5,new,AB1,\n");
    let report = project.ingest(&orders).await.unwrap();
    assert_eq!((report.commits.len(), report.n_rows(), report.n_quarantined()), (1, 2, 2));
    let shown =
        project.show("SELECT file, row_number, value FROM quarantine.orders ORDER BY file", Area::Quarantine, &orders).await;
    assert!(
        shown.contains("| orders/2.csv | 1          | 2     |") && shown.contains("| orders/3.csv | 1          | 3     |"),
        "{shown}"
    );
}

#[tokio::test]
async fn too_many_bad_rows_or_a_rule_that_rejects_refuse_the_batch_and_leave_no_trace() {
    let project = Project::new();
    project.write("orders/1.csv", "id,price,kind,code,at\n1,5,new,AB1,\n2,500,new,AB1,\n");
    let by_share = source(&ORDERS.replace("max_quarantined: 1", "max_quarantined: 0.4"));
    let error = project.ingest(&by_share).await.unwrap_err();
    assert!(error.is(CONTRACT_REFUSED), "{error:?}");
    assert!(error.message().contains("1 of 2 rows") && error.message().contains("`price` is 500.0, above 100"), "{error:?}");
    project.check_untouched(&by_share, 0).await;

    let by_rule = source(&ORDERS.replace("max: 100}", "max: 100, on_failure: reject}"));
    let error = project.ingest(&by_rule).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "orders/1.csv: the contract of `orders` refuses the batch: row 2 breaks `price.max`: `price` is 500.0, above 100"
    );
    assert_eq!(error.code(), "contract-refused");
    project.check_untouched(&by_rule, 0).await;

    // What was refused is taken once it is right.
    project.write("orders/1.csv", "id,price,kind,code,at\n1,5,new,AB1,\n2,50,new,AB1,\n");
    assert_eq!(project.ingest(&by_rule).await.unwrap().n_rows(), 2);
}

#[tokio::test]
async fn columns_may_join_and_leave_as_the_contract_says() {
    let (project, strict) = (Project::new(), source(ORDERS));
    let additive = source(&ORDERS.replace("  max_quarantined", "  evolution: additive\n  max_quarantined"));
    let any = source(&ORDERS.replace("  max_quarantined", "  evolution: any\n  max_quarantined"));
    project.write("orders/1.csv", "id,price,kind,code,at\n1,5,new,AB1,\n");
    project.ingest(&strict).await.unwrap();
    project.write("orders/2.csv", "id,price,kind,code,at,colour\n2,5,new,AB1,,red\n");
    assert_eq!(project.ingest(&strict).await.unwrap_err().code(), "source-columns-changed");
    assert_eq!(project.ingest(&additive).await.unwrap().n_rows(), 1);
    project.write("orders/3.csv", "id,kind,code,at\n3,new,AB1,\n");
    assert_eq!(project.ingest(&additive).await.unwrap_err().code(), "source-columns-changed");
    assert_eq!(project.ingest(&any).await.unwrap().n_rows(), 1);
    let shown = project.show("SELECT id, price, colour FROM orders ORDER BY id", Area::Data, &strict).await;
    let rows: Vec<_> = shown.lines().filter(|line| line.starts_with("| ") && !line.contains("price")).collect();
    assert_eq!(rows, ["| 1  | 5.0   |        |", "| 2  | 5.0   | red    |", "| 3  |       |        |"]);
}

#[tokio::test]
async fn a_kept_list_is_merged_by_key_and_a_file_that_may_not_change_is_refused() {
    let (project, orders) = (Project::new(), source(ORDERS));
    let list = source(&ORDERS.replace("key: [id]", "key: [id]\non_change: merge"));
    project.write("orders/1.csv", "id,price,kind,code,at\n1,5,new,AB1,\n2,6,new,AB1,\n");
    project.ingest(&list).await.unwrap();
    project.write("orders/1.csv", "id,price,kind,code,at\n2,60,new,AB1,\n3,7,new,AB1,\n");
    let error = project.ingest(&orders).await.unwrap_err();
    assert!(error.is(SOURCE_FILE_CHANGED) && error.to_string().starts_with("orders/1.csv: the file was ingested"), "{error:?}");
    project.check_untouched(&orders, 1).await;
    assert_eq!(project.ingest(&list).await.unwrap().n_rows(), 2);
    let shown = project.show("SELECT id, price FROM orders ORDER BY id", Area::Data, &list).await;
    let rows: Vec<_> = shown.lines().filter(|line| line.starts_with("| ") && !line.contains("price")).collect();
    assert_eq!(rows, ["| 1  | 5.0   |", "| 2  | 60.0  |", "| 3  | 7.0   |"]);
    // A file that was only touched, not changed, is no news.
    let file = std::fs::File::options().append(true).open(project.path().join("orders/1.csv")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(project.ingest(&list).await.unwrap().commits.len(), 0);
}

#[tokio::test]
async fn periods_land_when_they_begin() {
    let (project, orders) = (Project::new(), source(&ORDERS.replace("orders/*.csv", "orders/{month}.csv")));
    for (index, month) in ["2024-01", "2024-02", "2024-03"].iter().enumerate() {
        project.write(&format!("orders/{month}.csv"), format!("id,price,kind,code,at\n{index},5,new,AB1,{month}-15T00:00:00Z\n"));
    }
    project.set_time("2024-01-31T23:59:59Z");
    let report = project.ingest(&orders).await.unwrap();
    assert_eq!((report.n_rows(), report.next_period.unwrap().date_text().as_str()), (1, "2024-02-01"));
    project.set_time("2024-03-01");
    let report = project.ingest(&orders).await.unwrap();
    assert_eq!((report.n_rows(), report.n_unchanged_files, report.next_period), (2, 1, None));
    assert_eq!(report.commits[0].event_watermark.unwrap().date_text(), "2024-03-15");
    project.set_time("2024-03-17");
    assert!(matches!(project.ingest(&orders).await.unwrap().freshness, Freshness::Stale { .. }));
}
