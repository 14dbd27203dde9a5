//! Bringing registered models with their versions and aliases.

use lw_core::{Kind, Result};

use super::ask;
use super::bring::{Import, is_fatal};
use super::source::{ModelVersion, RegisteredModel};
use super::tally::{Tally, What};
use crate::failures::IMPORT_INCOMPLETE;

impl Import<'_> {
    pub(super) async fn registered_models(&mut self) -> Result<()> {
        let mut page = None;
        loop {
            let models = ask(&self.source, move |source| source.registered_models(page)).await?;
            for model in models.items {
                let brought = if self.is_dry { self.look_at_model(&model).await } else { self.registered_model(&model).await };
                self.note(What::RegisteredModels, &model.name, brought)?;
            }
            page = models.next;
            if page.is_none() {
                return Ok(());
            }
        }
    }

    async fn look_at_model(&mut self, model: &RegisteredModel) -> Result<()> {
        self.count(What::RegisteredModels, !self.target.has_registered_model(&model.name).await?);
        for version in &model.versions {
            let is_new = !self.target.has_model_version(&model.name, version.version).await?;
            self.count(What::ModelVersions, is_new);
        }
        Ok(())
    }

    async fn registered_model(&mut self, model: &RegisteredModel) -> Result<()> {
        let is_new = self.target.adopt_registered_model(model).await?;
        self.count(What::RegisteredModels, is_new);
        for version in &model.versions {
            let name = format!("{}@{}", model.name, version.version);
            let adopted = self.model_version(model, version, &name).await;
            let Some(is_new) = self.note(What::ModelVersions, &name, adopted)? else { continue };
            self.count(What::ModelVersions, is_new);
        }
        if model.aliases.is_empty() {
            return Ok(());
        }
        let present = self.target.aliases(&model.name).await?;
        // An alias that was moved here since stays where it is.
        for (alias, version) in model.aliases.iter().filter(|(alias, _)| !present.contains(alias)) {
            match self.target.set_alias(&model.name, alias, *version).await {
                // Policies about the model stand above an import.
                Err(error) if error.kind() == Kind::Forbidden => {
                    self.tally.left_out(format!("the alias `{alias}` of {}@{version}: {}", model.name, error.message()));
                }
                Err(error) if is_fatal(&error) => return Err(error),
                Err(error) => self.tally.failed(What::RegisteredModels, format!("{} alias {alias}", model.name), &error),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Brings a version, and says whether it was missing.
    async fn model_version(&mut self, model: &RegisteredModel, version: &ModelVersion, name: &str) -> Result<bool> {
        for (what, origin) in [(What::Runs, &version.run), (What::LoggedModels, &version.logged_model)] {
            if self.tally.has_failed(what, origin) {
                // Its content is told by files that are not all here.
                let error = IMPORT_INCOMPLETE.error(format!("it was made from {origin}, which could not be brought"));
                return Err(error.hint("the next import brings it when its origin is here"));
            }
        }
        match self.target.adopt_model_version(&model.name, version).await {
            Err(error) if error.code() == "model-protected" => {
                self.tally.left_out(format!("the stage {} of {name}: {}", version.stage, error.message()));
                let without_stage = ModelVersion { stage: "None".to_owned(), ..version.clone() };
                self.target.adopt_model_version(&model.name, &without_stage).await
            }
            adopted => adopted,
        }
    }

    fn count(&mut self, what: What, is_new: bool) {
        let count = if is_new { Tally::brought } else { Tally::present };
        count(&mut self.tally, what, 1);
    }
}
