//! Online features of entities, as an endpoint would read them.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use lw_core::{Ctx, DataType, Error, Field, Name, Result, Scalar, Timestamp};
use lw_features::{Lookup, OnlineView, RegisteredView, find_view};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::body::Json;
use crate::failures::INVALID_BODY;
use crate::problem::Answer;
use crate::route::{Action, Route};

/// Entities of one request.
const MAX_ENTITIES: usize = 10_000;

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/feature-views/{view}/lookup", Action::Read, "feature_view", lookup)
            .summary("The online features of entities: {entities: [{column: value}], at: TIME?}"),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LookupBody {
    entities: Vec<Map<String, Value>>,
    /// The time of the prediction that the features would be for; now if left out.
    at: Option<Timestamp>,
}

async fn lookup(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Path(view): Path<String>,
    Json(body): Json<LookupBody>,
) -> Answer<axum::Json<Value>> {
    if body.entities.len() > MAX_ENTITIES {
        let error = INVALID_BODY.error(format!("{} entities are asked for; at most {MAX_ENTITIES} are", body.entities.len()));
        return Err(error.hint("ask in several requests").into());
    }
    let view = find_view(app.store(), &Name::parse(&view)?, None).await?;
    let online = OnlineView::new(Arc::clone(app.workspace()?.online()), &view);
    let at = body.at.unwrap_or(ctx.now());
    let mut features = vec![Scalar::Null; online.features().len()];
    let mut items = Vec::with_capacity(body.entities.len());
    for entity in &body.entities {
        let found = online.lookup(&key_parts(&view, entity)?, at, &mut features)?;
        items.push(item(online.features(), &features, found));
    }
    Ok(axum::Json(json!({ "view": view.name(), "version": view.version, "at": at, "items": items })))
}

fn item(fields: &[Field], values: &[Scalar], found: Lookup) -> Value {
    let features: Map<String, Value> =
        fields.iter().zip(values).map(|(field, value)| (field.name.clone(), json!(value))).collect();
    let (state, event) = match found {
        Lookup::Found { event } => ("found", Some(event)),
        Lookup::Expired { event } => ("expired", Some(event)),
        Lookup::Missing => ("missing", None),
    };
    json!({ "state": state, "event_time": event, "features": features })
}

/// The parts of an entity's key in the view's order. A part may be null: then there is no such entity.
fn key_parts(view: &RegisteredView, entity: &Map<String, Value>) -> Result<Vec<Scalar>> {
    let columns = || view.entity.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(surplus) = entity.keys().find(|name| view.entity.iter().all(|part| part.name != **name)) {
        return Err(INVALID_BODY
            .error(format!("`{}` is no part of the entity of `{}`", surplus.escape_debug(), view.name()))
            .hint(format!("give {}", columns())));
    }
    let part = |part: &Field| {
        let value = entity.get(&part.name).ok_or_else(|| {
            INVALID_BODY
                .error(format!("an entity of `{}` lacks `{}`", view.name(), part.name))
                .hint(format!("give {}", columns()))
        })?;
        key_part(part, value)
    };
    view.entity.iter().map(part).collect()
}

fn key_part(part: &Field, value: &Value) -> Result<Scalar> {
    let mistyped = || -> Error {
        INVALID_BODY
            .error(format!("`{}` is {}, and {value} is not", part.name, part.data_type))
            .hint("integers and booleans are written plainly, texts in quotes, times like \"2024-06-15T00:00:00Z\"")
    };
    match (part.data_type, value) {
        (_, Value::Null) => Ok(Scalar::Null),
        (DataType::String, Value::String(text)) => Ok(text.clone().into()),
        (DataType::Int32 | DataType::Int64, Value::Number(number)) => number.as_i64().map(Scalar::Int).ok_or_else(mistyped),
        (DataType::Boolean, Value::Bool(value)) => Ok(Scalar::Bool(*value)),
        (DataType::Timestamp, Value::String(text)) => Timestamp::parse(text).map(Scalar::Time).map_err(|_| mistyped()),
        _ => Err(mistyped()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(data_type: DataType, value: Value, want: Option<Scalar>) {
        let part = Field { name: "id".to_owned(), data_type, nullable: false };
        assert_eq!(key_part(&part, &value).ok(), want, "{data_type} {value}");
    }

    #[test]
    fn parts_of_keys_keep_their_types() {
        check(DataType::String, json!("a"), Some(Scalar::Text("a".to_owned())));
        check(DataType::String, json!(1), None);
        check(DataType::Int64, json!(7), Some(Scalar::Int(7)));
        check(DataType::Int64, json!(7.5), None);
        check(DataType::Int32, json!("7"), None);
        check(DataType::Boolean, json!(true), Some(Scalar::Bool(true)));
        check(DataType::Timestamp, json!("1970-01-01T00:00:01Z"), Some(Scalar::Time(Timestamp::from_micros(1_000_000))));
        check(DataType::Timestamp, json!("yesterday"), None);
        check(DataType::String, Value::Null, Some(Scalar::Null));
    }
}
