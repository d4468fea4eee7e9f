//! Pushes straight to Firebase Cloud Messaging, by its HTTP v1 interface.
//!
//! # Layout
//! - [`gateway`]: the port; one request for one push
//! - [`account`]: the service account's key file
//! - [`token`]: access tokens, signed for with that key
//! - [`answer`]: what an answer means, and what none means; pure
//! - [`trust`]: whether it is the phone or the key that belongs to another project; pure
//! - [`standing`]: how the service is by its latest answers
//! - `connections`: a few long-lived connections
//! - `body`: what is read of an answer

pub mod account;
pub mod answer;
mod body;
mod connections;
pub mod gateway;
pub mod standing;
pub mod token;
pub mod trust;

pub use account::{CredentialError, ServiceAccount};
pub use gateway::{FcmError, FcmGateway, FcmSettings};
