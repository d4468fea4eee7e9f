//! The adapters keep the ports' promises on servers that speak AWS's protocols.

mod faults;
mod journal;
mod fan_out;
mod objects;
mod queues;
mod neptune;
mod servers;
mod tables;
