//! The statements of label schemas.

use lw_core::Result;
use lw_store::Reader;
use lw_tracking::ExperimentId;

use crate::LabelSchema;

pub(crate) fn label_schema(reader: &mut Reader<'_>, id: &str) -> Result<Option<LabelSchema>> {
    reader.query_opt("SELECT * FROM label_schema WHERE id = $1", &[id.into()])?.as_ref().map(LabelSchema::of).transpose()
}

/// The newest first.
pub(crate) fn label_schemas(reader: &mut Reader<'_>, experiment: ExperimentId) -> Result<Vec<LabelSchema>> {
    let sql = "SELECT * FROM label_schema WHERE experiment = $1 ORDER BY created_at DESC, id";
    reader.query(sql, &[experiment.number().into()])?.iter().map(LabelSchema::of).collect()
}
