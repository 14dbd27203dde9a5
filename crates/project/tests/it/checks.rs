//! What `check` says about a model before anything is trained.

use lw_project::{Bundle, Project, check};

use crate::starter;

/// Replaces text in the starter's files, and compares what is said about it: the code, the place, and a part of message and hint.
#[track_caller]
fn says(edits: &[(&str, &str, &str)], place: &str, message: &str, hint: &str) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("shop");
    starter(&root);
    for (path, from, to) in edits {
        let text = std::fs::read_to_string(root.join(path)).unwrap();
        assert!(text.contains(from), "{path} has no `{from}`");
        std::fs::write(root.join(path), text.replace(from, to)).unwrap();
    }
    let errors = match Project::parse(Bundle::read(&root).unwrap()) {
        Ok(project) => check(&project),
        Err(errors) => errors,
    };
    let [error] = errors.as_slice() else { panic!("{errors:#?}") };
    assert!(error.message().contains(message), "{error:?}");
    assert!(error.hint_text().unwrap_or_default().contains(hint), "{error:?}");
    let found = error.place().unwrap();
    assert_eq!(format!("{}:{}", found.file, found.line.unwrap()), place);
}

#[test]
fn more_than_two_classes_are_refused_with_a_way_out() {
    let one_each = "label: kind = 'fraud'";
    says(
        &[("models/churn.yaml", "task: binary_classification", "task: multiclass")],
        "models/churn.yaml:4",
        "multiclass",
        one_each,
    );
    says(&[("models/churn.yaml", "label: churned", "label: plan")], "models/churn.yaml:9", "`plan` is a text", one_each);
    says(
        &[("sources/checkups.yaml", "churned: {type: boolean}", "churned: {type: int32, one_of: [0, 1, 2]}")],
        "models/churn.yaml:9",
        "the contract of `churned` allows other values",
        "python candidate",
    );
}

#[test]
fn a_gate_on_a_baseline_needs_one() {
    says(
        &[("models/churn.yaml", "    - {name: baseline, trainer: baseline}\n", "")],
        "models/churn.yaml:33",
        "gate `beats_baseline` compares with the baseline, and no candidate is one",
        "{name: baseline, trainer: baseline}",
    );
}

#[test]
fn a_view_that_looks_ahead_is_refused_at_its_sql() {
    says(
        &[("features/customer_orders.yaml", " AND CURRENT ROW", " AND INTERVAL '1 day' FOLLOWING")],
        "features/customer_orders.yaml:7",
        "feature view `customer_orders` looks ahead: `count(1)` sees rows that follow its own",
        "CURRENT ROW",
    );
}

#[test]
fn a_skew_monitor_watches_inputs() {
    let monitor = |text: &str| format!("monitors: [{{name: skew, window: 1d, {text}}}]\napprovals:");
    says(
        &[("models/churn.yaml", "approvals:", &monitor("skew: [amont]"))],
        "models/churn.yaml:36",
        "monitor `skew` watches `amont`, which is no input of the model",
        "did you mean `amount`?",
    );
}

#[test]
fn a_definition_further_down_is_not_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("shop");
    starter(&root);
    std::fs::create_dir(root.join("models/old")).unwrap();
    assert!(Bundle::read(&root).is_ok(), "an empty folder harms nobody");
    std::fs::write(root.join("models/old/left.yaml"), "model: left\n").unwrap();
    let error = Bundle::read(&root).unwrap_err();
    assert!(error.message().contains("`models/old/left.yaml` would be ignored"), "{error:?}");
}
