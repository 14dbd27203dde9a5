//! Evaluation datasets.

use lw_core::Span as TimeSpan;
use lw_search::PageToken;
use lw_store::testing::both;
use lw_traces::{BAD_DATASET_RECORD, EVALUATION_DATASET_NOT_FOUND};
use lw_tracking::EXPERIMENT_NOT_FOUND;

use crate::world::World;

#[test]
fn records_with_the_same_inputs_are_one() {
    both(|store| async move {
        let world = World::make(store.clone()).await;
        let (traces, ctx) = (&world.traces, &world.ctx);
        let tags = [("mlflow.user".to_owned(), "ann".to_owned())].into();
        let dataset = traces.create_dataset(ctx, "ds", tags, vec!["1".to_owned()]).await.unwrap();
        assert_eq!((dataset.created_by.as_deref(), dataset.digest.len()), (Some("ann"), 8));
        world.clock.set(lw_core::Clock::now(&*world.clock) + TimeSpan::from_secs(1));
        let records = r#"[{"inputs": {"q": "a"}, "outputs": {"r": 1}, "expectations": {"e": "x"}, "tags": {"mlflow.user": "bob"},
                           "source": {"source_type": "human", "source_data": {"user": "bob"}}},
                          {"inputs": {"q": "b"}, "outputs": "txt"}, {"inputs": {"q": "c", "f": 1.5, "z": null}}]"#;
        let counts = traces.upsert_records(ctx, &dataset.id, records).await.unwrap();
        assert_eq!((counts.n_inserted, counts.n_updated), (3, 0));
        let again = r#"[{"inputs": {"q": "a"}, "expectations": {"e2": "y"}, "outputs": {"r": 2}}]"#;
        assert_eq!(traces.upsert_records(ctx, &dataset.id, again).await.unwrap().n_updated, 1);

        let first = traces.records(&dataset.id, 2, None).await.unwrap();
        let rest = traces.records(&dataset.id, 2, first.next.clone()).await.unwrap();
        assert_eq!((first.records.len(), rest.records.len(), rest.next.is_none()), (2, 1, true));
        let all: Vec<_> = first.records.iter().chain(&rest.records).collect();
        let changed = all.iter().find(|record| record.inputs.dumped() == r#"{"q": "a"}"#).unwrap();
        assert_eq!(changed.expectations.as_ref().unwrap().dumped(), r#"{"e": "x", "e2": "y"}"#);
        assert_eq!(changed.outputs.as_ref().unwrap().dumped(), r#"{"r": 2}"#);
        assert_eq!(changed.source.as_ref().unwrap().get("source_type").unwrap().as_text(), Some("HUMAN"));

        let now = traces.dataset(&dataset.id).await.unwrap();
        let schema = r#"{"inputs": {"q": "string", "f": "float", "z": "null"}, "outputs": {"r": "integer"}, "expectations": {"e": "string", "e2": "string"}, "version": "1.0"}"#;
        assert_eq!((now.schema.as_deref(), now.n_records), (Some(schema), 3));
        assert_ne!(now.digest, dataset.digest);
        assert_eq!(traces.remove_records(ctx, &dataset.id, vec![changed.id.clone(), "nope".to_owned()]).await.unwrap(), 1);
        assert_eq!(traces.dataset(&dataset.id).await.unwrap().n_records, 2);
        for bad in ["{bad", "{}", r#"[{"inputs": 1}]"#, r#"[{"inputs": {}, "source": {"source_type": "MOON"}}]"#] {
            assert!(traces.upsert_records(ctx, &dataset.id, bad).await.unwrap_err().is(BAD_DATASET_RECORD), "{bad}");
        }
        assert!(traces.upsert_records(ctx, "nope", "[]").await.unwrap_err().is(EVALUATION_DATASET_NOT_FOUND));
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn datasets_are_found_moved_and_deleted() {
    both(|store| async move {
        let world = World::make(store.clone()).await;
        let (traces, ctx) = (&world.traces, &world.ctx);
        let first = traces.create_dataset(ctx, "first", Default::default(), vec!["1".to_owned()]).await.unwrap();
        world.clock.set(lw_core::Clock::now(&*world.clock) + TimeSpan::from_secs(1));
        let second = traces.create_dataset(ctx, "second", Default::default(), Vec::new()).await.unwrap();
        let search = async |experiments: Vec<String>, limit, offset| {
            let page = traces.search_datasets(experiments, None, Vec::new(), limit, PageToken { offset }).await.unwrap();
            (page.datasets.into_iter().map(|it| it.name).collect::<Vec<_>>(), page.next.map(|next| next.offset))
        };
        assert_eq!(search(Vec::new(), 1, 0).await, (vec!["second".to_owned()], Some(1)));
        assert_eq!(search(Vec::new(), 1, 1).await, (vec!["first".to_owned()], None));
        assert_eq!(search(vec!["1".to_owned()], 9, 0).await.0, ["first"]);
        let moved = |into: &str| traces.move_dataset(ctx, &second.id, vec![into.to_owned()], Vec::new());
        moved("1").await.unwrap();
        assert!(
            moved("999").await.unwrap_err().is(EXPERIMENT_NOT_FOUND) && moved("x").await.unwrap_err().is(EXPERIMENT_NOT_FOUND)
        );
        assert_eq!(traces.dataset_experiments(&second.id).await.unwrap(), ["1"]);
        traces.tag_dataset(ctx, &first.id, [("k".to_owned(), "v".to_owned())].into()).await.unwrap();
        assert_eq!(traces.dataset(&first.id).await.unwrap().tags["k"], "v");
        traces.remove_dataset_tag(ctx, &first.id, "k").await.unwrap();
        traces.remove_dataset(ctx, &first.id).await.unwrap();
        traces.remove_dataset(ctx, &first.id).await.unwrap();
        assert!(traces.dataset(&first.id).await.unwrap_err().is(EVALUATION_DATASET_NOT_FOUND));
        assert!(store.verify().await.unwrap().is_sound());
    });
}
