//! Every port on one machine, with no account.

pub mod drop_folder;
pub mod graph;
pub mod journal;
pub mod leases;
pub mod links;
pub mod metadata;
pub mod objects;
pub mod push_log;
pub mod queues;
pub mod search;
pub mod sqlite;
pub(crate) mod unique_id;
