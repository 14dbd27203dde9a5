//! What ledger entries are about.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Failure, Kind, Result};

pub const BAD_SUBJECT: Failure = Failure::new("bad-reference", Kind::Invalid);

macro_rules! kinds {
    ($($variant:ident => $text:literal,)*) => {
        /// The kinds of versioned things.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum SubjectKind {
            $(#[serde(rename = $text)] $variant,)*
        }

        impl SubjectKind {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

kinds! {
    Actor => "actor",
    Alert => "alert",
    Approval => "approval",
    Artifact => "artifact",
    Dataset => "dataset",
    Deployment => "deployment",
    Endpoint => "endpoint",
    Evaluation => "evaluation",
    EvaluationDataset => "evaluation_dataset",
    Experiment => "experiment",
    FeatureView => "feature_view",
    LabelSchema => "label_schema",
    LoggedModel => "logged_model",
    Model => "model",
    ModelVersion => "model_version",
    Monitor => "monitor",
    Pipeline => "pipeline",
    PipelineRun => "pipeline_run",
    Policy => "policy",
    Project => "project",
    Run => "run",
    Scorer => "scorer",
    Source => "source",
    Table => "table",
    TrainingSet => "training_set",
    Trigger => "trigger",
    Webhook => "webhook",
}

/// A version of a thing: `kind/name@version`. Things without versions, such as a run, leave the version out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    pub kind: SubjectKind,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

impl Subject {
    pub fn new(kind: SubjectKind, name: impl AsRef<str>, version: u64) -> Self {
        Self { kind, name: name.as_ref().to_owned(), version: Some(version) }
    }

    pub fn unversioned(kind: SubjectKind, name: impl AsRef<str>) -> Self {
        Self { kind, name: name.as_ref().to_owned(), version: None }
    }

    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            BAD_SUBJECT
                .error(format!("`{}` is not a reference", text.chars().take(80).collect::<String>()))
                .hint("write kind/name@version, like model_version/late_arrival@3")
        };
        let (kind_text, rest) = text.split_once('/').ok_or_else(bad)?;
        let kind = *SubjectKind::ALL.iter().find(|kind| kind.name() == kind_text).ok_or_else(bad)?;
        // Names of models may have an `@` of their own; the version follows the last one.
        match rest.rsplit_once('@') {
            Some((name, version)) => Ok(Self::new(kind, name, version.parse().map_err(|_| bad())?)),
            None => Ok(Self::unversioned(kind, rest)),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.name(), self.name)?;
        match self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}
