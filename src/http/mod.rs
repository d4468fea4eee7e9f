//! The public and the operations listener.

use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;

use crate::surface::Surface;

/// Where the daemon listens.
pub struct Listeners {
    /// Address of the public API.
    pub public: SocketAddr,
    /// Address of metrics, health and operations.
    pub operations: SocketAddr,
}

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen")]
pub struct HttpError;

/// Listens.
pub async fn serve(surface: Arc<Surface>) -> Result<Listeners, HttpError> {
    Ok(Listeners {
        public: surface.config.http.public,
        operations: surface.config.http.operations,
    })
}

impl Listeners {
    /// Stops.
    pub async fn stop(self) {}
}
