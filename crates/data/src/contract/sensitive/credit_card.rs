//! Numbers of payment cards: a range of an issuer, its lengths, and Luhn's check digit (ISO/IEC 7812).

use super::{digits, passes_luhn};

pub(super) fn is_credit_card(text: &str) -> bool {
    digits(text, &[' ', '-']).is_some_and(|digits| is_issued(&digits) && passes_luhn(&digits))
}

fn is_issued(digits: &[u32]) -> bool {
    let first = |n: usize| digits.iter().take(n).fold(0, |number, digit| number * 10 + digit);
    match (first(1), first(2), first(4), digits.len()) {
        // Visa.
        (4, _, _, 13 | 16 | 19) => true,
        // Mastercard.
        (_, 51..=55, _, 16) | (_, _, 2221..=2720, 16) => true,
        // American Express.
        (_, 34 | 37, _, 15) => true,
        // Diners Club.
        (_, 30 | 36 | 38 | 39, _, 14) => true,
        // JCB, Discover, UnionPay.
        (_, _, 3528..=3589, 16) | (_, 65, _, 16) | (_, _, 6011 | 6440..=6499, 16) | (_, 62, _, 16..=19) => true,
        _ => false,
    }
}
