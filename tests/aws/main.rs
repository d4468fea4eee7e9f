//! The adapters keep the ports' promises on servers that speak AWS's protocols.

mod canned;
mod provision;
mod servers;
