//! Reads trees from the attributes of tree operators, in the form before and since `ai.onnx.ml` 5.

use std::collections::HashMap;

use lw_core::Result;

use super::forest::{Child, Comparison, Listing, Split};
use crate::attribute::Attributes;
use crate::failures::{malformed, unsupported};
use crate::tensor::{Element, Tensor};

pub(super) const NODE_ATTRIBUTES: [&str; 9] = [
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_modes",
    "nodes_values",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
    "nodes_hitrates",
];

/// Trees as `TreeEnsembleClassifier` (`weights` is `class`) and `TreeEnsembleRegressor` (`target`) list them: a tree's root is the
/// first node of its run.
pub(super) fn read_by_ids(attributes: Attributes<'_>, weights: &str) -> Result<Listing> {
    let modes = attributes.texts("nodes_modes")?;
    let n_nodes = modes.len();
    let list = |name: &str| {
        let values = attributes.ints(name);
        attributes.expect_length(name, values.len(), n_nodes).map(|()| values)
    };
    let (tree_ids, node_ids, features) = (list("nodes_treeids")?, list("nodes_nodeids")?, list("nodes_featureids")?);
    let (yes_ids, no_ids) = (list("nodes_truenodeids")?, list("nodes_falsenodeids")?);
    let thresholds = attributes.floats("nodes_values");
    attributes.expect_length("nodes_values", thresholds.len(), n_nodes)?;
    let missing = attributes.ints("nodes_missing_value_tracks_true");
    if !missing.is_empty() {
        attributes.expect_length("nodes_missing_value_tracks_true", missing.len(), n_nodes)?;
    }

    let mut listing = Listing::default();
    let mut place_of = HashMap::with_capacity(n_nodes);
    for index in 0..n_nodes {
        let id = (tree_ids[index], node_ids[index]);
        let place = if modes[index] == "LEAF" {
            listing.leaves.push(Vec::new());
            Child::Leaf(listing.leaves.len() - 1)
        } else {
            listing.splits.push(Split {
                feature: feature(features[index])?,
                comparison: comparison(modes[index])?,
                threshold: thresholds[index],
                missing_goes_yes: missing.get(index).is_some_and(|&flag| flag == 1),
                yes: Child::Leaf(0),
                no: Child::Leaf(0),
            });
            check_threshold(listing.splits.last())?;
            Child::Split(listing.splits.len() - 1)
        };
        if place_of.insert(id, place).is_some() {
            return Err(malformed(format!("node {} of tree {} is listed twice", id.1, id.0)));
        }
        if index == 0 || tree_ids[index - 1] != id.0 {
            listing.roots.push(place);
        }
    }
    let find = |tree: i64, node: i64| {
        place_of.get(&(tree, node)).copied().ok_or_else(|| malformed(format!("there is no node {node} in tree {tree}")))
    };
    for index in 0..n_nodes {
        if let Some(&Child::Split(split)) = place_of.get(&(tree_ids[index], node_ids[index])) {
            listing.splits[split].yes = find(tree_ids[index], yes_ids[index])?;
            listing.splits[split].no = find(tree_ids[index], no_ids[index])?;
        }
    }
    read_weights(attributes, weights, find, &mut listing.leaves)?;
    Ok(listing)
}

fn read_weights(
    attributes: Attributes<'_>,
    prefix: &str,
    find: impl Fn(i64, i64) -> Result<Child>,
    leaves: &mut [Vec<(usize, f64)>],
) -> Result<()> {
    let values = attributes.floats(&format!("{prefix}_weights"));
    let list = |suffix: &str| {
        let name = format!("{prefix}_{suffix}");
        let ints = attributes.ints(&name);
        attributes.expect_length(&name, ints.len(), values.len()).map(|()| ints)
    };
    let (trees, nodes, targets) = (list("treeids")?, list("nodeids")?, list("ids")?);
    for (index, &value) in values.iter().enumerate() {
        let Child::Leaf(leaf) = find(trees[index], nodes[index])? else {
            return Err(malformed(format!("node {} of tree {} has a weight but is no leaf", nodes[index], trees[index])));
        };
        leaves[leaf].push((target(targets[index])?, value.into()));
    }
    Ok(())
}

/// Trees as `TreeEnsemble` of `ai.onnx.ml` 5 lists them: splits and leaves apart, by position.
pub(super) fn read_by_position(attributes: Attributes<'_>) -> Result<Listing> {
    let numbers = |name: &str| -> Result<Vec<f64>> {
        let Some(proto) = attributes.tensor(name) else {
            return Err(malformed(format!("a TreeEnsemble lacks {name}")));
        };
        let tensor = Tensor::from_proto(proto)?;
        if tensor.element == Element::Double {
            return Err(unsupported("a TreeEnsemble of 64-bit numbers"));
        }
        Ok(tensor.numbers)
    };
    let (thresholds, modes) = (numbers("nodes_splits")?, numbers("nodes_modes")?);
    let n_splits = modes.len();
    attributes.expect_length("nodes_splits", thresholds.len(), n_splits)?;
    let list = |name: &str| {
        let values = attributes.ints(name);
        attributes.expect_length(name, values.len(), n_splits).map(|()| values)
    };
    let features = list("nodes_featureids")?;
    let (yes, yes_is_leaf) = (list("nodes_truenodeids")?, list("nodes_trueleafs")?);
    let (no, no_is_leaf) = (list("nodes_falsenodeids")?, list("nodes_falseleafs")?);
    let missing = attributes.ints("nodes_missing_value_tracks_true");

    let (weights, targets) = (numbers("leaf_weights")?, attributes.ints("leaf_targetids"));
    attributes.expect_length("leaf_targetids", targets.len(), weights.len())?;
    let mut listing = Listing::default();
    for (&weight, &id) in weights.iter().zip(targets) {
        listing.leaves.push(vec![(target(id)?, weight)]);
    }
    let child = |position: i64, is_leaf: bool| {
        let count = if is_leaf { weights.len() } else { n_splits };
        let position = usize::try_from(position).ok().filter(|&position| position < count);
        let position = position.ok_or_else(|| malformed("a tree leads to a node that is not listed"))?;
        Ok(if is_leaf { Child::Leaf(position) } else { Child::Split(position) })
    };
    for index in 0..n_splits {
        listing.splits.push(Split {
            feature: feature(features[index])?,
            comparison: comparison_of_code(modes[index])?,
            threshold: thresholds[index] as f32,
            missing_goes_yes: missing.get(index).is_some_and(|&flag| flag == 1),
            yes: child(yes[index], yes_is_leaf[index] != 0)?,
            no: child(no[index], no_is_leaf[index] != 0)?,
        });
        check_threshold(listing.splits.last())?;
    }
    for &root in attributes.ints("tree_roots") {
        listing.roots.push(child(root, false)?);
    }
    Ok(listing)
}

fn comparison(mode: &str) -> Result<Comparison> {
    Ok(match mode {
        "BRANCH_LEQ" => Comparison::AtMost,
        "BRANCH_LT" => Comparison::Below,
        "BRANCH_GTE" => Comparison::AtLeast,
        "BRANCH_GT" => Comparison::Above,
        other => return Err(unsupported(format!("trees with nodes of mode {}", other.chars().take(20).collect::<String>()))),
    })
}

fn comparison_of_code(code: f64) -> Result<Comparison> {
    let modes = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"];
    comparison(modes.get(code as usize).copied().unwrap_or("that stands for equality or membership"))
}

/// Strict comparisons are turned into the next smaller threshold, which infinity and NaN do not have.
fn check_threshold(split: Option<&Split>) -> Result<()> {
    match split {
        Some(split) if split.threshold.is_nan() => Err(malformed("a tree compares with NaN")),
        Some(Split { comparison: Comparison::Below | Comparison::AtLeast, threshold, .. }) if threshold.is_infinite() => {
            Err(unsupported("a tree compares with infinity"))
        }
        _ => Ok(()),
    }
}

fn feature(id: i64) -> Result<u32> {
    u32::try_from(id).ok().filter(|&id| id < 1 << 24).ok_or_else(|| malformed(format!("a tree compares column {id}")))
}

fn target(id: i64) -> Result<usize> {
    usize::try_from(id).ok().filter(|&id| id < 1 << 20).ok_or_else(|| malformed(format!("a leaf has target {id}")))
}
