//! How long files and functions may be.

use crate::Violation;
use crate::source::{Literals, strip, without_tests};

pub const MAX_FILE_LINES: usize = 600;
pub const MAX_FUNCTION_LINES: usize = 70;

/// A file over 600 lines, its unit tests aside.
pub fn check_file(path: &str, source: &str) -> Option<Violation> {
    let n_lines = without_tests(source).lines().count();
    (n_lines > MAX_FILE_LINES)
        .then(|| format!("{path}: {n_lines} lines; a file has at most {MAX_FILE_LINES}: split it by concern"))
}

/// Functions over 70 lines, from `fn` to the closing brace, unit tests aside.
pub fn check_functions(path: &str, source: &str) -> Vec<Violation> {
    let code = strip(without_tests(source), Literals::Blank);
    functions(&code)
        .into_iter()
        .filter(|function| function.n_lines > MAX_FUNCTION_LINES)
        .map(|Function { name, line, n_lines }| {
            format!("{path}:{line}: function `{name}` has {n_lines} lines; a function fits a screen of {MAX_FUNCTION_LINES}")
        })
        .collect()
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    n_lines: usize,
}

fn functions(code: &str) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let after = &code[at + 3..];
        let name_end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        if !starts_word || name_end == 0 {
            continue;
        }
        if let Some(n_lines) = body_end(after).map(|end| after[..end].lines().count()) {
            found.push(Function { name: &after[..name_end], line: code[..at].matches('\n').count() + 1, n_lines });
        }
    }
    found
}

/// The end of the first braced block, or `None` if the signature ends in a semicolon.
fn body_end(after: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (at, c) in after.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if depth == 0 && brackets == 0 => return None,
            '{' => depth += 1,
            '}' if depth <= 1 => return Some(at + 1),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(n_lines: usize) -> String {
        format!("fn long(x: [u8; 2]) -> u8 {{\n{}}}\n", "    call(\"}\");\n".repeat(n_lines - 2))
    }

    #[test]
    fn a_long_function_is_found_by_name_and_line() {
        assert!(check_functions("a.rs", &function_of(70)).is_empty());
        let found = check_functions("a.rs", &format!("struct A;\n\n{}", function_of(71)));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("a.rs:3: function `long` has 71 lines"), "{found:?}");
    }

    #[test]
    fn declarations_and_tests_are_not_functions_with_bodies() {
        let declarations = format!("trait A {{ fn a(&self); }}\n{}", "const B: u8 = 1;\n".repeat(90));
        assert!(check_functions("a.rs", &declarations).is_empty());
        assert!(check_functions("a.rs", &format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function_of(90))).is_empty());
    }

    #[test]
    fn a_long_file_is_found() {
        let short = "const A: u8 = 1;\n".repeat(600);
        assert_eq!(check_file("a.rs", &short), None);
        assert!(check_file("a.rs", &format!("{short}const B: u8 = 1;\n")).is_some());
        assert_eq!(check_file("a.rs", &format!("{short}#[cfg(test)]\nmod tests {{\n}}\n")), None);
    }
}
