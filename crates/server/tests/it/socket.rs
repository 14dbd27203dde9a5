//! The server behind a real socket: limits of the head, draining.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::world::World;

struct Running {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<lw_core::Result<()>>,
}

async fn start(world: &World) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(lw_server::serve(listener, world.router.clone(), async move { drop(stopped.await) }));
    Running { address, stop, server }
}

async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64 << 10];
    let n = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..n]).into_owned()
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused() {
    let world = World::make().await;
    let running = start(&world).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "a".repeat(200 << 10));
    // The server may answer and close before it has taken everything.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut other = TcpStream::connect(running.address).await.unwrap();
    let answer = exchange(&mut other, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_shutdown_finishes_the_request_under_way() {
    let world = World::make().await;
    let running = start(&world).await;
    let body = r#"{"carrier": "UA", "distance": 100}"#;
    let head = format!(
        "POST /api/v1/endpoints/late_arrival/predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        world.token,
        body.len()
    );
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let continued = exchange(&mut stream, &head).await;
    assert!(continued.starts_with("HTTP/1.1 100"), "the handler waits for the body: {continued}");
    running.stop.send(()).unwrap();
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let answer = exchange(&mut stream, body).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"score\""), "{answer}");
    drop(stream);
    tokio::time::timeout(Duration::from_secs(5), running.server).await.unwrap().unwrap().unwrap();
}
