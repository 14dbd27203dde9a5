//! A parsed project: every definition with the file it came from.

use std::collections::BTreeMap;

use lw_core::{Digest, Error, Name, Result};
use lw_data::SourceDefinition;
use lw_features::ViewDefinition;
use serde::de::DeserializeOwned;

use crate::bundle::Bundle;
use crate::definition::{ModelDefinition, PipelineFile, PolicyDefinition, ProjectDefinition};
use crate::failures::{DUPLICATE_NAME, WRONG_FILE_NAME};
use crate::parse::File;

/// All definitions of a project, by name. It parsed; `check` says whether it also holds together.
#[derive(Debug, Clone)]
pub struct Project {
    pub definition: File<ProjectDefinition>,
    pub sources: BTreeMap<Name, File<SourceDefinition>>,
    pub views: BTreeMap<Name, File<ViewDefinition>>,
    pub models: BTreeMap<Name, File<ModelDefinition>>,
    pub pipelines: BTreeMap<Name, File<PipelineFile>>,
    pub policies: BTreeMap<Name, File<PolicyDefinition>>,
    pub bundle: Bundle,
}

impl Project {
    /// Parses every file and reports all that are wrong, not only the first.
    pub fn parse(bundle: Bundle) -> Result<Self, Vec<Error>> {
        let mut errors = Vec::new();
        let root_text = bundle.files.get("loopwright.yaml").map_or("", String::as_str);
        let definition = File::parse("loopwright.yaml", root_text);
        let sources = folder(&bundle, "sources", |s: &SourceDefinition| &s.name, &mut errors);
        let views = folder(&bundle, "features", |v: &ViewDefinition| &v.feature_view, &mut errors);
        let models = folder(&bundle, "models", |m: &ModelDefinition| &m.model, &mut errors);
        let pipelines = folder(&bundle, "pipelines", |p: &PipelineFile| &p.pipeline, &mut errors);
        let policies = folder(&bundle, "policies", |p: &PolicyDefinition| &p.policy, &mut errors);
        match definition {
            Ok(definition) if errors.is_empty() => Ok(Self { definition, sources, views, models, pipelines, policies, bundle }),
            Ok(_) => Err(errors),
            Err(error) => {
                errors.insert(0, error);
                Err(errors)
            }
        }
    }

    /// The digest of all files: the version of the project.
    pub fn digest(&self) -> Digest {
        self.bundle.digest()
    }
}

/// Parses one folder. Each definition's name must be its file's name, so that nobody looks for it twice.
fn folder<T: DeserializeOwned>(
    bundle: &Bundle,
    folder: &str,
    name_of: impl Fn(&T) -> &Name,
    errors: &mut Vec<Error>,
) -> BTreeMap<Name, File<T>> {
    let mut files = BTreeMap::new();
    for (path, text) in bundle.yaml_files(folder) {
        let file = match File::<T>::parse(path, text) {
            Ok(file) => file,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let name = name_of(&file.value).clone();
        let stem = path.rsplit('/').next().and_then(|file_name| file_name.split('.').next()).unwrap_or_default();
        if stem != name.as_str() {
            let error = WRONG_FILE_NAME.error(format!("the file defines `{name}` but is called `{stem}`"));
            errors.push(error.at(file.place(&[name.as_str()])).hint(format!("rename the file to {folder}/{name}.yaml")));
        }
        if let Some(previous) = files.insert(name.clone(), file) {
            let error = DUPLICATE_NAME.error(format!("`{name}` is defined twice, in `{path}` too"));
            errors.push(error.at(previous.place(&[name.as_str()])).hint("keep one of the two files"));
        }
    }
    files
}
