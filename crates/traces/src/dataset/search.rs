//! Finding evaluation datasets.

use lw_core::{Error, Result};
use lw_search::sql::{Columns, Parameters, SortKey, Source, condition as condition_sql, order as order_sql};
use lw_search::{Condition, Field, OrderBy, PageToken};

use super::EvaluationDataset;
use crate::{Traces, queries};

#[derive(Debug, Clone, PartialEq)]
pub struct DatasetPage {
    pub datasets: Vec<EvaluationDataset>,
    /// Where the next page starts, if there is one.
    pub next: Option<PageToken>,
}

struct DatasetColumns;

impl Columns for DatasetColumns {
    fn source(&self, field: &Field, parameters: &mut Parameters) -> Result<Source> {
        match field {
            Field::Attribute(name) => Ok(Source::column(attribute(name)?)),
            Field::Tag(key) => {
                let key = parameters.bind(key.as_str());
                let select = format!("SELECT 1 FROM evaluation_dataset_tag g WHERE g.dataset = d.id AND g.tag_key = {key}");
                Ok(Source::rows(select, "g.tag_value"))
            }
            other => Err(Error::bug(format!("evaluation datasets have no field {other}"))),
        }
    }

    fn sort_key(&self, field: &Field, _: usize, _: &mut Parameters) -> Result<SortKey> {
        match field {
            Field::Attribute(name) => Ok(SortKey::nullable(attribute(name)?)),
            other => Err(Error::bug(format!("evaluation datasets are not ordered by {other}"))),
        }
    }
}

fn attribute(name: &str) -> Result<&'static str> {
    Ok(match name {
        "name" => "d.name",
        "created_by" => "d.created_by",
        "last_updated_by" => "d.updated_by",
        "created_time" => "(d.created_at / 1000)",
        "last_update_time" => "(d.updated_at / 1000)",
        other => return Err(Error::bug(format!("evaluation datasets have no attribute {other}"))),
    })
}

impl Traces {
    /// A page of the datasets that fit, the newest first unless another order is asked for. No experiments are all.
    pub async fn search_datasets(
        &self,
        experiments: Vec<String>,
        condition: Option<Condition>,
        order: Vec<OrderBy>,
        limit: u64,
        page: PageToken,
    ) -> Result<DatasetPage> {
        let mut parameters = Parameters::default();
        let order = order_sql(&order, &DatasetColumns, &mut parameters)?;
        let mut conditions = Vec::new();
        if !experiments.is_empty() {
            let places: Vec<String> = experiments.iter().map(|id| parameters.bind(id)).collect();
            conditions.push(format!(
                "d.id IN (SELECT e.dataset FROM evaluation_dataset_experiment e WHERE e.experiment IN ({}))",
                places.join(", ")
            ));
        }
        if let Some(condition) = &condition {
            conditions.push(condition_sql(condition, &DatasetColumns, &mut parameters)?);
        }
        let scope = if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" AND ") };
        let mut terms = order.terms;
        if terms.is_empty() {
            terms.push("d.created_at DESC".to_owned());
        }
        terms.push("d.id DESC".to_owned());
        let (n_rows, offset) = (parameters.bind(limit + 1), parameters.bind(page.offset));
        let sql = format!(
            "SELECT d.* FROM evaluation_dataset d {} WHERE {scope} ORDER BY {} LIMIT {n_rows} OFFSET {offset}",
            order.joins.join(" "),
            terms.join(", ")
        );
        let parameters = parameters.into_scalars();
        let mut datasets = self.store.read(move |reader| queries::search_datasets(reader, &sql, &parameters)).await?;
        let has_more = datasets.len() as u64 > limit;
        datasets.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(DatasetPage { datasets, next: has_more.then_some(PageToken { offset: page.offset + limit }) })
    }
}
