//! The daemon: configuration, wiring, HTTP, and the adapters of each port.

pub mod embedded;
