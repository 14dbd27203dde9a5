//! Changes of element type.

use std::fmt::Write as _;

use lw_core::Result;

use super::{Inputs, Operator, Work};
use crate::attribute::Attributes;
use crate::failures::unsupported;
use crate::message::NodeProto;
use crate::tensor::{Element, Tensor};

pub(super) struct Cast {
    to: Element,
}

impl Cast {
    pub fn compile(node: &NodeProto) -> Result<Self> {
        let attributes = Attributes::read(node, &["to", "saturate"])?;
        let code = attributes.int("to", 0);
        let to = i32::try_from(code).ok().and_then(Element::from_proto);
        Ok(Self { to: to.ok_or_else(|| unsupported(format!("a Cast to element type {code}")))? })
    }
}

impl Operator for Cast {
    fn run(&self, inputs: Inputs<'_>, outputs: &mut [Tensor], work: &mut Work) -> Result<()> {
        let input = inputs.get(0)?;
        let output = &mut outputs[0];
        match (input.element, self.to) {
            (Element::Text, Element::Text) => output.copy_from(input, input.shape, &mut work.budget),
            (Element::Text, to) => Err(unsupported(format!("a Cast of text to {to:?}"))),
            (from, Element::Text) if from.is_integer() => integers_to_texts(input, output, work),
            (from, Element::Text) => Err(unsupported(format!("a Cast of {from:?} to text"))),
            (_, to) => {
                let numbers = output.reset(to, input.shape, &mut work.budget)?;
                for (to_number, &from) in numbers.iter_mut().zip(&input.numbers) {
                    *to_number = convert(from, to);
                }
                Ok(())
            }
        }
    }
}

fn convert(value: f64, to: Element) -> f64 {
    match to {
        Element::Int32 | Element::Int64 => value.trunc(),
        Element::Bool => f64::from(u8::from(value != 0.0)),
        Element::Float | Element::Double | Element::Text => to.quantise(value),
    }
}

fn integers_to_texts(input: &Tensor, output: &mut Tensor, work: &mut Work) -> Result<()> {
    let texts = output.reset_texts(input.shape, &mut work.budget)?;
    let mut digits = String::with_capacity(24);
    for &number in &input.numbers {
        digits.clear();
        write!(digits, "{}", number as i64).expect("writing to a string cannot fail");
        texts.push(&digits);
    }
    Ok(())
}
