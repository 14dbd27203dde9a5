//! One process a workspace.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

use lw_core::Result;

use crate::{METADATA_UNWRITABLE, WORKSPACE_IN_USE};

/// Held as long as the process uses the workspace. The system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct WorkspaceLock {
    _file: File,
}

impl WorkspaceLock {
    /// Locks the file `lock` in this directory and writes the id of this process into it.
    pub(crate) fn acquire(directory: &Path) -> Result<Self> {
        let path = directory.join("lock");
        let unwritable = |error: std::io::Error| {
            METADATA_UNWRITABLE
                .error(format!("the workspace {} cannot be locked: {error}", directory.display()))
                .hint("check that the directory exists and that you may write to it")
                .cause(error)
        };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(in_use(directory, &mut file)),
            Err(std::fs::TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(unwritable)?;
        file.write_all(std::process::id().to_string().as_bytes()).map_err(unwritable)?;
        Ok(Self { _file: file })
    }
}

fn in_use(directory: &Path, file: &mut File) -> lw_core::Error {
    let mut holder = String::new();
    let holder = match file.read_to_string(&mut holder) {
        Ok(_) if !holder.is_empty() => format!("process {holder}"),
        _ => "another process".to_owned(),
    };
    WORKSPACE_IN_USE.error(format!("the workspace {} is in use by {holder}", directory.display())).hint(
        "a command that works there, such as `loopwright run`, lets go when it ends; where several shall work at once, start \
               `loopwright up` first and they share its server; or name another directory with --workspace",
    )
}
