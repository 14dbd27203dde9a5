//! Figures of the endpoint path without HTTP. Run with `--ignored --nocapture`.

use std::time::Instant;

use lw_serving::Routing;

use crate::world::{ENDPOINT, World};

#[tokio::test]
#[ignore = "prints figures; asserts nothing but that every row is answered"]
async fn speed_of_the_endpoint_path() {
    let world = World::make().await;
    let serving = world.serving().await;
    let first = world.version(1, 0.1).await;
    serving.activate(&world.ctx("deploy"), world.activation(0, Routing::only(first))).await.unwrap();
    let endpoint = serving.endpoint(ENDPOINT).unwrap();
    let row = r#"{"flight_id": "f1", "carrier": "AA", "distance": 100.5}"#;
    let ctx = world.ctx("r");
    let mut times = Vec::new();
    for _ in 0..20_000 {
        let started = Instant::now();
        let answer = endpoint.predict_json(&ctx, row.as_bytes()).unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e6);
        assert_eq!(answer.len(), 1);
    }
    times.sort_by(f64::total_cmp);
    let body = format!("{{\"rows\": [{}]}}", vec![row; 1000].join(","));
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(endpoint.predict_json(&ctx, body.as_bytes()).unwrap().len(), 1000);
    }
    let per_second = 20_000.0 / started.elapsed().as_secs_f64();
    eprintln!("1 row: p50 {:.0} us, p99 {:.0} us; 1,000 rows: {per_second:.0} rows/s", times[10_000], times[19_800]);
    serving.deliver().await.unwrap();
}
