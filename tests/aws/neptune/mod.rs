//! The graph and its change log on Neptune, through the SDK and over HTTP.

mod client;
pub(crate) mod fake;
mod faults;
mod fold;
mod graph;
mod pages;
mod poller;
mod probes;
