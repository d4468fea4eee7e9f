//! A place in the graph's change log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// The operation `op` of commit `commit`. Commit 0 is before the first.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    ToSchema,
)]
pub struct Cursor {
    /// Commit number, from 1, growing by one.
    pub commit: u64,
    /// Operation number within the commit, from 1.
    pub op: u64,
}

impl Cursor {
    /// The place before the first commit.
    pub const START: Self = Self { commit: 0, op: 0 };

    /// The place of an operation.
    pub const fn new(commit: u64, op: u64) -> Self {
        Self { commit, op }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.commit, self.op)
    }
}

/// Text that is not a cursor.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is not a cursor: `commit:op` is expected, such as `17:3`")]
pub struct InvalidCursor(String);

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidCursor(text.to_owned());
        let (commit, op) = text.split_once(':').ok_or_else(invalid)?;
        Ok(Self {
            commit: commit.parse().map_err(|_| invalid())?,
            op: op.parse().map_err(|_| invalid())?,
        })
    }
}
