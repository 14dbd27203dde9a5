//! The store at its border, on SQLite and, where the environment names one, on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod artifacts;
mod durability;
mod encryption;
mod ledger;
mod opening;
mod outbox;
mod patterns;
mod streams;
mod tampering;
mod transactions;

use lw_core::{Actor, Change, Ctx, Draft, Subject, SubjectKind};
use lw_store::MetadataUrl;

fn ctx() -> Ctx {
    Ctx::real(Actor::new("ana"), "request-1")
}

/// Runs SQL on a database behind the store's back.
fn intrude(url: &MetadataUrl, sql: &str) {
    let (address, sql) = (url.with_secrets(), sql.to_owned());
    match address.strip_prefix("sqlite://") {
        Some(path) => rusqlite::Connection::open(path).unwrap().execute_batch(&sql).unwrap(),
        None => {
            // On a thread of its own: the driver brings its own runtime.
            let run = move || postgres::Client::connect(&address, postgres::NoTls).unwrap().batch_execute(&sql).unwrap();
            std::thread::spawn(run).join().unwrap();
        }
    }
}

/// Points an alias of a model at a version.
fn set_alias(model: &str, alias: &str, version: u64) -> Draft {
    let row = Change::put("model_alias").key("model", model).key("alias", alias);
    Draft::new("alias.set", Subject::new(SubjectKind::ModelVersion, model, version))
        .input("report", Subject::new(SubjectKind::Evaluation, model, version), None)
        .change(row.set("version", version).set("set_at", 0_i64).set("set_by", "ana"))
}

fn remove_alias(model: &str, alias: &str) -> Draft {
    Draft::new("alias.remove", Subject::unversioned(SubjectKind::Model, model))
        .change(Change::remove("model_alias").key("model", model).key("alias", alias))
}
