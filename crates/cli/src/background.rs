//! A second runtime, for work that no caller waits for.
//!
//! Planning a query, reading a Delta log or training keeps a thread busy for milliseconds to minutes. On the threads that answer
//! requests, each of those would be somebody's slow answer; so the loop, the pipelines, queries by SQL and what they start run on threads of
//! their own, one fewer than there are cores, and the operating system shares the cores between the two.

use lw_core::Result;
use tokio::runtime::{Builder, Runtime};

use crate::failures::RUNTIME_FAILED;

/// The runtime of the loop and the pipelines. Dropping it leaves what still runs to the end of the process.
pub struct Background(Option<Runtime>);

impl Background {
    pub fn start() -> Result<Self> {
        let n_cores = std::thread::available_parallelism().map_or(2, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(n_cores.saturating_sub(1).max(1))
            .thread_name("background")
            .enable_all()
            .build()
            .map_err(|error| {
                RUNTIME_FAILED
                    .error("the threads for background work do not start")
                    .hint("raise the limit of processes (`ulimit -u`) and start again")
                    .cause(error)
            })?;
        Ok(Self(Some(runtime)))
    }

    /// Runs `start`; the tasks that it spawns, and all that those spawn, run here.
    pub fn run<T>(&self, start: impl FnOnce() -> T) -> T {
        let _entered = self.0.as_ref().map(Runtime::enter);
        start()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // A runtime must not wait for its threads from within another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
