//! The index that a configuration asks for.

use std::sync::Arc;
use std::time::Duration;

use aws_config::Region;
use iyagi_actors::ports::{Clock, SearchFault};
use iyagi_messages::cursor::Cursor;
use thiserror::Error;

use super::OpenSearch;
use super::generations::check;
use super::transport::{Signer, TransportError};
use crate::aws::clients::{Clients, ClientsError};
use crate::config::{Config, SearchEngine};

/// Why there is no index to speak to.
#[derive(Debug, Error)]
pub enum OpenSearchError {
    /// Nobody says where it is.
    #[error("`search.opensearch.endpoint` is missing, and OpenSearch keeps the index")]
    NoEndpoint,
    /// Nobody says who signs.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// There is nobody who hands out credentials.
    #[error("requests to OpenSearch are signed, and nobody hands out credentials for it")]
    NoCredentials,
    /// Its address, or the HTTP client.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl OpenSearch {
    /// The index that is configured, if OpenSearch is to keep one. It is not spoken to yet.
    pub async fn open(
        config: &Config,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Self>, OpenSearchError> {
        let search = &config.search;
        if !search.enabled || search.engine != SearchEngine::OpenSearch {
            return Ok(None);
        }
        let endpoint = search.opensearch.endpoint.as_ref();
        let endpoint = endpoint.ok_or(OpenSearchError::NoEndpoint)?;
        let signer = if endpoint.starts_with("http://") {
            None
        } else {
            Some(signer(config, clock).await?)
        };
        let timeout = Duration::from_millis(config.aws.call_timeout_ms);
        let clock = Arc::clone(clock);
        Ok(Some(Self::new(
            endpoint,
            &search.opensearch,
            config.projection(),
            signer,
            timeout,
            clock,
        )?))
    }

    /// The index that is searched and as of which operation it is; none if there is none yet.
    pub async fn look(&self) -> Result<Option<(String, Cursor)>, SearchFault> {
        let Some(current) = self.name.current(&self.transport).await? else {
            return Ok(None);
        };
        check(&current, &self.definition, &self.transport).await?;
        let cursor = self.cursor_in(&current.cursors()).await?;
        Ok(Some((current.index, cursor)))
    }
}

async fn signer(config: &Config, clock: &Arc<dyn Clock>) -> Result<Signer, OpenSearchError> {
    let opensearch = &config.search.opensearch;
    let mut aws = config.aws.clone();
    aws.region = opensearch.region.clone().or(aws.region);
    let clients = Clients::new(&aws).await?;
    let credentials = clients.credentials.ok_or(OpenSearchError::NoCredentials)?;
    let region = Region::new(clients.region.to_string());
    let clock = Arc::clone(clock);
    Ok(Signer::new(credentials, region, opensearch.service, clock))
}
