//! A command of the user's own, in the project's folder.

use std::process::Stdio;

use lw_core::Result;
use lw_pipelines::StepOutput;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::Step;
use crate::failures::COMMAND_FAILED;

/// Runs `sh -c`; its lines go to the run's log as they come. Cancelling the step ends the command.
pub async fn run(step: &Step) -> Result<StepOutput> {
    let command: String = step.param("command")?;
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(&step.project.bundle.root)
        .env("LOOPWRIGHT_STEP", &step.context.step)
        .env("LOOPWRIGHT_IDEMPOTENCY_KEY", step.context.idempotency_key())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| COMMAND_FAILED.error("no shell could be started").cause(error))?;
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            step.log(line);
        }
    }
    let status = child.wait().await.map_err(|error| COMMAND_FAILED.error("the command's end could not be read").cause(error))?;
    if status.success() {
        return Ok(StepOutput::done(json!({ "status": 0 })));
    }
    Err(COMMAND_FAILED.error(format!("`{command}` ended with {status}")).hint("its last lines are in the run's log"))
}
