//! Which platform a command talks to: a named server, the workspace's running server, or the workspace itself.

use std::path::{Path, PathBuf};

use lw_core::Result;
use lw_project::{Workspace, WorkspaceOptions};

use crate::args::Global;
use crate::client::Client;
use crate::failures::BAD_ARGUMENT;

/// A client and, where the command opened the workspace itself, the workspace to close afterwards.
pub struct Connection {
    pub client: Client,
    workspace: Option<Workspace>,
}

impl Connection {
    /// Whether a server is at the other end, which works on runs after this command has ended.
    pub fn has_server(&self) -> bool {
        self.workspace.is_none()
    }

    /// Brings what the command did to rest: waiting predictions are flushed, running steps end.
    pub async fn close(self) {
        if let Some(workspace) = self.workspace {
            workspace.close().await;
        }
    }
}

/// Connects in this order: `--server`, a server that runs on the workspace, the workspace in this process. There, steps of pipelines
/// run only if the command waits for them: one that only looks must not begin what it does not finish.
pub async fn connect(global: &Global, works: bool) -> Result<Connection> {
    let directory = workspace_dir(global);
    let server = global.server.clone().or_else(|| lw_server::running(&directory).map(|running| running.url));
    if let Some(server) = server {
        let token = given(&global.token).or_else(|| lw_server::read_token(&directory));
        let is_address = url::Url::parse(&server).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_address {
            let error = BAD_ARGUMENT.error(format!("`{server}` is not the address of a server"));
            return Err(error.hint("--server and LOOPWRIGHT_SERVER take one like http://127.0.0.1:8760"));
        }
        let claim = claim(global, token.as_deref());
        return Ok(Connection { client: Client::remote(&server, token, claim), workspace: None });
    }
    let workspace = Workspace::open(options(global)).await?;
    let app = lw_server::App::local(workspace.clone())?;
    let token = given(&global.token).or_else(|| app.local_token());
    let claim = claim(global, token.as_deref());
    if works {
        workspace.start_work();
    }
    let client = Client::in_process(lw_server::router(app), token, claim);
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

/// Who the command says acts. A token of somebody's own says so itself; then only an explicit `--as` is passed on, for the server to
/// compare.
fn claim(global: &Global, token: Option<&str>) -> Option<String> {
    if token.is_some_and(lw_server::is_own_token) {
        return given(&global.actor);
    }
    Some(actor(global))
}

/// Who acts: `--as`, or the login name.
pub fn actor(global: &Global) -> String {
    let login = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok().filter(|name| !name.is_empty());
    given(&global.actor).or_else(login).unwrap_or_else(|| "local".to_owned())
}

/// A variable that is set to nothing says nothing.
fn given(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}
