//! The daemon: configuration, wiring, HTTP, and the adapters of each port.
//!
//! # Layout
//! - `allocator`: where memory comes from
//! - [`auth`]: who is at the other end of a request
//! - [`aws`]: every port on AWS
//! - [`backfill`]: a graph that is older than its change log
//! - [`cli`]: the command line
//! - [`config`]: what the daemon is told, and what a mistake in it gets
//! - [`daemon`]: from start to stop; the one place where ports meet adapters
//! - [`demo`]: a story played to a daemon in a fresh folder
//! - [`embedded`]: every port on one machine, with no account
//! - [`fcm`]: pushes straight to Firebase Cloud Messaging
//! - [`ffmpeg`]: recordings that the engine does not decode itself
//! - [`hindsight`]: the daemon's decisions of the past, explained and tried out anew
//! - [`http`]: the public and the operations listener
//! - [`links`]: links that need no sign-in, to read or upload one object
//! - [`log`]: the log of the process
//! - [`push_payload`]: what a phone gets, the same whichever gateway hands it over
//! - [`rehearsal`]: what the daemon would do, tried out
//! - [`retention`]: what is old enough to be taken out of the journal, and a journal at rest
//! - [`search_rebuild`]: a search index that is built anew, and put in place
//! - [`template_tests`]: the tests that a file of templates carries
//! - [`tell`]: events of the journal in words
//! - [`quota`]: how often a push service is called, whichever it is
//! - [`spool`]: room on the disk for what is too large for memory
//! - [`surface`]: what the listeners and the command line speak to
//! - [`upload_quota`]: how much a person may upload in a day

mod allocator;
mod arriving;
pub mod auth;
pub mod aws;
pub mod backfill;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod demo;
mod digests;
pub mod embedded;
pub mod fcm;
pub mod ffmpeg;
pub mod hindsight;
pub mod http;
pub mod links;
pub mod log;
mod own_secret;
pub mod push_payload;
pub mod quota;
pub mod rehearsal;
pub mod retention;
pub mod search_rebuild;
pub mod spool;
pub mod surface;
pub mod tell;
pub mod template_tests;
pub mod upload_quota;
