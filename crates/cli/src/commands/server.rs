//! `loopwright up`.

use lw_core::Result;
use lw_project::Workspace;
use lw_server::{App, Authentication};
use tokio::net::TcpListener;

use crate::args::{Global, Up};
use crate::background::Background;
use crate::connect::{options, workspace_dir};
use crate::failures::LISTEN_FAILED;
use crate::render;

/// Serves until SIGTERM or Ctrl-C, then drains: accepted requests are answered, logged predictions are on disk.
pub async fn up(global: &Global, up: &Up) -> Result<()> {
    let authentication = if up.no_auth { Authentication::None } else { Authentication::Token };
    lw_server::check_exposure(up.listen, authentication)?;
    let listener = TcpListener::bind(up.listen).await.map_err(|error| {
        LISTEN_FAILED
            .error(format!("cannot listen on {}", up.listen))
            .hint("another process may have the port; choose one with --listen 127.0.0.1:PORT")
            .cause(error)
    })?;
    let address =
        listener.local_addr().map_err(|error| LISTEN_FAILED.error("the listening socket has no address").cause(error))?;
    let workspace = Workspace::open(options(global)).await?;
    // What runs beside the requests must not hold their threads.
    let background = Background::start()?;
    background.run(|| {
        workspace.start_work();
        workspace.start_loop();
    });
    let app = App::serving(workspace.clone(), authentication, address)?;
    let url = format!("http://{address}");
    let _announcement = lw_server::announce(&workspace_dir(global), &url)?;
    render::out(&format!("loopwright is ready at {url}"));
    lw_server::serve(listener, lw_server::router(app), shutdown()).await?;
    workspace.close().await;
    render::talk("drained; goodbye");
    Ok(())
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
