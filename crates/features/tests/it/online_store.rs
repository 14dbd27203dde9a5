use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lw_core::{Scalar, Timestamp};
use lw_features::failures::{BAD_ENTITY_KEY, ONLINE_STORE_IN_USE};
use lw_features::online::{PutBatch, ViewPut};
use lw_features::{EmbeddedStore, Lookup, MemoryStore, OnlineStore, OnlineView};
use lw_store::testing::TestDirectory;

use crate::fixtures::{Flight, carrier_delays, flight_rows, hour, relation, unregistered};

/// Runs a test on every implementation.
fn each_store(test: impl Fn(Arc<dyn OnlineStore>)) {
    let directory = TestDirectory::make();
    test(Arc::new(MemoryStore::default()));
    test(Arc::new(EmbeddedStore::open(&directory.path().join("online.redb"), 1 << 20).unwrap()));
    // A cache too small for anything: every look-up goes to the disk.
    test(Arc::new(EmbeddedStore::open(&directory.path().join("uncached.redb"), 0).unwrap()));
}

fn view(store: &Arc<dyn OnlineStore>) -> OnlineView {
    OnlineView::new(store.clone(), &unregistered(carrier_delays(), relation(&carrier_delays())))
}

/// A batch of (carrier, hour of landing, delay).
fn batch(view: &OnlineView, rows: &[(&'static str, f64, Option<f64>)], until: f64) -> PutBatch {
    let flights: Vec<Flight> = rows.iter().map(|(carrier, landed, delay)| ("f", *carrier, 0.0, Some(*landed), *delay)).collect();
    let rows = flight_rows(&flights);
    let columns = [("carrier", 1), ("landed_at", 3), ("carrier_delay", 4)];
    let rows = columns.map(|(name, index)| (name, rows.column(index).clone(), true));
    let rows = arrow::array::RecordBatch::try_from_iter_with_nullable(rows).unwrap();
    let mut put = ViewPut::new(view.id(), hour(until));
    view.encode(&rows, 0..rows.num_rows(), &mut put).unwrap();
    PutBatch::of(vec![put])
}

#[track_caller]
fn check(view: &OnlineView, carrier: &str, at: f64, want: Lookup, value: Option<f64>) {
    let mut out = [Scalar::Text("left over".to_owned())];
    assert_eq!(view.lookup(&[carrier.into()], hour(at), &mut out).unwrap(), want);
    assert_eq!(out, [Scalar::from(value)]);
}

#[test]
fn the_newest_event_wins_whatever_the_order() {
    each_store(|store| {
        let view = view(&store);
        check(&view, "AA", 9.0, Lookup::Missing, None);
        let first =
            batch(&view, &[("AA", 5.0, Some(1.0)), ("AA", 8.0, Some(2.0)), ("AA", 7.0, Some(3.0)), ("UA", 1.0, None)], 8.0);
        let summary = store.put_batch(&first).unwrap();
        assert_eq!((summary.n_given, summary.n_written), (4, 2));
        let found = Lookup::Found { event: hour(8.0) };
        check(&view, "AA", 9.0, found, Some(2.0));
        store.put_batch(&batch(&view, &[("AA", 7.5, Some(4.0))], 6.0)).unwrap();
        store.put_batch(&first).unwrap();
        check(&view, "AA", 9.0, found, Some(2.0));
        check(&view, "UA", 2.0, Lookup::Found { event: hour(1.0) }, None);
        let state = view.state().unwrap().unwrap();
        assert_eq!((state.watermark, state.newest_event, state.n_entities), (hour(8.0), Some(hour(8.0)), 2));
    });
}

#[test]
fn a_correction_of_the_same_event_replaces_it_online_as_offline() {
    each_store(|store| {
        let view = view(&store);
        store.put_batch(&batch(&view, &[("AA", 5.0, Some(1.0)), ("AA", 5.0, Some(2.0))], 5.0)).unwrap();
        check(&view, "AA", 5.0, Lookup::Found { event: hour(5.0) }, Some(2.0));
    });
}

#[test]
fn a_row_counts_up_to_its_ttl_and_not_a_moment_longer() {
    each_store(|store| {
        let view = view(&store);
        store.put_batch(&batch(&view, &[("AA", 5.0, Some(1.0))], 5.0)).unwrap();
        let found = Lookup::Found { event: hour(5.0) };
        let expired = Lookup::Expired { event: hour(5.0) };
        check(&view, "AA", 29.0, found, Some(1.0));
        check(&view, "AA", 29.001, expired, None);
        check(&view, "AA", 4.999, expired, None);
    });
}

#[test]
fn a_removed_view_leaves_the_others_alone() {
    each_store(|store| {
        let mut other = unregistered(carrier_delays(), relation(&carrier_delays()));
        other.version = 12;
        let (one, other) = (view(&store), OnlineView::new(store.clone(), &other));
        for view in [&one, &other] {
            store.put_batch(&batch(view, &[("AA", 5.0, Some(1.0)), ("UA", 5.0, Some(1.0))], 5.0)).unwrap();
            check(view, "AA", 5.0, Lookup::Found { event: hour(5.0) }, Some(1.0));
        }
        assert_eq!(one.remove().unwrap(), 2);
        check(&one, "AA", 5.0, Lookup::Missing, None);
        assert_eq!(one.state().unwrap(), None);
        check(&other, "AA", 5.0, Lookup::Found { event: hour(5.0) }, Some(1.0));
    });
}

#[test]
fn keys_must_fit_the_entity() {
    each_store(|store| {
        let view = view(&store);
        let mut out = [Scalar::Int(1)];
        assert_eq!(view.lookup(&[Scalar::Null], hour(0.0), &mut out).unwrap(), Lookup::Missing);
        assert_eq!(out, [Scalar::Null]);
        for key in [vec![], vec![Scalar::Int(1)], vec!["AA".into(), "AA".into()]] {
            assert!(view.lookup(&key, hour(0.0), &mut out).unwrap_err().is(BAD_ENTITY_KEY));
        }
    });
}

#[test]
fn rows_are_there_after_the_store_is_opened_again() {
    let directory = TestDirectory::make();
    let path = directory.path().join("online.redb");
    {
        let store: Arc<dyn OnlineStore> = Arc::new(EmbeddedStore::open(&path, 1 << 20).unwrap());
        let view = view(&store);
        store.put_batch(&batch(&view, &[("AA", 5.0, Some(1.0))], 6.0)).unwrap();
        let error = EmbeddedStore::open(&path, 1 << 20).err().unwrap();
        assert!(error.is(ONLINE_STORE_IN_USE), "{error:?}");
    }
    let store: Arc<dyn OnlineStore> = Arc::new(EmbeddedStore::open(&path, 1 << 20).unwrap());
    let view = view(&store);
    check(&view, "AA", 6.0, Lookup::Found { event: hour(5.0) }, Some(1.0));
    assert_eq!(view.state().unwrap().unwrap().watermark, hour(6.0));
}

#[test]
fn readers_never_see_a_row_go_back_in_time() {
    each_store(|store| {
        let view = view(&store);
        store.put_batch(&batch(&view, &[("AA", 0.0, Some(0.0))], 0.0)).unwrap();
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for step in 1..200 {
                    store.put_batch(&batch(&view, &[("AA", f64::from(step) / 100.0, Some(f64::from(step)))], 0.0)).unwrap();
                }
                is_done.store(true, Ordering::SeqCst);
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    let (mut newest, mut out) = (Timestamp::from_micros(0), [Scalar::Null]);
                    while !is_done.load(Ordering::SeqCst) {
                        let Lookup::Found { event } = view.lookup(&["AA".into()], hour(2.0), &mut out).unwrap() else {
                            panic!("the row was there")
                        };
                        assert!(event >= newest);
                        assert_eq!(out[0].as_f64().map(|step| hour(step / 100.0)), Some(event), "a row is read whole");
                        newest = event;
                    }
                });
            }
        });
        check(&view, "AA", 2.0, Lookup::Found { event: hour(1.99) }, Some(199.0));
    });
}
