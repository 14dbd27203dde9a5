//! Under which circumstances a run takes place: code, environment, hardware and seeds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use lw_core::{Digest, canonical_json};
use serde::{Deserialize, Serialize};

/// What is needed to repeat a run, beside its inputs and parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Circumstances {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<CodeVersion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    /// The program that runs, where a client names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// By the name of what they seed, such as `split` or `trainer`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seeds: BTreeMap<String, u64>,
}

impl Circumstances {
    /// Looks at a project's directory and at the machine.
    pub fn of_directory(directory: &Path) -> Self {
        Self {
            code: CodeVersion::of_directory(directory),
            environment: Some(Environment::of_directory(directory)),
            hardware: Some(Hardware::of_machine()),
            source: None,
            seeds: BTreeMap::new(),
        }
    }

    /// Fills what is open with what MLflow's clients say in tags about their code.
    pub(crate) fn or_of_tags<'a>(mut self, tag: impl Fn(&str) -> Option<&'a str>) -> Self {
        let some = |key: &str| tag(key).filter(|value| !value.is_empty()).map(str::to_owned);
        if self.code.is_none() {
            self.code = some("mlflow.source.git.commit").map(|commit| CodeVersion {
                commit,
                branch: some("mlflow.source.git.branch"),
                dirty: None,
                remote: some("mlflow.source.git.repoURL").map(|url| without_user(&url)),
            });
        }
        if self.source.is_none() {
            let (kind, entry_point) = (some("mlflow.source.type"), some("mlflow.project.entryPoint"));
            self.source = some("mlflow.source.name").map(|name| Source { name, kind, entry_point });
        }
        self
    }

    #[must_use]
    pub fn seed(mut self, name: &str, seed: u64) -> Self {
        self.seeds.insert(name.to_owned(), seed);
        self
    }
}

/// The program of a run, as the client that started it names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Such as `train.py` or the path of a notebook.
    pub name: String,
    /// Such as `LOCAL`, `NOTEBOOK` or `PROJECT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_point: Option<String>,
}

/// The commit of a git working copy, and whether the files are as committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeVersion {
    /// 40 hexadecimal digits (64 in SHA-256 repositories).
    pub commit: String,
    /// None while a commit is checked out that is not the tip of a branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Over the difference to the commit and the content of new files below the directory; none if everything is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<Digest>,
    /// Without user name and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
}

impl CodeVersion {
    /// The version of the files in a directory, if it lies in a git working copy with a commit and `git` is installed.
    pub fn of_directory(directory: &Path) -> Option<Self> {
        let commit = git_line(directory, &["rev-parse", "HEAD"])?;
        let branch = git_line(directory, &["symbolic-ref", "--short", "--quiet", "HEAD"]);
        let remote = git_line(directory, &["config", "--get", "remote.origin.url"]).map(|url| without_user(&url));
        Some(Self { commit, branch, dirty: dirty(directory), remote })
    }
}

fn dirty(directory: &Path) -> Option<Digest> {
    let difference = git(directory, &["diff", "--no-ext-diff", "--no-color", "--binary", "HEAD", "--", "."])?;
    let listed = git(directory, &["ls-files", "--others", "--exclude-standard", "-z", "--", "."])?;
    let new_files: BTreeMap<String, Option<Digest>> = listed
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .map(|name| (name.clone(), std::fs::read(directory.join(name)).ok().map(|bytes| Digest::of(&bytes))))
        .collect();
    let is_clean = difference.is_empty() && new_files.is_empty();
    (!is_clean).then(|| Digest::of(canonical_json(&(Digest::of(&difference), new_files)).as_bytes()))
}

fn git(directory: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git").arg("-C").arg(directory).args(arguments).env("GIT_OPTIONAL_LOCKS", "0").output().ok()?;
    output.status.success().then_some(output.stdout)
}

fn git_line(directory: &Path, arguments: &[&str]) -> Option<String> {
    let line = String::from_utf8(git(directory, arguments)?).ok()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// An address such as `https://user:token@host/path` without `user:token`.
fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => match rest.split_once('/') {
            Some((host, path)) => format!("{scheme}://{}/{path}", host.rsplit('@').next().unwrap_or(host)),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

/// The software that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    pub loopwright: String,
    /// Such as `linux x86_64`.
    pub platform: String,
    /// The digests of the lock files that fix the libraries, by file name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub locks: BTreeMap<String, Digest>,
    /// Versions of interpreters and libraries that the run states, such as `python`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
}

/// The files in which package managers fix every version.
const LOCK_FILES: [&str; 8] =
    ["uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pixi.lock", "conda-lock.yml", "requirements.txt", "renv.lock"];

impl Environment {
    /// The environment of a project's directory.
    pub fn of_directory(directory: &Path) -> Self {
        let lock = |name: &&str| Some(((*name).to_owned(), Digest::of(&std::fs::read(directory.join(name)).ok()?)));
        Self {
            loopwright: env!("CARGO_PKG_VERSION").to_owned(),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            locks: LOCK_FILES.iter().filter_map(lock).collect(),
            versions: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn version(mut self, name: &str, version: impl Into<String>) -> Self {
        self.versions.insert(name.to_owned(), version.into());
        self
    }

    /// One digest for the whole environment, for the recipe of a model.
    pub fn digest(&self) -> Digest {
        Digest::of_json(self)
    }
}

/// The machine that a run takes place on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    pub n_cpus: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<String>,
}

impl Hardware {
    /// Reads `/proc`. Elsewhere than on Linux only the number of processors is known.
    pub fn of_machine() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            n_cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
            cpu_model: cpu_model(&read("/proc/cpuinfo")),
            memory_bytes: memory_bytes(&read("/proc/meminfo")),
            gpus: gpus(Path::new("/proc/driver/nvidia/gpus")),
        }
    }
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    field(cpuinfo, "model name").map(str::to_owned)
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let kibibytes: u64 = field(meminfo, "MemTotal")?.strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn gpus(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let model = |entry: std::fs::DirEntry| {
        let information = std::fs::read_to_string(entry.path().join("information")).ok()?;
        field(&information, "Model").map(str::to_owned)
    };
    let mut models: Vec<String> = entries.filter_map(model).collect();
    models.sort();
    models
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        let cpuinfo = "processor\t: 0\nmodel name\t: A Processor @ 2.0GHz\nflags\t: x\n";
        assert_eq!(cpu_model(cpuinfo).as_deref(), Some("A Processor @ 2.0GHz"));
        assert_eq!(memory_bytes("MemFree: 1 kB\nMemTotal:       24576 kB\n"), Some(24_576 * 1024));
        assert_eq!((cpu_model(""), memory_bytes("MemTotal: x")), (None, None));
    }

    #[test]
    fn remotes_are_kept_without_their_users() {
        assert_eq!(without_user("https://ana:token@host/a/b.git"), "https://host/a/b.git");
        assert_eq!(without_user("git@host:a/b.git"), "git@host:a/b.git");
        assert_eq!(without_user("/srv/git/a.git"), "/srv/git/a.git");
    }
}
