//! What applying a project would change, and what that invalidates downstream.

use std::collections::{BTreeMap, BTreeSet};

use lw_core::{Digest, Result};
use lw_data::failures::SOURCE_TYPE_CHANGED;
use lw_engine::table_names;
use serde::Serialize;

use crate::bundle::SCRIPTS;
use crate::code::Code;
use crate::definition::ModelDefinition;
use crate::failures::MODEL_SERVES;
use crate::parse::File;
use crate::project::Project;

/// The difference between what runs and what the files say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub from: Option<Digest>,
    pub to: Digest,
    pub changes: Vec<Planned>,
}

/// One definition that would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// `source/flights`, `feature_view/carrier_delays`, `model/late_arrival`, `script/train.py`, …
    pub subject: String,
    pub change: ChangeKind,
    /// The top-level keys whose values differ; of a script the digests.
    pub details: Vec<String>,
    /// Everything downstream that is built from it, in the order of the lifecycle.
    pub invalidates: Vec<String>,
    /// What stops for good when it is removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<String>,
    /// Why it may not be applied as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Planned {
    pub(crate) fn new(subject: String, change: ChangeKind) -> Self {
        Self { subject, change, details: Vec::new(), invalidates: Vec::new(), ends: Vec::new(), refused: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Added,
    Changed,
    Removed,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Refuses what would leave an endpoint without its model, or a source whose rows its table cannot take.
    pub(crate) fn allow(&self) -> Result<()> {
        let Some((change, why)) = self.changes.iter().find_map(|change| Some((change, change.refused.as_ref()?))) else {
            return Ok(());
        };
        if let Some(source) = change.subject.strip_prefix("source/") {
            let error = SOURCE_TYPE_CHANGED.error(format!("source `{source}` cannot be applied: {why}"));
            return Err(error.hint(
                "a column of a table keeps its type: declare the old one, or give the column a new name, with `from` the old one",
            ));
        }
        let model = change.subject.trim_start_matches("model/");
        Err(MODEL_SERVES
            .error(format!("the project has no model `{model}` any more, but {why}"))
            .hint(format!("put models/{model}.yaml back, or take it out of service: `loopwright retire {model} --reason \"…\"`")))
    }
}

/// Compares two projects definition by definition. Layout and comments of the files do not count.
pub fn plan(running: Option<&Project>, wanted: &Project) -> Plan {
    let before = running.map(definitions).unwrap_or_default();
    let after = definitions(wanted);
    let subjects: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes = Vec::new();
    for subject in subjects {
        let (change, details) = match (before.get(subject), after.get(subject)) {
            (None, Some(_)) => (ChangeKind::Added, Vec::new()),
            (Some(_), None) => (ChangeKind::Removed, Vec::new()),
            (Some(old), Some(new)) if old != new => (ChangeKind::Changed, changed_keys(old, new)),
            _ => continue,
        };
        let graph = if change == ChangeKind::Removed { running.unwrap_or(wanted) } else { wanted };
        let invalidates = if change == ChangeKind::Added { Vec::new() } else { downstream(graph, subject) };
        changes.push(Planned { details, invalidates, ..Planned::new(subject.clone(), change) });
    }
    Plan { from: running.map(Project::digest), to: wanted.digest(), changes }
}

type Definitions = BTreeMap<String, serde_json::Value>;

fn definitions(project: &Project) -> Definitions {
    let mut all = Definitions::new();
    let mut add = |kind: &str, name: &str, value: serde_json::Result<serde_json::Value>| {
        all.insert(format!("{kind}/{name}"), value.unwrap_or_default());
    };
    let root = &project.definition.value;
    add("project", root.project.as_str(), serde_json::to_value(root));
    project.sources.iter().for_each(|(name, file)| add("source", name.as_str(), serde_json::to_value(&file.value)));
    project.views.iter().for_each(|(name, file)| add("feature_view", name.as_str(), serde_json::to_value(&file.value)));
    project.models.iter().for_each(|(name, file)| add("model", name.as_str(), serde_json::to_value(&file.value)));
    project.pipelines.iter().for_each(|(name, file)| add("pipeline", name.as_str(), serde_json::to_value(&file.value)));
    project.policies.iter().for_each(|(name, file)| add("policy", name.as_str(), serde_json::to_value(&file.value)));
    for (path, text) in project.bundle.scripts() {
        add("script", path.trim_start_matches(SCRIPTS), Ok(Digest::of(text.as_bytes()).short().into()));
    }
    all
}

fn changed_keys(old: &serde_json::Value, new: &serde_json::Value) -> Vec<String> {
    if let (Some(old), Some(new)) = (old.as_str(), new.as_str()) {
        return vec![format!("{old} → {new}")];
    }
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return Vec::new();
    };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
}

/// The models with a candidate that runs this file, or can import it.
fn models_running(project: &Project, path: &str) -> Vec<String> {
    let runs = |file: &&File<ModelDefinition>| {
        Code::of_model(&project.bundle, &file.value).iter().any(|code| code.files.contains_key(path))
    };
    let models = project.models.values().filter(runs);
    models.flat_map(|file| [format!("model/{}", file.value.model), format!("endpoint/{}", file.value.model)]).collect()
}

/// What is built from a definition, directly or through others.
fn downstream(project: &Project, subject: &str) -> Vec<String> {
    let Some((kind, name)) = subject.split_once('/') else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut tables = BTreeSet::new();
    let mut views = BTreeSet::new();
    match kind {
        "source" => {
            tables.insert(name.to_owned());
            found.push(format!("table/{name}"));
        }
        "feature_view" => {
            views.insert(name.to_owned());
        }
        "model" => return vec![format!("endpoint/{name}")],
        "script" => return models_running(project, &format!("{SCRIPTS}{name}")),
        _ => return found,
    }
    // A view may read a view that is found later in the order of names, hence until nothing new turns up.
    loop {
        let n_views = views.len();
        for (view, file) in &project.views {
            let reads = table_names(&file.value.sql).unwrap_or_default();
            if !views.contains(view.as_str()) && reads.iter().any(|read| tables.contains(read) || views.contains(read)) {
                views.insert(view.to_string());
                found.push(format!("feature_view/{view}"));
            }
        }
        if views.len() == n_views {
            break;
        }
    }
    for (model, file) in &project.models {
        let reads_table = tables.contains(file.value.predicts.from.as_str());
        let uses_view = file.value.features.iter().any(|used| views.contains(used.view().as_str()));
        if reads_table || uses_view {
            found.push(format!("model/{model}"));
            found.push(format!("endpoint/{model}"));
        }
    }
    found
}
