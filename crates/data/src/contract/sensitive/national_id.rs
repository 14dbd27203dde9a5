//! National identity numbers, by their check digits where they have them.

use super::{digits, passes_luhn};

pub(super) fn is_national_id(text: &str) -> bool {
    let countries: [fn(&str) -> bool; 8] =
        [is_brazilian, is_french, is_italian, is_dutch, is_polish, is_spanish, is_swedish, is_american];
    text.is_ascii() && countries.into_iter().any(|recognises| recognises(text))
}

/// Each digit times its weight, added up.
fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// Whether `text` is the pattern, in which `9` stands for a digit, `A` for a letter and all else for itself.
fn has_form(text: &str, pattern: &str) -> bool {
    let fits = |(found, wanted): (u8, u8)| match wanted {
        b'9' => found.is_ascii_digit(),
        b'A' => found.is_ascii_alphabetic(),
        _ => found == wanted,
    };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)
}

/// A month and a day that exist in some year.
fn is_date(month: u32, day: u32) -> bool {
    let n_days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    };
    (1..=n_days).contains(&day)
}

/// CPF: two check digits modulo 11.
fn is_brazilian(text: &str) -> bool {
    if !(has_form(text, "999.999.999-99") || has_form(text, "99999999999")) {
        return false;
    }
    let Some(digits) = digits(text, &['.', '-']) else { return false };
    let check = |n: u32, weights: &[u32]| {
        let remainder = weighted(&digits, weights) * 10 % 11 % 10;
        digits.get(n as usize) == Some(&remainder)
    };
    let varies = digits.windows(2).any(|pair| pair[0] != pair[1]);
    varies && check(9, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) && check(10, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])
}

/// NIR: thirteen digits, and 97 minus their number modulo 97.
fn is_french(text: &str) -> bool {
    let Some(digits) = digits(text, &[' ']).filter(|digits| digits.len() == 15) else { return false };
    let number = |digits: &[u32]| digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(*digit));
    let (body, key) = digits.split_at(13);
    let month = number(&body[3..5]);
    matches!(body.first(), Some(1 | 2)) && ((1..=12).contains(&month) || month >= 20) && 97 - number(body) % 97 == number(key)
}

/// Codice fiscale: sixteen letters and digits, the last of which checks the others.
fn is_italian(text: &str) -> bool {
    const ODD: [u32; 26] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let text = text.to_ascii_uppercase();
    if !has_form(&text, "AAAAAA99A99A999A") {
        return false;
    }
    let value = |byte: u8| if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' };
    let places = text.bytes().take(15).enumerate().map(|(place, byte)| match place % 2 {
        0 => ODD[usize::from(value(byte))],
        _ => u32::from(value(byte)),
    });
    text.bytes().last().is_some_and(|check| u32::from(check.saturating_sub(b'A')) == places.sum::<u32>() % 26)
}

/// BSN: the eleven test. Nine bare digits would pass it by chance too often, so only its usual grouping counts.
fn is_dutch(text: &str) -> bool {
    let Some(digits) = digits(text, &['.']).filter(|_| has_form(text, "9999.99.999")) else { return false };
    let sum = weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    digits.last().is_some_and(|check| sum % 11 == *check)
}

/// PESEL: a date of birth, whose month also tells the century, and a check digit.
fn is_polish(text: &str) -> bool {
    let Some(digits) = digits(text, &[]).filter(|digits| digits.len() == 11) else { return false };
    let (month, day) = ((digits[2] * 10 + digits[3]) % 20, digits[4] * 10 + digits[5]);
    let sum = weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]);
    is_date(month, day) && digits[10] == (10 - sum % 10) % 10
}

/// DNI and NIE: the number modulo 23 gives the letter.
fn is_spanish(text: &str) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let text = text.to_ascii_uppercase();
    let number = match text.as_bytes().first() {
        Some(first @ b'X'..=b'Z') if has_form(&text, "A9999999A") => format!("{}{}", first - b'X', &text[1..8]),
        _ if has_form(&text, "99999999A") => text[..8].to_owned(),
        _ => return false,
    };
    let letter = number.parse::<usize>().ok().and_then(|number| LETTERS.get(number % 23));
    letter == text.as_bytes().last()
}

/// Personnummer: a date of birth (with 60 added to the day for a coordination number) and Luhn's check digit.
fn is_swedish(text: &str) -> bool {
    let short = if text.len() == 13 { &text[2..] } else { text };
    if !(has_form(short, "999999-9999") || has_form(short, "999999+9999")) {
        return false;
    }
    let Some(digits) = digits(short, &['-', '+']) else { return false };
    let (month, day) = (digits[2] * 10 + digits[3], digits[4] * 10 + digits[5]);
    is_date(month, day % 60) && passes_luhn(&digits)
}

/// Social security number: it has no check digit, so only its written form counts, without the areas that were never issued.
fn is_american(text: &str) -> bool {
    let never_issued = |area: &str| area == "000" || area == "666" || area.starts_with('9');
    has_form(text, "999-99-9999") && !never_issued(&text[..3]) && &text[4..6] != "00" && &text[7..] != "0000"
}
