//! One variable that must be set before the process starts.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes OpenMP's waiting threads sleep. Its library reads the variable when it is loaded, so a process that lacks it becomes itself once
/// more with it; trainers on shared cores are ten times slower without. If that fails, everything still works.
pub fn let_waiting_threads_sleep() {
    let (name, value) = lw_training::THREAD_WAIT;
    if std::env::var_os(name).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let error = Command::new(program).args(std::env::args_os().skip(1)).env(name, value).exec();
    crate::render::talk(&format!("note: training may be slow, {name} cannot be set: {error}"));
}
