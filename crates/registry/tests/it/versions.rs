use lw_core::{Actor, Digest, Kind, ModelName, RunId, Subject, SubjectKind};
use lw_evaluation::{EvaluateDefinition, EvaluationData, Metric, SegmentColumn, Task, evaluate};
use lw_registry::{Facts, MODEL_NOT_FOUND, MODEL_VERSION_NOT_FOUND};
use lw_store::testing::both;
use lw_store::{EntryFilter, Mention};

use crate::{ctx, model, new_version, with_model};

#[test]
fn versions_count_up_and_never_change() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let ana = ctx("ana");
        let first = registry.register(&ana, new_version(1)).await.unwrap();
        let second = registry.register(&ana, new_version(2)).await.unwrap();
        let again = registry.register(&ana, new_version(1)).await.unwrap();
        assert_eq!((first.version, second.version), (1, 2));
        assert_eq!(again, first, "the same content is the same version");
        assert_ne!(first.digest, second.digest);
        assert_eq!(registry.version(&model(), 2).await.unwrap(), second);
        assert_eq!(registry.latest_version(&model()).await.unwrap(), Some(second.clone()));
        assert_eq!(registry.versions(&model(), Some(2), 10).await.unwrap(), [first]);
        assert!(registry.version(&model(), 3).await.unwrap_err().is(MODEL_VERSION_NOT_FOUND));
        let mut stray = new_version(1);
        stray.model = ModelName::parse("other").unwrap();
        assert!(registry.register(&ana, stray).await.unwrap_err().is(MODEL_NOT_FOUND));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_registration_carries_its_lineage_into_the_ledger() {
    both(|store| async move {
        let registry = with_model(&store).await;
        let mut new = new_version(1);
        new.run = Some(RunId::parse(&"a".repeat(32)).unwrap());
        let version = registry.register(&ctx("ana"), new).await.unwrap();
        let training_set = Subject::new(SubjectKind::TrainingSet, "late_arrival", 1);
        let entries = store.entries(EntryFilter::about(training_set, Mention::Input)).await.unwrap();
        assert_eq!(entries.len(), 1);
        let entry = &entries[0];
        assert_eq!((entry.action.as_str(), &entry.subject), ("model_version.register", &version.subject()));
        assert_eq!(entry.inputs.iter().map(|input| input.role.as_str()).collect::<Vec<_>>(), ["training_set", "run"]);
        assert_eq!(entry.outputs[0].digest, Some(version.digest));
        assert_eq!(entry.payload["artifacts"]["model"], Digest::of(&1_u64.to_le_bytes()).to_string());
    });
}

#[test]
fn a_model_is_described_once_and_changes_with_a_record() {
    both(|store| async move {
        let registry = with_model(&store).await;
        with_model(&store).await;
        registry.put_model(&ctx("ana"), &model(), "Better words", &Actor::new("bo")).await.unwrap();
        let actions: Vec<String> =
            store.entries(EntryFilter::all()).await.unwrap().into_iter().map(|entry| entry.action).collect();
        assert_eq!(actions, ["model.create", "model.update"]);
        assert_eq!(registry.model(&model()).await.unwrap().owner, Actor::new("bo"));
        assert_eq!(registry.models(None, 10).await.unwrap().len(), 1);
        let missing = registry.model(&ModelName::parse("other").unwrap()).await.unwrap_err();
        assert_eq!(missing.kind(), Kind::NotFound);
    });
}

#[test]
fn a_real_report_becomes_the_facts_of_the_gates() {
    let definition = EvaluateDefinition {
        segments: vec!["carrier".to_owned()],
        min_segment_rows: 1,
        ..EvaluateDefinition::new(vec![Metric::Auc])
    };
    let (labels, predictions) = ([0.0, 1.0, 0.0, 1.0], [0.2, 0.7, 0.4, 0.3]);
    let data = EvaluationData::new(Task::BinaryClassification, &labels, &predictions)
        .segment(SegmentColumn::from_texts("carrier", ["AA", "AA", "B6", "B6"].map(Some)));
    let report = evaluate(&definition, &data, 7).unwrap();
    let facts = Facts::from(&report);
    assert_eq!((facts.n_rows, facts.metrics[&Metric::Auc]), (4, 0.75));
    let segments: Vec<(&str, f64)> =
        facts.segments["carrier"].iter().map(|segment| (segment.value.as_str(), segment.metrics[&Metric::Auc])).collect();
    assert_eq!(segments, [("AA", 1.0), ("B6", 0.0)]);
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
}
