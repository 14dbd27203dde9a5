//! Scorers. They are kept and handed out; the client runs them.

use axum::extract::State;
use axum::{Extension, Json};
use lw_core::Ctx;
use lw_search::{Entity, Grammar, parse_filter};
use lw_traces::{Sampling, Scorer};
use lw_tracking::ExperimentId;
use serde_json::{Value, json};

use crate::face::Face;
use crate::message::{Fields, Message};
use crate::refusal::{Answer, Refusal};
use crate::route::{Route, both};
use crate::traces::{experiments, owned, required_list};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(both!(POST "3.0/mlflow/scorers/register", Write, "scorer", register));
    routes.extend(both!(GET "3.0/mlflow/scorers/list", Read, "scorer", list));
    routes.extend(both!(GET "3.0/mlflow/scorers/versions", Read, "scorer", versions));
    routes.extend(both!(GET "3.0/mlflow/scorers/get", Read, "scorer", get));
    routes.extend(both!(DELETE "3.0/mlflow/scorers/delete", Write, "scorer", remove));
    routes.extend(both!(GET "3.0/mlflow/scorers/online-configs", Read, "scorer", samplings));
    routes.extend(both!(PUT "3.0/mlflow/scorers/online-config", Write, "scorer", sample));
    routes
}

/// The experiment and the name that nearly every request has.
fn named<'a>(fields: &Fields<'a>) -> Answer<(ExperimentId, &'a str)> {
    let experiment = fields.required_text("experiment_id")?;
    let name = fields.required_text("name")?;
    Ok((ExperimentId::parse(experiment)?, name))
}

fn version(fields: &Fields<'_>) -> Answer<Option<u64>> {
    // No scorer has a version below 1, so that one is not found.
    Ok(fields.integer("version")?.map(|version| u64::try_from(version).unwrap_or_default()))
}

async fn register(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let (experiment, name) = named(&fields)?;
    let scorer = face.traces()?.register_scorer(&ctx, experiment, name, fields.required_text("serialized_scorer")?).await?;
    Ok(Json(json!({
        "version": scorer.version,
        "scorer_id": scorer.id,
        "experiment_id": scorer.experiment.to_string(),
        "name": scorer.name,
        "serialized_scorer": scorer.definition,
        "creation_time": scorer.created_at.millis(),
    })))
}

async fn list(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let one = fields.text("experiment_id")?.filter(|id| !id.is_empty());
    let many = fields.get("experiment_ids").map(|_| fields.texts("experiment_ids")).transpose()?;
    let traces = face.traces()?;
    let scorers = match (one, many) {
        (Some(_), Some(_)) => {
            return Err(Refusal::invalid(
                "Cannot specify both 'experiment_id' and 'experiment_ids'. Use 'experiment_ids' to scope the query to multiple \
                 experiments, or 'experiment_id' to scope it to a single experiment.",
            ));
        }
        (Some(one), None) => traces.scorers_of(ExperimentId::parse(one)?).await?,
        (None, Some(many)) => traces.scorers(Some(experiments(many)?)).await?,
        (None, None) => traces.scorers(None).await?,
    };
    Ok(Json(listed(&scorers)))
}

async fn versions(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let (experiment, name) = named(&fields)?;
    Ok(Json(listed(&face.traces()?.scorer_versions(experiment, name).await?)))
}

async fn get(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let (experiment, name) = named(&fields)?;
    let scorer = face.traces()?.scorer(experiment, name, version(&fields)?).await?;
    Ok(Json(json!({"scorer": wire(&scorer)})))
}

async fn remove(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let (experiment, name) = named(&fields)?;
    face.traces()?.remove_scorer(&ctx, experiment, name, version(&fields)?).await?;
    Ok(Json(json!({})))
}

async fn samplings(State(face): State<Face>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let scorers = owned(required_list(&fields, "scorer_ids")?);
    let found = face.traces()?.samplings(scorers).await?;
    Ok(Json(json!({"configs": found.iter().map(wire_sampling).collect::<Vec<_>>()})))
}

async fn sample(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answer<Json<Value>> {
    let fields = message.fields();
    let (experiment, name) = named(&fields)?;
    let rate = fields.required_number("sample_rate")?;
    let filter = fields.text("filter_string")?.filter(|filter| !filter.is_empty());
    // One that cannot be read would be found out when the first trace comes.
    parse_filter(Entity::Trace, Grammar::Mlflow, filter.unwrap_or_default())?;
    let sampling = face.traces()?.sample(&ctx, experiment, name, rate, filter.map(str::to_owned)).await?;
    Ok(Json(json!({"config": wire_sampling(&sampling)})))
}

fn listed(scorers: &[Scorer]) -> Value {
    if scorers.is_empty() { json!({}) } else { json!({"scorers": scorers.iter().map(wire).collect::<Vec<_>>()}) }
}

fn wire(scorer: &Scorer) -> Value {
    json!({
        "experiment_id": scorer.experiment.number(),
        "scorer_name": scorer.name,
        "scorer_version": scorer.version,
        "serialized_scorer": scorer.definition,
        "creation_time": scorer.created_at.millis(),
        "scorer_id": scorer.id,
    })
}

fn wire_sampling(sampling: &Sampling) -> Value {
    let mut wire = json!({
        "online_scoring_config_id": sampling.id,
        "scorer_id": sampling.scorer,
        "sample_rate": sampling.sample_rate,
        "experiment_id": sampling.experiment.to_string(),
    });
    if let Some(filter) = &sampling.filter {
        wire["filter_string"] = json!(filter);
    }
    wire
}
