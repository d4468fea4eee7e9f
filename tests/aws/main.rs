//! The adapters keep the ports' promises on servers that speak AWS's protocols.

mod failing;
mod fan_out;
mod faults;
mod objects;
mod queues;
mod redrive;
mod removals;
mod servers;
mod stub;
