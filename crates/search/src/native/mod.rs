//! Our own grammar: MLflow's fields and comparators with OR, NOT, parentheses and BETWEEN. Refusals say where and what to do.
//!
//! ```text
//! filter     = conjunction { OR conjunction }
//! conjunction = negation { AND negation }
//! negation   = NOT negation | "(" filter ")" | comparison
//! comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | LIKE | ILIKE | RLIKE ) value
//!            | field [ NOT ] IN "(" text { "," text } ")" | field BETWEEN number AND number | field IS [ NOT ] NULL
//! ```
//!
//! A field is `metrics.auc` or, where the key has other characters, `` metrics.`val loss` `` or `metrics."val loss"`. Texts stand in
//! single or double quotes. A quote inside of quotes is doubled.

mod lexer;
mod parser;
mod print;
mod vocabulary;

pub(crate) use self::parser::parse_filter;
