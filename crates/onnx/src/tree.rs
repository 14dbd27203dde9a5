//! Decision trees, and how a graph writes them.

use lw_core::Result;

use crate::failures::malformed;
use crate::graph::{GraphBuilder, Value, floats, int, ints, text, texts};
use crate::message::AttributeProto;

/// A decision tree; the first node is the root.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tree {
    pub nodes: Vec<TreeNode>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TreeNode {
    /// `x[feature] <= threshold` leads to node `yes`, otherwise to `no`; NaN where `missing_goes_yes` says.
    Split {
        feature: usize,
        threshold: f32,
        missing_goes_yes: bool,
        yes: usize,
        no: usize,
    },
    Leaf {
        value: f32,
    },
}

impl GraphBuilder {
    /// The sum of the trees' leaves, shape `[N, 1]`.
    ///
    /// # Errors
    /// `onnx-malformed` if a tree has no nodes or leads out of itself.
    pub fn tree_regressor(&mut self, value: &Value, trees: &[Tree]) -> Result<Value> {
        let mut attributes = node_attributes(trees)?;
        attributes.extend(leaf_attributes("target", trees, |_| 0));
        attributes.extend([int("n_targets", 1), text("aggregate_function", "SUM"), text("post_transform", "NONE")]);
        Ok(self.operator("ai.onnx.ml", "TreeEnsembleRegressor", &[value], attributes))
    }

    /// Labels 0, 1, … and the softmax of each class's sum, for three or more classes. Tree `i` speaks of class `i % n_classes`.
    ///
    /// # Errors
    /// `onnx-malformed` if a tree has no nodes or leads out of itself, or there are fewer than three classes.
    pub fn tree_classifier(&mut self, value: &Value, trees: &[Tree], n_classes: usize) -> Result<(Value, Value)> {
        if n_classes < 3 {
            return Err(malformed("a tree classifier is written for three or more classes"));
        }
        let mut attributes = node_attributes(trees)?;
        attributes.extend(leaf_attributes("class", trees, |tree| tree % n_classes));
        attributes.push(ints("classlabels_int64s", (0..n_classes as i64).collect()));
        attributes.push(text("post_transform", "SOFTMAX"));
        Ok(self.classifier("TreeEnsembleClassifier", value, attributes))
    }
}

fn node_attributes(trees: &[Tree]) -> Result<Vec<AttributeProto>> {
    let n_nodes = trees.iter().map(|tree| tree.nodes.len()).sum();
    let mut columns: [Vec<i64>; 6] = std::array::from_fn(|_| Vec::with_capacity(n_nodes));
    let (mut modes, mut values) = (Vec::with_capacity(n_nodes), Vec::with_capacity(n_nodes));
    for (tree_index, tree) in trees.iter().enumerate() {
        let is_inside = |node: usize| node > 0 && node < tree.nodes.len();
        if tree.nodes.is_empty() {
            return Err(malformed(format!("tree {tree_index} has no nodes")));
        }
        for (node_index, node) in tree.nodes.iter().enumerate() {
            let (mode, value, feature, yes, no, missing) = match *node {
                TreeNode::Leaf { .. } => ("LEAF", 0.0, 0, 0, 0, false),
                TreeNode::Split { feature, threshold, missing_goes_yes, yes, no } if is_inside(yes) && is_inside(no) => {
                    ("BRANCH_LEQ", threshold, feature, yes, no, missing_goes_yes)
                }
                TreeNode::Split { .. } => return Err(malformed(format!("node {node_index} leads out of tree {tree_index}"))),
            };
            modes.push(mode);
            values.push(value);
            let row = [tree_index, node_index, feature, yes, no, usize::from(missing)];
            columns.iter_mut().zip(row).for_each(|(column, number)| column.push(number as i64));
        }
    }
    let [tree_ids, node_ids, features, yes, no, missing] = columns;
    Ok(vec![
        ints("nodes_treeids", tree_ids),
        ints("nodes_nodeids", node_ids),
        ints("nodes_featureids", features),
        texts("nodes_modes", modes),
        floats("nodes_values", &values),
        ints("nodes_truenodeids", yes),
        ints("nodes_falsenodeids", no),
        ints("nodes_missing_value_tracks_true", missing),
    ])
}

fn leaf_attributes(prefix: &str, trees: &[Tree], target_of: impl Fn(usize) -> usize) -> Vec<AttributeProto> {
    let (mut tree_ids, mut node_ids, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (tree_index, tree) in trees.iter().enumerate() {
        for (node_index, node) in tree.nodes.iter().enumerate() {
            if let TreeNode::Leaf { value } = node {
                tree_ids.push(tree_index as i64);
                node_ids.push(node_index as i64);
                targets.push(target_of(tree_index) as i64);
                weights.push(*value);
            }
        }
    }
    vec![
        ints(&format!("{prefix}_treeids"), tree_ids),
        ints(&format!("{prefix}_nodeids"), node_ids),
        ints(&format!("{prefix}_ids"), targets),
        floats(&format!("{prefix}_weights"), &weights),
    ]
}
