//! Pushes to phones, by the platform applications of SNS.
//!
//! # Layout
//! - [`gateway`]: the port; one publish for one push
//! - [`applications`]: which application speaks to which push service
//! - `endpoints`, [`registry`]: from a phone's token to its endpoint, made sure once per registration
//! - [`envelope`]: what is published, in each platform's form
//! - [`classify`]: what an answer means

pub mod applications;
pub mod classify;
mod endpoints;
pub mod envelope;
pub mod gateway;
mod recent;
pub mod registry;

pub use applications::{Application, Applications, ApplicationsError, Service};
pub use gateway::{QuotaLevels, SnsGateway, SnsSettings};
pub use registry::{DynamoEndpoints, EndpointRegistry};
