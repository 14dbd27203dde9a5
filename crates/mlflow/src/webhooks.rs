//! Webhooks, as MLflow's clients manage them.

use axum::extract::{Extension, Path, State};
use lw_core::Ctx;
use lw_registry::{Attempt, EventKind, NewWebhook, Webhook, WebhookStatus, WebhookUpdate};
use lw_search::PageToken;
use serde_json::{Value, json};

use crate::face::Face;
use crate::message::{Fields, Message};
use crate::refusal::{Answer, Refusal};
use crate::registry_answer::{About, milliseconds};
use crate::route::{Route, both};

type Answered = Answer<axum::Json<Value>>;

pub(crate) fn routes() -> Vec<Route> {
    [
        both!(POST "2.0/mlflow/webhooks", Administer, "webhook", create),
        both!(GET "2.0/mlflow/webhooks", Administer, "webhook", list),
        both!(GET "2.0/mlflow/webhooks/{webhook_id}", Administer, "webhook", get),
        both!(PATCH "2.0/mlflow/webhooks/{webhook_id}", Administer, "webhook", update),
        both!(DELETE "2.0/mlflow/webhooks/{webhook_id}", Administer, "webhook", delete),
        both!(POST "2.0/mlflow/webhooks/{webhook_id}/test", Administer, "webhook", test),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn shown(webhook: &Webhook) -> Value {
    let event =
        |kind: &EventKind| json!({"entity": kind.entity().to_ascii_uppercase(), "action": kind.action().to_ascii_uppercase()});
    let mut answer = json!({
        "webhook_id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "events": webhook.events.iter().map(event).collect::<Vec<_>>(),
        "status": webhook.status.name(),
        "creation_timestamp": milliseconds(webhook.created_at),
        "last_updated_timestamp": milliseconds(webhook.updated_at),
    });
    if !webhook.description.is_empty() {
        answer["description"] = webhook.description.as_str().into();
    }
    answer
}

fn refusal(error: lw_core::Error) -> Refusal {
    About::default().refusal(error)
}

const ENTITIES: [&str; 11] = [
    "ENTITY_UNSPECIFIED",
    "REGISTERED_MODEL",
    "MODEL_VERSION",
    "MODEL_VERSION_TAG",
    "MODEL_VERSION_ALIAS",
    "PROMPT",
    "PROMPT_VERSION",
    "PROMPT_TAG",
    "PROMPT_VERSION_TAG",
    "PROMPT_ALIAS",
    "BUDGET_POLICY",
];
const ACTIONS: [&str; 6] = ["ACTION_UNSPECIFIED", "CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED"];
const STATUSES: [(&str, i64); 2] = [("ACTIVE", 1), ("DISABLED", 2)];

/// A name of an enumeration, which clients may send as its number.
fn named<'a>(fields: &Fields<'a>, name: &str, names: &[&'a str]) -> Answer<Option<&'a str>> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let found = match value {
        Value::String(text) => names.iter().find(|known| *known == text),
        Value::Number(number) => number.as_u64().and_then(|number| names.get(usize::try_from(number).ok()?)),
        _ => None,
    };
    found.copied().map(Some).ok_or_else(|| fields.refused(name))
}

fn event(fields: &Fields<'_>) -> Answer<EventKind> {
    let entity = named(fields, "entity", &ENTITIES)?.unwrap_or_default().to_ascii_lowercase();
    let action = named(fields, "action", &ACTIONS)?.unwrap_or_default().to_ascii_lowercase();
    let of_entity: Vec<EventKind> = EventKind::ALL.iter().copied().filter(|kind| kind.entity() == entity).collect();
    of_entity.iter().copied().find(|kind| kind.action() == action).ok_or_else(|| {
        let mut valid: Vec<String> = of_entity.iter().map(|kind| format!("'{}'", kind.action())).collect();
        valid.sort();
        Refusal::invalid(format!("Invalid action '{action}' for entity '{entity}'. Valid actions are: [{}]", valid.join(", ")))
    })
}

fn events(fields: &Fields<'_>) -> Answer<Vec<EventKind>> {
    let mut events: Vec<EventKind> = fields.list("events")?.iter().map(event).collect::<Answer<_>>()?;
    events.sort_unstable();
    events.dedup();
    Ok(events)
}

/// An unknown status is none.
fn status(fields: &Fields<'_>) -> Answer<Option<WebhookStatus>> {
    let number = fields.enumeration("status", &STATUSES)?;
    let named = STATUSES.iter().find(|(_, known)| Some(*known) == number).map(|(name, _)| *name);
    Ok(named.and_then(WebhookStatus::parse))
}

async fn create(State(face): State<Face>, Extension(ctx): Extension<Ctx>, message: Message) -> Answered {
    let fields = message.fields();
    let (name, url) = (fields.required_text("name")?, fields.required_text("url")?);
    if fields.get("events").is_none() {
        return Err(fields.missing("events"));
    }
    let new = NewWebhook {
        name: name.to_owned(),
        url: url.to_owned(),
        events: events(&fields)?,
        description: fields.text("description")?.unwrap_or_default().to_owned(),
        secret: fields.text("secret")?.map(str::to_owned),
        status: status(&fields)?.unwrap_or(WebhookStatus::Active),
    };
    let webhook = face.webhooks().create(&ctx, new).await.map_err(refusal)?;
    Ok(axum::Json(json!({"webhook": shown(&webhook)})))
}

async fn list(State(face): State<Face>, message: Message) -> Answered {
    let fields = message.fields();
    let max_results = match fields.integer("max_results")? {
        None | Some(0) => 100,
        Some(given) => given,
    };
    let Some(limit) = u64::try_from(max_results).ok().filter(|limit| (1..=1000).contains(limit)) else {
        return Err(Refusal::invalid("max_results must be between 1 and 1000."));
    };
    let offset = PageToken::decode(fields.text("page_token")?.unwrap_or_default())?.offset;
    let page = face.webhooks().list(offset, limit).await?;
    let mut answer = json!({});
    if !page.webhooks.is_empty() {
        answer["webhooks"] = page.webhooks.iter().map(shown).collect();
    }
    if page.has_more {
        answer["next_page_token"] = PageToken { offset: offset + limit }.encode().into();
    }
    Ok(axum::Json(answer))
}

async fn get(State(face): State<Face>, Path(id): Path<String>) -> Answered {
    let webhook = face.webhooks().get(&id).await.map_err(refusal)?;
    Ok(axum::Json(json!({"webhook": shown(&webhook)})))
}

async fn update(State(face): State<Face>, Extension(ctx): Extension<Ctx>, Path(id): Path<String>, message: Message) -> Answered {
    let fields = message.fields();
    let filled = |name: &str| Ok::<_, Refusal>(fields.text(name)?.filter(|text| !text.is_empty()).map(str::to_owned));
    let update = WebhookUpdate {
        name: filled("name")?,
        url: filled("url")?,
        events: Some(events(&fields)?).filter(|events| !events.is_empty()),
        description: fields.text("description")?.map(str::to_owned),
        secret: fields.text("secret")?.map(str::to_owned),
        status: status(&fields)?,
    };
    let webhook = face.webhooks().update(&ctx, &id, update).await.map_err(refusal)?;
    Ok(axum::Json(json!({"webhook": shown(&webhook)})))
}

async fn delete(State(face): State<Face>, Extension(ctx): Extension<Ctx>, Path(id): Path<String>) -> Answered {
    face.webhooks().delete(&ctx, &id).await.map_err(refusal)?;
    Ok(axum::Json(json!({})))
}

async fn test(State(face): State<Face>, Extension(ctx): Extension<Ctx>, Path(id): Path<String>, message: Message) -> Answered {
    let asked = message.fields().message("event")?.as_ref().map(event).transpose()?;
    let attempt = face.webhooks().test(&ctx, &id, asked).await.map_err(refusal)?;
    let success = attempt.is_success();
    let result = match attempt {
        Attempt::Answered { status, body, .. } => {
            json!({"success": success, "response_status": status, "response_body": body})
        }
        Attempt::Blocked(why) | Attempt::Failed(why) => {
            json!({"success": false, "error_message": format!("Failed to test webhook: {why}")})
        }
    };
    Ok(axum::Json(json!({"result": result})))
}
