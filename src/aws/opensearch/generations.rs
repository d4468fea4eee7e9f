//! One index after another, under one name: a new one is built beside the one that is searched, and takes its place in one
//! step.
//!
//! ```text
//! amazon_neptune                        the name that is searched: an alias of
//! amazon_neptune-1796000000000          an index; its number is when it was begun
//! amazon_neptune-cursor                 how far it is: an alias of
//! amazon_neptune-1796000000000-cursor   an index of one document
//! ```

use std::collections::BTreeSet;

use iyagi_actors::ports::SearchFault;
use iyagi_search::projection::Projection;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::schema::{self, Definition, FORMAT};
use super::transport::{Body, Transport};

/// The name that is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(pub(super) String);

/// One of the indexes that the name has stood for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation {
    pub(super) index: String,
}

impl Generation {
    pub(super) fn cursors(&self) -> String {
        cursors(&self.index)
    }
}

fn cursors(index: &str) -> String {
    format!("{index}-cursor")
}

impl Name {
    /// Where the cursor of the index that is searched is.
    pub(super) fn cursors(&self) -> String {
        cursors(&self.0)
    }

    /// The index that is searched; none if there never was one.
    pub(super) async fn current(
        &self,
        transport: &Transport,
    ) -> Result<Option<Generation>, SearchFault> {
        let name = &self.0;
        let path = format!("/_alias/{name}");
        let answer = transport.ask(Method::GET, &path, Body::Nothing).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let indexes = answer.done()?;
        let mut indexes: Vec<&String> = indexes
            .as_object()
            .into_iter()
            .flat_map(|it| it.keys())
            .collect();
        match (indexes.pop(), indexes.is_empty()) {
            (Some(index), true) => Ok(Some(Generation {
                index: index.clone(),
            })),
            (last, _) => Err(SearchFault::Damaged(format!(
                "`{name}` must stand for one index, and stands for {indexes:?} and {last:?}"
            ))),
        }
    }

    /// The index that is searched, made for this daemon; a new one if there never was one.
    pub(super) async fn current_or_first(
        &self,
        transport: &Transport,
        now_ms: i64,
        definition: &Definition,
    ) -> Result<Generation, SearchFault> {
        if let Some(current) = self.current(transport).await? {
            check(&current, definition, transport).await?;
            return Ok(current);
        }
        if self.is_foreign(transport).await? {
            return Err(SearchFault::Damaged(format!(
                "`{name}` is an index and no alias, such as AWS's own stream poller makes: a rebuild takes it away and puts \
                 one of iyagi's in its place",
                name = self.0
            )));
        }
        let first = self.next(transport, now_ms, definition).await?;
        self.publish(&first, transport).await?;
        Ok(first)
    }

    /// Whether an index of somebody else's has the name.
    async fn is_foreign(&self, transport: &Transport) -> Result<bool, SearchFault> {
        let path = format!("/{}", self.0);
        let answer = transport.ask(Method::HEAD, &path, Body::Nothing).await?;
        Ok(answer.status == 200)
    }

    /// An empty index beside the one that is searched.
    pub(super) async fn next(
        &self,
        transport: &Transport,
        now_ms: i64,
        definition: &Definition,
    ) -> Result<Generation, SearchFault> {
        let next = Generation {
            index: format!("{}-{now_ms}", self.0),
        };
        let made = [
            (next.index.clone(), schema::index(definition)),
            (next.cursors(), schema::cursors(definition.serverless)),
        ];
        for (index, definition) in made {
            let path = format!("/{index}");
            let answer = transport.ask(Method::PUT, &path, Body::Json(definition));
            answer.await?.done()?;
        }
        Ok(next)
    }

    /// Makes one the one that is searched, together with its cursor, in one step. All others are taken away.
    pub(super) async fn publish(
        &self,
        generation: &Generation,
        transport: &Transport,
    ) -> Result<(), SearchFault> {
        let before = self.current(transport).await?;
        let mut actions = Vec::new();
        if let Some(before) = &before {
            actions.push(json!({"remove": {"index": before.index, "alias": self.0}}));
            actions.push(json!({"remove": {"index": before.cursors(), "alias": self.cursors()}}));
        } else if self.is_foreign(transport).await? {
            actions.push(json!({"remove_index": {"index": self.0}}));
        }
        actions.push(json!({"add": {"index": generation.index, "alias": self.0}}));
        actions.push(json!({"add": {"index": generation.cursors(), "alias": self.cursors()}}));
        let body = Body::Json(json!({"actions": actions}));
        let answer = transport.ask(Method::POST, "/_aliases", body).await?;
        answer.done()?;
        self.remove_all_but(generation, transport).await
    }

    async fn remove_all_but(
        &self,
        kept: &Generation,
        transport: &Transport,
    ) -> Result<(), SearchFault> {
        let path = format!("/{}-*/_alias", self.0);
        let answer = transport.ask(Method::GET, &path, Body::Nothing).await?;
        let indexes = answer.done()?;
        for other in self.generations(&indexes) {
            if other != *kept {
                other.remove(transport).await?;
            }
        }
        Ok(())
    }

    /// Those among indexes that are iyagi's own: their names end in a number.
    fn generations(&self, indexes: &Value) -> BTreeSet<Generation> {
        let names = indexes.as_object().into_iter().flat_map(|it| it.keys());
        let own = names.filter_map(|name| {
            let index = name.strip_suffix("-cursor").unwrap_or(name);
            let number = index.strip_prefix(&self.0)?.strip_prefix('-')?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| Generation {
                index: index.to_owned(),
            })
        });
        own.collect()
    }
}

impl Generation {
    /// What it says of its documents and of itself.
    pub(super) async fn mappings(&self, transport: &Transport) -> Result<Value, SearchFault> {
        let path = format!("/{}/_mapping", self.index);
        let answer = transport.ask(Method::GET, &path, Body::Nothing).await?;
        let mut mapping = answer.done()?;
        Ok(mapping[&self.index]["mappings"].take())
    }

    /// Takes it away. One that is not there is no failure.
    pub(super) async fn remove(&self, transport: &Transport) -> Result<(), SearchFault> {
        for index in [self.index.clone(), self.cursors()] {
            let path = format!("/{index}");
            let answer = transport.ask(Method::DELETE, &path, Body::Nothing).await?;
            if answer.status != 404 {
                answer.done()?;
            }
        }
        Ok(())
    }
}

/// Refuses an index that another version of this code has made, or this one for another configuration.
pub(super) async fn check(
    generation: &Generation,
    definition: &Definition,
    transport: &Transport,
) -> Result<(), SearchFault> {
    let index = &generation.index;
    let mappings = generation.mappings(transport).await?;
    let found = &mappings["_meta"]["format"];
    if found.as_u64() != Some(FORMAT) {
        return Err(SearchFault::Damaged(format!(
            "{index} has format {found}, and this is made for {FORMAT}"
        )));
    }
    let damaged = |error: &dyn std::fmt::Display| SearchFault::Damaged(format!("{index}: {error}"));
    let made = &mappings["_meta"]["projection"];
    let made = Projection::deserialize(made).map_err(|error| damaged(&error))?;
    let same = definition.projection.check(&made);
    same.map_err(|other| damaged(&other))
}
