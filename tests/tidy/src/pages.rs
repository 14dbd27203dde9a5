//! Error codes and their pages.

use std::collections::BTreeMap;

use crate::Violation;
use crate::source::{Literals, strip, without_tests};

const MARK: &str = "Failure::new(";

/// The codes that a file defines, with their lines.
pub fn codes(source: &str) -> Vec<(String, usize)> {
    let code = strip(without_tests(source), Literals::Keep);
    let mut found = Vec::new();
    for (at, _) in code.match_indices(MARK) {
        let argument = code[at + MARK.len()..].trim_start();
        if let Some((text, _)) = argument.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            found.push((text.to_owned(), code[..at].matches('\n').count() + 1));
        }
    }
    found
}

/// Codes without a page, pages without a code, codes that two places define, and pages without their title.
///
/// `defined` holds (code, place); `pages` holds (file stem, text).
pub fn check(defined: &[(String, String)], pages: &[(String, String)]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut places: BTreeMap<&str, &str> = BTreeMap::new();
    for (code, place) in defined {
        if let Some(first) = places.insert(code, place) {
            found.push(format!("{place}: error code `{code}` is defined at {first} too; use that constant"));
        }
        if !is_kebab(code) {
            found.push(format!("{place}: error code `{code}` is not kebab case"));
        }
        if !pages.iter().any(|(stem, _)| stem == code) {
            found.push(format!("{place}: error code `{code}` has no page; write docs/errors/{code}.md"));
        }
    }
    for (stem, text) in pages {
        if !places.contains_key(stem.as_str()) {
            found.push(format!("docs/errors/{stem}.md: no code defines this page; remove it or fix its name"));
        }
        if text.lines().next() != Some(&format!("# {stem}")) {
            found.push(format!("docs/errors/{stem}.md: the first line is not `# {stem}`"));
        }
        if !text.to_lowercase().contains("what to do") {
            found.push(format!("docs/errors/{stem}.md: does not say what to do"));
        }
    }
    found
}

fn is_kebab(code: &str) -> bool {
    code.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[track_caller]
    fn fails(defined: &[(&str, &str)], pages: &[(&str, &str)], want: &str) {
        let found = check(&owned(defined), &owned(pages));
        assert!(found.len() == 1 && found[0].contains(want), "{found:?}");
    }

    #[test]
    fn codes_are_read_from_code_and_not_from_comments() {
        let source = "/// Failure::new(\"in-doc\", X)\npub const A: Failure = Failure::new(\"first\", K);\nconst B: Failure =\n    Failure::new(\n        \"second\", K);\n";
        assert_eq!(codes(source), [("first".to_owned(), 2), ("second".to_owned(), 4)]);
    }

    #[test]
    fn codes_and_pages_match_both_ways() {
        let good = "# lost\n\n## What to do\n\nLook again.\n";
        assert!(check(&owned(&[("lost", "a.rs:1")]), &owned(&[("lost", good)])).is_empty());
        fails(&[("lost", "a.rs:1")], &[], "has no page");
        fails(&[], &[("lost", good)], "no code defines this page");
        fails(&[("lost", "a.rs:1"), ("lost", "b.rs:2")], &[("lost", good)], "defined at a.rs:1 too");
        fails(&[("lost", "a.rs:1")], &[("lost", "# Lost\n\nWhat to do")], "first line");
        fails(&[("lost", "a.rs:1")], &[("lost", "# lost\n\nSorry.")], "does not say what to do");
        fails(&[("Lost_it", "a.rs:1")], &[("Lost_it", "# Lost_it\nWhat to do")], "not kebab case");
    }
}
