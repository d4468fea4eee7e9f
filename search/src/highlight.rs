//! Where a text has what was searched for.

use std::collections::HashMap;
use std::ops::Range;

use crate::query::{Phrase, Query};
use crate::text::{Token, Tokens};

/// Part of a text that has what was searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The part.
    pub text: String,
    /// What was found, in bytes of the part, in order and apart from each other.
    pub ranges: Vec<Range<usize>>,
}

/// What a fragment has before the first find, and what it has at most, in characters: two lines of a phone.
const CHARACTERS_BEFORE: usize = 20;
const CHARACTERS_MAX: usize = 120;

/// Marks what was searched for. Buffers are used again by the next text.
#[derive(Debug, Default)]
pub struct Highlighter {
    tokens: Tokens,
}

impl Highlighter {
    /// Where a text has what a query asks for, in bytes, in order and apart from each other.
    pub fn ranges(&mut self, query: &Query, text: &str) -> Vec<Range<usize>> {
        self.tokens.take(text);
        let mut places: Places<'_> = HashMap::new();
        for token in self.tokens.iter().filter(|token| query.asks_for(*token)) {
            places.entry(token.term()).or_default().push(token);
        }
        let mut found = Vec::new();
        let phrases = query.clauses.iter().flat_map(|clause| &clause.any);
        phrases.for_each(|phrase| find(phrase, &places, &mut found));
        merged(found)
    }

    /// The part of a text around the first of what was found, or nothing if the text has none of it.
    pub fn fragment(&mut self, query: &Query, text: &str) -> Option<Fragment> {
        let ranges = self.ranges(query, text);
        let first = ranges.first()?;
        let begin = characters_before(text, first.start, CHARACTERS_BEFORE);
        let mut ends = text[begin..].char_indices().map(|(at, _)| begin + at);
        let end = ends.nth(CHARACTERS_MAX).unwrap_or(text.len());
        let inside = ranges.iter().filter(|range| range.start < end);
        Some(Fragment {
            text: text[begin..end].to_owned(),
            ranges: inside
                .map(|range| range.start - begin..range.end.min(end) - begin)
                .collect(),
        })
    }
}

/// Where the text begins that has some characters before a place.
fn characters_before(text: &str, place: usize, characters: usize) -> usize {
    let before = text[..place].char_indices().rev();
    before.take(characters).last().map_or(place, |(at, _)| at)
}

/// The tokens of a text by their terms.
type Places<'a> = HashMap<String, Vec<Token<'a>>>;

fn find(phrase: &Phrase, places: &Places<'_>, found: &mut Vec<Range<usize>>) {
    let mut terms = phrase.terms.iter();
    let first = terms
        .next()
        .and_then(|(_, term)| places.get(&term.in_index()));
    for begin in first.into_iter().flatten() {
        let end = terms.clone().try_fold(begin.to, |end, (place, term)| {
            let position = begin.position + place;
            let mut same = places.get(&term.in_index())?.iter();
            let token = same.find(|token| token.position == position)?;
            Some(end.max(token.to))
        });
        found.extend(end.map(|end| begin.from as usize..end as usize));
    }
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with what is found in brackets.
    fn marked(query: &str, text: &str) -> String {
        let query = Query::parse(query).expect("a query");
        let mut marked = String::new();
        let mut at = 0;
        for range in Highlighter::default().ranges(&query, text) {
            marked += &text[at..range.start];
            marked += &["[", &text[range.clone()], "]"].concat();
            at = range.end;
        }
        marked + &text[at..]
    }

    #[test]
    fn what_was_found_is_marked_where_it_stands() {
        for (query, text, expected) in [
            ("이야기", "내이야기를 듣는 이야", "내[이야기]를 듣는 이야"),
            ("이야기를", "이야기는 이야기다", "[이야기]는 [이야기]다"),
            (
                "고양이",
                "고양시의 고양이와 고양에",
                "고양시의 [고양이]와 [고양]에",
            ),
            ("책을", "산책과 책은", "산책과 [책]은"),
            ("iya", "Iyagi, iya", "[Iya]gi, [iya]"),
            ("k팝", "우리 K팝을", "우리 [K팝]을"),
            ("👍🏽", "좋아👍🏽👍", "좋아[👍🏽]👍"),
            ("봄 노래", "봄노래 노래봄", "[봄노래] [노래봄]"),
            ("\"봄 노래\"", "노래 봄 노래", "노래 [봄 노래]"),
            ("#육아", "육아 #육아 #육아일기", "육아 #[육아] #육아일기"),
        ] {
            assert_eq!(marked(query, text), expected, "{query}");
        }
    }

    #[test]
    fn decomposed_text_is_marked_in_its_own_bytes() {
        let text: String = unicode_normalization::UnicodeNormalization::nfd("내 이야기").collect();
        let query = Query::parse("이야기").expect("a query");
        let ranges = Highlighter::default().ranges(&query, &text);
        assert_eq!(
            ranges,
            vec![Range {
                start: 7,
                end: text.len()
            }]
        );
    }

    #[test]
    fn a_fragment_is_short_and_begins_before_the_first_find() {
        let text = format!("{}이야기{}", "가나 ".repeat(50), " 다라".repeat(100));
        let query = Query::parse("이야기").expect("a query");
        let fragment = Highlighter::default()
            .fragment(&query, &text)
            .expect("found");
        assert_eq!(fragment.text.chars().count(), CHARACTERS_MAX);
        assert_eq!(&fragment.text[fragment.ranges[0].clone()], "이야기");
        assert!(Highlighter::default().fragment(&query, "다른 글").is_none());
    }
}
