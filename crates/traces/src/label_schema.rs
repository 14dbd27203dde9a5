//! Label schemas: the questions that people answer about traces. A schema's name is the name of the assessments that answer it.

use lw_core::{Change, Ctx, Draft, Error, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Reader, Row, Tx};
use lw_tracking::ExperimentId;
use serde::{Deserialize, Serialize};

use crate::start::check_experiment;
use crate::{BAD_LABEL_SCHEMA, LABEL_SCHEMA_EXISTS, LABEL_SCHEMA_NOT_FOUND, Traces, queries};

/// The question that every experiment has.
const DEFAULT_NAME: &str = "Feedback";
const DEFAULT_INSTRUCTION: &str = "Share any feedback on this trace.";
const MAX_NAME_CHARS: usize = 250;
const MAX_INSTRUCTION_CHARS: usize = 1000;
const MAX_LABEL_CHARS: usize = 64;
const MAX_OPTIONS: usize = 10;

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelKind {
    Feedback,
    Expectation,
}

impl LabelKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Feedback => "FEEDBACK",
            Self::Expectation => "EXPECTATION",
        }
    }

    pub fn of(text: &str) -> Option<Self> {
        [Self::Feedback, Self::Expectation].into_iter().find(|kind| kind.name() == text)
    }
}

/// How a question is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelInput {
    PassFail { positive_label: String, negative_label: String },
    Categorical { options: Vec<String>, multi_select: bool },
    Numeric { min_value: Option<f64>, max_value: Option<f64> },
    Text { max_length: Option<i64> },
}

impl LabelInput {
    fn name(&self) -> &'static str {
        match self {
            Self::PassFail { .. } => "InputPassFail",
            Self::Categorical { .. } => "InputCategorical",
            Self::Numeric { .. } => "InputNumeric",
            Self::Text { .. } => "InputText",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct LabelSchema {
    pub id: String,
    pub experiment: ExperimentId,
    pub name: String,
    pub kind: LabelKind,
    pub instruction: Option<String>,
    pub takes_comment: bool,
    pub input: LabelInput,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Whether it is the question that every experiment has, and that nobody changes.
    pub is_default: bool,
}

/// A question that shall be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLabelSchema {
    pub name: String,
    pub kind: LabelKind,
    pub instruction: Option<String>,
    pub takes_comment: bool,
    pub input: LabelInput,
}

/// What shall change about a question. Its kind stays, and so does the kind of its input.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelSchemaUpdate {
    pub name: Option<String>,
    pub instruction: Option<String>,
    pub takes_comment: Option<bool>,
    pub input: Option<LabelInput>,
}

impl LabelSchema {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            experiment: ExperimentId::parse(&row.int("experiment")?.to_string())?,
            name: row.text("name")?,
            kind: LabelKind::of(&row.text("kind")?).unwrap_or(LabelKind::Feedback),
            instruction: row.opt_text("instruction")?,
            takes_comment: row.bool("takes_comment")?,
            input: row.json("input")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            is_default: row.bool("is_default")?,
        })
    }

    fn record(&self, tx: &mut Tx<'_>, action: &'static str) -> Result<()> {
        let input = serde_json::to_string(&self.input).map_err(|error| Error::bug("an input is not JSON").cause(error))?;
        let change = Change::put("label_schema")
            .key("id", &self.id)
            .set("experiment", self.experiment.number())
            .set("name", &self.name)
            .set("kind", self.kind.name())
            .set("instruction", self.instruction.as_deref())
            .set("takes_comment", i64::from(self.takes_comment))
            .set("input", input)
            .set("created_at", self.created_at)
            .set("updated_at", self.updated_at)
            .set("is_default", i64::from(self.is_default));
        let payload = serde_json::json!({"name": self.name});
        tx.record(Draft::new(action, self.subject()).payload(payload).change(change)).map(drop)
    }

    fn subject(&self) -> Subject {
        Subject::unversioned(SubjectKind::LabelSchema, &self.id)
    }
}

impl Traces {
    /// Adds a question to an experiment.
    pub async fn create_label_schema(&self, ctx: &Ctx, experiment: ExperimentId, new: NewLabelSchema) -> Result<LabelSchema> {
        check_name(&new.name)?;
        check_instruction(new.instruction.as_deref())?;
        check_input(&new.input)?;
        let id = format!("ls-{}", ctx.ids.next_hex());
        self.store
            .write(ctx, move |tx| {
                check_experiment(tx, experiment)?;
                check_free(tx, experiment, &new.name, None)?;
                let NewLabelSchema { name, kind, instruction, takes_comment, input } = new;
                let (created_at, updated_at) = (tx.now(), tx.now());
                let is_default = false;
                let schema = LabelSchema {
                    id,
                    experiment,
                    name,
                    kind,
                    instruction,
                    takes_comment,
                    input,
                    created_at,
                    updated_at,
                    is_default,
                };
                schema.record(tx, "label_schema.create")?;
                Ok(schema)
            })
            .await
    }

    pub async fn label_schema(&self, id: &str) -> Result<LabelSchema> {
        let id = id.to_owned();
        self.store.read(move |reader| found(reader, &id)).await
    }

    pub async fn label_schema_by_name(&self, experiment: ExperimentId, name: &str) -> Result<LabelSchema> {
        let name = name.to_owned();
        self.store
            .read(move |reader| {
                check_experiment(reader, experiment)?;
                let schema = queries::label_schemas(reader, experiment)?.into_iter().find(|schema| schema.name == name);
                schema.ok_or_else(|| {
                    let text = format!("Label schema with name '{name}' not found for experiment '{experiment}'.");
                    LABEL_SCHEMA_NOT_FOUND.error(text)
                })
            })
            .await
    }

    /// The questions of an experiment, the newest first. The one that every experiment has is made when it is first looked for.
    pub async fn label_schemas(&self, ctx: &Ctx, experiment: ExperimentId) -> Result<Vec<LabelSchema>> {
        let known = self.store.read(move |reader| {
            check_experiment(reader, experiment)?;
            queries::label_schemas(reader, experiment)
        });
        let known = known.await?;
        if known.iter().any(|schema| schema.is_default || schema.name == DEFAULT_NAME) {
            return Ok(known);
        }
        let id = format!("ls-{}", ctx.ids.next_hex());
        self.store
            .write(ctx, move |tx| {
                let known = queries::label_schemas(tx, experiment)?;
                if known.iter().any(|schema| schema.is_default) {
                    return Ok(known);
                }
                let schema = LabelSchema {
                    id,
                    experiment,
                    name: DEFAULT_NAME.to_owned(),
                    kind: LabelKind::Feedback,
                    instruction: Some(DEFAULT_INSTRUCTION.to_owned()),
                    takes_comment: false,
                    input: LabelInput::Text { max_length: None },
                    created_at: tx.now(),
                    updated_at: tx.now(),
                    is_default: true,
                };
                schema.record(tx, "label_schema.create")?;
                queries::label_schemas(tx, experiment)
            })
            .await
    }

    pub async fn update_label_schema(&self, ctx: &Ctx, id: &str, update: LabelSchemaUpdate) -> Result<LabelSchema> {
        let id = id.to_owned();
        self.store
            .write(ctx, move |tx| {
                let mut schema = found(tx, &id)?;
                if schema.is_default {
                    return Err(BAD_LABEL_SCHEMA.error("The experiment's default question cannot be edited."));
                }
                if let Some(name) = update.name {
                    check_name(&name)?;
                    check_free(tx, schema.experiment, &name, Some(&id))?;
                    schema.name = name;
                }
                check_instruction(update.instruction.as_deref())?;
                if let Some(input) = update.input {
                    check_input(&input)?;
                    check_same_kind(&schema.input, &input)?;
                    schema.input = input;
                }
                schema.instruction = update.instruction.or(schema.instruction);
                schema.takes_comment = update.takes_comment.unwrap_or(schema.takes_comment);
                schema.updated_at = tx.now();
                schema.record(tx, "label_schema.update")?;
                Ok(schema)
            })
            .await
    }

    /// Removes a question; the answers stay. Removing one that is not there is no error.
    pub async fn remove_label_schema(&self, ctx: &Ctx, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.store
            .write(ctx, move |tx| {
                let Some(schema) = queries::label_schema(tx, &id)? else { return Ok(()) };
                if schema.is_default {
                    return Err(BAD_LABEL_SCHEMA.error("The experiment's default question cannot be deleted."));
                }
                let change = Change::remove("label_schema").key("id", &id);
                tx.record(Draft::new("label_schema.delete", schema.subject()).change(change)).map(drop)
            })
            .await
    }
}

fn found(reader: &mut Reader<'_>, id: &str) -> Result<LabelSchema> {
    let missing = || LABEL_SCHEMA_NOT_FOUND.error(format!("Label schema with id '{id}' not found."));
    queries::label_schema(reader, id)?.ok_or_else(missing)
}

fn check_free(reader: &mut Reader<'_>, experiment: ExperimentId, name: &str, own: Option<&str>) -> Result<()> {
    let known = queries::label_schemas(reader, experiment)?;
    if known.iter().any(|schema| schema.name == name && Some(schema.id.as_str()) != own) {
        let text = format!("Label schema with name '{name}' already exists for experiment '{experiment}'.");
        return Err(LABEL_SCHEMA_EXISTS.error(text));
    }
    Ok(())
}

fn bad(text: String) -> Result<()> {
    Err(BAD_LABEL_SCHEMA.error(text))
}

fn check_name(name: &str) -> Result<()> {
    let n_chars = name.chars().count();
    if n_chars == 0 {
        return bad("Label schema `name` must be a non-empty string; got ''.".to_owned());
    }
    if n_chars > MAX_NAME_CHARS {
        return bad(format!("Label schema `name` must be at most {MAX_NAME_CHARS} characters; got {n_chars}."));
    }
    if name.trim().eq_ignore_ascii_case(DEFAULT_NAME) {
        return bad(format!(
            "`{name}` is reserved for the experiment's default question and cannot be used for another label schema."
        ));
    }
    Ok(())
}

fn check_instruction(instruction: Option<&str>) -> Result<()> {
    let n_chars = instruction.map_or(0, |text| text.chars().count());
    if n_chars > MAX_INSTRUCTION_CHARS {
        return bad(format!("Label schema `instruction` must be at most {MAX_INSTRUCTION_CHARS} characters; got {n_chars}."));
    }
    Ok(())
}

fn check_input(input: &LabelInput) -> Result<()> {
    match input {
        LabelInput::PassFail { positive_label, negative_label } => {
            for (field, label) in [("positive_label", positive_label), ("negative_label", negative_label)] {
                if label.is_empty() {
                    return bad(format!("`InputPassFail.{field}` must be a non-empty string; got ''."));
                }
                let n_chars = label.chars().count();
                if n_chars > MAX_LABEL_CHARS {
                    return bad(format!("`InputPassFail.{field}` must be at most {MAX_LABEL_CHARS} characters; got {n_chars}."));
                }
            }
            if positive_label == negative_label {
                return bad(format!(
                    "`InputPassFail.positive_label` and `negative_label` must be distinct; got '{positive_label}' for both."
                ));
            }
            Ok(())
        }
        LabelInput::Categorical { options, .. } => check_options(options),
        LabelInput::Numeric { min_value: Some(min), max_value: Some(max) } if min >= max => {
            bad(format!("`InputNumeric.min_value` must be strictly less than `max_value`; got min={min:?}, max={max:?}."))
        }
        LabelInput::Text { max_length: Some(length) } if *length < 1 => {
            bad(format!("`InputText.max_length` must be at least 1; got {length}."))
        }
        LabelInput::Numeric { .. } | LabelInput::Text { .. } => Ok(()),
    }
}

fn check_options(options: &[String]) -> Result<()> {
    if options.is_empty() {
        return bad("`InputCategorical.options` must be a non-empty list; got [].".to_owned());
    }
    if options.len() > MAX_OPTIONS {
        return bad(format!("`InputCategorical.options` must have at most {MAX_OPTIONS} entries; got {}.", options.len()));
    }
    for (index, option) in options.iter().enumerate() {
        if option.is_empty() {
            return bad("`InputCategorical.options` entries must be non-empty strings; got ''.".to_owned());
        }
        let n_chars = option.chars().count();
        if n_chars > MAX_LABEL_CHARS {
            return bad(format!(
                "`InputCategorical.options` entries must be at most {MAX_LABEL_CHARS} characters; got {n_chars} for '{option}'."
            ));
        }
        if options.iter().take(index).any(|before| before == option) {
            return bad(format!("`InputCategorical.options` must be deduplicated; '{option}' appears twice."));
        }
    }
    Ok(())
}

/// Another kind of input would make the answers that are there unreadable.
fn check_same_kind(was: &LabelInput, is: &LabelInput) -> Result<()> {
    if std::mem::discriminant(was) != std::mem::discriminant(is) {
        return bad(format!(
            "A label schema's input type cannot be changed after creation (existing: {}, got: {}).",
            was.name(),
            is.name()
        ));
    }
    match (was, is) {
        (LabelInput::Categorical { multi_select: was, .. }, LabelInput::Categorical { multi_select: is, .. }) if was != is => {
            bad("`InputCategorical.multi_select` cannot be changed after creation.".to_owned())
        }
        _ => Ok(()),
    }
}
