//! A command of the user's own, in the project's folder.

use std::collections::BTreeMap;
use std::process::Stdio;

use lw_core::{Name, Result};
use lw_pipelines::{SCHEDULED_FOR, StepOutput};
use lw_training::Leash;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;

use super::Step;
use crate::failures::COMMAND_FAILED;
use crate::start::PARAMS;

/// Runs `sh -c`; its lines go to the run's log as they come. Cancelling the step, or its timeout, ends the command and all that it
/// has started: SIGTERM first, SIGKILL when it does not listen.
pub async fn run(step: &Step) -> Result<StepOutput> {
    let command: String = step.param("command")?;
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(&step.project.bundle.root)
        .envs(environment(step))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| COMMAND_FAILED.error("no shell could be started").cause(error))?;
    let mut group = Group(child.id());
    let _leash = child.id().map(Leash::tie);
    let stdout = child.stdout.take();
    let work = async {
        if let Some(stdout) = stdout {
            log_lines(step, stdout).await;
        }
        child.wait().await
    };
    tokio::pin!(work);
    let status = tokio::select! {
        status = &mut work => status,
        () = step.context.cancellation.cancelled() => {
            group.signal("TERM");
            work.await
        }
    };
    let status = status.map_err(|error| COMMAND_FAILED.error("the command's end could not be read").cause(error))?;
    group.0 = None;
    if status.success() {
        // The run makes the outputs of each execution different, so that cached steps after it run again when it has run.
        return Ok(StepOutput::done(json!({ "status": 0, "run": step.context.run })));
    }
    Err(COMMAND_FAILED.error(format!("`{command}` ended with {status}")).hint("its last lines are in the run's log"))
}

/// What the command sees besides the worker's own environment. A cached command is not told the time it runs for: it could not be
/// left out then.
fn environment(step: &Step) -> BTreeMap<String, String> {
    let context = &step.context;
    let mut environment = BTreeMap::from([
        ("LOOPWRIGHT_PIPELINE".to_owned(), context.pipeline.to_string()),
        ("LOOPWRIGHT_RUN".to_owned(), context.run.to_string()),
        ("LOOPWRIGHT_STEP".to_owned(), context.step.clone()),
        ("LOOPWRIGHT_ATTEMPT".to_owned(), context.attempt.to_string()),
        ("LOOPWRIGHT_IDEMPOTENCY_KEY".to_owned(), context.idempotency_key()),
    ]);
    let is_cached = context.params.get("project").is_some();
    if let Some(time) = context.run_params[SCHEDULED_FOR].as_str().filter(|_| !is_cached) {
        environment.insert("LOOPWRIGHT_SCHEDULED_FOR".to_owned(), time.to_owned());
    }
    let declared: BTreeMap<Name, Option<String>> = step.param("params").unwrap_or_default();
    for (name, default) in declared {
        let given = context.run_params[PARAMS][name.as_str()].as_str().map(str::to_owned);
        if let Some(value) = given.or(default) {
            environment.insert(format!("LOOPWRIGHT_PARAM_{}", name.as_str().to_uppercase()), value);
        }
    }
    environment
}

/// The longest piece of a line that is taken into memory at once.
const MAX_PIECE_BYTES: u64 = 64 * 1024;

/// Reads until the command closes its output. Bytes that are no UTF-8 are shown as such.
async fn log_lines(step: &Step, output: impl AsyncRead + Unpin) {
    let mut reader = BufReader::new(output);
    let mut piece = Vec::new();
    while let Ok(1..) = (&mut reader).take(MAX_PIECE_BYTES).read_until(b'\n', &mut piece).await {
        step.log(String::from_utf8_lossy(&piece).trim_end_matches('\n'));
        piece.clear();
    }
}

/// The processes of a command, which end with it unless it has ended by itself.
struct Group(Option<u32>);

impl Group {
    fn signal(&self, name: &str) {
        if let Some(id) = self.0 {
            let sent =
                std::process::Command::new("sh").args(["-c", &format!("kill -s {name} -- -{id}")]).stderr(Stdio::null()).status();
            if let Err(error) = sent {
                tracing::warn!(%error, "A command could not be told to end: {error}");
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}
