//! Identities and their tokens: who there is, what each may do, and what the caller may.

use std::collections::BTreeSet;

use axum::extract::{Extension, Path, State};
use lw_core::{Actor, Ctx, Result, Span, Timestamp};
use lw_governance::{
    ACTOR_NOT_FOUND, Caller, Identity, NewIdentity, Role, RoleChange, STANDARD_LIFETIME, Token, check_other, parse_actor,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::{Json, Query};
use crate::problem::Answer;
use crate::route::{Action, Route};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/whoami", Action::Connect, "identity", whoami).summary("Who the token acts for, and what it may do"),
        Route::get("/api/v1/whoami/tokens", Action::Connect, "token", own_tokens)
            .summary("The caller's own tokens, newest first; ?after=ID&limit=N"),
        Route::post("/api/v1/whoami/tokens/{id}/revoke", Action::Connect, "token", revoke_own)
            .summary("Takes back a token of the caller's own"),
        Route::get("/api/v1/roles", Action::Read, "identity", roles).summary("The roles and what each allows"),
        Route::get("/api/v1/identities", Action::Read, "identity", list)
            .summary("People and services by name, with their roles; ?after=NAME&limit=N"),
        Route::post("/api/v1/identities", Action::Administer, "identity", create)
            .summary("Adds a person or a service; {name, display_name?, roles?}"),
        Route::get("/api/v1/identities/{name}", Action::Read, "identity", show).summary("One person or service"),
        Route::post("/api/v1/identities/{name}/roles", Action::Administer, "identity", change_roles)
            .summary("Gives and takes roles; {grant?, revoke?}"),
        Route::post("/api/v1/identities/{name}/disable", Action::Administer, "identity", disable)
            .summary("Accepts none of the identity's tokens from now on"),
        Route::post("/api/v1/identities/{name}/enable", Action::Administer, "identity", enable)
            .summary("Accepts the identity's tokens again"),
        Route::get("/api/v1/tokens", Action::Administer, "token", tokens)
            .summary("Tokens without their secrets, newest first; ?identity=NAME&after=ID&limit=N"),
        Route::post("/api/v1/identities/{name}/tokens", Action::Administer, "token", create_token)
            .summary("Makes a token and shows it this once; {label?, expires_in?}"),
        Route::post("/api/v1/tokens/{id}/revoke", Action::Administer, "token", revoke).summary("Takes a token back for good"),
    ]
}

fn identity_view(identity: &Identity) -> Value {
    json!({
        "name": identity.actor, "kind": if identity.actor.is_person() { "person" } else { "service" },
        "display_name": identity.display_name, "roles": identity.roles,
        "state": if identity.disabled_at.is_none() { "enabled" } else { "disabled" },
        "created_at": identity.created_at, "disabled_at": identity.disabled_at,
    })
}

fn token_view(token: &Token, now: Timestamp) -> Value {
    let mut view = json!(token);
    view["state"] = token.state(now).into();
    view
}

async fn whoami(Extension(ctx): Extension<Ctx>, Extension(caller): Extension<Caller>) -> Answer<axum::Json<Value>> {
    let allowed: Vec<Action> = caller.actions().collect();
    Ok(axum::Json(match &caller {
        Caller::Owner => json!({
            "actor": ctx.actor, "proof": "claim", "owner": true, "identity": null, "token": null, "may": allowed,
        }),
        Caller::Holder(credential) => json!({
            "actor": ctx.actor, "proof": "token", "owner": false, "identity": identity_view(&credential.identity),
            "token": token_view(&credential.token, ctx.now()), "may": allowed,
        }),
    }))
}

async fn roles() -> axum::Json<Value> {
    let items: Vec<Value> = Role::ALL.iter().map(|role| json!({"role": role, "may": role.actions()})).collect();
    axum::Json(json!({ "items": items }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamePage {
    after: Option<String>,
    limit: Option<u64>,
}

async fn list(State(app): State<App>, Query(page): Query<NamePage>) -> Answer<axum::Json<Value>> {
    let after = page.after.as_deref().map(parse_actor).transpose()?;
    let identities = app.identities().list(after.as_ref(), page.limit.unwrap_or(100)).await?;
    Ok(axum::Json(json!({ "items": identities.iter().map(identity_view).collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    name: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    roles: Vec<String>,
}

async fn create(State(app): State<App>, Extension(ctx): Extension<Ctx>, Json(body): Json<NewBody>) -> Answer<axum::Json<Value>> {
    let new = NewIdentity {
        actor: parse_actor(&body.name)?,
        display_name: body.display_name.trim().to_owned(),
        roles: parse_roles(&body.roles)?,
    };
    Ok(axum::Json(identity_view(&app.identities().create(&ctx, new).await?)))
}

async fn show(State(app): State<App>, Path(name): Path<String>) -> Answer<axum::Json<Value>> {
    Ok(axum::Json(identity_view(&app.identities().identity(&parse_actor(&name)?).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RolesBody {
    #[serde(default)]
    grant: Vec<String>,
    #[serde(default)]
    revoke: Vec<String>,
}

async fn change_roles(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Json(body): Json<RolesBody>,
) -> Answer<axum::Json<Value>> {
    let actor = parse_actor(&name)?;
    check_other(&caller, &actor)?;
    let change = RoleChange { grant: parse_roles(&body.grant)?, revoke: parse_roles(&body.revoke)? };
    Ok(axum::Json(identity_view(&app.identities().change_roles(&ctx, &actor, change).await?)))
}

fn parse_roles(texts: &[String]) -> Result<BTreeSet<Role>> {
    texts.iter().map(|text| Role::parse(text)).collect()
}

async fn disable(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Answer<axum::Json<Value>> {
    let actor = parse_actor(&name)?;
    check_other(&caller, &actor)?;
    Ok(axum::Json(identity_view(&app.identities().disable(&ctx, &actor).await?)))
}

async fn enable(State(app): State<App>, Extension(ctx): Extension<Ctx>, Path(name): Path<String>) -> Answer<axum::Json<Value>> {
    Ok(axum::Json(identity_view(&app.identities().enable(&ctx, &parse_actor(&name)?).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenPage {
    identity: Option<String>,
    after: Option<String>,
    limit: Option<u64>,
}

async fn tokens(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Query(page): Query<TokenPage>,
) -> Answer<axum::Json<Value>> {
    let actor = page.identity.as_deref().map(parse_actor).transpose()?;
    Ok(axum::Json(token_list(&app, &ctx, actor.as_ref(), page.after.as_deref(), page.limit).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnTokenPage {
    after: Option<String>,
    limit: Option<u64>,
}

async fn own_tokens(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Query(page): Query<OwnTokenPage>,
) -> Answer<axum::Json<Value>> {
    match token_list(&app, &ctx, Some(&ctx.actor), page.after.as_deref(), page.limit).await {
        // Whoever has the workspace's own token may be somebody who was never added.
        Err(error) if error.is(ACTOR_NOT_FOUND) => Ok(axum::Json(json!({ "items": [] }))),
        listed => Ok(axum::Json(listed?)),
    }
}

async fn token_list(app: &App, ctx: &Ctx, actor: Option<&Actor>, after: Option<&str>, limit: Option<u64>) -> Result<Value> {
    let tokens = app.identities().tokens(actor, after, limit.unwrap_or(100)).await?;
    let now = ctx.now();
    Ok(json!({ "items": tokens.iter().map(|token| token_view(token, now)).collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTokenBody {
    #[serde(default)]
    label: String,
    /// Such as `90d`.
    expires_in: Option<Span>,
}

async fn create_token(
    State(app): State<App>,
    Extension(ctx): Extension<Ctx>,
    Path(name): Path<String>,
    Json(body): Json<NewTokenBody>,
) -> Answer<axum::Json<Value>> {
    let expires_at = ctx.now() + body.expires_in.unwrap_or(STANDARD_LIFETIME);
    let new = app.identities().create_token(&ctx, &parse_actor(&name)?, body.label.trim(), expires_at).await?;
    let mut view = token_view(&new.token, ctx.now());
    view["text"] = new.text().into();
    Ok(axum::Json(view))
}

async fn revoke(State(app): State<App>, Extension(ctx): Extension<Ctx>, Path(id): Path<String>) -> Answer<axum::Json<Value>> {
    let token = app.identities().revoke_token(&ctx, &id).await?;
    Ok(axum::Json(token_view(&token, ctx.now())))
}

async fn revoke_own(State(app): State<App>, Extension(ctx): Extension<Ctx>, Path(id): Path<String>) -> Answer<axum::Json<Value>> {
    let token = app.identities().revoke_own_token(&ctx, &ctx.actor, &id).await?;
    Ok(axum::Json(token_view(&token, ctx.now())))
}
