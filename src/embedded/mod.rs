//! Every port on one machine, with no account.

pub mod graph;
pub mod journal;
pub mod queues;
pub mod sqlite;
