//! Dead letters: found in what is folded from the journal, redriven and purged by their keeper.

mod listing;
mod settling;

pub use listing::{groups, list, one};
pub use settling::{purge, redrive};

use iyagi_actors::projections::LetterState;

const PREFIX: &str = "/v1/ops/dead-letters/";
const EXPECTED: &str = "a letter's id, which is a UUID";

/// Which letters are meant; what is absent does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Filter {
    origin: Option<String>,
    reason: Option<String>,
}

impl Filter {
    fn fits(&self, state: &LetterState) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|one| one == is);
        same(&self.origin, state.letter.origin.name()) && same(&self.reason, &state.letter.reason)
    }
}
