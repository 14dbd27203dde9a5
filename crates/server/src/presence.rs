//! How commands find the server that runs on their workspace.

use std::path::{Path, PathBuf};

use lw_core::Result;
use serde::{Deserialize, Serialize};

use crate::failures::SERVE_FAILED;

/// A server that runs on a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningServer {
    pub url: String,
    pub pid: u32,
}

/// Keeps the announcement standing; dropping it takes it down.
#[derive(Debug)]
pub struct Announcement(PathBuf);

/// Tells the workspace's commands where its server is.
pub fn announce(directory: &Path, url: &str) -> Result<Announcement> {
    let path = path(directory);
    let server = RunningServer { url: url.to_owned(), pid: std::process::id() };
    let text = serde_json::to_string(&server).unwrap_or_default();
    // Readers see the whole file or none.
    let draft = path.with_extension("new");
    let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &path));
    written.map_err(|error| {
        SERVE_FAILED
            .error(format!("the server cannot be announced in {}", directory.display()))
            .hint("check that the workspace can be written to")
            .cause(error)
    })?;
    Ok(Announcement(path))
}

/// The server that runs on a workspace, if one does. An announcement whose process is gone does not count.
pub fn running(directory: &Path) -> Option<RunningServer> {
    let text = std::fs::read_to_string(path(directory)).ok()?;
    let server: RunningServer = serde_json::from_str(&text).ok()?;
    is_alive(server.pid).then_some(server)
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // A file that stays behind names a process that is gone.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("server.json")
}

/// Linux shows every process in `/proc`. Elsewhere a dead server is found out when it does not answer.
fn is_alive(pid: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_while_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(running(dir.path()), None);
        let announcement = announce(dir.path(), "http://127.0.0.1:8760").unwrap();
        assert_eq!(running(dir.path()).unwrap().url, "http://127.0.0.1:8760");
        drop(announcement);
        assert_eq!(running(dir.path()), None);
    }

    #[test]
    fn a_server_that_was_killed_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let dead = RunningServer { url: "http://127.0.0.1:1".to_owned(), pid: u32::MAX - 1 };
        std::fs::write(path(dir.path()), serde_json::to_string(&dead).unwrap()).unwrap();
        assert_eq!(running(dir.path()), None);
    }
}
