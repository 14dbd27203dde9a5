//! Pipelines as data: steps, what they need, and when they run.

use std::collections::BTreeMap;

use lw_core::{Digest, Name, Result, Span, nearest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BAD_PIPELINE, Schedule};

/// A pipeline: steps in the order that their needs give. Two definitions with the same content have the same digest.
///
/// ```
/// use lw_pipelines::PipelineDefinition;
///
/// let definition: PipelineDefinition = serde_json::from_value(serde_json::json!({
///     "pipeline": "nightly",
///     "steps": [
///         {"key": "ingest", "kind": "sql", "params": {"table": "flights"}},
///         {"key": "train", "kind": "python", "needs": ["ingest"], "retries": {"attempts": 3, "backoff": "2s"}},
///     ],
///     "schedule": {"cron": "0 3 * * *", "zone": "Europe/Berlin"},
/// }))?;
/// assert!(definition.check().is_ok());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineDefinition {
    pub pipeline: Name,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub steps: Vec<StepDefinition>,
    /// When it runs by itself. Without one it runs when asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
}

/// One unit of work. `kind` says which code runs it; the engine knows no kinds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDefinition {
    /// The step's name within its pipeline: letters, digits and `_-./:`, up to 120 characters.
    pub key: String,
    pub kind: String,
    #[serde(default)]
    pub params: serde_json::Value,
    /// Keys of the steps that must have succeeded before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    #[serde(default)]
    pub retries: Retries,
    /// An attempt that takes longer has failed, and may be retried.
    #[serde(default = "one_day")]
    pub timeout: Span,
    /// Whether to copy the outputs of an earlier step with the same kind, parameters and inputs.
    #[serde(default)]
    pub cache: bool,
}

/// How often a step is tried, and how long to wait between: `backoff`, twice that, four times that, up to `max_backoff`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retries {
    /// Tries in all; 1 means no retry.
    pub attempts: u32,
    pub backoff: Span,
    pub max_backoff: Span,
    pub on: RetryOn,
}

/// Which failures are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// Those that may pass by themselves: exhausted, upstream, unavailable, timeout.
    Transient,
    /// All of them.
    Any,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 3, backoff: Span::from_secs(1), max_backoff: Span::from_secs(300), on: RetryOn::Transient }
    }
}

fn one_day() -> Span {
    Span::from_days(1)
}

impl StepDefinition {
    /// A step with the default retries and timeout, without a cache.
    pub fn new(key: &str, kind: &str, params: serde_json::Value) -> Self {
        let (key, kind) = (key.to_owned(), kind.to_owned());
        Self { key, kind, params, needs: Vec::new(), retries: Retries::default(), timeout: one_day(), cache: false }
    }

    #[must_use]
    pub fn needs(mut self, keys: &[&str]) -> Self {
        self.needs.extend(keys.iter().map(|key| (*key).to_owned()));
        self
    }
}

impl PipelineDefinition {
    /// What identifies this version of the pipeline.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }

    /// Checks the definition and works out who needs whom.
    pub fn check(&self) -> Result<Graph> {
        let fail = |message: String| BAD_PIPELINE.error(format!("pipeline `{}` {message}", self.pipeline));
        if self.steps.is_empty() {
            return Err(fail("has no steps".into()).hint("give it at least one step"));
        }
        let mut index = BTreeMap::new();
        for (position, step) in self.steps.iter().enumerate() {
            if !is_step_key(&step.key) {
                let hint = "a step's key has 1 to 120 letters, digits or `_-./:`";
                return Err(fail(format!("has a step with the key `{}`", step.key.escape_debug())).hint(hint));
            }
            if step.retries.attempts == 0 {
                return Err(fail(format!("tries step `{}` zero times", step.key)).hint("write `attempts: 1` for no retry"));
            }
            if index.insert(step.key.clone(), position).is_some() {
                return Err(fail(format!("has two steps `{}`", step.key)).hint("rename one of them"));
            }
        }
        let mut dependants = vec![Vec::new(); self.steps.len()];
        for (position, step) in self.steps.iter().enumerate() {
            for (place, need) in step.needs.iter().enumerate() {
                let Some(&needed) = index.get(need) else {
                    let error = fail(format!("step `{}` needs `{need}`, which is not a step", step.key));
                    let near = nearest(need, index.keys().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
                    return Err(error.hint(near.unwrap_or_else(|| "add the step, or remove the need".into())));
                };
                if step.needs[..place].contains(need) {
                    return Err(fail(format!("step `{}` needs `{need}` twice", step.key)).hint("remove one of them"));
                }
                dependants[needed].push(position);
            }
        }
        if let Some(key) = self.step_in_cycle(&dependants) {
            return Err(fail(format!("step `{key}` needs itself, directly or through others")).hint("break the cycle of `needs`"));
        }
        if let Some(schedule) = &self.schedule {
            schedule.check()?;
        }
        Ok(Graph { index, dependants })
    }

    /// Kahn (1962): what cannot be taken in topological order lies on a cycle or behind one.
    fn step_in_cycle(&self, dependants: &[Vec<usize>]) -> Option<&str> {
        let mut n_needs: Vec<usize> = self.steps.iter().map(|step| step.needs.len()).collect();
        let mut ready: Vec<usize> = (0..self.steps.len()).filter(|position| n_needs[*position] == 0).collect();
        while let Some(position) = ready.pop() {
            for &dependant in &dependants[position] {
                n_needs[dependant] -= 1;
                if n_needs[dependant] == 0 {
                    ready.push(dependant);
                }
            }
        }
        n_needs.iter().position(|n| *n > 0).map(|position| self.steps[position].key.as_str())
    }
}

fn is_step_key(key: &str) -> bool {
    (1..=120).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./:".contains(&b))
}

/// Who needs whom, by positions in `PipelineDefinition::steps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    index: BTreeMap<String, usize>,
    dependants: Vec<Vec<usize>>,
}

impl Graph {
    pub fn position(&self, key: &str) -> Option<usize> {
        self.index.get(key).copied()
    }

    /// The steps that need this one directly.
    pub fn dependants(&self, position: usize) -> &[usize] {
        &self.dependants[position]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(steps: &[(&str, &[&str])]) -> PipelineDefinition {
        let step = |(key, needs): &(&str, &[&str])| StepDefinition::new(key, "noop", serde_json::Value::Null).needs(needs);
        PipelineDefinition {
            pipeline: Name::parse("nightly").unwrap(),
            description: String::new(),
            steps: steps.iter().map(step).collect(),
            schedule: None,
        }
    }

    #[track_caller]
    fn fails(steps: &[(&str, &[&str])], want: &str) {
        let error = pipeline(steps).check().unwrap_err();
        assert!(error.is(BAD_PIPELINE) && error.message().contains(want) && error.hint_text().is_some(), "{error:?}");
    }

    #[test]
    fn a_diamond_is_a_graph() {
        let graph = pipeline(&[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])]).check().unwrap();
        assert_eq!(graph.dependants(0), [1, 2]);
        assert_eq!(graph.position("d"), Some(3));
    }

    #[test]
    fn broken_graphs_are_refused() {
        fails(&[], "has no steps");
        fails(&[("a", &[]), ("a", &[])], "two steps `a`");
        fails(&[("train", &[]), ("b", &["trian"])], "needs `trian`, which is not a step");
        fails(&[("a", &[]), ("b", &["a", "a"])], "needs `a` twice");
        fails(&[("a", &["b"]), ("b", &["a"])], "needs itself");
        fails(&[("a", &["a"])], "needs itself");
        fails(&[("a b", &[])], "the key `a b`");
    }

    #[test]
    fn the_digest_follows_the_content() {
        let one = pipeline(&[("a", &[]), ("b", &["a"])]);
        let mut other = one.clone();
        assert_eq!(one.digest(), other.digest());
        other.steps[1].cache = true;
        assert_ne!(one.digest(), other.digest());
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<PipelineDefinition>(&text).unwrap().digest(), one.digest());
    }
}
