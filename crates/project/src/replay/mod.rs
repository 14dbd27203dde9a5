//! The whole loop over history on a simulated clock.
//!
//! Time moves in steps. At each step the files that landed are ingested, features that became known go online, and every
//! prediction that production would have asked for is asked of the real endpoint. Once a day the loop looks at labels, monitors,
//! rollouts and triggers, as a server does all the time. Nothing sees past the clock: sources by the period of their files, rows
//! by their known time.

mod plot;
mod quality;
mod report;
mod requests;

pub use plot::quality_svg;
pub use report::{Milestone, MonthQuality, ReplayReport};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use lw_core::{Actor, Clock as _, Error, Name, Result, SimulatedClock, Span, Timestamp};
use lw_engine::{Area, TableId};
use lw_features::online::Durability;
use lw_features::{MaterializationFeed, TableVersion};
use lw_pipelines::Start;
use serde_json::json;

use crate::definition::ModelDefinition;
use crate::failures::{INVALID_MODEL, NO_EXAMPLES, REPLAY_STARTED};
use crate::features;
use crate::project::Project;
use crate::steps::model;
use crate::versions::Decision;
use crate::workspace::Workspace;
use requests::RequestFeed;

/// The phase in which the endpoint is asked.
const PREDICTING: &str = "predicting";

/// What to replay.
#[derive(Debug, Clone)]
pub struct ReplayPlan {
    pub model: Name,
    pub from: Timestamp,
    pub to: Timestamp,
    pub step: Span,
    /// Who approves what needs approval.
    pub approver: Actor,
}

impl ReplayPlan {
    /// The plan of `loopwright.yaml`, for its model or another one.
    pub fn of(project: &Project, model: Option<&str>) -> Result<Self> {
        let file = &project.definition;
        let Some(replay) = &file.value.replay else {
            return Err(INVALID_MODEL
                .error("the project does not say what to replay")
                .at(file.place(&["project"]))
                .hint("add `replay: {model, from, to, approver}` to loopwright.yaml"));
        };
        let name = model.map(Name::parse).transpose()?.unwrap_or_else(|| replay.model.clone());
        let owner = &crate::steps::model(project, &name)?.owner;
        if *owner == replay.approver {
            return Err(INVALID_MODEL
                .error(format!("`{owner}` owns the model and cannot approve it"))
                .at(file.place(&["replay", "approver"]))
                .hint("name another person"));
        }
        Ok(Self { model: name, from: replay.from, to: replay.to, step: replay.step, approver: Actor::new(&replay.approver) })
    }
}

/// What a replay tells while it runs.
pub enum Event<'a> {
    Clock { now: Timestamp, summary: &'a str },
    Line(&'a str),
}

/// Asks the real endpoint.
#[async_trait]
pub trait Predictor: Send + Sync {
    /// Sends a body and returns the answer; an error status is an error.
    async fn predict(&self, endpoint: &str, body: Vec<u8>) -> Result<Vec<u8>>;
}

/// Replays a plan in an empty workspace whose clock is `clock`.
pub async fn run(
    workspace: &Workspace,
    project: &Project,
    plan: &ReplayPlan,
    clock: &SimulatedClock,
    predictor: &dyn Predictor,
    show: &(dyn Fn(Event<'_>) + Sync),
) -> Result<ReplayReport> {
    let started = Instant::now();
    if workspace.has_history().await? {
        return Err(REPLAY_STARTED
            .error(format!("the workspace `{}` has a history already", workspace.directory().display()))
            .hint("name a new folder with --workspace"));
    }
    clock.set(plan.from);
    let model = model(project, &plan.model)?;
    let mut replay = Replay {
        workspace,
        project,
        plan,
        model,
        clock,
        show,
        seconds: BTreeMap::new(),
        n_predictions: 0,
        summary: String::new(),
        last_entry: 0,
        milestones: Vec::new(),
    };
    let began = Instant::now();
    replay.first_deployment().await?;
    replay.spent("first deployment", began);
    replay.production(predictor).await?;
    let examples = replay.examples().await?;
    workspace.serving().deliver().await?;
    let months = quality::by_month(workspace, model, &examples, clock.now()).await?;
    Ok(ReplayReport {
        model: plan.model.to_string(),
        from: plan.from,
        to: plan.to,
        n_predictions: replay.n_predictions,
        prediction_seconds: replay.seconds.get(PREDICTING).copied().unwrap_or(0.0),
        seconds: replay.seconds.iter().map(|(phase, seconds)| ((*phase).to_owned(), *seconds)).collect(),
        total_seconds: started.elapsed().as_secs_f64(),
        months,
        milestones: replay.milestones,
    })
}

struct Replay<'a> {
    workspace: &'a Workspace,
    project: &'a Project,
    plan: &'a ReplayPlan,
    model: &'a ModelDefinition,
    clock: &'a SimulatedClock,
    show: &'a (dyn Fn(Event<'_>) + Sync),
    /// Wall seconds by phase.
    seconds: BTreeMap<&'static str, f64>,
    n_predictions: u64,
    summary: String,
    /// The newest ledger entry that was shown.
    last_entry: u64,
    milestones: Vec<Milestone>,
}

impl Replay<'_> {
    /// Applies the project, runs the model's pipeline and lets the approver decide.
    async fn first_deployment(&mut self) -> Result<()> {
        let ctx = self.workspace.ctx(Actor::new(&self.model.owner), "replay");
        self.workspace.apply(&ctx, self.project.clone()).await?;
        self.workspace.start_model(&ctx, &self.plan.model, Start::by_hand()).await?;
        self.work().await?;
        self.approve_what_waits().await?;
        self.work().await?;
        self.tell().await?;
        self.workspace.serving().endpoint(self.plan.model.as_str()).map(drop)
    }

    /// The months of production.
    async fn production(&mut self, predictor: &dyn Predictor) -> Result<()> {
        let mut now = self.plan.from;
        while now < self.plan.to {
            let period_end = (now + Span::from_days(32)).month_start().min(self.plan.to);
            self.clock.set(now);
            let began = Instant::now();
            let (mut feed, mut requests) = self.open_period(now, period_end).await?;
            self.spent("taking in data", began);
            while now < period_end {
                let next = (now + self.plan.step).min(period_end);
                let began = Instant::now();
                feed = self.advance(feed, now).await?;
                self.spent("moving features", began);
                let (bodies, n_rows) = requests.take_before(next)?;
                self.ask(predictor, bodies, n_rows).await?;
                if next.day_start() > now.day_start() {
                    self.clock.set(next);
                    self.day(next).await?;
                }
                now = next;
                self.clock.set(now);
            }
        }
        Ok(())
    }

    /// Ingests what has landed, and reads the period's features and requests.
    async fn open_period(&mut self, from: Timestamp, to: Timestamp) -> Result<(MaterializationFeed, RequestFeed)> {
        let ctx = self.workspace.own_ctx("replay");
        self.workspace
            .start_ingestion(&ctx, None, Start { cause: "replay".to_owned(), dedupe_key: None, params: json!({}) })
            .await?;
        self.work().await?;
        let sources = features::sources(self.workspace, self.project).await?;
        let used: Vec<_> = features::registered(self.workspace, self.project).await?;
        let views: Vec<_> =
            used.into_iter().filter(|view| self.model.features.iter().any(|feature| feature.view() == view.name())).collect();
        let engine = self.workspace.engine();
        let feed =
            MaterializationFeed::open(self.workspace.views(), Arc::clone(self.workspace.online()), &views, &sources, to).await?;
        let examples = self.examples().await?;
        let requests = RequestFeed::open(engine, self.model, &examples, from, to).await?;
        Ok((feed, requests))
    }

    /// Makes the features that are known by now available online.
    ///
    /// They are durable once a day: whoever starts again after a crash begins with an empty workspace anyway.
    async fn advance(&self, mut feed: MaterializationFeed, now: Timestamp) -> Result<MaterializationFeed> {
        let durability = if now == now.day_start() { Durability::Now } else { Durability::Later };
        let advanced = tokio::task::spawn_blocking(move || feed.advance(now, durability).map(|_| feed));
        advanced.await.map_err(|error| Error::bug("moving features on panicked").cause(error))?
    }

    async fn ask(&mut self, predictor: &dyn Predictor, bodies: Vec<Vec<u8>>, n_rows: u64) -> Result<()> {
        let began = Instant::now();
        for body in bodies {
            predictor.predict(self.plan.model.as_str(), body).await?;
        }
        self.spent(PREDICTING, began);
        self.n_predictions += n_rows;
        Ok(())
    }

    /// What a server does all the time, done once a simulated day.
    async fn day(&mut self, now: Timestamp) -> Result<()> {
        let began = Instant::now();
        self.workspace.tick(self.project).await?;
        self.spent("monitoring", began);
        let began = Instant::now();
        self.work().await?;
        self.approve_what_waits().await?;
        self.work().await?;
        self.spent("retraining", began);
        self.tell().await?;
        (self.show)(Event::Clock { now, summary: &self.summary });
        Ok(())
    }

    fn spent(&mut self, phase: &'static str, began: Instant) {
        *self.seconds.entry(phase).or_default() += began.elapsed().as_secs_f64();
    }

    async fn approve_what_waits(&self) -> Result<()> {
        let ctx = self.workspace.ctx(self.plan.approver.clone(), "replay");
        for (version, _) in self.workspace.waiting_for_approval(&self.plan.model).await? {
            self.workspace.decide(&ctx, &self.plan.model, version, Decision::grant("reviewed the evaluation report")).await?;
        }
        Ok(())
    }

    /// Runs steps until none can go on.
    async fn work(&self) -> Result<()> {
        self.workspace.work_until_idle().await
    }

    /// Turns new ledger entries into lines and milestones.
    async fn tell(&mut self) -> Result<()> {
        for entry in self.workspace.entries_after(self.last_entry).await? {
            self.last_entry = entry.seq;
            let Some(milestone) = crate::milestone::of_entry(&entry, &self.plan.model) else { continue };
            (self.show)(Event::Line(&format!("{}  {:<12} {}", milestone.at.date_text(), milestone.what, milestone.detail)));
            self.milestones.push(milestone);
        }
        let endpoint = self.workspace.serving().endpoint(self.plan.model.as_str());
        self.summary = match endpoint {
            Ok(endpoint) => format!("{} predictions, {}", self.n_predictions, endpoint.routes().deployment().routing.champion),
            Err(_) => "no version yet".to_owned(),
        };
        Ok(())
    }

    async fn examples(&self) -> Result<TableVersion> {
        let table = TableId::new(Area::Data, self.model.predicts.from.clone());
        let current = TableVersion::current(self.workspace.engine(), &table).await?;
        current.ok_or_else(|| {
            NO_EXAMPLES.error(format!("table `{table}` has no version")).hint("no file has landed by the start of the replay")
        })
    }
}
