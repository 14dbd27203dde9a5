//! Taking steps to run, and giving back those of the dead.

use std::collections::BTreeMap;
use std::sync::Arc;

use lw_core::{Actor, Result, Span};
use lw_store::Tx;

use crate::compiled::{Compiled, Definitions};
use crate::queries::{self, Holder, Leased};
use crate::run::PipelineRunId;
use crate::step::{Event, Rules, transition};
use crate::{Manifest, StepDefinition, journal};

/// A step that this worker holds, with all that its attempt needs.
#[derive(Debug)]
pub struct Claim {
    pub run: PipelineRunId,
    pub compiled: Arc<Compiled>,
    pub position: usize,
    pub fence: i64,
    /// Counts from 1; one whose process died counts too.
    pub attempt: u32,
    /// Signals that the attempt knows of.
    pub n_signals: u32,
    pub signal: Option<serde_json::Value>,
    pub upstream: BTreeMap<String, Manifest>,
    pub run_params: serde_json::Value,
    pub started_by: Actor,
}

impl Claim {
    pub fn step(&self) -> &StepDefinition {
        self.compiled.step(self.position)
    }
}

/// Claims up to `limit` steps, those first that have waited longest. Each claim grows the step's fence.
pub fn claim(tx: &mut Tx<'_>, definitions: &Definitions, holder: &Holder, lease: Span, limit: usize) -> Result<Vec<Claim>> {
    let now = tx.now();
    let mut claims = Vec::new();
    for candidate in queries::candidates(tx, now, limit)? {
        let compiled = definitions.get(tx, &candidate.digest)?;
        let position = compiled.position(&candidate.key)?;
        let retries = &compiled.step(position).retries;
        let before = queries::take_step(tx, &candidate.run, &candidate.key)?;
        let Ok((step, _)) = transition(before, Event::Claim, Rules { retries, is_cancelling: false, now }) else {
            continue;
        };
        queries::save_step(tx, &candidate.run, &candidate.key, step)?;
        queries::lease_step(tx, &candidate.run, &candidate.key, holder, now + lease)?;
        let mut upstream = BTreeMap::new();
        for need in &compiled.step(position).needs {
            upstream.insert(need.clone(), queries::manifest(tx, &candidate.run, need)?);
        }
        claims.push(Claim {
            signal: if step.n_signals > 0 { queries::signal(tx, &candidate.run, &candidate.key)? } else { None },
            run: candidate.run,
            position,
            fence: step.fence,
            attempt: step.n_failures + step.n_losses + 1,
            n_signals: step.n_signals,
            upstream,
            run_params: candidate.run_params,
            started_by: candidate.started_by,
            compiled,
        });
    }
    Ok(claims)
}

/// Frees steps whose worker is dead. Returns how many can be claimed now.
pub fn free(tx: &mut Tx<'_>, definitions: &Definitions, dead: &[Leased]) -> Result<usize> {
    let mut n_released = 0;
    for leased in dead {
        let compiled = definitions.get(tx, &leased.digest)?;
        let position = compiled.position(&leased.key)?;
        n_released += journal::lose(tx, &compiled, &leased.run, position, leased.fence)?.n_released;
    }
    Ok(n_released)
}
