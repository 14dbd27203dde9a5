//! Bringing experiments with their runs and logged models.

use std::sync::Arc;

use futures::StreamExt;
use lw_core::{Error, Kind, Result};
use tokio::sync::mpsc;

use super::ask;
use super::source::{Experiment, LoggedModel, Owner, OwnerKind, Run, Source};
use super::tally::{Tally, What};
use super::target::{Target, own_folder};
use crate::args::MlflowImport;
use crate::failures::{IMPORT_SOURCE_REFUSED, IMPORT_SOURCE_UNREACHABLE, SERVER_UNREACHABLE};
use crate::progress::Bar;

/// How many runs are on their way together. A server of Python answers about as many requests at once.
const N_AT_ONCE: usize = 4;
/// How often a file is sent before it counts as failed.
const N_ATTEMPTS: usize = 3;
/// Pages of points that wait for the target.
const N_PAGES_WAITING: usize = 4;

/// An import under way.
pub struct Import<'a> {
    pub source: Arc<dyn Source>,
    pub target: Target<'a>,
    pub tally: Tally,
    pub bar: Bar,
    pub with_artifacts: bool,
    pub is_dry: bool,
}

/// What was brought of one run or logged model.
#[derive(Debug, Default)]
struct Brought {
    /// Nothing to do: it is complete here.
    was_there: bool,
    n_points: u64,
    n_files: u64,
    n_files_present: u64,
    remark: Option<String>,
}

/// Files that were sent, and those that were there.
#[derive(Debug, Default)]
struct Files {
    n_sent: u64,
    n_present: u64,
}

/// Whether nothing else will work either.
pub fn is_fatal(error: &Error) -> bool {
    let is_of_the_way =
        [SERVER_UNREACHABLE, IMPORT_SOURCE_UNREACHABLE, IMPORT_SOURCE_REFUSED].into_iter().any(|failure| error.is(failure));
    // A role that is missing, unlike a policy about one model.
    is_of_the_way
        || error.kind() == Kind::Unauthenticated
        || (error.kind() == Kind::Forbidden && error.code() != "model-protected")
}

impl<'a> Import<'a> {
    pub fn new(source: Arc<dyn Source>, target: Target<'a>, wanted: &MlflowImport, n_experiments: usize) -> Self {
        let bar = Bar::new(n_experiments as u64 + 1);
        Self { source, target, tally: Tally::default(), bar, with_artifacts: !wanted.no_artifacts, is_dry: wanted.dry_run }
    }

    /// Brings experiments and, if asked for, registered models. What fails is noted; only what stands in the way of everything ends it.
    pub async fn run(&mut self, experiments: &[Experiment], with_registry: bool) -> Result<()> {
        for (position, experiment) in experiments.iter().enumerate() {
            self.bar.set(position as u64, experiment.name.clone());
            let before = (self.tally.n_brought(What::Runs), self.tally.n_brought(What::Points));
            let brought = self.experiment(experiment, position as u64).await;
            self.note(What::Experiments, &experiment.name, brought)?;
            let (n_runs, n_points) = (self.tally.n_brought(What::Runs) - before.0, self.tally.n_brought(What::Points) - before.1);
            if n_runs > 0 {
                self.bar.line(&format!("{}: {n_runs} runs, {n_points} metric points", experiment.name));
            }
        }
        if with_registry {
            self.bar.set(experiments.len() as u64, "registered models".to_owned());
            self.registered_models().await?;
        }
        Ok(())
    }

    /// Notes a failure, and goes on unless nothing else will work either.
    pub fn note<T>(&mut self, what: What, name: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(done) => Ok(Some(done)),
            Err(error) if is_fatal(&error) => Err(error),
            Err(error) => {
                self.tally.failed(what, name, &error);
                Ok(None)
            }
        }
    }

    async fn experiment(&mut self, experiment: &Experiment, position: u64) -> Result<()> {
        let (id, is_new) = if self.is_dry {
            (String::new(), !self.target.has_experiment(&experiment.name).await?)
        } else {
            self.target.adopt_experiment(experiment).await?
        };
        let count = if is_new { Tally::brought } else { Tally::present };
        count(&mut self.tally, What::Experiments, 1);
        let open_models = self.logged_models(experiment, &id).await?;
        self.runs(experiment, &id, position).await?;
        // The files of a model come when its run is here, which its end names as its origin.
        for model in open_models {
            let finished = self.finish_logged_model(&model).await;
            if let Some(files) = self.note(What::LoggedModels, &model.0.id, finished)? {
                self.tally.brought(What::LoggedModels, 1);
                self.tally.brought(What::Files, files.n_sent);
                self.tally.present(What::Files, files.n_present);
            }
        }
        if experiment.is_deleted && !self.is_dry {
            self.target.close_experiment(&id, experiment).await?;
        }
        Ok(())
    }

    /// Adopts the logged models of an experiment, and gives those that are not complete, with where their files go.
    async fn logged_models(&mut self, experiment: &Experiment, id: &str) -> Result<Vec<OpenModel>> {
        let (mut open, mut page) = (Vec::new(), None);
        loop {
            let of = experiment.id.clone();
            let models = ask(&self.source, move |source| source.logged_models(&of, page)).await?;
            for model in models.items {
                if self.is_dry {
                    let is_there = self.target.has_logged_model(&model.id).await?;
                    let count = if is_there { Tally::present } else { Tally::brought };
                    count(&mut self.tally, What::LoggedModels, 1);
                    continue;
                }
                let adopted = self.target.adopt_logged_model(id, &model).await;
                match self.note(What::LoggedModels, &model.id, adopted)? {
                    Some(adopted) if adopted.is_open => {
                        // Files and the end need no measurements.
                        let model = LoggedModel { metrics: Vec::new(), ..model };
                        open.push(OpenModel(model, adopted.artifact_uri, adopted.is_new));
                    }
                    Some(_) => self.tally.present(What::LoggedModels, 1),
                    None => {}
                }
            }
            page = models.next;
            if page.is_none() {
                return Ok(open);
            }
        }
    }

    async fn finish_logged_model(&self, OpenModel(model, artifact_uri, is_new): &OpenModel) -> Result<Files> {
        let owner = Owner { kind: OwnerKind::LoggedModel, id: model.id.clone(), root: model.root.clone() };
        let may_skip = !is_new && model.status == "READY";
        // A server gives no files of a model that is deleted.
        let files = self.files(owner, artifact_uri, may_skip).await?;
        self.target.finish_logged_model(model).await?;
        Ok(files)
    }

    async fn runs(&mut self, experiment: &Experiment, id: &str, position: u64) -> Result<()> {
        let mut page = None;
        let mut n_seen = 0_usize;
        loop {
            let of = experiment.id.clone();
            let runs = ask(&self.source, move |source| source.runs(&of, page)).await?;
            n_seen += runs.items.len();
            let outcomes: Vec<(String, Result<Brought>)> = {
                let this = &*self;
                let bring = |run: Run| async move { (run.id.clone(), this.one_run(id, run).await) };
                futures::stream::iter(runs.items.into_iter().map(bring)).buffer_unordered(N_AT_ONCE).collect().await
            };
            for (run, outcome) in outcomes {
                if let Some(brought) = self.note(What::Runs, &run, outcome)? {
                    self.count_run(brought);
                }
            }
            self.bar.set(position, format!("{}: {n_seen} runs", experiment.name));
            page = runs.next;
            if page.is_none() {
                return Ok(());
            }
        }
    }

    fn count_run(&mut self, brought: Brought) {
        let count = if brought.was_there { Tally::present } else { Tally::brought };
        count(&mut self.tally, What::Runs, 1);
        self.tally.brought(What::Points, brought.n_points);
        self.tally.brought(What::Files, brought.n_files);
        self.tally.present(What::Files, brought.n_files_present);
        if let Some(remark) = brought.remark {
            self.tally.left_out(remark);
        }
    }

    async fn one_run(&self, experiment: &str, run: Run) -> Result<Brought> {
        if self.is_dry {
            let was_there = self.target.has_run(&run.id).await?;
            let n_points = if was_there { 0 } else { run.n_points.unwrap_or(0) };
            return Ok(Brought { was_there, n_points, ..Brought::default() });
        }
        let adopted = self.target.adopt_run(experiment, &run).await?;
        if !adopted.is_open {
            let remark = match (adopted.n_points, run.n_points) {
                (Some(here), Some(there)) if here < there => Some(format!(
                    "points of run {}: it has {there} there and {here} here, where it has ended and takes no more",
                    run.id
                )),
                _ => None,
            };
            return Ok(Brought { was_there: true, remark, ..Brought::default() });
        }
        let run = Arc::new(run);
        self.target.log_params(&run).await?;
        let n_points = self.points(&run).await?;
        self.target.log_inputs_and_outputs(&run).await?;
        let owner = Owner { kind: OwnerKind::Run, id: run.id.clone(), root: run.root.clone() };
        let files = self.files(owner, &adopted.artifact_uri, !adopted.is_new && run.has_ended()).await?;
        self.target.finish_run(&run).await?;
        Ok(Brought { n_points, n_files: files.n_sent, n_files_present: files.n_present, ..Brought::default() })
    }

    /// Points pass page by page; the source waits while the target is behind.
    async fn points(&self, run: &Arc<Run>) -> Result<u64> {
        let (sender, mut pages) = mpsc::channel(N_PAGES_WAITING);
        let (source, of) = (Arc::clone(&self.source), Arc::clone(run));
        let reading = tokio::task::spawn_blocking(move || {
            let stopped = |_| Error::bug("the target of the import stopped listening");
            source.points(&of, &mut |points| sender.blocking_send(points).map_err(stopped))
        });
        let mut n_points = 0;
        while let Some(points) = pages.recv().await {
            self.target.log_points(&run.id, &points).await?;
            n_points += points.len() as u64;
        }
        reading.await.map_err(|error| Error::bug("reading points panicked").cause(error))??;
        Ok(n_points)
    }

    /// Sends the files of a run or model. Those of an earlier attempt may be there already, each as a whole.
    async fn files(&self, owner: Owner, location: &str, may_skip: bool) -> Result<Files> {
        if !self.with_artifacts {
            return Ok(Files::default());
        }
        let of = owner.clone();
        let wanted = ask(&self.source, move |source| source.files(&of)).await?;
        if wanted.is_empty() {
            return Ok(Files::default());
        }
        let folder = own_folder(location)?;
        let present = if may_skip { self.target.files(folder).await? } else { Default::default() };
        let mut files = Files::default();
        for file in wanted {
            if file.size_bytes.is_some() && present.get(&file.path).copied() == file.size_bytes {
                files.n_present += 1;
                continue;
            }
            self.one_file(&owner, folder, &file.path)
                .await
                .map_err(|error| error.context(format!("the file `{}`", file.path)))?;
            files.n_sent += 1;
        }
        Ok(files)
    }

    async fn one_file(&self, owner: &Owner, folder: &str, path: &str) -> Result<()> {
        let mut n_failed = 0;
        loop {
            let (of, from) = (owner.clone(), path.to_owned());
            let content = ask(&self.source, move |source| source.open(&of, &from)).await?;
            match self.target.put_file(folder, path, content).await {
                Ok(()) => return Ok(()),
                // It may have broken off on either side.
                Err(error) if n_failed + 1 < N_ATTEMPTS && error.kind() != Kind::Invalid && error.kind() != Kind::Forbidden => {
                    n_failed += 1
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// A logged model that waits for its files, with where they go, and whether it is new here.
struct OpenModel(LoggedModel, String, bool);
