//! An endpoint: the versions that answer, switched at once, and the way of a request through them.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use arrow::array::ArrayRef;
use lw_core::{Ctx, Error, Name, Result, Timestamp};
use prometheus_client::metrics::counter::Counter;

use crate::failures::INVALID_BUNDLE;
use crate::features::LookupGap;
use crate::log::{LogRecord, PredictionLog, ScoredRows};
use crate::metrics::{EndpointMetrics, ServingMetrics};
use crate::predictions::{Answerer, Predictions};
use crate::routing::Split;
use crate::scorer::{Scored, Scorer};
use crate::shadow::ShadowWorker;
use crate::{Deployment, RequestSchema, Role, Rows, Served};

/// A place that answers predictions. Requests read the standing routes without a lock; a switch replaces them at once, and
/// requests under way finish on the routes they began with.
pub struct Endpoint {
    name: Name,
    routes: ArcSwap<Routes>,
    log: Arc<PredictionLog>,
    metrics: EndpointMetrics,
    shadows: ShadowWorker,
}

/// One generation of an endpoint, ready to answer. Immutable.
pub struct Routes {
    deployment: Deployment,
    request: Arc<RequestSchema>,
    champion: Route,
    canary: Option<(Split, Route)>,
    shadows: Vec<Route>,
}

/// A version in its role.
pub(crate) struct Route {
    scorer: Arc<Scorer>,
    role: Role,
    /// Positions of the version's request fields in the endpoint's request.
    fields: Vec<usize>,
    predictions: Counter,
    n_answered: AtomicU64,
    n_failed: AtomicU64,
}

/// How a version has fared since it was deployed in its role, for the rollout rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    pub served: Served,
    pub role: Role,
    pub n_answered: u64,
    pub n_failed: u64,
}

impl Routes {
    /// Puts loaded versions into the roles of a deployment. `scorers` come in the order of [`crate::Routing::parts`].
    pub fn new(deployment: Deployment, scorers: &[Arc<Scorer>], metrics: &ServingMetrics) -> Result<Self> {
        let parts: Vec<(Role, &Served)> = deployment.routing.parts().collect();
        let is_fitting =
            parts.len() == scorers.len() && parts.iter().zip(scorers).all(|((_, served), scorer)| *served == scorer.served());
        if !is_fitting {
            return Err(INVALID_BUNDLE.error(format!("the loaded versions are not those of {}", deployment.subject())));
        }
        let bundles = |answers: bool| {
            let wanted = move |role: Role| (role != Role::Shadow) == answers;
            parts.iter().zip(scorers).filter(move |((role, _), _)| wanted(*role)).map(|(_, scorer)| scorer.bundle())
        };
        let request = Arc::new(RequestSchema::union(bundles(true), bundles(false))?);
        let mut routes = Vec::with_capacity(parts.len());
        for ((role, served), scorer) in parts.iter().zip(scorers) {
            routes.push(Route::new(*role, scorer, &request, metrics.predictions(&deployment.endpoint, served, *role))?);
        }
        let mut routes = routes.into_iter();
        let champion = routes.next().ok_or_else(|| Error::bug("a routing has no champion"))?;
        let split = deployment.routing.canary.as_ref().map(Split::new);
        let canary = split.and_then(|split| Some((split, routes.next()?)));
        let shadows = routes.collect();
        Ok(Self { deployment, request, champion, canary, shadows })
    }

    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// What a request may and must hold.
    pub fn request(&self) -> &Arc<RequestSchema> {
        &self.request
    }

    /// The champion's loaded version.
    pub fn champion(&self) -> &Scorer {
        &self.champion.scorer
    }

    pub(crate) fn shadows(&self) -> &[Route] {
        &self.shadows
    }

    fn all(&self) -> impl Iterator<Item = &Route> {
        std::iter::once(&self.champion).chain(self.canary.iter().map(|(_, route)| route)).chain(&self.shadows)
    }
}

impl Route {
    fn new(role: Role, scorer: &Arc<Scorer>, request: &RequestSchema, predictions: Counter) -> Result<Self> {
        let position = |field: &crate::RequestField| {
            request.position(&field.name).ok_or_else(|| Error::bug(format!("field `{}` is not in the request", field.name)))
        };
        let fields = scorer.bundle().request.iter().map(position).collect::<Result<_>>()?;
        let scorer = Arc::clone(scorer);
        Ok(Self { scorer, role, fields, predictions, n_answered: AtomicU64::new(0), n_failed: AtomicU64::new(0) })
    }

    /// Scores rows and counts them.
    pub(crate) fn score(&self, rows: &Rows, at: Timestamp) -> Result<Scored> {
        let columns: Vec<ArrayRef> = self.fields.iter().filter_map(|index| rows.columns().get(*index).cloned()).collect();
        let scored = self.scorer.score(&columns, rows.len(), at);
        let n_rows = rows.len() as u64;
        match &scored {
            Ok(_) => {
                self.predictions.inc_by(n_rows);
                self.n_answered.fetch_add(n_rows, Ordering::Relaxed);
            }
            Err(_) => {
                self.n_failed.fetch_add(n_rows, Ordering::Relaxed);
            }
        }
        scored
    }

    pub(crate) fn record(&self, rows: &Rows, scored: &Scored, at: Timestamp, started: Instant, request_id: &str) -> LogRecord {
        let (header, layout_number) = self.scorer.layout();
        let scored_rows = ScoredRows {
            layout: layout_number,
            role: self.role,
            at,
            latency_us: u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX),
            request_id,
            ids: rows.ids(),
            scores: &scored.scores,
            columns: &scored.logged,
        };
        // A request has at most 10,000 rows.
        let n_rows = scored.scores.len() as u32;
        LogRecord::new(&scored_rows.encode(), n_rows).behind(header)
    }

    pub(crate) fn served(&self) -> &Served {
        self.scorer.served()
    }

    fn answerer(&self) -> Answerer {
        Answerer { served: self.scorer.served().clone(), role: self.role, output: self.scorer.bundle().output }
    }
}

impl Endpoint {
    pub fn new(name: Name, routes: Routes, log: Arc<PredictionLog>, metrics: &ServingMetrics) -> Self {
        let metrics = metrics.endpoint(&name);
        let shadows = ShadowWorker::start(&name, Arc::clone(&log), metrics.unshadowed.clone());
        Self { name, routes: ArcSwap::from_pointee(routes), log, metrics, shadows }
    }

    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The generation that answers now. A request reads its fields by it and is answered by it, whatever is switched meanwhile.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// Puts another generation in place. Older ones never replace newer ones.
    pub fn switch(&self, routes: Routes) {
        let new = Arc::new(routes);
        self.routes.rcu(|standing| {
            let is_newer = new.deployment.generation > standing.deployment.generation;
            if is_newer { Arc::clone(&new) } else { Arc::clone(standing) }
        });
    }

    pub fn log(&self) -> &Arc<PredictionLog> {
        &self.log
    }

    /// Counts a request that failed before it reached [`Endpoint::predict`], such as one that could not be read.
    pub fn failed(&self, error: &Error) {
        self.metrics.requests.inc();
        self.metrics.failed(error.code());
    }

    /// How each version has fared in the standing generation.
    pub fn tallies(&self) -> Vec<Tally> {
        let tally = |route: &Route| Tally {
            served: route.served().clone(),
            role: route.role,
            n_answered: route.n_answered.load(Ordering::Relaxed),
            n_failed: route.n_failed.load(Ordering::Relaxed),
        };
        self.routes.load().all().map(tally).collect()
    }

    /// Waits until every shadow has scored and every answer is on disk.
    pub async fn flush(&self) -> Result<()> {
        self.shadows.flush().await;
        self.log.flush().await
    }

    /// Reads a JSON body and answers it.
    pub fn predict_json(&self, ctx: &Ctx, body: &[u8]) -> Result<Predictions> {
        let routes = self.routes();
        let rows = Rows::from_json(routes.request(), body).inspect_err(|error| self.failed(error))?;
        self.predict(ctx, &routes, rows)
    }

    /// Answers rows that were read for `routes`. The time of the prediction is the clock's.
    pub fn predict(&self, ctx: &Ctx, routes: &Arc<Routes>, rows: Rows) -> Result<Predictions> {
        let started = Instant::now();
        self.metrics.requests.inc();
        let answered = self.answer(ctx, routes, rows, started);
        match &answered {
            Ok(_) => self.metrics.latency.observe(started.elapsed()),
            Err(error) => self.metrics.failed(error.code()),
        }
        answered
    }

    fn answer(&self, ctx: &Ctx, routes: &Arc<Routes>, mut rows: Rows, started: Instant) -> Result<Predictions> {
        if !Arc::ptr_eq(rows.schema(), &routes.request) {
            return Err(Error::bug("rows were read for another generation of the endpoint"));
        }
        let at = ctx.now();
        let reservation = self.log.reserve(rows.len())?;
        rows.name_all(&ctx.request_id);
        let mut answer = Answer::new(rows.len());
        for (route, indices) in split(routes, &rows) {
            let part = match &indices {
                Some(indices) => Cow::Owned(rows.take(indices)?),
                None => Cow::Borrowed(&rows),
            };
            let (route, scored) = self.score_or_fall_back(routes, route, &part, at)?;
            answer.records.push(route.record(&part, &scored, at, started, &ctx.request_id));
            answer.add(route, scored, indices.as_deref());
        }
        reservation.append(&answer.records)?;
        if !routes.shadows.is_empty() {
            self.shadows.submit(Arc::clone(routes), rows.clone(), at, &ctx.request_id);
        }
        Ok(Predictions {
            endpoint: self.name.clone(),
            generation: routes.deployment.generation,
            ids: rows.into_ids(),
            scores: answer.scores,
            by: answer.by,
            answered_by: answer.answered_by,
            lookups: answer.lookups,
        })
    }

    /// A canary that fails costs nobody an answer: the champion gives it, and the failure counts against the canary.
    fn score_or_fall_back<'a>(
        &self,
        routes: &'a Routes,
        route: &'a Route,
        rows: &Rows,
        at: Timestamp,
    ) -> Result<(&'a Route, Scored)> {
        match route.score(rows, at) {
            Ok(scored) => Ok((route, scored)),
            Err(error) if route.role == Role::Canary => {
                self.metrics.failed(error.code());
                tracing::warn!(endpoint = %self.name, version = %route.served(), ?error, "Canary {} failed; the champion answers", route.served());
                Ok((&routes.champion, routes.champion.score(rows, at)?))
            }
            Err(error) => Err(error),
        }
    }
}

/// Which route answers which rows. None stands for all of them.
fn split<'a>(routes: &'a Routes, rows: &Rows) -> Vec<(&'a Route, Option<Vec<u32>>)> {
    let Some((split, canary)) = &routes.canary else {
        return vec![(&routes.champion, None)];
    };
    let takes = |index: &u32| rows.ids().get(*index as usize).and_then(Option::as_deref).is_some_and(|id| split.takes(id));
    // A request has at most 10,000 rows.
    let (to_canary, to_champion): (Vec<u32>, Vec<u32>) = (0..rows.len() as u32).partition(takes);
    match (to_champion.is_empty(), to_canary.is_empty()) {
        (_, true) => vec![(&routes.champion, None)],
        (true, _) => vec![(canary, None)],
        _ => vec![(&routes.champion, Some(to_champion)), (canary, Some(to_canary))],
    }
}

/// The answer as it comes together.
struct Answer {
    scores: Vec<f64>,
    by: Vec<u8>,
    answered_by: Vec<Answerer>,
    records: Vec<LogRecord>,
    lookups: Vec<LookupGap>,
}

impl Answer {
    fn new(n_rows: usize) -> Self {
        Self {
            scores: vec![0.0; n_rows],
            by: vec![0; n_rows],
            answered_by: Vec::with_capacity(1),
            records: Vec::with_capacity(1),
            lookups: Vec::new(),
        }
    }

    fn add(&mut self, route: &Route, scored: Scored, indices: Option<&[u32]>) {
        let Scored { scores, gaps, .. } = scored;
        gaps.into_iter().for_each(|gap| gap.merge(&mut self.lookups));
        // Champion and canary: at most two parts.
        let number = self.answered_by.len() as u8;
        self.answered_by.push(route.answerer());
        let Some(indices) = indices else {
            self.scores = scores;
            self.by.fill(number);
            return;
        };
        for (index, score) in indices.iter().zip(scores) {
            if let (Some(slot), Some(by)) = (self.scores.get_mut(*index as usize), self.by.get_mut(*index as usize)) {
                (*slot, *by) = (score, number);
            }
        }
    }
}
