use lw_store::testing::both_urls;
use lw_store::{Finding, Store};
use serde_json::json;

use crate::{ctx, intrude, remove_alias, set_alias};

/// Writes five entries, lets an intruder run SQL on the database, and compares what the verification finds.
#[track_caller]
fn check(intrusion: &str, want: &[Finding]) {
    both_urls(|url| async move {
        let store = Store::open(&url).unwrap();
        for draft in [
            set_alias("m", "champion", 1),
            set_alias("m", "champion", 2),
            set_alias("m", "challenger", 3),
            set_alias("other", "champion", 1),
            remove_alias("m", "challenger"),
        ] {
            store.write(&ctx(), |tx| tx.record(draft)).await.unwrap();
        }
        assert!(store.verify().await.unwrap().is_sound());
        intrude(&url, intrusion);
        let verification = store.verify().await.unwrap();
        assert_eq!(verification.findings, want, "{intrusion}");
        assert_eq!(verification.is_sound(), want.is_empty());
    });
}

/// What the verification finds after an intrusion into five entries about one row.
fn findings_after(intrusion: &str) -> Vec<Finding> {
    let found = std::cell::RefCell::new(Vec::new());
    both_urls(|url| {
        let found = &found;
        async move {
            let store = Store::open(&url).unwrap();
            for version in 1..=5 {
                store.write(&ctx(), move |tx| tx.record(set_alias("m", "champion", version))).await.unwrap();
            }
            intrude(&url, intrusion);
            let verification = store.verify().await.unwrap();
            found.borrow_mut().push(verification.findings);
        }
    });
    let mut found = found.into_inner();
    found.dedup();
    assert_eq!(found.len(), 1, "the databases differ: {found:?}");
    found.remove(0)
}

fn key(model: &str, alias: &str) -> serde_json::Value {
    json!({"model": model, "alias": alias})
}

fn table() -> String {
    "model_alias".to_owned()
}

#[test]
fn an_untouched_database_is_sound() {
    check("SELECT 1", &[]);
}

#[test]
fn changed_business_rows_are_found() {
    check(
        "UPDATE model_alias SET version = 9 WHERE model = 'm'",
        &[Finding::RowChanged { table: table(), key: key("m", "champion"), seq: 2 }],
    );
    check(
        "UPDATE model_alias SET set_by = 'eve' WHERE model = 'other'",
        &[Finding::RowChanged { table: table(), key: key("other", "champion"), seq: 4 }],
    );
}

#[test]
fn a_row_put_back_to_an_earlier_state_is_found() {
    check(
        "UPDATE model_alias SET version = 1 WHERE model = 'm'",
        &[Finding::RowChanged { table: table(), key: key("m", "champion"), seq: 2 }],
    );
}

#[test]
fn missing_and_unknown_business_rows_are_found() {
    check(
        "DELETE FROM model_alias WHERE model = 'other'",
        &[Finding::RowMissing { table: table(), key: key("other", "champion"), seq: 4 }],
    );
    check(
        "INSERT INTO model_alias VALUES ('m', 'shadow', 1, 0, 'eve')",
        &[Finding::RowUnknown { table: table(), key: key("m", "shadow"), removed_by: None }],
    );
    check(
        "INSERT INTO model_alias VALUES ('m', 'challenger', 3, 0, 'ana')",
        &[Finding::RowUnknown { table: table(), key: key("m", "challenger"), removed_by: Some(5) }],
    );
    check(
        "INSERT INTO model VALUES ('ghost', '', 'eve', 0, 0)",
        &[Finding::RowUnknown { table: "model".to_owned(), key: json!({"name": "ghost"}), removed_by: None }],
    );
}

#[test]
fn changed_entries_are_found() {
    for column in ["actor = 'eve'", "at = at + 1", "payload = '{\"x\":1}'", "subject_version = 7", "row_images = '[]'"] {
        let found = findings_after(&format!("UPDATE ledger SET {column} WHERE seq = 3"));
        assert!(found.contains(&Finding::EntryChanged { seq: 3 }), "{column}: {found:?}");
    }
    check("UPDATE ledger SET action = 'alias.move' WHERE seq = 3", &[Finding::EntryChanged { seq: 3 }]);
}

#[test]
fn a_rehashed_entry_breaks_the_chain_after_it() {
    let found = findings_after(
        "UPDATE ledger SET hash = 'sha256:0000000000000000000000000000000000000000000000000000000000000000' WHERE seq = 3",
    );
    assert_eq!(found, [Finding::EntryChanged { seq: 3 }, Finding::ChainBroken { seq: 4 }]);
}

#[test]
fn entries_cut_out_or_off_are_found() {
    let found = findings_after("DELETE FROM ledger WHERE seq = 2");
    assert!(found.contains(&Finding::Gap { expected_seq: 2, found_seq: 3 }), "{found:?}");
    let found = findings_after("DELETE FROM ledger WHERE seq = 5; DELETE FROM ledger_link WHERE seq = 5");
    assert!(found.contains(&Finding::HeadMismatch { head_seq: 5, last_seq: 4 }), "{found:?}");
}

#[test]
fn a_recorded_end_that_is_another_or_none_is_found() {
    let other = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let found = findings_after(&format!("UPDATE ledger_head SET hash = '{other}'"));
    assert_eq!(found, [Finding::HeadMismatch { head_seq: 5, last_seq: 5 }]);
    assert!(found[0].to_string().contains("another hash than the recorded end"), "{}", found[0]);
    for edit in ["UPDATE ledger_head SET hash = 'nonsense'", "DELETE FROM ledger_head"] {
        let found = findings_after(edit);
        assert!(matches!(found.as_slice(), [Finding::HeadUnreadable { .. }]), "{edit}: {found:?}");
    }
}

#[test]
fn unreadable_entries_are_named_and_do_not_stop_the_verification() {
    let found =
        findings_after("UPDATE ledger SET payload = '{' WHERE seq = 3; UPDATE ledger SET subject_kind = 'x' WHERE seq = 4");
    let unreadable: Vec<i64> = found
        .iter()
        .filter_map(|finding| match finding {
            Finding::EntryUnreadable { seq, .. } => Some(*seq),
            _ => None,
        })
        .collect();
    assert_eq!(unreadable, [3, 4]);
}

#[test]
fn forged_lineage_is_found() {
    check("UPDATE ledger_link SET name = 'x' WHERE seq = 2 AND part = 'input'", &[Finding::LinksChanged { seq: 2 }]);
    check("DELETE FROM ledger_link WHERE seq = 4 AND part = 'subject'", &[Finding::LinksChanged { seq: 4 }]);
    check("INSERT INTO ledger_link VALUES (99, 0, 'input', 'x', 'table', 't', 1, NULL)", &[Finding::LinksChanged { seq: 5 }]);
}
