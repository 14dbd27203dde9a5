//! From the journal into the table, exactly once.

use std::io::Write;
use std::path::PathBuf;

use lw_store::testing::both;
use lw_traces::{Removal, TRACE_NOT_FOUND};

use crate::world::{World, id, span};

fn segments(world: &World) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(world.directory.path().join("spans")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart_without_a_flush() {
    both(|store| async move {
        let world = World::make(store).await;
        world.log(&id(1), vec![span(1), span(2)]).await;
        let kept = world.directory.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        for path in segments(&world) {
            std::fs::copy(&path, kept.join(path.file_name().unwrap())).unwrap();
        }
        // The process dies: what it had not written is not there, and the tail is torn.
        let world = world.reopened().await;
        assert_eq!(world.spans(&id(1)).await, ["span1", "span2"]);
        let newest = segments(&world).pop().unwrap();
        std::fs::OpenOptions::new().append(true).open(newest).unwrap().write_all(b"\x10\0\0\0torn").unwrap();
        let world = world.reopened().await;
        world.log(&id(1), vec![span(3)]).await;
        assert_eq!(world.spans(&id(1)).await, ["span1", "span2", "span3"]);
        world.traces.deliver(&world.ctx).await.unwrap();
        assert_eq!(world.in_table().await, (3, 3));
    });
}

#[test]
fn a_crash_between_commit_and_removal_doubles_nothing() {
    both(|store| async move {
        let world = World::make(store).await;
        world.log(&id(1), vec![span(1), span(2)]).await;
        let segment = segments(&world).pop().unwrap();
        let kept = world.directory.path().join("kept");
        std::fs::copy(&segment, &kept).unwrap();
        let delivery = world.traces.deliver(&world.ctx).await.unwrap();
        assert_eq!((delivery.n_segments, delivery.n_spans), (1, 2));
        assert!(!segment.exists());
        // The crash: the table has the spans, the segment is still there.
        std::fs::copy(&kept, &segment).unwrap();
        let world = world.reopened().await;
        assert_eq!(world.spans(&id(1)).await, ["span1", "span2"]);
        assert_eq!(world.traces.deliver(&world.ctx).await.unwrap().n_spans, 0);
        world.log(&id(1), vec![span(3)]).await;
        world.traces.deliver(&world.ctx).await.unwrap();
        assert_eq!(world.in_table().await, (3, 3));
        assert_eq!(world.spans(&id(1)).await, ["span1", "span2", "span3"]);
    });
}

#[test]
fn readers_unite_journal_and_table() {
    both(|store| async move {
        let world = World::make(store).await;
        for round in 1..=4 {
            world.log(&id(1), vec![span(round)]).await;
            world.log(&id(round + 10), vec![span(1)]).await;
            if round < 4 {
                world.traces.deliver(&world.ctx).await.unwrap();
            }
        }
        assert_eq!(world.in_table().await.0, 6);
        assert_eq!(world.spans(&id(1)).await, ["span1", "span2", "span3", "span4"]);
        let ids: Vec<String> = [14, 1, 99, 11].map(id).to_vec();
        let found = world.traces.whole_traces(&ids, None).await.unwrap();
        let found: Vec<(String, usize)> = found.into_iter().map(|(trace, spans)| (trace.id, spans.len())).collect();
        assert_eq!(found, [(id(14), 1), (id(1), 4), (id(11), 1)]);
    });
}

#[test]
fn a_deleted_trace_takes_its_spans_along() {
    both(|store| async move {
        let world = World::make(store).await;
        world.log(&id(1), vec![span(1), span(2)]).await;
        world.log(&id(2), vec![span(1)]).await;
        world.traces.deliver(&world.ctx).await.unwrap();
        world.log(&id(1), vec![span(3)]).await;
        world.log(&id(3), vec![span(1)]).await;

        let remove =
            async |ids: Vec<String>| world.traces.remove(&world.ctx, world.experiment, Removal::Traces(ids)).await.unwrap();
        assert_eq!(remove(vec![id(1), id(3), id(99)]).await, 2);
        assert!(world.traces.trace(&id(1)).await.unwrap_err().is(TRACE_NOT_FOUND));
        // The same id again is another trace.
        world.log(&id(1), vec![span(7)]).await;
        assert_eq!(world.spans(&id(1)).await, ["span7"]);
        let delivery = world.traces.deliver(&world.ctx).await.unwrap();
        assert_eq!(delivery.n_removed, 2, "{delivery:?}");
        assert_eq!(world.in_table().await, (2, 2));
        assert_eq!((world.spans(&id(1)).await, world.spans(&id(2)).await), (vec!["span7".to_owned()], vec!["span1".to_owned()]));

        let until = Removal::Until { time: lw_core::Timestamp::parse("2013-06-01T12:00:00.001Z").unwrap(), limit: None };
        assert_eq!(world.traces.remove(&world.ctx, world.experiment, until).await.unwrap(), 1);
        assert!(world.traces.trace(&id(2)).await.is_err() && world.traces.trace(&id(1)).await.is_ok());
    });
}
