//! What every adapter of a port promises, as checks that each adapter's tests run against itself.
//!
//! A check asserts, so it panics on a broken promise. Time passes through the harness: an embedded adapter's harness
//! moves its clock, a real service's waits.

pub mod inbox;
pub mod leases;
pub mod metadata_table;
pub mod object_store;
pub mod queue;
pub mod search_index;
