//! Rust source as the checks read it: without comments, without the insides of literals, without its tests.

/// What a reader may still see of the literals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Literals {
    Keep,
    Blank,
}

/// Replaces comments, and the insides of literals if asked, by spaces. Lines and columns stay where they are.
pub fn strip(source: &str, literals: Literals) -> String {
    let mut scanner = Scanner { rest: source, out: String::with_capacity(source.len()), literals };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    scanner.out
}

/// The source up to its unit tests, which stand last by the house's style.
pub fn without_tests(source: &str) -> &str {
    let mut start = 0;
    while let Some(found) = source[start..].find("#[cfg(test)]") {
        let at = start + found;
        let after = source[at + "#[cfg(test)]".len()..].trim_start();
        let opens_line = source[..at].rsplit('\n').next().is_some_and(|line| line.trim().is_empty());
        let is_module = ["mod ", "pub mod ", "pub(crate) mod ", "#["].iter().any(|start| after.starts_with(start));
        if opens_line && is_module {
            return &source[..at];
        }
        start = at + 1;
    }
    source
}

/// Whether a file holds only tests, examples or generated code.
pub fn is_exempt(path: &str, source: &str) -> bool {
    let in_folder =
        ["tests/", "benches/", "examples/"].iter().any(|folder| path.contains(&format!("/{folder}")) || path.starts_with(folder));
    let is_test_file = path.ends_with("/tests.rs") || path.ends_with("_tests.rs");
    let is_generated = source.lines().take(5).any(|line| line.contains("@generated"));
    in_folder || is_test_file || is_generated || path.ends_with("/build.rs")
}

struct Scanner<'a> {
    rest: &'a str,
    out: String,
    literals: Literals,
}

impl Scanner<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.blank(end);
        } else if self.rest.starts_with("/*") {
            let end = block_comment_end(self.rest);
            self.blank(end);
        } else if let Some(end) = raw_string_end(self.rest).filter(|_| !self.follows_word()) {
            self.literal(end);
        } else if self.rest.starts_with('"') {
            let end = quoted_end(self.rest, '"');
            self.literal(end);
        } else if let Some(end) = char_end(self.rest) {
            self.literal(end);
        } else {
            let end = self.rest.chars().next().map_or(0, char::len_utf8);
            self.keep(end);
        }
    }

    fn follows_word(&self) -> bool {
        self.out.ends_with(|c: char| c.is_alphanumeric() || c == '_')
    }

    fn literal(&mut self, end: usize) {
        match self.literals {
            Literals::Keep => self.keep(end),
            Literals::Blank => self.blank(end),
        }
    }

    fn keep(&mut self, end: usize) {
        let (taken, rest) = self.rest.split_at(end);
        self.out.push_str(taken);
        self.rest = rest;
    }

    fn blank(&mut self, end: usize) {
        let (taken, rest) = self.rest.split_at(end);
        self.out.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

fn block_comment_end(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The end of a raw string (`r"…"`, `r#"…"#`, `br#"…"#`) that starts here.
fn raw_string_end(text: &str) -> Option<usize> {
    let after_prefix = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let n_hashes = after_prefix.bytes().take_while(|b| *b == b'#').count();
    let body = after_prefix[n_hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(n_hashes));
    let end = body.find(&close).map_or(body.len(), |at| at + close.len());
    Some(text.len() - body.len() + end)
}

fn quoted_end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The end of a character literal that starts here; `None` for a lifetime.
fn char_end(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    if body.starts_with('\\') {
        return Some(quoted_end(text, '\''));
    }
    let first = body.chars().next()?;
    body[first.len_utf8()..].starts_with('\'').then_some(first.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, want: &str) {
        assert_eq!(strip(source, Literals::Blank), want);
    }

    #[test]
    fn comments_and_literals_are_blanked_in_place() {
        check("a(); // b()\nc()", "a();       \nc()");
        check("a /* b /* c */ d */ e", "a                   e");
        check(r#"f("}{ \" x", 'a', '\'', b)"#, "f(         ,    ,     , b)");
        check(r##"f(r#"a "{" b"#)"##, "f(            )");
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("for\"a\"", "for   ");
    }

    #[test]
    fn literals_can_be_kept() {
        assert_eq!(strip("f(\"//x\") // y", Literals::Keep), "f(\"//x\")     ");
    }

    #[test]
    fn unit_tests_are_cut_off() {
        assert_eq!(without_tests("fn a() {}\n#[cfg(test)]\nmod tests {}\n"), "fn a() {}\n");
        assert_eq!(without_tests("fn a() {}\n#[cfg(test)]\npub(crate) mod tests {}\n"), "fn a() {}\n");
        let single_item = "#[cfg(test)]\nuse x;\nfn a() {}\n";
        assert_eq!(without_tests(single_item), single_item);
    }

    #[test]
    fn tests_and_generated_files_are_exempt() {
        assert!(is_exempt("crates/a/tests/it/main.rs", ""));
        assert!(is_exempt("crates/a/src/b/tests.rs", ""));
        assert!(is_exempt("crates/a/src/b.rs", "// @generated by prost\n"));
        assert!(!is_exempt("crates/a/src/contests.rs", ""));
    }
}
