//! The attributes of a node, read with their types.

use lw_core::Result;

use crate::failures::{malformed, unsupported};
use crate::message::{AttributeProto, NodeProto, TensorProto};

#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a> {
    node: &'a NodeProto,
}

impl<'a> Attributes<'a> {
    /// Refuses a node with an attribute that is not in `known`: what we do not read could change what the node means.
    pub fn read(node: &'a NodeProto, known: &[&str]) -> Result<Self> {
        for attribute in &node.attribute {
            if !known.contains(&attribute.name.as_str()) || !attribute.ref_attr_name.is_empty() {
                let name = attribute.name.chars().take(80).collect::<String>();
                return Err(unsupported(format!("attribute `{name}` of {} is not known to the native evaluator", node.op_type)));
            }
        }
        Ok(Self { node })
    }

    pub fn find(&self, name: &str) -> Option<&'a AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.find(name).and_then(|attribute| attribute.i).unwrap_or(default)
    }

    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.find(name).and_then(|attribute| attribute.f).unwrap_or(default)
    }

    pub fn text(&self, name: &str, default: &'a str) -> Result<&'a str> {
        self.find(name).and_then(|attribute| attribute.s.as_deref()).map_or(Ok(default), |bytes| utf8(name, bytes))
    }

    pub fn ints(&self, name: &str) -> &'a [i64] {
        self.find(name).map_or(&[], |attribute| &attribute.ints)
    }

    pub fn floats(&self, name: &str) -> &'a [f32] {
        self.find(name).map_or(&[], |attribute| &attribute.floats)
    }

    pub fn texts(&self, name: &str) -> Result<Vec<&'a str>> {
        self.find(name).map_or(Ok(Vec::new()), |attribute| attribute.strings.iter().map(|bytes| utf8(name, bytes)).collect())
    }

    pub fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        self.find(name).and_then(|attribute| attribute.t.as_ref())
    }

    /// The number of values a list must have, checked.
    pub fn expect_length(&self, name: &str, found: usize, wanted: usize) -> Result<()> {
        if found == wanted {
            return Ok(());
        }
        Err(malformed(format!("attribute `{name}` of {} has {found} values where {wanted} belong", self.node.op_type)))
    }
}

fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| malformed(format!("attribute `{name}` is not UTF-8")).cause(error))
}
