use lw_core::{RunId, Subject, SubjectKind};
use lw_store::EntryFilter;
use lw_store::testing::both;
use lw_tracking::{BAD_DATASET, DatasetInput, LoggedModelId, ModelOutput, RUN_NOT_FOUND};

use crate::with_run;

fn dataset(name: &str, context: &str, source: &str) -> DatasetInput {
    DatasetInput {
        name: name.to_owned(),
        digest: "d1".to_owned(),
        tags: vec![("mlflow.data.context".to_owned(), context.to_owned())],
        source_type: "delta".to_owned(),
        source: source.to_owned(),
        schema: None,
        profile: Some("{\"n_rows\": 7}".to_owned()),
    }
}

#[test]
fn a_dataset_is_kept_once_and_listed_by_experiment() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store).await;
        let first = dataset("flights", "training", "tables/data/flights@3");
        tracking.log_inputs(&ctx, &run.id, vec![first.clone()], Vec::new()).await.unwrap();
        let again = vec![dataset("flights", "validation", "elsewhere"), dataset("weather", "", "w")];
        tracking.log_inputs(&ctx, &run.id, again.clone(), Vec::new()).await.unwrap();
        let data = tracking.run(&run.id).await.unwrap();
        assert_eq!(data.datasets, [first, again[1].clone()], "the first one stays, as in MLflow");
        let summaries = tracking.datasets(&[experiment.id]).await.unwrap();
        let shown: Vec<_> = summaries.iter().map(|summary| (summary.name.as_str(), summary.context.as_deref())).collect();
        assert_eq!(shown, [("flights", Some("training")), ("weather", Some(""))]);
    });
}

#[test]
fn versions_of_ours_become_inputs_in_the_ledger() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store.clone()).await;
        let plain = dataset("flights", "training", "loopwright:table/flights@3");
        let nested = dataset("set", "", r#"{"uri": "loopwright:training_set/late_arrival@2"}"#);
        tracking.log_inputs(&ctx, &run.id, vec![plain, nested, dataset("x", "", "s3://b/x")], Vec::new()).await.unwrap();
        let entries = store.entries(EntryFilter::all()).await.unwrap();
        let entry = entries.iter().find(|entry| entry.action == "run.inputs").unwrap();
        assert_eq!(entry.inputs[0].subject, Subject::new(SubjectKind::Table, "flights", 3));
        assert_eq!(entry.inputs[1].subject, Subject::new(SubjectKind::TrainingSet, "late_arrival", 2));
        assert_eq!((entry.inputs.len(), entry.inputs[0].role.as_str()), (2, "training"));
    });
}

#[test]
fn datasets_have_limits_and_models_are_linked_once() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        let long = dataset(&"x".repeat(501), "", "");
        assert!(tracking.log_inputs(&ctx, &run.id, vec![long], Vec::new()).await.unwrap_err().is(BAD_DATASET));
        let model = LoggedModelId::parse("m-1").unwrap();
        for _ in 0..2 {
            tracking.log_inputs(&ctx, &run.id, Vec::new(), vec![model.clone()]).await.unwrap();
            let output = ModelOutput { model: model.clone(), step: 4 };
            tracking.log_outputs(&ctx, &run.id, vec![output]).await.unwrap();
        }
        let data = tracking.run(&run.id).await.unwrap();
        assert_eq!((data.model_inputs, data.model_outputs), (vec![model.clone()], vec![ModelOutput { model, step: 4 }]));
        let unknown = RunId::parse(&"f".repeat(32)).unwrap();
        assert!(tracking.log_outputs(&ctx, &unknown, Vec::new()).await.unwrap_err().is(RUN_NOT_FOUND));
    });
}
