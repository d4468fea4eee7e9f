//! The adapters keep the ports' promises on servers that speak AWS's protocols.

#[path = "../http/bearer.rs"]
mod bearer;
mod canned;
mod cloudfront;
mod cognito;
mod failing;
mod fan_out;
mod faults;
mod instance;
mod journal;
mod matrix;
mod neptune;
mod objects;
mod provision;
mod push;
mod queues;
mod redrive;
mod removals;
mod servers;
mod stub;
mod tables;
mod transcripts;
