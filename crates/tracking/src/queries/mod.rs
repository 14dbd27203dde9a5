//! The statements of tracking, one function each.

mod datasets;
mod experiments;
mod logged_models;
mod metrics;
mod runs;
mod search;
mod texts;

use std::collections::HashMap;
use std::hash::Hash;

use lw_core::{Result, Scalar};
use lw_store::{Reader, Row, RowView};

pub(crate) use self::datasets::{
    dataset_summaries, datasets_of, model_inputs_of, model_outputs_of, put_dataset, put_model_input, put_model_output,
};
pub(crate) use self::experiments::{
    bare_experiment, experiment, experiment_by_name, experiments, experiments_by_ids, next_experiment, put_experiment_tag,
    remove_experiment_tag,
};
pub(crate) use self::logged_models::{
    insert_model_metrics, insert_model_params, logged_model, logged_models_by_ids, model_metrics_of, model_params_of,
    model_tags_of, put_model_tags, remove_model_tag,
};
pub(crate) use self::metrics::{
    count_points, digest_points, insert_latest, insert_points, latest_of, points, replace_latest, visit_points,
    visit_points_by_step,
};
pub(crate) use self::runs::{latest_points_of, next_run_number, number_of, run, runs, runs_by_ids, sealed_runs, target};
pub(crate) use self::search::{experiment_ids, logged_model_ids, run_ids};
pub(crate) use self::texts::{insert_params, params_of, params_of_one, put_tags, remove_tag, tag_of, tags_of, tags_of_one};

/// Runs a statement for a list of any length and hands each row to a closure. `sql` stands before the list.
fn visit_for_each(
    reader: &mut Reader<'_>,
    sql: &str,
    list: &[Scalar],
    mut visitor: impl FnMut(&RowView<'_>) -> Result<()>,
) -> Result<()> {
    for chunk in list.chunks(MOST_IN_LIST) {
        let (places, parameters) = padded(chunk);
        reader.visit(&format!("{sql} ({places})"), &parameters, &mut visitor)?;
    }
    Ok(())
}

/// The rows whose key is in a list, each made into a thing, in the order of the list. `sql` stands before the list.
fn in_order_of<K, T>(
    reader: &mut Reader<'_>,
    sql: &str,
    keys: &[K],
    scalar: impl Fn(&K) -> Scalar,
    read: impl Fn(&Row) -> Result<(K, T)>,
) -> Result<Vec<T>>
where
    K: Eq + Hash,
{
    let mut found = HashMap::with_capacity(keys.len());
    for chunk in keys.chunks(MOST_IN_LIST) {
        let (places, parameters) = padded(&chunk.iter().map(&scalar).collect::<Vec<_>>());
        for row in reader.query(&format!("{sql} ({places})"), &parameters)? {
            let (key, thing) = read(&row)?;
            found.insert(key, thing);
        }
    }
    Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
}

/// Things of many runs by the number of the run. They come run by run, so that most are added without a look-up.
struct ByRun<T> {
    gathered: HashMap<u64, Vec<T>>,
    open: Option<(u64, Vec<T>)>,
}

impl<T> ByRun<T> {
    fn new() -> Self {
        Self { gathered: HashMap::new(), open: None }
    }

    fn add(&mut self, run: u64, item: T) {
        match &mut self.open {
            Some((open, items)) if *open == run => items.push(item),
            _ => {
                self.close();
                self.open = Some((run, vec![item]));
            }
        }
    }

    fn close(&mut self) {
        if let Some((run, items)) = self.open.take() {
            self.gathered.entry(run).or_default().extend(items);
        }
    }

    fn done(mut self) -> HashMap<u64, Vec<T>> {
        self.close();
        self.gathered
    }
}

const MOST_IN_LIST: usize = 128;

/// The placeholders and parameters of a list. Lists come in three lengths, so that three statements are prepared and not one for each
/// number of values; the last value fills the rest.
fn padded(list: &[Scalar]) -> (String, Vec<Scalar>) {
    let length = [1, 16, MOST_IN_LIST].into_iter().find(|length| *length >= list.len()).unwrap_or(MOST_IN_LIST);
    let places: Vec<String> = (1..=length).map(|number| format!("${number}")).collect();
    let mut parameters = list.to_vec();
    parameters.resize(length, list.last().cloned().unwrap_or_default());
    (places.join(", "), parameters)
}
