//! A model version built again from its record, and compared.

use lw_core::{Ctx, Digest, Name, Result};
use lw_features::{compute_training_set, find_training_set, load_recipe};
use lw_registry::Registry;
use serde::Serialize;

use crate::examples::Examples;
use crate::failures::NOT_REPRODUCED;
use crate::state;
use crate::steps::{self, Built, model};
use crate::workspace::Workspace;

/// A digest as it was recorded and as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Compared {
    pub was: Digest,
    pub is: Digest,
}

impl Compared {
    fn is_same(self) -> bool {
        self.was == self.is
    }
}

/// What building a version again showed.
#[derive(Debug, Clone, Serialize)]
pub struct Reproduction {
    pub version: String,
    pub same: bool,
    /// The rows of the training set.
    pub training_set: Compared,
    /// The ONNX file.
    pub model: Compared,
    pub message: String,
}

impl Workspace {
    /// Computes the training set of a version again from the table versions it names, trains the candidate again with the recorded
    /// definition, parameters and seed, and compares digests. Changes nothing.
    pub async fn reproduce(&self, ctx: &Ctx, name: &Name, version: u64) -> Result<Reproduction> {
        let registered = Registry::new(self.store().clone()).version(name, version).await?;
        let recorded = |what: &str| {
            NOT_REPRODUCED
                .error(format!("{} does not record its {what}", registered.label()))
                .hint("only versions that a pipeline made can be reproduced")
        };
        let recipe = &registered.recipe;
        let project_version = recipe["project"]["version"].as_u64().ok_or_else(|| recorded("project"))?;
        let running = state::version(self.store(), self.artifacts(), project_version).await?;
        let definition = model(&running.project, name)?;
        let set_version = recipe["training_set"]["version"].as_u64().ok_or_else(|| recorded("training set"))?;
        let set = find_training_set(self.store(), name, set_version).await?.ok_or_else(|| recorded("training set"))?;
        let computed = compute_training_set(self.engine(), &load_recipe(self.artifacts(), &set).await?).await?;
        let examples = Examples::of_batches(&computed.batches)?;
        let candidate_name = recipe["candidate"].as_str().ok_or_else(|| recorded("candidate"))?;
        let candidate = definition.train.candidates.iter().find(|candidate| candidate.name.as_str() == candidate_name);
        let candidate = candidate.ok_or_else(|| recorded("candidate"))?;
        let holdout_from = recipe["holdout_from"].as_str().ok_or_else(|| recorded("hold-out"))?;
        let built = Built {
            version: set_version,
            content: computed.content,
            recipe: set.recipe,
            n_rows: computed.n_rows,
            holdout_from: lw_core::Timestamp::parse(holdout_from)?,
        };
        let run = ctx.ids.next_run();
        let (trained, _) = steps::fit(self, &running.project.bundle.root, definition, candidate, &examples, &built, &run).await?;
        let was = *registered.artifacts.get("model").ok_or_else(|| recorded("model"))?;
        let model = Compared { was, is: Digest::of(&trained.onnx) };
        let training_set = Compared { was: set.content, is: computed.content };
        let same = model.is_same() && training_set.is_same();
        let message = match (training_set.is_same(), model.is_same()) {
            (true, true) => format!(
                "{} is reproduced: training set {} and model {} have the same digests",
                registered.label(),
                set.content.short(),
                was.short()
            ),
            (false, _) => format!("the training set differs: it was {}, it is {}", set.content, computed.content),
            (true, false) => format!("the model differs on the same training set: it was {}, it is {}", model.was, model.is),
        };
        Ok(Reproduction { version: registered.label(), same, training_set, model, message })
    }
}
