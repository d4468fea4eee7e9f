//! Every port on AWS.
//!
//! An adapter is given its client and its resources' names and speaks to nothing else. Only calls that are safe to
//! repeat are repeated by the SDK; what must be decided anew (a publish, an append) is tried once and the actor or the
//! journal decides.
//!
//! # Layout
//! - [`clients`]: one HTTP client, credentials, region, time limits
//! - [`dynamodb`]: the tables
//! - [`names`]: what each queue, topic and table is called
//! - [`sns`]: pushes to phones

pub mod clients;
pub mod dynamodb;
pub mod names;
pub mod sns;
