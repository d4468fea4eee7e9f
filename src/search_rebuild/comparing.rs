//! Whether a new index is what the graph itself is, which keeps that apart from how it became so.
//!
//! Compared are the number of documents, the labels of each and the names of its properties; and the texts of some, since each
//! is a question to the graph of its own.

use std::collections::BTreeSet;

use iyagi_messages::change::ElementKind;
use iyagi_messages::ids::ElementId;
use iyagi_search::document::{Document, DocumentId};
use iyagi_search::projection::Scope;
use thiserror::Error;

use super::{Rebuild, RebuildError};

/// Where an index is not what the graph is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Difference {
    /// An element has other labels.
    #[error("{element} has the labels {graph:?} in the graph and {index:?} in the index")]
    Labels {
        /// Which.
        element: ElementId,
        /// What the graph says.
        graph: Vec<String>,
        /// What the index says; nothing if it has no such document.
        index: Option<Vec<String>>,
    },
    /// A document has a property that is not to be searched.
    #[error("the document of {element} has `{property}`, which `search.properties` leaves out")]
    Property {
        /// Of which element.
        element: ElementId,
        /// Which.
        property: String,
    },
    /// A document has other texts, or none where the graph has some.
    #[error("`{property}` of {element} is {graph:?} in the graph and {index:?} in the index")]
    Texts {
        /// Of which element.
        element: ElementId,
        /// Which property.
        property: String,
        /// Its values, as far as the graph shows them.
        graph: Vec<String>,
        /// All that the index has.
        index: Vec<String>,
    },
    /// There are documents of elements that the graph does not have.
    #[error("the graph has {graph} elements and the index {index} documents")]
    Count {
        /// Elements that have documents.
        graph: u64,
        /// Documents.
        index: u64,
    },
}

/// Elements that are compared in one go.
const PAGE: u32 = 5_000;
/// How often a graph that changes meanwhile is compared anew.
const ROUNDS_MAX: usize = 5;
/// Vertices of each go whose texts are compared: on Neptune a question is a few milliseconds.
const SAMPLED: usize = 20;

impl Rebuild {
    /// Compares every document with the graph. One that others write meanwhile is compared again with what they wrote.
    pub async fn verify(&self) -> Result<(), RebuildError> {
        for _ in 1..ROUNDS_MAX {
            let before = self.head().await?;
            match self.compare_all().await {
                Err(RebuildError::Differs(_))
                    if self.is_shared() && self.head().await? > before =>
                {
                    self.fill_to(self.head().await?, |_| {}).await?;
                }
                compared => return compared,
            }
        }
        self.compare_all().await
    }

    fn is_shared(&self) -> bool {
        self.at_rest.is_none()
    }

    async fn compare_all(&self) -> Result<(), RebuildError> {
        let mut elements = 0;
        let mut after: Option<ElementId> = None;
        loop {
            let page = self.graph.vertices(after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            elements += page.len() as u64;
            self.compare(ElementKind::Vertex, page).await?;
        }
        if self.projection.scope == Scope::Elements {
            let mut after: Option<ElementId> = None;
            loop {
                let page = self.graph.edges(after.as_ref(), PAGE).await?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                elements += page.len() as u64;
                let page = page.into_iter().map(|(id, ends)| (id, vec![ends.label]));
                self.compare(ElementKind::Edge, page.collect()).await?;
            }
        }
        let documents = self.index.documents().await?;
        if documents == elements {
            Ok(())
        } else {
            Err(RebuildError::Differs(Difference::Count {
                graph: elements,
                index: documents,
            }))
        }
    }

    async fn compare(
        &self,
        kind: ElementKind,
        elements: Vec<(ElementId, Vec<String>)>,
    ) -> Result<(), RebuildError> {
        let ids: Vec<DocumentId> = elements
            .iter()
            .map(|(element, _)| DocumentId::of(kind, element))
            .collect();
        let mut standing = self
            .index
            .port()
            .standing(&ids)
            .await?
            .into_iter()
            .peekable();
        let every = (elements.len() / SAMPLED).max(1);
        for (at, (element, labels)) in elements.into_iter().enumerate() {
            // What stands comes in the order in which it was asked for.
            let found = standing.next_if(|found| found.document.entity_id == element);
            let document = found.map(|found| found.document);
            compare_labels(element, labels, document.as_ref())?;
            let Some(document) = document else { continue };
            self.check_properties(&document)?;
            if kind == ElementKind::Vertex && at % every == 0 {
                self.compare_texts(&document).await?;
            }
        }
        Ok(())
    }

    fn check_properties(&self, document: &Document) -> Result<(), RebuildError> {
        let listed = &self.projection.properties;
        let mut properties = document.predicates.keys();
        match properties.find(|property| !listed.lists(property)) {
            None => Ok(()),
            Some(property) => Err(RebuildError::Differs(Difference::Property {
                element: document.entity_id.clone(),
                property: property.clone(),
            })),
        }
    }

    /// Looks for the values of each property in the document, and for each property that is listed by its whole name.
    async fn compare_texts(&self, document: &Document) -> Result<(), RebuildError> {
        let element = &document.entity_id;
        for property in self.compared(document) {
            let values = document.predicates.get(property).into_iter().flatten();
            // What a number or a date is as text is the graph's own to say.
            if values.clone().any(|value| value.datatype.is_some()) {
                continue;
            }
            let texts = values.filter_map(|value| value.value.as_str());
            let index: Vec<String> = texts.map(str::to_owned).collect();
            let graph = self.graph.values_of(element, property).await?;
            // A graph may show one value of several.
            let same = graph.is_empty() == index.is_empty()
                && graph.iter().all(|text| index.contains(text));
            if !same {
                return Err(RebuildError::Differs(Difference::Texts {
                    element: element.clone(),
                    property: property.to_owned(),
                    graph,
                    index,
                }));
            }
        }
        Ok(())
    }

    fn compared<'d>(&'d self, document: &'d Document) -> BTreeSet<&'d str> {
        let properties = &self.projection.properties;
        let include = properties.include.iter().map(String::as_str);
        let named = include.filter(|name| !name.contains('*') && properties.lists(name));
        let in_document = document.predicates.keys().map(String::as_str);
        let rejected = self.counts.rejected_by_reason().into_iter();
        // What no document can show is missing from some, and that was told.
        let whole = rejected.map(|(_, count)| count).sum::<u64>() == 0;
        in_document.chain(named.filter(|_| whole)).collect()
    }
}

fn compare_labels(
    element: ElementId,
    mut graph: Vec<String>,
    document: Option<&Document>,
) -> Result<(), RebuildError> {
    let mut index = document.map(|document| document.entity_type.clone());
    graph.sort();
    if let Some(labels) = &mut index {
        labels.sort();
    }
    if index.as_ref() == Some(&graph) {
        return Ok(());
    }
    Err(RebuildError::Differs(Difference::Labels {
        element,
        graph,
        index,
    }))
}
