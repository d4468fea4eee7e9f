//! Health, metrics and operations.

use actix_web::web::ServiceConfig;

/// Every path of the operations listener.
pub fn routes(_: &mut ServiceConfig) {}
