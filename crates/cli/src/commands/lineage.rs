//! `loopwright lineage`: what a version was made from, or what was made from it, as a tree.

use std::collections::{BTreeMap, BTreeSet};

use lw_core::Result;
use serde_json::Value;

use crate::address::Address;
use crate::args::LineageArgs;
use crate::client::Client;
use crate::render;

pub async fn lineage(client: &Client, arguments: &LineageArgs, json: bool) -> Result<()> {
    let direction = if arguments.downstream { "downstream" } else { "upstream" };
    let address = Address::of(&["lineage"])
        .with("subject", Some(&arguments.subject))
        .with("direction", Some(direction))
        .with("depth", arguments.depth)
        .with("limit", Some(arguments.limit));
    let answer = client.get(address.text()).await?;
    if json {
        render::json(&answer);
        return Ok(());
    }
    for line in tree(&answer) {
        render::out(&line);
    }
    if answer["complete"] == false {
        render::talk("there is more: raise --limit or --depth, or start from a version further on");
    }
    let other = if arguments.downstream { "--upstream" } else { "--downstream" };
    render::next(&format!("loopwright lineage {} {other}", arguments.subject));
    Ok(())
}

/// A version beside the one it hangs on, with what happened in which entry.
#[derive(Clone)]
struct Branch<'a> {
    name: &'a str,
    label: String,
}

/// The walk as lines. A version that hangs on several others is drawn whole once, and named elsewhere.
fn tree(answer: &Value) -> Vec<String> {
    let nodes = answer["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_downstream = answer["direction"] == "downstream";
    let known: BTreeSet<&str> = nodes.iter().filter_map(|node| node["text"].as_str()).collect();
    let mut branches: BTreeMap<&str, Vec<Branch<'_>>> = BTreeMap::new();
    for edge in answer["edges"].as_array().into_iter().flatten() {
        let (Some(from), Some(to)) = (edge["from"].as_str(), edge["to"].as_str()) else { continue };
        let (near, far) = if is_downstream { (from, to) } else { (to, from) };
        let (action, seq) = (render::cell(&edge["action"]), render::cell(&edge["seq"]));
        let of_near = branches.entry(near).or_default();
        if known.contains(far) && of_near.iter().all(|branch| branch.name != far) {
            of_near.push(Branch { name: far, label: format!("{action} [#{seq}]") });
        }
    }
    let mut drawing = Drawing { branches, drawn: BTreeSet::new(), lines: Vec::new() };
    for root in nodes.iter().filter(|node| node["depth"] == 0).filter_map(|node| node["text"].as_str()) {
        if drawing.drawn.insert(root) {
            drawing.lines.push(root.to_owned());
            drawing.below(root, "");
        }
    }
    drawing.lines
}

struct Drawing<'a> {
    branches: BTreeMap<&'a str, Vec<Branch<'a>>>,
    drawn: BTreeSet<&'a str>,
    lines: Vec<String>,
}

impl<'a> Drawing<'a> {
    fn below(&mut self, name: &'a str, indent: &str) {
        let branches = self.branches.get(name).cloned().unwrap_or_default();
        for (index, branch) in branches.iter().enumerate() {
            let is_last = index + 1 == branches.len();
            let (corner, rail) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let is_new = self.drawn.insert(branch.name);
            let again = if is_new || !self.branches.contains_key(branch.name) { "" } else { ", see above" };
            self.lines.push(format!("{indent}{corner}{}  {}{again}", branch.name, branch.label));
            if is_new {
                self.below(branch.name, &format!("{indent}{rail}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn edge(from: &str, to: &str, seq: u64) -> Value {
        json!({"from": from, "to": to, "action": "x.make", "role": "r", "seq": seq})
    }

    #[test]
    fn what_hangs_on_several_versions_is_drawn_once() {
        let nodes: Vec<Value> = [("model/a", 0), ("set/b", 1), ("view/c", 1), ("table/d", 2), ("source/e", 3)]
            .iter()
            .map(|(text, depth)| json!({"text": text, "depth": depth}))
            .collect();
        let edges = [
            edge("set/b", "model/a", 4),
            edge("view/c", "model/a", 4),
            edge("table/d", "set/b", 3),
            edge("table/d", "view/c", 2),
            edge("source/e", "table/d", 1),
            edge("beyond/f", "table/d", 1),
        ];
        let lines = tree(&json!({"nodes": nodes, "edges": edges, "direction": "upstream"}));
        let want = [
            "model/a",
            "├─ set/b  x.make [#4]",
            "│  └─ table/d  x.make [#3]",
            "│     └─ source/e  x.make [#1]",
            "└─ view/c  x.make [#4]",
            "   └─ table/d  x.make [#2], see above",
        ];
        assert_eq!(lines, want);
    }
}
