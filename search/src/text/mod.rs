//! Texts as they are compared: where a text has words, and what each word is found by.
//!
//! The same code reads documents and queries, so that whatever makes two spellings equal makes them equal on both sides.
//! Nothing here knows an index.

mod fold;
mod particle;
mod scan;
mod tokens;

pub use tokens::{Token, Tokens};

pub(crate) use scan::{Run, RunKind, Scan, Word};
pub(crate) use tokens::{PREFIX_CHARACTERS_MAX, TAG, WORD, bigrams, is_kept, prefix_of};
