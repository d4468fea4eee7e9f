//! The daemon: configuration, wiring, HTTP, and the adapters of each port.
//!
//! # Layout
//! - [`config`]: what the daemon is told, and what a mistake in it gets
//! - [`embedded`]: every port on one machine, with no account
//! - [`surface`]: what the listeners and the command line speak to

pub mod config;
pub mod embedded;
pub mod surface;
