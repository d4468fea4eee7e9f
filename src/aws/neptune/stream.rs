//! The change log by `GetPropertygraphStream`.

use async_trait::async_trait;
use aws_sdk_neptunedata::Client;
use aws_sdk_neptunedata::types::{Encoding, IteratorType};
use iyagi_actors::ports::{ChangeStream, Position, StreamFault};
use iyagi_messages::cursor::Cursor;
use iyagi_messages::stream::StreamPage;

use super::page::Body;
use super::{fault, output};

/// The change log of a Neptune cluster.
#[derive(Debug, Clone)]
pub struct NeptuneStream {
    client: Client,
}

impl NeptuneStream {
    /// The log of the cluster that `client` speaks to.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl ChangeStream for NeptuneStream {
    async fn fetch(&self, position: Position, limit: u32) -> Result<StreamPage, StreamFault> {
        let request = self
            .client
            .get_propertygraph_stream()
            .limit(limit.into())
            .encoding(Encoding::Gzip);
        let request = match position {
            Position::At(Cursor { commit, op }) => request
                .iterator_type(IteratorType::AtSequenceNumber)
                .commit_num(signed(commit))
                .op_num(signed(op)),
            Position::After(Cursor { commit, op }) => request
                .iterator_type(IteratorType::AfterSequenceNumber)
                .commit_num(signed(commit))
                .op_num(signed(op)),
            Position::TrimHorizon => request.iterator_type(IteratorType::TrimHorizon),
            Position::Latest => request.iterator_type(IteratorType::Latest),
        };
        match request.send().await {
            Ok(output) => output::page_of(&output),
            Err(error) => match Body::of_page(&error) {
                Some(body) => parse(body).await,
                None => Err(fault::of(&error)),
            },
        }
    }
}

/// Ten megabytes take long enough to hold up the actors of this thread.
async fn parse(body: Body) -> Result<StreamPage, StreamFault> {
    let parsed = tokio::task::spawn_blocking(move || body.parse()).await;
    parsed.unwrap_or_else(|error| Err(StreamFault::Unparsable(error.to_string())))
}

/// The service counts to 2^63 - 1; a larger number is as far in the future.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
