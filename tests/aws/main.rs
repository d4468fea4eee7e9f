//! The adapters keep the ports' promises on servers that speak AWS's protocols.

mod canned;
mod fan_out;
mod faults;
mod fleet;
mod journal;
mod matrix;
mod neptune;
mod objects;
mod provision;
mod push;
mod queues;
mod servers;
mod tables;
