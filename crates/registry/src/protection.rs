//! What nobody moves by hand: aliases and stages that policies protect, and models that are in use.

use std::collections::BTreeSet;

use lw_core::{Change, Draft, Error, ModelName, Result, Subject, SubjectKind};
use lw_store::{EntryFilter, Mention, Reader, Row, Tx};
use serde::{Deserialize, Serialize};

use crate::promotion::retire_champion_in;
use crate::{Alias, MODEL_PROTECTED, Stage, queries, version};

/// What of a model is protected. A project that defines the model decides it when it is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Whether the applied project defines the model.
    pub is_defined: bool,
    pub aliases: BTreeSet<Alias>,
    pub stages: BTreeSet<Stage>,
}

impl Protection {
    /// Of a model that no project defines: nothing, unless versions of it went through gates under a project that had it. Then
    /// `champion` still says which of them was approved last.
    pub fn free(was_governed: bool) -> Self {
        let aliases = was_governed.then(Alias::champion).into_iter().collect();
        Self { is_defined: false, aliases, stages: BTreeSet::new() }
    }

    /// Of a model that a project defines: with gates, the stage `Production` says that they were passed. `aliases` are those that
    /// policies name beside `champion`.
    pub fn defined(has_gates: bool, aliases: impl IntoIterator<Item = Alias>) -> Self {
        let stages = if has_gates { BTreeSet::from([Stage::Production]) } else { BTreeSet::new() };
        Self { is_defined: true, aliases: aliases.into_iter().chain([Alias::champion()]).collect(), stages }
    }

    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self { is_defined: true, aliases: row.json("aliases")?, stages: row.json("stages")? })
    }
}

/// What somebody wants to do to a model by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed<'a> {
    /// Points an alias somewhere, or takes it away.
    MoveAlias(&'a Alias),
    /// Puts a version into a stage.
    EnterStage(Stage),
    DeleteVersion(u64),
    Delete,
    Rename,
}

/// What a deed is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstance {
    pub protection: Protection,
    /// The version that gates and approvals made the champion; one that somebody named so by hand is like any other.
    pub champion: Option<u64>,
    /// Endpoints that serve the model now, each with the versions behind it.
    pub serving: Vec<(String, Vec<u64>)>,
}

/// Why a deed is not done, in one sentence.
pub fn objection(model: &ModelName, deed: Deed<'_>, circumstance: &Circumstance) -> Option<String> {
    let Circumstance { protection, champion, serving } = circumstance;
    let served = |version: u64| serving.iter().find(|(_, versions)| versions.contains(&version)).map(|(endpoint, _)| endpoint);
    match deed {
        Deed::MoveAlias(alias) if protection.aliases.contains(alias) => {
            Some(format!("the alias `{alias}` of model `{model}` is protected and not set by hand"))
        }
        Deed::EnterStage(stage) if protection.stages.contains(&stage) => {
            Some(format!("the stage `{stage}` of model `{model}` is protected and not set by hand"))
        }
        Deed::MoveAlias(_) | Deed::EnterStage(_) => None,
        Deed::DeleteVersion(version) if *champion == Some(version) => {
            Some(format!("version {version} of model `{model}` is its champion"))
        }
        Deed::DeleteVersion(version) => {
            served(version).map(|endpoint| format!("endpoint `{endpoint}` serves version {version} of model `{model}`"))
        }
        Deed::Delete | Deed::Rename if protection.is_defined => {
            Some(format!("model `{model}` is defined by the project that is applied"))
        }
        Deed::Delete | Deed::Rename => match (serving.first(), champion) {
            (Some((endpoint, _)), _) => Some(format!("endpoint `{endpoint}` serves model `{model}`")),
            (None, Some(version)) => Some(format!("version {version} of model `{model}` is its champion")),
            (None, None) => None,
        },
    }
}

/// What to do instead.
fn hint(model: &ModelName, deed: Deed<'_>, protection: &Protection) -> String {
    match deed {
        Deed::MoveAlias(_) | Deed::EnterStage(_) if protection.is_defined => format!(
            "Promote the version instead: read its report and run `loopwright approve {model}@VERSION`; its gates and approvals are \
             checked, and then it goes live"
        ),
        Deed::MoveAlias(_) | Deed::EnterStage(_) => format!(
            "Define the model in a project (models/{model}.yaml with its gates, then `loopwright apply`), whose versions are \
             promoted by `loopwright approve`; or use another alias"
        ),
        Deed::DeleteVersion(_) => {
            "Promote another version first, or take the model out of service with `loopwright retire`".to_owned()
        }
        Deed::Delete | Deed::Rename if protection.is_defined => {
            format!("Remove models/{model}.yaml from the project and `loopwright apply` first")
        }
        Deed::Delete | Deed::Rename => format!("Take it out of service first: `loopwright retire {model} --reason \"…\"`"),
    }
}

/// Refuses a deed that something stands against, inside the transaction that would do it.
pub(crate) fn permit(reader: &mut Reader<'_>, model: &ModelName, deed: Deed<'_>) -> Result<()> {
    let protection = protection_in(reader, model)?;
    let champion =
        queries::alias(reader, model, &Alias::champion())?.filter(|pointer| protection.aliases.contains(&pointer.alias));
    let circumstance = Circumstance {
        protection,
        champion: champion.map(|pointer| pointer.version),
        serving: match deed {
            Deed::MoveAlias(_) | Deed::EnterStage(_) => Vec::new(),
            Deed::DeleteVersion(_) | Deed::Delete | Deed::Rename => serving(reader, model)?,
        },
    };
    match objection(model, deed, &circumstance) {
        Some(why) => Err(refusal(why, model, deed, &circumstance.protection)),
        None => Ok(()),
    }
}

fn refusal(why: String, model: &ModelName, deed: Deed<'_>, protection: &Protection) -> Error {
    MODEL_PROTECTED.error(why).hint(hint(model, deed, protection))
}

/// What of a model is protected now.
pub fn protection_in(reader: &mut Reader<'_>, model: &ModelName) -> Result<Protection> {
    match queries::protection(reader, model)? {
        Some(protection) => Ok(protection),
        None => Ok(Protection::free(queries::was_governed(reader, model)?)),
    }
}

/// Makes these the models that a project defines, each with its protection; all others are free from now on. A champion that never
/// went through gates and approvals loses the name, so that the model's next version is a first one. It belongs into the transaction
/// that applies the project.
pub fn protect_in(tx: &mut Tx<'_>, wanted: &[(ModelName, Protection)]) -> Result<()> {
    let standing = queries::protections(tx)?;
    for (model, _) in standing.iter().filter(|(model, _)| !wanted.iter().any(|(name, _)| name == model)) {
        let change = Change::remove("model_protection").key("model", model);
        tx.record(Draft::new("model.free", Subject::unversioned(SubjectKind::Model, model)).change(change))?;
    }
    for (model, protection) in wanted.iter().filter(|wanted| !standing.contains(wanted)) {
        let change = Change::put("model_protection")
            .key("model", model)
            .set("aliases", lw_core::canonical_json(&protection.aliases))
            .set("stages", lw_core::canonical_json(&protection.stages))
            .set("decided_at", tx.now());
        let payload = serde_json::json!({"aliases": protection.aliases, "stages": protection.stages});
        dismiss_named_by_hand(tx, model)?;
        let subject = Subject::unversioned(SubjectKind::Model, model);
        tx.record(Draft::new("model.protect", subject).payload(payload).change(change))?;
    }
    Ok(())
}

fn dismiss_named_by_hand(tx: &mut Tx<'_>, model: &ModelName) -> Result<()> {
    let Some(pointer) = queries::alias(tx, model, &Alias::champion())? else { return Ok(()) };
    let named = version::found(tx, model, pointer.version)?;
    if !queries::was_champion(tx, &named)? {
        retire_champion_in(tx, model, "a project defines the model now, and its champion goes through gates and approvals")?;
    }
    Ok(())
}

/// What the ledger knows of the endpoints behind which the model stands.
fn serving(reader: &mut Reader<'_>, model: &ModelName) -> Result<Vec<(String, Vec<u64>)>> {
    let mut serving = Vec::new();
    for endpoint in queries::endpoints_of(reader, model)? {
        let deployments = Subject::unversioned(SubjectKind::Deployment, &endpoint);
        let filter = EntryFilter::about(deployments, Mention::Subject).action("deployment.*").newest_first().limit(1);
        let Some(entry) = reader.entries(&filter)?.pop() else { continue };
        let served = entry.inputs.iter().map(|input| &input.subject);
        let served = served.filter(|subject| subject.kind == SubjectKind::ModelVersion && subject.name == model.as_str());
        let versions: Vec<u64> = served.filter_map(|subject| subject.version).collect();
        if !versions.is_empty() {
            serving.push((endpoint, versions));
        }
    }
    Ok(serving)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(deed: Deed<'_>, protection: &Protection, champion: Option<u64>, is_served: bool, want: Option<&str>) {
        let serving = if is_served { vec![("m".to_owned(), vec![3, 4])] } else { Vec::new() };
        let circumstance = Circumstance { protection: protection.clone(), champion, serving };
        let model = ModelName::parse("m").unwrap();
        assert_eq!(objection(&model, deed, &circumstance).as_deref(), want, "{deed:?}");
    }

    #[test]
    fn aliases_and_stages_that_say_what_serves_are_not_set_by_hand() {
        let (champion, other) = (Alias::champion(), Alias::parse("prod").unwrap());
        let gated = Protection::defined(true, [other.clone()]);
        let ungated = Protection::defined(false, []);
        let (free, freed) = (Protection::free(false), Protection::free(true));
        let alias = Some("the alias `champion` of model `m` is protected and not set by hand");
        check(Deed::MoveAlias(&champion), &free, None, false, None);
        for protection in [&gated, &ungated, &freed] {
            check(Deed::MoveAlias(&champion), protection, None, false, alias);
            check(Deed::EnterStage(Stage::Staging), protection, None, false, None);
            check(Deed::EnterStage(Stage::Archived), protection, Some(3), true, None);
        }
        let prod = Some("the alias `prod` of model `m` is protected and not set by hand");
        check(Deed::MoveAlias(&other), &gated, None, false, prod);
        check(Deed::MoveAlias(&other), &free, None, false, None);
        let production = Some("the stage `Production` of model `m` is protected and not set by hand");
        check(Deed::EnterStage(Stage::Production), &gated, None, false, production);
        check(Deed::EnterStage(Stage::Production), &ungated, None, false, None);
        check(Deed::EnterStage(Stage::Production), &free, None, false, None);
    }

    #[test]
    fn what_is_in_use_is_neither_deleted_nor_renamed() {
        let (free, defined) = (Protection::free(true), Protection::defined(false, []));
        let is_champion = Some("version 3 of model `m` is its champion");
        check(Deed::DeleteVersion(3), &free, Some(3), false, is_champion);
        check(Deed::DeleteVersion(4), &free, Some(3), false, None);
        check(Deed::DeleteVersion(4), &defined, Some(3), true, Some("endpoint `m` serves version 4 of model `m`"));
        check(Deed::DeleteVersion(5), &defined, Some(3), true, None);
        for deed in [Deed::Delete, Deed::Rename] {
            check(deed, &defined, None, false, Some("model `m` is defined by the project that is applied"));
            check(deed, &free, None, true, Some("endpoint `m` serves model `m`"));
            check(deed, &free, Some(3), false, is_champion);
            check(deed, &free, None, false, None);
        }
    }
}
