//! The graph on Amazon Neptune: its change log, and questions to it by openCypher.
//!
//! The SDK signs, connects and repeats. Its model of a stream page does not fit what the service sends (it takes event
//! ids for maps of texts, and does not inflate), so the pages themselves are read from the raw answer.
//!
//! # Layout
//! - `stream`: the [`ChangeStream`] port; `page`: the body of a 200; `fault`: every other answer
//! - `output`: a page that the SDK's own model did fit
//! - `graph`: the [`GraphQueries`] port; `cypher`: its queries
//! - `document`: the SDK's JSON as everybody else's
//!
//! [`ChangeStream`]: iyagi_actors::ports::ChangeStream
//! [`GraphQueries`]: iyagi_actors::ports::GraphQueries

mod cypher;
mod document;
mod fault;
mod graph;
mod output;
mod page;
mod stream;

pub use graph::NeptuneGraph;
pub use page::PAGE_BYTES_MAX;
pub use stream::NeptuneStream;
