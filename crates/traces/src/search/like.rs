//! Patterns of SQL's LIKE, for texts that are no columns.

/// Whether a text fits a pattern, in which `%` is any text and `_` any character. Case counts.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    // `%word%`, which nearly everybody asks for.
    let inner = pattern.strip_prefix('%').and_then(|rest| rest.strip_suffix('%'));
    if let Some(word) = inner.filter(|word| !word.contains(['%', '_'])) {
        return text.contains(word);
    }
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut asked, mut resume) = (0, 0, None);
    while at < text.len() {
        match pattern.get(asked) {
            Some('%') => {
                resume = Some((at, asked));
                asked += 1;
            }
            Some(wanted) if *wanted == '_' || text.get(at) == Some(wanted) => {
                at += 1;
                asked += 1;
            }
            _ => {
                // The last `%` takes one character more.
                let Some((from, percent)) = resume else { return false };
                resume = Some((from + 1, percent));
                (at, asked) = (from + 1, percent + 1);
            }
        }
    }
    pattern.get(asked..).unwrap_or_default().iter().all(|rest| *rest == '%')
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns_fit_as_in_sql() {
        for (text, pattern, want) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "a_c", true),
            ("abc", "%b%", true),
            ("abc", "", false),
            ("", "%", true),
            ("abc", "%d%", false),
            ("aXbXc", "a%b%c", true),
            ("aab", "%ab", true),
            ("abc", "ABC", false),
            ("50%", "50%", true),
            ("é", "_", true),
        ] {
            assert_eq!(is_like(text, pattern), want, "{text} LIKE {pattern}");
        }
    }
}
