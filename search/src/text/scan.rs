//! Where a text has words, and of what scripts they are made.

use std::ops::Range;

use super::fold::{Class, Folded};
use super::particle;

/// A run of one script inside a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) kind: RunKind,
    /// Its characters.
    pub(crate) units: Range<usize>,
    /// Place of its first piece among the text's: syllables have one each, anything else one for all of it.
    pub(crate) position: u32,
}

/// What a run is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunKind {
    /// By each syllable, and by each two in a row.
    Syllables,
    /// By its beginnings.
    Letters,
    /// As a whole.
    Emoji,
}

/// Runs with nothing between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Its runs, among those of the text.
    pub(crate) runs: Range<usize>,
    /// Its characters.
    pub(crate) units: Range<usize>,
    /// What it is without its particles.
    pub(crate) stem: Option<Stem>,
    /// Whether it is a hashtag; then `#` is not among its characters, but stands before them.
    pub(crate) tag: bool,
}

/// A word without its particles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stem {
    /// One behind its last character.
    pub(crate) end: usize,
    /// Whether the word may as well be a noun that ends like this.
    pub(crate) doubtful: bool,
}

/// A text with its words. Its buffers are used again by the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scan {
    pub(crate) folded: Folded,
    pub(crate) runs: Vec<Run>,
    pub(crate) words: Vec<Word>,
}

impl Scan {
    /// A text's words.
    pub(crate) fn of(text: &str) -> Self {
        let mut scan = Self::default();
        scan.take(text);
        scan
    }

    /// Takes a text in place of the one before.
    pub(crate) fn take(&mut self, text: &str) {
        self.folded.fold(text);
        self.runs.clear();
        self.words.clear();
        let mut at = 0;
        let mut position = 0;
        while at < self.folded.units.len() {
            let tag = self.class(at) == Some(Class::Hash);
            let begin = at + usize::from(tag);
            let first_run = self.runs.len();
            let end = self.take_runs(begin, tag, &mut position);
            if end > begin {
                self.words.push(Word {
                    stem: self.stem(first_run, begin..end),
                    runs: first_run..self.runs.len(),
                    units: begin..end,
                    tag,
                });
            }
            at = end.max(at + 1);
        }
    }

    /// Takes what follows without anything between, and says where it ends. A picture is a word of its own.
    fn take_runs(&mut self, begin: usize, tag: bool, position: &mut u32) -> usize {
        let mut at = begin;
        while let Some(class) = self.class(at) {
            let (kind, end) = match class {
                Class::Syllable => (RunKind::Syllables, self.end_of(at, Class::Syllable)),
                Class::Letter => (RunKind::Letters, self.end_of(at, Class::Letter)),
                Class::Emoji if at == begin => (RunKind::Emoji, self.end_of_emoji(at)),
                Class::Underscore if tag && at > begin => {
                    at += 1;
                    continue;
                }
                _ => break,
            };
            self.runs.push(Run {
                kind,
                units: at..end,
                position: *position,
            });
            *position += match kind {
                RunKind::Syllables => (end - at) as u32,
                RunKind::Letters | RunKind::Emoji => 1,
            };
            at = end;
            if kind == RunKind::Emoji {
                break;
            }
        }
        at
    }

    fn class(&self, at: usize) -> Option<Class> {
        self.folded.units.get(at).map(|unit| unit.class)
    }

    fn end_of(&self, begin: usize, class: Class) -> usize {
        let others = self.folded.units[begin..].iter();
        begin + others.take_while(|unit| unit.class == class).count()
    }

    /// One picture, however many characters it has: skin tones, flags, and families that joiners bind (UTS #51).
    fn end_of_emoji(&self, begin: usize) -> usize {
        let char_at = |at: usize| self.folded.slice(at..at + 1).chars().next();
        let emoji_at = |at: usize| {
            (self.class(at) == Some(Class::Emoji))
                .then(|| char_at(at))
                .flatten()
        };
        let mut end = begin + 1;
        if char_at(begin).is_some_and(is_regional) && emoji_at(end).is_some_and(is_regional) {
            return end + 1;
        }
        loop {
            if emoji_at(end).is_some_and(is_skin_tone) {
                end += 1;
            } else if self.class(end) == Some(Class::Joiner) && emoji_at(end + 1).is_some() {
                end += 2;
            } else {
                return end;
            }
        }
    }

    fn stem(&self, first_run: usize, units: Range<usize>) -> Option<Stem> {
        let last = self.runs[first_run..].last()?;
        if last.kind != RunKind::Syllables {
            return None;
        }
        let word = self.folded.slice(units.clone());
        let ending = particle::ending(word)?;
        let characters = word[word.len() - ending.bytes..].chars().count();
        // What is left of a run in another script's company stands on its own; particles never begin in one.
        let end = units.end - characters;
        (end >= last.units.start).then_some(Stem {
            end,
            doubtful: ending.like_a_noun,
        })
    }
}

fn is_regional(char: char) -> bool {
    matches!(char, '\u{1f1e6}'..='\u{1f1ff}')
}

fn is_skin_tone(char: char) -> bool {
    matches!(char, '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let scan = Scan::of(text);
        let words = scan.words.iter();
        words
            .map(|word| {
                let hash = if word.tag { "#" } else { "" };
                let stem = word.stem.map_or(String::new(), |stem| {
                    let stem = scan.folded.slice(word.units.start..stem.end);
                    format!("({stem})")
                });
                format!("{hash}{}{stem}", scan.folded.slice(word.units.clone()))
            })
            .collect()
    }

    #[test]
    fn scripts_in_one_word_stay_one_word() {
        assert_eq!(
            words("K팝을 듣다, 2026년에"),
            ["k팝을(k팝)", "듣다", "2026년에(2026년)"]
        );
        assert_eq!(words("BTS의"), ["bts의(bts)"]);
    }

    #[test]
    fn a_picture_of_many_characters_is_one_word() {
        assert_eq!(
            words("가족👨‍👩‍👧👍🏽🇰🇷🇯🇵❤️"),
            ["가족", "👨‍👩‍👧", "👍🏽", "🇰🇷", "🇯🇵", "❤"]
        );
    }

    #[test]
    fn hashtags_keep_their_underscores_and_nothing_else_does() {
        assert_eq!(
            words("#육아_일기 snake_case # #"),
            ["#육아_일기", "snake", "case"]
        );
    }

    #[test]
    fn positions_count_syllables_and_whole_words() {
        let scan = Scan::of("이야기 iyagi 팝");
        let positions: Vec<u32> = scan.runs.iter().map(|run| run.position).collect();
        assert_eq!(positions, [0, 3, 4]);
    }
}
