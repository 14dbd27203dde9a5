//! The secret that a workspace's own clients show: in the workspace's token file, or only within this process.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use lw_core::{Actor, Ctx, Error, Result};
use lw_governance::{Identities, Purpose};
use lw_store::Store;

/// Who acts with the workspace's own token and does not say who they are.
pub const LOCAL_ACTOR: &str = "local";

/// A secret that is compared, and never printed.
#[derive(Clone)]
pub struct Token(Box<str>);

impl Token {
    /// The token of the workspace, which its owner can read in the file `token`; made if it is missing.
    pub fn of_workspace(ctx: &Ctx, store: &Store, directory: &Path) -> Result<Self> {
        let identities = Identities::new(store.clone());
        let (file, actor) = (path(directory), Actor::new(LOCAL_ACTOR));
        // The store works on threads of its own, so waiting here, once at the start, holds up nothing.
        let text = futures::executor::block_on(identities.local_token(ctx, &file, &actor))?;
        Ok(Self(text.into()))
    }

    /// A secret that nobody outside this process knows.
    pub fn of_process() -> Result<Self> {
        let mut bytes = [0_u8; 32];
        let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        read.map_err(|error| Error::bug("the system gives no random bytes").cause(error))?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()))
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

/// The token that stands in a workspace, for its clients. None if no server has made one.
pub fn read_token(directory: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path(directory)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Whether a token is somebody's own: it acts for its holder, and leaves nothing to say about who sits there.
pub fn is_own_token(text: &str) -> bool {
    Purpose::of_text(text).is_some_and(|purpose| purpose != Purpose::Local)
}

fn path(directory: &Path) -> PathBuf {
    directory.join("token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_keeps_its_token() {
        lw_store::testing::both(|store| async move {
            let dir = tempfile::tempdir().unwrap();
            let ctx = Ctx::real(Actor::new("loopwright:server"), "test");
            assert_eq!(read_token(dir.path()), None);
            let token = Token::of_workspace(&ctx, &store, dir.path()).unwrap();
            assert_eq!(Token::of_workspace(&ctx, &store, dir.path()).unwrap().reveal(), token.reveal());
            assert_eq!(read_token(dir.path()), Some(token.reveal()));
            assert_eq!(format!("{token:?}"), "Token(…)");
        });
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::of_process().unwrap();
        let text = token.reveal();
        assert!(token.is(text.as_bytes()) && !Token::of_process().unwrap().is(text.as_bytes()));
        assert!(!token.is(b"") && !token.is(&text.as_bytes()[..63]) && !token.is(format!("{text}0").as_bytes()));
    }
}
