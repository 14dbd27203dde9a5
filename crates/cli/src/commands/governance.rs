//! Decisions of people, and the ledger.

use lw_core::{Result, Subject, SubjectKind};
use serde_json::{Value, json};

use crate::args::{Audit, Decision};
use crate::client::Client;
use crate::failures::{BAD_ARGUMENT, LEDGER_BROKEN};
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

pub async fn audit(client: &Client, audit: &Audit, json: bool) -> Result<()> {
    match audit {
        Audit::Verify => verify(client, json).await,
        Audit::Log { subject, after, limit } => {
            let filter = subject.as_ref().map(|subject| format!("&subject={subject}")).unwrap_or_default();
            let answer = client.get(&format!("/api/v1/ledger/entries?after={after}&limit={limit}{filter}")).await?;
            if json {
                render::json(&answer);
                return Ok(());
            }
            let columns =
                [("seq", "/seq"), ("at", "/at"), ("actor", "/actor"), ("action", "/action"), ("subject", "/subject_text")];
            render::list(&answer["items"], &columns);
            render::next("loopwright audit verify");
            Ok(())
        }
    }
}

async fn verify(client: &Client, json: bool) -> Result<()> {
    let answer = client.get("/api/v1/ledger/verify").await?;
    let sound = answer["sound"].as_bool().unwrap_or(false);
    if json {
        render::json(&answer);
    } else if sound {
        render::out(&format!(
            "the ledger verifies: {} entries, {} business rows, head {}",
            render::cell(&answer["entries"]),
            render::cell(&answer["rows"]),
            render::cell(&answer["head"]),
        ));
    } else {
        for problem in answer["problems"].as_array().map(Vec::as_slice).unwrap_or_default() {
            render::out(&format!("✗ {}", problem_text(problem)));
        }
    }
    if sound {
        return Ok(());
    }
    Err(LEDGER_BROKEN
        .error("the ledger does not verify")
        .hint("the lines above name the entries and rows; restore the database from a backup that verifies"))
}

fn problem_text(problem: &Value) -> String {
    match problem.get("message") {
        Some(message) => render::cell(message),
        None => render::cell(problem),
    }
}
