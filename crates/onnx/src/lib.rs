//! ONNX graphs of classical models: the messages, a writer and a native evaluator.
//!
//! - [`Model`] reads and writes files.
//! - [`GraphBuilder`] writes a model with one named input a feature.
//! - [`Evaluator`] runs trees, linear models and their preprocessing without ONNX Runtime; what it does not know it refuses with
//!   `onnx-unsupported` when it compiles, never while it serves.
//!
//! ```
//! use lw_onnx::{Element, Evaluator, GraphBuilder, Model, Tree, TreeNode};
//!
//! let mut graph = GraphBuilder::new("late");
//! let delay = graph.input("previous_delay", Element::Float, 1);
//! let tree = Tree {
//!     nodes: vec![
//!         TreeNode::Split { feature: 0, threshold: 10.0, missing_goes_yes: true, yes: 1, no: 2 },
//!         TreeNode::Leaf { value: -1.0 },
//!         TreeNode::Leaf { value: 1.0 },
//!     ],
//! };
//! let log_odds = graph.tree_regressor(&delay, &[tree])?;
//! let (label, probabilities) = graph.two_classes(&log_odds);
//! graph.output("label", &label, Element::Int64, None);
//! graph.output("probabilities", &probabilities, Element::Float, Some(2));
//! let bytes = graph.finish()?.encode();
//!
//! let evaluator = Evaluator::compile(&Model::decode(&bytes)?)?;
//! let mut scratch = evaluator.scratch();
//! scratch.start(3);
//! evaluator.give_numbers(&mut scratch, 0, [5.0, 25.0, f64::NAN])?;
//! evaluator.run(&mut scratch)?;
//! let scores: Vec<f64> = evaluator.scores(&scratch).collect();
//! assert!(scores[0] < 0.5 && scores[1] > 0.5 && scores[2] == scores[0]);
//! # Ok::<(), lw_core::Error>(())
//! ```

mod attribute;
mod compiler;
mod evaluator;
pub mod failures;
mod graph;
pub mod message;
mod model;
mod operator;
mod tensor;
mod tree;

pub use evaluator::{Column, Evaluator, Output, ScoreColumn, Scratch};
pub use graph::{GraphBuilder, Value};
pub use model::{Model, Port};
pub use operator::Classes;
pub use tensor::Element;
pub use tree::{Tree, TreeNode};
