//! Lineage: what a version was made from, and what was made from it.

use axum::extract::State;
use lw_core::Subject;
use lw_governance::{Budget, Direction, LineageEdge, LineageNode};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::body::Query;
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/lineage", Action::Read, "ledger", lineage).summary(
            "What a version was made from, or what was made from it; ?subject=KIND/NAME[@VERSION]&direction=upstream|downstream&depth=N&limit=N",
        ),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineageQuery {
    subject: String,
    direction: Option<Direction>,
    depth: Option<u32>,
    limit: Option<usize>,
}

const MAX_DEPTH: u32 = 100;
const MAX_NODES: usize = 10_000;
const STANDARD_NODES: usize = 1000;
/// Edges in an answer for each version in it.
const EDGES_PER_NODE: usize = 4;

#[derive(Serialize)]
struct NodeView {
    #[serde(flatten)]
    node: LineageNode,
    text: String,
}

#[derive(Serialize)]
struct EdgeView {
    from: String,
    to: String,
    action: String,
    role: String,
    seq: u64,
}

#[derive(Serialize)]
struct LineageView {
    subject: String,
    direction: Direction,
    /// False if depth or limit ended the walk.
    complete: bool,
    nodes: Vec<NodeView>,
    edges: Vec<EdgeView>,
}

async fn lineage(State(app): State<App>, Query(query): Query<LineageQuery>) -> Answer<axum::Json<impl Serialize>> {
    let subject = Subject::parse(&query.subject)?;
    let direction = query.direction.unwrap_or(Direction::Upstream);
    let n_nodes = query.limit.unwrap_or(STANDARD_NODES).clamp(1, MAX_NODES);
    let budget =
        Budget { depth: query.depth.unwrap_or(Budget::WIDE.depth).min(MAX_DEPTH), n_nodes, n_edges: EDGES_PER_NODE * n_nodes };
    let found = lw_governance::lineage(app.store(), &subject, direction, budget).await?;
    let node = |node: LineageNode| NodeView { text: node.subject.to_string(), node };
    let edge = |edge: LineageEdge| EdgeView {
        from: edge.from.to_string(),
        to: edge.to.to_string(),
        action: edge.action,
        role: edge.role,
        seq: edge.seq,
    };
    Ok(axum::Json(LineageView {
        subject: subject.to_string(),
        direction,
        complete: found.is_complete,
        nodes: found.nodes.into_iter().map(node).collect(),
        edges: found.edges.into_iter().map(edge).collect(),
    }))
}
