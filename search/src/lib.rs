//!
//! Written for Korean and Latin in one text, without a dictionary: see [`text`]. There is no actor, port or HTTP here.
//!
//! # Layout
//!
//! - [`query`]: from what a person types to what must be found
//! - [`highlight`]: where a text has it

pub mod highlight;
pub mod query;
pub mod text;
