//! One turn of the loop: what the platform looks at again and again once a model is in production.
//!
//! Answers reach their table, a canary is judged by its labels, monitors look at the windows that have ended, and each request
//! for a retraining starts exactly one run.

mod answers;
mod canary;
mod monitors;

pub use answers::answers;

use std::time::Duration;

use lw_core::{Ctx, Result, Span};
use lw_monitoring::{RETRAIN_TOPIC, RetrainRequest};
use lw_pipelines::Start;
use serde_json::json;

use crate::definition::ModelDefinition;
use crate::failures::UNKNOWN_MODEL;
use crate::project::Project;
use crate::workspace::Workspace;
use crate::{features, freshness};

/// How often a server brings endpoints and online features up to date.
const PACE: Duration = Duration::from_secs(5);
/// How often, in turns of that pace, it delivers answers to their table and looks at canaries and monitors. Each look is a commit
/// and a file of each table with new answers.
const LOOK: u32 = 6;
const CLAIM: u64 = 100;
const CLAIM_LEASE: Span = Span::from_secs(60);

impl Workspace {
    /// Turns the loop once for every deployed model of a project. A model that fails does not hold up the others.
    pub async fn tick(&self, project: &Project) -> Result<()> {
        let mut first_error = None;
        for file in project.models.values() {
            if let Err(error) = self.turn_model(project, &file.value).await {
                tracing::error!(?error, model = %file.value.model, "The loop of `{}` cannot turn: {error}", file.value.model);
                first_error.get_or_insert(error);
            }
        }
        freshness::watch(self, project).await?;
        self.start_retrainings().await?;
        first_error.map_or(Ok(()), Err)
    }

    async fn turn_model(&self, project: &Project, model: &ModelDefinition) -> Result<()> {
        let Ok(endpoint) = self.serving().endpoint(model.model.as_str()) else {
            return Ok(());
        };
        let deployment = endpoint.routes().deployment().clone();
        canary::judge(self, model, &deployment).await?;
        monitors::watch(self, project, model, &deployment).await
    }

    /// Starts one run for each request that monitors have made, whatever crashes in between. A request that cannot be met does not
    /// hold up the others: it is tried again when its claim ends, unless its model is gone.
    async fn start_retrainings(&self) -> Result<()> {
        let ctx = self.own_ctx("monitor");
        let messages = self.store().write(&ctx, |tx| tx.outbox_claim(RETRAIN_TOPIC, CLAIM, CLAIM_LEASE)).await?;
        let mut first_error = None;
        for message in messages {
            let key = message.dedupe_key.clone();
            match self.start_retraining(&ctx, &message.payload).await {
                Ok(()) => self.store().write(&ctx, move |tx| tx.outbox_done(&message)).await?,
                Err(error) => {
                    tracing::error!(?error, request = %key, "A retraining cannot be started now: {error}");
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    async fn start_retraining(&self, ctx: &Ctx, payload: &serde_json::Value) -> Result<()> {
        let request: RetrainRequest = match serde_json::from_value(payload.clone()) {
            Ok(request) => request,
            Err(error) => {
                tracing::error!("Dropped a request for a retraining that is none: {error}");
                return Ok(());
            }
        };
        let start = Start {
            cause: format!("monitor:{}", request.monitor),
            dedupe_key: Some(request.dedupe_key()),
            params: json!({ "request": request }),
        };
        match self.start_model(ctx, &request.model, start).await {
            Err(error) if error.is(UNKNOWN_MODEL) => {
                tracing::warn!(model = %request.model, "Dropped a request to retrain `{}`, which the project no longer has", request.model);
                Ok(())
            }
            started => started.map(drop),
        }
    }

    /// Turns the loop in the background until the workspace is closed: online features, answers, canaries, monitors, triggers.
    pub fn start_loop(&self) {
        let workspace = self.clone();
        self.keep(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(PACE);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for n_turns in (0..LOOK).cycle() {
                ticks.tick().await;
                if let Err(error) = workspace.turn(n_turns == 0).await {
                    tracing::error!(?error, "The loop cannot turn: {error}");
                }
            }
        }));
    }

    async fn turn(&self, is_look: bool) -> Result<()> {
        let _ = self.serving().sync().await?;
        if is_look {
            // Spans come with or without a project.
            self.traces().deliver(&self.own_ctx("spans")).await?;
        }
        let Some(running) = crate::state::running(self.store(), self.artifacts()).await? else {
            return Ok(());
        };
        features::materialize(self, &self.own_ctx("materializer"), &running.project, None).await?;
        if is_look {
            self.serving().deliver().await?;
            self.tick(&running.project).await?;
        }
        Ok(())
    }
}
