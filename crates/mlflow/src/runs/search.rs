//! `runs/search`.

use axum::extract::{Extension, State};
use axum::response::Response;
use lw_core::Ctx;
use lw_search::{Entity, Grammar, PageToken, parse_filter, parse_order_by};
use lw_tracking::{ExperimentId, Projection, RunSearch};
use serde::Serialize;

use super::document::RunDocument;
use crate::document::json;
use crate::experiments::{MOST_RESULTS, checked_limit, view_of};
use crate::refusal::Answer;
use crate::{Face, Message};

const DEFAULT_RESULTS: i64 = 1000;

#[derive(Serialize)]
struct Page<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<RunDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

pub(crate) async fn search(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Response> {
    let fields = message.fields();
    let experiments = fields.texts("experiment_ids")?;
    let filter = fields.text("filter")?.unwrap_or_default();
    let max_results = fields.integer("max_results")?.unwrap_or(DEFAULT_RESULTS);
    if max_results > MOST_RESULTS {
        return Err(fields.mistyped("max_results", &max_results.into()));
    }
    let order_by = fields.texts("order_by")?;
    let view = view_of(&fields, "run_view_type")?;
    let token = fields.text("page_token")?.unwrap_or_default();
    let limit = checked_limit(max_results)?;
    let filter = parse_filter(Entity::Run, Grammar::Mlflow, filter)?;
    let order_by = parse_order_by(Entity::Run, &order_by)?;
    let offset = PageToken::decode(token)?.offset;
    let experiments = experiments.into_iter().map(ExperimentId::parse).collect::<lw_core::Result<Vec<_>>>()?;
    let search = RunSearch { experiments, filter, order_by, view, limit, offset, projection: Projection::All };
    let found = face.ready_tracking(&ctx).await?.search_runs(search).await?;
    Ok(json(&Page {
        runs: found.items.iter().map(RunDocument::of).collect(),
        next_page_token: found.next_offset.map(|offset| PageToken { offset }.encode()),
    }))
}
