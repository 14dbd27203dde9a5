//! A model version built again from its record, and compared.

use std::collections::BTreeMap;

use lw_core::{Ctx, Digest, Name, Result, Timestamp};
use lw_evaluation::Metric;
use lw_features::{TrainingSet, ViewComputer, compute_training_set, find_training_set, load_recipe};
use lw_registry::{ModelVersion, Registry};
use lw_training::Trainer;
use serde::Serialize;

use crate::examples::Examples;
use crate::failures::NOT_REPRODUCED;
use crate::state;
use crate::steps::{Fitted, Fitting, measure, model};
use crate::workspace::Workspace;

/// Something as it was recorded and as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared<T> {
    pub was: T,
    pub is: T,
}

impl<T: PartialEq> Compared<T> {
    fn is_same(&self) -> bool {
        self.was == self.is
    }
}

/// What building a version again showed.
#[derive(Debug, Clone, Serialize)]
pub struct Reproduction {
    pub version: String,
    pub same: bool,
    /// The rows of the training set.
    pub training_set: Compared<Digest>,
    /// The ONNX file.
    pub model: Compared<Digest>,
    /// Metrics on the hold-out that the record has.
    pub metrics: BTreeMap<Metric, Compared<Option<f64>>>,
    /// Libraries that shape the model and have another version now.
    pub libraries: BTreeMap<String, Compared<Option<String>>>,
    /// What is the same or differs, in a sentence or several.
    pub message: String,
    /// Why it may differ, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likely_cause: Option<String>,
}

impl Workspace {
    /// Computes the training set of a version again from the table versions it names, trains the candidate again with the recorded
    /// definition, script, parameters and seed, and compares digests and metrics. Changes nothing.
    ///
    /// # Errors
    /// `not-reproduced` if the record lacks what it takes. A version that comes out different is no error here.
    pub async fn reproduce(&self, ctx: &Ctx, name: &Name, version: u64) -> Result<Reproduction> {
        let registered = Registry::new(self.store().clone()).version(name, version).await?;
        let recipe = &registered.recipe;
        let project_version = recipe["project"]["version"].as_u64().ok_or_else(|| unrecorded(&registered, "project"))?;
        let running = state::version(self.store(), self.artifacts(), project_version).await?;
        let definition = model(&running.project, name)?;
        let set = recorded_set(self, name, &registered).await?;
        let computed =
            compute_training_set(&ViewComputer::new(self.engine().clone()), &load_recipe(self.artifacts(), &set).await?).await?;
        let examples = Examples::of_batches(&computed.batches)?;
        let candidate_name = recipe["candidate"].as_str().ok_or_else(|| unrecorded(&registered, "candidate"))?;
        let candidate = definition.train.candidates.iter().find(|candidate| candidate.name.as_str() == candidate_name);
        let candidate = candidate.ok_or_else(|| unrecorded(&registered, "candidate"))?;
        let holdout_from = recipe["holdout_from"].as_str().ok_or_else(|| unrecorded(&registered, "hold-out"))?;
        let holdout_from = Timestamp::parse(holdout_from)?;
        let was = *registered.artifacts.get("model").ok_or_else(|| unrecorded(&registered, "model"))?;
        let run = ctx.ids.next_run();
        let project = &*running.project;
        let fitting =
            Fitting { workspace: self, project, model: definition, candidate, examples: &examples, holdout_from, run: &run };
        let Fitted { trained, left, .. } = fitting.fit().await?;
        if let Some(left) = left {
            left.discard();
        }
        let (_, holdout) = examples.split(holdout_from)?;
        let now = measure(definition, &trained.onnx, &holdout)?;
        let metrics = compare_maps(&recorded(&registered, "metrics"), &now);
        let mut libraries = compare_maps(&recorded(&registered, "libraries"), &trained.libraries);
        libraries.retain(|_, library| !library.is_same());
        let mut reproduction = Reproduction {
            version: registered.label(),
            same: false,
            training_set: Compared { was: set.content, is: computed.content },
            model: Compared { was, is: Digest::of(&trained.onnx) },
            metrics,
            libraries,
            message: String::new(),
            likely_cause: None,
        };
        reproduction.same = reproduction.training_set.is_same() && reproduction.model.is_same();
        reproduction.message = message(&reproduction);
        reproduction.likely_cause = likely_cause(&reproduction, candidate.trainer).map(str::to_owned);
        Ok(reproduction)
    }
}

async fn recorded_set(workspace: &Workspace, name: &Name, registered: &ModelVersion) -> Result<TrainingSet> {
    let version = registered.recipe["training_set"]["version"].as_u64();
    let version = version.ok_or_else(|| unrecorded(registered, "training set"))?;
    let set = find_training_set(workspace.store(), name, version).await?;
    set.ok_or_else(|| unrecorded(registered, "training set"))
}

fn unrecorded(registered: &ModelVersion, what: &str) -> lw_core::Error {
    NOT_REPRODUCED
        .error(format!("{} does not record its {what}", registered.label()))
        .hint("only versions that a pipeline made can be reproduced")
}

fn recorded<T: serde::de::DeserializeOwned + Default>(registered: &ModelVersion, key: &str) -> T {
    serde_json::from_value(registered.recipe[key].clone()).unwrap_or_default()
}

fn compare_maps<K: Ord + Clone, V: Clone>(was: &BTreeMap<K, V>, is: &BTreeMap<K, V>) -> BTreeMap<K, Compared<Option<V>>> {
    let compare = |key: &K| (key.clone(), Compared { was: was.get(key).cloned(), is: is.get(key).cloned() });
    was.keys().chain(is.keys()).map(compare).collect()
}

fn message(reproduction: &Reproduction) -> String {
    let (set, model, version) = (&reproduction.training_set, &reproduction.model, &reproduction.version);
    if reproduction.same {
        let (set, model) = (set.was.short(), model.was.short());
        return format!("{version} is reproduced: training set {set} and model {model} have the same digests");
    }
    let mut parts = Vec::new();
    parts.push(match set.is_same() {
        true => format!("the training set is the same ({})", set.was.short()),
        false => format!("the training set differs: it was {}, it is {}", set.was.short(), set.is.short()),
    });
    parts.push(match model.is_same() {
        true => format!("the model is the same ({})", model.was.short()),
        false => format!("the model differs: it was {}, it is {}", model.was.short(), model.is.short()),
    });
    let differing: Vec<String> = reproduction
        .metrics
        .iter()
        .filter(|(_, metric)| !metric.is_same())
        .map(|(name, metric)| format!("{name} was {}, is {}", figure(metric.was), figure(metric.is)))
        .collect();
    parts.push(match differing.is_empty() {
        true => "its metrics on the hold-out are the same".to_owned(),
        false => format!("on the hold-out {}", differing.join(", ")),
    });
    let none = || "none".to_owned();
    parts.extend(reproduction.libraries.iter().map(|(name, library)| {
        let (was, is) = (library.was.clone().unwrap_or_else(none), library.is.clone().unwrap_or_else(none));
        format!("{name} was {was}, is {is}")
    }));
    format!("{version} is not reproduced: {}", parts.join("; "))
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("{value:.6}"))
}

/// What most often is behind such a difference.
fn likely_cause(reproduction: &Reproduction, trainer: Trainer) -> Option<&'static str> {
    if reproduction.same {
        return None;
    }
    Some(match trainer {
        _ if !reproduction.training_set.is_same() => {
            "the SQL of a view or expression depends on something beside its tables, such as now() or the order of rows, or another \
             version of Loopwright computes it differently"
        }
        _ if !reproduction.libraries.is_empty() => "a library of the trainer has another version; install the recorded one",
        Trainer::Python => {
            "the script draws from a generator without LOOPWRIGHT_SEED, works with several threads, reads files beside its inputs, \
             or runs with other packages than then"
        }
        _ => {
            "another version of Loopwright or another processor computes the last digits of floats differently; compare the metrics"
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reproduction(set: [&str; 2], model: [&str; 2], auc: [f64; 2]) -> Reproduction {
        let digests = |[was, is]: [&str; 2]| Compared { was: Digest::of(was.as_bytes()), is: Digest::of(is.as_bytes()) };
        let (training_set, model) = (digests(set), digests(model));
        let metrics = BTreeMap::from([(Metric::Auc, Compared { was: Some(auc[0]), is: Some(auc[1]) })]);
        let same = training_set.is_same() && model.is_same();
        let (message, libraries) = (String::new(), BTreeMap::new());
        Reproduction { version: "m@1".to_owned(), same, training_set, model, metrics, libraries, message, likely_cause: None }
    }

    #[track_caller]
    fn check(reproduction: &Reproduction, trainer: Trainer, want: &str, cause: Option<&str>) {
        let short = |text: &str| Digest::of(text.as_bytes()).short();
        let found = message(reproduction).replace(&short("a"), "A").replace(&short("b"), "B");
        assert_eq!(found, want);
        let found = likely_cause(reproduction, trainer);
        assert!(found.is_some() == cause.is_some() && found.unwrap_or_default().contains(cause.unwrap_or_default()), "{found:?}");
    }

    #[test]
    fn what_differs_is_named_with_its_likely_cause() {
        let same = reproduction(["a", "a"], ["b", "b"], [0.5, 0.5]);
        check(&same, Trainer::Linear, "m@1 is reproduced: training set A and model B have the same digests", None);
        check(
            &reproduction(["a", "b"], ["a", "b"], [0.5, 0.25]),
            Trainer::Python,
            "m@1 is not reproduced: the training set differs: it was A, it is B; the model differs: it was A, it is B; \
             on the hold-out auc was 0.500000, is 0.250000",
            Some("now()"),
        );
        let mut other = reproduction(["a", "a"], ["a", "b"], [0.5, 0.5]);
        let same_set = "m@1 is not reproduced: the training set is the same (A); the model differs: it was A, it is B; \
                        its metrics on the hold-out are the same";
        check(&other, Trainer::Python, same_set, Some("LOOPWRIGHT_SEED"));
        let versions = Compared { was: Some("1".to_owned()), is: Some("2".to_owned()) };
        other.libraries.insert("lightgbm".to_owned(), versions);
        check(&other, Trainer::GradientBoosting, &format!("{same_set}; lightgbm was 1, is 2"), Some("install the recorded one"));
    }
}
