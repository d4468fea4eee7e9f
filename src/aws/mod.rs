//! Every port on AWS.
//!
//! An adapter is given its client and its resources' names and speaks to nothing else. Only calls that are safe to
//! repeat are repeated by the SDK; what must be decided anew (a publish, an append) is tried once and the actor or the
//! journal decides.
//!
//! # Layout
//! - [`check`]: whether a daemon could do its work here
//! - [`clients`]: one HTTP client, credentials, region, time limits
//! - [`dynamodb`]: the tables
//! - [`fault`]: why a call failed, in words, and what mends it
//! - [`names`]: what each queue, topic and table is called
//! - [`provision`]: creates and repairs what a configuration needs

pub mod check;
pub mod clients;
pub mod dynamodb;
pub mod fault;
pub mod names;
pub mod provision;
