//! What may not stand in the tree: calls that give up, and the paths of somebody's machine.

use crate::Violation;
use crate::source::{Literals, strip, without_tests};

const CALLS: &[(&str, &str)] = &[
    (".unwrap()", "return an error, or say with `expect` why it cannot fail"),
    ("todo!(", "finish it or return an error"),
    ("unimplemented!(", "finish it or return an error"),
    ("dbg!(", "log with `tracing`"),
];

/// Calls that only tests may make.
pub fn check_calls(path: &str, source: &str) -> Vec<Violation> {
    let code = strip(without_tests(source), Literals::Blank);
    let mut found = Vec::new();
    for (line_index, line) in code.lines().enumerate() {
        for (call, advice) in CALLS {
            if line.contains(call) {
                found.push(format!("{path}:{}: `{call}` outside tests; {advice}", line_index + 1));
            }
        }
    }
    found
}

/// Absolute paths into a home or a work folder: they are true on one machine only.
pub fn check_machine_paths(path: &str, text: &str) -> Vec<Violation> {
    let roots = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let mut found = Vec::new();
    for (line_index, line) in text.lines().enumerate() {
        for root in roots {
            let is_absolute = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-./}~*".contains(c));
            if line.match_indices(root).any(|(at, _)| is_absolute(at)) {
                found.push(format!("{path}:{}: names `{root}`, a path of one machine", line_index + 1));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, want: usize) {
        assert_eq!(check_calls("a.rs", source).len(), want, "{source}");
    }

    #[test]
    fn calls_that_give_up_are_found_outside_tests() {
        check("fn a() { b().unwrap(); }", 1);
        check("fn a() {\n    todo!()\n}", 1);
        check("fn a() { dbg!(b).unwrap() }", 2);
        check("fn a() { b().unwrap_or(0); }", 0);
        check("/// `b().unwrap()`\nfn a() { c(\".unwrap()\") }", 0);
        check("#[cfg(test)]\nmod tests {\n    fn a() { b().unwrap(); }\n}", 0);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let bad = ["see /ro@ot/x", "\"/ho@me/ana/x\"", "(/wo@rk/main)"];
        for text in bad {
            assert_eq!(check_machine_paths("a.md", &text.replace('@', "")).len(), 1, "{text}");
        }
        for text in ["https://example.org/ho@me/", "../wo@rk/x", "${HOME}/wo@rk/", "a path of a homework/file"] {
            assert!(check_machine_paths("a.md", &text.replace('@', "")).is_empty(), "{text}");
        }
    }
}
