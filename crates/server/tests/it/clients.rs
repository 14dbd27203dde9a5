//! Clients that nobody here wrote.

use std::process::Command;

use tokio::net::TcpListener;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Python with tritonclient[http], named by LOOPWRIGHT_TEST_CLIENTS"]
async fn tritons_client_is_answered() {
    let python = std::env::var("LOOPWRIGHT_TEST_CLIENTS").unwrap();
    let world = World::make().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(lw_server::serve(listener, world.router.clone(), std::future::pending()));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/serving_clients.py");
    let token = world.token.clone();
    let run = move || Command::new(python).args([script, &url, &token]).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
