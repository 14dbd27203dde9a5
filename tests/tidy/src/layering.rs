//! Which crate may import which, and which crate owns which heavy library.

use serde_json::Value;

use crate::Violation;

/// The foundation: each may import those before it in `FOUNDATION_EDGES`.
const FOUNDATION_EDGES: &[(&str, &[&str])] = &[
    ("lw-core", &[]),
    ("lw-stats", &["lw-core"]),
    ("lw-onnx", &["lw-core", "lw-stats"]),
    ("lw-search", &["lw-core"]),
    ("lw-store", &["lw-core"]),
    ("lw-engine", &["lw-core"]),
];

/// The stages in lifecycle order: each may import the foundation and the stages before it.
const STAGES: &[&str] = &[
    "lw-data",
    "lw-features",
    "lw-tracking",
    "lw-traces",
    "lw-training",
    "lw-evaluation",
    "lw-registry",
    "lw-serving",
    "lw-monitoring",
    "lw-query",
    "lw-llm",
];

/// They serve every stage and know none: each may import the foundation only.
const SERVANTS: &[&str] = &["lw-pipelines", "lw-governance"];

/// The top: each may import everything below and the tops before it.
const TOPS: &[&str] = &["lw-project", "lw-mlflow", "lw-flight", "lw-server", "loopwright"];

/// Members outside the product.
const OUTSIDE: &[&str] = &["workspace-hack", "tidy"];

/// Heavy libraries, by prefix, and the crates that may name them.
const OWNERS: &[(&str, &[&str])] = &[
    ("datafusion", &["lw-engine"]),
    ("deltalake", &["lw-engine"]),
    ("rusqlite", &["lw-store"]),
    ("postgres", &["lw-store"]),
    ("tokio-postgres", &["lw-store"]),
    ("sqlx", &["lw-store"]),
    ("object_store", &["lw-store", "lw-engine"]),
    ("redb", &["lw-features"]),
    ("lightgbm3", &["lw-training"]),
    ("ort", &["lw-serving"]),
    ("cedar-policy", &["lw-governance"]),
    ("axum", &["lw-mlflow", "lw-server", "loopwright"]),
    ("tonic", &["lw-server"]),
];

/// An import of one crate by another, tests aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    pub from: String,
    pub to: String,
}

/// Reads the members and their imports from the output of `cargo metadata --no-deps`.
pub fn edges(metadata: &Value) -> (Vec<String>, Vec<Edge>) {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let mut members = Vec::new();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let from = text(package, "name");
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let imports = dependencies.filter(|dependency| dependency["kind"] != "dev");
        found.extend(imports.map(|dependency| Edge { from: from.clone(), to: text(dependency, "name") }));
        members.push(from);
    }
    (members, found)
}

pub fn check(members: &[String], edges: &[Edge]) -> Vec<Violation> {
    let mut found = Vec::new();
    for member in members {
        if !OUTSIDE.contains(&member.as_str()) && allowed(member).is_none() {
            found.push(format!("crate `{member}` has no place in the layering; give it one in tests/tidy/src/layering.rs"));
        }
    }
    for Edge { from, to } in edges {
        if OUTSIDE.contains(&from.as_str()) || OUTSIDE.contains(&to.as_str()) {
            continue;
        }
        if members.contains(to) && !allowed(from).is_some_and(|allowed| allowed.contains(&to.as_str())) {
            found.push(format!("`{from}` imports `{to}`; imports run one way: {}", order()));
        }
        let owners = OWNERS.iter().find(|(library, _)| to == library || to.starts_with(&format!("{library}-")));
        if let Some((library, owners)) = owners.filter(|(_, owners)| !owners.contains(&from.as_str())) {
            found.push(format!("`{from}` names `{to}`; only {} may name {library}", owners.join(" and ")));
        }
    }
    found
}

/// The members that a crate may import, or `None` for a crate without a place.
fn allowed(member: &str) -> Option<Vec<&'static str>> {
    let foundation = FOUNDATION_EDGES.iter().map(|(name, _)| *name);
    if let Some((_, imports)) = FOUNDATION_EDGES.iter().find(|(name, _)| *name == member) {
        return Some(imports.to_vec());
    }
    if SERVANTS.contains(&member) {
        return Some(foundation.collect());
    }
    if let Some(place) = STAGES.iter().position(|stage| *stage == member) {
        return Some(foundation.chain(STAGES[..place].iter().copied()).collect());
    }
    let place = TOPS.iter().position(|top| *top == member)?;
    Some(foundation.chain(STAGES.iter().copied()).chain(SERVANTS.iter().copied()).chain(TOPS[..place].iter().copied()).collect())
}

fn order() -> String {
    format!(
        "core, foundation, {}, then project, mlflow, flight, server, cli; pipelines and governance know no stage",
        STAGES.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn verdict(from: &str, to: &str, want: Option<&str>) {
        let members: Vec<String> =
            [from, to].iter().filter(|name| allowed(name).is_some()).map(|name| (*name).to_owned()).collect();
        let found = check(&members, &[Edge { from: from.to_owned(), to: to.to_owned() }]);
        match want {
            None => assert!(found.is_empty(), "{found:?}"),
            Some(want) => assert!(found.len() == 1 && found[0].contains(want), "{found:?}"),
        }
    }

    #[test]
    fn imports_run_one_way() {
        verdict("lw-features", "lw-data", None);
        verdict("lw-data", "lw-features", Some("imports run one way"));
        verdict("lw-pipelines", "lw-store", None);
        verdict("lw-pipelines", "lw-training", Some("imports run one way"));
        verdict("lw-core", "lw-store", Some("imports run one way"));
        verdict("lw-store", "lw-engine", Some("imports run one way"));
        verdict("loopwright", "lw-server", None);
        verdict("lw-server", "loopwright", Some("imports run one way"));
        verdict("lw-core", "workspace-hack", None);
    }

    #[test]
    fn heavy_libraries_have_one_owner() {
        verdict("lw-engine", "datafusion", None);
        verdict("lw-features", "datafusion-common", Some("only lw-engine"));
        verdict("lw-tracking", "rusqlite", Some("only lw-store"));
        verdict("lw-project", "axum", Some("only lw-mlflow and lw-server and loopwright"));
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        let found = check(&["lw-surprise".to_owned()], &[]);
        assert!(found.len() == 1 && found[0].contains("has no place"), "{found:?}");
    }

    #[test]
    fn metadata_is_read_without_dev_dependencies() {
        let metadata = serde_json::json!({"packages": [{"name": "lw-data", "dependencies": [
            {"name": "lw-core", "kind": null}, {"name": "lw-serving", "kind": "dev"}]}]});
        let (members, edges) = edges(&metadata);
        assert_eq!(members, ["lw-data"]);
        assert_eq!(edges, [Edge { from: "lw-data".into(), to: "lw-core".into() }]);
    }
}
