//! Telephone numbers, by their form.

/// International numbers have 8 to 15 digits (ITU-T E.164). Numbers without `+` count when they are written as such: a group of the
/// area in brackets or with a leading zero, or the North American 3-3-4.
pub(super) fn is_phone(text: &str) -> bool {
    if !text.chars().all(|character| character.is_ascii_digit() || " +-./()".contains(character)) {
        return false;
    }
    let n_digits = text.chars().filter(char::is_ascii_digit).count();
    if let Some(rest) = text.strip_prefix('+') {
        return (8..=15).contains(&n_digits) && !rest.contains('+') && !rest.starts_with(['0', ' ']);
    }
    let groups: Vec<&str> = text.split([' ', '-', '.', '/', '(', ')']).filter(|group| !group.is_empty()).collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    if text.contains('+') || groups.len() < 2 || !(9..=15).contains(&n_digits) {
        return false;
    }
    let has_area_code =
        groups.first().is_some_and(|area| area.starts_with('0') && !area.starts_with("00") && (2..=5).contains(&area.len()));
    text.starts_with('(') || has_area_code || lengths == [3, 3, 4]
}
