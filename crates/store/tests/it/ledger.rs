use lw_core::{Actor, Digest, Draft, Span, Subject, SubjectKind};
use lw_store::testing::both;
use lw_store::{ChainPart, EntryFilter, Mention, Store};
use serde_json::json;

use crate::{ctx, remove_alias, set_alias};

fn version(number: u64) -> Subject {
    Subject::new(SubjectKind::ModelVersion, "m", number)
}

async fn record(store: &Store, draft: Draft) -> lw_core::Entry {
    store.write(&ctx(), |tx| tx.record(draft)).await.unwrap()
}

#[test]
fn entries_form_a_chain_and_read_back_as_they_were_written() {
    both(|store| async move {
        let payload = json!({"b": [1.5, 1e300, -0.0, "ä\n\"", null, true, u64::MAX, i64::MIN], "a": {"nested": {}}});
        let first = record(&store, set_alias("m", "champion", 1).payload(payload)).await;
        let second = record(&store, set_alias("m", "champion", 2).output("x", version(9), Digest::of(b"x"))).await;
        let third = record(&store, remove_alias("m", "champion")).await;
        assert_eq!((first.seq, second.seq, third.seq), (1, 2, 3));
        assert_eq!((second.previous, third.previous), (first.hash, second.hash));
        assert_eq!(third.rows[0].digest, None);
        let read = store.entries(EntryFilter::all()).await.unwrap();
        assert_eq!(read.len(), 3);
        for (entry, written) in read.iter().zip([&first, &second, &third]) {
            assert_eq!(entry.hash, entry.expected_hash());
            assert_eq!(
                (entry.hash, &entry.inputs, &entry.outputs, entry.at),
                (written.hash, &written.inputs, &written.outputs, written.at)
            );
        }
        assert_eq!(read[0].payload["b"][6], "18446744073709551615", "canonical JSON would round it");
        let verification = store.verify().await.unwrap();
        assert_eq!((verification.n_entries, verification.n_rows, verification.head), (3, 0, third.hash));
        assert!(verification.is_sound());
    });
}

#[test]
fn entries_are_listed_by_what_they_mention() {
    both(|store| async move {
        for number in 1..=5 {
            record(&store, set_alias("m", "champion", number)).await;
        }
        record(&store, Draft::new("aliasing.note", version(3)).output("copy", version(5), None)).await;
        let bo = ctx().acting_as(Actor::new("bo"));
        store.write(&bo, |tx| tx.record(remove_alias("m", "champion"))).await.unwrap();

        let seqs = async |filter: EntryFilter| -> Vec<u64> {
            store.entries(filter).await.unwrap().iter().map(|entry| entry.seq).collect()
        };
        let report = Subject::new(SubjectKind::Evaluation, "m", 2);
        assert_eq!(seqs(EntryFilter::about(version(3), Mention::Subject)).await, [3, 6]);
        assert_eq!(seqs(EntryFilter::about(version(5), Mention::Any)).await, [5, 6]);
        assert_eq!(seqs(EntryFilter::about(version(5), Mention::Output)).await, [6]);
        assert_eq!(seqs(EntryFilter::about(report, Mention::Input)).await, [2]);
        let all_versions = Subject::unversioned(SubjectKind::ModelVersion, "m");
        assert_eq!(seqs(EntryFilter::about(all_versions, Mention::Subject)).await, [1, 2, 3, 4, 5, 6]);
        assert_eq!(seqs(EntryFilter::all().action("alias.*")).await, [1, 2, 3, 4, 5, 7]);
        assert_eq!(seqs(EntryFilter::all().action("aliasing.note")).await, [6]);
        assert_eq!(seqs(EntryFilter { actor: Some(Actor::new("bo")), ..EntryFilter::all() }).await, [7]);
        assert_eq!(seqs(EntryFilter { kind: Some(SubjectKind::Model), ..EntryFilter::all() }).await, [7]);
        assert_eq!(seqs(EntryFilter::all().limit(2).after(3)).await, [4, 5]);
        assert_eq!(seqs(EntryFilter::all().newest_first().limit(2).after(4)).await, [3, 2]);
        let entry = store.read(|reader| reader.entry(6)).await.unwrap().unwrap();
        assert_eq!(entry.action, "aliasing.note");
    });
}

#[test]
fn two_stores_on_one_postgresql_share_one_chain() {
    lw_store::testing::both_urls(|url| async move {
        if url.to_string().starts_with("sqlite") {
            return;
        }
        let stores = [Store::open(&url).unwrap(), Store::open(&url).unwrap()];
        let writes =
            (0..100).map(|index| {
                let store = stores[index % 2].clone();
                async move {
                    store.write(&ctx(), move |tx| tx.record(set_alias("m", &format!("alias_{index}"), 1))).await.unwrap().seq
                }
            });
        let mut seqs = futures::future::join_all(writes).await;
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=100).collect::<Vec<u64>>());
        assert!(stores[0].verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_stretch_of_the_chain_has_no_gaps() {
    both(|store| async move {
        let clock = std::sync::Arc::new(lw_core::SimulatedClock::at(ctx().now()));
        let ctx = lw_core::Ctx { clock: clock.clone(), ..ctx() };
        let start = ctx.now();
        // The clock goes back an hour between the second and the third entry.
        for hours in [0, 2, 1, 3, 4] {
            clock.set(start + Span::from_hours(hours));
            store.write(&ctx, |tx| tx.record(set_alias("m", "champion", 1))).await.unwrap();
        }
        let seqs = async |from: Option<i64>, to: Option<i64>, after_seq: u64, limit: u64| -> Vec<u64> {
            let time = |hours: i64| start + Span::from_hours(hours);
            let part = ChainPart { from: from.map(time), to: to.map(time), after_seq, limit };
            store.chain(part).await.unwrap().iter().map(|entry| entry.seq).collect()
        };
        assert_eq!(seqs(None, None, 0, 1000).await, [1, 2, 3, 4, 5]);
        assert_eq!(seqs(None, None, 2, 2).await, [3, 4]);
        assert_eq!(seqs(Some(2), Some(4), 0, 1000).await, [2, 3, 4], "the entry of one o'clock stands between");
        assert_eq!(seqs(Some(9), None, 0, 1000).await, Vec::<u64>::new());
        assert_eq!(seqs(None, Some(0), 0, 1000).await, Vec::<u64>::new());
        let by_time =
            EntryFilter { from: Some(start + Span::from_hours(2)), to: Some(start + Span::from_hours(4)), ..EntryFilter::all() };
        let found = store.entries(by_time).await.unwrap();
        assert_eq!(found.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2, 4]);
    });
}
