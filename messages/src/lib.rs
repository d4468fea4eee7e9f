//! What iyagi says: the ids, values, commands and events that its actors exchange and its journal keeps.
//!
//! Nothing here does I/O or reads a clock; every type is plain data with its rules beside it.
//!
//! # Layout
//! - [`ids`]: newtypes for every id and position
//! - [`cursor`], [`stream`], [`change`]: the graph's change log, from raw records to one change per element
//! - [`subscription`], [`template`]: what people want to hear of, and how it is said
//! - [`preferences`]: when, about whom, and in which language
//! - [`device`], [`push`], [`letter`]: a push from request to phone, or to the dead-letter queue
//! - [`feedback`]: what becomes known of a push after the gateway took it
//! - [`object`], [`media`]: what lands in the object store, and what is known about it
//! - [`fleet`]: hosts that share the work
//! - [`event`], [`fact`]: the journal's envelope, and everything that can be written in it
//! - [`compaction`]: what is left to know of events that are no longer in it

pub mod change;
pub mod compaction;
pub mod cursor;
pub mod device;
pub mod event;
pub mod fact;
pub mod feedback;
pub mod fleet;
pub mod ids;
pub mod letter;
pub mod media;
pub mod object;
pub mod predicate;
pub mod preferences;
pub mod push;
pub mod stream;
pub mod subscription;
pub mod template;
