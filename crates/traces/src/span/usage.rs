//! Tokens and costs of a whole trace, from those of its spans.

use std::collections::HashMap;

use crate::json::{Fields, Json};

/// Counts or costs by name, in order.
pub type Usage = Fields;

/// The first three always stand in a total, the others where a span tells them.
pub(crate) const TOKEN_KEYS: &[&str] = &[
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
];
pub(crate) const COST_KEYS: &[&str] = &["input_cost", "output_cost", "total_cost"];
const N_REQUIRED: usize = 3;

/// A span's place in its tree and what it tells of usage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UsageNode {
    pub span: String,
    pub parent: Option<String>,
    pub usage: Option<Usage>,
}

/// The sum over the spans. Where a span tells its usage, that of the spans below is part of it and does not count again.
pub(crate) fn total(nodes: &[&UsageNode], keys: &[&str]) -> Option<Usage> {
    let mut children: HashMap<&str, Vec<&UsageNode>> = HashMap::new();
    let known: std::collections::HashSet<&str> = nodes.iter().map(|node| node.span.as_str()).collect();
    let mut open = Vec::new();
    for node in nodes {
        match node.parent.as_deref().filter(|parent| known.contains(parent)) {
            Some(parent) => children.entry(parent).or_default().push(node),
            None => open.push(*node),
        }
    }
    let mut sums: Vec<Option<f64>> = keys.iter().enumerate().map(|(index, _)| (index < N_REQUIRED).then_some(0.0)).collect();
    let mut has_usage = false;
    while let Some(node) = open.pop() {
        let Some(usage) = &node.usage else {
            open.extend(children.remove(node.span.as_str()).unwrap_or_default());
            continue;
        };
        has_usage = true;
        for (sum, key) in sums.iter_mut().zip(keys) {
            if let Some(value) = usage.get(key).and_then(Json::as_f64) {
                *sum = Some(sum.unwrap_or_default() + value);
            }
        }
    }
    if !has_usage {
        return None;
    }
    let is_count = keys.first().is_some_and(|key| key.ends_with("tokens"));
    let number = |sum: f64| if is_count { Json::Int(sum as i64) } else { Json::Float(sum) };
    let told = keys.iter().zip(sums).filter_map(|(key, sum)| Some(((*key).to_owned(), number(sum?))));
    Some(told.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(span: &str, parent: Option<&str>, tokens: Option<i64>) -> UsageNode {
        let usage = tokens.map(|tokens| {
            [("input_tokens", tokens), ("output_tokens", 1), ("total_tokens", tokens + 1)]
                .map(|(key, value)| (key.to_owned(), Json::Int(value)))
                .into_iter()
                .collect()
        });
        UsageNode { span: span.to_owned(), parent: parent.map(str::to_owned), usage }
    }

    #[test]
    fn a_parents_usage_covers_that_of_its_children() {
        let nodes = [
            node("root", None, None),
            node("agent", Some("root"), Some(10)),
            node("call", Some("agent"), Some(7)),
            node("other", Some("root"), Some(5)),
            node("orphan", Some("gone"), Some(1)),
        ];
        let all: Vec<_> = nodes.iter().collect();
        let sum = total(&all, TOKEN_KEYS).unwrap();
        assert_eq!(sum.dumped(), r#"{"input_tokens": 16, "output_tokens": 3, "total_tokens": 19}"#);
        assert_eq!(total(&all[..1], TOKEN_KEYS), None);
    }
}
