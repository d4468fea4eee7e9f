//! The tables in DynamoDB.
//!
//! # Layout
//! - [`definitions`]: what each table is: keys, indexes, expiry, recovery
//! - [`fault`]: why a call to a table failed, and the cure

pub mod definitions;
pub mod fault;
