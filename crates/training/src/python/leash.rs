//! Processes that must not outlive this one.

use std::process::{Child, Command, Stdio};

/// Kills a process group if this process dies, however it dies.
///
/// A shell waits for the end of a pipe that only this process holds open. When the process is gone, the system closes the pipe, and the
/// shell kills the group. No signal handler and no system call of our own is needed.
pub struct Leash(Option<Child>);

impl Leash {
    /// Ties a process group, named by the id of its leader, to this process.
    pub fn tie(group: u32) -> Self {
        use std::os::unix::process::CommandExt as _;
        let wait = format!("read -r _; kill -s KILL -- -{group}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &wait]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let shell = shell.spawn();
        Self(shell.inspect_err(|error| tracing::warn!(%error, "A command could outlive this process: {error}")).ok())
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // Before the pipe is closed: the group may be gone, and its number somebody else's.
        if let Some(shell) = &mut self.0 {
            let _ = shell.kill();
            let _ = shell.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").process_group(0).spawn().expect("sleep runs")
    }

    #[test]
    fn a_closed_pipe_kills_the_group() {
        let mut sleeper = sleeper();
        let mut leash = Leash::tie(sleeper.id());
        // What the system does when the process is killed.
        drop(leash.0.as_mut().and_then(|shell| shell.stdin.take()));
        let status = sleeper.wait().expect("the sleeper ends");
        assert!(!status.success());
    }

    #[test]
    fn a_leash_that_is_let_go_kills_nobody() {
        let mut sleeper = sleeper();
        drop(Leash::tie(sleeper.id()));
        assert!(sleeper.try_wait().expect("the sleeper can be looked at").is_none());
        sleeper.kill().expect("the sleeper can be ended");
        sleeper.wait().expect("the sleeper ends");
    }
}
