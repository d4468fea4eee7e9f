//! The tables in DynamoDB.
//!
//! # Layout
//! - [`definitions`]: what each table is: keys, indexes, expiry, recovery
//! - [`fault`]: why a call to a table failed, and the cure
//! - [`leases`]: leases by which hosts know of each other
//! - [`metadata`]: what is known about every file

mod attributes;
pub(super) mod conditional;
pub mod definitions;
mod document;
pub mod fault;
pub mod leases;
pub mod metadata;
