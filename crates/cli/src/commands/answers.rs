//! Commands that read: the five answers, lists and details.

use lw_core::Result;
use serde_json::Value;

use crate::address::Address;
use crate::client::Client;
use crate::render;

/// Prints a list, or its JSON.
fn show(answer: &Value, json: bool, columns: &[(&str, &str)], next: &str) {
    if json {
        render::json(answer);
        return;
    }
    render::list(&answer["items"], columns);
    render::next(next);
}

pub async fn why(client: &Client, model: &str, json: bool) -> Result<()> {
    let answer = client.get(why_address(model).text()).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    render::out(&render::cell(&answer["text"]));
    render::next("loopwright audit verify");
    Ok(())
}

/// `MODEL` or `MODEL@VERSION`. Models of clients have any names, with an `@` of their own, too.
fn why_address(model: &str) -> Address {
    let is_version = |(_, version): &(&str, &str)| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    match model.rsplit_once('@').filter(is_version) {
        Some((name, version)) => Address::of(&["models", name, "why"]).with("version", Some(version)),
        None => Address::of(&["models", model, "why"]),
    }
}

pub async fn models(client: &Client, model: Option<&str>, json: bool) -> Result<()> {
    let Some(model) = model else {
        let answer = client.get("/api/v1/models").await?;
        let columns = [("model", "/name"), ("versions", "/versions"), ("champion", "/champion"), ("owner", "/owner")];
        show(&answer, json, &columns, "loopwright models MODEL");
        return Ok(());
    };
    let answer = client.get(Address::of(&["models", model, "versions"]).text()).await?;
    let columns = [
        ("version", "/version"),
        ("state", "/state"),
        ("trainer", "/trainer"),
        ("made", "/created_at"),
        ("auc", "/metrics/auc"),
        ("log loss", "/metrics/log_loss"),
        ("aliases", "/aliases"),
    ];
    show(&answer, json, &columns, &format!("loopwright why {model}"));
    Ok(())
}

pub async fn tables(client: &Client, table: Option<&str>, json: bool) -> Result<()> {
    let Some(table) = table else {
        let answer = client.get("/api/v1/tables").await?;
        let columns = [
            ("table", "/name"),
            ("version", "/version"),
            ("rows", "/n_rows"),
            ("quarantined", "/n_quarantined"),
            ("watermark", "/watermark"),
        ];
        show(&answer, json, &columns, "loopwright tables TABLE");
        return Ok(());
    };
    let answer = client.get(Address::of(&["tables", table]).text()).await?;
    let columns =
        [("version", "/version"), ("at", "/at"), ("rows", "/n_rows"), ("quarantined", "/n_quarantined"), ("digest", "/digest")];
    show(&answer, json, &columns, &format!("loopwright tables {table} --quarantine"));
    Ok(())
}

pub async fn quarantine(client: &Client, table: &str, rule: Option<&str>, limit: u32, json: bool) -> Result<()> {
    let address = Address::of(&["tables", table, "quarantine"]).with("rule", rule).with("limit", Some(limit));
    let answer = client.get(address.text()).await?;
    let columns =
        [("at", "/at"), ("file", "/file"), ("row", "/row_number"), ("rule", "/rule"), ("reason", "/reason"), ("raw", "/raw")];
    show(&answer, json, &columns, "loopwright check");
    Ok(())
}

/// What the contract said of the newest version's batch and, if batches were refused, of the newest of those.
pub async fn verdicts(client: &Client, table: &str, json: bool) -> Result<()> {
    let refusals = client.get(Address::of(&["tables", table, "refusals"]).with("limit", Some(1)).text()).await?;
    let refused = refusals["items"].get(0);
    let accepted = match client.get(Address::of(&["tables", table, "verdicts"]).text()).await {
        // A source whose batches were all refused has no table yet.
        Err(error) if refused.is_some() && error.code() == "table-version-unknown" => Value::Null,
        answer => answer?,
    };
    if json {
        render::json(&serde_json::json!({ "accepted": accepted, "refused": refused }));
        return Ok(());
    }
    let columns = [
        ("rule", "/rule"),
        ("severity", "/severity"),
        ("outcome", "/outcome"),
        ("checked", "/n_checked"),
        ("broken", "/n_broken"),
        ("observed", "/observed"),
        ("limits", "/limits"),
    ];
    if let Some(refused) = refused {
        render::out(&format!("refused at {}: {}", render::cell(&refused["refused_at"]), render::cell(&refused["reason"])));
        render::list(&refused["verdicts"], &columns);
    }
    if !accepted.is_null() {
        render::out(&format!("{table}@{}", render::cell(&accepted["version"])));
        show(&accepted, json, &columns, &format!("loopwright tables {table} --quarantine"));
    }
    Ok(())
}

pub async fn features(client: &Client, view: Option<&str>, json: bool) -> Result<()> {
    let Some(view) = view else {
        let answer = client.get("/api/v1/feature-views").await?;
        let columns = [
            ("view", "/name"),
            ("version", "/version"),
            ("entity", "/entity"),
            ("features", "/features"),
            ("online until", "/watermark"),
            ("owner", "/owner"),
        ];
        show(&answer, json, &columns, "loopwright features VIEW");
        return Ok(());
    };
    render::json(&client.get(Address::of(&["feature-views", view]).text()).await?);
    Ok(())
}

pub async fn skew(client: &Client, model: &str, window: &str, sample: u64, json: bool) -> Result<()> {
    let answer = client.get(&format!("/api/v1/models/{model}/skew?window={window}&sample={sample}")).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    let cell = |pointer: &str| answer.pointer(pointer).map(render::cell).unwrap_or_default();
    render::out(&format!(
        "{model}@{} answered {} times from {} on; {} of them computed again",
        cell("/version"),
        cell("/n_rows"),
        cell("/window/start"),
        cell("/n_sampled")
    ));
    let columns = [
        ("input", "/column"),
        ("differ", "/n_different"),
        ("share", "/share"),
        ("for example at", "/example/at"),
        ("online", "/example/online"),
        ("tables", "/example/offline"),
    ];
    render::list(&answer["inputs"], &columns);
    render::next("loopwright alerts");
    Ok(())
}

pub async fn alerts(client: &Client, json: bool) -> Result<()> {
    let answer = client.get("/api/v1/alerts").await?;
    let columns =
        [("about", "/subject"), ("monitor", "/monitor"), ("state", "/state"), ("since", "/since"), ("reasons", "/reasons")];
    show(&answer, json, &columns, "loopwright models");
    Ok(())
}

pub async fn status(client: &Client, json: bool) -> Result<()> {
    let answer = client.get("/api/v1/status").await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    for (key, value) in answer.as_object().into_iter().flatten() {
        render::out(&format!("{key:16} {}", render::cell(value)));
    }
    render::next("loopwright models");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_model_is_one_part_of_a_path() {
        assert_eq!(why_address("late_arrival").text(), "/api/v1/models/late_arrival/why");
        assert_eq!(why_address("late_arrival@3").text(), "/api/v1/models/late_arrival/why?version=3");
        assert_eq!(why_address("Iris (v2)@beta").text(), "/api/v1/models/Iris%20(v2)@beta/why");
        assert_eq!(why_address("a@b@12").text(), "/api/v1/models/a@b/why?version=12");
    }
}
