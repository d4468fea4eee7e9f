//! The embedded graph: what a commit leaves in the log, what refuses it, and what readers of the log get.

mod commits;
mod expiry;
mod fixture;
mod fold;
mod queries;
mod raw_records;
mod refusals;
mod sight;
mod statements;
mod stream;
mod wire;
