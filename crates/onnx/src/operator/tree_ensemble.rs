//! Sums over decision trees: boosting and forests.
//!
//! Labels and two-class scores follow ONNX Runtime where the specification leaves them open, so that a model answers alike in both.

use lw_core::Result;

use super::activation::logistic;
use super::classes::{Classes, Label};
use super::forest::{Forest, Listing};
use super::forest_attributes::{NODE_ATTRIBUTES, read_by_ids, read_by_position};
use super::linear::PostTransform;
use super::{Inputs, Operator, Work};
use crate::attribute::Attributes;
use crate::failures::{malformed, unsupported};
use crate::message::NodeProto;
use crate::tensor::{Element, Shape, Tensor};

/// A forest with what its leaves add.
struct Ensemble {
    forest: Forest,
    n_targets: usize,
    leaves: Leaves,
}

/// What reaching a node adds.
enum Leaves {
    /// Every leaf adds one number to the same target.
    Single { target: usize, values: Vec<f64> },
    /// Numbers for several targets: those of a node stand from `starts[node]` to `ends[node]`.
    Many { ranges: Vec<(u32, u32)>, entries: Vec<(usize, f64)> },
}

impl Ensemble {
    fn build(listing: &Listing, n_targets: usize) -> Result<Self> {
        let forest = Forest::build(listing)?;
        let weights = || listing.leaves.iter().flatten();
        if weights().any(|(target, _)| *target >= n_targets) {
            return Err(malformed(format!("a leaf has a target beyond the {n_targets} there are")));
        }
        let first_target = weights().next().map_or(0, |(target, _)| *target);
        let is_single = listing.leaves.iter().all(|leaf| leaf.len() == 1) && weights().all(|(target, _)| *target == first_target);
        let leaves = if is_single {
            let values: Vec<f64> = weights().map(|(_, value)| *value).collect();
            Leaves::Single { target: first_target, values: forest.spread(&values) }
        } else {
            let mut entries = Vec::new();
            let mut of_leaf = Vec::with_capacity(listing.leaves.len());
            let position = |entries: &Vec<_>| u32::try_from(entries.len()).map_err(|_| malformed("too many leaf weights"));
            for leaf in &listing.leaves {
                let start = position(&entries)?;
                entries.extend_from_slice(leaf);
                of_leaf.push((start, position(&entries)?));
            }
            Leaves::Many { ranges: forest.spread(&of_leaf), entries }
        };
        Ok(Self { forest, n_targets, leaves })
    }

    /// Adds up `work.sums` (rows × targets), and which targets got anything in `work.hits`.
    fn sum(&self, input: &Tensor, work: &mut Work) -> Result<usize> {
        let (rows, columns, numbers) = input.matrix()?;
        if input.element == Element::Double {
            return Err(unsupported("trees over 64-bit numbers"));
        }
        let n_targets = self.n_targets;
        work.budget.spend(rows.saturating_mul(n_targets))?;
        work.sums.clear();
        work.sums.resize(rows * n_targets, 0.0);
        work.hits.clear();
        let Work { sums, hits, floats, .. } = work;
        match &self.leaves {
            Leaves::Single { target, values } => {
                self.forest.walk(numbers, columns, floats, |row, node| sums[row * n_targets + target] += values[node])?;
                hits.extend((0..n_targets).map(|index| index == *target));
            }
            Leaves::Many { ranges, entries } => {
                hits.resize(rows * n_targets, false);
                self.forest.walk(numbers, columns, floats, |row, node| {
                    let (start, end) = ranges[node];
                    for &(target, value) in &entries[start as usize..end as usize] {
                        sums[row * n_targets + target] += value;
                        hits[row * n_targets + target] = true;
                    }
                })?;
            }
        }
        Ok(rows)
    }
}

pub(super) struct Regressor {
    ensemble: Ensemble,
    base: Vec<f64>,
    is_average: bool,
}

impl Regressor {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let own = [
            "target_treeids",
            "target_nodeids",
            "target_ids",
            "target_weights",
            "base_values",
            "n_targets",
            "aggregate_function",
            "post_transform",
        ];
        let attributes = Attributes::read(node, &[&NODE_ATTRIBUTES[..], &own[..]].concat())?;
        if PostTransform::read(attributes)? != PostTransform::None {
            return Err(unsupported("a TreeEnsembleRegressor with a post_transform"));
        }
        let is_average = match attributes.text("aggregate_function", "SUM")? {
            "SUM" => false,
            "AVERAGE" => true,
            _ => return Err(unsupported("a TreeEnsembleRegressor that takes the least or largest")),
        };
        let base: Vec<f64> = attributes.floats("base_values").iter().map(|&value| value.into()).collect();
        Self::build(&read_by_ids(attributes, "target")?, attributes.int("n_targets", 1), base, is_average)
    }

    /// `TreeEnsemble` of `ai.onnx.ml` 5.
    pub fn compile_merged(node: &NodeProto) -> Result<Self> {
        let known = [
            "nodes_featureids",
            "nodes_splits",
            "nodes_modes",
            "nodes_truenodeids",
            "nodes_trueleafs",
            "nodes_falsenodeids",
            "nodes_falseleafs",
            "nodes_missing_value_tracks_true",
            "nodes_hitrates",
            "leaf_targetids",
            "leaf_weights",
            "tree_roots",
            "n_targets",
            "aggregate_function",
            "post_transform",
        ];
        let attributes = Attributes::read(node, &known)?;
        let is_average = match (attributes.int("aggregate_function", 1), attributes.int("post_transform", 0)) {
            (0, 0) => true,
            (1, 0) => false,
            _ => return Err(unsupported("a TreeEnsemble with this aggregate_function or post_transform")),
        };
        Self::build(&read_by_position(attributes)?, attributes.int("n_targets", 1), Vec::new(), is_average)
    }

    fn build(listing: &Listing, n_targets: i64, base: Vec<f64>, is_average: bool) -> Result<Self> {
        let n_targets = usize::try_from(n_targets).ok().filter(|n| (1..=1 << 16).contains(n));
        let n_targets = n_targets.ok_or_else(|| malformed("a tree ensemble has no or too many targets"))?;
        if !base.is_empty() && base.len() != n_targets {
            return Err(unsupported(format!("{} base values for {n_targets} targets", base.len())));
        }
        Ok(Self { ensemble: Ensemble::build(listing, n_targets)?, base, is_average })
    }
}

impl Operator for Regressor {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let rows = self.ensemble.sum(inputs.get(0)?, work)?;
        let n_targets = self.ensemble.n_targets;
        let output = outputs[0].reset(Element::Float, Shape::Matrix(rows, n_targets), &mut work.budget)?;
        let divisor = if self.is_average { self.ensemble.forest.n_trees().max(1) as f64 } else { 1.0 };
        for (index, (to, sum)) in output.iter_mut().zip(&work.sums).enumerate() {
            *to = sum / divisor + self.base.get(index % n_targets).copied().unwrap_or(0.0);
        }
        Ok(())
    }
}

pub(super) struct Classifier {
    ensemble: Ensemble,
    classes: Classes,
    base: Vec<f64>,
    post_transform: PostTransform,
    /// Two classes, and all leaves speak of one of them.
    has_one_score: bool,
    weights_are_positive: bool,
}

impl Classifier {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let own = [
            "class_treeids",
            "class_nodeids",
            "class_ids",
            "class_weights",
            "base_values",
            "post_transform",
            "classlabels_int64s",
            "classlabels_strings",
        ];
        let attributes = Attributes::read(node, &[&NODE_ATTRIBUTES[..], &own[..]].concat())?;
        let classes = Classes::read(attributes)?;
        let n_classes = classes.len();
        let base: Vec<f64> = attributes.floats("base_values").iter().map(|&value| value.into()).collect();
        if n_classes < 2 || (n_classes > 2 && !base.is_empty() && base.len() != n_classes) || base.len() > n_classes {
            return Err(unsupported(format!("a tree classifier of {n_classes} classes with {} base values", base.len())));
        }
        let listing = read_by_ids(attributes, "class")?;
        let ids = attributes.ints("class_ids");
        Ok(Self {
            ensemble: Ensemble::build(&listing, n_classes)?,
            classes,
            base,
            post_transform: PostTransform::read(attributes)?,
            has_one_score: n_classes == 2 && ids.iter().all(|id| Some(id) == ids.first()),
            weights_are_positive: attributes.floats("class_weights").iter().all(|&weight| weight >= 0.0),
        })
    }

    /// Finishes the scores of one row and picks its label.
    fn finish(&self, scores: &mut [f64], hits: &[bool]) -> Label {
        if let ([first, second], [first_hit, second_hit]) = (&mut *scores, hits) {
            return self.finish_two(first, second, *first_hit, *second_hit);
        }
        let has_base = !self.base.is_empty();
        scores.iter_mut().zip(&self.base).for_each(|(score, base)| *score += base);
        let mut best: Option<usize> = None;
        for (class, score) in scores.iter().enumerate() {
            if (has_base || hits[class]) && best.is_none_or(|best| *score > scores[best]) {
                best = Some(class);
            }
        }
        self.post_transform.apply(scores);
        Label::Class(best.unwrap_or(0))
    }

    fn finish_two(&self, first: &mut f64, second: &mut f64, first_hit: bool, second_hit: bool) -> Label {
        let mut is_lone = false;
        match (self.base.as_slice(), second_hit) {
            ([_, base], true) => {
                *second = base + *first;
                *first = if first_hit { -*second } else { 0.0 };
            }
            ([base, _], false) => *first += base,
            (base, _) => {
                *first += base.first().filter(|_| first_hit).copied().unwrap_or(0.0);
                is_lone = !second_hit;
            }
        }
        let decisive = if second_hit {
            *second
        } else if first_hit || !self.base.is_empty() {
            *first
        } else {
            0.0
        };
        let label = match (self.has_one_score, self.weights_are_positive) {
            (true, true) => Label::Class(usize::from(decisive > 0.5)),
            (true, false) => Label::Class(usize::from(decisive > 0.0)),
            (false, _) => Label::Bare(usize::from(decisive > 0.0)),
        };
        if is_lone {
            self.spread_lone(first, second);
        } else {
            let mut pair = [*first, *second];
            self.post_transform.apply(&mut pair);
            [*first, *second] = pair;
        }
        label
    }

    /// Two scores out of the only one.
    fn spread_lone(&self, first: &mut f64, second: &mut f64) {
        let score = *first;
        (*first, *second) = match self.post_transform {
            PostTransform::Logistic => (logistic(-score), logistic(score)),
            _ if !self.has_one_score => (score, 0.0),
            _ if self.weights_are_positive => (1.0 - score, score),
            _ => (-score, score),
        };
    }
}

impl Operator for Classifier {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let [labels, scores, ..] = outputs else {
            return Err(malformed("a classifier needs two outputs"));
        };
        let rows = self.ensemble.sum(inputs.get(0)?, work)?;
        let n_classes = self.classes.len();
        scores.reset(Element::Float, Shape::Matrix(rows, n_classes), &mut work.budget)?.copy_from_slice(&work.sums);
        self.classes.start(labels, rows, &mut work.budget)?;
        for (row, row_scores) in scores.numbers.chunks_exact_mut(n_classes).enumerate() {
            let hits = work.hits.get(row * n_classes..(row + 1) * n_classes).unwrap_or(&work.hits[..n_classes]);
            let label = self.finish(row_scores, hits);
            self.classes.write(label, labels);
        }
        Ok(())
    }

    fn n_outputs(&self) -> usize {
        2
    }

    fn classes(&self) -> Option<&Classes> {
        Some(&self.classes)
    }
}
