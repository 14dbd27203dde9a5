//! Tracked runs: search with OR, NOT, parentheses and BETWEEN, and with a choice of what comes back.

use std::collections::BTreeMap;

use axum::extract::State;
use lw_search::{Entity, Grammar, PageToken, parse_filter, parse_order_by};
use lw_tracking::{ExperimentId, Projection, RunData, RunSearch, Tracking, View};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::body::Json;
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![Route::post("/api/v1/runs/search", Action::Read, "run", search).summary(
        "Tracked runs that match a filter; {\"experiments\": [NAME or ID], \"filter\", \"order_by\", \"view\", \"limit\", \"page_token\", \
         \"metrics\", \"params\", \"tags\"}",
    )]
}

const STANDARD_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Names or ids; all active experiments if left out.
    experiments: Option<Vec<String>>,
    /// Such as `metrics.auc > 0.7 AND (params.depth = '3' OR NOT tags.stage = 'test')`.
    #[serde(default)]
    filter: String,
    /// Such as `metrics.auc DESC`; then newest first.
    #[serde(default)]
    order_by: Vec<String>,
    #[serde(default)]
    view: ViewName,
    limit: Option<u64>,
    #[serde(default)]
    page_token: String,
    /// If one of these is given, runs come back with what the three name and nothing else of what they logged.
    metrics: Option<Vec<String>>,
    params: Option<Vec<String>>,
    tags: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum ViewName {
    #[default]
    Active,
    Deleted,
    All,
}

#[derive(Serialize)]
struct RunView {
    #[serde(flatten)]
    run: lw_tracking::Run,
    params: BTreeMap<String, String>,
    /// The latest value of each metric; not-a-number as null.
    metrics: BTreeMap<String, f64>,
    tags: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Page {
    items: Vec<RunView>,
    next_page_token: Option<String>,
}

impl RunView {
    fn of(data: RunData) -> Self {
        let metrics = data.metrics.into_iter().map(|(key, point)| (key, point.value)).collect();
        Self { run: data.run, params: data.params, metrics, tags: data.tags }
    }
}

async fn search(State(app): State<App>, Json(request): Json<Request>) -> Answer<axum::Json<Page>> {
    let tracking = Tracking::new(app.store().clone());
    let projection = match (request.metrics, request.params, request.tags) {
        (None, None, None) => Projection::All,
        (metrics, params, tags) => Projection::Only {
            metrics: metrics.unwrap_or_default(),
            params: params.unwrap_or_default(),
            tags: tags.unwrap_or_default(),
        },
    };
    let search = RunSearch {
        experiments: experiments(&tracking, request.experiments).await?,
        filter: parse_filter(Entity::Run, Grammar::Native, &request.filter)?,
        order_by: parse_order_by(Entity::Run, &request.order_by)?,
        view: match request.view {
            ViewName::Active => View::Active,
            ViewName::Deleted => View::Deleted,
            ViewName::All => View::All,
        },
        limit: request.limit.unwrap_or(STANDARD_LIMIT).clamp(1, MAX_LIMIT),
        offset: PageToken::decode(&request.page_token)?.offset,
        projection,
    };
    let found = tracking.search_runs(search).await?;
    let next_page_token = found.next_offset.map(|offset| PageToken { offset }.encode());
    Ok(axum::Json(Page { items: found.items.into_iter().map(RunView::of).collect(), next_page_token }))
}

/// A name is taken before an id, so that an experiment named `7` can be asked for.
async fn experiments(tracking: &Tracking, asked: Option<Vec<String>>) -> lw_core::Result<Vec<ExperimentId>> {
    let Some(asked) = asked else {
        let active = tracking.experiments(Some(lw_tracking::Lifecycle::Active), None, u64::MAX).await?;
        return Ok(active.into_iter().map(|experiment| experiment.id).collect());
    };
    let mut ids = Vec::with_capacity(asked.len());
    for text in asked {
        ids.push(match tracking.experiment_by_name(&text).await {
            Ok(experiment) => experiment.id,
            Err(by_name) => match ExperimentId::parse(&text) {
                Ok(id) => tracking.experiment(id).await?.id,
                Err(_) => return Err(by_name),
            },
        });
    }
    Ok(ids)
}
