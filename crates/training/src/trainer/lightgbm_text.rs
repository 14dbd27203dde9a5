//! Reads the trees out of LightGBM's text format.
//!
//! The format is a list of `key=value` lines; each tree begins with `Tree=`. Children below zero are leaves: -1 is leaf 0, -2 leaf 1.
//! `decision_type` holds bits: 1 categorical, 2 missing values go left, 4 and 8 how missing values are told (0 not at all, 4 zero, 8 NaN).

use std::collections::HashMap;

use lw_core::{Error, Result};
use lw_onnx::{Tree, TreeNode};

use crate::failures::TRAINER_FAILED;

/// A boosted tree as LightGBM holds it, in 64 bits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BoostedTree {
    splits: Vec<Split>,
    leaves: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq)]
struct Split {
    feature: usize,
    threshold: f64,
    missing_goes_left: bool,
    gain: f64,
    left: i64,
    right: i64,
}

const CATEGORICAL: u8 = 1;
const DEFAULT_LEFT: u8 = 2;
const MISSING_MASK: u8 = 12;
const MISSING_IS_NONE: u8 = 0;
const MISSING_IS_NAN: u8 = 8;

/// # Errors
/// `trainer-failed` if the text is not in the format, or uses parts of it that we never ask LightGBM for.
pub(super) fn parse(text: &str) -> Result<Vec<BoostedTree>> {
    let mut sections = text.split("\nTree=");
    sections.next();
    sections.map(|section| BoostedTree::parse(section.split("\nend of trees").next().unwrap_or(section))).collect()
}

fn unreadable(what: &str) -> Error {
    TRAINER_FAILED
        .error(format!("LightGBM's model cannot be read: {what}"))
        .hint("please report this with the version of Loopwright")
}

impl BoostedTree {
    fn parse(section: &str) -> Result<Self> {
        let fields: HashMap<&str, &str> = section.lines().filter_map(|line| line.split_once('=')).collect();
        let leaves = list::<f64>(&fields, "leaf_value")?;
        let count = |name: &str| fields.get(name).and_then(|text| text.parse::<usize>().ok());
        if count("num_leaves") != Some(leaves.len()) || leaves.is_empty() || count("num_cat") != Some(0) {
            return Err(unreadable("a tree has other leaves than it says, or categories"));
        }
        if leaves.len() == 1 {
            return Ok(Self { splits: Vec::new(), leaves });
        }
        let n_splits = leaves.len() - 1;
        let features = list::<usize>(&fields, "split_feature")?;
        let (thresholds, gains) = (list::<f64>(&fields, "threshold")?, list::<f64>(&fields, "split_gain")?);
        let decisions = list::<u8>(&fields, "decision_type")?;
        let (left, right) = (list::<i64>(&fields, "left_child")?, list::<i64>(&fields, "right_child")?);
        let lengths = [features.len(), thresholds.len(), gains.len(), decisions.len(), left.len(), right.len()];
        if lengths.iter().any(|length| *length != n_splits) {
            return Err(unreadable("a tree's lists have different lengths"));
        }
        let mut splits = Vec::with_capacity(n_splits);
        for index in 0..n_splits {
            let (decision, threshold) = (decisions[index], thresholds[index]);
            let missing_goes_left = match decision & MISSING_MASK {
                _ if decision & CATEGORICAL != 0 => return Err(unreadable("a split by category")),
                // A missing value is then read as zero.
                MISSING_IS_NONE => 0.0 <= threshold,
                MISSING_IS_NAN => decision & DEFAULT_LEFT != 0,
                _ => return Err(unreadable("a split that takes zero for missing")),
            };
            let (left, right) = (left[index], right[index]);
            let is_inside = |child: i64| if child < 0 { !child < leaves.len() as i64 } else { child < n_splits as i64 };
            if !is_inside(left) || !is_inside(right) {
                return Err(unreadable("a split leads out of its tree"));
            }
            splits.push(Split { feature: features[index], threshold, missing_goes_left, gain: gains[index], left, right });
        }
        Ok(Self { splits, leaves })
    }

    /// The leaf's value for a row.
    pub fn value(&self, row: &[f32]) -> f64 {
        let mut at = if self.splits.is_empty() { !0 } else { 0 };
        while at >= 0 {
            let split = &self.splits[at as usize];
            let x = f64::from(row[split.feature]);
            let goes_left = if x.is_nan() { split.missing_goes_left } else { x <= split.threshold };
            at = if goes_left { split.left } else { split.right };
        }
        self.leaves[!at as usize]
    }

    /// Adds each split's gain to its feature.
    pub fn add_gains(&self, by_feature: &mut [f64]) {
        for split in &self.splits {
            by_feature[split.feature] += split.gain.max(0.0);
        }
    }

    /// The tree with thresholds in 32 bits, rounded down: for a 32-bit `x` the answer to `x <= threshold` stays the same.
    pub fn to_onnx(&self) -> Tree {
        if self.splits.is_empty() {
            return Tree { nodes: vec![TreeNode::Leaf { value: self.leaves[0] as f32 }] };
        }
        let place = |child: i64| if child < 0 { self.splits.len() + !child as usize } else { child as usize };
        let splits = self.splits.iter().map(|split| TreeNode::Split {
            feature: split.feature,
            threshold: round_down(split.threshold),
            missing_goes_yes: split.missing_goes_left,
            yes: place(split.left),
            no: place(split.right),
        });
        let leaves = self.leaves.iter().map(|&value| TreeNode::Leaf { value: value as f32 });
        Tree { nodes: splits.chain(leaves).collect() }
    }
}

/// The largest 32-bit number that is not above `x`.
fn round_down(x: f64) -> f32 {
    let nearest = x as f32;
    if f64::from(nearest) > x { nearest.next_down() } else { nearest }
}

fn list<T: std::str::FromStr>(fields: &HashMap<&str, &str>, name: &str) -> Result<Vec<T>> {
    let text = fields.get(name).ok_or_else(|| unreadable(&format!("a tree lacks {name}")))?;
    text.split_ascii_whitespace().map(|word| word.parse().map_err(|_| unreadable(&format!("{name} holds no numbers")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "tree\nversion=v4\nnum_class=1\n\nTree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=0 1\nsplit_gain=10 2.5\n\
        threshold=0.5 1.0000000180025095e-35\ndecision_type=10 0\nleft_child=1 -1\nright_child=-2 -3\nleaf_value=0.1 -0.2 0.3\n\
        is_linear=0\nshrinkage=0.1\n\n\nTree=1\nnum_leaves=1\nnum_cat=0\nleaf_value=0.25\nshrinkage=1\n\n\nend of trees\n\nfeature_importances:\na=1\n";

    #[test]
    fn trees_are_walked_as_written() {
        let trees = parse(MODEL).unwrap();
        assert_eq!(trees.len(), 2);
        let values = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [f32::NAN, f32::NAN]].map(|row| trees[0].value(&row));
        assert_eq!(values, [0.1, 0.3, -0.2, 0.1]);
        assert_eq!(trees[1].value(&[0.0, 0.0]), 0.25);
        let mut gains = [0.0; 2];
        trees.iter().for_each(|tree| tree.add_gains(&mut gains));
        assert_eq!(gains, [10.0, 2.5]);
        assert_eq!(trees[1].to_onnx().nodes, [TreeNode::Leaf { value: 0.25 }]);
        assert_eq!(trees[0].to_onnx().nodes.len(), 5);
    }

    #[test]
    fn damaged_text_is_refused() {
        for (from, to) in
            [("left_child=1 -1", "left_child=7 -1"), ("num_cat=0", "num_cat=1"), ("decision_type=10 0", "decision_type=10")]
        {
            assert!(parse(&MODEL.replacen(from, to, 1)).unwrap_err().is(TRAINER_FAILED), "{to}");
        }
    }

    #[test]
    fn thresholds_are_rounded_towards_the_same_answers() {
        for threshold in [0.1, -0.1, 1e-35, 16_777_217.0, 1.0 / 3.0, -1e300] {
            let rounded = round_down(threshold);
            assert!(f64::from(rounded) <= threshold);
            assert!(f64::from(rounded.next_up()) > threshold);
        }
    }
}
