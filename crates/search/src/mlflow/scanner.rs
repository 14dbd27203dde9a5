//! A text by characters, with the questions that the rules of the lexer ask. Positions count characters.

/// What Python's `str.isspace` says.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

pub(crate) struct Scanner<'a> {
    source: &'a str,
    chars: Vec<char>,
    offsets: Vec<usize>,
    /// For each kind of quote: where a text ends whose inside begins at the position.
    ends: [(char, Vec<Option<usize>>); 4],
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
        offsets.push(text.len());
        let ends = ['\'', '"', '`', '´'].map(|quote| (quote, closings(&chars, quote)));
        Self { source: text, chars, offsets, ends }
    }

    pub(crate) fn len(&self) -> usize {
        self.chars.len()
    }

    pub(crate) fn offset(&self, at: usize) -> usize {
        self.offsets.get(at).or(self.offsets.last()).copied().unwrap_or(0)
    }

    pub(crate) fn at(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    pub(crate) fn before(&self, at: usize) -> Option<char> {
        self.at(at.checked_sub(1)?)
    }

    pub(crate) fn slice(&self, start: usize, end: usize) -> String {
        self.chars.get(start..end).unwrap_or_default().iter().collect()
    }

    pub(crate) fn is_space(&self, c: char) -> bool {
        is_space(c)
    }

    pub(crate) fn is_word(&self, c: char) -> bool {
        c.is_alphanumeric() || c == '_'
    }

    /// The letters that a name begins with: those of Latin-1, in either case, and what folds to one of them.
    pub(crate) fn starts_name(&self, at: usize) -> bool {
        self.at(at).is_some_and(|c| {
            c.is_ascii_alphabetic()
                || ('À'..='Ü').contains(&c)
                || (('à'..='ü').contains(&c) && c != '÷')
                || matches!(c, 'İ' | 'ı' | 'ſ' | '\u{212a}' | '\u{212b}')
        })
    }

    pub(crate) fn ends_in_name(&self, at: usize) -> bool {
        self.starts_name(at) || self.at(at) == Some('_')
    }

    pub(crate) fn while_at(&self, at: usize, holds: impl Fn(char) -> bool) -> usize {
        let rest = self.chars.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|c| holds(**c)).count()
    }

    pub(crate) fn word_end(&self, at: usize) -> usize {
        self.while_at(at, |c| self.is_word(c))
    }

    pub(crate) fn digits_end(&self, at: usize) -> usize {
        self.while_at(at, |c| c.is_ascii_digit())
    }

    pub(crate) fn skip_space(&self, at: usize) -> usize {
        self.while_at(at, is_space)
    }

    /// The end of exactly this text.
    pub(crate) fn text(&self, at: usize, text: &str) -> Option<usize> {
        let end = at + text.chars().count();
        let here = self.chars.get(at..end)?;
        here.iter().copied().eq(text.chars()).then_some(end)
    }

    /// The end of this text, whatever its case.
    pub(crate) fn word(&self, at: usize, text: &str) -> Option<usize> {
        let end = at + text.chars().count();
        let here = self.chars.get(at..end)?;
        here.iter().zip(text.chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b)).then_some(end)
    }

    /// The end of these words with blanks between them and no further letter behind them.
    pub(crate) fn phrase(&self, at: usize, words: &[&str]) -> Option<usize> {
        let (first, rest) = words.split_first()?;
        let mut end = self.word(at, first)?;
        for word in rest {
            end = self.word(self.blank(end)?, word)?;
        }
        (!self.at(end).is_some_and(|c| self.is_word(c))).then_some(end)
    }

    fn blank(&self, at: usize) -> Option<usize> {
        let end = self.skip_space(at);
        (end > at).then_some(end)
    }

    /// The end of the next such text.
    pub(crate) fn find(&self, from: usize, text: &str) -> Option<usize> {
        let start = self.offset(from);
        let end = start + self.source.get(start..)?.find(text)? + text.len();
        self.offsets.binary_search(&end).ok()
    }

    pub(crate) fn line_end(&self, at: usize) -> usize {
        let end = self.while_at(at, |c| c != '\r' && c != '\n');
        self.text(end, "\r\n").unwrap_or_else(|| (end + 1).min(self.len()))
    }

    /// The end of what a quote opens here.
    pub(crate) fn quoted(&self, at: usize) -> Option<usize> {
        let (_, ends) = self.ends.iter().find(|(quote, _)| Some(*quote) == self.at(at))?;
        ends.get(at + 1).copied().flatten()
    }

    /// The end of `$` or `$tag$` that could open a text.
    pub(crate) fn dollar_tag(&self, at: usize) -> Option<usize> {
        let start = self.text(at, "$")?;
        let end = if self.ends_in_name(start) { self.word_end(start) } else { start };
        self.text(end, "$")
    }

    /// The end of `%s` or `%(word)s`.
    pub(crate) fn percent(&self, at: usize) -> Option<usize> {
        let named = self.text(at + 1, "(").and_then(|start| {
            let end = self.word_end(start);
            if end > start { self.text(end, ")") } else { None }
        });
        self.word(named.unwrap_or(at + 1), "s")
    }

    /// The end of JOIN with the words before it.
    pub(crate) fn join(&self, at: usize) -> Option<usize> {
        let one_of = |at: usize, words: &[&str]| {
            words.iter().find_map(|word| self.word(at, word).and_then(|end| self.blank(end))).unwrap_or(at)
        };
        let inner = one_of(one_of(at, &["LEFT", "RIGHT", "FULL"]), &["INNER", "OUTER", "STRAIGHT"]);
        self.phrase(inner, &["JOIN"]).or_else(|| self.phrase(one_of(at, &["CROSS", "NATURAL"]), &["JOIN"])).or_else(|| {
            let view = self.phrase(at, &["LATERAL", "VIEW"]).and_then(|end| self.blank(end))?;
            let makers = ["EXPLODE", "INLINE", "PARSE_URL_TUPLE", "POSEXPLODE", "STACK"];
            makers.iter().find_map(|maker| self.phrase(view, &[maker]))
        })
    }

    /// The end of `AT TIME ZONE 'name'`.
    pub(crate) fn time_zone(&self, at: usize) -> Option<usize> {
        let at = self.word(at, "AT").or_else(|| self.word(at, "WITH'"))?;
        let zone = self.phrase(self.blank(at)?, &["TIME", "ZONE"])?;
        let start = self.text(self.blank(zone)?, "'")?;
        let end = self.while_at(start, |c| c != '\'');
        if end > start { self.text(end, "'") } else { None }
    }
}

/// For each position: where a text ends whose inside begins there. A doubled quote is part of the inside, and in texts a quote
/// behind a backslash is, unless the text had no end then. From the back, each position needs only those behind it.
fn closings(chars: &[char], quote: char) -> Vec<Option<usize>> {
    let mut ends = vec![None; chars.len() + 2];
    if !chars.contains(&quote) {
        return ends;
    }
    let escapes = quote == '\'' || quote == '"';
    for (at, c) in chars.iter().copied().enumerate().rev() {
        let is_quote_next = chars.get(at + 1) == Some(&quote);
        let later = |by: usize| ends.get(at + by).copied().flatten();
        let end = match c {
            c if c == quote && is_quote_next => later(2).or(Some(at + 1)),
            c if c == quote => Some(at + 1),
            '\\' if escapes && is_quote_next => later(2).or_else(|| later(1)),
            _ => later(1),
        };
        if let Some(place) = ends.get_mut(at) {
            *place = end;
        }
    }
    ends
}
