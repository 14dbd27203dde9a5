//! Figures over HTTP on a real socket. Run with `--ignored --nocapture`.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures; asserts nothing but that every request is answered"]
async fn speed_of_a_prediction_over_http() {
    let world = World::make().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(lw_server::serve(listener, world.router.clone(), std::future::pending()));
    let body = r#"{"flight_id": "f1", "carrier": "UA", "distance": 100.5}"#;
    let request = format!(
        "POST /api/v1/endpoints/late_arrival/predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
        world.token,
        body.len()
    );
    for n_connections in [1, 16] {
        let started = Instant::now();
        let n_requests = 10_000 / n_connections;
        let callers = (0..n_connections).map(|_| {
            let request = request.clone();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut answer = vec![0; 8 << 10];
                let mut times = Vec::with_capacity(n_requests);
                for _ in 0..n_requests {
                    let sent = Instant::now();
                    stream.write_all(request.as_bytes()).await.unwrap();
                    let n = stream.read(&mut answer).await.unwrap();
                    assert!(answer[..n].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..n]));
                    times.push(sent.elapsed().as_secs_f64() * 1e6);
                }
                times
            })
        });
        let mut times: Vec<f64> = futures::future::join_all(callers).await.into_iter().flat_map(Result::unwrap).collect();
        let per_second = times.len() as f64 / started.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        eprintln!("{n_connections} connections: {per_second:.0} requests/s, p50 {p50:.0} us, p99 {p99:.0} us");
    }
}
