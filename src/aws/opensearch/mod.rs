//! The search index on OpenSearch: a domain, a serverless collection, or any server that speaks the same.
//!
//! Documents are written whole, each with the version of its last operation, so that what comes late or twice is refused and
//! nothing is lost by sending it again. The cursor moves once that is acknowledged and can be found.
//!
//! A document that the index does not take as it is (a property that is text here and was a number before, one property too
//! many) is put there once more with its properties aside: it is still whole for whoever folds the next record onto it, and
//! the public API still finds it. It counts as rejected all the same.
//!
//! # Layout
//! - this file: the port
//! - `opening`: the index that a configuration asks for
//! - `transport`: one request, signed, and its answer
//! - `generations`: the name that is searched, and the indexes behind it
//! - `schema`: mapping and documents
//! - `documents`: reading and writing them, and what is done about those that are rejected
//! - `bulk`: many documents in one request
//! - `query`: what must be found

mod bulk;
mod documents;
mod generations;
mod opening;
mod query;
mod schema;
mod transport;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use iyagi_actors::ports::{Clock, Outcome, SearchFault, SearchIndex};
use iyagi_messages::cursor::Cursor;
use iyagi_search::document::{DocumentId, Version};
use iyagi_search::hits::{Hit, Page, Request};
use iyagi_search::projection::{Projection, Standing, Write};
use reqwest::Method;
use serde_json::json;
use tokio::sync::Mutex;

use self::bulk::Over;
use self::generations::{Generation, Name};
pub use self::opening::OpenSearchError;
use self::schema::{Definition, Predicates};
use self::transport::{Body, Transport};
pub use self::transport::{Signer, TransportError};
use crate::config::{OpenSearchConfig, OpenSearchService};

/// The cursor's own document.
const CURSOR: &str = "cursor";

/// A search index on OpenSearch. Clones speak to the same.
#[derive(Clone)]
pub struct OpenSearch {
    transport: Arc<Transport>,
    name: Name,
    definition: Definition,
    clock: Arc<dyn Clock>,
    writes_to: WritesTo,
}

/// Where documents go.
#[derive(Clone)]
enum WritesTo {
    /// To whatever the name stands for. Known is what it stood for when writing began: the cursor is that one's.
    Current(Arc<Mutex<Option<Generation>>>),
    /// To one that is not searched yet.
    Beside(Generation),
}

/// The place of an index that is not searched yet.
pub struct Beside {
    index: OpenSearch,
    generation: Generation,
}

impl Beside {
    /// Makes it the one that is searched, in one step.
    pub async fn publish(self) -> Result<(), SearchFault> {
        let Self { index, generation } = self;
        index.name.publish(&generation, &index.transport).await
    }

    /// Takes it away.
    pub async fn discard(self) -> Result<(), SearchFault> {
        self.generation.remove(&self.index.transport).await
    }
}

impl OpenSearch {
    /// The index that is configured, of documents of a projection. Nothing is connected to yet. Without a signer requests go as they are: to this machine,
    /// or a network of one's own.
    pub fn new(
        endpoint: &str,
        config: &OpenSearchConfig,
        projection: Projection,
        signer: Option<Signer>,
        timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TransportError> {
        Ok(Self {
            transport: Arc::new(Transport::new(endpoint, signer, timeout)?),
            name: Name(config.index.clone()),
            definition: Definition {
                serverless: config.service == OpenSearchService::Aoss,
                projection,
            },
            clock,
            writes_to: WritesTo::Current(Arc::default()),
        })
    }

    /// Begins an empty index beside the one that is searched.
    pub async fn beside(&self) -> Result<(Self, Beside), SearchFault> {
        let now = self.clock.now().0;
        let next = self.name.next(&self.transport, now, &self.definition);
        let generation = next.await?;
        let index = Self {
            writes_to: WritesTo::Beside(generation.clone()),
            ..self.clone()
        };
        let beside = Beside {
            index: index.clone(),
            generation,
        };
        Ok((index, beside))
    }

    /// How many documents can be found.
    pub async fn documents(&self) -> Result<u64, SearchFault> {
        let index = self.generation().await?.index;
        let path = format!("/{index}/_count");
        let counted = self
            .transport
            .ask(Method::GET, &path, Body::Nothing)
            .await?;
        let counted = counted.done()?;
        let count = counted["count"].as_u64();
        count.ok_or_else(|| SearchFault::Unavailable(format!("no count in {counted}")))
    }

    /// Where it stands what is written now.
    async fn generation(&self) -> Result<Generation, SearchFault> {
        match &self.writes_to {
            WritesTo::Beside(generation) => Ok(generation.clone()),
            WritesTo::Current(known) => {
                let mut known = known.lock().await;
                if let Some(known) = &*known {
                    return Ok(known.clone());
                }
                let now = self.clock.now().0;
                let current = self
                    .name
                    .current_or_first(&self.transport, now, &self.definition);
                Ok(known.insert(current.await?).clone())
            }
        }
    }

    async fn forget_generation(&self) {
        if let WritesTo::Current(known) = &self.writes_to {
            known.lock().await.take();
        }
    }

    /// Whether what was written to is still what is searched.
    async fn is_current(&self, generation: &Generation) -> Result<bool, SearchFault> {
        match &self.writes_to {
            WritesTo::Beside(_) => Ok(true),
            WritesTo::Current(_) => {
                Ok(self.name.current(&self.transport).await?.as_ref() == Some(generation))
            }
        }
    }

    async fn cursor_in(&self, cursors: &str) -> Result<Cursor, SearchFault> {
        let path = format!("/{cursors}/_doc/{CURSOR}");
        let answer = self
            .transport
            .ask(Method::GET, &path, Body::Nothing)
            .await?;
        if answer.status == 404 {
            return Ok(Cursor::START);
        }
        let found = answer.done()?;
        serde_json::from_value(found["_source"].clone())
            .map_err(|error| SearchFault::Damaged(format!("the cursor in {cursors}: {error}")))
    }
}

#[async_trait]
impl SearchIndex for OpenSearch {
    async fn begin(&self) -> Result<Cursor, SearchFault> {
        self.forget_generation().await;
        let generation = self.generation().await?;
        self.cursor_in(&generation.cursors()).await
    }

    async fn property_names(&self) -> Result<BTreeSet<String>, SearchFault> {
        let generation = self.generation().await?;
        let mappings = generation.mappings(&self.transport).await?;
        Ok(schema::property_names(&mappings))
    }

    async fn cursor(&self) -> Result<Cursor, SearchFault> {
        match &self.writes_to {
            WritesTo::Current(_) => self.cursor_in(&self.name.cursors()).await,
            WritesTo::Beside(generation) => self.cursor_in(&generation.cursors()).await,
        }
    }

    async fn standing(&self, ids: &[DocumentId]) -> Result<Vec<Standing>, SearchFault> {
        let found = self.get(ids).await?;
        let there = found.iter().filter(|found| found["found"] == true);
        there.map(schema::standing).collect()
    }

    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Outcome>, SearchFault> {
        // Makes the index if there is none.
        self.generation().await?;
        let all: Vec<&Write> = writes.iter().collect();
        let mut outcomes = self.bulk(&all, Over::Older, Predicates::Indexed).await?;
        self.look_again(&writes, &mut outcomes).await?;
        self.put_aside(&writes, &mut outcomes).await?;
        Ok(outcomes)
    }

    async fn commit(&self, cursor: Cursor) -> Result<(), SearchFault> {
        let generation = self.generation().await?;
        if !self.is_current(&generation).await? {
            self.forget_generation().await;
            let index = generation.index;
            let reason = format!(
                "another index has taken the place of {index}, and is written from where it is"
            );
            return Err(SearchFault::Unavailable(reason));
        }
        if !self.definition.serverless {
            let path = format!("/{}/_refresh", generation.index);
            let answer = self
                .transport
                .ask(Method::POST, &path, Body::Nothing)
                .await?;
            answer.done()?;
        }
        let version =
            Version::of(cursor).map_err(|error| SearchFault::Refused(error.to_string()))?;
        let path = format!(
            "/{}/_doc/{CURSOR}?version_type=external&version={}",
            generation.cursors(),
            version.number()
        );
        let answer = self
            .transport
            .ask(Method::PUT, &path, Body::Json(json!(cursor)))
            .await?;
        // Another writer has come as far, or further.
        if answer.status != 409 {
            answer.done()?;
        }
        Ok(())
    }

    async fn retry(&self, id: &DocumentId) -> Result<Outcome, SearchFault> {
        let standing = self.standing(std::slice::from_ref(id)).await?.pop();
        match standing {
            Some(standing) => self.try_whole(&Write::Index(standing)).await,
            // It was deleted since.
            None => Ok(Outcome::Newer),
        }
    }

    async fn search(&self, request: Request) -> Result<Page, SearchFault> {
        // Asked first: what is found is of this or later.
        let as_of = self.cursor().await?;
        // Over several shards words are as rare as they are in all of them.
        let path = format!(
            "/{}/_search?search_type=dfs_query_then_fetch&allow_partial_search_results=false",
            self.name.0
        );
        let body = Body::Json(query::search(&request));
        let answer = self.transport.ask(Method::POST, &path, body).await?;
        let found = answer.done()?;
        let hits = found["hits"]["hits"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let hits = hits.iter().map(|hit| {
            let place = query::place(hit);
            let place = place
                .ok_or_else(|| SearchFault::Unavailable(format!("a hit without a place: {hit}")));
            Ok(Hit {
                place: place?,
                standing: schema::standing(hit)?,
            })
        });
        Ok(Page {
            hits: hits.collect::<Result<_, SearchFault>>()?,
            as_of,
        })
    }
}
