//! Sensitive data in columns that do not declare it: detectors over samples of the values.

mod credit_card;
mod email;
mod iban;
mod ip_address;
mod national_id;
mod phone;

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};

use super::gather::Part;
use super::verdict::{Finding, N_FIRST, percent};
use crate::Detector;

#[derive(Debug)]
pub(crate) struct Sensitive {
    pub detect: Vec<Detector>,
    pub share: f64,
    /// What each column holds on purpose.
    pub declared: BTreeMap<String, Vec<Detector>>,
}

/// How many values of each part are looked at, evenly spread.
const N_SAMPLED: usize = 1_000;

/// What the sampled values of each column of text look like.
#[derive(Default)]
pub(crate) struct Samples {
    columns: BTreeMap<String, Sampled>,
}

#[derive(Default)]
struct Sampled {
    n_values: u64,
    found: BTreeMap<Detector, Found>,
}

#[derive(Default)]
struct Found {
    n_values: u64,
    first: Vec<u64>,
}

impl Samples {
    pub(super) fn update(&mut self, part: &Part<'_>) {
        for (field, values) in part.rows.schema().fields().iter().zip(part.rows.columns()) {
            let Some(texts) = values.as_string_opt::<i32>() else { continue };
            let sampled = self.columns.entry(field.name().clone()).or_default();
            let step = texts.len().div_ceil(N_SAMPLED).max(1);
            let is_looked_at = |row_index: &usize| texts.is_valid(*row_index) && !part.kept_out.value(*row_index);
            for row_index in (0..texts.len()).step_by(step).filter(is_looked_at) {
                sampled.n_values += 1;
                if let Some(detector) = classify(texts.value(row_index)) {
                    sampled.found.entry(detector).or_default().add(1, [part.ordinal(row_index)]);
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (name, theirs) in other.columns {
            let mine = self.columns.entry(name).or_default();
            mine.n_values += theirs.n_values;
            for (detector, found) in theirs.found {
                mine.found.entry(detector).or_default().add(found.n_values, found.first);
            }
        }
    }

    /// The verdict names columns, shares and rows, and never a value.
    pub(super) fn judge(self, rule: &Sensitive) -> Finding {
        let mut told = Vec::new();
        let mut rows = Vec::new();
        let n_checked = self.columns.values().map(|sampled| sampled.n_values).sum();
        for (name, sampled) in self.columns {
            let is_declared = |detector: &Detector| rule.declared.get(&name).is_some_and(|declared| declared.contains(detector));
            for (detector, found) in sampled.found {
                let share = found.n_values as f64 / sampled.n_values as f64;
                if share < rule.share || is_declared(&detector) || !rule.detect.contains(&detector) {
                    continue;
                }
                told.push(format!("`{name}` {detector} ({} of {} sampled values)", percent(share), sampled.n_values));
                rows.extend(found.first);
            }
        }
        let is_broken = !told.is_empty();
        let observed = if is_broken { told.join(", ") } else { "nothing that is not declared".to_owned() };
        let limits = format!("below {} of a column's values, or declared with `sensitive`", percent(rule.share));
        let mut finding = Finding::of_batch(is_broken, n_checked, observed, limits);
        rows.sort_unstable();
        rows.dedup();
        rows.truncate(N_FIRST);
        finding.rows = rows;
        finding
    }
}

impl Found {
    fn add(&mut self, n_values: u64, first: impl IntoIterator<Item = u64>) {
        self.n_values += n_values;
        self.first.extend(first);
        self.first.sort_unstable();
        self.first.truncate(N_FIRST);
    }
}

/// Kinds with check digits come before those that a form alone makes.
const MOST_CERTAIN_FIRST: [Detector; 6] =
    [Detector::Email, Detector::Iban, Detector::CreditCard, Detector::IpAddress, Detector::NationalId, Detector::Phone];

/// What a text looks like.
fn classify(text: &str) -> Option<Detector> {
    const LONGEST: usize = 320;
    let text = text.trim();
    if text.len() < 5 || text.len() > LONGEST {
        return None;
    }
    let recognises = |detector: &Detector| match detector {
        Detector::Email => email::is_email(text),
        Detector::Iban => iban::is_iban(text),
        Detector::CreditCard => credit_card::is_credit_card(text),
        Detector::IpAddress => ip_address::is_ip_address(text),
        Detector::NationalId => national_id::is_national_id(text),
        Detector::Phone => phone::is_phone(text),
    };
    MOST_CERTAIN_FIRST.into_iter().find(recognises)
}

/// The digits of a text in which nothing else stands but the separators, each between two digits. None otherwise.
fn digits(text: &str, separators: &[char]) -> Option<Vec<u32>> {
    let mut digits = Vec::with_capacity(text.len());
    let mut may_separate = false;
    for character in text.chars() {
        match character.to_digit(10) {
            Some(digit) => digits.push(digit),
            None if may_separate && separators.contains(&character) => {}
            None => return None,
        }
        may_separate = character.is_ascii_digit();
    }
    may_separate.then_some(digits)
}

/// Luhn's check (ISO/IEC 7812-1, annex B).
fn passes_luhn(digits: &[u32]) -> bool {
    let weighted = digits.iter().rev().enumerate().map(|(place, digit)| match place % 2 {
        0 => *digit,
        _ => digit * 2 / 10 + digit * 2 % 10,
    });
    weighted.sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{RecordBatch, StringArray};
    use arrow::buffer::BooleanBuffer;

    use super::*;
    use crate::Outcome;

    #[track_caller]
    fn check(want: Option<Detector>, texts: &[&str]) {
        for text in texts {
            assert_eq!(classify(text), want, "{text}");
        }
    }

    /// Numbers that their own specifications, issuers or authorities publish as examples.
    #[test]
    fn published_examples_are_recognised() {
        check(Some(Detector::Email), &["ana@example.com", "a.b+c@mail.example.co.uk", "o'neil@sub-domain.example.org"]);
        check(Some(Detector::Iban), &["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "FR1420041010050500013M02606"]);
        check(Some(Detector::CreditCard), &["4111111111111111", "5555 5555 5555 4444", "3782-822463-10005", "6011000990139424"]);
        check(Some(Detector::IpAddress), &["192.168.0.1", "2001:db8::ff00:42:8329", "::ffff:10.0.0.1"]);
        let ids = [
            "529.982.247-25",
            "2 55 08 14 168 025 38",
            "RSSMRA85T10A562S",
            "1234.56.782",
            "44051401359",
            "12345678Z",
            "X1234567L",
            "811228-9874",
            "219-09-9999",
        ];
        check(Some(Detector::NationalId), &ids);
        check(Some(Detector::Phone), &["+49 30 123456", "+1-415-555-0123", "(415) 555-0123", "415.555.0123", "030 / 1234567"]);
    }

    #[test]
    fn ordinary_values_are_not() {
        check(None, &["ana at example.com", "@example.com", "a@b", "a@@example.com", "ana@example.c"]);
        check(None, &["DE89370400440532013001", "XX89370400440532013000", "DE8937040044053201300"]);
        check(None, &["4111111111111112", "1111111111111117", "0000000000000000"]);
        check(None, &["256.1.1.1", "1.2.3", "12:30:45", "2001:db8"]);
        check(None, &["529.982.247-26", "44051401358", "12345678A", "811228-9875", "000-12-3456", "RSSMRA85T10A562T"]);
        check(None, &["2013-01-31", "31.01.2013", "2013-01-31 10:00:00", "12345", "1234567890", "UA-1545-2013-01-01-EWR-0515"]);
        check(None, &["New York", "3.14159", "SKU-1234", "", "AA"]);
    }

    fn samples(column: &str, texts: Vec<&str>, first_ordinal: u64) -> Samples {
        let kept_out = BooleanBuffer::new_unset(texts.len());
        let rows = RecordBatch::try_from_iter([(column, Arc::new(StringArray::from(texts)) as _)]).unwrap();
        let mut samples = Samples::default();
        samples.update(&Part { first_ordinal, rows: &rows, kept_out: &kept_out });
        samples
    }

    #[test]
    fn a_column_is_sensitive_by_the_share_of_its_values_unless_it_says_so() {
        let mut whole = samples("note", vec!["fine", "ana@example.com", "late"], 0);
        whole.merge(samples("note", vec!["bob@example.org", "lost"], 3));
        let rule = |share, declared: Vec<Detector>| Sensitive {
            detect: Detector::ALL.to_vec(),
            share,
            declared: BTreeMap::from([("note".to_owned(), declared)]),
        };
        let finding = whole.judge(&rule(0.4, vec![Detector::Phone]));
        assert_eq!((finding.outcome, finding.rows), (Outcome::Broken, vec![1, 3]));
        assert_eq!(finding.observed.as_deref(), Some("`note` email (40 % of 5 sampled values)"));
        let judge = |rule| samples("note", vec!["ana@example.com", "lost", "fine"], 0).judge(&rule).outcome;
        assert_eq!(judge(rule(0.3, vec![Detector::Email])), Outcome::Kept);
        assert_eq!(judge(rule(0.34, Vec::new())), Outcome::Kept);
        assert_eq!(judge(Sensitive { detect: vec![Detector::Iban], ..rule(0.1, Vec::new()) }), Outcome::Kept);
    }
}
