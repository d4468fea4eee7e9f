//! What is asked of an index, and what it answers.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::PersonId;
use thiserror::Error;

use crate::projection::Standing;
use crate::query::Query;

/// What is asked of an index.
#[derive(Debug, Clone)]
pub struct Request {
    /// What must be found.
    pub query: Query,
    /// Only what has one of these labels; anything if there is none.
    pub types: Vec<String>,
    /// Only what this person made.
    pub owner: Option<PersonId>,
    /// How many hits at most.
    pub limit: usize,
    /// Only what ranks behind this place.
    pub after: Option<Place>,
}

/// What an index answers.
#[derive(Debug, Clone)]
pub struct Page {
    /// The best first.
    pub hits: Vec<Hit>,
    /// As of which operation of the change log.
    pub as_of: Cursor,
}

/// One document that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Its place among all hits.
    pub place: Place,
    /// The document.
    pub standing: Standing,
}

/// A place in an order of hits: by score, the highest first, and by document where scores are equal.
///
/// Scores move a little when documents come and go. Who pages while they do may see a hit twice or not at all, as with
/// OpenSearch's `search_after`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// How well the document answers.
    pub score: f32,
    /// The first eight bytes of the document's id.
    pub key: u64,
}

impl Place {
    /// The order of hits: who is less comes first.
    pub fn compare(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score.then(self.key.cmp(&other.key))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}{:016x}", self.score.to_bits(), self.key)
    }
}

/// Text that is no place.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("`{0}` is no place among hits: give the cursor of the page before as it was")]
pub struct InvalidPlace(String);

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPlace(text.to_owned());
        let (score, key) = text
            .split_at_checked(8)
            .filter(|(_, key)| key.len() == 16)
            .ok_or_else(invalid)?;
        let bits = u32::from_str_radix(score, 16).map_err(|_| invalid())?;
        Ok(Self {
            score: f32::from_bits(bits),
            key: u64::from_str_radix(key, 16).map_err(|_| invalid())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_being_written() {
        let place = Place {
            score: 3.25,
            key: u64::MAX - 1,
        };
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in [
            "",
            "3f80",
            "zz8000000000000000000001",
            "3f8000000000000000000001ff",
            "가가가가가가가가",
        ] {
            assert_eq!(text.parse::<Place>(), Err(InvalidPlace(text.to_owned())));
        }
    }
}
