//! The adapters keep the ports' promises on servers that speak AWS's protocols.

mod faults;
mod servers;
mod tables;
