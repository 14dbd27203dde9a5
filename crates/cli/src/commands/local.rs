//! Commands that need neither a workspace nor a server.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use lw_core::{Clock, Result, SystemClock, nearest};
use serde_json::json;

use crate::args::Cli;
use crate::failures::{BAD_ARGUMENT, FOLDER_NOT_EMPTY, UNKNOWN_CODE};
use crate::render;

include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));

/// Writes the starter project.
pub fn init(directory: &Path) -> Result<()> {
    let occupied = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(FOLDER_NOT_EMPTY
            .error(format!("`{}` is not empty", directory.display()))
            .hint("name a folder that does not exist yet; nothing was written"));
    }
    for path in lw_project::init(directory, SystemClock.now())? {
        render::talk(&format!("wrote {}", path.display()));
    }
    render::next(&format!("cd {} && loopwright check", directory.display()));
    Ok(())
}

/// Prints the page of an error code, or all codes.
pub fn explain(code: Option<&str>, json: bool) -> Result<()> {
    let Some(code) = code else {
        if json {
            render::json(&json!({ "items": ERROR_PAGES.iter().map(|(code, _)| code).collect::<Vec<_>>() }));
            return Ok(());
        }
        for (code, _) in ERROR_PAGES {
            render::out(code);
        }
        render::next("loopwright explain CODE");
        return Ok(());
    };
    match ERROR_PAGES.iter().find(|(known, _)| *known == code) {
        Some((code, page)) if json => {
            render::json(&json!({ "code": code, "page": page.trim_end() }));
            Ok(())
        }
        Some((_, page)) => {
            render::out(page.trim_end());
            Ok(())
        }
        None => {
            let error = UNKNOWN_CODE.error(format!("`{code}` is not an error code"));
            Err(match nearest(code, ERROR_PAGES.iter().map(|(known, _)| *known)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("`loopwright explain` lists all codes"),
            })
        }
    }
}

/// Prints one JSON Schema, or the kinds that have one.
pub fn schema(kind: Option<&str>) -> Result<()> {
    let schemas = lw_project::schemas();
    let Some(kind) = kind else {
        for (name, _) in &schemas {
            render::out(name);
        }
        render::next("loopwright schema model > model.schema.json");
        return Ok(());
    };
    match schemas.iter().find(|(name, _)| *name == kind) {
        Some((_, schema)) => {
            render::json(schema);
            Ok(())
        }
        None => Err(BAD_ARGUMENT.error(format!("`{kind}` is not a kind of file")).hint("`loopwright schema` lists the kinds")),
    }
}

pub fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "loopwright", &mut script);
    render::out(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}
