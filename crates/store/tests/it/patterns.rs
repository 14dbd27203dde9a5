//! What searches rely on: patterns, truth and order mean the same on both databases.

use lw_core::{Result, Scalar};
use lw_store::testing::{both, both_urls, in_languages};
use lw_store::{BAD_PATTERN, MetadataUrl, Reader, Store, Tx};

use crate::{ctx, intrude};

fn holds(query: impl FnOnce(&str, &[Scalar]) -> Result<Vec<lw_store::Row>>, condition: &str, parameters: &[Scalar]) -> bool {
    let sql = format!("SELECT CASE WHEN {condition} THEN 1 ELSE 0 END AS n");
    query(&sql, parameters).unwrap()[0].int("n").unwrap() == 1
}

const CASES: &[(&str, &str, bool)] = &[
    ("'Late' LIKE $1 ESCAPE '~'", "La%", true),
    ("'Late' LIKE $1 ESCAPE '~'", "la%", false),
    ("LOWER('Late') LIKE LOWER($1) ESCAPE '~'", "lA_E", true),
    ("'a\\b' LIKE $1 ESCAPE '~'", "a\\b", true),
    ("'a%b' LIKE $1 ESCAPE '~'", "a\\%b", false),
    ("'a~b' LIKE $1 ESCAPE '~'", "a~~b", true),
    ("(CAST(NULL AS TEXT) = $1) IS NOT TRUE", "a", true),
    ("('a' = $1) IS NOT TRUE", "a", false),
];

#[test]
fn patterns_mean_the_same_on_both_databases() {
    both(|store| async move {
        for (condition, pattern, want) in CASES {
            let pattern = [Scalar::from(*pattern)];
            let read = pattern.clone();
            let by_reader =
                store.read(move |reader: &mut Reader<'_>| Ok(holds(|sql, given| reader.query(sql, given), condition, &read)));
            assert_eq!(by_reader.await.unwrap(), *want, "{condition} {pattern:?}");
            let ctx = ctx();
            let by_writer =
                store.write(&ctx, move |tx: &mut Tx<'_>| Ok(holds(|sql, given| tx.query(sql, given), condition, &pattern)));
            assert_eq!(by_writer.await.unwrap(), *want, "{condition} by the writer");
        }
    });
}

#[test]
fn a_fraction_meets_whole_numbers_and_nothing_comes_last() {
    both(|store| async move {
        let ordered = store.read(|reader: &mut Reader<'_>| {
            let values = "SELECT 3 AS v UNION ALL SELECT NULL UNION ALL SELECT 1";
            let sql = format!(
                "SELECT v FROM ({values}) AS t WHERE v IS NULL OR v > CAST($1 AS DOUBLE PRECISION) ORDER BY v DESC NULLS LAST"
            );
            reader.query(&sql, &[Scalar::Float(0.5)])
        });
        let ordered = ordered.await.unwrap();
        assert_eq!(ordered.len(), 3);
        assert_eq!((ordered[0].int("v").unwrap(), ordered[1].int("v").unwrap()), (3, 1));
    });
}

#[test]
fn regular_expressions_are_found_and_bad_ones_refused() {
    both(|store| async move {
        let find = |text: Scalar, pattern: &'static str| {
            store.read(move |reader| {
                let rows = reader.query("SELECT regexp_like(CAST($1 AS TEXT), $2) AS found", &[text, pattern.into()])?;
                rows[0].opt_int("found")
            })
        };
        for (text, pattern, want) in [
            ("delays-7", "^delays-[0-9]+$", true),
            ("my delays", "del", true),
            ("Delays", "^d", false),
            ("Delays", "(?i)^d", true),
            ("ärger", "^ä.ger$", true),
            ("", "^$", true),
        ] {
            assert_eq!(find(text.into(), pattern).await.unwrap(), Some(i64::from(want)), "{text} {pattern}");
        }
        assert_eq!(find(Scalar::Null, "a").await.unwrap(), None);
        for pattern in ["(", "[a", "*a"] {
            let error = find("a".into(), pattern).await.unwrap_err();
            assert!(error.is(BAD_PATTERN), "{pattern}: {error:?}");
            assert!(!error.message().ends_with(": "), "says why: {error}");
        }
        assert_eq!(find("a".into(), "a").await.unwrap(), Some(1), "the database is fine after a refusal");
    });
}

/// Capitals, accents, hyphens and digits, which languages order each in their way.
const NAMES: &[&str] =
    &["b", "A", "a", "B", "ä", "Ä", "z", "é", "co-op", "coop", "coOp", "10", "9", "_x", "o\u{308}", "ö", "日本"];

async fn names_in_order(url: MetadataUrl) -> (Vec<String>, Vec<String>) {
    let store = Store::open(&url).unwrap();
    let put = |tx: &mut Tx<'_>| {
        for name in NAMES {
            let sql = "INSERT INTO experiment_tag (experiment, tag_key, tag_value) VALUES (1, $1, 'x') ON CONFLICT DO NOTHING";
            tx.execute(sql, &[(*name).into()])?;
        }
        Ok(())
    };
    store.write(&ctx(), put).await.unwrap();
    let names =
        |sql: &'static str| store.read(move |reader| reader.query(sql, &[])?.iter().map(|row| row.text("tag_key")).collect());
    (
        names("SELECT tag_key FROM experiment_tag ORDER BY tag_key").await.unwrap(),
        names("SELECT tag_key FROM experiment_tag WHERE tag_key > 'a' ORDER BY tag_key DESC").await.unwrap(),
    )
}

async fn check_order(url: MetadataUrl) {
    let mut by_bytes: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    by_bytes.sort_unstable();
    let after_a: Vec<String> = by_bytes.iter().rev().filter(|name| name.as_str() > "a").cloned().collect();
    assert_eq!(names_in_order(url).await, (by_bytes, after_a));
}

#[test]
fn texts_have_the_order_of_their_bytes() {
    both_urls(check_order);
    in_languages(check_order);
}

#[test]
fn a_database_that_was_made_with_an_order_of_its_own_gets_that_of_bytes() {
    in_languages(|url| async move {
        drop(Store::open(&url).unwrap());
        intrude(&url, "ALTER TABLE experiment_tag ALTER COLUMN tag_key TYPE TEXT COLLATE \"default\"");
        intrude(&url, "CREATE TABLE somebody_elses (name TEXT)");
        check_order(url.clone()).await;
        intrude(
            &url,
            "DO $$ BEGIN ASSERT (SELECT collname FROM pg_attribute a JOIN pg_collation o ON o.oid = a.attcollation \
             WHERE attrelid = 'somebody_elses'::regclass AND attname = 'name') = 'default'; END $$",
        );
    });
}
