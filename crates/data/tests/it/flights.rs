//! The example's real files under its real contracts, against verdicts and profiles that Polars computed.

use std::path::{Path, PathBuf};

use lw_core::{Name, Timestamp};
use lw_data::{ProfileDocument, Severity, SourceDefinition, ingest, queries};
use lw_engine::Area;
use serde_json::Value;

use crate::project::{Project, source};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights")
}

fn definition(name: &str) -> SourceDefinition {
    source(&std::fs::read_to_string(example().join(format!("sources/{name}.yaml"))).unwrap())
}

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/flights.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

async fn profile(project: &Project, name: &str) -> ProfileDocument {
    let version = queries::latest_version(&project.services.store, &Name::parse(name).unwrap()).await.unwrap().unwrap();
    ProfileDocument::load(&project.services.artifacts, &version.profile).await.unwrap()
}

/// Exact figures must be equal; estimates lie within what the profile promises.
fn check_profile(document: &ProfileDocument, want: &Value) {
    let summary = &document.summary;
    assert_eq!(summary.n_rows, want["n_rows"].as_u64().unwrap());
    for (name, want) in want["columns"].as_object().unwrap() {
        let got = summary.columns.iter().find(|column| column.name == *name).unwrap();
        let number = |field: &str| want[field].as_f64().unwrap();
        assert_eq!(got.n_nulls as f64, number("n_nulls"), "{name}");
        assert_eq!((got.min.unwrap(), got.max.unwrap()), (number("min"), number("max")), "{name}");
        assert!((got.mean.unwrap() - number("mean")).abs() < 1e-9 * number("mean").abs().max(1.0), "{name}");
        assert!((got.std.unwrap() - number("std")).abs() < 1e-8 * number("std").max(1.0), "{name}");
        assert!(got.is_distinct_exact && got.n_distinct as f64 == number("n_distinct"), "{name}: {}", got.n_distinct);
        if got.is_top_exact {
            assert_eq!(got.top_values[0].count as f64, want["top"]["count"].as_f64().unwrap(), "{name}");
            assert_eq!(
                got.top_values[0].value.trim_end_matches(".0"),
                want["top"]["value"].as_str().unwrap().trim_end_matches(".0")
            );
        }
        let histogram = got.histogram.as_ref().unwrap();
        assert_eq!(histogram.counts.iter().sum::<u64>(), got.n_rows - got.n_nulls, "{name}");
        let spread = number("std");
        for point in &got.quantiles {
            let want = want["quantiles"][point.share.to_string()].as_f64().unwrap();
            // A rank that is off by 0.2 % moves the outer quantiles of long tails by a few percent of the standard deviation.
            let tolerance = if got.are_quantiles_exact {
                0.0
            } else {
                (0.05 * spread).max(1.0) * if point.share >= 0.99 { 4.0 } else { 1.0 }
            };
            assert!((point.value - want).abs() <= tolerance, "{name} at {}: {} is not {want}", point.share, point.value);
        }
    }
}

async fn check(name: &str, want_profile: bool) {
    let (project, definition, golden) = (Project::new(), definition(name), golden());
    assert!(definition.check().is_empty(), "{:?}", definition.check());
    let report = ingest(&project.ctx, &project.services, &definition, &example()).await.unwrap();
    let (want, warnings) = (&golden["verdicts"][name], &golden["warnings"]);
    assert_eq!(report.n_rows() + report.n_quarantined(), want["n_rows"].as_u64().unwrap());
    assert_eq!(report.n_quarantined(), want["n_kept_out"].as_u64().unwrap(), "{:#?}", report.commits[0].rules);
    let commit = &report.commits[0];
    let mut n_keeping_out = 0;
    for rule in &commit.rules {
        let expected = if rule.severity == Severity::Warn { &warnings[&rule.rule] } else { &want["rules"][&rule.rule] };
        assert_eq!(rule.n_broken, expected.as_u64().unwrap_or_else(|| panic!("{rule:?}")), "{rule:?}");
        n_keeping_out += usize::from(rule.severity > Severity::Warn);
    }
    assert_eq!(n_keeping_out, want["rules"].as_object().unwrap().len());
    if want_profile {
        check_profile(&profile(&project, name).await, &golden["profiles"][name]);
    }
    let again = ingest(&project.ctx, &project.services, &definition, &example()).await.unwrap();
    assert!(again.commits.is_empty());
    assert!(project.services.store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn weather_planes_airlines_and_airports_keep_out_what_polars_finds() {
    check("weather", false).await;
    check("planes", true).await;
    check("airlines", false).await;
    check("airports", false).await;
}

#[tokio::test]
async fn a_year_of_flights_keeps_out_what_polars_finds() {
    check("flights", true).await;
}

#[tokio::test]
async fn flights_come_month_by_month_with_times_in_utc() {
    let (project, flights) = (Project::new(), definition("flights"));
    project.set_time("2013-02-01");
    let report = ingest(&project.ctx, &project.services, &flights, &example()).await.unwrap();
    assert_eq!(report.commits[0].files.iter().map(|file| file.n_rows).collect::<Vec<_>>(), [27_004, 24_951]);
    assert_eq!(report.next_period, Some(Timestamp::parse("2013-03-01").unwrap()));
    project.set_time("2013-03-01");
    let report = ingest(&project.ctx, &project.services, &flights, &example()).await.unwrap();
    assert_eq!((report.commits.len(), report.commits[0].version), (1, 1));
    assert_eq!(report.commits[0].event_watermark.unwrap().to_string(), "2013-04-01T03:59:00Z");
    let sql = "SELECT flight_id, scheduled_at, scheduled_hour, landed_at FROM flights \
               WHERE carrier = 'UA' AND flight = 1545 AND day = 1 AND month = 1";
    let shown = project.show(sql, Area::Data, &flights).await;
    // Scheduled at 05:15 in New York, 2 minutes late, 227 minutes in the air, 45 for the taxis.
    let want = "| UA-1545-2013-01-01-EWR-0515 | 2013-01-01T10:15:00Z | 2013-01-01T10:00:00Z | 2013-01-01T14:49:00Z |";
    assert!(shown.contains(want), "{shown}");
    let sql = "SELECT count(*) AS n, count(DISTINCT flight_id) AS ids, count(landed_at) AS landed, count(dep_time) AS departed FROM flights";
    let shown = project.show(sql, Area::Data, &flights).await;
    let figures: Vec<u64> = shown.lines().nth(3).unwrap().split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
    let [n, ids, landed, departed] = figures[..] else { panic!("{shown}") };
    // Some departed and were diverted, others never departed.
    assert!(n == ids && landed < departed && departed < n, "{shown}");
}
