//! Tests that a file of templates carries: given a graph and people, when it changes, then these phones ring with these
//! texts, and those do not for these reasons.
//!
//! They are played by a [`rehearsal`](crate::rehearsal) on the embedded graph, so what they say holds of the daemon.
//!
//! # Layout
//! - [`format`](mod@format): what stands in a file
//! - [`notation`]: changes of the graph as people draw them
//! - [`file`](mod@file): a file with every mistake in it, and where everything stands
//! - [`play`](mod@play): plays one test
//! - [`verdict`]: what came, held against what was expected

pub mod file;
pub mod format;
pub mod notation;
pub mod play;
pub mod verdict;

pub use file::TestedTemplates;
pub use play::play;
pub use verdict::{Difference, Expectations};
