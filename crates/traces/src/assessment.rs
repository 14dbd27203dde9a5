//! What people, judges and code think of a trace: feedback, expectations and issues.

use std::collections::BTreeMap;

use lw_core::{Ctx, Error, Result, Timestamp};
use lw_store::{Row, Tx};
use serde::{Deserialize, Serialize};

use crate::json::Json;
use crate::trace::metadata;
use crate::{ASSESSMENT_NOT_FOUND, BAD_ASSESSMENT, Traces, found, queries};

/// The key of an assessment's metadata that names the run which made it.
const SOURCE_RUN: &str = "mlflow.assessment.sourceRunId";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceType {
    Unspecified,
    Human,
    LlmJudge,
    Code,
}

impl SourceType {
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "SOURCE_TYPE_UNSPECIFIED",
            Self::Human => "HUMAN",
            Self::LlmJudge => "LLM_JUDGE",
            Self::Code => "CODE",
        }
    }

    pub fn of(text: &str) -> Option<Self> {
        match text {
            "AI_JUDGE" => Some(Self::LlmJudge),
            _ => [Self::Unspecified, Self::Human, Self::LlmJudge, Self::Code].into_iter().find(|it| it.name() == text),
        }
    }
}

/// Why feedback could not be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssessmentError {
    pub error_code: String,
    pub error_message: Option<String>,
    pub stack_trace: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AssessmentValue {
    Feedback { value: Json, error: Option<AssessmentError> },
    Expectation { value: Json },
    Issue { name: String },
}

impl AssessmentValue {
    pub(crate) fn stored(&self) -> Result<(&'static str, String, Option<String>)> {
        Ok(match self {
            Self::Feedback { value, error } => ("feedback", value.dumped(), error.as_ref().map(json_text).transpose()?),
            Self::Expectation { value } => ("expectation", value.dumped(), None),
            Self::Issue { name } => ("issue", Json::Text(name.clone()).dumped(), None),
        })
    }

    /// The value if it is a number, for comparisons.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Feedback { value, .. } | Self::Expectation { value } => value.as_f64().filter(|value| value.is_finite()),
            Self::Issue { .. } => None,
        }
    }

    fn is_same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

pub(crate) fn json_text<T: Serialize>(value: &T) -> Result<String> {
    let value = serde_json::to_string(value).map_err(|error| Error::bug("a value is not JSON").cause(error))?;
    Ok(Json::parse(&value).map_or(value, |json| json.dumped()))
}

#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    pub id: String,
    pub trace: String,
    pub name: String,
    pub value: AssessmentValue,
    pub source_type: SourceType,
    pub source_id: Option<String>,
    pub run: Option<String>,
    pub span: Option<String>,
    pub rationale: Option<String>,
    pub metadata: BTreeMap<String, String>,
    /// The assessment that this one stands for.
    pub overrides: Option<String>,
    /// False once another one overrides it.
    pub is_valid: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// An assessment that shall be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAssessment {
    /// Given by whoever brings it from elsewhere; otherwise made here.
    pub id: Option<String>,
    pub name: String,
    pub value: AssessmentValue,
    pub source_type: SourceType,
    pub source_id: Option<String>,
    pub span: Option<String>,
    pub rationale: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub overrides: Option<String>,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
}

impl NewAssessment {
    pub(crate) fn made(self, trace: &str, ctx: &Ctx) -> Assessment {
        Assessment {
            id: self.id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("a-{}", ctx.ids.next_hex())),
            trace: trace.to_owned(),
            name: self.name,
            value: self.value,
            source_type: self.source_type,
            source_id: self.source_id,
            run: self.metadata.get(SOURCE_RUN).cloned(),
            span: self.span,
            rationale: self.rationale,
            metadata: self.metadata,
            overrides: self.overrides,
            is_valid: true,
            created_at: self.created_at.unwrap_or_else(|| ctx.now()),
            updated_at: self.updated_at.unwrap_or_else(|| ctx.now()),
        }
    }
}

/// What shall change about an assessment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AssessmentUpdate {
    pub name: Option<String>,
    pub value: Option<AssessmentValue>,
    pub rationale: Option<String>,
    /// Added to the metadata that are there.
    pub metadata: BTreeMap<String, String>,
    pub is_valid: Option<bool>,
}

impl Assessment {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        let assessed = Json::parse(&row.text("assessed")?).unwrap_or_default();
        let value = match row.text("kind")?.as_str() {
            "expectation" => AssessmentValue::Expectation { value: assessed },
            "issue" => AssessmentValue::Issue { name: assessed.as_text().unwrap_or_default().to_owned() },
            _ => {
                let error = row.opt_text("error")?.map(|_| row.json("error")).transpose()?;
                AssessmentValue::Feedback { value: assessed, error }
            }
        };
        let metadata = row.opt_text("metadata")?.map(|_| row.json("metadata")).transpose()?;
        Ok(Self {
            id: row.text("id")?,
            trace: row.text("trace")?,
            name: row.text("name")?,
            value,
            source_type: SourceType::of(&row.text("source_type")?).unwrap_or(SourceType::Unspecified),
            source_id: row.opt_text("source_id")?,
            run: row.opt_text("run")?,
            span: row.opt_text("span")?,
            rationale: row.opt_text("rationale")?,
            metadata: metadata.unwrap_or_default(),
            overrides: row.opt_text("overrides")?,
            is_valid: row.bool("is_valid")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
        })
    }

    /// Whether the assessment is of the whole conversation.
    pub fn is_of_session(&self) -> bool {
        self.metadata.contains_key(metadata::SESSION)
    }
}

impl Traces {
    /// Keeps an assessment. One that it overrides counts no longer.
    pub async fn assess(&self, ctx: &Ctx, trace: &str, new: NewAssessment) -> Result<Assessment> {
        let assessment = new.made(trace, ctx);
        self.store
            .write(ctx, move |tx| {
                found(tx, &assessment.trace)?;
                add(tx, &assessment)?;
                Ok(assessment)
            })
            .await
    }

    pub async fn assessment(&self, trace: &str, id: &str) -> Result<Assessment> {
        let (trace, id) = (trace.to_owned(), id.to_owned());
        self.store.read(move |reader| existing(reader, &trace, &id)).await
    }

    /// Changes an assessment. Its kind, its source and its span stay.
    pub async fn update_assessment(&self, ctx: &Ctx, trace: &str, id: &str, update: AssessmentUpdate) -> Result<Assessment> {
        let (trace, id) = (trace.to_owned(), id.to_owned());
        self.store
            .write(ctx, move |tx| {
                let mut assessment = existing(tx, &trace, &id)?;
                if let Some(value) = update.value {
                    check_kind(&assessment.value, &value)?;
                    assessment.value = value;
                }
                assessment.name = update.name.unwrap_or(assessment.name);
                assessment.rationale = update.rationale.or(assessment.rationale);
                assessment.metadata.extend(update.metadata);
                assessment.is_valid = update.is_valid.unwrap_or(assessment.is_valid);
                assessment.updated_at = tx.now();
                queries::put_assessment(tx, &assessment)?;
                Ok(assessment)
            })
            .await
    }

    /// Removes an assessment; what it overrode counts again. Removing one that is not there is no error.
    pub async fn remove_assessment(&self, ctx: &Ctx, trace: &str, id: &str) -> Result<()> {
        let (trace, id) = (trace.to_owned(), id.to_owned());
        self.store
            .write(ctx, move |tx| {
                let Some(assessment) = queries::assessment(tx, &trace, &id)? else { return Ok(()) };
                if let Some(overridden) = &assessment.overrides {
                    queries::set_assessment_valid(tx, &trace, overridden, true)?;
                }
                queries::remove_assessment(tx, &trace, &id)
            })
            .await
    }
}

/// Adds an assessment to a trace that is there.
pub(crate) fn add(tx: &mut Tx<'_>, assessment: &Assessment) -> Result<()> {
    if let Some(overridden) = assessment.overrides.as_deref().filter(|id| !id.is_empty())
        && !queries::set_assessment_valid(tx, &assessment.trace, overridden, false)?
    {
        return Err(missing(&assessment.trace, overridden));
    }
    queries::put_assessment(tx, assessment)
}

fn existing(reader: &mut lw_store::Reader<'_>, trace: &str, id: &str) -> Result<Assessment> {
    if let Some(assessment) = queries::assessment(reader, trace, id)? {
        return Ok(assessment);
    }
    if !queries::trace_rows(reader, &[trace.to_owned()])?.contains_key(trace) {
        return Err(crate::TRACE_NOT_FOUND.error(format!("Trace with request_id '{trace}' not found")));
    }
    Err(missing(trace, id))
}

fn missing(trace: &str, id: &str) -> Error {
    ASSESSMENT_NOT_FOUND.error(format!("Assessment with ID '{id}' not found for trace '{trace}'"))
}

fn check_kind(was: &AssessmentValue, is: &AssessmentValue) -> Result<()> {
    if was.is_same_kind(is) {
        return Ok(());
    }
    Err(BAD_ASSESSMENT.error(match is {
        AssessmentValue::Expectation { .. } => "Cannot update expectation value on a Feedback assessment.",
        _ => "Cannot update feedback value on an Expectation assessment.",
    }))
}
