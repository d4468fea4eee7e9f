//! What texts are found by, as it was written down once and for all: another tokenizer means another index.

use iyagi_search::highlight::Highlighter;
use iyagi_search::query::Query;
use iyagi_search::spaced::{Asked, BEGINNING_CHARACTERS_MAX, units};
use iyagi_search::text::Tokens;
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

fn terms(text: &str) -> String {
    let terms: Vec<String> = Tokens::of(text).iter().map(|token| token.term()).collect();
    terms.join(" ")
}

/// Whether who types a query finds a text.
fn finds(query: &str, text: &str) -> bool {
    let query = Query::parse(query).expect("a query");
    !Highlighter::default().ranges(&query, text).is_empty()
}

/// Whether an index that parts texts at spaces finds a text.
fn finds_spaced(query: &str, text: &str) -> bool {
    let query = Query::parse(query).expect("a query");
    let texts = units(text);
    let texts: Vec<&str> = texts.split_whitespace().collect();
    let words = Tokens::of(text);
    let found = |asked: Asked| match asked {
        Asked::Word(word) => words.iter().any(|token| token.term() == word),
        Asked::Units(asked) => {
            let asked: Vec<&str> = asked.split_whitespace().collect();
            let mut places = texts.windows(asked.len());
            places.any(|place| {
                place
                    .iter()
                    .zip(&asked)
                    .all(|(unit, asked)| begins(unit, asked))
            })
        }
    };
    let mut phrases = query.clauses.iter().flat_map(|clause| &clause.any);
    phrases.any(|phrase| found(Asked::of(phrase)))
}

fn begins(unit: &str, asked: &str) -> bool {
    unit == asked || (unit.starts_with(asked) && asked.chars().count() <= BEGINNING_CHARACTERS_MAX)
}

#[test]
fn the_golden_tokens_stay_as_they_are() {
    for (text, expected) in [
        // 조사
        ("이야기를", "이 이야 야 야기 기 기를 를 =이야기"),
        ("서울에서는", "서 서울 울 울에 에 에서 서 서는 는 =서울"),
        ("마을", "마 마을 을 =마을"),
        ("고양이", "고 고양 양 양이 이 =고양이 =고양"),
        // One syllable, and one that is left of a word.
        ("봄", "봄 =봄"),
        ("책을", "책 책을 을 =책"),
        // Scripts in one word.
        ("K팝을", "k 팝 팝을 을 =k =k팝"),
        ("2026년", "20 202 2026 년 =2026 =2026년"),
        ("노래방", "노 노래 래 래방 방 =노래방"),
        ("BTS의", "bt bts 의 =bts =bts의"),
        ("Iyagi", "iy iya iyag iyagi =iyagi"),
        ("ＫＰＯＰ", "kp kpo kpop =kpop"),
        ("café", "ca caf café =café"),
        ("a1", "a1 =a1"),
        ("x", "x =x"),
        // Punctuation separates, whatever the script.
        ("don't", "do don =don t =t"),
        ("집/학교", "집 =집 학 학교 교 =학교"),
        // Hashtags.
        ("#육아_일기", "육 육아 아 일 일기 기 =육아_일기 #육아_일기"),
        ("#K팝", "k 팝 =k =k팝 #k팝"),
        // Pictures.
        ("👨‍👩‍👧❤️🇰🇷", "👨‍👩‍👧 ❤ 🇰🇷"),
        ("안녕👋🏽", "안 안녕 녕 =안녕 👋🏽"),
        // Letters that are no syllables, Kana and Han.
        ("ㅋㅋㅋ", "ㅋ ㅋㅋ ㅋ ㅋㅋ ㅋ =ㅋㅋㅋ"),
        (
            "東京タワー",
            "東 東京 京 京タ タ タワ ワ ワー ー =東京タワー",
        ),
        (" .,!? ", ""),
    ] {
        assert_eq!(terms(text), expected, "{text}");
    }
}

#[test]
fn a_long_word_is_found_by_its_beginning_and_a_longer_one_not_as_a_word() {
    let word = "a".repeat(70);
    let tokens = Tokens::of(&word);
    assert_eq!(tokens.iter().map(|token| token.text.len()).max(), Some(16));
    assert!(finds(&word, &word) && finds(&word[..20], &word));
}

#[test]
fn a_file_name_of_macos_is_found_by_what_a_phone_types() {
    let name: String = "가족여행 Café.m4a".nfd().collect();
    assert_eq!(terms(&name), terms("가족여행 Café.m4a"));
    assert!(finds("여행", &name) && finds("café", &name));
    let typed: String = "여행".nfd().collect();
    assert!(finds(&typed, "가족여행"));
}

#[test]
fn a_word_is_found_with_any_of_its_particles_by_any_other() {
    let endings = ["", "를", "는", "가", "와", "에서", "에게도", "로부터"];
    for written in endings {
        for typed in endings {
            let (written, typed) = (format!("이야기{written}"), format!("이야기{typed}"));
            assert!(finds(&typed, &written), "{typed} finds {written}");
        }
    }
}

#[test]
fn what_only_looks_like_a_particle_finds_nothing_else() {
    for (query, text) in [
        ("고양이", "고양시청"),
        ("책을", "산책길"),
        ("회의", "회사"),
        ("육아", "육개장"),
        ("#육아", "육아"),
    ] {
        assert!(!finds(query, text), "{query} finds {text}");
    }
}

proptest! {
    #[test]
    fn any_part_of_a_korean_word_finds_it(word in "[가-힣]{1,12}", from in 0_usize..12, length in 1_usize..12) {
        let syllables: Vec<char> = word.chars().collect();
        let from = from % syllables.len();
        let part: String = syllables[from..].iter().take(length).collect();
        prop_assert!(finds(&part, &word));
    }

    #[test]
    fn any_beginning_of_a_latin_word_of_two_letters_finds_it(word in "[A-Za-z0-9]{2,16}", length in 2_usize..16) {
        let text = format!("in {word}, too");
        let found = finds(&word[..length.min(word.len())], &text);
        prop_assert!(found);
    }

    #[test]
    fn decomposed_and_composed_text_have_the_same_tokens(text in "[가-힣a-zà-ü\u{300}-\u{304} ㅋ漢か゛#]{0,24}") {
        let composed: String = text.nfc().collect();
        let decomposed: String = text.nfd().collect();
        prop_assert_eq!(terms(&composed), terms(&decomposed));
    }

    #[test]
    fn an_index_that_parts_texts_at_spaces_finds_the_same(text in "[가나다고를은이a-c1漢#👍🏽\" ]{0,24}", typed in "[가나다고를은이a-c1漢#👍🏽\" ]{1,8}") {
        if Query::parse(&typed).is_ok() {
            prop_assert_eq!(finds_spaced(&typed, &text), finds(&typed, &text));
        }
    }

    #[test]
    fn whatever_the_text_tokens_lie_in_it_in_order(text in "\\PC{0,40}") {
        let tokens = Tokens::of(&text);
        let mut position = 0;
        for token in tokens.iter() {
            let range = token.from as usize..token.to as usize;
            prop_assert!(text.get(range).is_some_and(|part| !part.is_empty()));
            prop_assert!(!token.text.is_empty() && token.position + 80 > position);
            position = token.position;
        }
    }

    #[test]
    fn whatever_is_typed_is_a_query_or_a_reason(text in "\\PC{0,300}") {
        let query = Query::parse(&text);
        let phrases = query.iter().flat_map(|query| &query.clauses).flat_map(|clause| &clause.any);
        for phrase in phrases {
            prop_assert_eq!(phrase.terms.first().map(|(place, _)| *place), Some(0));
        }
    }
}
