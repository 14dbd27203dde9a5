use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use lw_core::{DataType, Scalar};
use lw_engine::batch_from_rows;
use lw_features::online::Durability;
use lw_features::{
    AvailableRange, ColumnSkew, EmbeddedStore, Freshness, JoinedView, Lookup, MaterializationFeed, Materializer, MemoryStore,
    OnlineStore, OnlineView, SkewCheck, SkewExample, ViewComputer, freshness, view_rows,
};
use lw_store::testing::{self, TestDirectory};

use crate::fixtures::{
    FLIGHTS, carrier_delays, ctx, engine, hour, register, relation, schema, sources, unregistered, write_flights,
};

#[test]
fn only_new_rows_are_read_and_a_repeated_call_does_nothing() {
    testing::both(|store| async move {
        let directory = TestDirectory::make();
        let engine = engine(directory.path());
        let online: Arc<dyn OnlineStore> = Arc::new(EmbeddedStore::open(&directory.path().join("online.redb"), 1 << 20).unwrap());
        let materializer =
            Materializer { store: store.clone(), computer: ViewComputer::new(engine.clone()), online: online.clone() };
        let sources = sources(write_flights(&engine, &FLIGHTS).await);
        let view = register(&store, &carrier_delays()).await;
        let mut counts = Vec::new();
        for until in [4.0, 9.0, 9.0, 8.0, 12.0, 100.0] {
            let done = materializer.materialize(&ctx(), &view, &sources, hour(until)).await.unwrap();
            counts.push((done.n_read, done.n_written, done.watermark));
        }
        // Hours 5 and 9 land in the second call; AA has two rows of which the newer stays.
        let expected = [(0, 0, 4.0), (2, 1, 9.0), (0, 0, 9.0), (0, 0, 9.0), (2, 2, 12.0), (1, 1, 100.0)];
        assert_eq!(counts, expected.map(|(n_read, n_written, until)| (n_read, n_written, hour(until))));

        let online_view = OnlineView::new(online, &view);
        let mut out = [Scalar::Null];
        assert_eq!(online_view.lookup(&["AA".into()], hour(13.0), &mut out).unwrap(), Lookup::Found { event: hour(12.0) });
        assert_eq!(out, [Scalar::Float(16.0)]);
        let state = online_view.state().unwrap();
        let age = hour(92.0) - hour(90.0);
        assert_eq!(freshness(state.as_ref(), view.definition.ttl, hour(92.0)), Freshness::Fresh { age });

        let entries = store.entries(lw_store::EntryFilter::all()).await.unwrap();
        let n_entries = entries.iter().filter(|entry| entry.action == "feature_view.materialize").count();
        assert_eq!(n_entries, 4, "a call that does nothing leaves no entry");
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[tokio::test]
async fn a_feed_ends_where_materialization_ends() {
    let directory = TestDirectory::make();
    let engine = engine(directory.path());
    let sources = sources(write_flights(&engine, &FLIGHTS).await);
    let view = unregistered(carrier_delays(), relation(&carrier_delays()));
    let online: Arc<dyn OnlineStore> = Arc::new(EmbeddedStore::open(&directory.path().join("online.redb"), 1 << 20).unwrap());
    let views = [view.clone()];
    let mut feed = MaterializationFeed::open(&ViewComputer::new(engine.clone()), online.clone(), &views, &sources, hour(20.0))
        .await
        .unwrap();
    assert_eq!((feed.n_remaining(), feed.next_available()), (4, Some(hour(5.0))));
    let mut n_given = 0;
    for step in 0..30 {
        n_given += feed.advance(hour(f64::from(step)), Durability::Later).unwrap().n_given;
    }
    assert_eq!((n_given, feed.n_remaining(), feed.next_available()), (4, 0, None));
    let online_view = OnlineView::new(online.clone(), &view);
    assert_eq!(online_view.state().unwrap().unwrap().watermark, hour(20.0), "the watermark stays at the horizon");
    let feed =
        MaterializationFeed::open(&ViewComputer::new(engine.clone()), online, &views, &sources, hour(100.0)).await.unwrap();
    assert_eq!(feed.n_remaining(), 1, "the next feed goes on after the watermark");
}

#[tokio::test]
async fn kept_rows_are_those_of_the_tables_and_the_time_that_are_asked_for() {
    let directory = TestDirectory::make();
    let engine = engine(directory.path());
    let computer = ViewComputer::new(engine.clone());
    let view = carrier_delays();
    let few = sources(write_flights(&engine, &FLIGHTS[..3]).await);
    let all = sources(write_flights(&engine, &FLIGHTS[3..]).await);
    let mut counts = Vec::new();
    for sources in [&few, &all, &few, &all] {
        for until in [4.0, 9.0, 12.0, 100.0] {
            let range = AvailableRange { after: Some(hour(4.0)), until: hour(until) };
            let kept = computer.rows(&view, sources, range).await.unwrap();
            let computed = view_rows(&engine, &view, sources, range).await.unwrap();
            let rows = |batches: &[RecordBatch]| concat_batches(&batches[0].schema(), batches).unwrap();
            assert_eq!(rows(&kept), rows(&computed), "until {until}");
            counts.push(rows(&kept).num_rows());
        }
    }
    assert_eq!(counts[..8], [0, 2, 3, 3, 0, 2, 4, 5]);
    assert_eq!(counts[..8], counts[8..]);
}

#[tokio::test]
async fn skew_is_the_share_of_values_that_training_would_not_have_seen() {
    let directory = TestDirectory::make();
    let engine = engine(directory.path());
    let sources = sources(write_flights(&engine, &FLIGHTS).await);
    let view = unregistered(carrier_delays(), relation(&carrier_delays()));
    let logged_schema =
        schema(&[("airline", DataType::String), ("at", DataType::Timestamp), ("carrier_delay", DataType::Float64)]);
    let row = |airline: &str, at: f64, delay: Option<f64>| vec![Scalar::from(airline), hour(at).into(), Scalar::from(delay)];
    // AA at 6 saw the landing of 5; UA at 9.5 cannot have seen the landing of 10; AA at 40 is past the ttl.
    let rows = [row("AA", 6.0, Some(20.0)), row("UA", 9.5, Some(60.0)), row("UA", 10.0, Some(60.0)), row("AA", 40.0, None)];
    let logged = batch_from_rows(&logged_schema, &rows).unwrap();
    let joined = JoinedView::new(&view, [("carrier".to_owned(), "airline".to_owned())].into());
    let check = SkewCheck {
        views: &[joined],
        request: &["airline".to_owned()],
        expressions: &[],
        columns: &["carrier_delay".to_owned()],
        time_column: "at",
        tolerance: 1e-6,
        sources: &sources,
    };
    let skew = check.run(&ViewComputer::new(engine.clone()), &logged).await.unwrap();
    let example = Some(SkewExample { at: hour(9.5), online: Some("60.0".to_owned()), offline: None });
    assert_eq!(skew, [ColumnSkew { column: "carrier_delay".to_owned(), n_compared: 4, n_different: 1, example }]);
    assert_eq!(skew[0].share(), 0.25);
}

/// A view over a view, with a row that is not available before its inputs are.
#[tokio::test]
async fn a_view_may_read_a_view() {
    let directory = TestDirectory::make();
    let engine = engine(directory.path());
    let mut sources = sources(write_flights(&engine, &FLIGHTS).await);
    sources.views.push(carrier_delays());
    let mut outer = carrier_delays();
    outer.feature_view = crate::fixtures::name("late_carriers");
    outer.sql = "SELECT carrier, landed_at, carrier_delay FROM carrier_delays WHERE carrier_delay > 15".to_owned();
    let view = unregistered(outer, relation(&carrier_delays()));
    let online: Arc<dyn OnlineStore> = Arc::new(MemoryStore::default());
    let feed =
        MaterializationFeed::open(&ViewComputer::new(engine.clone()), online, &[view], &sources, hour(100.0)).await.unwrap();
    assert_eq!(feed.n_remaining(), 3);
}
