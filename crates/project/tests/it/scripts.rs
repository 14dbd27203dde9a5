//! Python candidates: the code that was applied is the code that runs, whatever lies on the disk.

use std::path::Path;

use lw_core::{Actor, Name};
use lw_pipelines::{RunState, Start};
use lw_project::{Bundle, ChangeKind, Project, Workspace, check};
use lw_registry::Registry;

use crate::{apply, starter, workspace};

fn read(root: &Path) -> Project {
    Project::parse(Bundle::read(root).unwrap()).unwrap()
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Hands on the model that the file beside it holds, after a look at what it is given.
const TRAIN: &str = r#"
import json, os, pathlib
from given.model import MODEL
output = pathlib.Path(os.environ["LOOPWRIGHT_OUTPUT_MODEL"])
for name in ("TRAIN", "VALID"):
    assert pathlib.Path(os.environ["LOOPWRIGHT_INPUT_" + name]).read_bytes()[:4] == b"PAR1", name
assert not pathlib.Path("loopwright.yaml").exists(), "the script sees its own code and nothing else"
(output / "model.onnx").write_bytes(bytes.fromhex(MODEL))
(output / "metrics.json").write_text(json.dumps({"loss": [0.5, 0.25], "fit_seconds": 1.5}))
(output / "notes.txt").write_text("well done")
print("trained by the applied script")
"#;

/// Lets a candidate that hands on the starter's linear model be the only one beside the baseline.
async fn with_script(root: &Path, workspace: &Workspace) -> Project {
    let ana = workspace.ctx(Actor::new("ana"), "test");
    let model = Name::parse("churn").unwrap();
    workspace.apply(&ana, read(root)).await.unwrap();
    workspace.start_model(&ana, &model, Start::by_hand()).await.unwrap();
    workspace.work_until_idle().await.unwrap();
    let native = Registry::new(workspace.store().clone()).version(&model, 1).await.unwrap();
    let onnx = workspace.artifacts().get(&native.artifacts["model"]).await.unwrap();
    let hex: String = onnx.iter().map(|byte| format!("{byte:02x}")).collect();
    write(root, "scripts/given/model.py", &format!("MODEL = '{hex}'\n"));
    write(root, "scripts/train.py", TRAIN);
    let file = root.join("models/churn.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let others = text.lines().filter(|line| line.contains("{name: linear") || line.contains("{name: boosting"));
    let mut changed = text.clone();
    for line in others {
        changed = changed.replace(&format!("{line}\n"), "");
    }
    let changed = changed.replace("  choose_by:", "    - {name: mine, trainer: python, script: scripts/train.py}\n  choose_by:");
    std::fs::write(&file, changed).unwrap();
    read(root)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_applied_script_trains_and_reproduces() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("shop");
    starter(&root);
    let workspace = workspace(folder.path()).await;
    let project = with_script(&root, &workspace).await;
    assert!(check(&project).is_empty(), "{:?}", check(&project));
    let ana = workspace.ctx(Actor::new("ana"), "test");
    let model = Name::parse("churn").unwrap();
    let plan = workspace.plan(&project).await.unwrap();
    let added: Vec<_> =
        plan.changes.iter().filter(|change| change.change == ChangeKind::Added).map(|change| &change.subject).collect();
    assert_eq!(added, ["script/given/model.py", "script/train.py"]);
    workspace.apply(&ana, project).await.unwrap();

    // What is on the disk after `apply` is not what runs.
    write(&root, "scripts/train.py", "raise SystemExit('the disk ran')\n");
    let started = workspace.start_model(&ana, &model, Start::by_hand()).await.unwrap();
    workspace.work_until_idle().await.unwrap();
    let run = workspace.pipelines().run(&started.run).await.unwrap();
    let failed: Vec<_> = run.steps.iter().filter(|step| step.error.is_some()).collect();
    assert!(failed.is_empty() && run.summary.state != RunState::Failed, "{failed:#?}");

    let version = Registry::new(workspace.store().clone()).version(&model, 2).await.unwrap();
    assert_eq!((&version.recipe["candidate"], &version.recipe["code"]["script"]), (&"mine".into(), &"scripts/train.py".into()));
    assert_eq!(version.recipe["code"]["files"].as_object().unwrap().len(), 2);
    let runs = workspace.tracked_runs(50).await.unwrap();
    let tracked = runs.iter().find(|run| run["name"] == "mine").unwrap();
    assert_eq!((&tracked["metrics"]["loss"], &tracked["metrics"]["fit_seconds"]), (&0.25.into(), &1.5.into()));
    assert!(tracked["metrics"]["holdout_auc"].is_f64(), "{tracked}");
    let id = lw_core::RunId::parse(tracked["run_id"].as_str().unwrap()).unwrap();
    let artifacts = lw_tracking::Tracking::new(workspace.store().clone()).artifacts(&id, "").await.unwrap();
    let versions = &tracked["circumstances"]["environment"]["versions"];
    assert!(versions["python"].as_str().is_some_and(|version| version.starts_with("3.")), "{tracked}");
    let tracking = lw_tracking::Tracking::new(workspace.store().clone());
    let experiments: Vec<_> = tracking.experiments(None, None, 50).await.unwrap().iter().map(|known| known.id).collect();
    let datasets = tracking.datasets(&experiments).await.unwrap();
    assert!(datasets.iter().any(|set| set.name == "churn@1" && set.context.as_deref() == Some("training")), "{datasets:?}");
    let log = workspace.pipelines().log(&started.run, None, 0, 1_000).await.unwrap();
    assert!(log.iter().any(|line| line.line == "trained by the applied script"), "{log:?}");
    let paths: Vec<&str> = artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(paths, ["model/model.onnx", "script/log.txt", "script/metrics.json", "script/notes.txt"]);

    let plan = workspace.plan(&read(&root)).await.unwrap();
    let [change] = plan.changes.as_slice() else { panic!("{plan:?}") };
    assert_eq!((change.subject.as_str(), change.change), ("script/train.py", ChangeKind::Changed));
    assert!(change.details[0].contains(" → "), "{change:?}");
    assert_eq!(change.invalidates, ["model/churn", "endpoint/churn"]);

    let again = workspace.reproduce(&ana, &model, 2).await.unwrap();
    assert!(again.same, "{}", again.message);
    apply(&workspace, &root).await;
    let again = workspace.reproduce(&ana, &model, 2).await.unwrap();
    assert!(again.same, "an older version is made by the script of then: {}", again.message);
    let left: Vec<_> = std::fs::read_dir(workspace.directory().join("runs")).unwrap().collect();
    assert!(left.is_empty(), "nothing of the examples stays behind: {left:?}");

    let started = workspace.start_model(&ana, &model, Start::by_hand()).await.unwrap();
    workspace.work_until_idle().await.unwrap();
    let run = workspace.pipelines().run(&started.run).await.unwrap();
    let error = run.steps.iter().find_map(|step| step.error.as_ref()).expect("the new script fails");
    assert!(format!("{error:?}").contains("the disk ran"), "{error:?}");
    workspace.close().await;
}

#[test]
fn a_script_must_lie_among_the_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("shop");
    starter(&root);
    write(&root, "train.py", "");
    write(&root, "scripts/train_all.py", "");
    let file = root.join("models/churn.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let check_script = |script: &str, hint: &str| {
        let line = format!("    - {{name: mine, trainer: python, script: {script}}}\n  choose_by:");
        std::fs::write(&file, text.replace("  choose_by:", &line)).unwrap();
        let errors = check(&read(&root));
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert!(error.message().contains(&format!("runs `{script}`, which is no file of the project's `scripts/`")), "{error}");
        assert!(error.hint_text().unwrap().contains(hint), "{error:?}");
        assert_eq!(error.place().unwrap().file, "models/churn.yaml");
        assert!(error.place().unwrap().line.is_some());
    };
    check_script("train.py", "script: scripts/train.py");
    check_script("scripts/train_al.py", "did you mean `scripts/train_all.py`?");
}

#[test]
fn what_is_too_large_for_a_script_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("shop");
    starter(&root);
    write(&root, "scripts/a/__pycache__/x.py", "no");
    write(&root, "scripts/a/b/c.py", "yes");
    write(&root, "scripts/a/model.bin", "no");
    let bundle = Bundle::read(&root).unwrap();
    assert_eq!(bundle.scripts().map(|(path, _)| path).collect::<Vec<_>>(), ["scripts/a/b/c.py"]);
    write(&root, "scripts/rows.json", &"1".repeat((1 << 20) + 1));
    let error = Bundle::read(&root).unwrap_err();
    assert!(error.message().contains("`scripts/rows.json` is larger"), "{error}");
}
