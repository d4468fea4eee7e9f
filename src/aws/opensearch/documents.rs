//! Reading and writing documents, and what is done about those that the index does not take.

use iyagi_actors::ports::{Outcome, Rejection, RejectionClass, SearchFault};
use iyagi_search::document::DocumentId;
use iyagi_search::projection::Write;
use reqwest::Method;
use serde_json::{Value, json};

use super::bulk::{self, DOCUMENTS_MAX, Over};
use super::schema::{self, Predicates};
use super::transport::{Body, reason};
use super::{OpenSearch, WritesTo};

impl OpenSearch {
    /// Writes in requests that are none too large, until one of them is too much.
    pub(super) async fn bulk(
        &self,
        writes: &[&Write],
        over: Over,
        predicates: Predicates,
    ) -> Result<Vec<Outcome>, SearchFault> {
        let (index, path) = match &self.writes_to {
            WritesTo::Beside(generation) => (&generation.index, "/_bulk"),
            // If the name is gone, no index is to be made in its place.
            WritesTo::Current(_) => (&self.name.0, "/_bulk?require_alias=true"),
        };
        let mut outcomes = Vec::with_capacity(writes.len());
        for request in bulk::requests(index, writes, over, predicates) {
            let part = &writes[request.writes];
            let body = Body::Lines(request.lines);
            let answer = self.transport.ask(Method::POST, path, body).await?;
            match answer.status {
                413 if part.len() == 1 => outcomes.push(Outcome::Rejected(Rejection {
                    class: RejectionClass::TooLarge,
                    detail: answer.told(),
                })),
                413 | 429 => {
                    outcomes.resize(writes.len(), Outcome::Throttled);
                    break;
                }
                _ => outcomes.extend(bulk::outcomes(&answer.done()?, part)?),
            }
        }
        Ok(outcomes)
    }

    /// Puts documents that were rejected there with their properties aside. They stay rejected.
    pub(super) async fn put_aside(
        &self,
        writes: &[Write],
        outcomes: &mut [Outcome],
    ) -> Result<(), SearchFault> {
        let rejected = |outcome: &Outcome| matches!(outcome, Outcome::Rejected(_));
        let places = (0..writes.len()).filter(|at| rejected(&outcomes[*at]));
        let places: Vec<usize> = places.collect();
        let aside: Vec<&Write> = places.iter().map(|at| &writes[*at]).collect();
        let put = self
            .bulk(&aside, Over::OlderOrSame, Predicates::Aside)
            .await?;
        for (at, put) in places.into_iter().zip(put) {
            match put {
                Outcome::Written => {}
                Outcome::Rejected(again) => {
                    tracing::error!(document = %writes[at].id(), reason = %again, "the search index does not even keep a document aside");
                }
                changed @ (Outcome::Newer | Outcome::Throttled) => outcomes[at] = changed,
            }
        }
        Ok(())
    }

    /// Tries those again that were put aside before what came of it was settled: the index says of them, too, that it has
    /// the same.
    pub(super) async fn look_again(
        &self,
        writes: &[Write],
        outcomes: &mut [Outcome],
    ) -> Result<(), SearchFault> {
        let newer = (0..writes.len()).filter(|at| outcomes[*at] == Outcome::Newer);
        let newer: Vec<usize> = newer.collect();
        let ids: Vec<DocumentId> = newer.iter().map(|at| writes[*at].id()).collect();
        let found = self.get(&ids).await?;
        for (at, found) in newer.into_iter().zip(found) {
            let same = found["_version"].as_u64() == Some(writes[at].version().number());
            if same && schema::is_aside(&found) {
                outcomes[at] = self.try_whole(&writes[at]).await?;
            }
        }
        Ok(())
    }

    /// Writes a document that is aside as it is.
    pub(super) async fn try_whole(&self, write: &Write) -> Result<Outcome, SearchFault> {
        let writes = [write];
        let outcomes = self.bulk(&writes, Over::OlderOrSame, Predicates::Indexed);
        let outcome = outcomes.await?.pop();
        outcome.ok_or_else(|| SearchFault::Unavailable("no answer to one document".to_owned()))
    }

    /// Documents as they stand, found or not, in the order in which they are asked for.
    pub(super) async fn get(&self, ids: &[DocumentId]) -> Result<Vec<Value>, SearchFault> {
        let mut found = Vec::with_capacity(ids.len());
        let index = self.generation().await?.index;
        for ids in ids.chunks(DOCUMENTS_MAX) {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            let body = Body::Json(json!({"ids": ids}));
            let path = format!("/{index}/_mget");
            let answer = self.transport.ask(Method::POST, &path, body).await?;
            let mut answer = answer.done()?;
            let Value::Array(documents) = answer["docs"].take() else {
                return Err(SearchFault::Unavailable(
                    "an answer without documents".to_owned(),
                ));
            };
            if documents.len() != ids.len() {
                let reason = format!("{} documents of {}", documents.len(), ids.len());
                return Err(SearchFault::Unavailable(reason));
            }
            if let Some(failed) = documents.iter().find(|found| found.get("error").is_some()) {
                return Err(SearchFault::Unavailable(reason(failed)));
            }
            found.extend(documents);
        }
        Ok(found)
    }
}
