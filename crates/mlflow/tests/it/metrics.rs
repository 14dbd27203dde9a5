use serde_json::{Value, json};

use crate::world::{INVALID, both, see_docs};

#[test]
fn histories_are_answered_as_mlflow_does() {
    both(async |world| {
        let (_, run) = world.run().await;
        let log = async |value: i64, step: i64, timestamp: i64| {
            let metric = json!({"run_id": run, "key": "dup", "value": value, "timestamp": timestamp, "step": step});
            world.post("runs/log-metric", metric).await;
        };
        log(2, 1, 1).await;
        log(2, 1, 1).await;
        log(9, 0, 99).await;
        let history = |query: &str| format!("metrics/get-history?run_id={run}&metric_key=dup{query}");
        let points = json!([
            {"key": "dup", "value": 2.0, "timestamp": 1, "step": 1},
            {"key": "dup", "value": 9.0, "timestamp": 99, "step": 0},
        ]);
        assert_eq!(world.got(&history("")).await, json!({"metrics": points}));
        let first = world.got(&history("&max_results=1")).await;
        assert_eq!(first, json!({"metrics": [points[0]], "next_page_token": "eyJvZmZzZXQiOiAxfQ=="}));
        let second = world.got(&history("&max_results=1&page_token=eyJvZmZzZXQiOiAxfQ==")).await;
        assert_eq!(second, json!({"metrics": [points[1]]}));
        let none = |run: &str, key: &str| format!("metrics/get-history?run_id={run}&metric_key={key}");
        assert_eq!(world.got(&none(&run, "none")).await, json!({}));
        assert_eq!(world.got(&none(&"f".repeat(32), "dup")).await, json!({}));
        assert_eq!(world.got(&none("no-run", "dup")).await, json!({}));
        let zero = "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer.";
        world.get_refused(&history("&max_results=0"), 400, INVALID, zero).await;
        let bad_token = "Invalid page token, could not base64-decode";
        world.get_refused(&history("&page_token=zzz"), 400, INVALID, bad_token).await;
    });
}

#[test]
fn a_long_history_comes_whole() {
    both(async |world| {
        let (_, run) = world.run().await;
        for batch in 0..45_i64 {
            let metrics: Vec<Value> = (0..1000)
                .map(|index| json!({"key": "loss", "value": index, "timestamp": batch * 1000 + index, "step": batch * 1000 + index}))
                .collect();
            world.post("runs/log-batch", json!({"run_id": run, "metrics": metrics})).await;
        }
        let history = world.got(&format!("metrics/get-history?run_id={run}&metric_key=loss")).await;
        let steps: Vec<i64> =
            history["metrics"].as_array().unwrap().iter().map(|point| point["step"].as_i64().unwrap()).collect();
        assert!(steps.iter().copied().eq(0..45_000), "{} points", steps.len());
        let page = world.got(&format!("metrics/get-history?run_id={run}&metric_key=loss&max_results=20000")).await;
        assert_eq!(page["metrics"].as_array().unwrap().len(), 20_000);
        assert_eq!(page["next_page_token"], "eyJvZmZzZXQiOiAyMDAwMH0=");
        let interval = format!("metrics/get-history-bulk-interval?run_ids={run}&metric_key=loss&max_results=320");
        let sample = world.got(&interval).await;
        let points = sample["metrics"].as_array().unwrap();
        assert_eq!((points.len(), &points[0]["step"], &points[319]["step"]), (320, &json!(0), &json!(44_999)));
        assert_eq!(points[0]["run_id"], json!(run));
    });
}

#[test]
fn bulk_histories_have_limits() {
    both(async |world| {
        let (_, run) = world.run().await;
        let bulk = "metrics/get-history-bulk";
        assert_eq!(world.got(&format!("{bulk}?run_id={run}&metric_key=none")).await, json!({"metrics": []}));
        let no_runs = "GetMetricHistoryBulk request must specify at least one run_id.";
        world.get_refused(&format!("{bulk}?metric_key=a"), 400, INVALID, no_runs).await;
        let no_key = "GetMetricHistoryBulk request must specify a metric_key.";
        world.get_refused(&format!("{bulk}?run_id={run}"), 400, INVALID, no_key).await;
        let runs = |name: &str, n_runs: usize| vec![format!("{name}={run}"); n_runs].join("&");
        let many = "GetMetricHistoryBulk request cannot specify more than 100 run_ids. Received 101 run_ids.";
        world.get_refused(&format!("{bulk}?{}&metric_key=a", runs("run_id", 101)), 400, INVALID, many).await;

        let interval = format!("metrics/get-history-bulk-interval?run_ids={run}&metric_key=a");
        assert_eq!(world.got(&interval).await, json!({}));
        let missing = see_docs("Missing value for required parameter 'run_ids'.");
        world.get_refused("metrics/get-history-bulk-interval?metric_key=a", 400, INVALID, &missing).await;
        let many = see_docs("GetMetricHistoryBulkInterval request must specify at most 100 run_ids. Received 101 run_ids.");
        let path = format!("metrics/get-history-bulk-interval?{}&metric_key=a", runs("run_ids", 101));
        world.get_refused(&path, 400, INVALID, &many).await;
        let range = see_docs("max_results must be between 1 and 2500.");
        for max_results in ["0", "2501"] {
            world.get_refused(&format!("{interval}&max_results={max_results}"), 400, INVALID, &range).await;
        }
        let half = "If either start step or end step are specified, both must be specified.";
        world.get_refused(&format!("{interval}&start_step=1"), 400, INVALID, half).await;
        let crossed = "end_step must be greater than start_step. Found start_step=2 and end_step=1.";
        world.get_refused(&format!("{interval}&start_step=2&end_step=1"), 400, INVALID, crossed).await;
    });
}
