//! What was acknowledged survives `kill -9`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use lw_store::testing::both_urls;
use lw_store::{MetadataUrl, Store};

use crate::{ctx, set_alias};

const CHILD: &str = "LOOPWRIGHT_TEST_CHILD_OF";
const INSERT: &str = "INSERT INTO run_tag (run, tag_key, tag_value) VALUES ($1, $2, $3)";

/// The child: four threads write and print each key once it is acknowledged, until the process is killed.
#[test]
#[ignore = "runs as the child of acknowledged_writes_survive_a_kill"]
fn child_that_writes_until_killed() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let store = Store::open(&MetadataUrl::parse(&url).unwrap()).unwrap();
    let threads = (0..4).map(|thread| {
        let store = store.clone();
        std::thread::spawn(move || {
            for index in 0_u64.. {
                let key = format!("{thread}-{index}");
                let written = key.clone();
                let write = store.write_blocking(&ctx(), move |tx| {
                    tx.execute(INSERT, &[7_i64.into(), (&written).into(), "1".into()])?;
                    tx.execute(INSERT, &[7_i64.into(), format!("{written}-twin").into(), "2".into()])?;
                    tx.record(set_alias(&format!("m{thread}"), "champion", index + 1))
                });
                write.unwrap();
                println!("acknowledged {key}");
            }
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn acknowledged_writes_survive_a_kill() {
    both_urls(|url| async move {
        for n_acknowledged in [1, 40, 300] {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "durability::child_that_writes_until_killed", "--ignored", "--nocapture"])
                .env(CHILD, url.with_secrets())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut keys = Vec::new();
            while keys.len() < n_acknowledged {
                let line = lines.next().unwrap().unwrap();
                keys.extend(line.split_once("acknowledged ").map(|(_, key)| key.to_owned()));
            }
            child.kill().unwrap();
            // What the child had printed before it died counts as well.
            keys.extend(lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned)));
            child.wait().unwrap();
            check_and_clear(&url, keys).await;
        }
    });
}

async fn check_and_clear(url: &MetadataUrl, keys: Vec<String>) {
    let store = Store::open(url).unwrap();
    let stored =
        store.read(|reader| reader.query("SELECT tag_key FROM run_tag", &[])?.iter().map(|row| row.text("tag_key")).collect());
    let stored: std::collections::HashSet<String> = stored.await.unwrap();
    for key in &keys {
        assert!(stored.contains(key), "acknowledged write {key} is lost");
    }
    for key in stored.iter().filter(|key| !key.ends_with("-twin")) {
        assert!(stored.contains(&format!("{key}-twin")), "half of the write {key} is there");
    }
    assert!(store.verify().await.unwrap().is_sound());
    store.write(&ctx(), |tx| tx.execute("DELETE FROM run_tag", &[])).await.unwrap();
}
