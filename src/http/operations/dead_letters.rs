//! Dead letters: found in what is folded from the journal, redriven and purged by their keeper.

mod filter;
pub(in crate::http) mod grouping;
pub(in crate::http) mod listing;
pub(in crate::http) mod settling;

pub(in crate::http) use filter::{Filter, PARAMETERS};
pub use grouping::groups;
pub(in crate::http) use listing::{View, read, tell};
pub use listing::{list, one};
pub(super) use settling::{Fate, ask};
pub use settling::{purge, redrive};

const PREFIX: &str = "/v1/ops/dead-letters/";
const EXPECTED: &str = "a letter's id, which is a UUID";
