//! The tokens of a statement and the groups they form, as MLflow's SQL reader holds them.

use std::ops::Range;

use super::lexer::{Kind, Token, tokens};

/// A node of a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(usize);

/// A statement. Groups cover what they hold without a gap.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    source: &'a str,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    place: Range<usize>,
    children: Vec<Id>,
    depth: usize,
}

/// The reader's guards against hostile input, with its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Depth,
    Tokens,
}

impl Limit {
    pub(crate) const DEPTH: usize = 100;
    const TOKENS: usize = 10_000;

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Depth => "Maximum grouping depth exceeded (100).",
            Self::Tokens => "Maximum number of tokens exceeded (10000).",
        }
    }
}

pub(crate) const ROOT: Id = Id(0);

/// Cuts a text into statements at semicolons outside of parentheses.
pub(crate) fn statements(source: &str) -> Result<Vec<Tree<'_>>, Limit> {
    let mut found: Vec<Vec<Token>> = Vec::new();
    let mut open: Vec<Token> = Vec::new();
    let mut level = 0_i64;
    let mut is_over = false;
    for token in tokens(source) {
        if is_over && !matches!(token.kind, Kind::Whitespace | Kind::LineComment) {
            found.push(std::mem::take(&mut open));
            (level, is_over) = (0, false);
        }
        let text = source.get(token.place.clone()).unwrap_or_default();
        match (token.kind, text) {
            (Kind::Punctuation, "(") => level += 1,
            (Kind::Punctuation, ")") => level -= 1,
            (Kind::Punctuation, ";") => is_over = level <= 0,
            _ => {}
        }
        open.push(token);
    }
    if open.iter().any(|token| !token.kind.is_whitespace()) {
        found.push(open);
    }
    found.into_iter().map(|tokens| Tree::new(source, tokens)).collect()
}

impl<'a> Tree<'a> {
    fn new(source: &'a str, tokens: Vec<Token>) -> Result<Self, Limit> {
        if tokens.len() > Limit::TOKENS {
            return Err(Limit::Tokens);
        }
        let place = tokens.first().map_or(0, |token| token.place.start)..tokens.last().map_or(0, |token| token.place.end);
        let mut nodes = vec![Node { kind: Kind::Root, place, children: (1..=tokens.len()).map(Id).collect(), depth: 1 }];
        nodes.extend(tokens.into_iter().map(|Token { kind, place }| Node { kind, place, children: Vec::new(), depth: 0 }));
        let mut tree = Self { source, nodes };
        super::grouping::group(&mut tree)?;
        Ok(tree)
    }

    fn node(&self, id: Id) -> &Node {
        self.nodes.get(id.0).expect("ids come from this tree, which never drops a node")
    }

    fn node_mut(&mut self, id: Id) -> &mut Node {
        self.nodes.get_mut(id.0).expect("ids come from this tree, which never drops a node")
    }

    pub(crate) fn kind(&self, id: Id) -> Kind {
        self.node(id).kind
    }

    pub(crate) fn set_kind(&mut self, id: Id, kind: Kind) {
        self.node_mut(id).kind = kind;
    }

    pub(crate) fn children(&self, id: Id) -> &[Id] {
        &self.node(id).children
    }

    pub(crate) fn text(&self, id: Id) -> &'a str {
        self.source.get(self.node(id).place.clone()).unwrap_or_default()
    }

    pub(crate) fn child(&self, list: Id, index: usize) -> Option<Id> {
        self.children(list).get(index).copied()
    }

    pub(crate) fn is(&self, id: Option<Id>, kind: Kind) -> bool {
        id.is_some_and(|id| self.kind(id) == kind)
    }

    /// Whether it is this keyword; case does not count.
    pub(crate) fn is_keyword(&self, id: Id, words: &[&str]) -> bool {
        self.kind(id) == Kind::Keyword && self.reads(id, words)
    }

    /// Whether it reads as one of these words, with single blanks between them; case does not count.
    pub(crate) fn reads(&self, id: Id, words: &[&str]) -> bool {
        words.iter().any(|word| self.text(id).eq_ignore_ascii_case(word))
    }

    pub(crate) fn is_punctuation(&self, id: Id, text: &str) -> bool {
        self.kind(id) == Kind::Punctuation && self.text(id) == text
    }

    /// The next child of the list behind an index that is no blank.
    pub(crate) fn next(&self, list: Id, index: usize) -> Option<(usize, Id)> {
        self.find(list, index + 1, |tree, id| !tree.kind(id).is_whitespace())
    }

    pub(crate) fn previous(&self, list: Id, index: usize) -> Option<(usize, Id)> {
        let before = self.children(list).get(..index).unwrap_or_default();
        let found = before.iter().copied().enumerate().rev().find(|(_, id)| !self.kind(*id).is_whitespace());
        found.filter(|_| index > 0)
    }

    /// The first child from an index on of which something holds.
    pub(crate) fn find(&self, list: Id, from: usize, holds: impl Fn(&Self, Id) -> bool) -> Option<(usize, Id)> {
        self.children(list).iter().copied().enumerate().skip(from).find(|(_, id)| holds(self, *id))
    }

    /// Puts the children from `start` to `end`, both included, into a group of their own. With `extend`, a first child that is such
    /// a group already takes the others in.
    pub(crate) fn group(&mut self, list: Id, kind: Kind, start: usize, end: usize, extend: bool) -> Result<Id, Limit> {
        let end = end.min(self.children(list).len().saturating_sub(1));
        let Some(first) = self.child(list, start).filter(|_| start <= end) else { return Ok(list) };
        let taken: Vec<Id> = self.children(list).get(start..=end).unwrap_or_default().to_vec();
        let depth = 1 + taken.iter().map(|id| self.node(*id).depth).max().unwrap_or(0);
        // The reader gives up at this depth in its next step; here nothing deeper is ever built.
        if depth > 2 * Limit::DEPTH {
            return Err(Limit::Depth);
        }
        let last = self.node(*taken.last().unwrap_or(&first)).place.end;
        if extend && self.kind(first) == kind {
            let node = self.node_mut(first);
            node.children.extend(taken.iter().skip(1));
            node.place.end = last;
            node.depth = node.depth.max(depth);
            self.node_mut(list).children.drain(start + 1..=end);
            return Ok(first);
        }
        let place = self.node(first).place.start..last;
        self.nodes.push(Node { kind, place, children: taken, depth });
        let group = Id(self.nodes.len() - 1);
        self.node_mut(list).children.splice(start..=end, [group]);
        Ok(group)
    }
}
