//! Variables that must be set before the process starts, since libraries read them when they are loaded.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// OpenMP's waiting threads sleep: trainers on shared cores are ten times slower without. The allocator asks for no huge pages: a server at
/// rest touches a little of each, and they would keep 16 MB of nothing resident; throughput is the same.
const VARIABLES: [(&str, &str); 2] = [lw_training::THREAD_WAIT, ("MIMALLOC_ALLOW_THP", "0")];

/// Becomes this process once more with the variables that it lacks. What a user has set stays. If that fails, everything still works.
pub fn complete() {
    let missing: Vec<(&str, &str)> = VARIABLES.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let error = Command::new(program).args(std::env::args_os().skip(1)).envs(missing).exec();
    crate::render::talk(&format!("note: training may be slow and memory large, the environment cannot be set: {error}"));
}
