//! `loopwright import mlflow`: everything that an MLflow server recorded, brought here with its own ids and times.
//!
//! Things are brought one after the other, and each says itself whether it is complete: an import that stopped goes on by the same
//! command, and one that ran through finds nothing to do.

mod bring;
mod registry;
mod rest;
mod source;
mod sqlite;
mod tally;
mod target;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lw_core::{Error, Result};
use serde_json::Value;

use self::bring::Import;
use self::rest::{Credentials, Rest};
use self::source::{Experiment, Source};
use self::sqlite::Sqlite;
use self::target::Target;
use crate::args::MlflowImport;
use crate::client::Client;
use crate::failures::{BAD_ARGUMENT, IMPORT_INCOMPLETE};
use crate::render;

/// Asks a source, whose calls block.
async fn ask<T: Send + 'static>(
    source: &Arc<dyn Source>,
    question: impl FnOnce(&dyn Source) -> Result<T> + Send + 'static,
) -> Result<T> {
    let source = Arc::clone(source);
    let answer = tokio::task::spawn_blocking(move || question(&*source)).await;
    answer.map_err(|error| Error::bug("a question of the import panicked").cause(error))?
}

pub async fn mlflow(client: &Client, wanted: &MlflowImport, json: bool) -> Result<()> {
    let opening = wanted.clone();
    let opened = tokio::task::spawn_blocking(move || open(&opening)).await;
    let Opened { source, name, remarks } = opened.map_err(|error| Error::bug("opening the source panicked").cause(error))??;
    let mut experiments = ask(&source, |source| source.experiments()).await?;
    let all = choose(&mut experiments, &wanted.experiments)?;
    let target = Target { client, source: name };
    let mut import = Import::new(source, target, wanted, experiments.len());
    for remark in remarks {
        import.tally.left_out(remark);
    }
    if !all {
        import.tally.left_out("registered models, because --experiment chooses experiments");
    }
    let done = import.run(&experiments, all).await;
    import.bar.finish();
    done.map_err(|error| error.context("the import stopped"))?;
    report(&import, wanted, json)
}

fn report(import: &Import<'_>, wanted: &MlflowImport, json: bool) -> Result<()> {
    let tally = &import.tally;
    if json {
        let mut value: Value = tally.json();
        value["dry_run"] = wanted.dry_run.into();
        render::json(&value);
    } else {
        let brought = if wanted.dry_run { "to bring" } else { "brought" };
        render::table(&["what", brought, "were there", "failed"], &tally.rows());
        for remark in tally.remarks() {
            render::talk(&remark);
        }
    }
    if tally.n_failed() > 0 {
        return Err(IMPORT_INCOMPLETE.error(format!("{} things could not be brought", tally.n_failed())).hint(
            "remove what the list names as the reasons and run the same command again; what is complete is not brought twice",
        ));
    }
    if wanted.dry_run {
        render::talk("nothing was changed");
        render::next(&format!("loopwright import mlflow --from {}", import.target.source));
    } else {
        render::next("loopwright experiments");
    }
    Ok(())
}

/// Keeps the experiments that were asked for, and says whether that is all.
fn choose(experiments: &mut Vec<Experiment>, wanted: &[String]) -> Result<bool> {
    if wanted.is_empty() {
        return Ok(true);
    }
    if let Some(missing) = wanted.iter().find(|wanted| !experiments.iter().any(|experiment| experiment.name == **wanted)) {
        let known = experiments.iter().map(|experiment| experiment.name.as_str());
        let error = BAD_ARGUMENT.error(format!("there is no experiment `{missing}`"));
        return Err(match lw_core::nearest(missing, known) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("the names of experiments are exact; leave --experiment out to bring all"),
        });
    }
    experiments.retain(|experiment| wanted.contains(&experiment.name));
    Ok(false)
}

struct Opened {
    source: Arc<dyn Source>,
    /// What the ledger calls it.
    name: String,
    remarks: Vec<String>,
}

fn open(wanted: &MlflowImport) -> Result<Opened> {
    match Place::of(&wanted.from)? {
        Place::Server(address) => {
            let (rest, remarks) = Rest::connect(address, Credentials::of_environment())?;
            let name = rest.shown().to_owned();
            Ok(Opened { source: Arc::new(rest), name, remarks })
        }
        Place::Database(path) => {
            let path = if path.is_file() { path } else { rooted(path) };
            let (sqlite, remarks) = Sqlite::open(&path, wanted.artifacts_from.clone())?;
            let name = format!("sqlite:///{}", std::path::absolute(&path).unwrap_or(path).display());
            Ok(Opened { source: Arc::new(sqlite), name, remarks })
        }
    }
}

/// `sqlite:///srv/mlflow.db` is often meant to be absolute.
fn rooted(path: PathBuf) -> PathBuf {
    let absolute = Path::new("/").join(&path);
    if absolute.is_file() { absolute } else { path }
}

/// What `--from` names.
#[derive(Debug, PartialEq)]
enum Place<'a> {
    Server(&'a str),
    Database(PathBuf),
}

impl<'a> Place<'a> {
    fn of(from: &'a str) -> Result<Self> {
        if let Some(path) = from.strip_prefix("sqlite:///") {
            return Ok(Self::Database(path.into()));
        }
        let refused = |why: String, hint: &str| Err(BAD_ARGUMENT.error(why).hint(hint));
        let through_a_server = "start `mlflow server --backend-store-uri URI` on it and import from the server's address";
        match from.split_once(':').map_or("", |(scheme, _)| scheme) {
            "http" | "https" => Ok(Self::Server(from)),
            "" if Path::new(from).is_file() => Ok(Self::Database(from.into())),
            "" | "file" => refused(
                format!("`{from}` is neither an address nor a database; folders of files (mlruns) are not read"),
                through_a_server,
            ),
            scheme => refused(format!("databases of `{scheme}` are not read directly"), through_a_server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_servers_or_databases() {
        assert_eq!(Place::of("http://a:5000").unwrap(), Place::Server("http://a:5000"));
        assert_eq!(Place::of("sqlite:///x/mlflow.db").unwrap(), Place::Database("x/mlflow.db".into()));
        assert_eq!(Place::of("sqlite:////x/mlflow.db").unwrap(), Place::Database("/x/mlflow.db".into()));
        for bad in ["./mlruns", "file:///x/mlruns", "postgresql://u:p@h/mlflow", "mysql+pymysql://h/m"] {
            let error = Place::of(bad).unwrap_err();
            assert!(error.is(BAD_ARGUMENT) && !error.message().contains("u:p"), "{bad}");
        }
    }

    #[test]
    fn experiments_are_chosen_by_name() {
        let experiment = |name: &str| Experiment {
            id: "1".to_owned(),
            name: name.to_owned(),
            is_deleted: false,
            created_at: source::time(0),
            updated_at: source::time(0),
            tags: source::Texts::new(),
        };
        let all = || vec![experiment("delays"), experiment("prices")];
        let (mut some, mut none) = (all(), all());
        assert!(!choose(&mut some, &["prices".to_owned()]).unwrap());
        assert_eq!(some.len(), 1);
        assert_eq!(choose(&mut none, &["delay".to_owned()]).unwrap_err().hint_text(), Some("did you mean `delays`?"));
    }
}
