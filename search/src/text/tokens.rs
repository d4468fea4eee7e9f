//! What a text is found by.
//!
//! | in the text | is found by |
//! |---|---|
//! | 이야기를 | 이, 야, 기, 를; 이야, 야기, 기를; as a word =이야기 |
//! | 고양이 | 고, 양, 이; 고양, 양이; as words =고양이 and =고양 |
//! | Iyagi | iy, iya, iyag, iyagi; as a word =iyagi |
//! | K팝을 | k; 팝, 을; 팝을; as words =k and =k팝 |
//! | #육아 | 육, 아; 육아; as a word =육아; as a hashtag #육아 |
//! | 👍🏽 | 👍🏽 |
//!
//! Syllables alone answer queries of one; two in a row, with their places, find any part of a word without a
//! dictionary; whole words are for who asks for nothing more, and rank first.

use std::ops::Range;

use super::scan::{Run, RunKind, Scan, Word};

/// One thing that a text is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it begins with in an index: `=` for words, `#` for hashtags, nothing for pieces.
    pub sigil: &'static str,
    /// The rest of it.
    pub text: &'a str,
    /// Its place: pieces that follow each other in the text have places in a row.
    pub position: u32,
    /// Where it begins in the text, in bytes.
    pub from: u32,
    /// Where it ends in the text, in bytes.
    pub to: u32,
}

impl Token<'_> {
    /// The token as an index knows it.
    pub fn term(&self) -> String {
        format!("{}{}", self.sigil, self.text)
    }
}

/// What words begin with in an index. No piece does: it is no letter.
pub(crate) const WORD: &str = "=";
/// What hashtags begin with.
pub(crate) const TAG: &str = "#";

/// Beginnings of words are kept up to this many characters: nobody types more and waits for suggestions.
pub(crate) const PREFIX_CHARACTERS_MAX: usize = 16;
/// Longer words are not kept whole: they are links and keys, and nobody types them.
const WORD_CHARACTERS_MAX: usize = 64;

#[derive(Debug, Clone)]
struct Kept {
    sigil: &'static str,
    units: Range<usize>,
    position: u32,
}

/// All that a text is found by. Its buffers are used again by the next.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    scan: Scan,
    kept: Vec<Kept>,
}

impl Tokens {
    /// Those of a text.
    pub fn of(text: &str) -> Self {
        let mut tokens = Self::default();
        tokens.take(text);
        tokens
    }

    /// Takes a text in place of the one before.
    pub fn take(&mut self, text: &str) {
        self.scan.take(text);
        self.kept.clear();
        for word in &self.scan.words {
            for run in &self.scan.runs[word.runs.clone()] {
                keep_pieces(run, &mut self.kept);
            }
            keep_words(word, &self.scan.runs, &mut self.kept);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether the text has nothing to be found by.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// One of them.
    pub fn get(&self, at: usize) -> Option<Token<'_>> {
        let kept = self.kept.get(at)?;
        let folded = &self.scan.folded;
        let last = folded.units[kept.units.end - 1];
        Some(Token {
            sigil: kept.sigil,
            text: folded.slice(kept.units.clone()),
            position: kept.position,
            from: folded.units[kept.units.start].source,
            to: last.source_end,
        })
    }

    /// All of them, word by word.
    pub fn iter(&self) -> impl Iterator<Item = Token<'_>> {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

fn keep_pieces(run: &Run, kept: &mut Vec<Kept>) {
    let mut piece = |units: Range<usize>, position| {
        kept.push(Kept {
            sigil: "",
            units,
            position,
        });
    };
    let Range { start, end } = run.units;
    match run.kind {
        RunKind::Syllables => {
            for at in start..end {
                let position = run.position + (at - start) as u32;
                piece(at..at + 1, position);
                if at + 1 < end {
                    piece(at..at + 2, position);
                }
            }
        }
        RunKind::Letters if end - start == 1 => piece(start..end, run.position),
        RunKind::Letters => {
            let longest = prefix_of(run).end;
            (start + 2..=longest).for_each(|end| piece(start..end, run.position));
        }
        RunKind::Emoji => piece(start..end, run.position),
    }
}

fn keep_words(word: &Word, runs: &[Run], kept: &mut Vec<Kept>) {
    let runs = &runs[word.runs.clone()];
    let first = runs[0].position;
    let mut keep = |sigil, units: Range<usize>, position| {
        if is_kept(&units) {
            kept.push(Kept {
                sigil,
                units,
                position,
            });
        }
    };
    let letters = |run: &&Run| run.kind == RunKind::Letters;
    for run in runs.iter().filter(letters) {
        keep(WORD, run.units.clone(), run.position);
    }
    let is_run = |units: &Range<usize>| runs.iter().filter(letters).any(|run| run.units == *units);
    let stem = word.stem.map(|stem| word.units.start..stem.end);
    // Nobody asks for a word with what is surely a particle: it would only make the index larger.
    let sure = word.stem.is_some_and(|stem| !stem.doubtful);
    let whole = (runs[0].kind != RunKind::Emoji && !sure).then(|| word.units.clone());
    for units in whole.into_iter().chain(stem) {
        if !is_run(&units) {
            keep(WORD, units, first);
        }
    }
    if word.tag {
        keep(TAG, word.units.clone(), first);
    }
}

/// As much of a run of letters as its beginnings go.
pub(crate) fn prefix_of(run: &Run) -> Range<usize> {
    run.units.start..run.units.end.min(run.units.start + PREFIX_CHARACTERS_MAX)
}

/// Whether a word of these characters is kept as a whole.
pub(crate) fn is_kept(units: &Range<usize>) -> bool {
    units.len() <= WORD_CHARACTERS_MAX
}

/// Few of the pairs of a run of syllables that together say all of it: every second, and the last.
pub(crate) fn bigrams(run: &Run) -> impl Iterator<Item = (u32, Range<usize>)> {
    let Range { start, end } = run.units.clone();
    let last = end.saturating_sub(2);
    let pairs = (start..last).step_by(2).chain([last]);
    let position = run.position;
    pairs
        .filter(move |_| end - start >= 2)
        .map(move |at| (position + (at - start) as u32, at..at + 2))
}
