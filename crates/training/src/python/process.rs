//! A script as a process: what it is started with, and its end with all that it started.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use lw_core::Result;
use tokio::process::{Child, Command};

use super::{Leash, PythonStep, file_error};
use crate::failures::PYTHON_MISSING;

const N_LOG_LINES: usize = 20;

/// A process and all that it started. Killed together when dropped before the end.
pub(super) struct ProcessGroup {
    child: Child,
    /// None once it has ended.
    id: Option<u32>,
    _leash: Option<Leash>,
}

impl ProcessGroup {
    /// Starts a step's script in `code`, with its parameters as arguments.
    pub(super) fn start(step: &PythonStep<'_>, code: &Path, environment: &BTreeMap<String, String>, log: &Path) -> Result<Self> {
        let log = File::create(log).map_err(|error| file_error("the log cannot be made", error))?;
        let second = log.try_clone().map_err(|error| file_error("the log cannot be made", error))?;
        let interpreter = match step.interpreter.contains('/') {
            true => step.project.join(step.interpreter).into_os_string(),
            false => step.interpreter.into(),
        };
        let mut command = Command::new(interpreter);
        command.arg(code.join(step.script));
        for (name, value) in step.params {
            command.arg(format!("--{name}")).arg(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        // Settings of the platform itself, its token among them, are none of the script's business.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LOOPWRIGHT_") {
                command.env_remove(name);
            }
        }
        command.envs(environment).current_dir(code).process_group(0);
        command.stdin(Stdio::null()).stdout(log).stderr(second).kill_on_drop(true);
        let child = command.spawn().map_err(|error| {
            let message = format!("the Python interpreter `{}` cannot be started", step.interpreter);
            PYTHON_MISSING.error(message).hint("install it, or name another one, like `python: .venv/bin/python`").cause(error)
        })?;
        Ok(Self { id: child.id(), _leash: child.id().map(Leash::tie), child })
    }

    /// Waits for the end of the first process.
    pub(super) async fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().await.map_err(|error| file_error("waiting for the script failed", error))?;
        self.id = None;
        Ok(status)
    }

    /// Kills the processes and waits until the first of them is gone.
    pub(super) async fn kill(&mut self) {
        self.signal();
        // If there is no shell to send the signal, this one process dies at least.
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }

    fn signal(&mut self) {
        if let Some(id) = self.id.take() {
            // The shell's `kill`, because the system call is `unsafe` here.
            let kill = format!("kill -9 -{id}");
            let _ = std::process::Command::new("sh").args(["-c", &kill]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal();
    }
}

/// How a process ended, in words.
pub(super) fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

/// The end of the log, to be put after a message.
pub(super) fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.trim_end().lines().rev().take(N_LOG_LINES).collect();
    if lines.is_empty() {
        return "; it wrote nothing".to_owned();
    }
    let shown: Vec<String> = lines.into_iter().rev().map(|line| line.chars().take(300).collect()).collect();
    format!("; its last lines:\n{}", shown.join("\n"))
}
