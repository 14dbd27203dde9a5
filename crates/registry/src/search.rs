//! Searching models and versions. Prompts are left out unless they are what a filter asks for.

use std::collections::BTreeMap;

use lw_core::{Error, ModelName, Result, Scalar};
use lw_search::sql::{self, Columns, Parameters, SortKey, Source};
use lw_search::{Comparator, Condition, Direction, Field, Literal, OrderBy};
use lw_store::Reader;

use crate::record::{ModelRecord, VersionRecord};
use crate::state::VersionState;
use crate::tag::PROMPT_TAG;
use crate::{Model, ModelVersion, Registry, queries};

/// What a search wants, and which part of it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub filter: Option<Condition>,
    pub order: Vec<OrderBy>,
    pub offset: u64,
    pub limit: u64,
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<T> {
    pub items: Vec<T>,
    pub has_more: bool,
}

impl Registry {
    /// Models, by name unless an order says otherwise.
    pub async fn search_models(&self, wanted: Wanted) -> Result<Found<ModelRecord>> {
        self.store
            .read(move |reader| {
                let (filter, wants_prompts) = prompts(wanted.filter);
                let mut statement = Statement::new("SELECT m.* FROM model m", &filter, &wanted.order, &Models)?;
                if !wants_prompts {
                    statement.conditions.push(without_prompts("model_tag", "m.name"));
                }
                let rows = statement.run(reader, &[("name", "m.name ASC")], &wanted.order, wanted.offset, wanted.limit)?;
                let (rows, has_more) = page(rows, wanted.limit);
                let models = rows.iter().map(Model::of).collect::<Result<Vec<_>>>()?;
                Ok(Found { items: with_details(reader, models)?, has_more })
            })
            .await
    }

    /// Versions that are not deleted, the one that changed last first unless an order says otherwise. They come without aliases.
    pub async fn search_versions(&self, wanted: Wanted) -> Result<Found<VersionRecord>> {
        self.store
            .read(move |reader| {
                let (filter, wants_prompts) = prompts(wanted.filter);
                let order = if wanted.order.is_empty() { newest_first() } else { wanted.order };
                let mut statement = Statement::new(VERSIONS, &filter, &order, &Versions)?;
                statement.conditions.push("s.deleted_at IS NULL".to_owned());
                if !wants_prompts {
                    statement.conditions.push(without_prompts("model_version_tag", "v.model"));
                }
                let ties = [("name", "v.model ASC"), ("version_number", "v.version DESC")];
                let rows = statement.run(reader, &ties, &order, wanted.offset, wanted.limit)?;
                let (rows, has_more) = page(rows, wanted.limit);
                Ok(Found { items: records(reader, &rows)?, has_more })
            })
            .await
    }
}

/// The state's columns have names that no version has, so that both are read from one row.
const VERSIONS: &str = "SELECT v.*, s.stage, s.description, s.updated_at, s.deleted_at FROM model_version v \
                        JOIN model_version_state s ON s.model = v.model AND s.version = v.version";

fn newest_first() -> Vec<OrderBy> {
    vec![OrderBy { field: Field::Attribute("last_updated_timestamp"), direction: Direction::Descending }]
}

/// The filter without what it says of the prompt tag, and whether it asks for prompts: then it stays whole.
fn prompts(filter: Option<Condition>) -> (Option<Condition>, bool) {
    let Some(filter) = filter else { return (None, false) };
    let is_tag = |condition: &Condition| match condition {
        Condition::Compare(comparison) => comparison.field == Field::Tag(PROMPT_TAG.to_owned()),
        Condition::All(_) | Condition::Any(_) | Condition::Not(_) => false,
    };
    let first = filter.comparisons().into_iter().find(|comparison| comparison.field == Field::Tag(PROMPT_TAG.to_owned()));
    let asks = first.is_some_and(|comparison| match (&comparison.comparator, &comparison.value) {
        (Comparator::Equal, Literal::Text(text)) => text.eq_ignore_ascii_case("true"),
        (Comparator::NotEqual, Literal::Text(text)) => text.eq_ignore_ascii_case("false"),
        _ => false,
    });
    if asks {
        return (Some(filter), true);
    }
    match filter {
        Condition::All(parts) => {
            let parts: Vec<Condition> = parts.into_iter().filter(|part| !is_tag(part)).collect();
            (Some(Condition::All(parts)).filter(|filter| !filter.comparisons().is_empty()), false)
        }
        only if is_tag(&only) => (None, false),
        other => (Some(other), false),
    }
}

fn without_prompts(tags: &str, name: &str) -> String {
    format!("NOT EXISTS (SELECT 1 FROM {tags} p WHERE p.model = {name} AND p.tag_key = '{PROMPT_TAG}' AND p.tag_value = 'true')")
}

/// A SELECT that is put together.
struct Statement {
    select: &'static str,
    conditions: Vec<String>,
    order: sql::Order,
    parameters: Parameters,
}

impl Statement {
    fn new(select: &'static str, filter: &Option<Condition>, order: &[OrderBy], columns: &dyn Columns) -> Result<Self> {
        let mut parameters = Parameters::default();
        let condition = filter.as_ref().map(|filter| sql::condition(filter, columns, &mut parameters)).transpose()?;
        let order = sql::order(order, columns, &mut parameters)?;
        Ok(Self { select, conditions: condition.into_iter().collect(), order, parameters })
    }

    /// One row more than the limit, which tells whether there are more. `ties` are the fields that decide what the order leaves
    /// open.
    fn run(
        mut self,
        reader: &mut Reader<'_>,
        ties: &[(&str, &str)],
        order: &[OrderBy],
        offset: u64,
        limit: u64,
    ) -> Result<Vec<lw_store::Row>> {
        let is_ordered = |name: &str| order.iter().any(|key| matches!(key.field, Field::Attribute(field) if field == name));
        let mut terms = self.order.terms;
        terms.extend(ties.iter().filter(|(name, _)| !is_ordered(name)).map(|(_, term)| (*term).to_owned()));
        let joins = self.order.joins.join(" ");
        let condition =
            if self.conditions.is_empty() { String::new() } else { format!("WHERE {}", self.conditions.join(" AND ")) };
        let (limit, offset) = (self.parameters.bind(limit + 1), self.parameters.bind(offset));
        let sql = format!("{} {joins} {condition} ORDER BY {} LIMIT {limit} OFFSET {offset}", self.select, terms.join(", "));
        reader.query(&sql, &self.parameters.into_scalars())
    }
}

fn page(mut rows: Vec<lw_store::Row>, limit: u64) -> (Vec<lw_store::Row>, bool) {
    let has_more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    (rows, has_more)
}

struct Models;

impl Columns for Models {
    fn source(&self, field: &Field, parameters: &mut Parameters) -> Result<Source> {
        match field {
            Field::Attribute("name") => Ok(Source::column("m.name")),
            Field::Tag(key) => {
                let key = parameters.bind(key.as_str());
                Ok(Source::rows(format!("SELECT 1 FROM model_tag t WHERE t.model = m.name AND t.tag_key = {key}"), "t.tag_value"))
            }
            other => Err(strange(other)),
        }
    }

    fn sort_key(&self, field: &Field, _: usize, _: &mut Parameters) -> Result<SortKey> {
        match field {
            Field::Attribute("name") => Ok(SortKey::column("m.name")),
            Field::Attribute("last_updated_timestamp") => Ok(SortKey::column("m.updated_at")),
            Field::Attribute("creation_timestamp") => Ok(SortKey::column("m.created_at")),
            other => Err(strange(other)),
        }
    }
}

struct Versions;

impl Columns for Versions {
    fn source(&self, field: &Field, parameters: &mut Parameters) -> Result<Source> {
        match field {
            Field::Attribute("name") => Ok(Source::column("v.model")),
            Field::Attribute("version_number") => Ok(Source::column("v.version")),
            Field::Attribute("run_id") => Ok(Source::column("v.source_run")),
            Field::Attribute("source_path") => Ok(Source::column("v.source")),
            Field::Tag(key) => {
                let key = parameters.bind(key.as_str());
                let select = format!(
                    "SELECT 1 FROM model_version_tag t WHERE t.model = v.model AND t.version = v.version AND t.tag_key = {key}"
                );
                Ok(Source::rows(select, "t.tag_value"))
            }
            other => Err(strange(other)),
        }
    }

    fn sort_key(&self, field: &Field, _: usize, _: &mut Parameters) -> Result<SortKey> {
        match field {
            Field::Attribute("name") => Ok(SortKey::column("v.model")),
            Field::Attribute("version_number") => Ok(SortKey::column("v.version")),
            Field::Attribute("creation_timestamp") => Ok(SortKey::column("v.registered_at")),
            Field::Attribute("last_updated_timestamp") => Ok(SortKey::column("s.updated_at")),
            other => Err(strange(other)),
        }
    }
}

fn strange(field: &Field) -> Error {
    Error::bug(format!("the registry has no field `{field}`"))
}

/// How many models a statement asks about at once. Fewer are filled up, so that one statement is prepared and not a hundred.
const CHUNK: usize = 100;

/// Runs `sql` with its `{names}` for each hundred models.
fn for_models(reader: &mut Reader<'_>, names: &[&ModelName], sql: &str) -> Result<Vec<lw_store::Row>> {
    let places: Vec<String> = (1..=CHUNK).map(|place| format!("${place}")).collect();
    let sql = sql.replace("{names}", &places.join(", "));
    let mut rows = Vec::new();
    for chunk in names.chunks(CHUNK) {
        let mut parameters: Vec<Scalar> = chunk.iter().map(|name| Scalar::from(*name)).collect();
        parameters.resize(CHUNK, parameters.first().cloned().unwrap_or_default());
        rows.extend(reader.query(&sql, &parameters)?);
    }
    Ok(rows)
}

/// Brings in tags, aliases and newest versions, by a few statements for all models.
fn with_details(reader: &mut Reader<'_>, models: Vec<Model>) -> Result<Vec<ModelRecord>> {
    let names: Vec<&ModelName> = models.iter().map(|model| &model.name).collect();
    let tags = for_models(reader, &names, "SELECT model, tag_key, tag_value FROM model_tag WHERE model IN ({names})")?;
    let aliases = for_models(reader, &names, "SELECT * FROM model_alias WHERE model IN ({names}) ORDER BY alias")?;
    let newest = "s.deleted_at IS NULL AND s.version = (SELECT MAX(o.version) FROM model_version_state o \
                  WHERE o.model = s.model AND o.stage = s.stage AND o.deleted_at IS NULL)";
    let latest = for_models(
        reader,
        &names,
        &format!(
            "{VERSIONS} WHERE v.model IN ({{names}}) AND {newest} ORDER BY v.model, (SELECT MIN(f.version) FROM \
             model_version_state f WHERE f.model = s.model AND f.stage = s.stage AND f.deleted_at IS NULL)"
        ),
    )?;
    let version_tags = for_models(
        reader,
        &names,
        &format!(
            "SELECT t.* FROM model_version_tag t JOIN model_version_state s ON s.model = t.model AND s.version = t.version \
             WHERE t.model IN ({{names}}) AND {newest}"
        ),
    )?;
    let mut found: BTreeMap<String, ModelRecord> = BTreeMap::new();
    let order: Vec<String> = models.iter().map(|model| model.name.as_str().to_owned()).collect();
    for model in models {
        let record = ModelRecord { model, tags: BTreeMap::new(), aliases: Vec::new(), latest: Vec::new() };
        found.insert(record.model.name.as_str().to_owned(), record);
    }
    for row in &tags {
        if let Some(record) = found.get_mut(&row.text("model")?) {
            record.tags.insert(row.text("tag_key")?, row.text("tag_value")?);
        }
    }
    for row in &aliases {
        if let Some(record) = found.get_mut(&row.text("model")?) {
            record.aliases.push(crate::AliasPointer::of(row)?);
        }
    }
    let mut tags_of = version_tags_of(&version_tags)?;
    for row in &latest {
        if let Some(record) = found.get_mut(&row.text("model")?) {
            record.latest.push(version_record(row, &mut tags_of)?);
        }
    }
    Ok(order.iter().filter_map(|name| found.remove(name)).collect())
}

type TagsOfVersions = BTreeMap<(String, u64), BTreeMap<String, String>>;

fn version_tags_of(rows: &[lw_store::Row]) -> Result<TagsOfVersions> {
    let mut tags = TagsOfVersions::new();
    for row in rows {
        let version = (row.text("model")?, row.count("version")?);
        tags.entry(version).or_default().insert(row.text("tag_key")?, row.text("tag_value")?);
    }
    Ok(tags)
}

fn version_record(row: &lw_store::Row, tags: &mut TagsOfVersions) -> Result<VersionRecord> {
    let version = ModelVersion::of(row)?;
    let tags = tags.remove(&(version.model.as_str().to_owned(), version.version)).unwrap_or_default();
    Ok(VersionRecord { version, state: VersionState::of(row)?, tags, aliases: Vec::new() })
}

/// A few versions have their tags looked up one by one; of many, those of all their models are read.
const MOST_SINGLE: usize = 20;

fn records(reader: &mut Reader<'_>, rows: &[lw_store::Row]) -> Result<Vec<VersionRecord>> {
    if rows.len() <= MOST_SINGLE {
        let with_tags = |row: &lw_store::Row| {
            let version = ModelVersion::of(row)?;
            let tags = queries::version_tags(reader, &version.model, version.version)?;
            Ok(VersionRecord { version, state: VersionState::of(row)?, tags, aliases: Vec::new() })
        };
        return rows.iter().map(with_tags).collect();
    }
    let mut names = rows.iter().map(|row| ModelName::parse(&row.text("model")?)).collect::<Result<Vec<_>>>()?;
    names.sort();
    names.dedup();
    let names: Vec<&ModelName> = names.iter().collect();
    let tags = for_models(reader, &names, "SELECT * FROM model_version_tag WHERE model IN ({names})")?;
    let mut tags = version_tags_of(&tags)?;
    rows.iter().map(|row| version_record(row, &mut tags)).collect()
}
