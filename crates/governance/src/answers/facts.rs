//! Reading the answers out of the ledger.

use std::collections::BTreeMap;

use lw_core::{Actor, Entry, ModelName, Reference, Result, Subject, SubjectKind};
use lw_store::{EntryFilter, Mention, Reader};
use serde_json::{Value, json};

use super::{
    Answers, ApprovalFact, ClientFact, DataFact, DeletionFact, FeatureFact, GateFact, RunningFact, SinceFact, VersionFact,
};
use crate::lineage::walk;
use crate::{Budget, Direction, NOTHING_TO_EXPLAIN, differences, queries};

pub(super) fn answers(reader: &mut Reader<'_>, model: &ModelName, version: Option<u64>) -> Result<Answers> {
    let running = running(reader, model)?;
    let version = match version.or_else(|| focus(&running)) {
        Some(version) => Some(version),
        None => newest(reader, model)?,
    };
    let number = version.ok_or_else(|| unexplained(format!("model `{model}` has no version yet")))?;
    let subject = Subject::new(SubjectKind::ModelVersion, model, number);
    let registration = queries::registration(reader, &subject)?;
    let registration = registration.ok_or_else(|| unexplained(format!("there is no version {model}@{number}")))?;
    let making = Making::of(reader, &registration)?;
    Ok(Answers {
        model: model.clone(),
        version: VersionFact { deleted: deleted(reader, &subject, &registration)?, ..version_fact(number, &registration) },
        running,
        data: making.data,
        features: making.features,
        gates: gates(reader, &subject)?,
        approvals: approvals(reader, &subject)?,
        since: since(reader, &subject, &registration)?,
    })
}

fn unexplained(message: String) -> lw_core::Error {
    NOTHING_TO_EXPLAIN
        .error(message)
        .hint("`loopwright models` lists models and versions; `loopwright run MODEL` makes a version")
}

/// The champion of the first endpoint, unless only other roles are there.
fn focus(running: &[RunningFact]) -> Option<u64> {
    let champion = running.iter().find(|fact| fact.role == "champion");
    champion.or(running.first()).map(|fact| fact.version)
}

/// The version that was made champion last, or else the one that was registered last.
fn newest(reader: &mut Reader<'_>, model: &ModelName) -> Result<Option<u64>> {
    let versions = Subject::unversioned(SubjectKind::ModelVersion, model);
    let filter = EntryFilter::about(versions.clone(), Mention::Subject).action("alias.*").newest_first().limit(1000);
    let moves = reader.entries(&filter)?;
    let champion = moves.iter().find(|entry| entry.payload["alias"] == "champion" && entry.action != "alias.remove");
    if let Some(entry) = champion {
        return Ok(entry.subject.version);
    }
    for action in ["model_version.register", "model_version.rename"] {
        if let Some(entry) = queries::newest_about(reader, &versions, action)? {
            return Ok(entry.subject.version);
        }
    }
    Ok(None)
}

fn version_fact(version: u64, registration: &Entry) -> VersionFact {
    let author = registration.payload["author"].as_str();
    let output = registration.outputs.iter().find(|output| output.subject == registration.subject);
    VersionFact {
        version,
        digest: output.and_then(|output| output.digest),
        registered_at: registration.at,
        author: author.map_or_else(|| registration.actor.clone(), Actor::new),
        hands: serde_json::from_value(registration.payload["hands"].clone()).unwrap_or_default(),
        code: registration.payload["recipe"]["code"].clone(),
        client: client(registration),
        deleted: None,
        seq: registration.seq,
    }
}

fn client(registration: &Entry) -> Option<ClientFact> {
    let recipe = &registration.payload["recipe"];
    recipe.get("registered_by")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let run = registration.inputs.iter().find(|input| input.role == "run").map(|input| input.subject.name.clone());
    let content = &recipe["content"];
    let content = match content["n_files"].as_u64() {
        Some(1) => "1 file".to_owned(),
        Some(n_files) => format!("{n_files} files"),
        None => text(&content["digest_of"]),
    };
    Some(ClientFact { source: text(&recipe["source"]), run, by: registration.actor.clone(), content })
}

/// The entry that deleted a version, alone or with its model. A number may have been given again since.
fn deleted(reader: &mut Reader<'_>, version: &Subject, registration: &Entry) -> Result<Option<DeletionFact>> {
    for action in ["model_version.delete", "model_version.remove"] {
        let entry = queries::newest_about(reader, version, action)?.filter(|entry| entry.seq > registration.seq);
        if let Some(entry) = entry {
            return Ok(Some(DeletionFact { at: entry.at, by: entry.actor, seq: entry.seq }));
        }
    }
    Ok(None)
}

fn running(reader: &mut Reader<'_>, model: &ModelName) -> Result<Vec<RunningFact>> {
    let mut facts = Vec::new();
    for endpoint in queries::endpoints(reader, model.as_str())? {
        let Some(entry) = queries::newest_deployment(reader, &endpoint)? else { continue };
        let served = entry.inputs.iter().map(|input| &input.subject);
        let served = served.filter(|subject| subject.kind == SubjectKind::ModelVersion && subject.name == model.as_str());
        for version in served.filter_map(|subject| subject.version) {
            let role = role(&entry.payload, &format!("{model}@{version}"));
            let first = first_in_role(reader, &entry, &Subject::new(SubjectKind::ModelVersion, model, version), &role)?;
            facts.push(RunningFact {
                endpoint: endpoint.clone(),
                generation: entry.subject.version,
                version,
                role,
                since: first.at,
                by: first.actor,
                since_seq: first.seq,
                seq: entry.seq,
            });
        }
    }
    Ok(facts)
}

/// The deployment since which a version has played its part without a break: what else changed behind the endpoint meanwhile, such
/// as a canary beside the champion, is no new beginning for it.
fn first_in_role(reader: &mut Reader<'_>, newest: &Entry, version: &Subject, role_now: &str) -> Result<Entry> {
    let label = format!("{}@{}", version.name, version.version.unwrap_or_default());
    let about = Subject::unversioned(SubjectKind::Deployment, &newest.subject.name);
    let mut first = newest.clone();
    loop {
        let filter = EntryFilter::about(about.clone(), Mention::Subject).action("deployment.*").newest_first().after(first.seq);
        let page = reader.entries(&filter)?;
        if page.is_empty() {
            return Ok(first);
        }
        for entry in page {
            let is_served = entry.inputs.iter().any(|input| input.subject == *version);
            if !is_served || role(&entry.payload, &label) != role_now {
                return Ok(first);
            }
            first = entry;
        }
    }
}

/// The part that a version plays behind an endpoint, from what the deployment says about itself.
fn role(payload: &Value, version: &str) -> String {
    let canary = &payload["canary"];
    if canary["version"] == version {
        let share = canary["share"].as_f64().unwrap_or(0.0);
        return format!("canary {}%", (share * 1000.0).round() / 10.0);
    }
    let is_shadow = payload["shadows"].as_array().is_some_and(|shadows| shadows.iter().any(|shadow| shadow == version));
    if is_shadow { "shadow".to_owned() } else { "champion".to_owned() }
}

/// What a version was made from: its data and feature views, found by walking upstream from its registration.
struct Making {
    data: Vec<DataFact>,
    features: Vec<FeatureFact>,
}

impl Making {
    fn of(reader: &mut Reader<'_>, registration: &Entry) -> Result<Self> {
        let walked =
            walk(reader, registration.subject.clone(), Direction::Upstream, Budget { depth: 6, n_nodes: 2000, n_edges: 10_000 })?;
        let mut making = Self { data: Vec::new(), features: Vec::new() };
        for node in walked.nodes.iter().skip(1) {
            let Some(edge) = walked.edges.iter().find(|edge| edge.from == node.subject) else { continue };
            match node.subject.kind {
                SubjectKind::TrainingSet | SubjectKind::Table | SubjectKind::Source | SubjectKind::Dataset => {
                    making.data.push(data_fact(reader, &node.subject, edge.seq)?);
                }
                SubjectKind::FeatureView => making.features.push(feature_fact(reader, &node.subject, edge.seq)?),
                _ => {}
            }
        }
        let rank = |kind: SubjectKind| (kind != SubjectKind::TrainingSet, kind != SubjectKind::Table);
        // A table without a version is what a view's definition names; the training set names the version that was read.
        let versioned: Vec<Subject> =
            making.data.iter().map(|fact| fact.subject.clone()).filter(|subject| subject.version.is_some()).collect();
        making.data.retain(|fact| {
            let is_bare = fact.subject.version.is_none();
            !(is_bare && versioned.iter().any(|other| (other.kind, &other.name) == (fact.subject.kind, &fact.subject.name)))
        });
        making.data.sort_by(|a, b| (rank(a.subject.kind), &a.subject).cmp(&(rank(b.subject.kind), &b.subject)));
        making.features.sort_by(|a, b| a.view.cmp(&b.view));
        Ok(making)
    }

    /// Names and digests, for the comparison of two versions.
    fn data_json(&self) -> Value {
        let text = |fact: &DataFact| reference_text(&fact.subject, fact.digest.map(|digest| digest.short()));
        self.data.iter().map(|fact| (format!("{}/{}", fact.subject.kind.name(), fact.subject.name), text(fact))).collect()
    }

    fn features_json(&self) -> Value {
        let text = |fact: &FeatureFact| reference_text(&fact.view, fact.digest.map(|digest| digest.short()));
        self.features.iter().map(|fact| (fact.view.name.clone(), text(fact))).collect()
    }
}

fn reference_text(subject: &Subject, digest: Option<String>) -> Value {
    let version = subject.version.map_or_else(String::new, |version| format!("@{version}"));
    digest.map_or_else(|| version.clone().into(), |digest| format!("{version} ({digest})").trim().into())
}

fn data_fact(reader: &mut Reader<'_>, subject: &Subject, seq: u64) -> Result<DataFact> {
    let made = queries::making(reader, subject)?;
    let digest_of = |references: &[Reference]| {
        references.iter().find(|reference| reference.subject == *subject).and_then(|reference| reference.digest)
    };
    let made_digest = made.as_ref().and_then(|entry| digest_of(&entry.outputs));
    let read = reader.entry(seq)?;
    let digest = made_digest.or_else(|| read.and_then(|entry| digest_of(&entry.inputs)));
    let details = made.as_ref().map_or(Value::Null, |entry| details(&entry.payload));
    Ok(DataFact { subject: subject.clone(), digest, made_by: made.map(|entry| entry.seq), details, seq })
}

/// What a reader wants to know about data: how much of it, and of which time.
fn details(payload: &Value) -> Value {
    let wanted = ["n_rows", "n_quarantined", "window", "as_of"];
    let found: serde_json::Map<String, Value> =
        wanted.iter().filter_map(|name| Some(((*name).to_owned(), payload.get(name)?.clone()))).collect();
    if found.is_empty() { Value::Null } else { found.into() }
}

fn feature_fact(reader: &mut Reader<'_>, view: &Subject, seq: u64) -> Result<FeatureFact> {
    let read = reader.entry(seq)?;
    let digest =
        read.and_then(|entry| entry.inputs.into_iter().find(|input| input.subject == *view)).and_then(|input| input.digest);
    let registered = queries::newest_about(reader, view, "feature_view.register")?;
    let features = registered.as_ref().and_then(|entry| entry.payload["features"].as_array());
    let features = features.map_or_else(Vec::new, |names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    Ok(FeatureFact { view: view.clone(), digest, features, seq: registered.map_or(seq, |entry| entry.seq) })
}

fn gates(reader: &mut Reader<'_>, version: &Subject) -> Result<Option<GateFact>> {
    let decided = queries::newest_about(reader, version, "gate.decide")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(decided.map(|entry| GateFact {
        verdict: text(&entry.payload["verdict"]),
        summary: text(&entry.payload["summary"]),
        at: entry.at,
        seq: entry.seq,
    }))
}

/// The last decision of each person. It is current if it saw the report that counts now.
fn approvals(reader: &mut Reader<'_>, version: &Subject) -> Result<Vec<ApprovalFact>> {
    let attached = queries::newest_about(reader, version, "evaluation.attach")?;
    let counts = attached.as_ref().and_then(report_digest);
    let filter = EntryFilter::about(version.clone(), Mention::Subject).action("approval.*").limit(1000);
    let mut by_person = BTreeMap::new();
    for entry in reader.entries(&filter)? {
        let fact = ApprovalFact {
            by: entry.actor.clone(),
            verdict: if entry.action == "approval.grant" { "granted" } else { "refused" }.to_owned(),
            reason: entry.payload["reason"].as_str().unwrap_or_default().to_owned(),
            at: entry.at,
            is_current: report_digest(&entry) == counts,
            seq: entry.seq,
        };
        by_person.insert(entry.actor, fact);
    }
    Ok(by_person.into_values().collect())
}

fn report_digest(entry: &Entry) -> Option<lw_core::Digest> {
    entry.inputs.iter().find(|input| input.role == "report").and_then(|input| input.digest)
}

fn since(reader: &mut Reader<'_>, version: &Subject, registration: &Entry) -> Result<Option<SinceFact>> {
    let Some(before) = version_before(reader, version)? else { return Ok(None) };
    let Some(earlier) = queries::registration(reader, &before)? else { return Ok(None) };
    let (making_before, making_after) = (Making::of(reader, &earlier)?, Making::of(reader, registration)?);
    Ok(Some(SinceFact {
        version: before.version.unwrap_or_default(),
        recipe: differences(&recipe(&earlier), &recipe(registration)),
        data: differences(&making_before.data_json(), &making_after.data_json()),
        features: differences(&making_before.features_json(), &making_after.features_json()),
        metrics: differences(&metrics(reader, &before)?, &metrics(reader, version)?),
        seqs: vec![earlier.seq, registration.seq],
    }))
}

fn recipe(registration: &Entry) -> Value {
    json!({"recipe": registration.payload["recipe"], "signature": registration.payload["signature"]})
}

fn metrics(reader: &mut Reader<'_>, version: &Subject) -> Result<Value> {
    let attached = queries::newest_about(reader, version, "evaluation.attach")?;
    Ok(attached.map_or(json!({}), |entry| entry.payload["metrics"].clone()))
}

/// The champion that a version replaced when it was promoted, or else the version with the number before.
fn version_before(reader: &mut Reader<'_>, version: &Subject) -> Result<Option<Subject>> {
    let promoted = queries::newest_about(reader, version, "alias.promote")?;
    let replaced = promoted.and_then(|entry| entry.payload["previous"].as_u64());
    let number = version.version.unwrap_or_default();
    let before = replaced.or_else(|| number.checked_sub(1).filter(|number| *number > 0));
    Ok(before.map(|before| Subject { version: Some(before), ..version.clone() }))
}
