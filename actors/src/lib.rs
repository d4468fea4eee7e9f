//! Who says it: the supervised actors of iyagi.
//!
//! An actor never names an SDK, a database or HTTP: it speaks to the world through a port. Decisions are pure
//! functions of state and message; the clock, the random seed and the network's answers enter as values and events.
//!
//! # Layout
//! - [`runtime`]: the only place that imports actix: guard, mailbox, supervision, pools, broadcast, statistics
//! - [`journal`]: what the journal promises, and the state that is folded from it
//! - [`ports`]: what an actor needs from the world, one file each

pub mod journal;
pub mod ports;
pub mod runtime;
