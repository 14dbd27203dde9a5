//! Which platform a command talks to: a named server, the workspace's running server, or the workspace itself.

use std::path::{Path, PathBuf};

use lw_core::Result;
use lw_project::{Workspace, WorkspaceOptions};

use crate::args::Global;
use crate::client::Client;

/// A client and, where the command opened the workspace itself, the workspace to close afterwards.
pub struct Connection {
    pub client: Client,
    workspace: Option<Workspace>,
}

impl Connection {
    /// Brings what the command did to rest: waiting predictions are flushed, running steps end.
    pub async fn close(self) {
        if let Some(workspace) = self.workspace {
            workspace.close().await;
        }
    }
}

/// Connects in this order: `--server`, a server that runs on the workspace, the workspace in this process.
pub async fn connect(global: &Global) -> Result<Connection> {
    let actor = actor(global);
    let directory = workspace_dir(global);
    if let Some(server) = &global.server {
        let token = global.token.clone().or_else(|| lw_server::read_token(&directory));
        return Ok(Connection { client: Client::remote(server, token, actor), workspace: None });
    }
    if let Some(running) = lw_server::running(&directory) {
        return Ok(Connection {
            client: Client::remote(&running.url, lw_server::read_token(&directory), actor),
            workspace: None,
        });
    }
    let workspace = Workspace::open(options(global)).await?;
    let app = lw_server::App::local(workspace.clone())?;
    let token = app.local_token();
    workspace.start_work();
    let client = Client::in_process(lw_server::router(app), token, actor);
    Ok(Connection { client, workspace: Some(workspace) })
}

/// Where the workspace lies: `--workspace`, or `.loopwright` in the project.
pub fn workspace_dir(global: &Global) -> PathBuf {
    global.workspace.clone().unwrap_or_else(|| global.project.join(".loopwright"))
}

pub fn options(global: &Global) -> WorkspaceOptions {
    WorkspaceOptions {
        directory: absolute(&workspace_dir(global)),
        metadata: global.storage.metadata.clone(),
        artifacts: global.storage.artifacts.clone(),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Who acts: `--as`, or the login name.
pub fn actor(global: &Global) -> String {
    let login = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok().filter(|name| !name.is_empty());
    global.actor.clone().or_else(login).unwrap_or_else(|| "local".to_owned())
}
