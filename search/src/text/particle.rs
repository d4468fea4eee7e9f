//! 조사: the particles that Korean writes on its nouns, and what a word is without them.
//!
//! Without a dictionary nothing says whether `고양이` is `고양` and a subject particle or a cat. So a particle is taken only
//! where the sound before it allows it, and whoever asks is told whether nouns end alike.
//!
//! Source of the forms and of what may follow what: National Institute of Korean Language, Standard Korean Dictionary,
//! entries tagged 조사.

use self::After::{Any, Consonant, Vowel, VowelOrRieul};

/// The ending of the syllable before a particle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Any,
    Consonant,
    Vowel,
    VowelOrRieul,
}

/// What may stand before or behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Directly on a noun, and nothing behind.
    Noun,
    /// Directly on a noun, and some may follow.
    Inner,
    /// On a noun, or on an inner particle.
    Outer,
    /// As an outer one, and some may follow.
    Either,
}

impl Place {
    fn follows_another(self) -> bool {
        matches!(self, Self::Outer | Self::Either)
    }

    fn bears_another(self) -> bool {
        matches!(self, Self::Inner | Self::Either)
    }
}

struct Particle {
    form: &'static str,
    after: After,
    place: Place,
    /// Whether many nouns end like this.
    like_a_noun: bool,
}

const fn clear(form: &'static str, after: After, place: Place) -> Particle {
    Particle {
        form,
        after,
        place,
        like_a_noun: false,
    }
}

const fn vague(form: &'static str, after: After, place: Place) -> Particle {
    Particle {
        form,
        after,
        place,
        like_a_noun: true,
    }
}

/// Longer before shorter: the first that fits is the longest.
static PARTICLES: [Particle; 56] = [
    clear("으로부터", Consonant, Place::Inner),
    clear("으로서", Consonant, Place::Inner),
    clear("으로써", Consonant, Place::Inner),
    clear("에게서", Any, Place::Inner),
    clear("한테서", Any, Place::Inner),
    clear("이라고", Consonant, Place::Noun),
    clear("이라는", Consonant, Place::Noun),
    clear("이라도", Consonant, Place::Noun),
    clear("로부터", VowelOrRieul, Place::Inner),
    clear("입니다", Any, Place::Noun),
    clear("이에요", Consonant, Place::Noun),
    clear("으로", Consonant, Place::Inner),
    clear("로서", VowelOrRieul, Place::Inner),
    clear("로써", VowelOrRieul, Place::Inner),
    clear("에서", Any, Place::Inner),
    clear("에게", Any, Place::Inner),
    clear("한테", Any, Place::Inner),
    clear("께서", Any, Place::Inner),
    clear("까지", Any, Place::Either),
    clear("부터", Any, Place::Either),
    clear("처럼", Any, Place::Inner),
    clear("하고", Any, Place::Inner),
    clear("이랑", Consonant, Place::Inner),
    clear("라고", Vowel, Place::Noun),
    clear("라는", Vowel, Place::Noun),
    clear("라도", Vowel, Place::Noun),
    clear("이나", Consonant, Place::Noun),
    clear("이며", Consonant, Place::Noun),
    clear("이든", Consonant, Place::Noun),
    clear("예요", Vowel, Place::Noun),
    clear("조차", Any, Place::Outer),
    clear("마저", Any, Place::Outer),
    clear("마다", Any, Place::Either),
    clear("밖에", Any, Place::Outer),
    clear("보다", Any, Place::Inner),
    clear("만큼", Any, Place::Inner),
    vague("대로", Any, Place::Inner),
    vague("이다", Consonant, Place::Noun),
    clear("을", Consonant, Place::Noun),
    clear("를", Vowel, Place::Noun),
    clear("은", Consonant, Place::Outer),
    clear("는", Vowel, Place::Outer),
    clear("에", Any, Place::Inner),
    clear("께", Any, Place::Inner),
    vague("이", Consonant, Place::Noun),
    vague("가", Vowel, Place::Noun),
    vague("의", Any, Place::Outer),
    vague("과", Consonant, Place::Inner),
    vague("와", Vowel, Place::Inner),
    vague("로", VowelOrRieul, Place::Inner),
    vague("랑", Vowel, Place::Inner),
    vague("도", Any, Place::Outer),
    vague("만", Any, Place::Either),
    vague("뿐", Any, Place::Outer),
    vague("야", Vowel, Place::Noun),
    vague("아", Consonant, Place::Noun),
];

/// What particles a word ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    /// Their length in bytes.
    pub(super) bytes: usize,
    /// Whether many nouns end like this, so that it may be no particle at all.
    pub(super) like_a_noun: bool,
}

/// The particles at the end of a word, one or two, that leave something of it.
pub(super) fn ending(word: &str) -> Option<Ending> {
    let outer = last_particle(word, |_| true)?;
    let stem = &word[..word.len() - outer.form.len()];
    let inner = (outer.place.follows_another())
        .then(|| last_particle(stem, Place::bears_another))
        .flatten();
    Some(Ending {
        bytes: outer.form.len() + inner.map_or(0, |inner| inner.form.len()),
        like_a_noun: outer.like_a_noun && inner.is_none_or(|inner| inner.like_a_noun),
    })
}

fn last_particle(word: &str, may_be: impl Fn(Place) -> bool) -> Option<&'static Particle> {
    let fits = |particle: &&Particle| {
        let stem = word.strip_suffix(particle.form);
        let before = stem.and_then(|stem| stem.chars().next_back());
        may_be(particle.place) && before.is_some_and(|before| particle.after.allows(before))
    };
    PARTICLES.iter().find(fits)
}

impl After {
    fn allows(self, before: char) -> bool {
        // Nothing says how `BTS` or `2026` ends in Korean.
        let Some(last) = final_consonant(before) else {
            return true;
        };
        match self {
            Any => true,
            Consonant => last != 0,
            Vowel => last == 0,
            VowelOrRieul => last == 0 || last == RIEUL,
        }
    }
}

/// ㄹ among the final consonants.
const RIEUL: u32 = 8;

/// A syllable's final consonant, 0 if it has none. Each initial and vowel has 28 syllables in the order of their finals
/// (The Unicode Standard, chapter 3.12).
fn final_consonant(char: char) -> Option<u32> {
    matches!(char, '\u{ac00}'..='\u{d7a3}').then(|| (char as u32 - 0xac00) % 28)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stem(word: &str) -> &str {
        ending(word).map_or(word, |ending| &word[..word.len() - ending.bytes])
    }

    #[test]
    fn a_particle_is_taken_off_where_the_sound_before_allows_it() {
        for (word, expected) in [
            ("이야기를", "이야기"),
            ("이야기는", "이야기"),
            ("이야기가", "이야기"),
            ("여행을", "여행"),
            ("여행은", "여행"),
            ("지하철로", "지하철"),
            ("버스로", "버스"),
            ("집으로", "집"),
            ("친구와", "친구"),
            ("부산과", "부산"),
            ("지수야", "지수"),
            ("민준아", "민준"),
            ("할머니께서", "할머니"),
        ] {
            assert_eq!(stem(word), expected, "{word}");
        }
    }

    #[test]
    fn a_syllable_that_the_sound_before_forbids_is_no_particle() {
        for word in ["마을", "가을", "여행를", "이야기을", "부산와", "집로"] {
            assert_eq!(ending(word), None, "{word}");
        }
    }

    #[test]
    fn particles_stack_in_their_order_only() {
        for (word, expected) in [
            ("서울에서는", "서울"),
            ("서울에서만", "서울"),
            ("친구에게도", "친구"),
            ("학교까지는", "학교"),
            ("학교만은", "학교"),
            ("고양이는", "고양이"),
            ("작가로서의", "작가"),
        ] {
            assert_eq!(stem(word), expected, "{word}");
        }
    }

    #[test]
    fn an_ending_that_nouns_have_too_is_told() {
        assert!(ending("고양이").is_some_and(|ending| ending.like_a_noun));
        assert!(ending("제주도").is_some_and(|ending| ending.like_a_noun));
        assert!(ending("이야기를").is_some_and(|ending| !ending.like_a_noun));
        assert!(ending("서울에서도").is_some_and(|ending| !ending.like_a_noun));
    }

    #[test]
    fn behind_another_script_any_form_stands() {
        assert_eq!(stem("bts를"), "bts");
        assert_eq!(stem("bts을"), "bts");
        assert_eq!(stem("2026년에"), "2026년");
    }

    #[test]
    fn a_word_is_never_nothing_but_particles() {
        for word in ["에서", "를", "은", "까지"] {
            assert!(!stem(word).is_empty(), "{word}");
        }
    }

    #[test]
    fn longer_forms_are_asked_for_first() {
        for pair in PARTICLES.windows(2) {
            assert!(
                pair[0].form.len() >= pair[1].form.len(),
                "{} comes before {}",
                pair[0].form,
                pair[1].form
            );
        }
    }
}
