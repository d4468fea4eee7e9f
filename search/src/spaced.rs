//! Texts and queries as words between spaces, for an index that cannot be given tokens but can part a text at spaces.
//!
//! A text is two lists. Its units stand one at each place, and the index finds a unit by the whole of it and by each of its
//! beginnings of up to [`BEGINNING_CHARACTERS_MAX`] characters. Its words have no places.
//!
//! | in the text | units | words |
//! |---|---|---|
//! | 이야기를 | `이야 야기 기를 를` | `=이야기` |
//! | Iyagi | `iyagi=` | `=iyagi` |
//! | K팝 | `k= 팝` | `=k =k팝` |
//! | #육아 👍🏽 | `육아 아 👍🏽=` | `=육아 #육아` |
//!
//! A syllable's unit begins with it and goes on with the next, so `이` and `이야` both begin `이야`. What is found only as a
//! whole ends in `=`, which is no letter. So units in a row find what [`Tokens`] in a row find.

use crate::document::Document;
use crate::query::{Phrase, TermKind};
use crate::text::{PREFIX_CHARACTERS_MAX, Run, RunKind, Scan, Tokens, is_kept, prefix_of};

/// How long beginnings of units are that the index must find.
pub const BEGINNING_CHARACTERS_MAX: usize = PREFIX_CHARACTERS_MAX;

/// Ends a unit that is found as a whole.
const WHOLE: &str = "=";

/// What the texts of a document are found by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spaced {
    /// The units of each text: they stand in a row within a text only.
    pub units: Vec<String>,
    /// The words of all of them.
    pub words: String,
}

impl Spaced {
    /// Those of a document.
    pub fn of(document: &Document) -> Self {
        let mut spaced = Self::default();
        let mut tokens = Tokens::default();
        for (_, text) in document.texts() {
            spaced.units.push(units(text));
            tokens.take(text);
            for word in tokens.iter().filter(|token| !token.sigil.is_empty()) {
                append(&mut spaced.words, &[word.sigil, word.text]);
            }
        }
        spaced
    }
}

/// The units of a text.
pub fn units(text: &str) -> String {
    let scan = Scan::of(text);
    let mut units = String::with_capacity(text.len() * 2);
    for run in &scan.runs {
        let slice = |range| scan.folded.slice(range);
        match run.kind {
            RunKind::Syllables => {
                let Run { units: range, .. } = run;
                for at in range.clone() {
                    append(&mut units, &[slice(at..range.end.min(at + 2))]);
                }
            }
            RunKind::Letters if !is_kept(&run.units) => {
                append(&mut units, &[slice(prefix_of(run))]);
            }
            RunKind::Letters | RunKind::Emoji => {
                append(&mut units, &[slice(run.units.clone()), WHOLE]);
            }
        }
    }
    units
}

fn append(line: &mut String, word: &[&str]) {
    if !line.is_empty() {
        line.push(' ');
    }
    line.extend(word.iter().copied());
}

/// What a phrase asks of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// One of the words.
    Word(String),
    /// Units in a row, each by a beginning or as a whole.
    Units(String),
}

impl Asked {
    /// What must be found for a phrase to be found.
    pub fn of(phrase: &Phrase) -> Self {
        if let [(_, word)] = phrase.terms.as_slice()
            && matches!(word.kind, TermKind::Word | TermKind::Tag)
        {
            return Self::Word(word.in_index());
        }
        let mut units = String::new();
        let mut next = 0;
        let mut before = "";
        for (place, term) in &phrase.terms {
            if *place > next {
                // Between two pairs there is at most one place, and the first pair says what is there.
                let begin = before.char_indices().next_back().map_or(0, |(at, _)| at);
                append(&mut units, &[&before[begin..]]);
            }
            next = place + 1;
            before = &term.text;
            let whole = match term.kind {
                TermKind::Syllables => "",
                // Beginnings of one letter are kept of nothing but that letter.
                TermKind::Prefix if term.text.chars().nth(1).is_some() => "",
                _ => WHOLE,
            };
            append(&mut units, &[&term.text, whole]);
        }
        Self::Units(units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    #[test]
    fn a_text_has_one_unit_at_each_place() {
        for (text, expected) in [
            ("내 이야기를", "내 이야 야기 기를 를"),
            ("K팝 Iyagi", "k= 팝 iyagi="),
            ("좋아👍🏽 x", "좋아 아 👍🏽= x="),
            ("", ""),
        ] {
            assert_eq!(units(text), expected, "{text}");
        }
        let link = "x".repeat(300);
        assert_eq!(units(&link).len(), BEGINNING_CHARACTERS_MAX);
    }

    #[test]
    fn a_query_asks_for_units_in_a_row_or_for_a_word() {
        let asked = |text: &str| {
            let query = Query::parse(text).expect("a query");
            let phrases = query.clauses.iter().flat_map(|clause| &clause.any);
            let asked = phrases.map(|phrase| match Asked::of(phrase) {
                Asked::Word(word) => format!("word {word}"),
                Asked::Units(units) => units,
            });
            asked.collect::<Vec<_>>()
        };
        assert_eq!(asked("이야기를"), ["이야 야 기를", "이야 야기"]);
        assert_eq!(asked("고양이"), ["고양 양이", "word =고양"]);
        assert_eq!(asked("노래방2026"), ["노래 래방 방 2026"]);
        assert_eq!(asked("k"), ["k="]);
        assert_eq!(asked("iya"), ["iya"]);
        assert_eq!(asked("\"내 이야기\""), ["내 이야 야기"]);
        assert_eq!(asked("#육아 👍🏽"), ["word #육아", "👍🏽="]);
    }
}
