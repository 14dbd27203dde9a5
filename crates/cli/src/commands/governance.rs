//! Decisions of people.

use lw_core::{Result, Subject, SubjectKind};
use serde_json::json;

use crate::args::Decision;
use crate::client::Client;
use crate::failures::BAD_ARGUMENT;
use crate::render;

/// `late_arrival@3` as a model version.
pub fn version(text: &str) -> Result<(String, u64)> {
    let subject = Subject::parse(&format!("{}/{text}", SubjectKind::ModelVersion.name()))?;
    match subject.version {
        Some(version) => Ok((subject.name, version)),
        None => Err(BAD_ARGUMENT.error(format!("`{text}` names no version")).hint(format!("write it like {text}@3"))),
    }
}

pub async fn decide(client: &Client, decision: &Decision, grant: bool, json: bool) -> Result<()> {
    let (model, number) = version(&decision.version)?;
    let verdict = if grant { "grant" } else { "refuse" };
    let path = format!("/api/v1/models/{model}/versions/{number}/approvals");
    let answer = client.post(&path, &json!({"verdict": verdict, "reason": decision.reason})).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    render::out(&render::cell(&answer["message"]));
    render::next(&format!("loopwright why {model}"));
    Ok(())
}

pub async fn rollback(client: &Client, endpoint: &str, reason: &str, json: bool) -> Result<()> {
    let answer = client.post(&format!("/api/v1/endpoints/{endpoint}/rollback"), &json!({"reason": reason})).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    render::out(&format!("{endpoint} serves {} again", render::cell(&answer["champion"])));
    render::next(&format!("loopwright why {endpoint}"));
    Ok(())
}

pub async fn retire(client: &Client, endpoint: &str, reason: &str, json: bool) -> Result<()> {
    let retired = client.post(&format!("/api/v1/endpoints/{endpoint}/retire"), &json!({"reason": reason})).await?;
    if json {
        render::json(&retired);
        return Ok(());
    }
    render::out(&format!("endpoint {endpoint} answers no more; it served {}", render::cell(&retired["champion"])));
    render::next("loopwright plan");
    Ok(())
}
