//! `loopwright up`.

use std::net::SocketAddr;
use std::time::Duration;

use lw_core::{Ctx, Result};
use lw_project::Workspace;
use lw_registry::Webhooks;
use lw_server::{App, Authentication};
use tokio::net::TcpListener;

use crate::args::{Global, Up};
use crate::background::Background;
use crate::connect::{options, workspace_dir};
use crate::failures::LISTEN_FAILED;
use crate::render;

/// How long a change may wait for its webhooks.
const DELIVERY_PAUSE: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or Ctrl-C, then drains: accepted requests are answered, logged predictions are on disk.
pub async fn up(global: &Global, up: &Up) -> Result<()> {
    let authentication = if up.no_auth { Authentication::None } else { Authentication::Token };
    lw_server::check_exposure(up.listen, authentication)?;
    let (listener, address) = listen(up.listen, "--listen").await?;
    let flight = match up.flight {
        None => None,
        Some(asked) => {
            lw_server::check_exposure(asked, authentication)?;
            Some(listen(asked, "--flight").await?)
        }
    };
    let workspace = Workspace::open(options(global)).await?;
    // What runs beside the requests must not hold their threads.
    let background = Background::start()?;
    let app = background.run(|| App::serving(workspace.clone(), authentication, address))?;
    background.run(|| {
        workspace.start_work();
        workspace.start_loop();
        tokio::spawn(deliver_webhooks(app.mlflow().webhooks().clone(), workspace.own_ctx("webhooks")));
    });
    let url = format!("http://{address}");
    let _announcement = lw_server::announce(&workspace_dir(global), &url)?;
    render::out(&format!("loopwright is ready at {url}"));
    let serving = lw_server::serve(listener, lw_server::router(app.clone()), shutdown());
    match flight {
        None => serving.await?,
        Some((listener, address)) => {
            render::out(&format!("Arrow Flight SQL is ready at grpc://{address}"));
            tokio::try_join!(serving, lw_server::serve_flight(listener, &app, shutdown()))?;
        }
    }
    workspace.close().await;
    render::talk("drained; goodbye");
    Ok(())
}

/// Binds an address, which an option named.
async fn listen(asked: SocketAddr, option: &str) -> Result<(TcpListener, SocketAddr)> {
    let failed = |error: std::io::Error| {
        LISTEN_FAILED
            .error(format!("cannot listen on {asked}"))
            .hint(format!("another process may have the port; choose one with {option} 127.0.0.1:PORT"))
            .cause(error)
    };
    let listener = TcpListener::bind(asked).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Delivers what changes told to the outbox, as soon as it is due, for as long as the process lives.
async fn deliver_webhooks(webhooks: Webhooks, ctx: Ctx) {
    loop {
        let pause = match webhooks.deliver_due(&ctx).await {
            Ok(0) => DELIVERY_PAUSE,
            Ok(_) => continue,
            Err(error) => {
                tracing::warn!(?error, "Webhooks cannot be delivered now: {error}");
                DELIVERY_PAUSE * 10
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn shutdown() {
    let interrupted = tokio::signal::ctrl_c();
    let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        let _ = interrupted.await;
        return;
    };
    tokio::select! {
        _ = interrupted => {}
        _ = terminated.recv() => {}
    }
}
