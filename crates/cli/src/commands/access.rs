//! Who may do what: identities, their roles and their tokens.

use lw_core::Result;
use serde_json::{Value, json};

use crate::address::Address;
use crate::args::{Identity, Token};
use crate::client::Client;
use crate::render;

pub async fn whoami(client: &Client, json: bool) -> Result<()> {
    let answer = client.get(Address::of(&["whoami"]).text()).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    let actor = render::cell(&answer["actor"]);
    if answer["owner"] == true {
        render::out(&format!("{actor}, as you say: whoever has the workspace's own token may do everything, as anybody"));
        render::next("loopwright identity list");
        return Ok(());
    }
    let token = &answer["token"];
    render::out(&format!(
        "{actor}, proven by token {} ({}), which ends {}",
        render::cell(&token["id"]),
        render::cell(&token["label"]),
        render::cell(&token["expires_at"]),
    ));
    render::out(&format!("roles  {}", roles(&answer["identity"])));
    render::out(&format!("may    {}", render::cell(&answer["may"])));
    render::next("loopwright token list --mine");
    Ok(())
}

pub async fn identity(client: &Client, command: &Identity, json: bool) -> Result<()> {
    match command {
        Identity::List { after, limit } => {
            let address = Address::of(&["identities"]).with("after", after.as_ref()).with("limit", Some(limit));
            let answer = client.get(address.text()).await?;
            if json {
                render::json(&answer);
                return Ok(());
            }
            let columns =
                [("name", "/name"), ("kind", "/kind"), ("roles", "/roles"), ("state", "/state"), ("since", "/created_at")];
            render::list(&answer["items"], &columns);
            render::next("loopwright identity create NAME --role ROLE");
            Ok(())
        }
        Identity::Show { name } => show(&client.get(Address::of(&["identities", name]).text()).await?, json),
        Identity::Create { name, display_name, roles } => {
            let body = json!({"name": name, "display_name": display_name, "roles": roles});
            show(&client.post(Address::of(&["identities"]).text(), &body).await?, json)
        }
        Identity::Grant { name, roles } => {
            show(&client.post(Address::of(&["identities", name, "roles"]).text(), &json!({"grant": roles})).await?, json)
        }
        Identity::Revoke { name, roles } => {
            show(&client.post(Address::of(&["identities", name, "roles"]).text(), &json!({"revoke": roles})).await?, json)
        }
        Identity::Disable { name } => {
            show(&client.post(Address::of(&["identities", name, "disable"]).text(), &json!({})).await?, json)
        }
        Identity::Enable { name } => {
            show(&client.post(Address::of(&["identities", name, "enable"]).text(), &json!({})).await?, json)
        }
    }
}

fn show(identity: &Value, json: bool) -> Result<()> {
    if json {
        render::json(identity);
        return Ok(());
    }
    let name = render::cell(&identity["name"]);
    let display_name = render::cell(&identity["display_name"]);
    let called = if display_name == name { String::new() } else { format!(" ({display_name})") };
    render::out(&format!(
        "{name}{called}, a {}, {}; roles: {}",
        render::cell(&identity["kind"]),
        render::cell(&identity["state"]),
        roles(identity)
    ));
    render::next(&format!("loopwright token create {name}"));
    Ok(())
}

fn roles(identity: &Value) -> String {
    let roles = render::cell(&identity["roles"]);
    if roles.is_empty() { "none".to_owned() } else { roles }
}

pub async fn token(client: &Client, command: &Token, json: bool) -> Result<()> {
    match command {
        Token::Create { name, label, expires } => {
            let body = json!({"label": label, "expires_in": expires});
            let answer = client.post(Address::of(&["identities", name, "tokens"]).text(), &body).await?;
            if json {
                render::json(&answer);
                return Ok(());
            }
            render::out(&render::cell(&answer["text"]));
            render::talk(&format!(
                "token {} of {name}, until {}. It is shown this once: whoever has it acts as {name}",
                render::cell(&answer["id"]),
                render::cell(&answer["expires_at"]),
            ));
            render::next("LOOPWRIGHT_TOKEN=… loopwright whoami");
            Ok(())
        }
        Token::List { name, mine, after, limit } => {
            let parts: &[&str] = if *mine { &["whoami", "tokens"] } else { &["tokens"] };
            let address = Address::of(parts).with("identity", name.as_ref()).with("after", after.as_ref());
            let answer = client.get(address.with("limit", Some(limit)).text()).await?;
            if json {
                render::json(&answer);
                return Ok(());
            }
            let columns =
                [("id", "/id"), ("holder", "/actor"), ("label", "/label"), ("state", "/state"), ("ends", "/expires_at")];
            render::list(&answer["items"], &columns);
            render::next("loopwright token revoke ID");
            Ok(())
        }
        Token::Revoke { id, mine } => {
            let parts: &[&str] = if *mine { &["whoami", "tokens", id, "revoke"] } else { &["tokens", id, "revoke"] };
            let answer = client.post(Address::of(parts).text(), &json!({})).await?;
            if json {
                render::json(&answer);
                return Ok(());
            }
            render::out(&format!(
                "the token {} of {} is accepted no more",
                render::cell(&answer["id"]),
                render::cell(&answer["actor"])
            ));
            render::next("loopwright token list");
            Ok(())
        }
    }
}
