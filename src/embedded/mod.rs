//! Every port on one machine, with no account.

pub mod sqlite;
