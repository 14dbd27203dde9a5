//! The statements of governance, one function each.

use lw_core::{Actor, Entry, Result, Subject, SubjectKind};
use lw_store::{EntryFilter, Mention, Reader};

use crate::{Identity, Token};

pub(crate) fn identity(reader: &mut Reader<'_>, actor: &Actor) -> Result<Option<Identity>> {
    reader.query_opt("SELECT * FROM actor WHERE name = $1", &[actor.into()])?.as_ref().map(Identity::of).transpose()
}

pub(crate) fn identities(reader: &mut Reader<'_>, after: Option<&Actor>, limit: u64) -> Result<Vec<Identity>> {
    let after = after.map_or("", Actor::as_str);
    let rows = reader.query("SELECT * FROM actor WHERE name > $1 ORDER BY name LIMIT $2", &[after.into(), limit.into()])?;
    rows.iter().map(Identity::of).collect()
}

pub(crate) fn token(reader: &mut Reader<'_>, id: &str) -> Result<Option<Token>> {
    reader.query_opt("SELECT * FROM token WHERE id = $1", &[id.into()])?.as_ref().map(Token::of).transpose()
}

pub(crate) fn tokens(reader: &mut Reader<'_>, actor: &Actor) -> Result<Vec<Token>> {
    let rows = reader.query("SELECT * FROM token WHERE actor = $1 ORDER BY created_at DESC, id", &[actor.into()])?;
    rows.iter().map(Token::of).collect()
}

/// The newest entry about a subject whose action is, or begins with, the given one (`alias.*`).
pub(crate) fn newest_about(reader: &mut Reader<'_>, subject: &Subject, action: &str) -> Result<Option<Entry>> {
    let filter = EntryFilter::about(subject.clone(), Mention::Subject).action(action).newest_first().limit(1);
    Ok(reader.entries(&filter)?.pop())
}

/// The entry that registered a version of a model.
pub(crate) fn registration(reader: &mut Reader<'_>, version: &Subject) -> Result<Option<Entry>> {
    newest_about(reader, version, "model_version.register")
}

/// The entry that made a version, such as the build of a training set or the commit of a table.
pub(crate) fn making(reader: &mut Reader<'_>, made: &Subject) -> Result<Option<Entry>> {
    Ok(reader.entries(&EntryFilter::about(made.clone(), Mention::Output).limit(1))?.pop())
}

/// The endpoints that have ever served a version of the model.
pub(crate) fn endpoints(reader: &mut Reader<'_>, model: &str) -> Result<Vec<String>> {
    let rows = reader.query(
        "SELECT DISTINCT ledger.subject_name AS name FROM ledger_link \
         JOIN ledger ON ledger.seq = ledger_link.seq \
         WHERE ledger_link.kind = $1 AND ledger_link.name = $2 AND ledger_link.part = 'input' AND ledger.subject_kind = $3 \
         ORDER BY ledger.subject_name",
        &[SubjectKind::ModelVersion.name().into(), model.into(), SubjectKind::Deployment.name().into()],
    )?;
    rows.iter().map(|row| row.text("name")).collect()
}

/// What stands behind an endpoint: the newest entry about its deployments.
pub(crate) fn newest_deployment(reader: &mut Reader<'_>, endpoint: &str) -> Result<Option<Entry>> {
    newest_about(reader, &Subject::unversioned(SubjectKind::Deployment, endpoint), "deployment.*")
}
