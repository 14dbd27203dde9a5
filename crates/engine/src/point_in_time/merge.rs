//! The heart of the join: questions and facts, sorted by key and time, answered in one pass.
//!
//! Limit: two sorts of small fixed-size records and one pass over both, O((n + m) log (n + m)) time and 32 bytes a row; the
//! pass itself is O(n + m), since each fact enters and leaves the queue of its key once.

use std::collections::VecDeque;

use lw_core::{Span, Timestamp};

use super::rule::is_within_ttl;

/// A spine row: which key it asks about, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    pub key: u32,
    pub at: i64,
    /// Where the answer goes.
    pub row: u32,
}

/// A view row. The order of the fields is the order in which facts are told: among facts of one key and event time the one that
/// became known last, then the one that came last in the input, is the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fact {
    pub key: u32,
    pub event: i64,
    pub known: i64,
    pub sequence: u64,
    pub row: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub ttl: Option<Span>,
    pub strictly_before: bool,
}

/// Calls `answer` with each question's row and the row of the fact that answers it. Questions without an answer are left out.
/// Both slices are sorted.
pub(super) fn answer_all(questions: &[Question], facts: &[Fact], rule: Rule, mut answer: impl FnMut(u32, u32)) {
    let mut visible = InFlight::default();
    let mut next_fact = 0;
    let mut key = None;
    for question in questions {
        if key != Some(question.key) {
            key = Some(question.key);
            visible.clear();
            next_fact += facts[next_fact..].partition_point(|fact| fact.key < question.key);
        }
        while let Some(fact) = facts.get(next_fact).filter(|fact| fact.key == question.key && rule.has_happened(fact, question)) {
            visible.push(*fact);
            next_fact += 1;
        }
        if let Some(fact) = visible.newest_known_at(question.at)
            && is_within_ttl(Timestamp::from_micros(fact.event), Timestamp::from_micros(question.at), rule.ttl)
        {
            answer(question.row, fact.row);
        }
    }
}

impl Rule {
    fn has_happened(self, fact: &Fact, question: &Question) -> bool {
        if self.strictly_before { fact.event < question.at } else { fact.event <= question.at }
    }
}

/// Facts of one key that have happened, oldest first, and may yet be the answer.
///
/// A fact that becomes known no later than an older one makes the older one useless: whenever the older is visible, the newer is
/// too. Dropping such facts on arrival leaves known times strictly rising, so the newest visible fact is found at the front, and
/// every fact is pushed and popped at most once.
#[derive(Debug, Default)]
struct InFlight(VecDeque<Fact>);

impl InFlight {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn push(&mut self, fact: Fact) {
        while self.0.back().is_some_and(|older| older.known >= fact.known) {
            self.0.pop_back();
        }
        self.0.push_back(fact);
    }

    /// `at` never goes back within a key.
    fn newest_known_at(&mut self, at: i64) -> Option<Fact> {
        while self.0.get(1).is_some_and(|newer| newer.known <= at) {
            self.0.pop_front();
        }
        self.0.front().filter(|fact| fact.known <= at).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, read out loud: look at every fact.
    fn naive(question: &Question, facts: &[Fact], rule: Rule) -> Option<u32> {
        let (at, ttl) = (question.at, rule.ttl);
        let usable = facts.iter().filter(|fact| {
            let happened = if rule.strictly_before { fact.event < at } else { fact.event <= at };
            fact.key == question.key && happened && fact.known <= at
        });
        let newest = usable.max_by_key(|fact| (fact.event, fact.known, fact.sequence))?;
        ttl.is_none_or(|ttl| at - newest.event <= ttl.micros()).then_some(newest.row)
    }

    fn check(mut questions: Vec<Question>, mut facts: Vec<Fact>, rule: Rule) -> Result<(), TestCaseError> {
        let want: Vec<_> = questions.iter().map(|question| naive(question, &facts, rule)).collect();
        questions.sort_unstable();
        facts.sort_unstable();
        let mut got = vec![None; want.len()];
        answer_all(&questions, &facts, rule, |question, fact| got[question as usize] = Some(fact));
        prop_assert_eq!(got, want);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Few keys and few moments, so that ties, late corrections and empty windows are common.
        #[test]
        fn one_pass_answers_like_the_definition(
            questions in prop::collection::vec((0_u32..4, 0_i64..12), 0..40),
            facts in prop::collection::vec((0_u32..4, 0_i64..12, -2_i64..8), 0..40),
            ttl in prop::option::of(0_i64..6),
            strictly_before: bool,
        ) {
            let questions = (0..).zip(questions).map(|(row, (key, at))| Question { key, at, row }).collect();
            let fact = |(row, (key, event, delay)): (u32, (u32, i64, i64))| Fact {
                key, event, known: event + delay, sequence: row.into(), row,
            };
            let facts = (0..).zip(facts).map(fact).collect();
            check(questions, facts, Rule { ttl: ttl.map(Span::from_micros), strictly_before })?;
        }
    }
}
