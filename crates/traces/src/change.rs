//! Changing what is known of a trace: its tags and its links.

use lw_core::{Ctx, Result};

use crate::start::{RUN_LINK, checked_tag};
use crate::{BAD_TRACE, TRACE_TAG_NOT_FOUND, Traces, found, queries};

const PROMPT_LINK: &str = "prompt";
const MAX_LINKS: usize = 100;

impl Traces {
    pub async fn tag(&self, ctx: &Ctx, trace: &str, key: &str, value: &str) -> Result<()> {
        let tag = checked_tag(key, value)?;
        let trace = trace.to_owned();
        self.store
            .write(ctx, move |tx| {
                found(tx, &trace)?;
                queries::put_tags(tx, &trace, &[tag].into())
            })
            .await
    }

    pub async fn remove_tag(&self, ctx: &Ctx, trace: &str, key: &str) -> Result<()> {
        let (trace, key) = (trace.to_owned(), key.to_owned());
        self.store
            .write(ctx, move |tx| {
                if queries::remove_tag(tx, &trace, &key)? {
                    return Ok(());
                }
                let text = format!("No trace tag with key '{key}' for trace with ID '{trace}'");
                Err(TRACE_TAG_NOT_FOUND.error(text))
            })
            .await
    }

    /// Says that traces belong to a run. A link that is there already stays one.
    pub async fn link_to_run(&self, ctx: &Ctx, traces: Vec<String>, run: &str) -> Result<()> {
        if traces.len() > MAX_LINKS {
            return Err(BAD_TRACE.error(format!(
                "Cannot link more than {MAX_LINKS} traces to a run in a single request. Provided {} traces.",
                traces.len()
            )));
        }
        let run = run.to_owned();
        self.store.write(ctx, move |tx| queries::link(tx, RUN_LINK, &run, &traces)).await
    }

    /// Says that a trace used versions of prompts, each written `name/version`.
    pub async fn link_prompts(&self, ctx: &Ctx, trace: &str, prompts: Vec<String>) -> Result<()> {
        let trace = trace.to_owned();
        self.store
            .write(ctx, move |tx| {
                found(tx, &trace)?;
                prompts.iter().try_for_each(|prompt| queries::link(tx, PROMPT_LINK, prompt, std::slice::from_ref(&trace)))
            })
            .await
    }
}
