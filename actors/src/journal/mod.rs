//! The journal: what it promises, and the state that is folded from it.
//!
//! **Invariant:** nothing is done that was not first appended, and an effect runs only after its cause is durable.

mod port;

pub use port::{Append, Appended, CommitHook, Expected, Journal, JournalFault, Recorded, Snapshot};
