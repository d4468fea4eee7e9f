//! The full-text engine of iyagi: texts and queries in, documents and hits out.
//!
//! Written for Korean and Latin in one text, without a dictionary: see [`text`]. There is no actor, port or HTTP here.
//!
//! # Layout
//!
//! - [`text`]: what a text is found by, the same for documents and queries
//! - [`query`]: from what a person types to what must be found
//! - [`highlight`]: where a text has it
//! - [`document`]: what is indexed, one document a vertex or edge
//! - [`properties`]: which properties are searched
//! - [`projection`]: from the change log to documents
//! - [`hits`]: what is asked of an index, and what it answers
//! - [`index`]: the embedded index
//! - [`spaced`]: texts and queries for an index elsewhere

pub mod document;
pub mod highlight;
pub mod hits;
pub mod index;
pub mod projection;
pub mod properties;
pub mod query;
pub mod spaced;
pub mod text;
