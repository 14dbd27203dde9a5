//! The ledger: read, verified, exported.

use std::io::Write;
use std::path::{Path, PathBuf};

use lw_core::{Error, Result, Timestamp};
use serde_json::Value;

use crate::address::Address;
use crate::args::{Audit, AuditLog};
use crate::client::Client;
use crate::failures::{BAD_ARGUMENT, LEDGER_BROKEN};
use crate::render;

pub async fn audit(client: &Client, audit: &Audit, json: bool) -> Result<()> {
    match audit {
        Audit::Verify => verify(client, json).await,
        Audit::Log(arguments) => log(client, arguments, json).await,
        Audit::Export { from, to, output } => export(client, *from, *to, output.as_deref()).await,
    }
}

async fn log(client: &Client, arguments: &AuditLog, json: bool) -> Result<()> {
    let address = Address::of(&["ledger", "entries"])
        .with("subject", arguments.subject.as_ref())
        .with("actor", arguments.by.as_ref())
        .with("action", arguments.action.as_ref())
        .with("from", arguments.from)
        .with("to", arguments.to)
        .with("after", arguments.after)
        .with("limit", Some(arguments.limit))
        .with("newest", arguments.newest.then_some(true));
    let answer = client.get(address.text()).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    let columns = [("seq", "/seq"), ("at", "/at"), ("actor", "/actor"), ("action", "/action"), ("subject", "/subject_text")];
    render::list(&answer["items"], &columns);
    let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    match items.last() {
        Some(last) if items.len() as u64 == u64::from(arguments.limit) => {
            render::next(&format!("the same with --after {}", render::cell(&last["seq"])));
        }
        _ => render::next("loopwright audit verify"),
    }
    Ok(())
}

async fn verify(client: &Client, json: bool) -> Result<()> {
    let answer = client.get(Address::of(&["ledger", "verify"]).text()).await?;
    let sound = answer["sound"].as_bool().unwrap_or(false);
    if json {
        render::json(&answer);
    } else if sound {
        render::out(&format!(
            "the ledger verifies: {} entries, {} business rows, {} sealed runs, head {}",
            render::cell(&answer["entries"]),
            render::cell(&answer["rows"]),
            render::cell(&answer["seals"]),
            render::cell(&answer["head"]),
        ));
    } else {
        for problem in answer["problems"].as_array().map(Vec::as_slice).unwrap_or_default() {
            render::out(&format!("✗ {}", render::cell(problem.get("message").unwrap_or(problem))));
        }
    }
    if sound {
        return Ok(());
    }
    Err(LEDGER_BROKEN
        .error("the ledger does not verify")
        .hint("the lines above name the entries and rows; restore the database from a backup that verifies"))
}

/// Entries a page.
const PAGE: u64 = 1000;

/// Writes the chain line by line, so that it is never whole in memory.
async fn export(client: &Client, from: Option<Timestamp>, to: Option<Timestamp>, output: Option<&Path>) -> Result<()> {
    let mut sink = Sink::open(output)?;
    let (mut after, mut n_entries) = (0, 0);
    loop {
        let address = Address::of(&["ledger", "export"]).with("from", from).with("to", to);
        let page = client.get_text(address.with("after", Some(after)).with("limit", Some(PAGE)).text()).await?;
        let Some(last) = page.lines().last() else { break };
        sink.write(&page)?;
        n_entries += page.lines().count();
        let entry: Value = serde_json::from_str(last).map_err(|error| Error::bug("an exported line is no JSON").cause(error))?;
        after = entry["seq"].as_u64().ok_or_else(|| Error::bug("an exported entry has no number"))?;
    }
    sink.close()?;
    let place = output.map_or_else(String::new, |path| format!(" to {}", path.display()));
    render::talk(&format!("exported {n_entries} entries{place}"));
    render::next("check them elsewhere: docs/guides/governance.md has the program");
    Ok(())
}

/// Standard output, or a file that stands under its name only once it is whole.
enum Sink {
    Output,
    File { file: std::fs::File, draft: PathBuf, path: PathBuf },
}

impl Sink {
    fn open(output: Option<&Path>) -> Result<Self> {
        let Some(path) = output else { return Ok(Self::Output) };
        let mut draft = path.as_os_str().to_owned();
        draft.push(".partial");
        let draft = PathBuf::from(draft);
        let file = std::fs::File::create(&draft).map_err(|error| unwritable(path, error))?;
        Ok(Self::File { file, draft, path: path.to_owned() })
    }

    fn write(&mut self, lines: &str) -> Result<()> {
        match self {
            Self::Output => render::out(lines.trim_end()),
            Self::File { file, path, .. } => file.write_all(lines.as_bytes()).map_err(|error| unwritable(path, error))?,
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        let Self::File { file, draft, path } = self else { return Ok(()) };
        file.sync_all().and_then(|()| std::fs::rename(draft, &path)).map_err(|error| unwritable(&path, error))
    }
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    BAD_ARGUMENT
        .error(format!("cannot write the export to `{}`: {error}", path.display()))
        .hint("name a file in a folder that you may write to")
        .cause(error)
}
