//! Where a version may come from: MLflow's rules about the `source` of a new version, as pure functions.
//!
//! A client must not make the server, or whoever downloads the version, read what the client could not read itself. So a source
//! lies below the artifacts of a run or logged model that the request names, or in a store that clients reach by themselves.

use std::borrow::Cow;

use crate::Refusal;
use crate::refusal::Answer;

/// Schemes with which a server would connect to the host that the address names.
const HOST_ADDRESSED: [&str; 10] = ["ftp", "sftp", "hdfs", "viewfs", "http", "https", "mlflow-artifacts", "r2", "b2", "abfss"];
const PROMPT_PLACEHOLDERS: [&str; 2] = ["dummy-source", "prompt-template"];

/// The parts of an address, divided as MLflow divides them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    /// In lower case; empty for a path.
    pub scheme: String,
    /// Host, port and what stands before them.
    pub authority: &'a str,
    pub path: &'a str,
}

impl<'a> Address<'a> {
    pub fn of(text: &'a str) -> Self {
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => (String::new(), text),
        };
        let (authority, rest) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => ("", rest),
        };
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        Self { scheme, authority, path }
    }

    /// Whether it names a file of the machine itself.
    pub fn is_local(&self) -> bool {
        self.scheme.is_empty() || self.scheme == "file"
    }

    /// The parts of the path, decoded as often as they are encoded.
    fn parts(&self) -> Vec<String> {
        self.path.split('/').filter(|part| !part.is_empty()).map(|part| decoded(part, false)).collect()
    }

    fn is_below(&self, root: &Self) -> bool {
        let (parts, root_parts) = (self.parts(), root.parts());
        self.scheme == root.scheme
            && self.authority.eq_ignore_ascii_case(root.authority)
            && !root_parts.is_empty()
            && parts.starts_with(&root_parts)
    }

    /// Whether it leads through a server's proxy of artifacts.
    fn is_proxied(&self) -> bool {
        const ROUTE: [&str; 4] = ["api", "2.0", "mlflow-artifacts", "artifacts"];
        let is_http = self.scheme == "http" || self.scheme == "https";
        self.scheme == "mlflow-artifacts" || (is_http && self.parts().windows(ROUTE.len()).any(|parts| parts == ROUTE))
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Percent-decoded until nothing is left to decode; in queries a `+` is a space.
fn decoded(text: &str, plus_is_space: bool) -> String {
    let mut text = text.to_owned();
    loop {
        let spaced = if plus_is_space { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text.as_str()) };
        let next = unquoted(&spaced);
        if next == text {
            return text;
        }
        text = next;
    }
}

fn unquoted(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
        match (first, digit(tail.first()), digit(tail.get(1))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Which resource the request says the source belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner<'a> {
    /// A run, with where its artifacts are if there is such a run. The id is empty if the request names none.
    Run { id: &'a str, root: Option<&'a str> },
    /// A logged model, with where its artifacts are if there is such a model.
    Model { id: &'a str, root: Option<&'a str> },
}

impl Owner<'_> {
    fn parameter(&self) -> &'static str {
        match self {
            Self::Run { .. } => "run_id",
            Self::Model { .. } => "model_id",
        }
    }

    fn id_and_root(&self) -> (&str, Option<&str>) {
        match self {
            Self::Run { id, root } | Self::Model { id, root } => (id, *root),
        }
    }
}

/// What a `models:/…` address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ModelUri<'a> {
    LoggedModel(&'a str),
    Version { name: &'a str, version: &'a str },
    Stage { name: &'a str, stage: &'a str },
    Latest { name: &'a str },
    Alias { name: &'a str, alias: &'a str },
}

impl<'a> ModelUri<'a> {
    pub fn parse(text: &'a str) -> Option<Self> {
        let path = text.strip_prefix("models:")?;
        let path = path.strip_prefix("//").map_or(path, |rest| rest.find('/').map_or("", |at| rest.get(at..).unwrap_or("")));
        let path = path.split('?').next().unwrap_or_default();
        let inner = path.strip_prefix('/')?.trim_start_matches('/');
        match inner.split('/').collect::<Vec<_>>().as_slice() {
            [name, ..] if name.trim().is_empty() => None,
            [_, suffix] if suffix.trim().is_empty() => None,
            [name, suffix] if suffix.bytes().all(|b| b.is_ascii_digit()) => Some(Self::Version { name, version: suffix }),
            [name, suffix] if suffix.eq_ignore_ascii_case("latest") => Some(Self::Latest { name }),
            [name, suffix] => Some(Self::Stage { name, stage: suffix }),
            [only] => match only.rsplit_once('@') {
                Some((_, alias)) if alias.trim().is_empty() => None,
                Some((name, alias)) => Some(Self::Alias { name, alias }),
                None => Some(Self::LoggedModel(only)),
            },
            _ => None,
        }
    }
}

/// The version of a prompt has a placeholder for a source: its text is a tag.
pub(crate) fn check_prompt(source: &str) -> Answer<()> {
    if PROMPT_PLACEHOLDERS.contains(&source) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder.")))
}

/// Refuses a source with which a server would connect to a host that a client names.
pub(crate) fn check_scheme(source: &str) -> Answer<()> {
    let address = Address::of(source);
    let is_own_proxy = address.scheme == "mlflow-artifacts" && address.authority.is_empty();
    if is_own_proxy || !HOST_ADDRESSED.contains(&address.scheme.as_str()) {
        return Ok(());
    }
    let scheme = address.scheme;
    Err(Refusal::invalid(format!(
        "'source' cannot use the '{scheme}' scheme: the '{scheme}' scheme addresses a host other than the tracking server's \
         configured artifact storage, so the server would connect to the host named in the URI. Set the \
         MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES environment variable on the server to allow it."
    )))
}

/// Whether the source belongs to what the request says it does. Prompts and sources that name a registered model are asked about
/// elsewhere.
pub(crate) fn check(source: &str, owner: Owner<'_>) -> Answer<()> {
    let address = Address::of(source);
    let (id, root) = owner.id_and_root();
    if address.is_local() {
        return check_local(source, &address, owner);
    }
    check_relative(source)?;
    match address.scheme.as_str() {
        "runs" | "models" if !address.authority.is_empty() => {
            return Err(foreign(source, if address.scheme == "runs" { "run_id" } else { "model_id" }));
        }
        "runs" => {
            let run = address.path.trim_start_matches('/').split('/').next().unwrap_or_default();
            let is_its_own = matches!(owner, Owner::Run { .. }) && !id.is_empty() && run == id;
            return if is_its_own { Ok(()) } else { Err(foreign(source, owner.parameter())) };
        }
        "models" => match ModelUri::parse(source) {
            None => return Err(foreign(source, "model_id")),
            Some(ModelUri::LoggedModel(model)) => {
                let is_its_own = matches!(owner, Owner::Model { .. }) && model == id;
                return if is_its_own { Ok(()) } else { Err(foreign(source, "model_id")) };
            }
            Some(_) => {}
        },
        _ => {}
    }
    if address.is_proxied() && !root.is_some_and(|root| address.is_below(&Address::of(root))) {
        return Err(foreign(source, owner.parameter()));
    }
    Ok(())
}

fn check_local(source: &str, address: &Address<'_>, owner: Owner<'_>) -> Answer<()> {
    let (id, root) = owner.id_and_root();
    if !id.is_empty() && root.is_none() {
        return Err(foreign(source, owner.parameter()));
    }
    let root = root.map(Address::of).filter(Address::is_local);
    let is_inside = root.is_some_and(|root| {
        let (parts, root_parts) = (address.parts(), root.parts());
        parts.starts_with(&root_parts) && !root_parts.is_empty() && !parts.iter().any(|part| part == "..")
    });
    if is_inside {
        return Ok(());
    }
    let parameter = owner.parameter();
    Err(Refusal::invalid(format!(
        "Invalid model version source: '{source}'. To use a local path as a model version source, the {parameter} request parameter \
         has to be specified and the local path has to be contained within the artifact directory of the run specified by the \
         {parameter}."
    )))
}

/// Refuses paths that lead elsewhere, in every encoding.
fn check_relative(source: &str) -> Answer<()> {
    let plain = decoded(source, true);
    let path = Address::of(&plain).path.trim_end_matches('/');
    let is_straight = path.starts_with('/') && !path.contains('\0') && !path.split('/').any(|part| part == ".");
    if is_straight && !plain.split('/').any(|part| part == "..") {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "Invalid model version source: '{source}'. If supplying a source as an http, https, local file path, ftp, objectstore, or \
         mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide an \
         absolute path."
    )))
}

pub(crate) fn foreign(source: &str, parameter: &str) -> Refusal {
    Refusal::invalid(format!(
        "Invalid model version source: '{source}'. The {parameter} request parameter must identify the resource that contains the \
         source."
    ))
}

/// Where the files of a source lie, if they are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Run { run: String, folder: String },
    LoggedModel { model: String, folder: String },
}

impl Place {
    /// Reads `runs:/R/folder`, `mlflow-artifacts:/E/R/artifacts/folder`, `mlflow-artifacts:/E/models/M/artifacts/folder` and
    /// `models:/m-…`.
    pub fn of(location: &str) -> Option<Self> {
        let address = Address::of(location);
        if !address.authority.is_empty() {
            return None;
        }
        let parts = address.parts();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match (address.scheme.as_str(), parts.as_slice()) {
            ("runs", [run, folder @ ..]) => Some(Self::Run { run: (*run).to_owned(), folder: folder.join("/") }),
            ("models", [model]) if model.starts_with("m-") => {
                Some(Self::LoggedModel { model: (*model).to_owned(), folder: String::new() })
            }
            ("mlflow-artifacts", [_, "models", model, "artifacts", folder @ ..]) => {
                Some(Self::LoggedModel { model: (*model).to_owned(), folder: folder.join("/") })
            }
            ("mlflow-artifacts", [_, run, "artifacts", folder @ ..]) => {
                Some(Self::Run { run: (*run).to_owned(), folder: folder.join("/") })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "77771724d56c4c5e8f0763296811e7ff";
    const ROOT: &str = "mlflow-artifacts:/5/77771724d56c4c5e8f0763296811e7ff/artifacts";
    const MODEL: &str = "m-00000000000000000000000000000000";
    const MODEL_ROOT: &str = "mlflow-artifacts:/5/models/m-00000000000000000000000000000000/artifacts";

    fn judged(source: &str, owner: Owner<'_>) -> Answer<()> {
        check_scheme(source).and_then(|()| check(source, owner))
    }

    #[track_caller]
    fn refused(source: &str, owner: Owner<'_>, want: &str) {
        let message = judged(source, owner).unwrap_err().message;
        assert!(message.contains(want), "{source}: {message}");
    }

    /// What MLflow 3.18 answers to the same requests.
    #[test]
    fn sources_are_judged_as_mlflow_judges_them() {
        let none = Owner::Run { id: "", root: None };
        let run = Owner::Run { id: RUN, root: Some(ROOT) };
        let model = Owner::Model { id: MODEL, root: Some(MODEL_ROOT) };
        let local = "To use a local path as a model version source, the run_id request parameter has to be specified";
        let relative = "an absolute path must be provided without relative path references present";
        let of_run = "The run_id request parameter must identify the resource that contains the source.";
        let of_model = "The model_id request parameter must identify the resource that contains the source.";
        for source in ["/etc/passwd", "file:///etc", "relative/path", ""] {
            refused(source, none, local);
            refused(source, run, local);
        }
        for source in ["s3://b/../k", "s3://b/%2e%2e/k", "s3://b/%252e%252e/k", "s3://b/./k", "s3://b", "gs://b/a%00", "dbfs:x"] {
            refused(source, none, relative);
        }
        for source in ["s3://b/k", "dbfs:/x", "gs://b/k/m", "wasbs://c@a.blob.core.windows.net/x"] {
            assert!(judged(source, none).is_ok(), "{source}");
        }
        for scheme in ["http", "https", "ftp", "hdfs"] {
            let source = format!("{scheme}://h/y");
            refused(&source, none, &format!("'source' cannot use the '{scheme}' scheme: the '{scheme}' scheme addresses a host"));
        }
        refused("http://h/#frag", none, "'source' cannot use the 'http' scheme");
        refused("mlflow-artifacts://host/x", run, "'source' cannot use the 'mlflow-artifacts' scheme");
        let in_run = format!("runs:/{RUN}/m");
        refused(&in_run, none, of_run);
        refused(&in_run, model, of_model);
        refused(&format!("runs://host/{RUN}/m"), run, of_run);
        assert!(judged(&in_run, run).is_ok());
        refused("mlflow-artifacts:/1/77771724d56c4c5e8f0763296811e7ff/artifacts/m", none, of_run);
        refused("mlflow-artifacts:/1/77771724d56c4c5e8f0763296811e7ff/artifacts/m", run, of_run);
        refused(&format!("{ROOT}2/m"), run, of_run);
        assert!(judged(&format!("{ROOT}/m"), run).is_ok());
        assert!(judged(&format!("{MODEL_ROOT}/m"), model).is_ok());
        let logged = format!("models:/{MODEL}");
        refused(&logged, none, of_model);
        refused(&logged, Owner::Model { id: "m-1", root: None }, of_model);
        assert!(judged(&logged, model).is_ok());
        refused("models:/", none, relative);
        refused("models:/a/b/c", none, of_model);
        assert!(judged("models:/iris/3", none).is_ok());
    }

    #[test]
    fn local_sources_lie_below_the_run_that_is_named() {
        let local = Owner::Run { id: RUN, root: Some("/srv/5/r/artifacts") };
        assert!(check("/srv/5/r/artifacts/m", local).is_ok());
        assert!(check("file:///srv/5/r/artifacts/m", local).is_ok());
        for source in ["/srv/5/r/artifacts2", "/srv/5/r", "/srv/5/r/artifacts/../../x", "/srv/5/r/artifacts/%2e%2e/x"] {
            assert!(check(source, local).is_err(), "{source}");
        }
    }

    #[test]
    fn addresses_of_models_are_read() {
        let check = |text: &str, want: Option<ModelUri<'_>>| assert_eq!(ModelUri::parse(text), want, "{text}");
        check("models:/m-1", Some(ModelUri::LoggedModel("m-1")));
        check("models:/iris/3", Some(ModelUri::Version { name: "iris", version: "3" }));
        check("models:/iris/Latest", Some(ModelUri::Latest { name: "iris" }));
        check("models:/iris/Production", Some(ModelUri::Stage { name: "iris", stage: "Production" }));
        check("models:/iris@champ", Some(ModelUri::Alias { name: "iris", alias: "champ" }));
        for bad in ["models:", "models:/", "models:iris", "models:/a/b/c", "models:/iris/", "models:/iris@", "runs:/a"] {
            check(bad, None);
        }
    }

    #[test]
    fn prompts_have_a_placeholder() {
        assert!(check_prompt("dummy-source").is_ok() && check_prompt("prompt-template").is_ok());
        assert_eq!(
            check_prompt("s3://b/k").unwrap_err().message,
            "Invalid prompt source: 's3://b/k'. Prompt sources must use an MLflow placeholder."
        );
    }

    #[test]
    fn places_are_found() {
        let run = |folder: &str| Some(Place::Run { run: RUN.to_owned(), folder: folder.to_owned() });
        let model = |folder: &str| Some(Place::LoggedModel { model: MODEL.to_owned(), folder: folder.to_owned() });
        assert_eq!(Place::of(&format!("runs:/{RUN}/a/m")), run("a/m"));
        assert_eq!(Place::of(&format!("{ROOT}/m")), run("m"));
        assert_eq!(Place::of(MODEL_ROOT), model(""));
        assert_eq!(Place::of(&format!("models:/{MODEL}")), model(""));
        assert_eq!(Place::of("s3://b/k"), None);
        assert_eq!(Place::of("models:/iris/3"), None);
    }
}
