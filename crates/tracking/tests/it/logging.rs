use lw_core::{Kind, RunId, Timestamp};
use lw_store::testing::both;
use lw_tracking::{
    BAD_LOG_KEY, BAD_METRIC_TIME, BATCH_TOO_LARGE, Batch, DUPLICATE_PARAM, MetricPoint, PARAM_CHANGED, RUN_DELETED,
    RUN_NOT_FOUND, RunStatus, TAG_NOT_FOUND,
};

use crate::with_run;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn the_latest_point_is_the_greatest_by_step_time_and_value() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        let check = async |batch: Batch, want: (f64, i64, i64)| {
            tracking.log(&ctx, &run.id, batch).await.unwrap();
            let latest = tracking.run(&run.id).await.unwrap().metrics["auc"];
            let is_nan = latest.value.is_nan() && want.0.is_nan();
            assert!(is_nan || latest.value == want.0, "{latest:?} {want:?}");
            assert_eq!((latest.at, latest.step), (at(want.1), want.2));
        };
        check(Batch::default().metric("auc", 0.5, at(5), 1), (0.5, 5, 1)).await;
        check(Batch::default().metric("auc", 0.6, at(9), 0), (0.5, 5, 1)).await;
        check(Batch::default().metric("auc", 0.4, at(6), 1).metric("auc", 0.9, at(1), 1), (0.4, 6, 1)).await;
        check(Batch::default().metric("auc", f64::NAN, at(6), 1), (0.4, 6, 1)).await;
        check(Batch::default().metric("auc", 0.45, at(6), 1), (0.45, 6, 1)).await;
        check(Batch::default().metric("auc", f64::NAN, at(0), 2), (f64::NAN, 0, 2)).await;
        check(Batch::default().metric("auc", f64::INFINITY, at(0), 2), (f64::MAX, 0, 2)).await;
        check(Batch::default().metric("auc", f64::NEG_INFINITY, at(0), i64::MAX), (f64::MIN, 0, i64::MAX)).await;
        check(Batch::default().metric("auc", 1.0, at(0), i64::MIN), (f64::MIN, 0, i64::MAX)).await;
    });
}

#[test]
fn a_point_is_kept_once_and_history_comes_in_pages() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        let mut batch = Batch::default();
        for index in 0..10 {
            batch = batch.metric("loss", f64::from(index), at(100 - i64::from(index)), i64::from(index));
        }
        tracking.log(&ctx, &run.id, batch.clone()).await.unwrap();
        tracking.log(&ctx, &run.id, batch).await.unwrap();
        let first = tracking.history(&run.id, "loss", 0, 6).await.unwrap();
        let second = tracking.history(&run.id, "loss", first.next_offset.unwrap(), 6).await.unwrap();
        assert_eq!((first.points.len(), second.points.len(), second.next_offset), (6, 4, None));
        assert_eq!(first.points[0], MetricPoint { value: 9.0, at: at(91), step: 9 });
        let unknown = RunId::parse(&"f".repeat(32)).unwrap();
        assert!(tracking.history(&unknown, "loss", 0, 5).await.unwrap().points.is_empty());
    });
}

#[test]
fn parameters_never_change() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        let log = async |batch: Batch| tracking.log(&ctx, &run.id, batch).await;
        log(Batch::default().param("l2", "1.0")).await.unwrap();
        log(Batch::default().param("l2", "1.0").param("rounds", "x".repeat(7000))).await.unwrap();
        let refused = log(Batch::default().param("new", "1").param("l2", "2.0").metric("auc", 0.5, at(0), 0)).await.unwrap_err();
        assert!(refused.is(PARAM_CHANGED), "{refused:?}");
        let want = format!(
            "Changing param values is not allowed. Params were already logged='[{{'key': 'l2', 'old_value': '1.0', \
             'new_value': '2.0'}}]' for run ID='{}'.",
            run.id
        );
        assert_eq!(refused.message(), want);
        assert!(log(Batch::default().param("a", "1").param("a", "1")).await.unwrap_err().is(DUPLICATE_PARAM));
        let data = tracking.run(&run.id).await.unwrap();
        assert_eq!(data.params.keys().collect::<Vec<_>>(), ["l2", "rounds"], "a refused batch leaves nothing");
        assert_eq!(data.params["rounds"].len(), 6000, "long values are cut as MLflow cuts them");
        assert!(data.metrics.is_empty());
    });
}

#[test]
fn tags_change_and_one_of_them_renames_the_run() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store.clone()).await;
        let log = async |batch: Batch| tracking.log(&ctx, &run.id, batch).await.unwrap();
        log(Batch::default().tag("stage", "a").tag("mlflow.runName", "brave-otter")).await;
        log(Batch::default().tag("stage", "b".repeat(9000))).await;
        let data = tracking.run(&run.id).await.unwrap();
        assert_eq!((data.run.name.as_str(), data.tags["stage"].len()), ("brave-otter", 8000));
        tracking.remove_tag(&ctx, &run.id, "stage").await.unwrap();
        assert!(!tracking.run(&run.id).await.unwrap().tags.contains_key("stage"));
        assert!(tracking.remove_tag(&ctx, &run.id, "stage").await.unwrap_err().is(TAG_NOT_FOUND));
        log(Batch::default().tag("mlflow.runName", "")).await;
        assert_eq!(tracking.run(&run.id).await.unwrap().tags["mlflow.runName"], "brave-otter", "an empty name is none");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn batches_have_limits_and_keys_have_a_form() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        let full = (0..1000).fold(Batch::default(), |batch, index| batch.metric(&format!("m{index}"), 1.0, at(0), 0));
        tracking.log(&ctx, &run.id, full.clone()).await.unwrap();
        assert_eq!(tracking.run(&run.id).await.unwrap().metrics.len(), 1000);
        let over = full.tag("one", "more");
        assert!(tracking.log(&ctx, &run.id, over).await.unwrap_err().is(BATCH_TOO_LARGE));
        let many = (0..101).fold(Batch::default(), |batch, index| batch.param(&format!("p{index}"), "1"));
        assert!(tracking.log(&ctx, &run.id, many).await.unwrap_err().is(BATCH_TOO_LARGE));
        let early = Batch::default().metric("a", 1.0, at(-1), 0);
        assert!(tracking.log(&ctx, &run.id, early).await.unwrap_err().is(BAD_METRIC_TIME));
        for key in ["", "a//b", "../a", "a/../b", "/a", "a/", "a\nb", "a;b", &"k".repeat(251)] {
            let error = tracking.log(&ctx, &run.id, Batch::default().metric(key, 1.0, at(0), 0)).await.unwrap_err();
            assert!(error.is(BAD_LOG_KEY), "{key:?}");
        }
        tracking
            .log(&ctx, &run.id, Batch::default().metric("val/auc @ 5".trim_end_matches(" @ 5"), 1.0, at(0), -5))
            .await
            .unwrap();
    });
}

#[test]
fn logging_goes_on_after_the_end_but_not_after_deletion() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        tracking.finish_run(&ctx, &run.id, RunStatus::Finished).await.unwrap();
        tracking.log(&ctx, &run.id, Batch::default().metric("auc", 0.5, at(0), 0)).await.unwrap();
        tracking.delete_run(&ctx, &run.id).await.unwrap();
        let error = tracking.log(&ctx, &run.id, Batch::default().tag("a", "b")).await.unwrap_err();
        assert!(error.is(RUN_DELETED));
        assert!(error.message().contains("must be in the 'active' state"));
        let unknown = RunId::parse(&"f".repeat(32)).unwrap();
        assert!(tracking.log(&ctx, &unknown, Batch::default()).await.unwrap_err().is(RUN_NOT_FOUND));
    });
}

#[test]
fn texts_that_no_database_can_store_are_refused() {
    both(|store| async move {
        let (tracking, ctx, _, run) = with_run(store).await;
        let nul = tracking.log(&ctx, &run.id, Batch::default().tag("a", "x\0y")).await.unwrap_err();
        assert_eq!(nul.kind(), Kind::Invalid);
    });
}
