//! A text without what does not count when texts are compared, and where each of its characters came from.
//!
//! NFC, because macOS names files in NFD and both look alike; lower case; full-width Latin as ASCII, because Korean and
//! Japanese keyboards make both; and no variation selectors, because `❤` and `❤️` are one heart.

use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// What a character is to a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Of a script whose words run into each other: Hangul, Han, Kana.
    Syllable,
    /// Of any other script, or a digit.
    Letter,
    /// A picture, or a part of one.
    Emoji,
    /// Binds two pictures to one.
    Joiner,
    /// `#`.
    Hash,
    /// `_`, which hashtags may have.
    Underscore,
    /// What separates words.
    Other,
}

/// One character of a folded text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unit {
    /// Where it begins in the folded text, in bytes.
    pub(crate) at: u32,
    /// Where that begins in the source that it was made of, in bytes.
    pub(crate) source: u32,
    /// And where it ends.
    pub(crate) source_end: u32,
    /// What it is to a word.
    pub(crate) class: Class,
}

/// A folded text. Its buffers are used again by the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folded {
    pub(crate) text: String,
    pub(crate) units: Vec<Unit>,
}

impl Folded {
    /// Takes a text in place of the one before. What lies beyond 4 GiB would not be found, and no text is as long.
    pub(crate) fn fold(&mut self, source: &str) {
        self.text.clear();
        self.units.clear();
        if is_nfc_quick(source.chars()) == IsNormalized::Yes {
            for (at, char) in source.char_indices() {
                self.push(char, at, at + char.len_utf8());
            }
            return;
        }
        let mut rest = source.char_indices().peekable();
        while let Some((at, first)) = rest.next() {
            let mut end = at + first.len_utf8();
            while let Some((_, next)) = rest.next_if(|(_, next)| joins(*next)) {
                end += next.len_utf8();
            }
            for char in source[at..end].nfc() {
                self.push(char, at, end);
            }
        }
    }

    /// The bytes of a range of units in the folded text.
    pub(crate) fn bytes(&self, units: std::ops::Range<usize>) -> std::ops::Range<u32> {
        let end = self
            .units
            .get(units.end)
            .map_or(self.text.len() as u32, |unit| unit.at);
        self.units[units.start].at..end
    }

    /// The text of a range of units.
    pub(crate) fn slice(&self, units: std::ops::Range<usize>) -> &str {
        let bytes = self.bytes(units);
        &self.text[bytes.start as usize..bytes.end as usize]
    }

    fn push(&mut self, char: char, source: usize, source_end: usize) {
        if is_variation_selector(char) {
            if let Some(last) = self.units.last_mut() {
                last.source_end = source_end as u32;
            }
            return;
        }
        let narrow = narrow(char);
        if narrow.is_ascii() {
            return self.push_folded(narrow.to_ascii_lowercase(), source, source_end);
        }
        for lower in narrow.to_lowercase() {
            self.push_folded(lower, source, source_end);
        }
    }

    fn push_folded(&mut self, char: char, source: usize, source_end: usize) {
        let class = match class_of(char) {
            // A mark that composes with nothing belongs to the letter that carries it.
            Class::Other if is_combining_mark(char) => {
                self.units.last().map_or(Class::Other, |unit| unit.class)
            }
            class => class,
        };
        self.units.push(Unit {
            at: self.text.len() as u32,
            source: source as u32,
            source_end: source_end as u32,
            class,
        });
        self.text.push(char);
    }
}

/// Whether a character may compose with the one before.
fn joins(char: char) -> bool {
    canonical_combining_class(char) != 0
        || is_nfc_quick(std::iter::once(char)) == IsNormalized::Maybe
}

/// Full-width forms lie in the order of ASCII (Unicode, block "Halfwidth and Fullwidth Forms").
fn narrow(char: char) -> char {
    match char {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(char as u32 - 0xfee0).unwrap_or(char),
        '\u{3000}' => ' ',
        _ => char,
    }
}

fn is_variation_selector(char: char) -> bool {
    matches!(char, '\u{fe0e}' | '\u{fe0f}')
}

fn class_of(char: char) -> Class {
    match char {
        '#' => Class::Hash,
        '_' => Class::Underscore,
        '\u{200d}' => Class::Joiner,
        'a'..='z' | '0'..='9' => Class::Letter,
        '\0'..='\u{7f}' => Class::Other,
        // Hangul syllables, letters on their own and in NFD; Kana; Han.
        '\u{ac00}'..='\u{d7a3}'
        | '\u{1100}'..='\u{11ff}'
        | '\u{3130}'..='\u{318f}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{30fc}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Class::Syllable,
        // The blocks that have pictures (Unicode, emoji-data.txt), with their skin tones and regional indicators.
        '\u{1f000}'..='\u{1faff}' | '\u{2300}'..='\u{23ff}' | '\u{2600}'..='\u{27bf}' => {
            Class::Emoji
        }
        '\u{2b05}'..='\u{2b55}' => Class::Emoji,
        char if char.is_alphanumeric() => Class::Letter,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Folded {
        let mut folded = Folded::default();
        folded.fold(text);
        folded
    }

    #[test]
    fn decomposed_hangul_composes_and_remembers_where_it_came_from() {
        let source: String = "한글".nfd().collect();
        let folded = folded(&source);
        assert_eq!(folded.text, "한글");
        let ends: Vec<_> = folded
            .units
            .iter()
            .map(|unit| (unit.source, unit.source_end))
            .collect();
        assert_eq!(ends, [(0, 9), (9, source.len() as u32)]);
    }

    #[test]
    fn case_width_and_selectors_do_not_count() {
        assert_eq!(folded("ＫＰＯＰ ÄÖ ❤\u{fe0f}").text, "kpop äö ❤");
        let heart = folded("❤\u{fe0f}!").units;
        assert_eq!((heart[0].source, heart[0].source_end), (0, 6));
    }

    #[test]
    fn a_letter_that_lowers_to_two_is_two_of_one_place() {
        let folded = folded("İ");
        assert_eq!(folded.units.len(), 2);
        assert!(
            folded
                .units
                .iter()
                .all(|unit| unit.source_end == 2 && unit.class == Class::Letter)
        );
    }
}
