//! Turns a graph into steps over numbered places.

use std::collections::HashMap;

use lw_core::Result;

use crate::evaluator::Column;
use crate::failures::{malformed, unsupported};
use crate::message::{GraphProto, ModelProto, NodeProto};
use crate::model::Model;
use crate::operator::{self, Operand, Operator, Opsets};
use crate::tensor::Tensor;

/// An operator with the places that it reads and writes.
pub(crate) struct Step {
    pub operator: Box<dyn Operator>,
    pub operands: Vec<Operand>,
    pub first_output: usize,
    pub n_outputs: usize,
    pub name: String,
}

/// Gives each value of the graph its place: inputs first, then the outputs of the nodes in order, so that a node only reads
/// places before its own.
pub(crate) struct Compiler {
    opsets: Opsets,
    places: HashMap<String, Operand>,
    pub constants: Vec<Tensor>,
    pub steps: Vec<Step>,
    pub n_slots: usize,
}

const MAX_INPUT_WIDTH: usize = 1 << 16;

impl Compiler {
    pub fn new(model: &Model) -> Self {
        Self { opsets: opsets(&model.message), places: HashMap::new(), constants: Vec::new(), steps: Vec::new(), n_slots: 0 }
    }

    pub fn inputs(&mut self, model: &Model) -> Result<Vec<Column>> {
        let mut columns = Vec::new();
        for port in model.inputs() {
            let name = port.name.chars().take(80).collect::<String>();
            let (Some(element), Some(width)) = (port.element, port.width.filter(|&width| width <= MAX_INPUT_WIDTH)) else {
                return Err(unsupported(format!("input `{name}` has no known type or width")));
            };
            self.place(&port.name, Operand::Slot(columns.len()))?;
            columns.push(Column { name: port.name, element, width, is_vector: port.rank == 1 });
        }
        self.n_slots = columns.len();
        Ok(columns)
    }

    pub fn constant(&mut self, name: &str, tensor: Tensor) {
        self.places.insert(name.to_owned(), Operand::Constant(self.constants.len()));
        self.constants.push(tensor);
    }

    fn place(&mut self, name: &str, operand: Operand) -> Result<()> {
        if self.places.insert(name.to_owned(), operand).is_some() {
            return Err(malformed(format!("two values are named `{}`", name.chars().take(80).collect::<String>())));
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Operand> {
        self.places.get(name).copied().ok_or_else(|| {
            let name: String = name.chars().take(80).collect();
            malformed(format!("value `{name}` is used before it is computed"))
        })
    }

    pub fn node(&mut self, node: &NodeProto) -> Result<()> {
        let is_standard = matches!(node.domain.as_str(), "" | "ai.onnx");
        match (node.op_type.as_str(), node.output.as_slice()) {
            ("Identity", [output]) if is_standard => {
                let [input] = node.input.as_slice() else {
                    return Err(malformed("Identity takes one input"));
                };
                let operand = self.find(input)?;
                self.place(output, operand)
            }
            ("Constant", [output]) if is_standard => {
                let value = node.attribute.iter().find(|attribute| attribute.name == "value").and_then(|value| value.t.as_ref());
                let Some(proto) = value else {
                    return Err(unsupported("a Constant that is no tensor"));
                };
                let tensor = Tensor::from_proto(proto)?;
                self.constant(output, tensor);
                Ok(())
            }
            _ => self.step(node),
        }
    }

    fn step(&mut self, node: &NodeProto) -> Result<()> {
        let find = |name: &String| if name.is_empty() { Ok(Operand::Absent) } else { self.find(name) };
        let operands = node.input.iter().map(find).collect::<Result<Vec<_>>>()?;
        let constant = |operand: &Operand| match operand {
            Operand::Constant(index) => self.constants.get(*index),
            _ => None,
        };
        let constants: Vec<Option<&Tensor>> = operands.iter().map(constant).collect();
        let operator = operator::compile(node, self.opsets, &constants)?;
        let first_output = self.n_slots;
        let n_outputs = operator.n_outputs();
        if node.output.len() > n_outputs {
            return Err(unsupported(format!("{} with {} outputs", node.op_type, node.output.len())));
        }
        for (index, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            self.place(name, Operand::Slot(first_output + index))?;
        }
        self.n_slots += n_outputs;
        self.steps.push(Step { operator, operands, first_output, n_outputs, name: describe(node) });
        Ok(())
    }

    pub fn outputs(&self, graph: &GraphProto) -> Result<Vec<Operand>> {
        graph.output.iter().map(|info| self.find(&info.name)).collect()
    }
}

pub(crate) fn describe(node: &NodeProto) -> String {
    let shorten = |text: &str| text.chars().take(60).collect::<String>();
    format!("{} `{}`", shorten(&node.op_type), shorten(node.output.first().map_or("", String::as_str)))
}

/// The versions of the operator sets that a model names; version 1 where it names none, as ONNX says.
fn opsets(model: &ModelProto) -> Opsets {
    let version = |domains: [&str; 2]| {
        let found = model.opset_import.iter().find(|import| domains.contains(&import.domain.as_str()));
        found.map_or(1, |import| import.version)
    };
    Opsets { onnx: version(["", "ai.onnx"]), ml: version(["ai.onnx.ml"; 2]) }
}
