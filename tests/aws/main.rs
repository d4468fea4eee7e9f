//! The adapters keep the ports' promises on servers that speak AWS's protocols.

#[path = "../http/bearer.rs"]
mod bearer;
mod canned;
mod cloudfront;
mod cognito;
mod compaction;
mod failing;
mod fan_out;
mod faults;
#[allow(
    dead_code,
    reason = "the tests of the public API, whose fixture it is, use the rest"
)]
#[path = "../http/fixture.rs"]
mod fixture;
mod handed_on;
mod instance;
mod journal;
mod matrix;
mod neptune;
mod objects;
mod opensearch;
mod provision;
mod push;
mod queues;
mod redrive;
mod removals;
mod servers;
mod spooled;
mod stub;
mod tables;
mod transcripts;
