//! Commands that make the loop turn.

use lw_core::Result;
use serde_json::{Value, json};

use super::{follow, governance::version};
use crate::address::Address;
use crate::client::Client;
use crate::failures::BAD_ARGUMENT;
use crate::render;
use lw_project::failures::NOT_REPRODUCED;

pub async fn ingest(client: &Client, source: Option<&str>, json: bool) -> Result<()> {
    let started = client.post("/api/v1/ingestions", &json!({"source": source})).await?;
    follow::to_end(client, &started, json, "loopwright tables").await
}

pub async fn materialize(client: &Client, view: Option<&str>, json: bool) -> Result<()> {
    let answer = client.post("/api/v1/materializations", &json!({"view": view})).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    render::list(&answer["items"], &[("view", "/view"), ("rows", "/n_rows"), ("until", "/until")]);
    render::next("loopwright features");
    Ok(())
}

pub async fn reproduce(client: &Client, text: &str, json: bool) -> Result<()> {
    let (model, number) = version(text)?;
    let answer = client.post(&format!("/api/v1/models/{model}/versions/{number}/reproduce"), &json!({})).await?;
    if json {
        render::json(&answer);
    } else {
        render::out(&render::cell(&answer["message"]));
    }
    if answer["same"].as_bool() == Some(true) {
        return Ok(());
    }
    let cause = answer["likely_cause"].as_str().unwrap_or("the trainer answers differently each time");
    Err(NOT_REPRODUCED
        .error(format!("{text} was built again, and came out different"))
        .hint(format!("likely, {cause}; see `loopwright explain not-reproduced`")))
}

pub async fn predict(client: &Client, endpoint: &str, fields: &str, json: bool) -> Result<()> {
    let text = if fields == "-" {
        std::io::read_to_string(std::io::stdin())
            .map_err(|error| BAD_ARGUMENT.error("standard input is not readable text").cause(error))?
    } else {
        fields.to_owned()
    };
    let fields: Value = serde_json::from_str(&text).map_err(|error| {
        BAD_ARGUMENT.error("the fields are not JSON").hint(r#"write one object, like '{"carrier": "AA"}'"#).cause(error)
    })?;
    let answer = client.post(Address::of(&["endpoints", endpoint, "predict"]).text(), &fields).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    render::out(&serde_json::to_string_pretty(&answer).unwrap_or_default());
    for gap in answer["lookups"].as_array().into_iter().flatten() {
        render::talk(&gap_sentence(gap));
    }
    render::next(&format!("loopwright why {endpoint}"));
    Ok(())
}

/// That a view had nothing for some of the rows, so that their scores stand on nulls.
fn gap_sentence(gap: &Value) -> String {
    let view = render::cell(&gap["view"]);
    let (missing, expired) = (gap["missing"].as_u64().unwrap_or(0), gap["expired"].as_u64().unwrap_or(0));
    let unknown = (missing > 0).then(|| format!("knows nothing of the entity of {missing} row(s)"));
    let old = (expired > 0).then(|| format!("has only values older than its ttl for {expired} row(s)"));
    let what: Vec<String> = unknown.into_iter().chain(old).collect();
    format!("`{view}` {}: its features were null there", what.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_told_in_words() {
        let gap = json!({"view": "orders", "version": 1, "missing": 0, "expired": 2});
        assert_eq!(gap_sentence(&gap), "`orders` has only values older than its ttl for 2 row(s): its features were null there");
    }
}
