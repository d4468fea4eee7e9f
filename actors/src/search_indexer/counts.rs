//! What became of records and documents on their way to the index.

use std::sync::atomic::{AtomicU64, Ordering};

use iyagi_search::projection::{Reason, Rejected, Write};

use crate::ports::{Outcome, RejectionClass};

/// Counts since the start.
#[derive(Debug, Default)]
pub struct SearchCounts {
    /// Records of the change log that were folded.
    pub records: Count,
    /// Commits of the index.
    pub commits: Count,
    /// Records of properties that are not searched.
    pub left_out: Count,
    indexed: Count,
    deleted: Count,
    newer: Count,
    throttled: Count,
    mapping: Count,
    too_large: Count,
    refused: Count,
    unversioned: Count,
    unindexable_value: Count,
    too_many_names: Count,
}

/// One number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub(super) fn count(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl SearchCounts {
    /// What became of documents.
    pub fn documents(&self) -> [(&'static str, u64); 4] {
        [
            ("indexed", &self.indexed),
            ("deleted", &self.deleted),
            ("newer", &self.newer),
            ("throttled", &self.throttled),
        ]
        .map(|(outcome, count)| (outcome, count.get()))
    }

    /// Why records, or documents as a whole, are not in the index.
    pub fn rejected_by_reason(&self) -> [(&'static str, u64); 6] {
        [
            ("mapping", &self.mapping),
            ("refused", &self.refused),
            ("too_large", &self.too_large),
            ("too_many_names", &self.too_many_names),
            ("unindexable_value", &self.unindexable_value),
            ("unversioned", &self.unversioned),
        ]
        .map(|(reason, count)| (reason, count.get()))
    }

    pub(super) fn outcome(&self, write: &Write, outcome: &Outcome) {
        let count = match (write, outcome) {
            (Write::Index(_), Outcome::Written) => &self.indexed,
            (Write::Delete { .. }, Outcome::Written) => &self.deleted,
            (_, Outcome::Newer) => &self.newer,
            (_, Outcome::Throttled) => &self.throttled,
            (_, Outcome::Rejected(rejection)) => {
                tracing::error!(document = %write.id(), %rejection, "the search index does not take a document");
                match rejection.class {
                    RejectionClass::Mapping => &self.mapping,
                    RejectionClass::TooLarge => &self.too_large,
                    RejectionClass::Refused => &self.refused,
                }
            }
        };
        count.count(1);
    }

    pub(super) fn rejected(&self, rejected: &Rejected) {
        tracing::warn!(%rejected, "a record is not searched for");
        match rejected.reason {
            Reason::Unversioned(_) => self.unversioned.count(1),
            Reason::Unindexable(_) => self.unindexable_value.count(1),
            Reason::TooManyNames { .. } => self.too_many_names.count(1),
        }
    }
}
