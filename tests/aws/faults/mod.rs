//! What may go wrong between the adapters and AWS, made to happen.
//!
//! # Layout
//! - [`proxy`]: a proxy that loses answers, breaks connections and takes half of a batch
//! - [`microburst`]: errors as AWS's own models describe them
//! - `http`, [`call`], `answer`, `batch`: what the proxy sees, and what it says
//! - `promises`: both do what they say

mod answer;
mod batch;
mod call;
mod http;
mod microburst;
mod promises;
mod proxy;

pub(crate) use answer::ServiceError;
pub(crate) use call::{Call, Service};
pub(crate) use microburst::microburst;
pub(crate) use proxy::{Fault, FaultProxy, Rule};
