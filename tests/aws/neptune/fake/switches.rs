//! What can be made to go wrong.

use std::collections::{BTreeSet, VecDeque};

use super::http::Reply;

/// The fake's state of mind. By default it behaves as the service does on a good day.
#[derive(Debug, Clone, Default)]
pub(crate) struct Switches {
    /// How event ids are written.
    pub(crate) event_ids: EventIds,
    /// An engine that does not mark the last operation of a commit.
    pub(crate) no_last_op: bool,
    /// An engine that does not say when a commit was requested.
    pub(crate) no_timestamps: bool,
    /// Does not compress for whoever takes it.
    pub(crate) no_gzip: bool,
    /// Most records of a page, whatever the limit: commits are split over pages.
    pub(crate) page_records_max: Option<u32>,
    /// A replica that has seen no more than this commit.
    pub(crate) replica_at: Option<u64>,
    /// Commits that pages leave out.
    pub(crate) missing: BTreeSet<u64>,
    /// What "no such records" says of the log's end.
    pub(crate) tip_text: TipText,
    /// Pages larger than this are refused for lack of memory.
    pub(crate) memory_records_max: Option<u32>,
    /// Answers to the next requests, before any of its own.
    pub(crate) next: VecDeque<Reply>,
}

/// How event ids are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum EventIds {
    /// `{"commitNum": 7, "opNum": 2}`, as the service does.
    #[default]
    Numbers,
    /// `{"commitNum": "7", "opNum": "2"}`, as the SDK's model says.
    Texts,
    /// `"7:2"`, as an old example has it.
    Joined,
}

/// What "no such records" says of the log's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TipText {
    /// Where it is.
    #[default]
    Told,
    /// Nothing.
    Untold,
}
