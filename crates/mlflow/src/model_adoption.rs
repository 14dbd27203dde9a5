//! Versions that another MLflow registry recorded: what they are here, with their files where those were brought, too.

use std::collections::BTreeMap;

use lw_core::{Ctx, ModelName};
use lw_governance::parse_actor;
use lw_registry::{ClientVersion, NewVersion, Origin};
use serde_json::json;

use crate::face::Face;
use crate::model_intake::{Content, lineage};
use crate::model_places::{logged_model_facts, run_facts};
use crate::model_source::ModelUri;
use crate::refusal::Answer;

/// A version as another registry recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedVersion {
    pub model: ModelName,
    pub source: String,
    pub run: String,
    pub run_link: String,
    pub logged_model: String,
    pub description: String,
    /// Who registered it there; may be empty.
    pub user: String,
    pub tags: BTreeMap<String, String>,
    /// Whether the model is a prompt.
    pub is_prompt: bool,
}

/// The version with its content, signature and lineage as far as what it was made from is here. Its source is not judged: it was
/// accepted where it was registered, and nothing is read through it but files of our own.
///
/// # Errors
/// If files that are here cannot be read.
pub async fn version_of(face: &Face, ctx: &Ctx, recorded: RecordedVersion) -> Answer<ClientVersion> {
    let mut location = recorded.source.clone();
    let mut model_facts = logged_model_facts(face, &recorded.logged_model).await?;
    let mut copied = None;
    match ModelUri::parse(&recorded.source) {
        Some(ModelUri::LoggedModel(id)) => {
            if model_facts.is_none() {
                model_facts = logged_model_facts(face, id).await?;
            }
            if let Some(facts) = &model_facts {
                location.clone_from(&facts.root);
            }
        }
        Some(ModelUri::Version { name, version }) => {
            // A copy of a version that was brought before has its content.
            if let (Ok(name), Ok(number)) = (ModelName::parse(name), version.parse()) {
                copied = face.registry().version_record(name, number).await.ok();
            }
            if let Some(original) = &copied {
                location.clone_from(&original.version.origin.location);
            }
        }
        _ => {}
    }
    let run = run_facts(face, &recorded.run).await?;
    let content = Content::at(face, &location, &recorded.tags, recorded.is_prompt, copied.as_ref()).await?;
    let recipe = json!({
        "registered_by": "an import from MLflow",
        "source": recorded.source,
        "location": location,
        "run_id": recorded.run,
        "logged_model": recorded.logged_model,
        "content": content.recipe,
    });
    let user = Some(recorded.user).filter(|user| !user.is_empty()).or_else(|| run.as_ref().and_then(|run| run.user.clone()));
    let new = NewVersion {
        model: recorded.model,
        author: user.and_then(|user| parse_actor(&user).ok()).unwrap_or_else(|| ctx.actor.clone()),
        run: run.as_ref().map(|run| run.id.clone()),
        recipe,
        signature: content.signature,
        lineage: lineage(run.as_ref(), model_facts.as_ref(), copied.as_ref()),
        artifacts: content.artifacts,
        hands: lw_registry::Hands::new(),
    };
    let origin = Origin {
        source: recorded.source,
        location,
        run: recorded.run,
        run_link: recorded.run_link,
        logged_model: Some(recorded.logged_model).filter(|id| !id.is_empty()),
    };
    Ok(ClientVersion { new, origin, description: Some(recorded.description), tags: recorded.tags })
}
