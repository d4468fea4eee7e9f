//! Every port on AWS.
//!
//! An adapter is given its client and its resources' names and speaks to nothing else. Only calls that are safe to
//! repeat are repeated by the SDK; what must be decided anew (a publish, an append) is tried once and the actor or the
//! journal decides.
//!
//! # Layout
//! - [`clients`]: one HTTP client, credentials, region, time limits
//! - [`names`]: what each queue, topic and table is called
//! - [`neptune`]: the graph and its change log
//! - [`sns`]: pushes to phones
//! - [`sqs`]: standard and FIFO queues
//! - [`s3`]: objects in a bucket
//! - [`cloudfront`], [`links`]: what lets somebody read a file, or upload one, without signing in
//! - [`dynamodb`]: tables, metadata, leases
//! - [`journal`]: the journal of a fleet
//! - [`opensearch`]: the search index
//! - [`transcribe`]: what is said in recordings
//! - [`instance`]: what the instance is told about its end
//! - [`provision`]: creates and repairs what a configuration needs
//! - [`check`]: whether a daemon could do its work here
//! - [`fault`]: why a call failed, in words, and what mends it
//! - `whole_xml`: refuses answers that end too early

pub mod check;
pub mod clients;
pub mod cloudfront;
pub mod dynamodb;
pub mod fault;
pub mod instance;
pub mod journal;
pub mod links;
pub mod names;
pub mod neptune;
pub mod opensearch;
pub mod provision;
pub mod s3;
mod sdk_error;
pub mod sns;
pub mod sqs;
pub mod transcribe;
mod whole_xml;
