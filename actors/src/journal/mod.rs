//! The journal: what it promises, and the state that is folded from it.
//!
//! **Invariant:** nothing is done that was not first appended, and an effect runs only after its cause is durable.

pub mod contract;
mod draft;
mod memory;
mod port;
mod replica;

pub use draft::Draft;
pub use memory::MemoryJournal;
pub use port::{Append, Appended, CommitHook, Expected, Journal, JournalFault, Recorded, Snapshot};
pub use replica::{Missing, Replica, SharedLog, Standing, Swept};

use crate::runtime::Fault;

impl From<JournalFault> for Fault {
    /// A journal that cannot be written or trusted ends the daemon; a lost race is decided anew.
    fn from(fault: JournalFault) -> Self {
        let reason = fault.to_string();
        match fault {
            JournalFault::Conflict { .. } => Self::retry(std::time::Duration::ZERO, reason),
            JournalFault::Corrupt { .. } | JournalFault::Stopped(_) => Self::fatal(reason),
            JournalFault::Unreadable(_) => Self::worker(reason),
        }
    }
}
