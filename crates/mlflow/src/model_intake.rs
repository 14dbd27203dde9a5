//! Registering a version that a client brings: where it comes from, what its files are, and who answers for it.

use std::collections::{BTreeMap, BTreeSet};

use lw_core::{Actor, Ctx, Digest, ModelName, Reference, RunId, Subject, SubjectKind};
use lw_governance::parse_actor;
use lw_registry::{ClientVersion, NewVersion, Origin, PROMPT_TEXT_TAG, Signature, Stage, VersionRecord};
use serde_json::{Value, json};

use crate::Refusal;
use crate::face::Face;
use crate::model_content::{Format, HEAD_BYTES};
use crate::model_file::ModelFile;
use crate::model_places::{
    File, LoggedModelFacts, RunFacts, files_at, head, logged_model_facts, run_facts, tell_logged_model, whole,
};
use crate::model_source::{self as source, Address, ModelUri, Owner, Place};
use crate::refusal::Answer;
use crate::registry_answer::{About, existing, number};

/// A request for a new version.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub name: &'a str,
    pub source: &'a str,
    pub run_id: Option<&'a str>,
    pub tags: BTreeMap<String, String>,
    pub run_link: &'a str,
    pub description: &'a str,
    pub model_id: Option<&'a str>,
}

/// Whom the server takes a caller for who shows the workspace's own token and says nothing else.
const LOCAL_ACTOR: &str = "local";
/// The tag in which a client says who runs it.
const USER_TAG: &str = "mlflow.user";
/// The record describes no more files than these; the digest is over all, and all are kept as the version's artifacts.
const MOST_LISTED: usize = 1000;
/// A version of more files is no model.
const MOST_FILES: usize = 50_000;
const MOST_TYPED: usize = 200;
const MODEL_FILE_BYTES: u64 = 1 << 20;

/// A source with what the request leaves to the version that it names.
struct Resolved {
    source: String,
    run_id: String,
    model_id: String,
    /// The registered version that is registered once more.
    copied: Option<VersionRecord>,
}

/// Registers the version, if its source may be one.
pub(crate) async fn take_in(face: &Face, ctx: &Ctx, is_owner: bool, request: Request<'_>) -> Answer<VersionRecord> {
    let is_prompt = lw_registry::is_prompt(&request.tags);
    if is_prompt {
        source::check_prompt(request.source)?;
    }
    source::check_scheme(request.source)?;
    let mut resolved = if is_prompt { as_given(&request) } else { resolve(face, &request).await? };
    let mut model_facts = logged_model_facts(face, &resolved.model_id).await?;
    let run = run_facts(face, &resolved.run_id).await?;
    if !is_prompt {
        judge(&resolved, run.as_ref(), model_facts.as_ref())?;
    }
    let name = ModelName::parse(request.name)?;
    let mut location = resolved.source.clone();
    if let Some(ModelUri::LoggedModel(id)) = ModelUri::parse(&resolved.source) {
        let facts = match model_facts.take() {
            Some(facts) => Some(facts),
            None => logged_model_facts(face, id).await?,
        };
        let facts = facts.ok_or_else(|| {
            let source = &resolved.source;
            Refusal::missing(format!(
                "Unable to fetch model from model URI source artifact location '{source}'.Error: Logged model with ID '{id}' not \
                 found."
            ))
        })?;
        location.clone_from(&facts.root);
        model_facts = Some(facts);
    } else if let Some(copied) = &resolved.copied {
        let origin = &copied.version.origin;
        location.clone_from(if origin.location.is_empty() { &origin.source } else { &origin.location });
    }
    if let Some(facts) = model_facts.as_ref().filter(|_| resolved.run_id.is_empty()) {
        resolved.run_id.clone_from(&facts.source_run);
    }
    let run = match run {
        Some(run) => Some(run),
        None => run_facts(face, &resolved.run_id).await?,
    };
    let content = Content::at(face, &location, &request.tags, is_prompt, resolved.copied.as_ref()).await?;
    let author = author(ctx, is_owner, run.as_ref());
    let new = NewVersion {
        model: name.clone(),
        author,
        hands: lw_registry::Hands::new(),
        run: run.as_ref().map(|run| run.id.clone()),
        recipe: recipe(&resolved, &location, content.recipe),
        signature: content.signature,
        lineage: lineage(run.as_ref(), model_facts.as_ref(), resolved.copied.as_ref()),
        artifacts: content.artifacts,
    };
    let origin = Origin {
        source: resolved.source,
        location,
        run: resolved.run_id,
        run_link: request.run_link.to_owned(),
        logged_model: Some(resolved.model_id).filter(|id| !id.is_empty()),
    };
    let wanted = ClientVersion { new, origin, description: Some(request.description.to_owned()), tags: request.tags };
    let registered = face.registry().register_of_client(ctx, wanted).await;
    let record = registered.map_err(|error| About::model(&name).refusal(error))?;
    if let Some(facts) = model_facts.filter(|facts| record.version.origin.logged_model.as_deref() == Some(facts.id.as_str())) {
        tell_logged_model(face, ctx, &facts, &record.version).await?;
    }
    Ok(record)
}

fn as_given(request: &Request<'_>) -> Resolved {
    Resolved {
        source: request.source.to_owned(),
        run_id: request.run_id.unwrap_or_default().to_owned(),
        model_id: request.model_id.unwrap_or_default().to_owned(),
        copied: None,
    }
}

/// A source that names a registered version stands for that version from now on, whatever its alias comes to mean.
async fn resolve(face: &Face, request: &Request<'_>) -> Answer<Resolved> {
    let (given, address) = (request.source, Address::of(request.source));
    if address.scheme != "models" {
        return Ok(as_given(request));
    }
    let refused = |why: &str| Refusal::invalid(format!("Invalid model version source: '{given}'. {why}"));
    if !address.authority.is_empty() {
        return Err(refused("Registered model sources must use the active model registry."));
    }
    let uri = ModelUri::parse(given).ok_or_else(|| source::foreign(given, "model_id"))?;
    let name = match uri {
        ModelUri::LoggedModel(_) => return Ok(as_given(request)),
        ModelUri::Version { name, .. }
        | ModelUri::Stage { name, .. }
        | ModelUri::Latest { name }
        | ModelUri::Alias { name, .. } => ModelName::parse(name)?,
    };
    let registry = face.registry();
    let model = registry.model_record(&name).await.map_err(|error| About::model(&name).refusal(error))?;
    if model.is_prompt() {
        return Err(refused("Prompt versions cannot be used as model version sources."));
    }
    let copied = referenced(face, &name, uri).await?;
    let origin = &copied.version.origin;
    let is_other_run = request.run_id.is_some_and(|run| run != origin.run);
    let is_other_model = request.model_id.is_some_and(|id| id != origin.logged_model.as_deref().unwrap_or_default());
    if is_other_run || is_other_model {
        return Err(refused("The run_id and model_id request parameters must match the referenced model version."));
    }
    Ok(Resolved {
        source: format!("models:/{name}/{}", copied.version.version),
        run_id: origin.run.clone(),
        model_id: origin.logged_model.clone().unwrap_or_default(),
        copied: Some(copied),
    })
}

async fn referenced(face: &Face, name: &ModelName, uri: ModelUri<'_>) -> Answer<VersionRecord> {
    let registry = face.registry();
    let stages = match uri {
        ModelUri::Version { version, .. } => {
            let version = number(version)?;
            let found = registry.version_record(name, existing(name, version)?).await;
            return found.map_err(|error| About::version(name, version).refusal(error));
        }
        ModelUri::Alias { alias, .. } => {
            let parsed = lw_registry::Alias::parse_reserved(alias)?;
            let found = registry.record_by_alias(name, &parsed).await;
            return found.map_err(|error| About::alias(name, alias).refusal(error));
        }
        ModelUri::Stage { stage, .. } => vec![Stage::parse(stage)?],
        ModelUri::Latest { .. } | ModelUri::LoggedModel(_) => Vec::new(),
    };
    let found = registry.latest_in_stages(name, &stages).await?;
    let newest = found.into_iter().max_by_key(|record| record.version.version);
    newest.ok_or_else(|| {
        let of_stage = stages.first().map_or_else(String::new, |stage| format!(" and stage '{stage}'"));
        Refusal::missing(format!("No versions of model with name '{name}'{of_stage} found"))
    })
}

fn judge(resolved: &Resolved, run: Option<&RunFacts>, model: Option<&LoggedModelFacts>) -> Answer<()> {
    let owner = if resolved.model_id.is_empty() {
        Owner::Run { id: &resolved.run_id, root: run.map(|run| run.root.as_str()) }
    } else {
        Owner::Model { id: &resolved.model_id, root: model.map(|model| model.root.as_str()) }
    };
    source::check(&resolved.source, owner)
}

/// What a version holds.
pub(crate) struct Content {
    /// The part of the recipe that tells it.
    pub recipe: Value,
    pub signature: Signature,
    pub artifacts: BTreeMap<String, Digest>,
}

impl Content {
    pub(crate) async fn at(
        face: &Face,
        location: &str,
        tags: &BTreeMap<String, String>,
        is_prompt: bool,
        copied: Option<&VersionRecord>,
    ) -> Answer<Self> {
        if let Some(copied) = copied {
            let (version, recipe) = (&copied.version, copied.version.recipe["content"].clone());
            return Ok(Self { recipe, signature: version.signature.clone(), artifacts: version.artifacts.clone() });
        }
        if is_prompt {
            let text = tags.get(PROMPT_TEXT_TAG).map_or("", String::as_str);
            return Ok(Self::of_text(text, "the prompt's text"));
        }
        let files = match Place::of(location) {
            Some(place) => files_at(face, &place).await?,
            None => Vec::new(),
        };
        if files.is_empty() {
            return Ok(Self::of_text(location, "the text of the source, because its files are not in this workspace"));
        }
        Self::of_files(face, files).await
    }

    fn of_text(text: &str, of: &str) -> Self {
        let recipe = json!({"digest": Digest::of(text.as_bytes()), "digest_of": of});
        Self { recipe, signature: Signature::default(), artifacts: BTreeMap::new() }
    }

    async fn of_files(face: &Face, files: Vec<File>) -> Answer<Self> {
        if files.len() > MOST_FILES {
            let n_files = files.len();
            return Err(Refusal::invalid(format!("The source has {n_files} files; a model version has at most {MOST_FILES}.")));
        }
        let digests: BTreeMap<&str, Digest> = files.iter().map(|file| (file.path.as_str(), file.digest)).collect();
        let digest = Digest::of_json(&digests);
        let mut formats: BTreeMap<&str, Format> = BTreeMap::new();
        for file in files.iter().take(MOST_TYPED) {
            formats.insert(&file.path, Format::of(&file.path, &head(face, file, HEAD_BYTES).await?));
        }
        let model_file = match files.iter().find(|file| file.path == "MLmodel" && file.size_bytes <= MODEL_FILE_BYTES) {
            Some(file) => ModelFile::parse(&String::from_utf8_lossy(&whole(face, file).await?)),
            None => None,
        };
        let of_file = |file: &File| {
            let format = formats.get(file.path.as_str()).filter(|format| **format != Format::Other);
            json!({"path": file.path, "digest": file.digest, "size_bytes": file.size_bytes, "format": format})
        };
        let listed: Vec<Value> = files.iter().take(MOST_LISTED).map(of_file).collect();
        let executing: BTreeSet<Format> = formats.values().copied().filter(|format| format.executes()).collect();
        let mut recipe = json!({
            "digest": digest, "digest_of": "the files, by path", "n_files": files.len(), "files": listed,
            "executes_when_loaded": executing,
        });
        if let Some(file) = &model_file {
            recipe["flavors"] = file.flavors.keys().cloned().collect();
            recipe["signature"] = json!(file.signature);
            recipe["mlflow_version"] = json!(file.mlflow_version);
        }
        // A role of its own kind, so that no file of a client is taken for a part that a pipeline made.
        let role = |file: &File| match formats.get(file.path.as_str()).filter(|format| format.executes()) {
            Some(_) => (format!("executable:{}", file.path), file.digest),
            None => (format!("file:{}", file.path), file.digest),
        };
        let artifacts = files.iter().map(role).collect();
        Ok(Self { recipe, signature: model_file.map(|file| file.signature()).unwrap_or_default(), artifacts })
    }
}

fn recipe(resolved: &Resolved, location: &str, content: Value) -> Value {
    json!({
        "registered_by": "an MLflow client",
        "source": resolved.source,
        "location": location,
        "run_id": resolved.run_id,
        "logged_model": resolved.model_id,
        "content": content,
    })
}

/// What a version was made from: its run, what the run read, the logged model, or the version that it copies.
pub(crate) fn lineage(
    run: Option<&RunFacts>,
    model: Option<&LoggedModelFacts>,
    copied: Option<&VersionRecord>,
) -> Vec<Reference> {
    let mut lineage = Vec::new();
    if let Some(run) = run {
        lineage.push(Reference::new("run", Subject::unversioned(SubjectKind::Run, run.id.as_str()), None));
        lineage.extend(run.datasets.iter().cloned());
    }
    if let Some(model) = model {
        lineage.push(Reference::new("logged_model", model.id.subject(), None));
    }
    if let Some(copied) = copied {
        lineage.push(Reference::new("copied", copied.version.subject(), copied.version.digest));
    }
    lineage
}

/// Who answers for the version: the acting person. The workspace's own token does not say who acts; the run then tells who ran it.
fn author(ctx: &Ctx, is_owner: bool, run: Option<&RunFacts>) -> Actor {
    let is_anybody = is_owner && ctx.actor.as_str() == LOCAL_ACTOR;
    let user = run.and_then(|run| run.user.as_deref()).filter(|_| is_anybody);
    user.and_then(|user| parse_actor(user).ok()).unwrap_or_else(|| ctx.actor.clone())
}

/// The user that a run's tags name.
pub(crate) fn user_of(tags: &BTreeMap<String, String>) -> Option<String> {
    tags.get(USER_TAG).cloned()
}

/// A run's id as clients write it.
pub(crate) fn parse_run(id: &str) -> Option<RunId> {
    RunId::parse(id).ok()
}
