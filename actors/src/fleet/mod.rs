//! How hosts share the work, decided from what the leases say: nothing here reads a clock or calls a store.
//!
//! # Layout
//! - [`observation`]: who is silent for so long that its work may be taken over
//! - [`lanes`]: which host sends whose pushes

pub mod lanes;
pub mod observation;

pub use lanes::{Assignment, LANES, MemberId, lane_of, owner_of};
pub use observation::{Observation, Standing, Watch};
