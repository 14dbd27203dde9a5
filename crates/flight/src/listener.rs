//! From a socket to the service and, on shutdown, back to rest.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use lw_core::Result;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::service::Service;

/// Connections at one time. More wait to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// Calls of one connection at one time.
const MAX_CALLS: u32 = 100;
const MAX_HEAD_BYTES: u32 = 64 << 10;
/// What waits for the socket in one call. More only holds memory when a client is slow.
const MAX_UNSENT_BYTES: usize = 1 << 20;
/// A client that is silent so long is asked whether it lives, and must answer soon: a query does not run for one that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(20);
/// Calls under way may take this long to end after a shutdown was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown` is ready, then takes no new connections and waits for the calls under way.
pub async fn serve(listener: TcpListener, service: Service, shutdown: impl Future<Output = ()>) -> Result<()> {
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await.map_err(std::io::Error::other)?;
                Ok::<_, std::io::Error>((listener.accept().await?.0, place))
            } => accepted,
            () = &mut shutdown => break,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "A Flight SQL connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Small answers must not wait for the other side's acknowledgement.
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        let answer = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_CALLS)
            .max_header_list_size(MAX_HEAD_BYTES)
            .max_send_buf_size(MAX_UNSENT_BYTES)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_ANSWER)
            .serve_connection(TokioIo::new(stream), answer);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "A Flight SQL connection broke off: {error}");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("Flight SQL calls were cut off after {} s of draining", DRAIN_TIMEOUT.as_secs());
    }
    Ok(())
}
