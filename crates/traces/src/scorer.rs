//! Scorers: what judges traces, kept by version. They are stored and handed out; nothing of them runs here.

use lw_core::{Change, Ctx, Draft, Error, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use lw_tracking::ExperimentId;

use crate::json::Json;
use crate::start::check_experiment;
use crate::{BAD_SCORER, SCORER_NOT_FOUND, Traces, queries};

#[derive(Debug, Clone, PartialEq)]
pub struct Scorer {
    /// The same for all versions of a name.
    pub id: String,
    pub experiment: ExperimentId,
    pub name: String,
    pub version: u64,
    /// JSON, as the client wrote it.
    pub definition: String,
    pub created_at: Timestamp,
}

/// How often a scorer looks at new traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    pub id: String,
    pub scorer: String,
    pub experiment: ExperimentId,
    /// From 0 to 1.
    pub sample_rate: f64,
    pub filter: Option<String>,
}

impl Scorer {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            experiment: ExperimentId::parse(&row.int("experiment")?.to_string())?,
            name: row.text("name")?,
            version: row.count("version")?,
            definition: row.text("definition")?,
            created_at: row.time("created_at")?,
        })
    }

    fn subject(&self) -> Subject {
        Subject::new(SubjectKind::Scorer, format!("{}/{}", self.experiment, self.name), self.version)
    }

    fn key(&self, change: Change) -> Change {
        change.key("experiment", self.experiment.number()).key("name", &self.name).key("version", self.version)
    }

    /// Whether an AI gateway answers for the model that the scorer asks.
    fn uses_gateway(&self) -> bool {
        let definition = Json::parse(&self.definition).unwrap_or_default();
        let Some(fields) = definition.as_fields() else { return false };
        let parts = ["instructions_judge_pydantic_data", "builtin_scorer_pydantic_data", "memory_augmented_judge_data"];
        let model = parts.iter().find_map(|part| fields.get(part)?.as_fields()?.get("model")?.as_text());
        model.is_some_and(|model| model.starts_with("gateway:/"))
    }
}

impl Traces {
    /// Keeps a definition as the next version of a scorer.
    pub async fn register_scorer(&self, ctx: &Ctx, experiment: ExperimentId, name: &str, definition: &str) -> Result<Scorer> {
        if name.trim().is_empty() {
            return Err(BAD_SCORER.error("Scorer name cannot be empty or contain only whitespace."));
        }
        let parsed = Json::parse(definition).ok_or_else(|| BAD_SCORER.error("serialized_scorer must be valid JSON"))?;
        if parsed.as_fields().is_none() {
            return Err(BAD_SCORER.error("serialized_scorer must be a JSON object"));
        }
        if has_code(&parsed) {
            return Err(BAD_SCORER.error(
                "Custom scorer registration (using @scorer decorator) is not supported: such a scorer is code that runs when it is \
                 loaded.\n\nTo use custom scorers:\n1. Manage your custom scorer code in a source code repository and import it \
                 directly, or\n2. Use built-in scorers or make_judge() scorers instead.",
            ));
        }
        let new = ctx.ids.next();
        let (name, definition) = (name.to_owned(), definition.to_owned());
        self.store
            .write(ctx, move |tx| {
                check_experiment(tx, experiment)?;
                let newest = queries::scorers(tx, experiment, Some(&name))?.pop();
                let scorer = Scorer {
                    id: newest.as_ref().map_or_else(|| dashed(new), |newest| newest.id.clone()),
                    version: newest.map_or(1, |newest| newest.version + 1),
                    experiment,
                    name,
                    definition,
                    created_at: tx.now(),
                };
                let change = scorer.key(Change::put("scorer")).set("id", &scorer.id).set("definition", &scorer.definition);
                let change = change.set("created_at", scorer.created_at);
                tx.record(Draft::new("scorer.register", scorer.subject()).change(change))?;
                Ok(scorer)
            })
            .await
    }

    /// The newest version of each scorer of active experiments, by experiment and name. `None` is all experiments.
    pub async fn scorers(&self, experiments: Option<Vec<ExperimentId>>) -> Result<Vec<Scorer>> {
        self.store.read(move |reader| queries::newest_scorers(reader, experiments.as_deref())).await
    }

    /// The newest version of each scorer of one experiment, which must be there.
    pub async fn scorers_of(&self, experiment: ExperimentId) -> Result<Vec<Scorer>> {
        self.store.read(move |reader| check_experiment(reader, experiment)).await?;
        self.scorers(Some(vec![experiment])).await
    }

    /// Every version of a scorer, the oldest first.
    pub async fn scorer_versions(&self, experiment: ExperimentId, name: &str) -> Result<Vec<Scorer>> {
        let name = name.to_owned();
        self.store
            .read(move |reader| {
                check_experiment(reader, experiment)?;
                versions(reader, experiment, &name)
            })
            .await
    }

    /// One version of a scorer, or the newest.
    pub async fn scorer(&self, experiment: ExperimentId, name: &str, version: Option<u64>) -> Result<Scorer> {
        let mut versions = self.scorer_versions(experiment, name).await?;
        let found = match version {
            None => versions.pop(),
            Some(version) => versions.into_iter().find(|scorer| scorer.version == version),
        };
        found.ok_or_else(|| missing(experiment, name, version))
    }

    /// Deletes one version of a scorer, or all.
    pub async fn remove_scorer(&self, ctx: &Ctx, experiment: ExperimentId, name: &str, version: Option<u64>) -> Result<()> {
        let name = name.to_owned();
        self.store
            .write(ctx, move |tx| {
                check_experiment(tx, experiment)?;
                let all = versions(tx, experiment, &name)?;
                let gone: Vec<&Scorer> =
                    all.iter().filter(|scorer| version.is_none_or(|version| scorer.version == version)).collect();
                if gone.is_empty() {
                    return Err(missing(experiment, &name, version));
                }
                for scorer in &gone {
                    tx.record(Draft::new("scorer.delete", scorer.subject()).change(scorer.key(Change::remove("scorer"))))?;
                }
                match all.first().filter(|_| gone.len() == all.len()) {
                    Some(scorer) => queries::remove_sampling(tx, &scorer.id),
                    None => Ok(()),
                }
            })
            .await
    }

    pub async fn samplings(&self, scorers: Vec<String>) -> Result<Vec<Sampling>> {
        self.store.read(move |reader| queries::samplings(reader, &scorers)).await
    }

    /// Says how often a scorer looks at new traces. Only one whose model a gateway answers for can look at any.
    pub async fn sample(
        &self,
        ctx: &Ctx,
        experiment: ExperimentId,
        name: &str,
        sample_rate: f64,
        filter: Option<String>,
    ) -> Result<Sampling> {
        if !(0.0..=1.0).contains(&sample_rate) {
            return Err(BAD_SCORER.error(format!("sample_rate must be between 0.0 and 1.0, got {sample_rate:?}")));
        }
        let (id, name) = (ctx.ids.next_hex(), name.to_owned());
        self.store
            .write(ctx, move |tx| {
                check_experiment(tx, experiment)?;
                let newest = versions(tx, experiment, &name)?.pop().ok_or_else(|| missing(experiment, &name, None))?;
                if sample_rate > 0.0 && !newest.uses_gateway() {
                    return Err(BAD_SCORER.error(format!(
                        "Scorer '{name}' does not use a gateway model. Automatic evaluation is only supported for scorers that use \
                         gateway models."
                    )));
                }
                let sampling = Sampling { id, scorer: newest.id, experiment, sample_rate, filter };
                put(tx, &sampling)?;
                Ok(sampling)
            })
            .await
    }
}

fn put(tx: &mut Tx<'_>, sampling: &Sampling) -> Result<()> {
    queries::remove_sampling(tx, &sampling.scorer)?;
    queries::put_sampling(tx, sampling)
}

fn versions(reader: &mut Reader<'_>, experiment: ExperimentId, name: &str) -> Result<Vec<Scorer>> {
    let versions = queries::scorers(reader, experiment, Some(name))?;
    if versions.is_empty() { Err(missing(experiment, name, None)) } else { Ok(versions) }
}

fn missing(experiment: ExperimentId, name: &str, version: Option<u64>) -> Error {
    SCORER_NOT_FOUND.error(match version {
        Some(version) => format!("Scorer with name '{name}' and version {version} not found for experiment {experiment}."),
        None => format!("Scorer with name '{name}' not found for experiment {experiment}."),
    })
}

/// Whether a definition, or one inside it, carries code.
fn has_code(definition: &Json) -> bool {
    match definition {
        Json::Object(fields) => {
            let own = fields
                .get("call_source")
                .is_some_and(|source| !matches!(source, Json::Null) && *source != Json::Text(String::new()));
            own || fields.0.iter().any(|(_, value)| has_code(value))
        }
        Json::List(items) => items.iter().any(has_code),
        _ => false,
    }
}

/// 128 bits in the form of a UUID.
fn dashed(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    let mut dashed = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            dashed.push('-');
        }
        dashed.push(digit);
    }
    dashed
}
