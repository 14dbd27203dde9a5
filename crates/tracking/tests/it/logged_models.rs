use lw_core::{Subject, SubjectKind, Timestamp};
use lw_store::EntryFilter;
use lw_store::testing::both;
use lw_tracking::{
    BAD_LOGGED_MODEL, Batch, LOGGED_MODEL_NOT_FOUND, LoggedModelId, LoggedModelSearch, LoggedModelStatus, MetricPoint,
    ModelMetric, NewLoggedModel, PARAM_CHANGED, TAG_NOT_FOUND,
};

use crate::with_run;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_logged_model_lives_from_pending_to_deleted() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store.clone()).await;
        let new = NewLoggedModel {
            experiment: experiment.id,
            name: Some("forest".to_owned()),
            model_type: "Classifier".to_owned(),
            source_run: run.id.to_string(),
            params: pairs(&[("depth", "3")]),
            tags: pairs(&[("stage", "test")]),
        };
        let bad = NewLoggedModel { name: Some("a/b".to_owned()), ..new.clone() };
        assert!(tracking.create_logged_model(&ctx, bad).await.unwrap_err().is(BAD_LOGGED_MODEL));
        let made = tracking.create_logged_model(&ctx, new).await.unwrap();
        let id = made.model.id.clone();
        assert!(id.as_str().starts_with("m-") && id.as_str().len() == 34);
        assert_eq!(made.model.artifact_uri, format!("mlflow-artifacts:/1/models/{id}/artifacts"));
        assert_eq!((made.model.status, made.params["depth"].as_str()), (LoggedModelStatus::Pending, "3"));

        let ready = tracking.finalize_logged_model(&ctx, &id, LoggedModelStatus::Ready).await.unwrap();
        assert_eq!((ready.model.status, ready.tags["stage"].as_str()), (LoggedModelStatus::Ready, "test"));
        tracking.log_model_params(&ctx, &id, pairs(&[("depth", "3"), ("trees", "9")])).await.unwrap();
        let changed = tracking.log_model_params(&ctx, &id, pairs(&[("depth", "4")])).await;
        assert!(changed.unwrap_err().is(PARAM_CHANGED));
        tracking.tag_logged_model(&ctx, &id, pairs(&[("stage", "live"), ("a", "1"), ("a", "2")])).await.unwrap();
        tracking.remove_logged_model_tag(&ctx, &id, "stage").await.unwrap();
        assert!(tracking.remove_logged_model_tag(&ctx, &id, "stage").await.unwrap_err().is(TAG_NOT_FOUND));
        let data = tracking.logged_model(&id).await.unwrap();
        assert_eq!((data.params.len(), data.tags.len(), data.tags["a"].as_str()), (2, 1, "2"));

        tracking.delete_logged_model(&ctx, &id).await.unwrap();
        assert!(tracking.logged_model(&id).await.unwrap_err().is(LOGGED_MODEL_NOT_FOUND));
        assert_eq!(tracking.logged_model_or_deleted(&id).await.unwrap().params["trees"], "9");
        let entries = store.entries(EntryFilter::about(id.subject(), lw_store::Mention::Subject)).await.unwrap();
        let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["logged_model.create", "logged_model.finalize", "logged_model.delete"]);
        assert_eq!(entries[0].inputs[0].subject, Subject::unversioned(SubjectKind::Run, run.id.as_str()));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn what_runs_measure_of_a_model_is_searched_by_its_latest_point() {
    both(|store| async move {
        let (tracking, ctx, experiment, run) = with_run(store).await;
        let mut ids = Vec::new();
        for index in 0..3 {
            let name = Some(format!("model{index}"));
            let new = NewLoggedModel {
                experiment: experiment.id,
                name,
                model_type: String::new(),
                source_run: String::new(),
                params: Vec::new(),
                tags: Vec::new(),
            };
            ids.push(tracking.create_logged_model(&ctx, new).await.unwrap().model.id);
        }
        let measured = |model: &LoggedModelId, value: f64, step: i64, dataset: Option<&str>| {
            let point = MetricPoint { value, at: Timestamp::from_millis(1), step };
            let dataset_name = dataset.map(str::to_owned);
            ModelMetric { model: model.clone(), key: "auc".to_owned(), point, dataset_name, dataset_digest: None }
        };
        let model_metrics = vec![
            measured(&ids[0], 0.9, 0, Some("train")),
            measured(&ids[0], 0.5, 1, Some("test")),
            measured(&ids[1], 0.7, 0, Some("test")),
        ];
        let batch = Batch { model_metrics: model_metrics.clone(), ..Batch::default() };
        tracking.log(&ctx, &run.id, batch.clone()).await.unwrap();
        tracking.log(&ctx, &run.id, batch).await.unwrap();
        let data = tracking.logged_model(&ids[0]).await.unwrap();
        assert_eq!((data.metrics.len(), data.metrics[0].run.clone()), (2, run.id.clone()));
        let unknown = LoggedModelId::parse("m-none").unwrap();
        let refused = Batch { model_metrics: vec![measured(&unknown, 1.0, 0, None)], ..Batch::default() };
        assert!(tracking.log(&ctx, &run.id, refused).await.unwrap_err().is(LOGGED_MODEL_NOT_FOUND));

        let all = LoggedModelSearch {
            experiments: vec![experiment.id],
            filter: None,
            datasets: Vec::new(),
            order_by: Vec::new(),
            limit: 2,
            offset: 0,
        };
        let first = tracking.search_logged_models(all.clone()).await.unwrap();
        assert_eq!((first.items.len(), first.next_offset), (2, Some(2)));
        let rest = tracking.search_logged_models(LoggedModelSearch { offset: 2, ..all.clone() }).await.unwrap();
        assert_eq!((rest.items.len(), rest.next_offset), (1, None));
        let on = |name: &str| vec![lw_search::MetricDataset { name: name.to_owned(), digest: None }];
        let on_train = LoggedModelSearch { datasets: on("train"), ..all };
        let found = tracking.search_logged_models(on_train).await.unwrap().items;
        assert_eq!(found.iter().map(|data| &data.model.id).collect::<Vec<_>>(), [&ids[0]]);
    });
}
