//! LightGBM without its messages.

use lightgbm3::Booster;
use lw_core::Result;

use super::boosting::failed;

/// A model of one tree with one leaf.
const SMALLEST: &str = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=0\n\
                        feature_names=x\nfeature_infos=none\n\nTree=0\nnum_leaves=1\nnum_cat=0\nleaf_value=0\n\nend of trees\n\n";

/// Makes LightGBM write nothing on this thread from now on, whose standard output may belong to somebody who reads JSON.
///
/// LightGBM keeps how much it tells for each thread, learns it from the parameters of whatever is called, and tells all until then.
/// Its bindings give no parameters when they make a data set, which is what warns of constant features; so the smallest of models is
/// asked first. The safe bindings have no way to its log, and errors do not need one: they are returned.
///
/// # Errors
/// `trainer-failed` if the library cannot be called at all.
pub(super) fn quiet() -> Result<()> {
    let model = Booster::from_string(SMALLEST).map_err(failed)?;
    model.predict_with_params(&[0.0_f32], 1, true, "verbosity=-1").map(drop).map_err(failed)
}
