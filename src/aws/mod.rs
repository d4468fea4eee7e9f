//! Every port on AWS.
//!
//! An adapter is given its client and its resources' names and speaks to nothing else. Only calls that are safe to
//! repeat are repeated by the SDK; what must be decided anew (a publish, an append) is tried once and the actor or the
//! journal decides.
//!
//! # Layout
//! - [`clients`]: one HTTP client, credentials, region, time limits
//! - [`neptune`]: the graph and its change log
//! - [`dynamodb`]: tables, metadata, leases
//! - [`journal`]: the journal of a fleet
//! - [`names`]: what each queue, topic and table is called
//! - [`s3`]: objects
//! - [`sqs`]: queues
//! - [`sns`]: pushes to phones

pub mod clients;
pub mod dynamodb;
pub mod journal;
pub mod names;
pub mod neptune;
pub mod s3;
mod sdk_error;
pub mod sns;
pub mod sqs;
