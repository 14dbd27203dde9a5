//! The statements of governance, one function each.

use lw_core::{Actor, Entry, Result, Subject, SubjectKind};
use lw_store::{EntryFilter, Mention, Reader};

use crate::{Credential, Identity, Purpose, Token};

pub(crate) fn identity(reader: &mut Reader<'_>, actor: &Actor) -> Result<Option<Identity>> {
    reader.query_opt("SELECT * FROM actor WHERE name = $1", &[actor.into()])?.as_ref().map(Identity::of).transpose()
}

/// The identity whose name is the given one, or differs from it in capital letters alone. Names are ASCII.
pub(crate) fn name_like(reader: &mut Reader<'_>, actor: &Actor) -> Result<Option<Actor>> {
    let row = reader.query_opt("SELECT name FROM actor WHERE LOWER(name) = LOWER($1) LIMIT 1", &[actor.into()])?;
    row.map(|row| Ok(Actor::new(&row.text("name")?))).transpose()
}

pub(crate) fn identities(reader: &mut Reader<'_>, after: Option<&Actor>, limit: u64) -> Result<Vec<Identity>> {
    let after = after.map_or("", Actor::as_str);
    let rows = reader.query("SELECT * FROM actor WHERE name > $1 ORDER BY name LIMIT $2", &[after.into(), limit.into()])?;
    rows.iter().map(Identity::of).collect()
}

pub(crate) fn token(reader: &mut Reader<'_>, id: &str) -> Result<Option<Token>> {
    reader.query_opt("SELECT * FROM token WHERE id = $1", &[id.into()])?.as_ref().map(Token::of).transpose()
}

/// A token with its holder, in one statement, because every request asks for it.
pub(crate) fn credential(reader: &mut Reader<'_>, id: &str) -> Result<Option<Credential>> {
    let row = reader.query_opt(
        "SELECT token.id, token.actor, token.purpose, token.hash, token.label, token.expires_at, token.revoked_at, \
         token.created_at AS token_created_at, actor.name, actor.display_name, actor.roles, actor.created_at, actor.disabled_at \
         FROM token JOIN actor ON actor.name = token.actor WHERE token.id = $1",
        &[id.into()],
    )?;
    row.as_ref()
        .map(|row| Ok(Credential { identity: Identity::of(row)?, token: Token::read(row, "token_created_at")? }))
        .transpose()
}

/// Tokens newest first, of one actor or of all.
pub(crate) fn tokens(reader: &mut Reader<'_>, actor: Option<&Actor>, after: Option<&str>, limit: u64) -> Result<Vec<Token>> {
    let rows = reader.query(
        "SELECT * FROM token WHERE ($1 = '' OR actor = $1) AND ($2 = '' OR \
         (created_at, id) < (SELECT last.created_at, last.id FROM token last WHERE last.id = $2)) \
         ORDER BY created_at DESC, id DESC LIMIT $3",
        &[actor.map_or("", Actor::as_str).into(), after.unwrap_or_default().into(), limit.into()],
    )?;
    rows.iter().map(Token::of).collect()
}

/// The tokens of a purpose that nobody revoked.
pub(crate) fn standing_tokens(reader: &mut Reader<'_>, purpose: Purpose) -> Result<Vec<Token>> {
    let rows =
        reader.query("SELECT * FROM token WHERE purpose = $1 AND revoked_at IS NULL ORDER BY id", &[purpose.name().into()])?;
    rows.iter().map(Token::of).collect()
}

/// The newest entry about a subject whose action is, or begins with, the given one (`alias.*`).
pub(crate) fn newest_about(reader: &mut Reader<'_>, subject: &Subject, action: &str) -> Result<Option<Entry>> {
    let filter = EntryFilter::about(subject.clone(), Mention::Subject).action(action).newest_first().limit(1);
    Ok(reader.entries(&filter)?.pop())
}

/// The entry that registered a version of a model, under whatever name the model had then.
pub(crate) fn registration(reader: &mut Reader<'_>, version: &Subject) -> Result<Option<Entry>> {
    let mut version = version.clone();
    for _ in 0..MAX_RENAMES {
        let registered = newest_about(reader, &version, "model_version.register")?;
        let renamed = newest_about(reader, &version, "model_version.rename")?;
        let renamed = renamed.filter(|renamed| registered.as_ref().is_none_or(|entry| entry.seq < renamed.seq));
        let before = renamed.and_then(|entry| entry.inputs.into_iter().find(|input| input.role == "renamed"));
        match before {
            Some(before) => version = before.subject,
            None => return Ok(registered),
        }
    }
    Ok(None)
}

/// How often a model was renamed at most, for the sake of an end.
const MAX_RENAMES: usize = 100;

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

/// Whether any entry mentions the subject, in any of its versions if it names none.
pub(crate) fn versions_of(reader: &mut Reader<'_>, subject: &Subject, limit: u64) -> Result<Vec<Option<u64>>> {
    let rows = reader.query(
        "SELECT DISTINCT version FROM ledger_link WHERE kind = $1 AND name = $2 AND ($3 < 0 OR version = $3) ORDER BY version DESC LIMIT $4",
        &[
            subject.kind.name().into(),
            (&subject.name).into(),
            subject.version.map_or(-1, |version| i64::try_from(version).unwrap_or(i64::MAX)).into(),
            limit.into(),
        ],
    )?;
    rows.iter().map(|row| row.opt_count("version")).collect()
}

/// The names of a kind that the ledger mentions.
pub(crate) fn names_of(reader: &mut Reader<'_>, kind: SubjectKind, limit: u64) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT name FROM ledger_link WHERE kind = $1 ORDER BY name LIMIT $2";
    reader.query(sql, &[kind.name().into(), limit.into()])?.iter().map(|row| row.text("name")).collect()
}

/// The kinds of things with this name.
pub(crate) fn kinds_of(reader: &mut Reader<'_>, name: &str) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT kind FROM ledger_link WHERE name = $1 ORDER BY kind";
    reader.query(sql, &[name.into()])?.iter().map(|row| row.text("kind")).collect()
}
