//! Who says it: the supervised actors of iyagi.
//!
//! An actor never names an SDK, a database or HTTP: it speaks to the world through a port. Decisions are pure
//! functions of state and message; the clock, the random seed and the network's answers enter as values and events.
//!
//! # Layout
//! - [`runtime`]: the only place that imports actix: guard, mailbox, supervision, pools, broadcast, statistics
//! - [`fleet`]: how hosts share the work, decided from what their leases say
//! - [`journal`]: what the journal promises, and the state that is folded from it
//! - [`inbox`]: what people were told, whether their phones rang or not
//! - [`platforms`]: which push services are sent to at present
//! - [`ports`]: what an actor needs from the world, one file each
//! - [`retention`]: what may be taken out of the journal
//! - [`visibility`]: who may see what

pub mod audio_worker;
pub mod dlq_keeper;
pub mod fleet;
pub mod health;
pub mod inbox;
pub mod invariants;
pub mod journal;
pub mod media_backfill;
pub mod media_job;
pub mod media_topic;
pub mod metadata_recorder;
pub mod platforms;
pub mod ports;
pub mod projections;
pub mod push_feedback;
pub mod push_feeder;
pub mod push_sender;
pub mod queue_intake;
pub mod redriver;
pub mod retention;
pub mod runtime;
pub mod search_indexer;
pub mod stream_poller;
pub mod subscription_matcher;
pub mod thumbnail_worker;
pub mod tree;
pub mod visibility;
