//! Where in a file a key stands, for errors that are found after parsing.

use lw_core::Place;

/// The place of a key path such as `["expressions", "hour"]`: each key is looked for after the one before it.
/// A path that the text does not hold gives the place of its longest known prefix.
pub fn locate(file: &str, text: &str, path: &[&str]) -> Place {
    let mut from = 0;
    let mut found = None;
    for key in path {
        match find_key(text, from, key) {
            Some(position) => {
                found = Some(position);
                from = position + key.len();
            }
            None => break,
        }
    }
    let Some(position) = found else {
        return Place { file: file.to_owned(), line: None, column: None };
    };
    let before = &text[..position];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    Place { file: file.to_owned(), line: u32::try_from(line).ok(), column: u32::try_from(column).ok() }
}

/// The position of `key` as a mapping key or a list item, outside comments.
fn find_key(text: &str, from: usize, key: &str) -> Option<usize> {
    let mut start = from;
    while let Some(offset) = text.get(start..)?.find(key) {
        let position = start + offset;
        let after = text[position + key.len()..].chars().next();
        let before = text[..position].chars().next_back();
        let line_start = text[..position].rfind('\n').map_or(0, |newline| newline + 1);
        let is_commented = text[line_start..position].trim_start().starts_with('#');
        let is_bounded = before.is_none_or(|c| !is_word(c)) && after.is_none_or(|c| !is_word(c));
        if is_bounded && !is_commented {
            return Some(position);
        }
        start = position + key.len();
    }
    None
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "model: late\n# expressions: no\nexpressions:\n  our: 1\n  hour: date_part('hour', t)\ninputs: [hour, day]\n";

    #[track_caller]
    fn check(path: &[&str], line: u32, column: u32) {
        let place = locate("m.yaml", TEXT, path);
        assert_eq!((place.line, place.column), (Some(line), Some(column)));
    }

    #[test]
    fn keys_are_found_in_their_block() {
        check(&["expressions", "hour"], 5, 3);
        check(&["inputs", "day"], 6, 16);
        check(&["expressions", "minute"], 3, 1);
        assert_eq!(locate("m.yaml", TEXT, &["gates"]).line, None);
    }
}
