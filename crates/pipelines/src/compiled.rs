//! Definitions as the engine holds them: checked, with their digest, each read once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lw_core::{Digest, Error, Result};
use lw_store::Reader;

use crate::{Graph, PipelineDefinition, StepDefinition, queries};

#[derive(Debug)]
pub struct Compiled {
    pub definition: PipelineDefinition,
    pub graph: Graph,
    pub digest: Digest,
}

impl Compiled {
    pub fn new(definition: PipelineDefinition) -> Result<Arc<Self>> {
        let graph = definition.check()?;
        Ok(Arc::new(Self { digest: definition.digest(), definition, graph }))
    }

    pub fn step(&self, position: usize) -> &StepDefinition {
        &self.definition.steps[position]
    }

    pub fn position(&self, key: &str) -> Result<usize> {
        self.graph.position(key).ok_or_else(|| {
            let near = lw_core::nearest(key, self.definition.steps.iter().map(|step| step.key.as_str()));
            crate::UNKNOWN_STEP
                .error(format!("pipeline `{}` has no step `{}`", self.definition.pipeline, key.escape_debug()))
                .hint(
                    near.map_or_else(|| "look at the run to see its steps".to_owned(), |near| format!("did you mean `{near}`?")),
                )
        })
    }
}

/// The definitions that this process has met. They never change, so they are never read again.
#[derive(Debug, Clone, Default)]
pub struct Definitions(Arc<Mutex<HashMap<Digest, Arc<Compiled>>>>);

impl Definitions {
    pub fn add(&self, compiled: &Arc<Compiled>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(compiled.digest, compiled.clone());
    }

    pub fn get(&self, db: &mut Reader<'_>, digest: &Digest) -> Result<Arc<Compiled>> {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest) {
            return Ok(known.clone());
        }
        let text = queries::definition(db, digest)?;
        let text = text.ok_or_else(|| Error::bug(format!("the definition {digest} of a run is missing")))?;
        let definition = serde_json::from_str(&text).map_err(|error| {
            Error::bug(format!("the definition {digest} cannot be read by this version of Loopwright")).cause(error)
        })?;
        let compiled = Compiled::new(definition)?;
        self.add(&compiled);
        Ok(compiled)
    }
}
