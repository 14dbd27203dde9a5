//! The statements about parameters and tags of runs.

use std::collections::{BTreeMap, HashMap};

use lw_core::{Result, Scalar};
use lw_store::{Insert, Reader, Tx};

use super::{ByRun, visit_for_each};

type Texts = HashMap<u64, Vec<(String, String)>>;

static INSERT_PARAM: Insert<3> =
    Insert::new("INSERT INTO run_param (run, param_key, param_value)", "ON CONFLICT (run, param_key) DO NOTHING");

static PUT_TAG: Insert<3> = Insert::new(
    "INSERT INTO run_tag (run, tag_key, tag_value)",
    "ON CONFLICT (run, tag_key) DO UPDATE SET tag_value = EXCLUDED.tag_value",
);

/// Inserts the parameters that are not there, and says whether all were new.
pub(crate) fn insert_params(tx: &mut Tx<'_>, run: u64, params: &[(String, String)]) -> Result<bool> {
    let rows = params.iter().map(|(key, value)| [run.into(), key.as_str().into(), value.as_str().into()]);
    Ok(tx.insert(&INSERT_PARAM, rows)? == params.len() as u64)
}

/// Sets tags. Each key stands once.
pub(crate) fn put_tags<'a>(tx: &mut Tx<'_>, run: u64, tags: impl Iterator<Item = (&'a str, &'a str)>) -> Result<()> {
    tx.insert(&PUT_TAG, tags.map(|(key, value)| [run.into(), key.into(), value.into()]))?;
    Ok(())
}

/// Returns whether there was one.
pub(crate) fn remove_tag(tx: &mut Tx<'_>, run: u64, key: &str) -> Result<bool> {
    Ok(tx.execute("DELETE FROM run_tag WHERE run = $1 AND tag_key = $2", &[run.into(), key.into()])? > 0)
}

pub(crate) fn tag_of(reader: &mut Reader<'_>, run: u64, key: &str) -> Result<Option<String>> {
    let sql = "SELECT tag_value FROM run_tag WHERE run = $1 AND tag_key = $2";
    reader.query_opt(sql, &[run.into(), key.into()])?.map(|row| row.text("tag_value")).transpose()
}

pub(crate) fn params_of_one(reader: &mut Reader<'_>, run: u64) -> Result<BTreeMap<String, String>> {
    Ok(params_of(reader, &[run], None)?.remove(&run).unwrap_or_default().into_iter().collect())
}

pub(crate) fn tags_of_one(reader: &mut Reader<'_>, run: u64) -> Result<BTreeMap<String, String>> {
    Ok(tags_of(reader, &[run], None)?.remove(&run).unwrap_or_default().into_iter().collect())
}

/// The parameters of some runs, by the number of the run; with some names or all.
pub(crate) fn params_of(reader: &mut Reader<'_>, runs: &[u64], keys: Option<&[String]>) -> Result<Texts> {
    texts_of(reader, "SELECT run, param_key, param_value FROM run_param", "param_key", runs, keys)
}

pub(crate) fn tags_of(reader: &mut Reader<'_>, runs: &[u64], keys: Option<&[String]>) -> Result<Texts> {
    texts_of(reader, "SELECT run, tag_key, tag_value FROM run_tag", "tag_key", runs, keys)
}

fn texts_of(reader: &mut Reader<'_>, sql: &str, key: &str, runs: &[u64], keys: Option<&[String]>) -> Result<Texts> {
    let mut texts = ByRun::new();
    let mut add = |row: &lw_store::RowView<'_>| {
        texts.add(row.int(0)?.cast_unsigned(), (row.text(1)?.to_owned(), row.text(2)?.to_owned()));
        Ok(())
    };
    let runs: Vec<Scalar> = runs.iter().map(|run| Scalar::from(*run)).collect();
    let Some(keys) = keys else {
        visit_for_each(reader, &format!("{sql} WHERE run IN"), &runs, add)?;
        return Ok(texts.done());
    };
    let sql = format!("{sql} WHERE run = $1 AND {key} = $2");
    for run in &runs {
        for key in keys {
            reader.visit(&sql, &[run.clone(), key.into()], &mut add)?;
        }
    }
    Ok(texts.done())
}
