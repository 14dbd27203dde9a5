//! The token file of a workspace: whoever may read it may act as its owner, without signing in.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use lw_core::{Actor, Ctx, Result};

use crate::{Identities, Purpose, TOKEN_FILE};

impl Identities {
    /// The token in a file that only its owner can read. It is made, with the identity, if it is missing or not accepted any more;
    /// a file that others
    /// can read is refused, because its token may be known to them. A new token ends those that stood in the file before.
    pub async fn local_token(&self, ctx: &Ctx, file: &Path, actor: &Actor) -> Result<String> {
        if let Some(text) = read(file)? {
            match self.authenticate(ctx, &text).await {
                Ok(found) if found.identity.actor == *actor && found.token.purpose == Purpose::Local => return Ok(text),
                Ok(_) => {}
                Err(error) if error.is(crate::BAD_TOKEN) => {}
                Err(error) => return Err(error),
            }
        }
        self.ensure(ctx, actor).await?;
        let new = self.create_local_token(ctx, actor).await?;
        write(file, new.text())?;
        Ok(new.text().to_owned())
    }
}

fn read(file: &Path) -> Result<Option<String>> {
    let metadata = match fs::symlink_metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(file, error)),
    };
    if !metadata.is_file() || metadata.permissions().mode() & 0o077 != 0 {
        return Err(TOKEN_FILE
            .error(format!("the token file {} can be read by others than its owner", file.display()))
            .hint("delete it, and a new token is made; the old one may be known to others, so revoke it"));
    }
    fs::read_to_string(file).map(|text| Some(text.trim().to_owned())).map_err(|error| failed(file, error))
}

/// Under another name first, readable by its owner from the first moment, so that nobody meets half a token.
fn write(file: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let partial = file.with_extension(format!("partial-{}", std::process::id()));
        let mut options = OpenOptions::new();
        let mut handle = options.write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        handle.write_all(text.as_bytes())?;
        handle.sync_all()?;
        fs::rename(&partial, file)
    };
    write().map_err(|error| failed(file, error))
}

fn failed(file: &Path, error: std::io::Error) -> lw_core::Error {
    TOKEN_FILE
        .error(format!("the token file {} cannot be read or written: {error}", file.display()))
        .hint("check that the workspace's directory exists and is yours")
        .cause(error)
}
