//! How the process ends.

use std::process::ExitCode;

/// How a command ended, as its caller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked for.
    Done = 0,
    /// It did not, or it found what must not be.
    Failed = 1,
    /// It was called wrongly.
    Usage = 2,
    /// It was told to stop at once, and left what it had in hand.
    CutShort = 3,
    /// Something that it needs is not there now; the same call may succeed later.
    TryAgain = 75,
    /// The configuration has a mistake.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
