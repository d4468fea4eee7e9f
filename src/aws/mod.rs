//! Every port on AWS.
//!
//! An adapter is given its client and its resources' names and speaks to nothing else. Only calls that are safe to
//! repeat are repeated by the SDK; what must be decided anew (a publish, an append) is tried once and the actor or the
//! journal decides.
//!
//! # Layout
//! - [`clients`]: one HTTP client, credentials, region, time limits
//! - [`names`]: what each queue, topic and table is called
//! - [`s3`]: objects in a bucket
//! - [`sqs`]: standard and FIFO queues

pub mod clients;
pub mod names;
pub mod s3;
mod sdk_error;
pub mod sqs;
