//! The filter as a tree: what a search asks of each row.

use crate::Field;

/// What must hold of a row. A filter of MLflow's grammar is a comparison or `All` of comparisons.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Comparison),
}

/// One comparison, checked: the comparator fits the field and the value fits the comparator.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub field: Field,
    pub comparator: Comparator,
    pub value: Literal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `%` is any text and `_` any character; nothing escapes them. Case counts.
    Like,
    /// `Like` with case ignored.
    ILike,
    /// A regular expression that is found anywhere in the text.
    RLike,
    In,
    NotIn,
    IsNull,
    IsNotNull,
    /// Both bounds are in. Only the native grammar has it.
    Between,
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Of IS NULL and IS NOT NULL.
    Absent,
    Number(Number),
    Text(String),
    /// Of IN and NOT IN: never empty.
    Texts(Vec<String>),
    /// Of IN and NOT IN on ids that are numbers (`experiment_id`): never empty.
    Integers(Vec<i64>),
    /// Of BETWEEN.
    Range(Number, Number),
}

/// A number as it was written: `1` is `Int`, `1.0` and what does not fit 64 bits is `Float`. Metrics are always `Float`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Int(i64),
    Float(f64),
}

impl Condition {
    /// Every comparison of the tree, from left to right, such as to look for a tag that changes what a search returns.
    pub fn comparisons(&self) -> Vec<&Comparison> {
        let mut found = Vec::new();
        let mut open = vec![self];
        while let Some(condition) = open.pop() {
            match condition {
                Self::All(parts) | Self::Any(parts) => open.extend(parts.iter().rev()),
                Self::Not(inner) => open.push(inner),
                Self::Compare(comparison) => found.push(comparison),
            }
        }
        found
    }
}

impl Comparator {
    /// The comparator as a filter spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Like => "LIKE",
            Self::ILike => "ILIKE",
            Self::RLike => "RLIKE",
            Self::In => "IN",
            Self::NotIn => "NOT IN",
            Self::IsNull => "IS NULL",
            Self::IsNotNull => "IS NOT NULL",
            Self::Between => "BETWEEN",
        }
    }
}
