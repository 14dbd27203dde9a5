//! Which ledger entries are events in a model's life, and how to say so in a line.

use lw_core::{Entry, Name, SubjectKind};

use crate::replay::Milestone;

/// The milestone behind an entry, if it is one of this model.
pub fn of_entry(entry: &Entry, model: &Name) -> Option<Milestone> {
    let text = |pointer: &str| {
        entry.payload.pointer(pointer).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    // Alerts and triggers are named `late_arrival/quality`.
    let is_about = entry.subject.name.split('/').next() == Some(model.as_str());
    let reasons = || {
        let reasons = entry.payload["reasons"].as_array().map(Vec::as_slice).unwrap_or_default();
        let shown: Vec<&str> = reasons.iter().filter_map(serde_json::Value::as_str).take(3).collect();
        let monitor = entry.subject.name.split('/').nth(1).unwrap_or_default();
        format!("{monitor}: {}", shown.join(", "))
    };
    let (what, detail) = match entry.action.as_str() {
        "table.commit" if entry.subject.kind == SubjectKind::Table => {
            let quarantined = text("/n_quarantined").unwrap_or_default();
            ("data", format!("{}: {} rows, {quarantined} in quarantine", entry.subject, text("/n_rows").unwrap_or_default()))
        }
        _ if !is_about => return None,
        "training_set.build" => {
            ("training set", format!("{} with {} examples", entry.subject, text("/n_rows").unwrap_or_default()))
        }
        "model_version.register" => {
            ("candidate", format!("{} by {}", entry.subject, text("/recipe/trainer").unwrap_or_default()))
        }
        "gate.decide" if text("/verdict").as_deref() == Some("refused") => ("refused", text("/summary").unwrap_or_default()),
        "gate.decide" => ("gates passed", text("/summary").unwrap_or_default()),
        "approval.grant" => ("approved", format!("{} by {}", entry.subject, entry.actor)),
        "approval.refuse" => ("rejected", format!("{} by {}", entry.subject, entry.actor)),
        "deployment.activate" => ("deployed", text("/reason").unwrap_or_default()),
        "deployment.rollback" => ("rolled back", text("/reason").unwrap_or_default()),
        "deployment.retire" => ("retired", text("/reason").unwrap_or_default()),
        "alert.fire" => ("alert", reasons()),
        "retrain.request" => ("retraining", reasons()),
        _ => return None,
    };
    Some(Milestone { at: entry.at, what: what.to_owned(), detail, seq: Some(entry.seq) })
}
