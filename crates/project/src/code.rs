//! The code of a model: the scripts that its Python candidates run, as they were applied.

use std::collections::BTreeMap;

use lw_core::Digest;
use lw_training::{Candidate, code_of};
use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::definition::ModelDefinition;

/// What a Python candidate was made by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    pub script: String,
    /// Of all files together.
    pub digest: Digest,
    /// The script and what lies in its folder and below.
    pub files: BTreeMap<String, Digest>,
}

impl Code {
    /// The code of a candidate; none if it runs no script.
    pub fn of(bundle: &Bundle, candidate: &Candidate) -> Option<Self> {
        let script = candidate.script.clone()?;
        let texts = code_of(&script, &scripts(bundle));
        let files = texts.iter().map(|(path, text)| (path.clone(), Digest::of(text.as_bytes()))).collect();
        Some(Self { script, digest: Digest::of_json(&files), files })
    }

    /// The code of every candidate of a model that runs a script.
    pub fn of_model(bundle: &Bundle, model: &ModelDefinition) -> Vec<Self> {
        model.train.candidates.iter().filter_map(|candidate| Self::of(bundle, candidate)).collect()
    }
}

/// All scripts of a project, with their texts.
pub fn scripts(bundle: &Bundle) -> BTreeMap<String, String> {
    bundle.scripts().map(|(path, text)| (path.to_owned(), text.to_owned())).collect()
}
