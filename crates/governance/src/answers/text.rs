//! The answers for people.

use std::fmt::Write;

use lw_core::Digest;
use serde_json::Value;

use super::{Answers, DataFact, VersionFact};
use crate::Difference;

/// Longer values are cut.
const MAX_VALUE_CHARS: usize = 80;

pub(super) fn render(answers: &Answers) -> String {
    let mut page = Page::default();
    page.line(
        &format!(
            "{} version {}, registered {} by {}",
            answers.model,
            answers.version.version,
            answers.version.registered_at,
            people(&answers.version)
        ),
        answers.version.seq,
    );
    code(&mut page, answers);
    client(&mut page, answers);
    running(&mut page, answers);
    data(&mut page, answers);
    features(&mut page, answers);
    approved(&mut page, answers);
    since(&mut page, answers);
    let evidence: Vec<String> = answers.evidence().iter().map(u64::to_string).collect();
    page.blank();
    page.plain(&format!("Evidence: ledger entries {}", evidence.join(", ")));
    page.0
}

/// Who started the run or registered the version, its owner if that is somebody else, and who applied the project.
fn people(version: &VersionFact) -> String {
    let (author, hand) = (&version.author, |what: &str| version.hands.get(what));
    let by = hand("started").or_else(|| hand("registered")).unwrap_or(author);
    let mut text = by.to_string();
    if by != author {
        text.push_str(&format!(", owner {author}"));
    }
    if let Some(applied) = hand("applied").filter(|applied| *applied != by && *applied != author) {
        text.push_str(&format!(", project applied by {applied}"));
    }
    text
}

#[derive(Default)]
struct Page(String);

impl Page {
    /// A line with the entry that proves it.
    fn line(&mut self, text: &str, seq: u64) {
        self.plain(&format!("{text}  [#{seq}]"));
    }

    fn heading(&mut self, text: &str) {
        self.blank();
        self.plain(text);
    }

    fn plain(&mut self, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{text}");
    }

    fn blank(&mut self) {
        self.plain("");
    }
}

/// The script that made the version, and all that it was run with.
fn code(page: &mut Page, answers: &Answers) {
    let code = &answers.version.code;
    let (Some(script), Some(files)) = (code["script"].as_str(), code["files"].as_object()) else { return };
    let digest =
        code["digest"].as_str().and_then(|text| Digest::parse(text).ok()).map_or_else(String::new, |digest| digest.short());
    let others = if files.len() > 1 { format!(", with {} other files", files.len() - 1) } else { String::new() };
    page.line(&format!("made by the script {script} ({digest}{others})"), answers.version.seq);
}

/// What a client brought, and what became of it.
fn client(page: &mut Page, answers: &Answers) {
    if let Some(fact) = &answers.version.client {
        let run = fact.run.as_ref().map_or_else(String::new, |run| format!(", made by run {run}"));
        let by = if fact.by == answers.version.author { String::new() } else { format!(" (sent by {})", fact.by) };
        let text = format!("brought by an MLflow client{by} from {}{run}; its digest is over {}", fact.source, fact.content);
        page.line(&text, answers.version.seq);
    }
    if let Some(fact) = &answers.version.deleted {
        page.line(&format!("deleted {} by {}", fact.at, fact.by), fact.seq);
    }
}

fn running(page: &mut Page, answers: &Answers) {
    page.heading("1. Which version is running?");
    if answers.running.is_empty() {
        page.plain("   none: no endpoint serves this model");
    }
    for fact in &answers.running {
        let text =
            format!("   {}: version {} as {} since {}, by {}", fact.endpoint, fact.version, fact.role, fact.since, fact.by);
        let begun = if fact.since_seq == fact.seq { String::new() } else { format!("  [#{}]", fact.since_seq) };
        page.line(&format!("{text}{begun}"), fact.seq);
    }
}

fn data(page: &mut Page, answers: &Answers) {
    page.heading("2. What data trained it?");
    if answers.data.is_empty() {
        page.plain("   the ledger names no data");
    }
    for fact in &answers.data {
        let digest = fact.digest.map_or_else(String::new, |digest| format!(" {}", digest.short()));
        page.line(&format!("   {}{digest}{}", fact.subject, details(fact)), fact.made_by.unwrap_or(fact.seq));
    }
}

fn details(fact: &DataFact) -> String {
    let Some(details) = fact.details.as_object() else { return String::new() };
    let text = |(name, value): (&String, &Value)| match (name.as_str(), value) {
        ("n_rows", value) => format!("{value} rows"),
        ("n_quarantined", value) => format!("{value} quarantined"),
        ("window", value) => format!("from {} to {}", shown(&value["from"]), shown(&value["to"])),
        ("as_of", value) => format!("as known on {}", shown(value)),
        (name, value) => format!("{name} {}", shown(value)),
    };
    format!(": {}", details.iter().map(text).collect::<Vec<_>>().join(", "))
}

fn features(page: &mut Page, answers: &Answers) {
    page.heading("3. Which features does it use?");
    if answers.features.is_empty() {
        page.plain("   no feature views");
    }
    for fact in &answers.features {
        let digest = fact.digest.map_or_else(String::new, |digest| format!(" {}", digest.short()));
        let names = if fact.features.is_empty() { String::new() } else { format!(": {}", fact.features.join(", ")) };
        page.line(&format!("   {}{digest}{names}", fact.view), fact.seq);
    }
}

fn approved(page: &mut Page, answers: &Answers) {
    page.heading("4. Who approved it?");
    if let Some(gates) = &answers.gates {
        page.line(&format!("   gates {}: {}", gates.verdict, gates.summary), gates.seq);
    }
    if answers.approvals.is_empty() {
        page.plain("   nobody was asked, or nobody has answered");
    }
    for fact in &answers.approvals {
        let void = if fact.is_current { "" } else { " (void: evaluated again since)" };
        let reason = if fact.reason.is_empty() { String::new() } else { format!(": {}", fact.reason) };
        page.line(&format!("   {} by {} on {}{reason}{void}", fact.verdict, fact.by, fact.at), fact.seq);
    }
}

fn since(page: &mut Page, answers: &Answers) {
    page.heading("5. What changed since the version before?");
    let Some(since) = &answers.since else {
        page.plain("   nothing: it is the first version");
        return;
    };
    page.plain(&format!("   compared with version {}:", since.version));
    for (what, differences) in
        [("recipe", &since.recipe), ("data", &since.data), ("features", &since.features), ("metrics", &since.metrics)]
    {
        if differences.is_empty() {
            page.plain(&format!("   {what}: the same"));
        }
        for difference in differences {
            page.plain(&format!("   {what}: {}", difference_text(difference)));
        }
    }
}

fn difference_text(difference: &Difference) -> String {
    let path = difference.path.strip_prefix("recipe.").unwrap_or(&difference.path);
    match (&difference.before, &difference.after) {
        (Some(before), Some(after)) => format!("{path} {} → {}", shown(before), shown(after)),
        (None, Some(after)) => format!("{path} new: {}", shown(after)),
        (Some(before), None) => format!("{path} gone: was {}", shown(before)),
        (None, None) => path.to_owned(),
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            let text = format!("{:.4}", number.as_f64().unwrap_or_default());
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        other => other.to_string(),
    };
    if text.chars().count() <= MAX_VALUE_CHARS {
        return text;
    }
    format!("{}…", text.chars().take(MAX_VALUE_CHARS).collect::<String>())
}
