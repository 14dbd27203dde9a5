//! Versions of feature views: a view whose definition changes becomes the next version of itself.

use lw_core::{Change, Ctx, Digest, Draft, Field, Name, Result, Subject, SubjectKind, Timestamp};
use lw_store::{Row, Store, Tx};
use serde_json::json;

use crate::check::Relation;
use crate::failures::UNKNOWN_FEATURE_VIEW;
use crate::rows::ledger_name;
use crate::{ViewDefinition, queries};

/// A registered version of a feature view.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredView {
    pub definition: ViewDefinition,
    /// Counts from 1 for each name.
    pub version: u64,
    pub digest: Digest,
    /// The entity columns with their types.
    pub entity: Vec<Field>,
    /// The features with their types, by name.
    pub features: Vec<Field>,
    /// The tables and views that the SQL reads, as it names them.
    pub reads: Vec<String>,
    pub registered_at: Timestamp,
}

impl RegisteredView {
    pub fn name(&self) -> &Name {
        &self.definition.feature_view
    }

    /// `carrier_delays@2`.
    pub fn id(&self) -> String {
        format!("{}@{}", self.definition.feature_view, self.version)
    }

    pub fn subject(&self) -> Subject {
        Subject::new(SubjectKind::FeatureView, self.name(), self.version)
    }

    fn from_row(row: &Row) -> Result<Self> {
        let relation: Relation = row.json("relation")?;
        Ok(Self {
            definition: row.json("definition")?,
            version: row.count("version")?,
            digest: row.digest("digest")?,
            entity: relation.entity,
            features: relation.features,
            reads: relation.reads,
            registered_at: row.time("registered_at")?,
        })
    }
}

/// Registers a checked view. Returns the newest version as it is when the definition has not changed since.
///
/// Register views in the order of [`crate::dependency_order`], so that a view's record names the versions of the views it reads.
pub async fn register_view(ctx: &Ctx, store: &Store, view: &ViewDefinition, relation: &Relation) -> Result<RegisteredView> {
    let (view, relation) = (view.clone(), relation.clone());
    store.write(ctx, move |tx| register(tx, &view, &relation)).await
}

fn register(tx: &mut Tx<'_>, view: &ViewDefinition, relation: &Relation) -> Result<RegisteredView> {
    let digest = view.digest();
    let newest = queries::newest_view(tx, &view.feature_view)?.map(|row| RegisteredView::from_row(&row)).transpose()?;
    let version = match newest {
        // Tables may have got other types under the same definition; that is a new version too.
        Some(newest) if newest.digest == digest && newest.features == relation.features && newest.entity == relation.entity => {
            return Ok(newest);
        }
        Some(newest) => newest.version + 1,
        None => 1,
    };
    let subject = Subject::new(SubjectKind::FeatureView, &view.feature_view, version);
    let mut draft = Draft::new("feature_view.register", subject).payload(json!({
        "owner": view.owner,
        "entity": view.entity,
        "features": view.features.keys().collect::<Vec<_>>(),
        "digest": digest,
    }));
    for name in &relation.reads {
        let read = Name::parse(name).ok().map(|name| queries::newest_view(tx, &name)).transpose()?.flatten();
        draft = match read {
            Some(row) => {
                let subject = Subject::new(SubjectKind::FeatureView, name, row.count("version")?);
                draft.input("view", subject, row.digest("digest")?)
            }
            None => draft.input("table", Subject::unversioned(SubjectKind::Table, table_name(name)), None),
        };
    }
    let row = Change::put("feature_view")
        .key("name", &view.feature_view)
        .key("version", version)
        .set("digest", digest)
        .set("owner", &view.owner)
        .set("definition", lw_core::canonical_json(view))
        .set("relation", lw_core::canonical_json(relation))
        .set("registered_at", tx.now());
    tx.record(draft.change(row))?;
    Ok(RegisteredView {
        definition: view.clone(),
        version,
        digest,
        entity: relation.entity.clone(),
        features: relation.features.clone(),
        reads: relation.reads.clone(),
        registered_at: tx.now(),
    })
}

/// `flights` → `data/flights`, as the ledger names tables.
fn table_name(sql_name: &str) -> String {
    lw_engine::TableId::parse(sql_name).map_or_else(|_| sql_name.to_owned(), |table| ledger_name(&table))
}

/// A version of a view, the newest if none is given.
pub async fn find_view(store: &Store, name: &Name, version: Option<u64>) -> Result<RegisteredView> {
    let wanted = name.clone();
    let row = store
        .read(move |reader| match version {
            Some(version) => queries::view_version(reader, &wanted, version),
            None => queries::newest_view(reader, &wanted),
        })
        .await?;
    row.map(|row| RegisteredView::from_row(&row)).transpose()?.ok_or_else(|| {
        let id = version.map_or_else(|| name.to_string(), |version| format!("{name}@{version}"));
        UNKNOWN_FEATURE_VIEW
            .error(format!("there is no feature view `{id}`"))
            .hint("`loopwright apply` registers the views of a project's `features/` folder")
    })
}

/// The newest version of every view, by name.
pub async fn newest_views(store: &Store) -> Result<Vec<RegisteredView>> {
    store.read(|reader| queries::newest_views(reader)?.iter().map(RegisteredView::from_row).collect()).await
}
