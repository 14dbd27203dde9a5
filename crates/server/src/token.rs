//! The workspace's token: whoever can read the file may use the workspace.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use lw_core::{Error, Result};

use crate::failures::TOKEN_FILE;

/// Marks our tokens for secret scanners.
const PREFIX: &str = "lw_";
const N_RANDOM_BYTES: usize = 32;

/// A secret that is compared, and never printed.
#[derive(Clone)]
pub struct Token(Box<str>);

impl Token {
    /// Reads the token of a workspace, or makes one that only its owner can read.
    pub fn of_workspace(directory: &Path) -> Result<Self> {
        let path = path(directory);
        match read(&path) {
            Some(token) => Ok(token),
            None => Self::make(&path).map_err(|error| unusable(&path, error)),
        }
    }

    fn make(path: &Path) -> std::io::Result<Self> {
        let mut bytes = [0_u8; N_RANDOM_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("{PREFIX}{digits}");
        let made = private().create_new(true).open(path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        match made {
            Ok(()) => Ok(Self(text.into())),
            // Another process was faster: its token counts.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => read(path).ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// Compares in time that does not depend on where the texts differ.
    pub fn is(&self, given: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let difference = own.iter().zip(given).fold(0, |difference, (a, b)| difference | (a ^ b));
        own.len() == given.len() && std::hint::black_box(difference) == 0
    }

    pub(crate) fn reveal(&self) -> String {
        self.0.to_string()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The token that stands in a workspace, for its clients. None if no server or command has made one.
pub fn read_token(directory: &Path) -> Option<String> {
    read(&path(directory)).map(|token| token.reveal())
}

fn path(directory: &Path) -> PathBuf {
    directory.join("token")
}

fn read(path: &Path) -> Option<Token> {
    let text = std::fs::read_to_string(path).ok()?;
    let text = text.trim();
    let digits = text.strip_prefix(PREFIX)?;
    let is_whole = digits.len() == 2 * N_RANDOM_BYTES && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_whole.then(|| Token(text.into()))
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    options
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    TOKEN_FILE
        .error(format!("the token file {} cannot be used: {error}", path.display()))
        .hint("check that the workspace can be written to; a damaged token file can be deleted, a new one is made")
        .cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_has_one_token_that_only_its_owner_reads() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_token(dir.path()), None);
        let token = Token::of_workspace(dir.path()).unwrap();
        assert_eq!(Token::of_workspace(dir.path()).unwrap().reveal(), token.reveal());
        assert_eq!(read_token(dir.path()), Some(token.reveal()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(path(dir.path())).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let dir = tempfile::tempdir().unwrap();
        let token = Token::of_workspace(dir.path()).unwrap();
        let text = token.reveal();
        assert!(token.is(text.as_bytes()));
        assert!(!token.is(b"") && !token.is(&text.as_bytes()[..66]) && !token.is(format!("{text}0").as_bytes()));
        assert!(!token.is(text.to_uppercase().as_bytes()));
    }

    #[test]
    fn a_damaged_token_file_is_an_error_and_no_open_door() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(path(dir.path()), "").unwrap();
        assert!(Token::of_workspace(dir.path()).unwrap_err().is(TOKEN_FILE));
        assert_eq!(read_token(dir.path()), None);
    }
}
