use lw_core::{Kind, Result, Scalar, Timestamp};
use lw_store::testing::both;
use lw_store::{BAD_TEXT, DISK_FULL, ROW_EXISTS, Reader, RowView, Store, Tx};

use crate::{ctx, set_alias};

const INSERT: &str = "INSERT INTO run_tag (run, tag_key, tag_value) VALUES ($1, $2, $3)";

fn insert(tx: &mut Tx<'_>, key: &str) -> Result<u64> {
    tx.execute(INSERT, &[7_i64.into(), key.into(), "v".into()])
}

fn count(reader: &mut Reader<'_>) -> Result<i64> {
    reader.query_opt("SELECT COUNT(*) AS n FROM run_tag", &[])?.unwrap().int("n")
}

async fn n_tags(store: &Store) -> i64 {
    store.read(count).await.unwrap()
}

#[test]
fn a_write_is_seen_by_the_next_read() {
    both(|store| async move {
        store.write(&ctx(), |tx| insert(tx, "a")).await.unwrap();
        assert_eq!(n_tags(&store).await, 1);
    });
}

#[test]
fn a_failed_closure_takes_back_only_its_own_changes() {
    both(|store| async move {
        let writes = (0..200).map(|index| {
            let store = store.clone();
            async move {
                let ctx = ctx();
                let write = store.write(&ctx, move |tx| {
                    insert(tx, &format!("key-{index}"))?;
                    tx.record(set_alias("m", &format!("alias_{index}"), 1))?;
                    match index % 4 {
                        0 => Err(BAD_TEXT.error("on purpose")),
                        1 => panic!("on purpose"),
                        2 => tx.execute(INSERT, &[7_i64.into(), format!("key-{index}").into(), "again".into()]).map(|_| index),
                        _ => Ok(index),
                    }
                });
                (index, write.await)
            }
        });
        for (index, outcome) in futures::future::join_all(writes).await {
            match index % 4 {
                0 => assert!(outcome.unwrap_err().is(BAD_TEXT)),
                1 => assert_eq!(outcome.unwrap_err().kind(), Kind::Bug),
                2 => assert!(outcome.unwrap_err().is(ROW_EXISTS)),
                _ => assert_eq!(outcome.unwrap(), index),
            }
        }
        assert_eq!(n_tags(&store).await, 50);
        let verification = store.verify().await.unwrap();
        assert_eq!((verification.n_entries, verification.n_rows, verification.findings), (50, 50, vec![]));
    });
}

#[test]
fn a_swallowed_failure_is_not_acknowledged() {
    both(|store| async move {
        let ctx = ctx();
        let outcome = store.write(&ctx, |tx| {
            insert(tx, "a")?;
            let _ = insert(tx, "a");
            Ok(())
        });
        assert_eq!(outcome.await.unwrap_err().kind(), Kind::Bug);
        assert_eq!(n_tags(&store).await, 0);
    });
}

#[test]
fn governed_tables_change_through_the_ledger_alone() {
    both(|store| async move {
        for sql in
            ["DELETE FROM model_alias", "UPDATE model_alias SET version = 2", "insert into model_alias(model) values ('m')"]
        {
            let error = store.write(&ctx(), |tx| tx.execute(sql, &[])).await.unwrap_err();
            assert!(error.message().contains("Tx::record"), "{error}");
        }
        let ctx = ctx();
        let missing_key = store.write(&ctx, |tx| {
            let mut draft = set_alias("m", "champion", 1);
            draft.changes[0].key.pop();
            tx.record(draft)
        });
        assert!(missing_key.await.unwrap_err().message().contains("its key is"));
    });
}

#[test]
fn placeholders_are_numbered_and_values_keep_their_types() {
    both(|store| async move {
        store
            .write(&ctx(), |tx| {
                // In the text $2 comes before $1.
                tx.execute(
                    "INSERT INTO run_metric (metric_key, run, logged_at, step, metric_value, is_nan) VALUES ($2, $1, $3, $4, $5, $6)",
                    &[7_i64.into(), "k".into(), Timestamp::from_micros(7).into(), (-3_i64).into(), f64::MAX.into(), false.into()],
                )
            })
            .await
            .unwrap();
        store
            .read(|reader| {
                let row = reader.query_opt(
                    "SELECT * FROM run_metric WHERE run = $1 AND ($1 = run OR step = $2)",
                    &[7_i64.into(), Scalar::Int(1)],
                );
                let row = row?.unwrap();
                assert_eq!(row.text("metric_key")?, "k");
                assert_eq!(row.time("logged_at")?, Timestamp::from_micros(7));
                assert_eq!((row.int("step")?, row.float("metric_value")?, row.bool("is_nan")?), (-3, f64::MAX, false));
                assert_eq!(row.int("nothing").unwrap_err().kind(), Kind::Bug);
                let sums =
                    reader.query_opt("SELECT SUM(step) AS whole, AVG(metric_value) AS mean FROM run_metric", &[])?.unwrap();
                assert_eq!((sums.int("whole")?, sums.float("mean")?), (-3, f64::MAX));
                Ok(())
            })
            .await
            .unwrap();
        for parameters in [vec![], vec![1_i64.into(), "b".into(), "c".into(), "d".into()]] {
            let outcome = store.write(&ctx(), move |tx| tx.execute(INSERT, &parameters)).await;
            assert!(outcome.unwrap_err().message().contains("do not fit the placeholders"));
        }
        let nul = store.write(&ctx(), |tx| insert(tx, "a\0b")).await;
        assert!(nul.unwrap_err().is(BAD_TEXT));
    });
}

#[test]
fn a_read_sees_one_moment() {
    both(|store| async move {
        let (writer, reader) = (store.clone(), store.clone());
        let (has_read, wait_for_read) = std::sync::mpsc::channel();
        let (has_written, wait_for_write) = std::sync::mpsc::channel();
        let reading = std::thread::spawn(move || {
            reader.read_blocking(move |reader| {
                let before = count(reader)?;
                has_read.send(()).unwrap();
                wait_for_write.recv().unwrap();
                Ok((before, count(reader)?))
            })
        });
        wait_for_read.recv().unwrap();
        writer.write(&ctx(), |tx| insert(tx, "a")).await.unwrap();
        has_written.send(()).unwrap();
        assert_eq!(reading.join().unwrap().unwrap(), (0, 0));
        assert_eq!(n_tags(&store).await, 1);
    });
}

#[test]
fn a_caller_who_stops_waiting_leaves_no_half_change() {
    both(|store| async move {
        let (store_of_caller, context) = (store.clone(), ctx());
        let mut write = Box::pin(store_of_caller.write(&context, |tx| {
            insert(tx, "a")?;
            tx.record(set_alias("m", "champion", 1))
        }));
        assert!(futures::poll!(&mut write).is_pending());
        drop(write);
        // The writer works in order, so that this one comes after the forsaken one.
        store.write(&ctx(), |tx| insert(tx, "b")).await.unwrap();
        assert_eq!(n_tags(&store).await, 2);
        assert!(store.verify().await.unwrap().is_sound());
    });
}

#[test]
fn a_full_disk_fails_the_write_and_nothing_else() {
    let directory = lw_store::testing::TestDirectory::make();
    let store = Store::open(&lw_store::MetadataUrl::sqlite(directory.path().join("metadata.db"))).unwrap();
    let set_limit = |sql: &'static str| store.write_blocking(&ctx(), move |tx| tx.query(sql, &[]).map(|_| ())).unwrap();
    let fill = |key: &'static str| {
        store.write_blocking(&ctx(), move |tx| {
            tx.record(set_alias("m", key, 1))?;
            tx.execute(INSERT, &[7_i64.into(), key.into(), "x".repeat(1 << 20).into()])
        })
    };
    fill("small").unwrap();
    set_limit("PRAGMA max_page_count = 400");
    let outcomes: Vec<_> = ["a", "b", "c"].into_iter().map(fill).collect();
    let error = outcomes.into_iter().find_map(Result::err).unwrap();
    assert!(error.is(DISK_FULL), "{error:?}");
    let n_before = store.read_blocking(count).unwrap();
    assert!(futures::executor::block_on(store.verify()).unwrap().is_sound());
    set_limit("PRAGMA max_page_count = 1000000");
    fill("after").unwrap();
    assert_eq!(store.read_blocking(count).unwrap(), n_before + 1);
}

#[test]
fn rows_in_bulk_are_the_rows_one_by_one() {
    const ROWS: &str =
        "SELECT step, metric_key, metric_value, NULLIF(step, 3) FROM run_metric WHERE run >= $1 ORDER BY step DESC";
    fn cells(row: &RowView<'_>) -> Result<String> {
        let cells: Vec<_> = (0..4).map(|index| row.cell(index)).collect::<Result<_>>()?;
        Ok(format!("{cells:?}"))
    }
    both(|store| async move {
        let insert = |tx: &mut Tx<'_>| {
            for step in 0..500_i64 {
                let (key, value) = (format!("{step}, \"ä\" {{}}"), [0.5, f64::MIN_POSITIVE, -1e300][step as usize % 3]);
                tx.execute(
                    "INSERT INTO run_metric (run, metric_key, logged_at, step, metric_value, is_nan) VALUES (7, $1, 0, $2, $3, 0)",
                    &[key.into(), step.into(), value.into()],
                )?;
            }
            Ok(())
        };
        store.write(&ctx(), insert).await.unwrap();
        let read = |reader: &mut Reader<'_>| {
            for (run, n_rows) in [(7_i64, 500), (8, 0)] {
                let (mut single, mut bulk) = (Vec::new(), Vec::new());
                reader.visit(ROWS, &[run.into()], |row| cells(row).map(|cells| single.push(cells)))?;
                reader.visit_in_bulk(ROWS, &[run.into()], |row| cells(row).map(|cells| bulk.push(cells)))?;
                assert_eq!(single.len(), n_rows);
                assert_eq!(bulk, single);
            }
            let stopped = reader.visit_in_bulk(ROWS, &[7_i64.into()], |_| Err(BAD_TEXT.error("on purpose")));
            assert!(stopped.unwrap_err().is(BAD_TEXT));
            let beyond = reader.visit_in_bulk(ROWS, &[7_i64.into()], |row| row.cell(4).map(drop));
            assert_eq!(beyond.unwrap_err().kind(), Kind::Bug);
            Ok(())
        };
        store.read(read).await.unwrap();
    });
}
