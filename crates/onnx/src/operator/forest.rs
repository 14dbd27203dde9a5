//! Decision trees in one flat array, and the walks down them.
//!
//! The children of a node stand side by side, so a step is `first_child + goes_right`: no branch to mispredict. A walk keeps
//! several independent positions in flight (16 rows down one tree, or one row down 8 trees), because each step waits
//! for memory and the positions wait together. Leaves lead to themselves, so all lanes take the same number of steps.

use std::collections::VecDeque;

use lw_core::Result;

use crate::failures::malformed;

/// How a split compares: `value OP threshold` leads to `yes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    AtMost,
    Below,
    AtLeast,
    Above,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Child {
    Split(usize),
    Leaf(usize),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    pub feature: u32,
    pub comparison: Comparison,
    pub threshold: f32,
    pub missing_goes_yes: bool,
    pub yes: Child,
    pub no: Child,
}

/// Trees as a file lists them.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub splits: Vec<Split>,
    /// What each leaf adds to which target.
    pub leaves: Vec<Vec<(usize, f64)>>,
    pub roots: Vec<Child>,
}

/// 16 bytes, so that four share a cache line and none lies across two.
#[derive(Debug, Clone, Copy)]
struct Node {
    threshold: f32,
    /// The column to compare.
    feature: u32,
    /// The child for `value <= threshold`; the other one stands after it. A leaf names itself.
    first_child: u32,
    missing_goes_first: bool,
}

#[derive(Debug)]
struct Tree {
    root: u32,
    depth: u32,
}

#[derive(Debug)]
pub(super) struct Forest {
    nodes: Vec<Node>,
    trees: Vec<Tree>,
    /// For each node the leaf of the listing that it is; meaningless for splits.
    leaf_of: Vec<u32>,
    n_features: usize,
}

const ROW_LANES: usize = 16;
const TREE_LANES: usize = 8;
const STEPS_BETWEEN_CHECKS: u32 = 4;

impl Forest {
    /// # Errors
    /// `onnx-malformed` if a split is reached twice, so that the listing is no forest.
    pub fn build(listing: &Listing) -> Result<Self> {
        let mut forest = Self { nodes: Vec::new(), trees: Vec::new(), leaf_of: Vec::new(), n_features: 0 };
        let mut is_placed = vec![false; listing.splits.len()];
        for &root in &listing.roots {
            forest.place_tree(listing, root, &mut is_placed)?;
        }
        forest.n_features = listing.splits.iter().map(|split| split.feature as usize + 1).max().unwrap_or(0);
        Ok(forest)
    }

    /// Lays a tree out level by level, so that the first steps share cache lines.
    fn place_tree(&mut self, listing: &Listing, root: Child, is_placed: &mut [bool]) -> Result<()> {
        let root_index = self.add_place()?;
        let mut queue = VecDeque::from([(root, root_index, 0)]);
        let mut deepest = 0;
        while let Some((child, place, depth)) = queue.pop_front() {
            deepest = deepest.max(depth);
            let split = match child {
                Child::Leaf(leaf) => {
                    self.leaf_of[place as usize] = u32::try_from(leaf).map_err(|_| malformed("too many leaves"))?;
                    continue;
                }
                Child::Split(index) => {
                    if std::mem::replace(&mut is_placed[index], true) {
                        return Err(malformed("a node of a tree is reached by two ways"));
                    }
                    &listing.splits[index]
                }
            };
            let first_child = self.add_place()?;
            let second_child = self.add_place()?;
            let (threshold, is_swapped) = match split.comparison {
                Comparison::AtMost => (split.threshold, false),
                Comparison::Above => (split.threshold, true),
                Comparison::Below => (split.threshold.next_down(), false),
                Comparison::AtLeast => (split.threshold.next_down(), true),
            };
            let missing_goes_first = split.missing_goes_yes != is_swapped;
            self.nodes[place as usize] = Node { threshold, feature: split.feature, first_child, missing_goes_first };
            let (first, second) = if is_swapped { (split.no, split.yes) } else { (split.yes, split.no) };
            queue.extend([(first, first_child, depth + 1), (second, second_child, depth + 1)]);
        }
        self.trees.push(Tree { root: root_index, depth: deepest });
        Ok(())
    }

    /// Adds a node that is a leaf until it is made a split: everything, NaN too, leads to itself.
    fn add_place(&mut self) -> Result<u32> {
        let place = u32::try_from(self.nodes.len()).map_err(|_| malformed("too many nodes"))?;
        self.nodes.push(Node { threshold: f32::INFINITY, feature: 0, first_child: place, missing_goes_first: true });
        self.leaf_of.push(0);
        Ok(place)
    }

    pub fn n_trees(&self) -> usize {
        self.trees.len()
    }

    /// Turns a value for each leaf of the listing into one for each node, to be indexed by what a walk finds.
    pub fn spread<T: Clone>(&self, of_leaf: &[T]) -> Vec<T> {
        self.leaf_of.iter().map(|&leaf| of_leaf[leaf as usize].clone()).collect()
    }

    /// Calls `visit(row, node)` for the leaf of each row in each tree: trees in order for any one row, so that sums do not depend
    /// on how many rows are given together.
    ///
    /// Values are rounded to 32 bits first, as scikit-learn, XGBoost and ONNX do before they compare.
    pub fn walk(
        &self,
        numbers: &[f64],
        columns: usize,
        floats: &mut Vec<f32>,
        mut visit: impl FnMut(usize, usize),
    ) -> Result<()> {
        if columns < self.n_features || columns == 0 {
            return Err(malformed(format!("trees over {} columns are given {columns}", self.n_features)));
        }
        let blocks = numbers.chunks_exact(ROW_LANES * columns);
        let n_in_blocks = blocks.len() * ROW_LANES;
        let rest = blocks.remainder();
        for (block_index, block) in blocks.enumerate() {
            let has_missing = round_into(floats, block);
            for tree in &self.trees {
                let nodes = match has_missing {
                    true => self.descend_rows::<true>(tree, floats, columns),
                    false => self.descend_rows::<false>(tree, floats, columns),
                };
                nodes.iter().enumerate().for_each(|(lane, &node)| visit(block_index * ROW_LANES + lane, node as usize));
            }
        }
        for (index, row) in rest.chunks_exact(columns).enumerate() {
            let visit_node = |node| visit(n_in_blocks + index, node);
            match round_into(floats, row) {
                true => self.descend_row::<true>(floats, visit_node),
                false => self.descend_row::<false>(floats, visit_node),
            }
        }
        Ok(())
    }

    /// 16 rows down one tree.
    fn descend_rows<const HAS_MISSING: bool>(&self, tree: &Tree, block: &[f32], columns: usize) -> [u32; ROW_LANES] {
        let mut at = [tree.root; ROW_LANES];
        let mut n_left = tree.depth;
        while n_left > 0 {
            let before = at;
            for _ in 0..n_left.min(STEPS_BETWEEN_CHECKS) {
                for (lane, place) in at.iter_mut().enumerate() {
                    *place = self.step::<HAS_MISSING>(*place, block, lane * columns);
                }
            }
            if at == before {
                break;
            }
            n_left = n_left.saturating_sub(STEPS_BETWEEN_CHECKS);
        }
        at
    }

    /// One row down all trees, 8 at a time.
    fn descend_row<const HAS_MISSING: bool>(&self, row: &[f32], mut visit: impl FnMut(usize)) {
        let (groups, rest) = self.trees.as_chunks::<TREE_LANES>();
        for group in groups {
            let mut at: [u32; TREE_LANES] = std::array::from_fn(|lane| group[lane].root);
            let deepest = group.iter().map(|tree| tree.depth).max().unwrap_or(0);
            for _ in 0..deepest {
                for place in &mut at {
                    *place = self.step::<HAS_MISSING>(*place, row, 0);
                }
            }
            at.iter().for_each(|&node| visit(node as usize));
        }
        for tree in rest {
            let mut place = tree.root;
            for _ in 0..tree.depth {
                place = self.step::<HAS_MISSING>(place, row, 0);
            }
            visit(place as usize);
        }
    }

    /// From a node to the child that the row starting at `start` of `values` goes to.
    #[inline(always)]
    fn step<const HAS_MISSING: bool>(&self, place: u32, values: &[f32], start: usize) -> u32 {
        let node = &self.nodes[place as usize];
        let value = values[start + node.feature as usize];
        let goes_second = if HAS_MISSING {
            !((value <= node.threshold) | (value.is_nan() & node.missing_goes_first))
        } else {
            value > node.threshold
        };
        node.first_child + u32::from(goes_second)
    }
}

/// Rounds numbers to 32 bits and says whether one of them is missing.
fn round_into(floats: &mut Vec<f32>, numbers: &[f64]) -> bool {
    floats.clear();
    floats.extend(numbers.iter().map(|&value| value as f32));
    floats.iter().any(|value| value.is_nan())
}
