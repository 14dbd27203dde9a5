//! Puts tokens into groups, step by step in the order of MLflow's SQL reader: what is an identifier or a comparison for MLflow, and
//! so what a filter may contain, is what these steps leave. They know far more of SQL than any filter needs, and each of them can
//! turn a filter that looks good into one that MLflow refuses.

use super::lexer::Kind;
use super::tree::{Id, Limit, ROOT, Tree};

/// The steps, in order.
pub(crate) fn group(tree: &mut Tree<'_>) -> Result<(), Limit> {
    comments(tree, ROOT)?;
    for pair in &PAIRS {
        matching(tree, ROOT, pair, 0)?;
    }
    each(tree, ROOT, Some(Kind::Over), &over)?;
    each(tree, ROOT, Some(Kind::Function), &functions)?;
    each(tree, ROOT, Some(Kind::Where), &wheres)?;
    infix(tree, ROOT, &PERIOD, 0)?;
    infix(tree, ROOT, &ARRAY, 0)?;
    each(tree, ROOT, Some(Kind::Identifier), &identifiers)?;
    each(tree, ROOT, Some(Kind::Identifier), &orders)?;
    for step in [&TYPE_CAST, &ZONE_CAST, &TYPED_LITERAL, &TYPED_LITERAL_UNIT, &OPERATION, &COMPARISON, &AS] {
        infix(tree, ROOT, step, 0)?;
    }
    each(tree, ROOT, None, &aliases)?;
    infix(tree, ROOT, &ASSIGNMENT, 0)?;
    each(tree, ROOT, None, &align_comments)?;
    infix(tree, ROOT, &LIST, 0)?;
    values(tree, ROOT)
}

/// Does a step for a list and first for every group in it, but for groups of one kind.
fn each(
    tree: &mut Tree<'_>,
    list: Id,
    except: Option<Kind>,
    step: &dyn Fn(&mut Tree<'_>, Id) -> Result<(), Limit>,
) -> Result<(), Limit> {
    for child in tree.children(list).to_vec() {
        let kind = tree.kind(child);
        if kind.is_group() && Some(kind) != except {
            each(tree, child, except, step)?;
        }
    }
    step(tree, list)
}

fn comments(tree: &mut Tree<'_>, list: Id) -> Result<(), Limit> {
    let mut from = 0;
    while let Some((start, _)) = tree.find(list, from, |tree, id| tree.kind(id).is_comment()) {
        let is_part = |kind: Kind| kind.is_comment() || kind == Kind::Newline;
        let Some((end, _)) = tree.find(list, start, |tree, id| !is_part(tree.kind(id))) else { break };
        tree.group(list, Kind::CommentGroup, start, end - 1, false)?;
        from = start + 1;
    }
    Ok(())
}

/// Groups with a token that opens and one that closes them.
struct Pair {
    group: Kind,
    opens: fn(&Tree<'_>, Id) -> bool,
    closes: fn(&Tree<'_>, Id) -> bool,
}

const PAIRS: [Pair; 6] = [
    Pair {
        group: Kind::SquareBrackets,
        opens: |tree, id| tree.is_punctuation(id, "["),
        closes: |tree, id| tree.is_punctuation(id, "]"),
    },
    Pair {
        group: Kind::Parenthesis,
        opens: |tree, id| tree.is_punctuation(id, "("),
        closes: |tree, id| tree.is_punctuation(id, ")"),
    },
    Pair {
        group: Kind::Case,
        opens: |tree, id| tree.is_keyword(id, &["CASE"]),
        closes: |tree, id| tree.is_keyword(id, &["END"]),
    },
    Pair { group: Kind::If, opens: |tree, id| tree.is_keyword(id, &["IF"]), closes: |tree, id| tree.is_keyword(id, &["END IF"]) },
    Pair {
        group: Kind::For,
        opens: |tree, id| tree.is_keyword(id, &["FOR", "FOREACH"]),
        closes: |tree, id| tree.is_keyword(id, &["END LOOP"]),
    },
    Pair {
        group: Kind::Begin,
        opens: |tree, id| tree.is_keyword(id, &["BEGIN"]),
        closes: |tree, id| tree.is_keyword(id, &["END"]),
    },
];

fn matching(tree: &mut Tree<'_>, list: Id, pair: &Pair, depth: usize) -> Result<(), Limit> {
    if depth > Limit::DEPTH {
        return Err(Limit::Depth);
    }
    let mut opens = Vec::new();
    let mut n_gone = 0;
    for (position, token) in tree.children(list).to_vec().into_iter().enumerate() {
        let index = position - n_gone;
        let kind = tree.kind(token);
        if kind.is_group() && kind != pair.group {
            matching(tree, token, pair, depth + 1)?;
        } else if (pair.opens)(tree, token) {
            opens.push(index);
        } else if (pair.closes)(tree, token)
            && let Some(open) = opens.pop()
        {
            tree.group(list, pair.group, open, index, false)?;
            n_gone += index - open;
        }
    }
    Ok(())
}

/// A group around a token in the middle, such as the point in `a.b`.
struct Infix {
    group: Kind,
    is_middle: fn(&Tree<'_>, Id) -> bool,
    may_precede: fn(&Tree<'_>, Id) -> bool,
    may_follow: fn(&Tree<'_>, Option<Id>) -> bool,
    /// The first and the last child of the group.
    reach: fn(&mut Tree<'_>, Id, Around) -> (usize, usize),
    extend: bool,
    recurse: bool,
}

/// The places of a middle token and its neighbours.
#[derive(Clone, Copy)]
struct Around {
    previous: usize,
    middle: usize,
    next: Option<usize>,
}

fn both(_: &mut Tree<'_>, _: Id, around: Around) -> (usize, usize) {
    (around.previous, around.next.unwrap_or(around.middle))
}

fn infix(tree: &mut Tree<'_>, list: Id, step: &Infix, depth: usize) -> Result<(), Limit> {
    if depth > Limit::DEPTH {
        return Err(Limit::Depth);
    }
    let mut n_gone = 0;
    let mut previous: Option<(usize, Id)> = None;
    // The list changes while a copy of its first state is walked; tokens that went into a group are walked once more.
    for (position, token) in tree.children(list).to_vec().into_iter().enumerate() {
        let Some(index) = position.checked_sub(n_gone) else { continue };
        let kind = tree.kind(token);
        if kind.is_whitespace() {
            continue;
        }
        if step.recurse && kind.is_group() && kind != step.group {
            infix(tree, token, step, depth + 1)?;
        }
        if (step.is_middle)(tree, token)
            && let Some((previous_index, before)) = previous
        {
            let next = tree.next(list, index);
            let follower = next.map(|(_, id)| id);
            let is_free = !is_delimiter(tree, list, Some(before)) && !is_delimiter(tree, list, follower);
            if (step.may_precede)(tree, before) && (step.may_follow)(tree, follower) && is_free {
                let around = Around { previous: previous_index, middle: index, next: next.map(|(index, _)| index) };
                let (start, end) = (step.reach)(tree, list, around);
                let group = tree.group(list, step.group, start, end, step.extend)?;
                n_gone += end - start;
                previous = Some((start, group));
                continue;
            }
        }
        previous = Some((index, token));
    }
    Ok(())
}

/// The parentheses of a group belong to no group inside of it.
fn is_delimiter(tree: &Tree<'_>, list: Id, token: Option<Id>) -> bool {
    let is_delimited =
        matches!(tree.kind(list), Kind::Parenthesis | Kind::SquareBrackets | Kind::Case | Kind::If | Kind::For | Kind::Begin);
    let children = tree.children(list);
    is_delimited && token.is_some() && (children.first().copied() == token || children.last().copied() == token)
}

fn is_name(kind: Kind) -> bool {
    matches!(kind, Kind::Name | Kind::Symbol)
}

/// Numbers, texts and names: what an operator can stand between.
fn is_plain_value(kind: Kind) -> bool {
    matches!(kind, Kind::Integer | Kind::Float | Kind::Text | Kind::Symbol | Kind::Name | Kind::Placeholder)
}

fn is_operand(kind: Kind) -> bool {
    let is_group = matches!(kind, Kind::Parenthesis | Kind::Function | Kind::Identifier | Kind::Operation | Kind::TypedLiteral);
    is_group || is_plain_value(kind)
}

const PERIOD: Infix = Infix {
    group: Kind::Identifier,
    is_middle: |tree, id| {
        tree.is_punctuation(id, ".") || (tree.kind(id) == Kind::Operator && matches!(tree.text(id), "->" | "->>"))
    },
    may_precede: |tree, id| is_name(tree.kind(id)) || matches!(tree.kind(id), Kind::SquareBrackets | Kind::Identifier),
    may_follow: |_, _| true,
    reach: |tree, list, around| {
        let next = around.next.and_then(|next| tree.child(list, next)).map(|id| tree.kind(id));
        let is_good = next.is_some_and(|kind| {
            is_name(kind) || matches!(kind, Kind::SquareBrackets | Kind::Function | Kind::Wildcard | Kind::Text)
        });
        (around.previous, around.next.filter(|_| is_good).unwrap_or(around.middle))
    },
    extend: true,
    recurse: true,
};

const ARRAY: Infix = Infix {
    group: Kind::Identifier,
    is_middle: |tree, id| tree.kind(id) == Kind::SquareBrackets,
    may_precede: |tree, id| {
        is_name(tree.kind(id)) || matches!(tree.kind(id), Kind::SquareBrackets | Kind::Identifier | Kind::Function)
    },
    may_follow: |_, _| true,
    reach: |_, _, around| (around.previous, around.middle),
    extend: true,
    recurse: false,
};

const TYPE_CAST: Infix = Infix {
    group: Kind::Identifier,
    is_middle: |tree, id| tree.is_punctuation(id, "::"),
    may_precede: |_, _| true,
    may_follow: |_, id| id.is_some(),
    reach: both,
    extend: true,
    recurse: true,
};

const ZONE_CAST: Infix = Infix {
    group: Kind::Identifier,
    is_middle: |tree, id| tree.kind(id) == Kind::TimeZone,
    may_precede: |_, _| true,
    may_follow: |tree, id| id.is_some_and(|id| tree.is_keyword(id, &["AS"]) || tree.kind(id) == Kind::Text),
    reach: both,
    extend: true,
    recurse: true,
};

const TYPED_LITERAL: Infix = Infix {
    group: Kind::TypedLiteral,
    is_middle: |tree, id| tree.kind(id) == Kind::Builtin || tree.is_keyword(id, &["TIMESTAMP"]),
    may_precede: |_, _| true,
    may_follow: |tree, id| tree.is(id, Kind::Text),
    reach: |_, _, around| (around.middle, around.next.unwrap_or(around.middle)),
    extend: false,
    recurse: true,
};

const TYPED_LITERAL_UNIT: Infix = Infix {
    group: Kind::TypedLiteral,
    is_middle: |tree, id| tree.kind(id) == Kind::TypedLiteral,
    may_precede: |_, _| true,
    may_follow: |tree, id| id.is_some_and(|id| tree.is_keyword(id, &["DAY", "HOUR", "MINUTE", "MONTH", "SECOND", "YEAR"])),
    reach: |_, _, around| (around.middle, around.next.unwrap_or(around.middle)),
    extend: true,
    recurse: true,
};

const OPERATION: Infix = Infix {
    group: Kind::Operation,
    is_middle: |tree, id| matches!(tree.kind(id), Kind::Operator | Kind::Wildcard),
    may_precede: |tree, id| is_term(tree, id),
    may_follow: |tree, id| id.is_some_and(|id| is_term(tree, id)),
    reach: |tree, list, around| {
        if let Some(middle) = tree.child(list, around.middle) {
            tree.set_kind(middle, Kind::Operator);
        }
        (around.previous, around.next.unwrap_or(around.middle))
    },
    extend: false,
    recurse: true,
};

fn is_term(tree: &Tree<'_>, id: Id) -> bool {
    let kind = tree.kind(id);
    is_operand(kind)
        || kind == Kind::SquareBrackets
        || tree.is_keyword(id, &["CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"])
}

const COMPARISON: Infix = Infix {
    group: Kind::Comparison,
    is_middle: |tree, id| tree.kind(id) == Kind::Comparator,
    may_precede: |tree, id| is_compared(tree, id),
    may_follow: |tree, id| id.is_some_and(|id| is_compared(tree, id)),
    reach: both,
    extend: false,
    recurse: true,
};

fn is_compared(tree: &Tree<'_>, id: Id) -> bool {
    is_operand(tree.kind(id)) || (tree.kind(id).is_keyword() && tree.reads(id, &["NULL"]))
}

const AS: Infix = Infix {
    group: Kind::Identifier,
    is_middle: |tree, id| tree.kind(id).is_keyword() && tree.reads(id, &["AS"]),
    may_precede: |tree, id| !tree.kind(id).is_keyword() || tree.reads(id, &["NULL"]),
    may_follow: |tree, id| id.is_some() && !tree.is(id, Kind::Statement),
    reach: both,
    extend: true,
    recurse: true,
};

const ASSIGNMENT: Infix = Infix {
    group: Kind::AssignmentGroup,
    is_middle: |tree, id| tree.kind(id) == Kind::Assignment,
    may_precede: |tree, id| tree.kind(id) != Kind::Keyword,
    may_follow: |tree, id| id.is_some_and(|id| tree.kind(id) != Kind::Keyword),
    reach: |tree, list, around| {
        let next = around.next.unwrap_or(around.middle);
        let semicolon = tree.find(list, next + 1, |tree, id| tree.is_punctuation(id, ";"));
        (around.previous, semicolon.map_or(next, |(index, _)| index))
    },
    extend: true,
    recurse: true,
};

const LIST: Infix = Infix {
    group: Kind::IdentifierList,
    is_middle: |tree, id| tree.is_punctuation(id, ","),
    may_precede: |tree, id| is_listed(tree.kind(id)),
    may_follow: |tree, id| id.is_some_and(|id| is_listed(tree.kind(id))),
    reach: both,
    extend: true,
    recurse: true,
};

fn is_listed(kind: Kind) -> bool {
    let is_group = matches!(
        kind,
        Kind::Function | Kind::Case | Kind::Identifier | Kind::Comparison | Kind::IdentifierList | Kind::Operation
    );
    is_group || is_plain_value(kind) || matches!(kind, Kind::Keyword | Kind::Wildcard)
}

fn over(tree: &mut Tree<'_>, list: Id) -> Result<(), Limit> {
    let mut from = 0;
    while let Some((index, _)) = tree.find(list, from, |tree, id| tree.is_keyword(id, &["OVER"])) {
        if let Some((next, id)) = tree.next(list, index)
            && (tree.kind(id) == Kind::Parenthesis || tree.kind(id).is_any_name())
        {
            tree.group(list, Kind::Over, index, next, false)?;
        }
        from = index + 1;
    }
    Ok(())
}

fn functions(tree: &mut Tree<'_>, list: Id) -> Result<(), Limit> {
    let has = |word: &str| tree.children(list).iter().any(|id| tree.reads(*id, &[word]));
    if has("CREATE") && has("TABLE") && !has("AS") {
        return Ok(());
    }
    let mut from = 0;
    while let Some((index, _)) = tree.find(list, from, |tree, id| tree.kind(id).is_any_name()) {
        if let Some((parenthesis, id)) = tree.next(list, index)
            && tree.kind(id) == Kind::Parenthesis
        {
            let over = tree.next(list, parenthesis).filter(|(_, id)| tree.kind(*id) == Kind::Over);
            tree.group(list, Kind::Function, index, over.map_or(parenthesis, |(index, _)| index), false)?;
        }
        from = index + 1;
    }
    Ok(())
}

const AFTER_WHERE: &[&str] =
    &["ORDER BY", "GROUP BY", "LIMIT", "UNION", "UNION ALL", "EXCEPT", "INTERSECT", "HAVING", "RETURNING", "INTO"];

fn wheres(tree: &mut Tree<'_>, list: Id) -> Result<(), Limit> {
    let mut from = 0;
    while let Some((index, _)) = tree.find(list, from, |tree, id| tree.is_keyword(id, &["WHERE"])) {
        let is_delimited = matches!(tree.kind(list), Kind::Parenthesis | Kind::SquareBrackets);
        let last = tree.children(list).len().saturating_sub(if is_delimited { 2 } else { 1 });
        let end = tree.find(list, index + 1, |tree, id| tree.is_keyword(id, AFTER_WHERE));
        tree.group(list, Kind::Where, index, end.map_or(last, |(end, _)| end - 1), false)?;
        from = index + 1;
    }
    Ok(())
}

fn identifiers(tree: &mut Tree<'_>, list: Id) -> Result<(), Limit> {
    for index in 0..tree.children(list).len() {
        if tree.child(list, index).is_some_and(|id| is_name(tree.kind(id))) {
            tree.group(list, Kind::Identifier, index, index, false)?;
        }
    }
    Ok(())
}

fn orders(tree: &mut Tree<'_>, list: Id) -> Result<(), Limit> {
    let mut from = 0;
    while let Some((index, _)) = tree.find(list, from, |tree, id| tree.kind(id) == Kind::Order) {
        from = index + 1;
        if let Some((previous, id)) = tree.previous(list, index)
            && (tree.kind(id) == Kind::Identifier || tree.kind(id).is_any_number())
        {
            tree.group(list, Kind::Identifier, previous, index, false)?;
            from = previous + 1;
        }
    }
    Ok(())
}

fn aliases(tree: &mut Tree<'_>, list: Id) -> Result<(), Limit> {
    let can_have = |kind: Kind| {
        let is_group = matches!(
            kind,
            Kind::Parenthesis | Kind::Function | Kind::Case | Kind::Identifier | Kind::Operation | Kind::Comparison
        );
        is_group || kind.is_any_number()
    };
    let mut from = 0;
    while let Some((index, _)) = tree.find(list, from, |tree, id| can_have(tree.kind(id))) {
        if let Some((next, id)) = tree.next(list, index)
            && tree.kind(id) == Kind::Identifier
        {
            tree.group(list, Kind::Identifier, index, next, true)?;
        }
        from = index + 1;
    }
    Ok(())
}

fn align_comments(tree: &mut Tree<'_>, list: Id) -> Result<(), Limit> {
    let mut from = 0;
    while let Some((index, _)) = tree.find(list, from, |tree, id| tree.kind(id) == Kind::CommentGroup) {
        from = index + 1;
        if let Some((previous, id)) = tree.previous(list, index)
            && tree.kind(id).is_group()
        {
            tree.group(list, tree.kind(id), previous, index, true)?;
            from = previous + 1;
        }
    }
    Ok(())
}

fn values(tree: &mut Tree<'_>, list: Id) -> Result<(), Limit> {
    let Some((start, _)) = tree.find(list, 0, |tree, id| tree.is_keyword(id, &["VALUES"])) else { return Ok(()) };
    let mut children = tree.children(list).iter().enumerate().skip(start);
    let last = children.rfind(|(_, id)| tree.kind(**id) == Kind::Parenthesis).map(|(index, _)| index);
    if let Some(last) = last {
        tree.group(list, Kind::Values, start, last, true)?;
    }
    Ok(())
}
