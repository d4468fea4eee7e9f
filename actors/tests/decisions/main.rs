//! What the actors decide, as given(events) · when(message) · then(events or fault).

mod auditing;
mod explaining;
mod feedback;
mod gates;
mod indexing;
mod lines;
mod matching;
mod polling;
mod push;
mod sample;
mod sending;
mod visibility;
