//! What a person types, as what must be found.

use std::ops::Range;

use thiserror::Error;

use crate::text::{Run, RunKind, Scan, TAG, Token, WORD, Word, bigrams, is_kept, prefix_of};

/// What a query may be long, in characters: more is a paste by mistake.
const CHARACTERS_MAX: usize = 256;
/// Each word costs a look at all documents that have it.
const WORDS_MAX: usize = 16;

/// What must be found: all of the clauses.
///
/// A word is found wherever it stands, also inside of others: `야기` finds 이야기. The last run of Latin letters or digits of
/// a word may go on: `iya` finds iyagi. A word with particles is found without them too. What stands between quotation
/// marks is found as it stands, word by word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What must be found, each.
    pub clauses: Vec<Clause>,
}

/// One thing to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Any of these will do.
    pub any: Vec<Phrase>,
    /// Whole words that make what has them come first.
    pub better: Vec<Term>,
}

/// Terms that stand in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// Each with its place from the first on. There is at least one, and the first has place 0.
    pub terms: Vec<(u32, Term)>,
}

/// One thing that a text is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// What it is to a text.
    pub kind: TermKind,
    /// Folded as texts are.
    pub text: String,
}

/// What a term is to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermKind {
    /// One syllable, or two in a row.
    Syllables,
    /// The beginning of a word of letters.
    Prefix,
    /// A whole word, with its particles or without.
    Word,
    /// A hashtag.
    Tag,
    /// A picture.
    Emoji,
}

impl Term {
    /// The term as an index knows it.
    pub fn in_index(&self) -> String {
        format!("{}{}", self.sigil(), self.text)
    }

    fn sigil(&self) -> &'static str {
        match self.kind {
            TermKind::Word => WORD,
            TermKind::Tag => TAG,
            TermKind::Syllables | TermKind::Prefix | TermKind::Emoji => "",
        }
    }
}

impl Phrase {
    fn of_one(term: Term) -> Self {
        Self {
            terms: vec![(0, term)],
        }
    }
}

/// What cannot be searched for.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum QueryError {
    /// No letter, digit or picture.
    #[error("the query has nothing to search for: give a word, a syllable or an emoji")]
    Empty,
    /// Too long.
    #[error("the query has {characters} characters: give at most {CHARACTERS_MAX}")]
    TooLong {
        /// How many it has.
        characters: usize,
    },
    /// Too many words.
    #[error("the query has {words} words: give at most {WORDS_MAX}")]
    TooManyWords {
        /// How many it has.
        words: usize,
    },
}

impl Query {
    /// Reads what a person typed.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let characters = text.chars().count();
        if characters > CHARACTERS_MAX {
            return Err(QueryError::TooLong { characters });
        }
        let mut clauses = Vec::new();
        for (part, quoted) in parts(text) {
            let scan = Scan::of(part);
            if quoted {
                clauses.extend(quotation(&scan));
            } else {
                clauses.extend(scan.words.iter().map(|word| clause(&scan, word)));
            }
        }
        match clauses.len() {
            0 => Err(QueryError::Empty),
            words if words > WORDS_MAX => Err(QueryError::TooManyWords { words }),
            _ => Ok(Self { clauses }),
        }
    }
}

/// What stands between quotation marks, and what does not. A mark without its other one is none.
fn parts(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let quotation = rest
            .strip_prefix('"')
            .and_then(|inner| inner.split_once('"'));
        if let Some((inner, behind)) = quotation {
            rest = behind;
            return Some((inner, true));
        }
        let begin = usize::from(rest.starts_with('"'));
        let end = rest[begin..].find('"').map_or(rest.len(), |at| begin + at);
        let (part, behind) = rest.split_at(end);
        rest = behind;
        Some((part, false))
    })
}

fn clause(scan: &Scan, word: &Word) -> Clause {
    let kept = |kind, units: Range<usize>| {
        is_kept(&units).then(|| Term {
            kind,
            text: scan.folded.slice(units).to_owned(),
        })
    };
    let tag = word.tag.then(|| kept(TermKind::Tag, word.units.clone()));
    if let Some(term) = tag.flatten() {
        return Clause {
            any: vec![Phrase::of_one(term)],
            better: Vec::new(),
        };
    }
    let runs = &scan.runs[word.runs.clone()];
    let mut any = vec![phrase(scan, runs, Last::MayGoOn)];
    // A word with what is surely a particle is in no index.
    let sure = word.stem.is_some_and(|stem| !stem.doubtful);
    let mut better: Vec<Term> = match runs {
        [picture] if picture.kind == RunKind::Emoji => Vec::new(),
        _ if sure => Vec::new(),
        _ => kept(TermKind::Word, word.units.clone())
            .into_iter()
            .collect(),
    };
    if let Some(stem) = word.stem {
        let units = word.units.start..stem.end;
        let as_word = kept(TermKind::Word, units.clone());
        // `고양이` is not to find 고양시: what may be no particle is taken off from whole words only, and so is what leaves a
        // single syllable, which half of all texts have somewhere.
        if stem.doubtful || units.len() == 1 {
            any.extend(as_word.clone().map(Phrase::of_one));
        } else {
            any.push(phrase(scan, &cut(runs, stem.end), Last::Ends));
        }
        better.extend(as_word);
    }
    Clause { any, better }
}

/// The runs of a word up to one of its characters.
fn cut(runs: &[Run], end: usize) -> Vec<Run> {
    let before = runs.iter().filter(|run| run.units.start < end);
    before
        .map(|run| Run {
            units: run.units.start..run.units.end.min(end),
            ..run.clone()
        })
        .collect()
}

fn quotation(scan: &Scan) -> Option<Clause> {
    (!scan.runs.is_empty()).then(|| Clause {
        any: vec![phrase(scan, &scan.runs, Last::Ends)],
        better: Vec::new(),
    })
}

/// Whether the last run may be the beginning of a longer one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    MayGoOn,
    Ends,
}

fn phrase(scan: &Scan, runs: &[Run], last: Last) -> Phrase {
    let begin = runs.first().map_or(0, |run| run.position);
    let term = |kind, units| Term {
        kind,
        text: scan.folded.slice(units).to_owned(),
    };
    let mut terms = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        let place = run.position - begin;
        let may_go_on = last == Last::MayGoOn && at + 1 == runs.len();
        match run.kind {
            RunKind::Syllables if run.units.len() > 1 => {
                let pairs = bigrams(run);
                terms.extend(
                    pairs.map(|(position, units)| {
                        (position - begin, term(TermKind::Syllables, units))
                    }),
                );
            }
            RunKind::Syllables => terms.push((place, term(TermKind::Syllables, run.units.clone()))),
            RunKind::Letters if may_go_on || !is_kept(&run.units) => {
                terms.push((place, term(TermKind::Prefix, prefix_of(run))));
            }
            RunKind::Letters => terms.push((place, term(TermKind::Word, run.units.clone()))),
            RunKind::Emoji => terms.push((place, term(TermKind::Emoji, run.units.clone()))),
        }
    }
    Phrase { terms }
}

impl Query {
    /// Whether a term is among those asked for.
    pub(crate) fn asks_for(&self, token: Token<'_>) -> bool {
        let phrases = self.clauses.iter().flat_map(|clause| &clause.any);
        let mut terms = phrases.flat_map(|phrase| &phrase.terms);
        terms.any(|(_, term)| term.sigil() == token.sigil && term.text == token.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `이야@0 기를@2 | 이야@0 야기@1; better =이야기를 =이야기`, a line a clause.
    fn read(text: &str) -> Vec<String> {
        let query = Query::parse(text).expect("a query");
        let phrase = |phrase: &Phrase| {
            let terms = phrase.terms.iter();
            let terms = terms.map(|(at, term)| format!("{}@{at}", term.in_index()));
            let terms: Vec<String> = terms.collect();
            terms.join(" ")
        };
        let clause = |clause: &Clause| {
            let any: Vec<String> = clause.any.iter().map(phrase).collect();
            let better: Vec<String> = clause.better.iter().map(Term::in_index).collect();
            format!("{}; {}", any.join(" | "), better.join(" "))
        };
        query.clauses.iter().map(clause).collect()
    }

    #[test]
    fn a_word_with_a_particle_is_looked_for_without_it_too() {
        assert_eq!(read("이야기를"), ["이야@0 기를@2 | 이야@0 야기@1; =이야기"]);
    }

    #[test]
    fn what_may_be_a_noun_or_leaves_one_syllable_is_looked_for_as_a_whole_word() {
        assert_eq!(read("고양이"), ["고양@0 양이@1 | =고양@0; =고양이 =고양"]);
        assert_eq!(read("책을"), ["책을@0 | =책@0; =책"]);
    }

    #[test]
    fn one_syllable_is_looked_for_by_itself() {
        assert_eq!(read("책"), ["책@0; =책"]);
    }

    #[test]
    fn only_the_last_letters_of_a_word_may_go_on() {
        assert_eq!(read("K팝 iya"), ["=k@0 팝@1; =k팝", "iya@0; =iya"]);
        assert_eq!(read("노래방2026"), ["노래@0 래방@1 2026@3; =노래방2026"]);
        assert_eq!(read("BTS의"), ["=bts@0 의@1 | =bts@0; =bts의 =bts"]);
    }

    #[test]
    fn hashtags_and_pictures_are_looked_for_as_they_are() {
        assert_eq!(read("#육아 👍🏽"), ["#육아@0; ", "👍🏽@0; "]);
    }

    #[test]
    fn a_quotation_is_one_phrase_and_a_lone_mark_is_none() {
        assert_eq!(
            read("\"내 이야기\" 봄"),
            ["내@0 이야@1 야기@2; ", "봄@0; =봄"]
        );
        assert_eq!(read("\"봄"), ["봄@0; =봄"]);
    }

    #[test]
    fn what_cannot_be_searched_for_says_why() {
        assert_eq!(Query::parse(" .,!? "), Err(QueryError::Empty));
        assert_eq!(Query::parse("\"\""), Err(QueryError::Empty));
        assert!(matches!(
            Query::parse(&"가".repeat(257)),
            Err(QueryError::TooLong { characters: 257 })
        ));
        assert!(matches!(
            Query::parse(&"가 ".repeat(17)),
            Err(QueryError::TooManyWords { words: 17 })
        ));
    }
}
